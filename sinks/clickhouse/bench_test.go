package clickhouse_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// events is a table of ten columns as analysts have them.
const events = `CREATE TABLE $.t (id UInt64, time DateTime64(3, 'UTC'), type LowCardinality(String), server LowCardinality(String), campaign_id UInt32,
	cost Decimal(18, 6), price Float64, url String, user UUID, clicks Nullable(Int64), ` + provenance + `)
	ENGINE = %s SETTINGS non_replicated_deduplication_window = 1000`

func eventFields() []record.Field {
	cost := record.Field{Name: "cost", Type: record.Type{Kind: record.Decimal, Precision: 18, Scale: 6}}
	return []record.Field{field("id", record.Uint), field("time", record.Timestamp), field("type", record.String), field("server", record.String),
		field("campaign_id", record.Int), cost, field("price", record.Float), field("url", record.String), field("user", record.String), field("clicks", record.Int)}
}

// eventChunks are chunks of 8,000 rows of one partition.
func eventChunks(r *rig, rows int) []*record.Chunk {
	var all []*record.Chunk
	for first := 0; first < rows; first += 8000 {
		var list [][]any
		for i := first; i < min(first+8000, rows); i++ {
			clicks := any(i)
			if i%3 == 0 {
				clicks = nil
			}
			list = append(list, []any{uint64(i), time.UnixMilli(1_760_000_000_000 + int64(i)), fmt.Sprintf("type %d", i%5), fmt.Sprintf("server-%d", i%200), i % 1000,
				fmt.Sprintf("%d.%06d", i%100, i%1_000_000), float64(i) / 3, fmt.Sprintf("https://example.com/path/%d", i%5000),
				fmt.Sprintf("61f0c404-5cb3-11e7-907b-%012x", i), clicks})
		}
		all = append(all, r.chunk(int64(first), list...))
	}
	return all
}

// shift moves chunks to other offsets, so that each batch is another.
func shift(chunks []*record.Chunk, by int64) {
	for _, c := range chunks {
		c.First, c.Next = c.First+by, c.Next+by
		for i := range c.Offsets {
			c.Offsets[i] += by
		}
	}
}

func putBatch(r *rig, w sink.Writer, chunks []*record.Chunk) error {
	for _, c := range chunks {
		if _, err := w.Append(r.Context(), c); err != nil {
			return err
		}
	}
	return r.commit(w, cut(chunks[0].First, chunks[len(chunks)-1].Next))
}

// TestSteadyState: once its memory is there, a batch needs no more of it, however
// many rows it has.
func TestSteadyState(t *testing.T) {
	const rows = 40_000
	for _, compression := range []string{"none", "lz4", "zstd"} {
		r := newRig(t, servers.ClickHouse(t), eventFields()...)
		r.exec(fmt.Sprintf(events, "MergeTree ORDER BY id"))
		r.conn.Compression = compression
		w, chunks := r.claim(r.open()), eventChunks(r, rows)
		batch := func() {
			if err := putBatch(r, w, chunks); err != nil {
				t.Fatal(err)
			}
			shift(chunks, rows)
		}
		batch()
		batch()
		if n := testing.AllocsPerRun(3, batch); n > rows/100 {
			t.Errorf("%s: %v allocations for %d rows", compression, n, rows)
		} else {
			t.Logf("%s: %v allocations for %d rows", compression, n, rows)
		}
	}
}

// TestSteadyStateOfTypes: so it is whatever the column is made of.
func TestSteadyStateOfTypes(t *testing.T) {
	const rows = 4000
	dict := record.Type{Kind: record.Map, Elem: &texts}
	list := record.Type{Kind: record.List, Elem: &texts}
	number := func(format string) func(int) any { return func(i int) any { return fmt.Sprintf(format, i) } }
	pair := func(i int) any { return []any{fmt.Sprint(i), "b"} }
	day := func(i int) any { return time.UnixMilli(1_760_000_000_000 + int64(i)) }
	for _, tc := range []struct {
		column string
		from   record.Type
		value  func(i int) any
	}{
		{"Array(LowCardinality(String))", list, pair}, {"Map(LowCardinality(String), Nullable(String))", dict, pair}, {"Enum8('a' = 1)", texts, func(int) any { return "a" }},
		{"JSON", objects, number(`{"a":%d,"b":{"c":["x",1.5]},"d\\u0061":"\\n"}`)}, {"IPv4", texts, number("1.2.3.%d")}, {"IPv6", texts, number("2001:db8::%x")},
		{"UUID", texts, number("61f0c404-5cb3-11e7-907b-%012x")}, {"FixedString(8)", texts, number("%d")}, {"LowCardinality(Nullable(String))", texts, number("%d")},
		{"Decimal(76, 10)", cents, number("-%d.25")}, {"Int256", whole, number("-%d")}, {"Date32", moments, day}, {"DateTime64(9, 'Europe/Berlin')", moments, day},
	} {
		t.Run(tc.column, func(t *testing.T) {
			r := newRig(t, servers.ClickHouse(t), record.Field{Name: "v", Type: tc.from})
			r.exec("CREATE TABLE $.t (v " + tc.column + ", " + provenance + ") ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 100")
			w := r.claim(r.open())
			var values [][]any
			for i := range rows {
				values = append(values, []any{tc.value(i % 256)})
			}
			chunks := []*record.Chunk{r.chunk(0, values...)}
			batch := func() {
				if err := putBatch(r, w, chunks); err != nil {
					t.Fatal(err)
				}
				shift(chunks, rows)
			}
			batch()
			batch()
			// Under the race detector encoding/json forgets some of what it keeps.
			valid := testing.AllocsPerRun(3, func() {
				for range rows {
					json.Valid([]byte("{}"))
				}
			})
			if n := testing.AllocsPerRun(3, batch); n > rows/10+2*valid {
				t.Errorf("%v allocations for %d rows, and %v for as many calls of json.Valid", n, rows, valid)
			}
		})
	}
}

func BenchmarkInsert(b *testing.B) {
	const rows = 100_000
	for _, engine := range []string{"MergeTree ORDER BY (type, campaign_id, time)"} {
		for _, compression := range []string{"none", "lz4", "zstd"} {
			b.Run(compression, func(b *testing.B) {
				r := newRig(b, servers.ClickHouse(b), eventFields()...)
				r.exec(fmt.Sprintf(events, engine))
				r.conn.Compression = compression
				w, chunks := r.claim(r.open()), eventChunks(r, rows)
				if err := putBatch(r, w, chunks); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					shift(chunks, rows)
					if err := putBatch(r, w, chunks); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

// BenchmarkAppend lays out rows, and gives them up.
func BenchmarkAppend(b *testing.B) {
	const rows = 100_000
	r := newRig(b, servers.ClickHouse(b), eventFields()...)
	r.exec(fmt.Sprintf(events, "MergeTree ORDER BY id"))
	w, chunks := r.claim(r.open()), eventChunks(r, rows)
	if err := putBatch(r, w, chunks); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n++; n%8 == 0 { // gives the memory back to its beginning
			b.StopTimer()
			shift(chunks, rows)
			if err := r.commit(w, cut(chunks[0].First, chunks[len(chunks)-1].Next)); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		for _, c := range chunks {
			if _, err := w.Append(b.Context(), c); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/rows, "ns/row")
}
