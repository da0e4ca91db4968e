package clickhouse_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// repeat is the batch of four rows as one that was first tried an hour ago, for
// as long as the sink waits for earlier attempts.
func repeat(r *rig, s sink.Sink) (err error) {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		w := r.reclaim(s)
		if _, err = w.Append(r.Context(), r.chunk(0, []any{0, 0}, []any{1, 0}, []any{2, 1}, []any{3, 1})); err != nil {
			return err
		}
		c := cut(0, 4)
		c.Since = time.Now().Add(-time.Hour)
		err = r.commit(w, c)
		w.Close()
		if err == nil || !strings.Contains(err.Error(), "an earlier attempt may be under way") {
			return err
		}
	}
	return err
}

// TestForgottenHalf: a server that was killed may have an insert in some
// partitions of the table only. What it has by now forgotten is completed,
// whichever of them it was.
func TestForgottenHalf(t *testing.T) {
	c := servers.ClickHouse(t)
	for _, missing := range []string{"0"} {
		r := newRig(t, c, field("n", record.Int), field("k", record.Int))
		r.config.Timeout = time.Second
		r.exec("CREATE TABLE $.t (n Int64, k Int64, " + provenance + ") ENGINE = MergeTree PARTITION BY k ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
		s := r.open()
		r.mustWrite(r.claim(s), 0, []any{0, 0}, []any{1, 0}, []any{2, 1}, []any{3, 1})
		r.exec("ALTER TABLE $.t DROP PARTITION " + missing)
		r.exec("INSERT INTO $.t (n, k) SETTINGS async_insert = 0, max_block_size = 1, min_insert_block_size_rows = 1, min_insert_block_size_bytes = 1 " +
			"SELECT 100 + number, 100 FROM numbers(1000)") // a part each
		if err := repeat(r, s); err != nil {
			t.Fatal(err)
		}
		r.want("SELECT n, k, count() FROM $.t WHERE n < 50 GROUP BY n, k ORDER BY n", "0\t0\t1\n1\t0\t1\n2\t1\t1\n3\t1\t1")
	}
}

// TestForgottenMerged: on an engine that makes rows of others, a row's
// provenance is that of one of them, so it is not looked at: the sink stops.
func TestForgottenMerged(t *testing.T) {
	c := servers.ClickHouse(t)
	for _, engine := range []string{"ReplacingMergeTree", "SummingMergeTree(n)", "AggregatingMergeTree"} {
		r := newRig(t, c, field("n", record.Int), field("k", record.Int))
		r.config.Timeout = time.Second
		r.exec("CREATE TABLE $.t (n Int64, k Int64, " + provenance + ") ENGINE = " + engine + " ORDER BY k SETTINGS non_replicated_deduplication_window = 100")
		s := r.open()
		r.mustWrite(r.claim(s), 0, []any{0, 0}, []any{1, 0}, []any{2, 1}, []any{3, 1})
		r.mustWrite(r.claim(s), 0, []any{0, 0}, []any{1, 0}, []any{2, 1}, []any{3, 1}) // it is remembered
		before := r.query("SELECT k, sum(n) FROM $.t FINAL GROUP BY k ORDER BY k")
		r.forget("$.t (n, k)", "%[1]d, 100 + %[1]d")
		err := repeat(r, s)
		if err == nil || !sink.IsPermanent(err) || !strings.Contains(err.Error(), "an engine that merges rows") || !strings.Contains(err.Error(), "sluice settle") {
			t.Errorf("%s: %v", engine, err)
		}
		r.want("SELECT k, sum(n) FROM $.t FINAL WHERE k < 100 GROUP BY k ORDER BY k", before)
	}
}
