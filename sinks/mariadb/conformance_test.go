package mariadb_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/sink/sinktest"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/mariadb"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

func TestConformance(t *testing.T) { sinktest.Run(t, conformance(servers.MariaDB(t))) }

// conformance is the sink on a database of each test's own.
func conformance(m *stack.MariaDBServer) sinktest.Target {
	return sinktest.Target{
		Spec:   mariadb.Spec(),
		Server: m.Addr(), Kill: m.Kill, Start: m.Start,
		Load: func(paths []string) error {
			_, err := config.Load(paths, []sink.Spec{mariadb.Spec()}, func(string) (string, bool) { return "x", true })
			return err
		},
		New: func(t testing.TB, need sinktest.Need) sinktest.Destination {
			name, db := newDatabase(t, m)
			o := mariadb.Spec().Options().(*mariadb.Options)
			o.Table, o.Create = "t", true
			if need.Keys != nil {
				o.Mode = sqltable.Add
			}
			return sinktest.Destination{Conn: connection(need.Address, name), Options: o,
				Rows: func(ctx context.Context) ([]sinktest.Row, error) { return readRows(ctx, db, len(need.Schema.Fields)) }}
		},
	}
}

// readRows reads the table t; while it is not there it has no rows.
func readRows(ctx context.Context, db *sql.DB, fields int) ([]sinktest.Row, error) {
	rows, err := db.QueryContext(ctx, "SELECT * FROM t")
	if missing := (*mysql.MySQLError)(nil); errors.As(err, &missing) && missing.Number == 1146 {
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
