package clickhouse_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// mended runs the statement that Open's error says mends it.
func mended(r *rig, parts ...string) {
	r.Helper()
	r.refused(parts...)
	_, err := r.tryOpen()
	_, fix, ok := strings.Cut(err.Error(), "mend it with: ")
	fix, _, _ = strings.Cut(fix, "; or accept")
	if !ok {
		r.Fatalf("no statement in %q", err)
	}
	fix, _, _ = strings.Cut(fix, "\n")
	r.exec(fix)
}

// TestViewsAreChecked: a table that a materialized view fills must remember what
// was inserted as the table itself must, or a repeat is in it twice.
func TestViewsAreChecked(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	r.exec("CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	s := r.open()
	r.mustWrite(r.claim(s), 0, []any{1})

	r.exec("CREATE TABLE $.`odd \\`table' x` (n Int64, h UInt64 DEFAULT rand64()) ENGINE = MergeTree ORDER BY n")
	r.exec("CREATE MATERIALIZED VIEW $.`odd \\`view'` TO $.`odd \\`table' x` AS SELECT n FROM $.t")
	if _, _, err := s.Claim(t.Context(), claimed()); err == nil || !sink.IsPermanent(err) || !strings.Contains(err.Error(), "odd \\`table' x`, and its non_replicated_deduplication_window is 0") {
		t.Errorf("a view that came later: %v", err)
	}
	mended(r, "materialized views that cannot take each batch exactly once", "`odd \\`view'` fills `$`.`odd \\`table' x`")
	r.open()

	// One with a table of its own, on what another fills, through a table that
	// keeps nothing.
	r.exec("CREATE TABLE $.nothing (n Int64) ENGINE = Null")
	r.exec("CREATE MATERIALIZED VIEW $.through TO $.nothing AS SELECT n FROM $.`odd \\`table' x`")
	r.exec("CREATE MATERIALIZED VIEW $.last ENGINE = SummingMergeTree PARTITION BY n ORDER BY n AS SELECT n, toUInt64(1) AS c FROM $.nothing")
	mended(r, "`$`.`last` fills `$`.`.inner_id.", "window is 0")
	r.open()

	// One that is filled by the clock is none of ours.
	r.exec("CREATE MATERIALIZED VIEW $.clock REFRESH EVERY 1 DAY ENGINE = MergeTree ORDER BY n AS SELECT n FROM $.t")
	s = r.open()
	for range 3 {
		r.mustWrite(r.claim(s), 1, []any{2}, []any{3})
	}
	r.want("SELECT count() FROM $.t", "3")
	r.want("SELECT count() FROM $.`odd \\`table' x`", "2")
	r.want("SELECT sum(c) FROM $.last", "2")

	r.exec("CREATE TABLE $.log (n Int64) ENGINE = Log")
	r.exec("CREATE MATERIALIZED VIEW $.tolog TO $.log AS SELECT n FROM $.t")
	r.refused("`$`.`tolog` fills `$`.`log`, whose engine Log does not remember")
	r.config.Delivery = sink.AtLeastOnce
	r.open()
}

// TestForgottenView: what a view fills may have forgotten a batch that the table
// remembers, as when several tables fill it. A repeat would be in it twice, so
// the sink stops.
func TestForgottenView(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int), field("k", record.Int))
	r.config.Timeout = time.Second
	r.exec("CREATE TABLE $.t (n Int64, k Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.exec("CREATE TABLE $.v (n Int64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100")
	r.exec("CREATE MATERIALIZED VIEW $.mv TO $.v AS SELECT n FROM $.t")
	s := r.open()
	rows := [][]any{{0, 0}, {1, 0}, {2, 1}, {3, 1}}
	r.mustWrite(r.claim(s), 0, rows...)
	for range 101 {
		r.exec("INSERT INTO $.v SETTINGS async_insert = 0, insert_deduplicate = 0, deduplicate_insert = 'disable' VALUES (100)")
	}
	repeat := func(first int64, rows ...[]any) (err error) {
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			w := r.reclaim(s)
			if _, err = w.Append(t.Context(), r.chunk(first, rows...)); err != nil {
				t.Fatal(err)
			}
			c := cut(first, first+int64(len(rows)))
			c.Since = time.Now().Add(-time.Hour)
			if err = r.commit(w, c); err == nil || !strings.Contains(err.Error(), "under way") {
				return err
			}
		}
		return err
	}
	if err := repeat(0, rows...); err == nil || !sink.IsPermanent(err) || !strings.Contains(err.Error(), "has 4 of its 4 rows, and it cannot be known whether the tables that its materialized views fill") {
		t.Errorf("got %v", err)
	}
	// Of what never arrived, nothing is in the view either.
	if err := repeat(4, rows...); err != nil {
		t.Error(err)
	}
	r.want("SELECT count() FROM $.t", "8")
	r.want("SELECT count() FROM $.v WHERE n < 100", "8")
}

// TestViewThatMoves: where the partition of a view's rows hangs on when they are
// inserted, a repeat of the batch falls into another one and is in it twice.
func TestViewThatMoves(t *testing.T) {
	c := servers.ClickHouse(t)
	const window = " SETTINGS non_replicated_deduplication_window = 1000"
	for name, tc := range map[string]struct{ columns, by, view, want string }{
		"called in the view":        {"n Int64, at DateTime", "toSecond(at)", "SELECT n, now() AS at FROM $.t", "rests on now()"},
		"within":                    {"n Int64, at Date", "at", "SELECT n, toDate(now64(3)) AS at FROM $.t", "rests on now64()"},
		"default of the table":      {"n Int64, at DateTime DEFAULT now()", "toSecond(at)", "SELECT n FROM $.t", "rests on now()"},
		"materialized in the table": {"n Int64, at DateTime MATERIALIZED now() + 1, z Int8 DEFAULT 0", "toSecond(at)", "SELECT n FROM $.t", "rests on now()"},
		"called for another":        {"n Int64, at DateTime", "n", "SELECT n, now() AS at FROM $.t", "-"},
		"default that is not used":  {"n Int64, at DateTime DEFAULT now()", "toSecond(at)", "SELECT n, toDateTime(n) AS at FROM $.t", "-"},
		"default of another":        {"n Int64, at DateTime DEFAULT now()", "n", "SELECT n FROM $.t", "-"},
		"a table of the view's own": {"", "toSecond(at)", "SELECT n, now() AS at FROM $.t", "rests on now()"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c, field("n", record.Int))
			r.exec("CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n" + window)
			to := " ENGINE = MergeTree PARTITION BY " + tc.by + " ORDER BY n" + window
			if tc.columns != "" {
				r.exec("CREATE TABLE $.v (" + tc.columns + ")" + to)
				to = " TO $.v"
			}
			r.exec("CREATE MATERIALIZED VIEW $.mv" + to + " AS " + tc.view)
			switch tc.want {
			case "-":
				r.open()
			default:
				r.refused(tc.want, "a repeated batch may fall into another partition", "delivery: at_least_once")
			}
		})
	}
}
