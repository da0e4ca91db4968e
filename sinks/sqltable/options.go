package sqltable

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// Options are the options of a sink that writes one table.
type Options struct {
	Table     string   `yaml:"table"`     // table or database.table
	Mode      string   `yaml:"mode"`      // insert, upsert or add
	Key       []string `yaml:"key"`       // fields that tell rows apart
	Create    bool     `yaml:"create"`    // create the table if it is not there
	Positions string   `yaml:"positions"` // the position table
}

// The modes.
const (
	Insert = "insert" // each record, or group of a batch, is a new row
	Upsert = "upsert" // the newest record of a key is the row of that key
	Add    = "add"    // groups of an aggregate are merged into the rows of their keys
)

// DefaultOptions are the options before the YAML is read.
func DefaultOptions() Options {
	return Options{Mode: Insert, Positions: "sluice_positions"}
}

// Validate reports every mistake that the options alone show.
func (o *Options) Validate() error {
	var errs []error
	blame := func(path, format string, args ...any) {
		errs = append(errs, &sink.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if o.Table == "" {
		blame("table", "is missing")
	} else if err := checkTable(o.Table); err != nil {
		blame("table", "%v", err)
	}
	if err := checkTable(o.Positions); err != nil {
		blame("positions", "%v", err)
	}
	if o.Table != "" && strings.EqualFold(o.Table, o.Positions) {
		blame("positions", "is the target table")
	}
	switch o.Mode {
	case Insert, Upsert, Add:
	default:
		blame("mode", "must be %s, %s or %s", Insert, Upsert, Add)
	}
	seen := map[string]bool{}
	for _, k := range o.Key {
		if seen[k] {
			blame("key", "names %q twice", k)
		}
		seen[k] = true
	}
	return errors.Join(errs...)
}

// Fit compares mode and key with the rows and the aggregate.
func (o *Options) Fit(rows *record.Schema, keys []string) error {
	grouped := len(keys) > 0
	switch {
	case o.Mode == Add && !grouped:
		return &sink.FieldError{Path: "mode", Message: "add needs an aggregate: it merges groups into the rows of their keys"}
	case o.Mode == Upsert && grouped:
		return &sink.FieldError{Path: "mode", Message: "upsert would replace a row by the group of one batch; an aggregate needs add, or insert for a row per batch"}
	case grouped && len(o.Key) > 0 && !sameNames(o.Key, keys):
		return &sink.FieldError{Path: "key", Message: "must be the fields that the aggregate groups by, or be left out"}
	}
	var errs []error
	for i, k := range o.Key {
		if rows.Index(k) < 0 {
			errs = append(errs, &sink.FieldError{Path: fmt.Sprintf("key[%d]", i), Message: fmt.Sprintf("%q is no field of this sink%s", k, nearestField(rows, k))})
		}
	}
	return errors.Join(errs...)
}

func checkTable(name string) error {
	t := ParseName(name)
	if strings.Contains(t.Table, ".") {
		return errors.New("must be a table, or a database and a table with one dot between them")
	}
	if strings.Contains(name, ".") {
		if err := checkIdentifier(t.Schema); err != nil {
			return err
		}
	}
	return checkIdentifier(t.Table)
}
