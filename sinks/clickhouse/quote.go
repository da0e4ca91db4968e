package clickhouse

import (
	"errors"
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

// splitTable parts database.table; either may hold no dot.
func splitTable(name string) (database, table string, err error) {
	parts := strings.Split(name, ".")
	switch {
	case len(parts) == 1:
		return "", name, nil
	case len(parts) == 2 && parts[0] != "" && parts[1] != "":
		return parts[0], parts[1], nil
	}
	return "", "", errors.New("must be table, or database.table")
}

func quoteAll(names []string) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = quote(n)
	}
	return strings.Join(all, ", ")
}
