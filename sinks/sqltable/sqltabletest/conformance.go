package sqltabletest

import (
	"context"
	"database/sql"
	"testing"

	"github.com/sluicekit/sluice/core/sink/sinktest"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// Destination is an empty database for the tests that every sink must pass
// (sinktest), with the sink's table to come.
func (target Target) Destination(t testing.TB, need sinktest.Need) sinktest.Destination {
	t.Helper()
	d, o := target.New(t), sqltable.DefaultOptions()
	o.Table, o.Create = "t", true
	if need.Keys != nil {
		o.Mode = sqltable.Add
	}
	return sinktest.Destination{Conn: d.Conn, Options: target.Options(o),
		Rows: func(ctx context.Context) ([]sinktest.Row, error) { return target.readRows(ctx, d.DB) }}
}

// readRows reads the table t; while it is not there it has no rows.
func (target Target) readRows(ctx context.Context, db *sql.DB) ([]sinktest.Row, error) {
	rows, err := db.QueryContext(ctx, "SELECT * FROM t")
	if err != nil && target.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all []sinktest.Row
	for rows.Next() {
		row, into := make(sinktest.Row, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}
