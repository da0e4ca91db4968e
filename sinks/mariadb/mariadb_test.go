package mariadb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/mariadb"
	"github.com/sluicekit/sluice/sinks/sqltable"
	"github.com/sluicekit/sluice/sinks/sqltable/sqltabletest"
)

var (
	servers   stack.Shared
	databases atomic.Int64
)

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

// newDatabase makes an empty database of a server.
func newDatabase(t testing.TB, m *stack.MariaDBServer) (name string, db *sql.DB) {
	t.Helper()
	name = fmt.Sprintf("d`%d", databases.Add(1))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := m.CreateDatabase(ctx, name); err != nil {
		t.Fatal(err)
	}
	cfg, err := mysql.ParseDSN(m.DSN(name))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ParseTime = false // times as the server writes them
	cfg.Params = map[string]string{"autocommit": "1", "completion_type": "0", "time_zone": "'+00:00'", "default_storage_engine": "InnoDB"}
	if err := cfg.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		t.Fatal(err)
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db = sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return name, db
}

// connection is the sink's connection to a database, as root.
func connection(address, name string) *mariadb.Connection {
	c := mariadb.Spec().Connection().(*mariadb.Connection)
	c.Address, c.Database, c.Username = []string{address}, name, "root"
	return c
}

// on is the target on a server; the sink may see it at another address.
func on(m *stack.MariaDBServer, address string) sqltabletest.Target {
	return sqltabletest.Target{
		Spec: mariadb.Spec(),
		New: func(t testing.TB) sqltabletest.Database {
			name, db := newDatabase(t, m)
			return sqltabletest.Database{Conn: connection(address, name), DB: db}
		},
		Options: func(o sqltable.Options) sink.Options { return &mariadb.Options{Options: o} },
		Missing: func(err error) bool {
			var e *mysql.MySQLError
			return errors.As(err, &e) && e.Number == 1146
		},
		MaxUint: math.MaxUint64,
	}
}

func TestTable(t *testing.T) {
	m := servers.MariaDB(t)
	sqltabletest.Run(t, on(m, m.Addr()))
}

func BenchmarkCommit(b *testing.B) {
	m := servers.MariaDB(b)
	sqltabletest.Speed(b, on(m, m.Addr()))
}
