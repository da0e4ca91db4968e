package clickhouse

import (
	"regexp"
	"strings"
)

// What is another value each time that the same rows come may reach the partition
// of what a view fills from afar: from a default of the sink's table, or through
// other views. So columns are followed back, from view to view, as far as is plain:
// through what one query selects from a table. Of a statement with queries inside
// of queries nothing is known, and nothing is said.

// steadyViews checks that the rows of a batch fall into the same partitions of
// the tables that views fill each time.
func (t *table) steadyViews(b *block) error {
	filled := map[string]bool{}
	for _, c := range b.columns {
		filled[c.Name] = true
	}
	for _, f := range t.filled {
		if f.moves != "" || !f.mergeTree() {
			continue // what is wrong with it is said already
		}
		for _, column := range words(f.partitionKey) {
			if call := f.rests(column, filled, map[string]bool{}); call != "" {
				return t.refuseView("%s fills %s, whose PARTITION BY rests on %s, "+fallsElsewhere, f.through.path(), f.path(), call)
			}
		}
	}
	return nil
}

// rests says which call gives a column another value each time, and where; "" if
// none does, or if it is not known.
func (t *table) rests(column string, filled, seen map[string]bool) string {
	key := t.path() + "." + column
	if seen[key] {
		return ""
	}
	seen[key] = true
	if t.source == nil { // the sink's own
		if c := t.column(column); c != nil && !filled[column] {
			return t.named(t.volatile(c, filled, map[string]bool{}), column)
		}
		return ""
	}
	items := selected(t.view)
	expr, given := items[column]
	switch {
	case items["*"] != "" && !given:
		return t.source.rests(column, filled, seen)
	case !given:
		expr = defaultIn(withoutTexts(t.create), column)
	}
	if m := volatile.FindStringSubmatch(expr); m != nil {
		return t.named(m[1]+"()", column)
	}
	for _, name := range words(expr) {
		of := t.source
		if _, alias := items[name]; alias && name != column || !given {
			of = t // a column of the table is read by its default, an item by another
		}
		if call := of.rests(name, filled, seen); call != "" {
			return call
		}
	}
	return ""
}

// named is a call with the column that has it.
func (t *table) named(call, column string) string {
	if call == "" {
		return ""
	}
	return call + ", through column " + column + " of " + t.path()
}

// called is the name of a function, which may be that of a column too.
var called = regexp.MustCompile(`\b[A-Za-z_][A-Za-z_0-9]*\(`)

// words are what may be names of columns in an expression.
func words(expr string) []string {
	return word.FindAllString(strings.ReplaceAll(called.ReplaceAllString(expr, "("), "`", ""), -1)
}

var quoted = regexp.MustCompile("`(?:[^`\\\\]|\\\\.)*`|'(?:[^'\\\\]|\\\\.)*'")

// withoutTexts is a statement with all texts empty: what they hold is no name.
func withoutTexts(statement string) string {
	return quoted.ReplaceAllStringFunc(statement, func(q string) string {
		if q[0] == '\'' {
			return "''"
		}
		return q
	})
}

var (
	item  = regexp.MustCompile(`(?s)^(.*) AS (` + identifier + `)$`)
	plain = regexp.MustCompile(`^` + identifier + `$`)
)

// selected are the expressions that a view selects, by the names of the columns,
// with * for all columns of what it selects from. There are none if the statement
// is not a plain query.
func selected(view string) map[string]string {
	_, query, _ := strings.Cut(withoutTexts(view), " AS SELECT ")
	query = strings.TrimPrefix(query, "DISTINCT ")
	if strings.Contains(query, "SELECT ") {
		return nil
	}
	items := map[string]string{}
	for query != "" {
		end := endOfItem(query)
		text := strings.TrimSpace(query[:end])
		if m := item.FindStringSubmatch(text); m != nil {
			items[unquote(m[2])] = m[1]
		} else if plain.MatchString(text) {
			items[unquote(text)] = text
		} else if text == "*" {
			items["*"] = text
		} else if strings.Contains(text, "*") { // such as all columns but some
			return nil
		}
		if !strings.HasPrefix(query[end:], ",") {
			return items
		}
		query = query[end+1:]
	}
	return nil
}

// endOfItem is where the first of the expressions that a query selects ends.
func endOfItem(query string) int {
	names := quoted.FindAllStringIndex(query, -1)
	depth := 0
	for i := 0; i < len(query); i++ {
		switch query[i] {
		case '`', '\'':
			for len(names) > 0 && names[0][0] < i {
				names = names[1:]
			}
			if len(names) > 0 && names[0][0] == i {
				i = names[0][1] - 1
			}
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		case ' ':
			if depth == 0 && strings.HasPrefix(query[i:], " FROM ") {
				return i
			}
		}
	}
	return len(query)
}
