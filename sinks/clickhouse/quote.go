package clickhouse

import (
	"errors"
	"regexp"
	"strings"
)

// quote is an identifier as SQL has it.
func quote(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

// literal is a text as SQL has it.
func literal(text string) string {
	return "'" + strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(text) + "'"
}

// part is a name, bare or in backquotes; within these a backslash escapes.
const part = "([^.`][^.]*|`(?:[^`\\\\]|\\\\.)+`)"

var tableName = regexp.MustCompile("^(?:" + part + "\\.)?" + part + "$")

// splitTable parts database.table. One that holds a dot stands in backquotes, as
// in SQL.
func splitTable(name string) (database, table string, err error) {
	m := tableName.FindStringSubmatch(name)
	if m == nil {
		return "", "", errors.New("must be table, or database.table; a name with a dot in it stands in backquotes: stats.`my.table`")
	}
	return unquote(m[1]), unquote(m[2]), nil
}

func quoteAll(names []string) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = quote(n)
	}
	return strings.Join(all, ", ")
}
