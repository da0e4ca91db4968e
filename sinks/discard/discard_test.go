package discard_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/discard"
)

var schema = &record.Schema{Fields: []record.Field{{Name: "id", Type: record.Type{Kind: record.Int}}}}

func chunk(partition int32, rows int) *record.Chunk {
	c := record.NewChunk(schema)
	c.Partition, c.Next = partition, int64(rows)
	for o := range int64(rows) {
		c.Columns[0].AppendInt(o)
		c.Offsets, c.Times = append(c.Offsets, o), append(c.Times, o)
	}
	return c
}

func open(t *testing.T, rows *atomic.Int64) sink.Sink {
	t.Helper()
	spec := discard.New(rows)
	s, err := spec.Open(t.Context(), sink.Config{Name: "nothing", Connection: "discard", Schema: schema, Options: spec.Options()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCountsWhatWasCommitted(t *testing.T) {
	var rows atomic.Int64
	s := open(t, &rows)
	var writers sync.WaitGroup
	for p := range int32(4) {
		writers.Go(func() {
			w, found, err := s.Claim(t.Context(), sink.Claim{Topic: "events", Partition: p, Partitions: 2})
			if err != nil || found.State != sink.NoMark || len(found.High) != 2 || found.High[1] != -1 {
				t.Errorf("claim: %+v, %v; want no mark", found, err)
				return
			}
			c := chunk(p, 100)
			for range 10 {
				size, err := w.Append(t.Context(), c)
				if err != nil || size != c.Size() {
					t.Errorf("append: size %d, %v; want %d since the last commit", size, err, c.Size())
				}
				if _, err := w.Stage(t.Context(), record.Cut{}); err != nil {
					t.Error(err)
				}
				if err := w.Commit(t.Context(), record.Cut{}, ""); err != nil {
					t.Error(err)
				}
			}
			if _, err := w.Append(t.Context(), c); err != nil { // never committed
				t.Error(err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if rows.Load() != 4000 {
		t.Errorf("%d rows, want 4000", rows.Load())
	}
}

func TestHonoursContext(t *testing.T) {
	var rows atomic.Int64
	w, _, err := open(t, &rows).Claim(t.Context(), sink.Claim{Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(t.Context(), chunk(0, 3)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Commit(ctx, record.Cut{}, ""); !sink.IsRefused(err) || rows.Load() != 0 {
		t.Errorf("got %v and %d rows, want a refusal and none", err, rows.Load())
	}
}

func TestSpec(t *testing.T) {
	spec := discard.Spec()
	if spec.Delivery != sink.AtLeastOnce || len(spec.Kinds) != len(record.Kinds()) || !spec.Grouped {
		t.Errorf("spec %+v, want at least once, all kinds, grouped rows", spec)
	}
	var file struct {
		Discard *discard.Options `yaml:"discard"`
	}
	if err := yaml.Unmarshal(spec.Example, &file); err != nil || file.Discard == nil || file.Discard.Validate() != nil {
		t.Errorf("example: %+v, %v", file, err)
	}
}

func BenchmarkAppend(b *testing.B) {
	var rows atomic.Int64
	spec := discard.New(&rows)
	s, err := spec.Open(b.Context(), sink.Config{Schema: schema, Options: spec.Options()})
	if err != nil {
		b.Fatal(err)
	}
	w, _, err := s.Claim(b.Context(), sink.Claim{Partitions: 1})
	if err != nil {
		b.Fatal(err)
	}
	c := chunk(0, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Append(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		if err := w.Commit(b.Context(), record.Cut{}, ""); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows.Load())/b.Elapsed().Seconds(), "rows/s")
}
