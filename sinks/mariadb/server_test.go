package mariadb_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/endpoint"
	"github.com/sluicekit/sluice/sinks/mariadb"
	"github.com/sluicekit/sluice/sinks/sqltable"
	"github.com/sluicekit/sluice/sinks/sqltable/sqltabletest"
)

// TestOddServer: a server whose settings would change what is stored.
func TestOddServer(t *testing.T) {
	m := stack.MariaDBWith(t, stack.MariaDBOptions{Variables: map[string]string{
		"sql-mode": "", "default-time-zone": "-08:00", "character-set-server": "latin1", "transaction-isolation": "SERIALIZABLE",
		"innodb-snapshot-isolation": "ON", "completion-type": "CHAIN", "explicit-defaults-for-timestamp": "OFF", "default-storage-engine": "MyISAM",
		"init-connect": "SET autocommit=0",
	}})
	sqltabletest.Run(t, on(m, m.Addr()))
	t.Run("Columns", func(t *testing.T) { columns(t, m) })
	t.Run("ServerRefusesRows", func(t *testing.T) { serverRefusesRows(t, m) })
}

// TestRights: the rights that README lists are enough, for every mode.
func TestRights(t *testing.T) {
	m := servers.MariaDB(t)
	for _, mode := range []string{sqltable.Insert, sqltable.Upsert, sqltable.Add} {
		schema, key := faultSchema(), "id"
		if mode == sqltable.Add {
			schema, key = sqltabletest.Sums(), "account"
		}
		b := sqltabletest.NewBench(t, on(m, m.Addr()), schema, func(o *sqltable.Options) {
			if o.Mode = mode; mode != sqltable.Add {
				o.Key = []string{key}
			}
		})
		b.Open() // as root, makes the tables
		user := "u_" + mode
		b.Exec("CREATE USER " + user + " IDENTIFIED BY 'geheim4711'")
		b.Exec("GRANT SELECT, INSERT, UPDATE ON sluice_positions TO " + user)
		rights := "SELECT, INSERT, UPDATE"
		if mode == sqltable.Insert {
			rights = "INSERT"
		}
		b.Exec("GRANT " + rights + " ON t TO " + user)
		conn := b.Conn.(*mariadb.Connection)
		conn.Username, conn.Password = user, sink.NewSecret("geheim4711")
		b.Table.Create = false
		w, _ := b.Claim(b.Open(), sqltabletest.Slot(0, 1))
		row := []any{1, "x"}
		if mode == sqltable.Add {
			row = []any{1, "0.01", 1}
		}
		for i := range int64(2) {
			if mode == sqltable.Insert {
				row[0] = int(i)
			}
			b.Append(w, b.Rows(0, i, row))
			b.Commit(w, sqltabletest.Cut(0, i, i+1))
		}
		// A right that is taken away is for people to give back.
		b.Exec("REVOKE INSERT ON t FROM " + user)
		row[0] = 5
		b.Append(w, b.Rows(0, 2, row))
		err := b.TryCommit(t.Context(), w, sqltabletest.Cut(0, 2, 3))
		if !sink.IsPermanent(err) || !sink.IsRefused(err) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: got %v, want a permanent and refused error", mode, err)
		}
		// Without a position table and the right to make one, the message says what to do.
		b.Exec("DROP TABLE sluice_positions")
		if _, err := b.TryOpen(); !sink.IsPermanent(err) || !strings.Contains(err.Error(), "CREATE TABLE IF NOT EXISTS `sluice_positions`") {
			t.Errorf("%s: got %v, want the statement that makes the table", mode, err)
		}
	}
}

