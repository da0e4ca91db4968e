package clickhouse_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/integration/stack"
)

// TestTokenWithoutRows: a server notes a token before it makes the part visible.
// Killed between the two it remembers the batch and has not got it. A repeat
// completes it all the same, once, whoever repeats it and however often.
func TestTokenWithoutRows(t *testing.T) {
	c := stack.ClickHouse(t)
	for name, lost := range map[string]string{"all": "1", "one of two parts": "partition = '1'"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c, field("n", record.Int), field("k", record.Int))
			r.options.Create, r.options.PartitionBy, r.options.OrderBy = true, "assumeNotNull(k)", []string{"assumeNotNull(n)"}
			began := beganLater(r)
			r.mustWrite(r.claim(r.open()), 0, []any{0, 0}, []any{1, 0}, []any{2, 1}, []any{3, 1})
			loseParts(r, c, lost)
			for range 2 {
				repeatUntilIn(r, began)
				r.want("SELECT count(), uniqExact(n) FROM $.t", "4\t4")
			}
			// What it was completed with may be lost in the same way.
			loseParts(r, c, lost)
			repeatUntilIn(r, began)
			r.want("SELECT count(), uniqExact(n) FROM $.t", "4\t4")
		})
	}
	t.Run("aggregate", func(t *testing.T) {
		r := newRig(t, c, field("n", record.Int), field("k", record.Int))
		r.options.Create, r.config.Keys = true, []string{"n"}
		r.options.OrderBy = []string{"assumeNotNull(n)"}
		began := beganLater(r)
		r.mustWrite(r.claim(r.open()), 0, []any{0, 0}, []any{1, 0}, []any{2, 1}, []any{3, 1})
		loseParts(r, c, "1")
		repeatUntilIn(r, began)
		r.want("SELECT count(), uniqExact(n), uniqExact(_cut) FROM $.t", "4\t4\t1")
	})
}

// TestViewWithoutRows: what a view fills may be lost in the same way, and cannot
// be looked for; the log says which tables a person has to look at.
func TestViewWithoutRows(t *testing.T) {
	c := stack.ClickHouse(t)
	r := newRig(t, c, field("n", record.Int), field("k", record.Int))
	r.options.Create, r.options.PartitionBy, r.options.OrderBy = true, "assumeNotNull(k)", []string{"assumeNotNull(n)"}
	r.open()
	r.exec("CREATE TABLE $.v (n Int64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.exec("CREATE MATERIALIZED VIEW $.mv TO $.v AS SELECT assumeNotNull(n) AS n FROM $.t")
	r.exec("CREATE MATERIALIZED VIEW $.nowhere ENGINE = Null AS SELECT n FROM $.t")
	began := beganLater(r)
	var log strings.Builder
	r.config.Log = slog.New(slog.NewTextHandler(&log, nil))
	r.mustWrite(r.claim(r.open()), 0, []any{0, 0}, []any{1, 0}, []any{2, 1}, []any{3, 1})
	loseParts(r, c, "table = 'v'")
	repeatUntilIn(r, began)
	r.want("SELECT count(), uniqExact(n) FROM $.t", "4\t4")
	r.want("SELECT count() FROM $.v", "0")
	const want = "compare these with the table"
	if got := log.String(); !strings.Contains(got, want) || !strings.Contains(got, r.database+"`.`v`") || strings.Contains(got, "inner") {
		t.Errorf("the log says %s, want %q, and the name of v only", got, want)
	}
}

// beganLater is when a batch may be tried first so that the table is not younger.
func beganLater(r *rig) time.Time {
	r.open()
	time.Sleep(2 * time.Second)
	return time.Now()
}

// repeatUntilIn repeats a batch until it is in, each time as another owner does who
// knows nothing of the attempts before.
func repeatUntilIn(r *rig, since time.Time) {
	r.Helper()
	s := r.open()
	var err error
	for range 5 {
		w := r.reclaim(s)
		if _, err = w.Append(r.Context(), r.chunk(0, []any{0, 0}, []any{1, 0}, []any{2, 1}, []any{3, 1})); err != nil {
			r.Fatal(err)
		}
		c := cut(0, 4)
		c.Since = since
		if err = r.commit(w, c); err == nil {
			return
		}
		r.Logf("repeat: %v", err)
	}
	r.Fatal(err)
}

// loseParts takes parts away while the server is down.
func loseParts(r *rig, c *stack.ClickHouseServer, where string) {
	r.Helper()
	paths := strings.Fields(r.query("SELECT path FROM system.parts WHERE database = '$' AND active AND " + where))
	if len(paths) == 0 {
		r.Fatal("no parts")
	}
	if err := c.Kill(); err != nil {
		r.Fatal(err)
	}
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			r.Fatal(err)
		}
	}
	if err := c.Start(r.Context()); err != nil {
		r.Fatal(err)
	}
}
