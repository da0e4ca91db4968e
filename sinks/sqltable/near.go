package sqltable

import (
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/sinks/nearest"
)

// nearest suggests the column that was probably meant.
func (t *Table) nearest(name string) string {
	names := make([]string, len(t.Columns))
	for i := range t.Columns {
		names[i] = t.Columns[i].Name
	}
	return suggest(name, names)
}

func nearestField(s *record.Schema, name string) string {
	names := make([]string, len(s.Fields))
	for i := range s.Fields {
		names[i] = s.Fields[i].Name
	}
	return suggest(name, names)
}

// suggest is the end of a message that names the nearest name, if one is near.
func suggest(name string, names []string) string {
	if near := nearest.Name(name, names); near != "" {
		return "; the nearest is " + near
	}
	return ""
}