// TestLogin: what is wrong for good, what passes, and no password in either.
func TestLogin(t *testing.T) {
	m := servers.MariaDB(t)
	b := sqltabletest.NewBench(t, on(m, m.Addr()), faultSchema(), nil)
	b.Exec("CREATE OR REPLACE USER locked IDENTIFIED BY 'geheim4711' ACCOUNT LOCK")
	f := func(permanent bool, change func(*mariadb.Connection)) error {
		t.Helper()
		conn := *b.Conn.(*mariadb.Connection)
		change(&conn)
		c := b.Config
		c.Conn, c.Options = &conn, &mariadb.Options{Options: b.Table}
		s, err := b.Spec.Open(t.Context(), c)
		if err == nil {
			s.Close()
			t.Fatal("got no error")
		}
		if sink.IsPermanent(err) != permanent {
			t.Errorf("got %v, want permanent: %t", err, permanent)
		}
		for _, shown := range []string{err.Error(), fmt.Sprintf("%v %+v %#v", conn, conn, conn)} {
			if strings.Contains(shown, "geheim4711") {
				t.Errorf("got %q, which shows the password", shown)
			}
		}
		return err
	}
	password := sink.NewSecret("geheim4711")
	f(true, func(c *mariadb.Connection) { c.Password = password })
	f(true, func(c *mariadb.Connection) { c.Username, c.Password = "locked", password })
	f(true, func(c *mariadb.Connection) { c.Username, c.Password = "nobody", password })
	f(true, func(c *mariadb.Connection) { c.Database = "nowhere" })
	f(true, func(c *mariadb.Connection) { c.TLS = &endpoint.TLS{} }) // the server has none
	f(true, func(c *mariadb.Connection) { c.TLS = &endpoint.TLS{CA: filepath.Join(t.TempDir(), "missing")} })
	b.Exec("CREATE OR REPLACE USER few IDENTIFIED BY 'geheim4711' WITH MAX_USER_CONNECTIONS 1")
	few, err := mysql.ParseDSN(m.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	few.User, few.Passwd = "few", "geheim4711"
	held, err := sql.Open("mysql", few.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := held.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = f(false, func(c *mariadb.Connection) { c.Username, c.Password, c.Database = "few", password, "" })
	if !strings.Contains(err.Error(), "max_user_connections") {
		t.Errorf("got %v, want too many connections", err)
	}
	p := newProxy(t, m)
	p.Refuse()
	f(false, func(c *mariadb.Connection) { c.Address, c.Password = []string{p.Addr()}, password })
	f(false, func(c *mariadb.Connection) { c.Address, c.Password = []string{"nowhere.invalid"}, password })
}

// TestFailover: the first address that can be reached is used, now and later.
func TestFailover(t *testing.T) {
	m := servers.MariaDB(t)
	first, second := newProxy(t, m), newProxy(t, m)
	b := sqltabletest.NewBench(t, on(m, ""), faultSchema(), nil)
	b.Conn.(*mariadb.Connection).Address = []string{first.Addr(), second.Addr()}
	s := b.Open()
	if second.Conns() != 0 {
		t.Errorf("%d connections to the second address, while the first serves", second.Conns())
	}
	w, _ := b.Claim(s, sqltabletest.Slot(0, 1))
	b.Commit(w, sqltabletest.Cut(0, 0, 1))
	first.Refuse()
	first.Sever()
	b.Append(w, b.Rows(0, 1, []any{1, "x"}))
	b.Commit(w, sqltabletest.Cut(0, 1, 2))
	if second.Conns() == 0 {
		t.Error("no connection to the second address, while the first is down")
	}
	second.Refuse()
	second.Sever()
	b.Append(w, b.Rows(0, 2, []any{2, "x"}))
	if err := b.TryCommit(t.Context(), w, sqltabletest.Cut(0, 2, 3)); !sink.IsRefused(err) || sink.IsPermanent(err) {
		t.Errorf("both down: got %v, want a refused error that passes", err)
	}
}

// TestTables: tables that would break the promise are not written to.
func TestTables(t *testing.T) {
	m := servers.MariaDB(t)
	f := func(table, mode, words string) {
		t.Helper()
		b := sqltabletest.NewBench(t, on(m, m.Addr()), faultSchema(), func(o *sqltable.Options) { o.Mode = mode })
		b.Exec(table)
		if _, err := b.TryOpen(); !sink.IsPermanent(err) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v, want a permanent error with %q", table, err, words)
		}
	}
	f("CREATE TABLE t (id INT, name TEXT) ENGINE=MyISAM", "insert", "has engine MyISAM")
	f("CREATE TABLE t (id INT, name TEXT) ENGINE=Aria", "insert", "has engine Aria")
	f("CREATE TABLE sluice_positions (sink INT) ENGINE=MEMORY", "insert", "has engine MEMORY")
	f("CREATE SEQUENCE t", "insert", "is a sequence")
	f("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(9) UNIQUE)", "upsert", "second unique key (name)")
	f("CREATE TABLE t (id INT, name VARCHAR(99), UNIQUE (name(5)))", "upsert", "primary or unique key")
	b := sqltabletest.NewBench(t, on(m, m.Addr()), faultSchema(), func(o *sqltable.Options) { o.Table = "other`.t" })
	b.Exec("CREATE OR REPLACE DATABASE `other```")
	w, _ := b.Claim(b.Open(), sqltabletest.Slot(0, 1))
	b.Append(w, b.Rows(0, 0, []any{1, "x"}))
	b.Commit(w, sqltabletest.Cut(0, 0, 1))
	b.Want("SELECT id FROM `other```.t", "[1]")
	// A row of 0 in a counted column is a 0.
	b = sqltabletest.NewBench(t, on(m, m.Addr()), faultSchema(), nil)
	b.Exec("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(9))")
	w, _ = b.Claim(b.Open(), sqltabletest.Slot(0, 1))
	b.Append(w, b.Rows(0, 0, []any{0, "x"}))
	b.Commit(w, sqltabletest.Cut(0, 0, 1))
	b.Want("SELECT id FROM t", "[0]")
}

// TestReadOnly: a server that takes no writes for a while.
func TestReadOnly(t *testing.T) {
	m := stack.MariaDB(t)
	b := sqltabletest.NewBench(t, on(m, m.Addr()), faultSchema(), nil)
	b.Open()
	b.Exec("CREATE USER plain")
	b.Exec("GRANT ALL ON *.* TO plain")
	b.Exec("REVOKE SUPER, READ_ONLY ADMIN ON *.* FROM plain")
	b.Conn.(*mariadb.Connection).Username = "plain"
	w, _ := b.Claim(b.Open(), sqltabletest.Slot(0, 1))
	b.Exec("SET GLOBAL read_only = 1")
	b.Append(w, b.Rows(0, 0, []any{1, "x"}))
	err := b.TryCommit(t.Context(), w, sqltabletest.Cut(0, 0, 1))
	if !sink.IsRefused(err) || sink.IsPermanent(err) {
		t.Errorf("got %v, want a refused error that passes", err)
	}
	b.Exec("SET GLOBAL read_only = 0")
	w, _ = b.Claim(b.Open(), sqltabletest.Slot(0, 1))
	b.Append(w, b.Rows(0, 0, []any{1, "x"}))
	b.Commit(w, sqltabletest.Cut(0, 0, 1))
}

// TestDeadlocks: keys whose order we do not know are not sorted, so that slots
// lock them crosswise. The database breaks that up; nothing is lost.
func TestDeadlocks(t *testing.T) {
	m := servers.MariaDB(t)
	schema := sqltabletest.Sums()
	schema.Fields[0].Type = record.Type{Kind: record.String}
	b := sqltabletest.NewBench(t, on(m, m.Addr()), schema, func(o *sqltable.Options) { o.Mode = sqltable.Add })
	b.Exec("CREATE TABLE t (account VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, balance DECIMAL(18,2), events INT)")
	s := b.Open()
	const slots, cuts, keys = 2, 60, 400
	var wg sync.WaitGroup
	errs, deadlocks, done := make([]error, slots), make([]int, slots), make([]int64, slots)
	var seen atomic.Bool
	// They begin to write at the same moment: a busy machine would let one go
	// after the other. And they go on until a deadlock has come.
	meeting := make(chan struct{})
	meet := func() {
		select {
		case meeting <- struct{}{}:
		case <-meeting:
		case <-time.After(100 * time.Millisecond):
		}
	}
	for slot := range slots {
		wg.Go(func() {
			for next := int64(0); next < cuts || !seen.Load() && next < 20*cuts; {
				w, f, err := s.Claim(t.Context(), sqltabletest.Slot(int32(slot), 1))
				if err != nil {
					errs[slot] = err
					return
				}
				next = max(0, f.High[0])
				rows := make([][]any, keys)
				for i := range rows {
					k := (i + slot*keys/2) % keys
					rows[i] = []any{fmt.Sprintf("k%d", k), "0.01", 1}
				}
				_, err = w.Append(t.Context(), b.Rows(-1, next, rows...))
				if err == nil {
					meet()
					err = b.TryCommit(t.Context(), w, sqltabletest.Cut(int32(slot), next, next+1))
				}
				w.Close()
				switch {
				case err == nil:
					next++
					done[slot] = next
				case sink.IsRefused(err) && !sink.IsPermanent(err) && strings.Contains(err.Error(), "1213"):
					deadlocks[slot]++
					seen.Store(true)
				default:
					errs[slot] = err
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if deadlocks[0]+deadlocks[1] == 0 {
		t.Error("there was no deadlock, so nothing was tested")
	}
	t.Logf("deadlocks: %v", deadlocks)
	n := done[0] + done[1]
	b.Want("SELECT count(*), min(balance), max(balance), min(events), max(events) FROM t",
		fmt.Sprintf("[%d %[2]d.%02[3]d %[2]d.%02[3]d %[4]d %[4]d]", keys, n/100, n%100, n))
}

// TestTLS: the certificate is verified, and ours is shown.
func TestTLS(t *testing.T) {
	dir, err := os.MkdirTemp("", "sluice-tls-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the server may be another user
		t.Fatal(err)
	}
	stack.Certificates(t, dir, map[string][]string{"server": {"db.test"}, "client": nil})
	file := func(name string) string { return filepath.Join(dir, name) }
	ca, stranger := file("ca.pem"), filepath.Join(t.TempDir(), "ca.pem")
	stack.Certificates(t, filepath.Dir(stranger), nil)
	m := stack.MariaDBWith(t, stack.MariaDBOptions{Variables: map[string]string{
		"ssl-ca": ca, "ssl-cert": file("server.pem"), "ssl-key": file("server.key")}})
	b := sqltabletest.NewBench(t, on(m, m.Addr()), faultSchema(), nil)
	b.Exec("CREATE USER x509 REQUIRE X509")
	b.Exec("GRANT ALL ON *.* TO x509")
	f := func(username string, o *endpoint.TLS, ok bool) {
		t.Helper()
		conn := b.Conn.(*mariadb.Connection)
		conn.Username, conn.TLS = username, o
		s, err := b.TryOpen()
		if ok != (err == nil) || err != nil && !sink.IsPermanent(err) {
			t.Errorf("%s, %+v: got %v, want ok %t", username, o, err, ok)
		}
		if err == nil {
			s.Close()
		}
	}
	f("root", &endpoint.TLS{CA: ca, ServerName: "db.test"}, true)
	f("root", &endpoint.TLS{CA: ca}, false) // the certificate is not for 127.0.0.1
	f("root", &endpoint.TLS{ServerName: "db.test"}, false)
	f("root", &endpoint.TLS{CA: stranger, ServerName: "db.test"}, false)
	f("root", &endpoint.TLS{InsecureSkipVerify: true}, true)
	f("x509", &endpoint.TLS{CA: ca, ServerName: "db.test"}, false)
	f("x509", nil, false)
	f("x509", &endpoint.TLS{CA: ca, ServerName: "db.test", Cert: file("client.pem"), Key: file("client.key")}, true)
}
