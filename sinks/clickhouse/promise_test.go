package clickhouse_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/clickhouse"
)

const provenance = "_sink String, _incarnation String, _topic String, _partition Int32, _offset Int64"

// TestWindowIsChecked: a table that cannot take each batch once is refused, with
// the statement that mends it; the statement does mend it.
func TestWindowIsChecked(t *testing.T) {
	c := servers.ClickHouse(t)
	for name, tc := range map[string]struct{ create, want string }{
		"no window":          {"ENGINE = MergeTree ORDER BY n", "its non_replicated_deduplication_window is 0"},
		"too small":          {"ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 99", "is 99 parts, and 100 batches"},
		"many parts a batch": {"ENGINE = MergeTree PARTITION BY n ORDER BY n SETTINGS non_replicated_deduplication_window = 999", "make up to 1000"},
		"too small, quoted":  {"ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = '99'", "is 99 parts, and 100 batches"},
		"merging engine":     {"ENGINE = ReplacingMergeTree ORDER BY n", "its non_replicated_deduplication_window is 0"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c, field("n", record.Int))
			r.exec("CREATE TABLE $.t (n Int64, " + provenance + ") " + tc.create)
			r.refused(tc.want, "delivery: at_least_once")
			_, err := r.tryOpen()
			_, fix, ok := strings.Cut(err.Error(), "mend it with: ")
			fix, _, _ = strings.Cut(fix, "; or accept")
			if !ok {
				t.Fatalf("no statement in %q", err)
			}
			r.exec(fix)
			r.open()
		})
	}
}

// TestWindowOfTheServer: what the server's configuration says counts for tables
// that say nothing themselves.
func TestWindowOfTheServer(t *testing.T) {
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Config: "<merge_tree><non_replicated_deduplication_window>500</non_replicated_deduplication_window></merge_tree>"})
	for tail, want := range map[string]string{
		"ORDER BY n": "", "PARTITION BY n % 2 ORDER BY n": "is 500 parts, and 100 batches of this table make up to 1000",
		"ORDER BY n SETTINGS non_replicated_deduplication_window = 0": "its non_replicated_deduplication_window is 0",
	} {
		r := newRig(t, c, field("n", record.Int))
		r.exec("CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = MergeTree " + tail)
		if want != "" {
			r.refused(want)
			continue
		}
		s := r.open()
		for range 2 {
			r.mustWrite(r.claim(s), 0, []any{1}, []any{2})
		}
		r.want("SELECT count() FROM $.t", "2")
	}
}

func TestPromiseNeedsAnEngine(t *testing.T) {
	c := servers.ClickHouse(t)
	for _, engine := range []string{"Log", "Memory", "Null", "Buffer('$', 'o', 1, 1, 1, 1, 1, 1, 1)"} {
		r := newRig(t, c, field("n", record.Int))
		r.exec("CREATE TABLE $.o (n Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n")
		r.exec("CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = " + engine)
		r.refused("does not remember what was inserted")
		r.config.Delivery = sink.AtLeastOnce
		r.open()
	}
	r := newRig(t, c, field("n", record.Int))
	r.exec("CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100")
	r.conn.Address = append(r.conn.Address, "127.0.0.1:1")
	r.refused("has 2 addresses")
}

// TestAtLeastOnce: batches that are alike are all kept, whatever the table
// remembers by their content.
func TestAtLeastOnce(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	r.options.Provenance.Off = true
	r.exec("CREATE TABLE $.t (n Int64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100")
	r.config.Delivery = sink.AtLeastOnce
	w := r.claim(r.open())
	for i := range int64(3) {
		r.mustWrite(w, i, []any{1})
	}
	r.want("SELECT count() FROM $.t", "3")
}

