package sqlite_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/sink/sinktest"
	"github.com/sluicekit/sluice/sinks/sqlite"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

func TestConformance(t *testing.T) { sinktest.Run(t, conformance()) }

// conformance is the sink on a file of each test's own.
func conformance() sinktest.Target {
	return sinktest.Target{
		Spec: sqlite.Spec(),
		Load: func(paths []string) error {
			_, err := config.Load(paths, []sink.Spec{sqlite.Spec()}, func(string) (string, bool) { return "x", true })
			return err
		},
		New: func(t testing.TB, need sinktest.Need) sinktest.Destination {
			conn := sqlite.Spec().Connection().(*sqlite.Connection)
			conn.File = filepath.Join(t.TempDir(), "conformance.db")
			o := sqlite.Spec().Options().(*sqlite.Options)
			o.Table, o.Create = "t", true
			if need.Keys != nil {
				o.Mode = sqltable.Add
			}
			db := look(t, conn.File)
			return sinktest.Destination{Conn: conn, Options: o, Rows: func(ctx context.Context) ([]sinktest.Row, error) { return readRows(ctx, db, len(need.Schema.Fields)) }}
		},
	}
}

// readRows reads the table t; while it is not there it has no rows.
func readRows(ctx context.Context, db *sql.DB, fields int) ([]sinktest.Row, error) {
	rows, err := db.QueryContext(ctx, "SELECT * FROM t")
	if err != nil && strings.Contains(err.Error(), "no such table") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []sinktest.Row
	for rows.Next() {
		row, into := make(sinktest.Row, fields), make([]any, fields)
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
