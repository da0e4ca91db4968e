package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqlite"
	"github.com/sluicekit/sluice/sinks/sqltable/sqltabletest"
)

// childFile tells a child of TestKilled which file it commits to.
const childFile = "SLUICE_TEST_SQLITE_FILE"

const killedCuts = 1500

// TestKilled kills a process at random moments of its commits (I5): the sums
// and the position that it leaves agree, and the next goes on from there.
func TestKilled(t *testing.T) {
	file := os.Getenv(childFile)
	if file != "" {
		commitUntilKilled(t, file)
		return
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	file = filepath.Join(t.TempDir(), "killed.db")
	kills := 0
	for done := false; !done; {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$", "-test.v")
		cmd.Env = append(os.Environ(), childFile+"="+file)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() && !strings.Contains(lines.Text(), "opened") {
		}
		if kills < 8 {
			time.Sleep(time.Duration(r.IntN(120_000)) * time.Microsecond)
			cmd.Process.Kill()
			kills++
		}
		for lines.Scan() {
		}
		done = cmd.Wait() == nil
		a := accounts(t, file)
		a.DB = look(t, file)
		if got := a.Query("SELECT next_offset FROM sluice_positions"); len(got) > 0 {
			var n int
			if _, err := fmt.Sscanf(got[0], "[%d]", &n); err != nil {
				t.Fatal(err)
			}
			a.Check(n)
			t.Logf("at %d after %d kills", n, kills)
		}
	}
	if kills < 3 {
		t.Errorf("only %d kills before all was done", kills)
	}
	a := accounts(t, file)
	a.DB = look(t, file)
	a.Check(killedCuts)
}

func accounts(t testing.TB, file string) *sqltabletest.Accounts {
	target := target()
	target.New = func(testing.TB) sqltabletest.Database {
		return sqltabletest.Database{Conn: &sqlite.Connection{File: file, Timeout: time.Second}}
	}
	return sqltabletest.NewAccounts(t, target)
}

func commitUntilKilled(t *testing.T, file string) {
	a := accounts(t, file)
	s := a.Open()
	fmt.Println("opened")
	if err := a.Run(t.Context(), s, killedCuts); err != nil {
		t.Fatal(err)
	}
}

// TestBusy: another process writes for longer than the timeout.
func TestBusy(t *testing.T) {
	a := sqltabletest.NewAccounts(t, target())
	s := a.Open()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := a.Run(ctx, s, 1); err != nil {
		t.Fatal(err)
	}
	conn, err := a.DB.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	w, _ := a.Claim(s, sqltabletest.Slot(0, 1))
	err = a.TryCommit(ctx, w, sqltabletest.Cut(0, 1, 2))
	if !sink.IsRefused(err) || sink.IsPermanent(err) || !strings.Contains(err.Error(), "SQLITE_BUSY") {
		t.Errorf("got %v, want busy, refused, and to pass", err)
	}
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := a.Run(ctx, s, 2); err != nil {
		t.Fatal(err)
	}
	a.Check(2)
}

// TestFiles: files that cannot be, and one that is none.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(dir, "missing", "x.db"), dir, text} {
		if _, err := accounts(t, file).TryOpen(); !sink.IsPermanent(err) {
			t.Errorf("%s: got %v, want permanent", file, err)
		}
	}
}

// TestSettings: a commit survives the loss of power, readers go on, and what
// we made is strict.
func TestSettings(t *testing.T) {
	a := sqltabletest.NewAccounts(t, target())
	if err := a.Run(t.Context(), a.Open(), 1); err != nil {
		t.Fatal(err)
	}
	a.Want("SELECT journal_mode FROM pragma_journal_mode", "[wal]")
	a.Want("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' ORDER BY name", "[sluice_positions 1]", "[t 1]")
	db, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "SELECT sluice_decimal_add('1', '2')"); err == nil {
		t.Error("our functions are known to other users of the driver in this process")
	}
}

func TestValidate(t *testing.T) {
	spec := sqlite.Spec()
	for _, c := range []struct {
		conn sqlite.Connection
		path string
	}{
		{sqlite.Connection{File: "a.db"}, ""},
		{sqlite.Connection{}, "file"},
		{sqlite.Connection{File: ":memory:"}, "file"},
		{sqlite.Connection{File: "a\x00b"}, "file"},
		{sqlite.Connection{File: "a", Timeout: -1}, "timeout"},
		{sqlite.Connection{File: "a", Timeout: time.Minute}, "timeout"},
	} {
		if err := c.conn.Validate(); (err == nil) != (c.path == "") || err != nil && !strings.HasPrefix(err.Error(), c.path+": ") {
			t.Errorf("%+v: got %v, want a mistake in %q", c.conn, err, c.path)
		}
	}
	if err := spec.Connection().Validate(); err == nil {
		t.Error("a connection without a file is valid")
	}
	for _, table := range []string{"", "a.b", "sqlite_master", "SQLite_x"} {
		o := spec.Options().(*sqlite.Options)
		o.Table = table
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), "table: ") {
			t.Errorf("table %q: got %v, want a mistake in table", table, err)
		}
	}
}