// forgetful is a table that has forgotten a batch of four rows, of which it has
// the rows that where selects.
func forgetful(r *rig, where string) {
	columns := "n Int64, k Int64"
	if p := r.options.Provenance; !p.Off {
		columns += fmt.Sprintf(", `%s` String, `%s` String, `%s` String, `%s` Int32, `%s` Int64", p.Sink, p.Incarnation, p.Topic, p.Partition, p.Offset)
	}
	r.exec("CREATE TABLE $.t (" + columns + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100")
	r.mustWrite(r.claim(r.open()), 0, []any{0, 0}, []any{1, 0}, []any{2, 1}, []any{3, 1})
	r.exec("ALTER TABLE $.t DELETE WHERE NOT (" + where + ") SETTINGS mutations_sync = 1")
	r.forget("$.t (n, k)", "100, %d")
}

// forget inserts as many parts as a window of 100 holds.
func (r *rig) forget(into, values string) {
	for i := range 101 {
		r.exec("INSERT INTO " + into + " SETTINGS async_insert = 0 VALUES (" + fmt.Sprintf(values, i) + ")")
	}
	r.exec("OPTIMIZE TABLE $.t FINAL")
}

// again repeats the batch as the next owner does.
func again(r *rig, since time.Time) error {
	w := r.reclaim(r.open())
	if _, err := w.Append(r.Context(), r.chunk(0, []any{0, 0}, []any{1, 0}, []any{2, 1}, []any{3, 1})); err != nil {
		return err
	}
	c := cut(0, 4)
	c.Since = since
	return r.commit(w, c)
}

// elsewhere are provenance columns under names of a person's own.
func elsewhere() clickhouse.Provenance {
	return clickhouse.Provenance{Sink: "by whom", Incarnation: "of it's", Topic: "from", Partition: "in", Offset: "at", Cut: "select"}
}

// TestForgottenBatch: a batch that the table has pushed out of its window is
// completed from what the table has, whatever the columns are called that tell.
func TestForgottenBatch(t *testing.T) {
	c := servers.ClickHouse(t)
	usual := clickhouse.Spec().Options().(*clickhouse.Options).Provenance
	for where, names := range map[string]clickhouse.Provenance{"1": usual, "k = 0": elsewhere(), "0": elsewhere(), "n != 1": usual} {
		t.Run(where, func(t *testing.T) {
			r := newRig(t, c, field("n", record.Int), field("k", record.Int))
			r.options.Provenance = names
			r.config.Timeout = time.Second
			forgetful(r, where)
			since := time.Now().Add(-time.Hour)
			s := r.open()
			var err error
			for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
				w := r.reclaim(s)
				if _, err = w.Append(t.Context(), r.chunk(0, []any{0, 0}, []any{1, 0}, []any{2, 1}, []any{3, 1})); err != nil {
					t.Fatal(err)
				}
				c := cut(0, 4)
				c.Since = since
				if err = r.commit(w, c); err == nil {
					break
				}
				if !strings.Contains(err.Error(), "an earlier attempt may be under way") {
					t.Fatal(err)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			r.want("SELECT n, count() FROM $.t WHERE n < 50 GROUP BY n ORDER BY n", "0\t1\n1\t1\n2\t1\n3\t1")
			if _, found, err := r.open().Claim(t.Context(), claimed()); err != nil || found.State != sink.Has || found.High[0] != 4 {
				t.Errorf("found %+v, %v", found, err)
			}
		})
	}
}

// TestForgottenWithoutProvenance: where rows cannot be found again, the sink
// stops and says so.
func TestForgottenWithoutProvenance(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int), field("k", record.Int))
	r.options.Provenance.Off = true
	forgetful(r, "1")
	err := again(r, time.Now().Add(-time.Hour))
	if err == nil || !sink.IsPermanent(err) || !strings.Contains(err.Error(), "it cannot be known whether table") || !strings.Contains(err.Error(), "sluice settle") {
		t.Errorf("got %v", err)
	}
	// By a clock that is behind that of the first owner the batch has no age.
	if err := again(r, time.Now().Add(time.Hour)); err == nil || !strings.Contains(err.Error(), "the clocks differ") {
		t.Errorf("of the future: got %v", err)
	}
}

// TestRememberedBatch: as long as few parts were inserted since, the token alone
// decides.
func TestRememberedBatch(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int), field("k", record.Int))
	r.options.Provenance.Off = true
	r.options.Create = true
	s := r.open()
	time.Sleep(3 * time.Second) // the table is older than the batch
	since := time.Now()
	r.mustWrite(r.claim(s), 0, []any{0, 0}, []any{1, 0}, []any{2, 1}, []any{3, 1})
	if err := again(r, since); err != nil {
		t.Fatal(err)
	}
	r.want("SELECT count() FROM $.t", "4")
}

