package files_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/files"
)

var schema = &record.Schema{Fields: []record.Field{
	{Name: "id", Type: record.Type{Kind: record.Int}},
	{Name: "text", Type: record.Type{Kind: record.String}, Nullable: true},
}}

// open opens a sink of type files on dir.
func open(t *testing.T, dir, name string, change ...func(*files.Options)) sink.Sink {
	t.Helper()
	s, err := tryOpen(dir, name, change...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func tryOpen(dir, name string, change ...func(*files.Options)) (sink.Sink, error) {
	spec := files.Spec()
	o := spec.Options().(*files.Options)
	o.Dir = dir
	for _, f := range change {
		f(o)
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return spec.Open(context.Background(), sink.Config{
		Name: name, Connection: "files", Schema: schema, Options: o, Timeout: time.Minute,
		Delivery: sink.Replay, Log: slog.New(slog.DiscardHandler),
	})
}

func slot(topic string, partition int32, partitions int) sink.Claim {
	return sink.Claim{Topic: topic, Incarnation: "cluster/one", Partition: partition, Partitions: partitions}
}

func claim(t *testing.T, s sink.Sink, c sink.Claim) (sink.Writer, sink.Found) {
	t.Helper()
	w, found, err := s.Claim(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return w, found
}

// chunk makes the rows of [first, next) of a partition.
func chunk(partition int32, first, next int64) *record.Chunk {
	c := record.NewChunk(schema)
	c.Partition, c.First, c.Next = partition, first, next
	for o := first; o < next; o++ {
		c.Columns[0].AppendInt(o)
		c.Columns[1].AppendString(fmt.Sprintf("row %d of %d", o, partition))
		c.Offsets = append(c.Offsets, o)
		c.Times = append(c.Times, 1_700_000_000_000+o)
	}
	return c
}

// lines are what the chunk's rows look like in a file.
func lines(partition int32, first, next int64) string {
	var b strings.Builder
	for o := first; o < next; o++ {
		fmt.Fprintf(&b, "{\"id\":%d,\"text\":\"row %d of %d\"}\n", o, o, partition)
	}
	return b.String()
}

func cut(topic string, partition int32, ranges ...int64) record.Cut {
	c := record.Cut{Topic: topic, Partition: partition}
	for i := 0; i < len(ranges); i += 2 {
		c.Ranges = append(c.Ranges, record.Range{First: ranges[i], Next: ranges[i+1]})
	}
	return c
}

// stage appends the rows of a cut and stages it.
func stage(w sink.Writer, c record.Cut) error {
	for i, r := range c.Ranges {
		if r.Next > r.First {
			if _, err := w.Append(context.Background(), chunk(c.Partition+int32(i), r.First, r.Next)); err != nil {
				return err
			}
		}
	}
	_, err := w.Stage(context.Background(), c)
	return err
}

func write(t *testing.T, w sink.Writer, c record.Cut) {
	t.Helper()
	if err := stage(w, c); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(context.Background(), c, ""); err != nil {
		t.Fatal(err)
	}
}

// commit stages and commits what was appended.
func commit(t *testing.T, w sink.Writer, c record.Cut) {
	t.Helper()
	if _, err := w.Stage(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), c, ""); err != nil {
		t.Fatal(err)
	}
}

// visible maps the path of every file of rows below dir to its rows.
func visible(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() == "_sluice" {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if !e.IsDir() {
			rel, _ := filepath.Rel(dir, name)
			all[rel] = content(t, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func content(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".zst") {
		d, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		var out bytes.Buffer
		if _, err := out.ReadFrom(d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return out.String()
	}
	return string(b)
}

func temps(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "_sluice", "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}

// same compares the rows of all files, in the order of their names.
func same(t *testing.T, dir, want string) {
	t.Helper()
	all := visible(t, dir)
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	slices.Sort(names)
	var got strings.Builder
	for _, n := range names {
		got.WriteString(all[n])
	}
	if got.String() != want {
		t.Fatalf("rows in %q:\ngot  %.300q\nwant %.300q", names, got.String(), want)
	}
}

func TestOneFilePerBatch(t *testing.T) {
	for _, compression := range []string{"zstd", "none"} {
		dir := filepath.Join(t.TempDir(), "not", "there")
		s := open(t, dir, "clicks", func(o *files.Options) { o.Compression = compression })
		w, found := claim(t, s, slot("events", 3, 1))
		if found.State != sink.Empty || found.High[0] != -1 || found.OtherIncarnation != "" {
			t.Fatalf("a new folder: found %+v", found)
		}
		write(t, w, cut("events", 3, 1200, 1300))
		write(t, w, cut("events", 3, 1300, 1301))
		write(t, w, cut("events", 3, 1301, 1400)) // of which another writer reads nothing
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		same(t, dir, lines(3, 1200, 1400))
		if n := len(visible(t, dir)); n != 3 {
			t.Fatalf("%d files, want 3", n)
		}
		if left := temps(t, dir); len(left) != 0 {
			t.Fatalf("left behind: %q", left)
		}
		_, found = claim(t, s, slot("events", 3, 1))
		if found.State != sink.Has || found.High[0] != 1400 {
			t.Fatalf("after three batches: found %+v", found)
		}
	}
}
