package sqlite_test

import (
	"database/sql"
	"math"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqlite"
	"github.com/sluicekit/sluice/sinks/sqltable"
	"github.com/sluicekit/sluice/sinks/sqltable/sqltabletest"
)

func target() sqltabletest.Target {
	return sqltabletest.Target{
		Spec: sqlite.Spec(),
		New: func(t testing.TB) sqltabletest.Database {
			file := filepath.Join(t.TempDir(), "odd name %41?#.db")
			conn := sqlite.Spec().Connection().(*sqlite.Connection)
			conn.File = file
			return sqltabletest.Database{Conn: conn, DB: look(t, file)}
		},
		Options: func(o sqltable.Options) sink.Options { return &sqlite.Options{Options: o} },
		Missing: func(err error) bool { return strings.Contains(err.Error(), "no such table") },
		MaxUint: math.MaxInt64,
	}
}

// look opens a file as another program would.
func look(t testing.TB, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(1)
	db.SetConnMaxLifetime(time.Minute)
	t.Cleanup(func() { db.Close() })
	return db
}

func TestTable(t *testing.T) { sqltabletest.Run(t, target()) }

func BenchmarkCommit(b *testing.B) { sqltabletest.Speed(b, target()) }
