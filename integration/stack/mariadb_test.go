package stack_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// alive says whether a process exists; one that waits for its parent to notice
// its end counts as dead.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, after, _ := cutLast(string(b), ") ")
	return err == nil && !strings.HasPrefix(after, "Z")
}

func openDB(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func mustExec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func count(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMariaDBKeepsCommittedRows(t *testing.T) {
	m := stack.MariaDB(t)
	ctx := timeLimit(t, 5*time.Minute)
	if err := m.CreateDatabase(ctx, "d"); err != nil {
		t.Fatal(err)
	}
	db := openDB(t, m.DSN("d"))
	mustExec(t, db, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	first := m.Pid()
	if err := m.Kill(); err != nil {
		t.Fatal(err)
	}
	if alive(first) {
		t.Errorf("pid %d is alive after kill", first)
	}
	if err := m.Start(ctx); err != nil {
		t.Fatal(err)
	}
	fresh := openDB(t, m.DSN("d"))
	mustExec(t, fresh, "INSERT INTO t VALUES (2)")
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if n := count(t, openDB(t, m.DSN("d"))); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

func TestMariaDBPauseAndVariables(t *testing.T) {
	m := stack.MariaDBWith(t, stack.MariaDBOptions{Variables: map[string]string{"innodb-lock-wait-timeout": "7"}})
	db := openDB(t, m.DSN(""))
	var seconds int
	if err := db.QueryRowContext(t.Context(), "SELECT @@innodb_lock_wait_timeout").Scan(&seconds); err != nil || seconds != 7 {
		t.Errorf("lock wait timeout %d, %v; want 7", seconds, err)
	}
	if err := m.Pause(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := db.PingContext(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ping of a paused server: %v", err)
	}
	if err := m.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := db.PingContext(timeLimit(t, 2*time.Minute)); err != nil {
		t.Error(err)
	}
}

// TestLostCommitAnswer is the case the proxy is for: the client cannot know, and
// the server has committed.
func TestLostCommitAnswer(t *testing.T) {
	m := servers.MariaDB(t)
	if err := m.CreateDatabase(timeLimit(t, 5*time.Minute), "lost"); err != nil {
		t.Fatal(err)
	}
	direct := openDB(t, m.DSN("lost"))
	mustExec(t, direct, "CREATE TABLE t (id INT PRIMARY KEY)")
	for i, c := range []struct {
		action stack.Action
		rows   int
	}{{stack.CutAnswer, 1}, {stack.CutRequest, 1}} {
		p := stack.ProxyTo(t, m.Addr(), stack.MySQLFrames)
		hook, hit := stack.Once(stack.Contains("COMMIT"), c.action)
		p.OnRequest(hook)
		db := openDB(t, strings.Replace(m.DSN("lost"), m.Addr(), p.Addr(), 1))
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("INSERT INTO t VALUES (?)", i); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err == nil {
			t.Error("the commit succeeded")
		}
		<-hit
		if n := count(t, direct); n != c.rows {
			t.Errorf("action %d: %d rows, want %d", c.action, n, c.rows)
		}
	}
}

// TestServersDieWithTheirOwner kills a process that has started a server.
func TestServersDieWithTheirOwner(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(timeLimit(t, 5*time.Minute), self)
	cmd.Env = append(os.Environ(), orphanEnv+"=1", "TMPDIR="+publicTempDir(t))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	killErr := cmd.Process.Kill()
	waitErr := cmd.Wait()
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid == 0 {
		t.Fatalf("no pid: %v, %v, %v, %v", err, readErr, killErr, waitErr)
	}
	eventually(t, "the server dies", func() bool { return !alive(pid) })
}

// publicTempDir answers a folder that is removed with the test, since nobody
// else removes what a killed process leaves, and that the server's user can
// enter.
func publicTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluice-orphan-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
