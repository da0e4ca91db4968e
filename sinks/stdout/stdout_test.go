package stdout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/stdout"
)

var schema = &record.Schema{Fields: []record.Field{
	{Name: "partition", Type: record.Type{Kind: record.Int}},
	{Name: "offset", Type: record.Type{Kind: record.Int}},
	{Name: "share", Type: record.Type{Kind: record.Float}, Nullable: true},
}}

func chunk(partition int32, first, next int64) *record.Chunk {
	c := record.NewChunk(schema)
	c.Partition, c.First, c.Next = partition, first, next
	for o := first; o < next; o++ {
		c.Columns[0].AppendInt(int64(partition))
		c.Columns[1].AppendInt(o)
		c.Columns[2].AppendNull()
		c.Offsets, c.Times = append(c.Offsets, o), append(c.Times, o)
	}
	return c
}

func cut(partition int32, first, next int64) record.Cut {
	return record.Cut{Topic: "events", Partition: partition, Ranges: []record.Range{{First: first, Next: next}}}
}

func open(t *testing.T, out io.Writer, partition int32) (sink.Sink, sink.Writer) {
	t.Helper()
	spec := stdout.New(out)
	s, err := spec.Open(t.Context(), sink.Config{Name: "look", Connection: "stdout", Schema: schema, Options: spec.Options()})
	if err != nil {
		t.Fatal(err)
	}
	w, found, err := s.Claim(t.Context(), sink.Claim{Topic: "events", Incarnation: "c/t", Partition: partition, Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	if found.State != sink.NoMark || len(found.High) != 1 || found.High[0] != -1 {
		t.Fatalf("found %+v, want no mark", found)
	}
	return s, w
}

func TestPrintsAtCommitOnly(t *testing.T) {
	var out bytes.Buffer
	s, w := open(t, &out, 2)
	size, err := w.Append(t.Context(), chunk(2, 0, 2))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"partition":2,"offset":0,"share":null}` + "\n" + `{"partition":2,"offset":1,"share":null}` + "\n"
	if size != int64(len(want)) {
		t.Errorf("size %d, want %d", size, len(want))
	}
	if _, err := w.Stage(t.Context(), cut(2, 0, 5)); err != nil {
		t.Fatal(err)
	}
	if out.Len() != 0 {
		t.Fatalf("printed before the commit: %q", out.String())
	}
	for range 2 { // the second has no rows left to print
		if err := w.Commit(t.Context(), cut(2, 0, 5), ""); err != nil {
			t.Fatal(err)
		}
	}
	if out.String() != want {
		t.Fatalf("got %q, want %q", out.String(), want)
	}
	if err := errors.Join(w.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestDropsWhatWasNotCommitted(t *testing.T) {
	var out bytes.Buffer
	_, w := open(t, &out, 0)
	if _, err := w.Append(t.Context(), chunk(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if out.Len() != 0 {
		t.Fatalf("printed without a commit: %q", out.String())
	}
}

func TestNamesRowsThatJSONCannotHold(t *testing.T) {
	var out bytes.Buffer
	_, w := open(t, &out, 0)
	c := chunk(0, 7, 8)
	c.Columns[2].Reset()
	var zero float64
	c.Columns[2].AppendFloat(zero / zero)
	_, err := w.Append(t.Context(), c)
	var rows *sink.RowsError
	if !errors.As(err, &rows) || len(rows.Rows) != 1 || rows.Rows[0].Offset != 7 || !strings.Contains(rows.Rows[0].Reason, "share") {
		t.Fatalf("got %v, want offset 7 refused for its field share", err)
	}
}

func TestWritersDoNotMixLines(t *testing.T) {
	r, out := io.Pipe()
	var got bytes.Buffer
	var reading sync.WaitGroup
	reading.Go(func() { io.Copy(&got, r) }) //nolint:errcheck // a pipe in memory
	spec := stdout.New(out)
	s, err := spec.Open(t.Context(), sink.Config{Schema: schema, Options: spec.Options()})
	if err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	for p := range int32(4) {
		writing.Go(func() {
			w, _, err := s.Claim(t.Context(), sink.Claim{Partition: p, Partitions: 1})
			for i := int64(0); i < 50 && err == nil; i++ {
				if _, err = w.Append(t.Context(), chunk(p, i*10, i*10+10)); err == nil {
					err = w.Commit(t.Context(), cut(p, i*10, i*10+10), "")
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	out.Close() //nolint:errcheck // a pipe in memory
	reading.Wait()
	next := map[int]int{}
	for _, line := range strings.Split(strings.TrimSuffix(got.String(), "\n"), "\n") {
		var p, o int
		if _, err := fmt.Sscanf(line, `{"partition":%d,"offset":%d,"share":null}`, &p, &o); err != nil || o != next[p] {
			t.Fatalf("line %q: want offset %d of partition %d (%v)", line, next[p], p, err)
		}
		next[p]++
	}
	for p := range 4 {
		if next[p] != 500 {
			t.Errorf("%d lines of partition %d, want 500", next[p], p)
		}
	}
}

// TestHonoursContextWhileAnotherWrites has one writer blocked by its reader:
// the other one must still give up when it is told to.
func TestHonoursContextWhileAnotherWrites(t *testing.T) {
	r, out := io.Pipe()
	spec := stdout.New(out)
	s, err := spec.Open(t.Context(), sink.Config{Schema: schema, Options: spec.Options()})
	if err != nil {
		t.Fatal(err)
	}
	commit := func(ctx context.Context, p int32) error {
		w, _, err := s.Claim(ctx, sink.Claim{Partition: p, Partitions: 1})
		if err != nil {
			return err
		}
		if _, err := w.Append(ctx, chunk(p, 0, 3)); err != nil {
			return err
		}
		return w.Commit(ctx, cut(p, 0, 3), "")
	}
	blocked := make(chan error)
	go func() { blocked <- commit(t.Context(), 0) }()
	if _, err := r.Read(make([]byte, 1)); err != nil { // it is in its write now
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := commit(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || !sink.IsRefused(err) {
		t.Fatalf("got %v, want the deadline, refused", err)
	}
	r.Close() //nolint:errcheck // a pipe in memory
	if err := <-blocked; !errors.Is(err, io.ErrClosedPipe) || sink.IsRefused(err) {
		t.Fatalf("reader gone: got %v, want an unknown outcome", err)
	}
}

func TestSpec(t *testing.T) {
	spec := stdout.Spec()
	if spec.Delivery != sink.AtLeastOnce || !strings.Contains(spec.Summary, "at least once") {
		t.Errorf("summary %q of delivery %s does not warn", spec.Summary, spec.Delivery)
	}
	if len(spec.Kinds) != len(record.Kinds()) || !spec.Grouped || spec.Connection != nil {
		t.Errorf("spec %+v, want all kinds, grouped rows, no connection", spec)
	}
	var file struct {
		Stdout *stdout.Options `yaml:"stdout"`
	}
	if err := yaml.Unmarshal(spec.Example, &file); err != nil || file.Stdout == nil || file.Stdout.Validate() != nil {
		t.Errorf("example: %+v, %v", file, err)
	}
}
