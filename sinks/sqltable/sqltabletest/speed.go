package sqltabletest

import (
	"fmt"
	"testing"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// Speed measures rows per second of each mode, in commits of 100,000 rows of
// six columns, from Append to the end of the commit.
func Speed(b *testing.B, target Target) {
	const n = 100_000
	for _, mode := range []string{sqltable.Insert, sqltable.Upsert, sqltable.Add} {
		// new: keys that are not there; same: keys that are.
		for _, again := range []bool{false, true} {
			if again && mode == sqltable.Insert {
				continue
			}
			b.Run(fmt.Sprintf("%s/there=%t", mode, again), func(b *testing.B) {
				schema := wideSchema(mode)
				bench := NewBench(b, target, schema, func(o *sqltable.Options) {
					if o.Mode = mode; mode != sqltable.Add {
						o.Key = []string{"id"}
					}
				})
				w, _ := bench.Claim(bench.Open(), Slot(0, 1))
				commits := int64(0)
				commit := func(from int) {
					chunk := wideRows(schema, from, n, mode == sqltable.Add)
					b.StartTimer()
					speedCommit(b, w, chunk, commits, n)
					b.StopTimer()
					commits++
				}
				if again {
					commit(0)
				}
				b.ResetTimer()
				b.StopTimer()
				for i := range b.N {
					if again {
						i = -1
					}
					commit((i + 1) * n)
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

func speedCommit(b *testing.B, w sink.Writer, chunk *record.Chunk, commits, n int64) {
	b.Helper()
	if _, err := w.Append(b.Context(), chunk); err != nil {
		b.Fatal(err)
	}
	if err := w.Commit(b.Context(), Cut(0, commits*n, (commits+1)*n), ""); err != nil {
		b.Fatal(err)
	}
}

func wideSchema(mode string) *record.Schema {
	s := &record.Schema{Fields: []record.Field{
		{Name: "id", Type: intType}, {Name: "amount", Type: decimal(18, 6)}, {Name: "events", Type: intType},
		{Name: "at", Type: timeType}, {Name: "name", Type: textType}, {Name: "rate", Type: record.Type{Kind: record.Float}}}}
	if mode == sqltable.Add {
		for i, m := range []record.Merge{record.MergeKey, record.MergeAdd, record.MergeAdd, record.MergeMax, record.MergeLast, record.MergeMin} {
			s.Fields[i].Merge = m
		}
		s.Fields[4].Order = "at"
	}
	return s
}

func wideRows(s *record.Schema, from, n int, grouped bool) *record.Chunk {
	c := record.NewChunk(s)
	if grouped {
		c.Partition = -1
	}
	for i := range n {
		id := from + i*7919%n // not in the order of the key
		c.Columns[0].AppendInt(int64(id))
		c.Columns[1].AppendDec(record.Dec{Lo: uint64(id) * 1_234_567})
		c.Columns[2].AppendInt(int64(i))
		c.Columns[3].AppendInt(1_790_000_000_000_000 + int64(i))
		c.Columns[4].AppendString("a name of usual length")
		c.Columns[5].AppendFloat(float64(i) / 3)
		c.Offsets = append(c.Offsets, int64(from+i))
	}
	return c
}