// TestForgottenGroups: the groups of an aggregate are found again by the name of
// their batch and their keys.
func TestForgottenGroups(t *testing.T) {
	amount := record.Field{Name: "amount", Type: cents, Merge: record.MergeAdd}
	key := record.Field{Name: "k", Type: texts, Merge: record.MergeKey, Nullable: true}
	at := record.Field{Name: "at", Type: moments, Merge: record.MergeKey}
	r := newRig(t, servers.ClickHouse(t), key, at, amount)
	r.config.Keys, r.config.Timeout, r.options.Create, r.options.Provenance = []string{"k", "at"}, time.Second, true, elsewhere()
	r.options.OrderBy = []string{"at"}
	groups := func() *record.Chunk {
		c := r.chunk(0, []any{"a", 1, "1.50"}, []any{nil, 1, "2"}, []any{"b", 2, "3"})
		c.Partition = -1
		return c
	}
	s := r.open()
	w := r.claim(s)
	if _, err := w.Append(t.Context(), groups()); err != nil {
		t.Fatal(err)
	}
	if err := r.commit(w, cut(0, 9)); err != nil {
		t.Fatal(err)
	}
	r.exec("ALTER TABLE $.t DELETE WHERE k = 'b' SETTINGS mutations_sync = 1")
	r.exec("ALTER TABLE $.t MODIFY SETTING non_replicated_deduplication_window = 100")
	r.forget("$.t (k, at, amount)", "'x', 0, %d")
	c := cut(0, 9)
	c.Since = time.Now().Add(-time.Hour)
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		w = r.reclaim(s)
		if _, err := w.Append(t.Context(), groups()); err != nil {
			t.Fatal(err)
		}
		err := r.commit(w, c)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	r.want("SELECT k, sum(amount), count() FROM $.t WHERE k != 'x' OR k IS NULL GROUP BY k ORDER BY k", "a\t1.5\t1\nb\t3\t1\n\\N\t2\t1")
}

// TestTokenDecides: rows may come in another order, and partitions interleaved
// in another way, without being taken for another batch.
func TestTokenDecides(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	r.options.Create = true
	s := r.open()
	c := record.Cut{Topic: "events", Ranges: []record.Range{{First: 0, Next: 2}, {First: 5, Next: 6}}}
	one, two := r.chunk(0, []any{1}, []any{2}), r.chunk(5, []any{3})
	two.Partition = 1
	for _, order := range [][]*record.Chunk{{one, two}, {two, one}, {r.chunk(0, []any{1}), two, r.chunk(1, []any{2})}} {
		w := r.claim(s)
		for _, chunk := range order {
			if _, err := w.Append(t.Context(), chunk); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.commit(w, c); err != nil {
			t.Fatal(err)
		}
	}
	r.want("SELECT count(), sum(n) FROM $.t", "3\t6")
}

// TestOneBlock: however many rows a batch has, it is one block, which makes one
// part and is taken once; the server splits blocks of over a million rows where
// it can.
func TestOneBlock(t *testing.T) {
	const rows = 2_200_000
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	r.options.Create = true
	s := r.open()
	chunk := record.NewChunk(r.schema)
	for range 2 {
		w := r.claim(s)
		for first := int64(0); first < rows; first += 10_000 {
			chunk.Reset()
			chunk.First, chunk.Next = first, first+10_000
			for i := range int64(10_000) {
				chunk.Columns[0].AppendInt(first + i)
				chunk.Offsets, chunk.Times = append(chunk.Offsets, first+i), append(chunk.Times, 0)
			}
			if _, err := w.Append(t.Context(), chunk); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.commit(w, cut(0, rows)); err != nil {
			t.Fatal(err)
		}
		r.want("SELECT count(), uniqExact(n) FROM $.t", "2200000\t2200000")
	}
	r.want("SELECT count() FROM system.parts WHERE database = '$' AND level = 0", "1")
}

// TestConstraint: a row that the table's own constraint refuses is blamed by its
// offset, and nothing of the batch was written.
func TestConstraint(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	r.exec("CREATE TABLE $.t (n Int64, " + provenance + ", CONSTRAINT positive CHECK n > 0) ENGINE = MergeTree PARTITION BY n % 3 ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	s := r.open()
	err := r.write(r.claim(s), 10, []any{1}, []any{2}, []any{-3}, []any{4})
	var rows *sink.RowsError
	if !errors.As(err, &rows) || len(rows.Rows) != 1 || rows.Rows[0].Offset != 12 || !strings.Contains(rows.Rows[0].Reason, "constraint positive") || strings.Contains(err.Error(), "-3") {
		t.Fatalf("got %v", err)
	}
	r.want("SELECT count() FROM $.t", "0")
	// With a view the table itself may have taken the rows: nothing is claimed.
	r.exec("CREATE TABLE $.v (n Int64, CONSTRAINT small CHECK n < 100) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.exec("CREATE MATERIALIZED VIEW $.mv TO $.v AS SELECT n FROM $.t")
	err = r.write(r.claim(s), 20, []any{200})
	if err == nil || sink.IsRefused(err) {
		t.Errorf("got %v, want an unknown outcome", err)
	}
}
