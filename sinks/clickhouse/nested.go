package clickhouse

import (
	"fmt"
	"slices"
	"strings"
)

// The server takes arrays named a.b and a.c for one Nested, and refuses a batch
// in which they are of different length. It fills one that an insert leaves out
// as long as the others only if the column has no default.

// storedArray says whether a column is an array of the table's parts. One of a type
// that is not understood may be.
func (c *tableColumn) storedArray() bool {
	return strings.HasPrefix(c.text, "Array(") && c.defaults != "ALIAS" && c.defaults != "EPHEMERAL"
}

// siblings are the other arrays of the Nested that a column belongs to, those
// included that the server computes; none if it belongs to none.
func (t *table) siblings(column string) (all []*tableColumn) {
	of, _, dotted := strings.Cut(column, ".")
	for i := range t.columns {
		c := &t.columns[i]
		if dotted && c.name != column && strings.HasPrefix(c.name, of+".") && c.storedArray() {
			all = append(all, c)
		}
	}
	return all
}

// asLongAs is a default by which an array, of elements of some type, has as many
// as another column.
func asLongAs(column, element string) string {
	return "arrayWithConstant(length(" + quote(column) + "), defaultValueOfTypeName(" + literal(element) + "))"
}

// unfilled says what is wrong with a column that no field fills; nil if nothing
// is.
func (t *table) unfilled(c *tableColumn, filled map[string]bool) error {
	fix := ""
	if c.storedArray() {
		siblings := t.siblings(c.name)
		if i := slices.IndexFunc(siblings, func(s *tableColumn) bool { return filled[s.name] }); i >= 0 {
			kind := c.defaults
			if kind == "" {
				kind = "DEFAULT"
			}
			fix = fmt.Sprintf("has to have as many elements as %s, since the server takes both for one Nested; fill it from a field, or mend it with: ALTER TABLE %s MODIFY COLUMN %s %s %s",
				siblings[i].name, t.path(), quote(c.name), kind, asLongAs(siblings[i].name, strings.TrimSuffix(strings.TrimPrefix(c.text, "Array("), ")")))
		}
	}
	_, null := c.typ.Nullable()
	switch {
	case c.defaults == "" && !null && fix == "":
		return fmt.Errorf("column %s of type %s has no field and no default", c.name, c.text)
	case c.defaults == "" && !null:
		return fmt.Errorf("column %s of type %s has no field and no default, and %s", c.name, c.text, fix)
	case fix != "" && t.constant(c):
		return fmt.Errorf("column %s of type %s has no field, and a default that is the same in all rows, and %s", c.name, c.text, fix)
	}
	return nil
}

// constant says whether a column's default reads no other column. In doubt it
// does.
func (t *table) constant(c *tableColumn) bool {
	text := strings.ReplaceAll(c.expr, "`", "")
	words := word.FindAllString(text, -1)
	return !slices.ContainsFunc(t.columns, func(other tableColumn) bool {
		return other.name != c.name && (slices.Contains(words, other.name) || strings.Contains(other.name, ".") && strings.Contains(text, other.name))
	})
}
