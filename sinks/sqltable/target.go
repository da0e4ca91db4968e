package sqltable

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// target is the table that rows go to, matched with the sink's fields.
type target struct {
	fields []boundField // as Schema.Fields
	key    []int        // the fields that rows are sorted by before they are sent; nil: none
	padded []bool       // per key field: spaces at the end do not count
	head   string       // INSERT INTO … VALUES
	row    string       // (?,?,…)
	tail   string       // what happens with a key that is there
	block  int          // rows of a full statement
}

// boundField is a field and the column it goes to.
type boundField struct {
	record.Field
	Binding
	column   *Column
	required bool // no null goes in
	inKey    bool // of the key that upsert and add go by
}

func newTarget(d Dialect, g Grammar, name Name, table *Table, c Config) (*target, error) {
	if err := c.Options.Fit(c.Sink.Schema, c.Sink.Keys); err != nil {
		return nil, err
	}
	t := &target{}
	if err := t.bind(d, table, c.Sink.Schema); err != nil {
		return nil, err
	}
	if err := t.chooseKey(g, table, c); err != nil {
		return nil, err
	}
	t.write(d, g, name, c.Options.Mode)
	return t, nil
}

// bind finds the column of every field, and the columns that no field fills.
func (t *target) bind(d Dialect, table *Table, schema *record.Schema) error {
	var errs []error
	used := map[string]string{}
	for _, f := range schema.Fields {
		col := table.column(f.Name)
		if col == nil {
			errs = append(errs, fmt.Errorf("field %s: the table has no such column%s", f.Name, table.nearest(f.Name)))
			continue
		}
		if other, ok := used[col.Name]; ok {
			errs = append(errs, fmt.Errorf("field %s: column %s is that of field %s already", f.Name, col.Name, other))
			continue
		}
		used[col.Name] = f.Name
		if col.Fixed {
			errs = append(errs, fmt.Errorf("field %s: column %s is computed by the database", f.Name, col.Name))
			continue
		}
		b, err := d.Bind(f.Type, col)
		if err != nil {
			errs = append(errs, fmt.Errorf("field %s of type %s, column %s of type %s: %w", f.Name, f.Type, col.Name, col.Type, err))
			continue
		}
		t.fields = append(t.fields, boundField{Field: f, Binding: b, column: col, required: !col.Nullable && !col.Counter})
	}
	for i := range table.Columns {
		col := &table.Columns[i]
		if _, ok := used[col.Name]; !ok && !col.Optional && !col.Fixed && !col.Counter {
			errs = append(errs, fmt.Errorf("column %s must be filled (it is NOT NULL without a default) and no field has its name%s", col.Name, nearestField(schema, col.Name)))
		}
	}
	return errors.Join(errs...)
}

// chooseKey finds the unique key that tells rows apart. With insert it only
// decides the order of rows, so none is fine.
func (t *target) chooseKey(g Grammar, table *Table, c Config) error {
	want := c.Options.Key
	if len(c.Sink.Keys) > 0 {
		want = c.Sink.Keys
	}
	needed := c.Options.Mode != Insert
	key := t.findKey(table, want)
	if key == nil {
		switch {
		case !needed:
			return nil
		case len(want) > 0:
			return fmt.Errorf("mode %s needs a primary or unique key of just %s", c.Options.Mode, strings.Join(want, ", "))
		default:
			return fmt.Errorf("mode %s needs a primary or unique key whose columns are all fields of this sink", c.Options.Mode)
		}
	}
	if needed && g.OneKey {
		for i := range table.Keys {
			if k := &table.Keys[i]; k != key && !table.counted(k) {
				return fmt.Errorf("mode %s: the table has a second unique key (%s): the database would change the row of either key", c.Options.Mode, strings.Join(k.Columns, ", "))
			}
		}
	}
	folding := false
	for _, name := range key.Columns {
		i := slices.IndexFunc(t.fields, func(f boundField) bool { return f.column.Name == name })
		if needed {
			t.fields[i].inKey = true
			t.fields[i].required = true // null is never equal to null: such rows would pile up
		}
		t.key = append(t.key, i)
		t.padded = append(t.padded, t.fields[i].column.Compare == Padded)
		folding = folding || t.fields[i].column.Compare == Folding
	}
	if folding {
		// Rows that differ here may be one row there, so they must stay in the
		// order of their offsets for the newest to win. Not sorted, two writers may
		// lock rows crosswise; the database breaks that up and core tries again.
		t.key, t.padded = nil, nil
	}
	return nil
}

// findKey picks the key that was asked for, or the first that the fields cover.
func (t *target) findKey(table *Table, want []string) *Key {
	for i := range table.Keys {
		k := &table.Keys[i]
		if len(want) > 0 && !sameNames(k.Columns, want) {
			continue
		}
		covered := true
		for _, name := range k.Columns {
			covered = covered && slices.ContainsFunc(t.fields, func(f boundField) bool { return f.column.Name == name })
		}
		if covered {
			return k
		}
	}
	return nil
}

// createTarget is the CREATE TABLE for the sink's fields.
func (s *Sink) createTarget(name Name, c Config) (string, error) {
	if err := c.Options.Fit(c.Sink.Schema, c.Sink.Keys); err != nil {
		return "", err
	}
	key := c.Options.Key
	if len(c.Sink.Keys) > 0 && c.Options.Mode == Add {
		key = c.Sink.Keys
	}
	if len(key) == 0 && c.Options.Mode == Upsert {
		return "", &sink.FieldError{Path: "key", Message: "is needed to create a table for mode upsert"}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s (", name.Quote(s.grammar.Quote))
	for i, f := range c.Sink.Schema.Fields {
		if err := checkIdentifier(f.Name); err != nil {
			return "", fmt.Errorf("field %q as a column's name: %w", f.Name, err)
		}
		if i > 0 {
			b.WriteString(", ")
		}
		inKey := slices.Contains(key, f.Name)
		b.WriteString(Quote(s.grammar.Quote, f.Name) + " " + s.dialect.Declare(f.Type, inKey))
		if inKey || !f.Nullable {
			b.WriteString(" NOT NULL")
		}
	}
	if len(key) > 0 {
		quoted := make([]string, len(key))
		for i, k := range key {
			quoted[i] = Quote(s.grammar.Quote, k)
		}
		b.WriteString(", PRIMARY KEY (" + strings.Join(quoted, ", ") + ")")
	}
	return b.String() + ")" + s.grammar.TableSuffix, nil
}

// column finds a column by its name; case does not count where no column has
// the very name.
func (t *Table) column(name string) *Column {
	var folded *Column
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
		if folded == nil && strings.EqualFold(t.Columns[i].Name, name) {
			folded = &t.Columns[i]
		}
	}
	return folded
}

// counted says whether a key can never meet a stored row, because the
// database counts one of its columns up.
func (t *Table) counted(k *Key) bool {
	return slices.ContainsFunc(k.Columns, func(name string) bool {
		col := t.column(name)
		return col != nil && col.Counter
	})
}

func sameNames(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y string) bool { return strings.EqualFold(x, y) }) {
			return false
		}
	}
	return true
}
