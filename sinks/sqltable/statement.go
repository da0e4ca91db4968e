package sqltable

import (
	"strings"

	"github.com/sluicekit/sluice/core/record"
)

// write prepares the texts that statements are put together from.
func (t *target) write(d Dialect, g Grammar, name Name, mode string) {
	columns := make([]string, len(t.fields))
	for i, f := range t.fields {
		columns[i] = Quote(g.Quote, f.column.Name)
	}
	t.head = "INSERT INTO " + name.Quote(g.Quote) + " (" + strings.Join(columns, ", ") + ") VALUES "
	t.row = "(" + strings.Repeat("?,", len(columns)-1) + "?)"
	t.block = max(1, min(g.MaxRows, g.MaxParameters/len(columns)))
	if mode != Insert {
		t.tail = t.conflict(d, g)
	}
}

// text is the statement for so many rows.
func (t *target) text(rows int) string {
	var b strings.Builder
	b.Grow(len(t.head) + rows*(len(t.row)+1) + len(t.tail))
	b.WriteString(t.head)
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(t.row)
	}
	b.WriteString(t.tail)
	return b.String()
}

// conflict is what happens with rows whose key is there.
//
// MariaDB evaluates assignments from left to right and later ones see the new
// values; SQLite evaluates all before it assigns any. No assignment reads
// another column but MergeLast its order column, which is MergeMax: that the
// incoming order is at least the stored one is as true behind its assignment
// as before it, so their order does not matter.
func (t *target) conflict(d Dialect, g Grammar) string {
	var sets []string
	for i := range t.fields {
		if f := &t.fields[i]; !f.inKey {
			sets = append(sets, Quote(g.Quote, f.column.Name)+" = "+t.merged(d, g, f))
		}
	}
	if len(sets) == 0 { // nothing but keys: the row that is there is the row
		for i := range t.fields {
			column := Quote(g.Quote, t.fields[i].column.Name)
			sets = append(sets, column+" = "+column)
		}
	}
	return " " + g.OnConflict(t.keyList(g)) + " " + strings.Join(sets, ", ")
}

func (t *target) keyList(g Grammar) string {
	var names []string
	for i := range t.fields {
		if t.fields[i].inKey {
			names = append(names, Quote(g.Quote, t.fields[i].column.Name))
		}
	}
	return strings.Join(names, ", ")
}

// merged is the new value of a column whose row is there. A null on one side
// gives way to the other: it stands for no value yet.
func (t *target) merged(d Dialect, g Grammar, f *boundField) string {
	stored := Quote(g.Quote, f.column.Name)
	incoming := g.Incoming(stored)
	either := func(op Op) string {
		return "COALESCE(" + d.Expr(op, f.column, f.Type, stored, incoming) + ", " + stored + ", " + incoming + ")"
	}
	switch f.Merge {
	case record.MergeAdd:
		return either(OpAdd)
	case record.MergeMin:
		return either(OpMin)
	case record.MergeMax:
		return either(OpMax)
	case record.MergeLast:
		for i := range t.fields {
			if o := &t.fields[i]; o.Name == f.Order {
				order := Quote(g.Quote, o.column.Name)
				newer := d.Expr(OpAtLeast, o.column, o.Type, order, g.Incoming(order))
				return "CASE WHEN " + order + " IS NULL OR " + newer + " THEN " + incoming + " ELSE " + stored + " END"
			}
		}
	}
	return incoming
}
