package clickhouse_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
)

// TestPartitionThatMoves: where the partition of a row hangs on when it is
// inserted, a repeat of the batch falls into another one and is taken again.
func TestPartitionThatMoves(t *testing.T) {
	const window = " SETTINGS non_replicated_deduplication_window = 1000"
	for name, tc := range map[string]struct{ columns, by, want string }{
		"default":    {"at DateTime DEFAULT now()", "toYYYYMM(at)", "reads column at, which no field fills and whose default rests on now()"},
		"through":    {"at DateTime64(3) DEFAULT now64(3), d Date MATERIALIZED toDate(at)", "d", "reads column d, which no field fills and whose default rests on now64()"},
		"of a field": {"d Int64 DEFAULT intDiv(n, 10), known DateTime DEFAULT now()", "d", ""},
		"filled":     {"d Int64 DEFAULT rand()", "n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
			r.exec("CREATE TABLE $.t (n Int64, " + tc.columns + ", " + provenance + ") ENGINE = MergeTree PARTITION BY " + tc.by + " ORDER BY n" + window)
			if tc.want == "" {
				r.open()
				return
			}
			r.refused(tc.want)
			r.config.Delivery = sink.AtLeastOnce
			r.open()
		})
	}
	// It does happen.
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	r.exec("CREATE TABLE $.t (n Int64, at DateTime DEFAULT now()) ENGINE = MergeTree PARTITION BY toStartOfInterval(at, INTERVAL 1 second) ORDER BY n" + window)
	for range 2 {
		r.exec("INSERT INTO $.t (n) SETTINGS async_insert = 0, insert_deduplication_token = 'one' VALUES (1)")
		time.Sleep(1100 * time.Millisecond)
	}
	r.want("SELECT count() FROM $.t", "2")
}

// TestExchangedTable: a table that was exchanged for the sink's remembers no
// batch, and may have its rows all the same.
func TestExchangedTable(t *testing.T) {
	const columns = "(n Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000"
	for _, name := range []string{"made since", "made before", "another process"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
			r.config.Timeout = time.Second
			r.exec("CREATE TABLE $.t " + columns)
			if name == "made before" {
				r.exec("CREATE TABLE $.u " + columns)
				time.Sleep(3 * time.Second)
			}
			s := r.open()
			c := cut(0, 2)
			c.Since = time.Now()
			r.mustWrite(r.claim(s), 0, []any{1}, []any{2})
			if name != "made before" {
				r.exec("CREATE TABLE $.u " + columns)
			}
			r.exec("INSERT INTO $.u SETTINGS async_insert = 0 SELECT * FROM $.t")
			r.exec("EXCHANGE TABLES $.t AND $.u")
			if name == "another process" {
				s = r.open()
			}
			for end := time.Now().Add(10 * time.Second); ; time.Sleep(200 * time.Millisecond) {
				w := r.claim(s)
				if _, err := w.Append(t.Context(), r.chunk(0, []any{1}, []any{2})); err != nil {
					t.Fatal(err)
				}
				err := r.commit(w, c)
				if err == nil {
					break
				}
				if !strings.Contains(err.Error(), "under way") || time.Now().After(end) {
					t.Fatal(err)
				}
			}
			r.want("SELECT n, count() FROM $.t GROUP BY n ORDER BY n", "1\t1\n2\t1")
		})
	}
}

// TestProfile: what the user's profile says can neither split a block nor cut an
// answer short, from which the sink learns what the table has.
func TestProfile(t *testing.T) {
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{{Name: "odd", Password: "x", Grants: []string{"ALL ON *.*"},
		Settings: `<use_strict_insert_block_limits>1</use_strict_insert_block_limits><max_insert_block_size_rows>2</max_insert_block_size_rows>
			<limit>1</limit><result_overflow_mode>break</result_overflow_mode><max_result_rows>1</max_result_rows><async_insert>1</async_insert>`}}})
	r := newRig(t, c, field("n", record.Int), field("k", record.Int))
	r.conn.Username, r.conn.Password = "odd", sink.NewSecret("x")
	r.conn.Settings = map[string]string{"max_result_rows": "0"}
	r.exec("CREATE TABLE $.t (n Int64, k Int64, " + provenance + ") ENGINE = MergeTree PARTITION BY n % 4 ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.mustWrite(r.claim(r.open()), 0, []any{0, 0}, []any{1, 0}, []any{4, 0}, []any{5, 0})
	r.want("SELECT count(), sum(rows) FROM system.parts WHERE database = '$' AND level = 0", "2\t4")
}

// TestSettingsOfTheSink: what exactness rests on is nobody else's.
func TestSettingsOfTheSink(t *testing.T) {
	for _, name := range []string{"use_strict_insert_block_limits", "limit", "result_overflow_mode", "use_query_cache", "async_insert", "insert_deduplicate", "skip_unavailable_shards"} {
		c := connection("h", "d")
		c.Settings = map[string]string{name: "1"}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
