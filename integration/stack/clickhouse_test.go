package stack_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

func chSQL(t *testing.T, c *stack.ClickHouseServer, statement string) string {
	t.Helper()
	text, err := c.Query(t.Context(), statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return strings.TrimSpace(text)
}

// TestClickHouseKeepsCommittedRows runs two servers beside each other, kills and
// stops one, and finds its rows and its memory of tokens again.
func TestClickHouseKeepsCommittedRows(t *testing.T) {
	c, other := stack.ClickHouse(t), stack.ClickHouse(t)
	ctx := timeLimit(t, 5*time.Minute)
	for _, s := range []*stack.ClickHouseServer{c, other} {
		if err := s.CreateDatabase(ctx, "d"); err != nil {
			t.Fatal(err)
		}
	}
	chSQL(t, c, "CREATE TABLE d.t (id Int64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100")
	insert := "INSERT INTO d.t SETTINGS insert_deduplication_token = 'one' VALUES (1)"
	chSQL(t, c, insert)
	pid := c.Pid()
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Errorf("pid %d is alive after kill", pid)
	}
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	chSQL(t, c, insert)
	chSQL(t, c, "INSERT INTO d.t VALUES (2)")
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if got := chSQL(t, c, "SELECT count() FROM d.t"); got != "2" {
		t.Errorf("%s rows, want 2", got)
	}
	if got := chSQL(t, other, "EXISTS d.t"); got != "0" {
		t.Error("two servers share their tables")
	}
}

// TestClickHouseUsersAndPause has a user who may do what was granted and no
// more, and halts the server.
func TestClickHouseUsersAndPause(t *testing.T) {
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{{Name: "writer", Password: "secret", Grants: []string{"INSERT ON d.t"}}}})
	if got := chSQL(t, c, "SHOW GRANTS FOR writer"); got != "GRANT INSERT ON d.t TO writer" {
		t.Errorf("grants of the user: %s", got)
	}
	if err := c.Pause(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := c.Exec(short, "SELECT 1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a question to a halted server: %v", err)
	}
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	chSQL(t, c, "SELECT 1")
}
