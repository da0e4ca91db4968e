package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// positions are the columns of the position table.
const positions = `sink TEXT NOT NULL, incarnation TEXT NOT NULL, topic TEXT NOT NULL, kafka_partition INTEGER NOT NULL,
 first_offset INTEGER NOT NULL, next_offset INTEGER NOT NULL, slot_partition INTEGER NOT NULL, slot_partitions INTEGER NOT NULL,
 dead_offsets TEXT NOT NULL, letters INTEGER NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (sink, incarnation, topic, kafka_partition)`

func grammar() sqltable.Grammar {
	return sqltable.Grammar{
		Quote:         '"',
		Begin:         "BEGIN IMMEDIATE", // takes the lock now, so that no statement behind it can meet a busy file
		OnConflict:    func(key string) string { return "ON CONFLICT (" + key + ") DO UPDATE SET" },
		Incoming:      func(column string) string { return "excluded." + column },
		Now:           "strftime('%Y-%m-%d %H:%M:%f', 'now')",
		Positions:     positions,
		TableSuffix:   " STRICT",
		MaxParameters: 32766,
		MaxRows:       16, // the driver looks through all parameters for each: 10 to 50 rows are fastest
	}
}

// dialect is SQLite's side of sqltable.
type dialect struct{}

// Describe reads a table's columns and unique keys.
func (dialect) Describe(ctx context.Context, q sqltable.Querier, name sqltable.Name) (*sqltable.Table, error) {
	t := &sqltable.Table{}
	kind, strict, err := tableKind(ctx, q, name.Table)
	switch {
	case err != nil || kind == "":
		return nil, err
	case kind != "table":
		t.Problem = "is a " + kind + ", not a table"
		return t, nil
	}
	var primary []string
	if t.Columns, primary, err = columns(ctx, q, name.Table, strict); err != nil {
		return nil, err
	}
	if len(primary) > 0 {
		t.Keys = append(t.Keys, sqltable.Key{Primary: true, Columns: primary})
	}
	return t, indexes(ctx, q, name.Table, t)
}

func tableKind(ctx context.Context, q sqltable.Querier, table string) (kind string, strict bool, err error) {
	rows, err := q.QueryContext(ctx, "SELECT type, strict FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE", table)
	if err != nil {
		return "", false, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&kind, &strict); err != nil {
			return "", false, err
		}
	}
	return kind, strict, rows.Err()
}

func columns(ctx context.Context, q sqltable.Querier, table string, strict bool) (all []sqltable.Column, primary []string, err error) {
	rows, err := q.QueryContext(ctx, `SELECT name, type, "notnull", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid`, table)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	var keyed []int
	for rows.Next() {
		var c sqltable.Column
		var notNull, hasDefault bool
		var pk, hidden int
		if err := rows.Scan(&c.Name, &c.Type, &notNull, &hasDefault, &pk, &hidden); err != nil {
			return nil, nil, err
		}
		c.Nullable, c.Optional, c.Fixed = !notNull, !notNull || hasDefault, hidden == 2 || hidden == 3
		c.Base = affinity(c.Type, strict)
		if hidden == 1 {
			continue
		}
		all = append(all, c)
		if pk > 0 {
			for len(keyed) < pk {
				keyed = append(keyed, -1)
			}
			keyed[pk-1] = len(all) - 1
		}
	}
	for _, i := range keyed {
		primary = append(primary, all[i].Name)
	}
	// A lone INTEGER PRIMARY KEY is the row's number, counted up when left out.
	if len(keyed) == 1 && strings.EqualFold(all[keyed[0]].Type, "INTEGER") {
		all[keyed[0]].Counter, all[keyed[0]].Optional = true, true
	}
	return all, primary, rows.Err()
}

// indexes adds the unique keys that cover whole tables and plain columns, and
// how they compare texts.
func indexes(ctx context.Context, q sqltable.Querier, table string, t *sqltable.Table) error {
	rows, err := q.QueryContext(ctx, `SELECT l.name, l.origin = 'pk', coalesce(x.name, ''), coalesce(x.coll, '') FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x
 WHERE l."unique" AND NOT l.partial AND x.key ORDER BY l.seq, x.seqno`, table)
	if err != nil {
		return err
	}
	defer rows.Close()
	last := ""
	for rows.Next() {
		var index, column, collation string
		var primary bool
		if err := rows.Scan(&index, &primary, &column, &collation); err != nil {
			return err
		}
		for i := range t.Columns {
			if c := &t.Columns[i]; c.Name == column {
				c.Compare = max(c.Compare, comparison(collation))
			}
		}
		if primary {
			continue // columns has it
		}
		if index != last {
			t.Keys, last = append(t.Keys, sqltable.Key{}), index
		}
		k := &t.Keys[len(t.Keys)-1]
		k.Columns = append(k.Columns, column) // "" for an expression, which matches no field
	}
	return rows.Err()
}

func comparison(collation string) sqltable.Compare {
	switch collation {
	case "BINARY":
		return sqltable.Exact
	case "RTRIM":
		return sqltable.Padded
	}
	return sqltable.Folding
}

// Expr works on stored and incoming values. Decimals are text, so they take
// the exact functions of decimal.go.
func (dialect) Expr(op sqltable.Op, c *sqltable.Column, t record.Type, stored, incoming string) string {
	decimal := t.Kind == record.Decimal && c.Base != integer
	compare := functionCompare + "(" + incoming + ", " + stored + ")"
	switch op {
	case sqltable.OpAdd:
		if decimal {
			return functionAdd + "(" + stored + ", " + incoming + ")"
		}
		sum := stored + " + " + incoming
		if t.Kind == record.Float {
			return sum
		}
		// Where 64 bits are not enough SQLite goes on with a binary number.
		return "CASE typeof(" + sum + ") WHEN 'real' THEN " + functionOverflow + "(" + stored + ") ELSE " + sum + " END"
	case sqltable.OpMin:
		if decimal {
			return "CASE WHEN " + compare + " < 0 THEN " + incoming + " WHEN " + compare + " >= 0 THEN " + stored + " END"
		}
		return "min(" + stored + ", " + incoming + ")"
	case sqltable.OpMax:
		if decimal {
			return "CASE WHEN " + compare + " > 0 THEN " + incoming + " WHEN " + compare + " <= 0 THEN " + stored + " END"
		}
		return "max(" + stored + ", " + incoming + ")"
	}
	if decimal {
		return compare + " >= 0"
	}
	return incoming + " >= " + stored
}

// Explain classifies an error. SQLite's messages name tables, columns and
// constraints, and no values, but for those of triggers, which users write.
func (dialect) Explain(err error) (sqltable.Class, error) {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		if errors.Is(err, sql.ErrConnDone) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return sqltable.Again, err
		}
		return sqltable.Again, err
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_TRIGGER:
		return sqltable.Row, errors.New("a trigger refused the row (sqlite 1811)")
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return sqltable.Row, e
	case sqlite3.SQLITE_ERROR:
		for _, own := range []error{errNoDecimal, errOverflow, errInteger} {
			if strings.Contains(e.Error(), own.Error()) {
				return sqltable.Row, own
			}
		}
		return sqltable.Mend, fmt.Errorf("sqlite %d: %w", e.Code(), e)
	case sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_MISUSE:
		return sqltable.Mend, e
	}
	return sqltable.Again, e // busy, locked, full, read and write errors, interrupted
}
