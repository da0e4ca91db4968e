package files_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/files"
)

func TestManyRowsInOneBatch(t *testing.T) {
	dir := t.TempDir()
	w, _ := claim(t, open(t, dir, "clicks"), slot("events", 0, 1))
	const rows = 200_000
	last := int64(0)
	for o := int64(0); o < rows; o += 5000 {
		size, err := w.Append(t.Context(), chunk(0, o, o+5000))
		if err != nil {
			t.Fatal(err)
		}
		if size < last || size == 0 {
			t.Fatalf("size went from %d to %d", last, size)
		}
		last = size
	}
	commit(t, w, cut("events", 0, 0, rows))
	same(t, dir, lines(0, 0, rows))
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*", "*", "*.zst"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("files %q, %v", paths, err)
	}
	for _, name := range paths {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if last < info.Size()/2 || last > info.Size()*2 {
			t.Errorf("size was %d, the file has %d bytes", last, info.Size())
		}
	}
	if size, err := w.Append(t.Context(), chunk(0, rows, rows+1)); err != nil || size > 100 {
		t.Errorf("size after the commit is %d, %v; want that of one row", size, err)
	}
}

func TestOneHugeValue(t *testing.T) {
	dir := t.TempDir()
	w, _ := claim(t, open(t, dir, "clicks"), slot("events", 0, 1))
	text := make([]byte, 16<<20)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range text {
		text[i] = byte('a' + r.IntN(26))
	}
	c := record.NewChunk(schema)
	c.Columns[0].AppendInt(1)
	c.Columns[1].AppendBytes(text)
	c.Offsets, c.Times = []int64{1}, []int64{0}
	if _, err := w.Append(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	commit(t, w, cut("events", 0, 1, 2))
	for name, got := range visible(t, dir) {
		var row struct{ Text string }
		if err := json.Unmarshal([]byte(got), &row); err != nil || row.Text != string(text) {
			t.Errorf("%s: %d bytes came back, %v", name, len(row.Text), err)
		}
	}
}

// TestFileIsOneFrame is for readers that stop silently behind the first frame.
func TestFileIsOneFrame(t *testing.T) {
	dir := t.TempDir()
	w, _ := claim(t, open(t, dir, "clicks"), slot("events", 0, 1))
	write(t, w, cut("events", 0, 0, 100_000))
	for name := range visible(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the test's own folder
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b, []byte{0x28, 0xb5, 0x2f, 0xfd}); n != 1 {
			t.Errorf("%s has %d frames, want 1", name, n)
		}
	}
}

// TestRefusedRowsLeaveNothing has a chunk with one row that is not UTF-8: after
// it, nothing of the chunk is kept.
func TestRefusedRowsLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "clicks")
	w, _ := claim(t, s, slot("events", 0, 1))
	if _, err := w.Append(t.Context(), chunk(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	bad := chunk(0, 10, 12)
	bad.Columns[0].AppendInt(12)
	bad.Columns[1].AppendString("\xff")
	bad.Offsets, bad.Times = append(bad.Offsets, 12), append(bad.Times, 0)
	_, err := w.Append(t.Context(), bad)
	var rows *sink.RowsError
	if !errors.As(err, &rows) || len(rows.Rows) != 1 || rows.Rows[0].Offset != 12 || !sink.IsRefused(err) {
		t.Fatalf("got %v, want offset 12 refused", err)
	}
	write(t, w, cut("events", 0, 10, 12)) // on top of the first ten
	same(t, dir, lines(0, 0, 12))
}

func TestGroupedRowsAndEveryKind(t *testing.T) {
	spec := files.Spec()
	if !spec.Grouped || len(spec.Kinds) != len(record.Kinds()) || spec.Delivery != sink.Replay || spec.Connection != nil {
		t.Errorf("spec %+v, want grouped rows, every kind, replay, no connection", spec)
	}
	dir := t.TempDir()
	w, _ := claim(t, open(t, dir, "clicks"), slot("events", 0, 1))
	c := chunk(0, 3, 5)
	c.Partition = -1
	if _, err := w.Append(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	commit(t, w, cut("events", 0, 0, 100))
	same(t, dir, lines(0, 3, 5))
}

func TestOrderOfCalls(t *testing.T) {
	dir := t.TempDir()
	w, _ := claim(t, open(t, dir, "clicks"), slot("events", 0, 1))
	c := cut("events", 0, 0, 10)
	if _, err := w.Append(t.Context(), chunk(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), c, ""); err == nil {
		t.Error("a batch was committed that was not staged")
	}
	if _, err := w.Stage(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(t.Context(), chunk(0, 10, 11)); err == nil {
		t.Error("rows were taken for a batch that is staged")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if all, left := visible(t, dir), temps(t, dir); len(all)+len(left) != 0 {
		t.Errorf("closed without a commit: %v and %q are left", all, left)
	}
}

func TestHonoursContext(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "clicks")
	w, _ := claim(t, s, slot("events", 0, 1))
	c := cut("events", 0, 0, 10)
	if err := stage(w, c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, claimErr := s.Claim(ctx, slot("events", 1, 1))
	_, appendErr := w.Append(ctx, chunk(0, 0, 1))
	_, stageErr := w.Stage(ctx, c)
	for i, err := range []error{claimErr, appendErr, stageErr, w.Commit(ctx, c, "")} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: got %v, want context.Canceled", i, err)
		}
	}
	if len(visible(t, dir)) != 0 {
		t.Error("a cancelled commit wrote a file")
	}
}

func TestPermissions(t *testing.T) {
	old := syscall.Umask(0)
	t.Cleanup(func() { syscall.Umask(old) })
	dir := filepath.Join(t.TempDir(), "root")
	w, _ := claim(t, open(t, dir, "clicks"), slot("events", 0, 1))
	write(t, w, cut("events", 0, 0, 10))
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		want := fs.FileMode(0o640)
		if e.IsDir() {
			want = fs.ModeDir | 0o750
		}
		if i, err := e.Info(); err != nil || i.Mode() != want {
			t.Errorf("%s has mode %s, want %s (%v)", name, i.Mode(), want, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFolderThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{file, filepath.Join(file, "below"), filepath.Join(dir, strings.Repeat("x", 300))} {
		if _, err := tryOpen(d, "clicks"); !sink.IsPermanent(err) {
			t.Errorf("dir %.40s…: got %v, want a permanent error", d, err)
		}
	}
	missing := filepath.Join(dir, "missing")
	if _, err := tryOpen(missing, "clicks", func(o *files.Options) { o.Create = false }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("create: false with no folder: got %v", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("the folder was made all the same")
	}
	if err := os.Mkdir(missing, 0o750); err != nil {
		t.Fatal(err)
	}
	open(t, missing, "clicks", func(o *files.Options) { o.Create = false })
}

func TestNameTakenByAFolder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "clicks")
	w, _ := claim(t, s, slot("events", 0, 1))
	c := cut("events", 0, 0, 10)
	write(t, w, c)
	for name := range visible(t, dir) {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.Remove(name), os.Mkdir(name, 0o750)); err != nil {
			t.Fatal(err)
		}
	}
	if err := stage(w, c); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), c, ""); !sink.IsPermanent(err) {
		t.Errorf("got %v, want a permanent error", err)
	}
}

// failing answers with an error to every write or rename.
type failing struct {
	*powerFS
	write, rename error
}

func (f failing) OpenFile(name string, flag int, perm fs.FileMode) (files.Handle, error) {
	h, err := f.powerFS.OpenFile(name, flag, perm)
	if err == nil && flag&os.O_CREATE != 0 && f.write != nil {
		h = full{h, f.write}
	}
	return h, err
}

func (f failing) Rename(from, to string) error {
	if f.rename != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: f.rename}
	}
	return f.powerFS.Rename(from, to)
}

type full struct {
	files.Handle
	err error
}

func (f full) Write([]byte) (int, error) { return 0, &fs.PathError{Op: "write", Path: "x", Err: f.err} }

func TestDiskErrors(t *testing.T) {
	f := func(in failing, permanent bool) {
		t.Helper()
		o := files.Spec().Options().(*files.Options)
		s, err := files.OpenOn(in, sink.Config{Name: "clicks", Connection: "files", Schema: schema, Options: o, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		w, _ := claim(t, s, slot("events", 0, 1))
		c := cut("events", 0, 0, 20_000)
		if err = stage(w, c); err == nil {
			err = w.Commit(t.Context(), c, "")
		}
		cause := errors.Join(in.write, in.rename)
		if err == nil || sink.IsPermanent(err) != permanent || sink.IsRefused(err) || !strings.Contains(err.Error(), cause.Error()) {
			t.Errorf("%v: got %v, permanent %v; want permanent %v", cause, err, sink.IsPermanent(err), permanent)
		}
		if err != nil && strings.Contains(err.Error(), "row 1") {
			t.Errorf("%v holds values of rows", err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	f(failing{powerFS: newPowerFS(), write: syscall.ENOSPC}, true)
	f(failing{powerFS: newPowerFS(), write: syscall.EIO}, false)
	f(failing{powerFS: newPowerFS(), write: syscall.EROFS}, true)
	f(failing{powerFS: newPowerFS(), rename: syscall.EXDEV}, true)
	f(failing{powerFS: newPowerFS(), rename: syscall.EACCES}, true)
	f(failing{powerFS: newPowerFS(), rename: syscall.EIO}, false)
}

func TestBrokenMark(t *testing.T) {
	for _, text := range []string{"", "{", `{"version":2,"sink":"clicks@files"}`, `{"version":1,"sink":"other@files"}`, strings.Repeat("[", 1<<20)} {
		dir := t.TempDir()
		s := open(t, dir, "clicks")
		w, _ := claim(t, s, slot("events", 0, 1))
		write(t, w, cut("events", 0, 0, 1))
		marks, err := filepath.Glob(filepath.Join(dir, "_sluice", "marks", "*"))
		if err != nil || len(marks) != 1 {
			t.Fatalf("marks %q, %v", marks, err)
		}
		if err := os.WriteFile(marks[0], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Claim(t.Context(), slot("events", 0, 1)); !sink.IsPermanent(err) {
			t.Errorf("mark %.20q: got %v, want a permanent error", text, err)
		}
	}
}

func TestOptions(t *testing.T) {
	f := func(change func(o *files.Options), path string) {
		t.Helper()
		o := files.Spec().Options().(*files.Options)
		o.Dir = "/x"
		change(o)
		err := o.Validate()
		var field *sink.FieldError
		switch {
		case path == "" && err != nil:
			t.Errorf("%+v: %v", o, err)
		case path != "" && (!errors.As(err, &field) || field.Path != path):
			t.Errorf("%+v: got %v, want a mistake in %s", o, err, path)
		}
	}
	f(func(o *files.Options) {}, "")
	f(func(o *files.Options) { o.Dir = "" }, "dir")
	f(func(o *files.Options) { o.Format = "parquet" }, "format")
	f(func(o *files.Options) { o.Format = "csv" }, "format")
	f(func(o *files.Options) { o.Compression = "gzip" }, "compression")
	f(func(o *files.Options) { o.Level = 0 }, "level")
	f(func(o *files.Options) { o.Level = 20 }, "level")
	for _, folder := range []string{".", "{topic}", "a/b/{sink}", "topic={topic}/partition={partition}", "{sink}-{topic}"} {
		f(func(o *files.Options) { o.Folder = folder }, "")
	}
	for _, folder := range []string{"", "/a", "a/", "a//b", "..", "a/../b", "./a", "_sluice", "_sluice/tmp", ".a", "%Y/%m", "{time}", "{topic", "a b", "a\x00",
		strings.Repeat("a", 256), strings.Repeat("{topic}", 3), strings.Repeat("a/", 600) + "a", "é"} {
		f(func(o *files.Options) { o.Folder = folder }, "folder")
	}
}

// TestExample reads example.yaml as strictly as the program does, and wants
// every option in it, at its default unless it has none.
func TestExample(t *testing.T) {
	var file map[string]yaml.Node
	if err := yaml.Unmarshal(files.Spec().Example, &file); err != nil {
		t.Fatal(err)
	}
	node := file["files"]
	text, err := yaml.Marshal(&node)
	if err != nil {
		t.Fatal(err)
	}
	var o files.Options
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&o); err != nil {
		t.Fatal(err)
	}
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	want := files.Spec().Options().(*files.Options)
	want.Dir = o.Dir
	if o != *want {
		t.Errorf("example has %+v, defaults are %+v", o, want)
	}
	var given map[string]any
	if err := node.Decode(&given); err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeOf(o).NumField() {
		key := reflect.TypeOf(o).Field(i).Tag.Get("yaml")
		if _, ok := given[key]; !ok || !strings.Contains(files.Spec().Summary, "exact") {
			t.Errorf("option %q is not in example.yaml", key)
		}
	}
}

// TestNothingIsLeftRunning counts goroutines and open files.
func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	dir := t.TempDir()
	for range 5 {
		s, err := tryOpen(dir, "clicks")
		if err != nil {
			t.Fatal(err)
		}
		w, _ := claim(t, s, slot("events", 0, 1))
		if _, err := w.Append(t.Context(), chunk(0, 0, 20_000)); err != nil { // a file and a compressor are open
			t.Fatal(err)
		}
		if err := errors.Join(w.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
	if left := temps(t, dir); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// BenchmarkBatch writes batches of 100,000 rows, fsyncs included.
func BenchmarkBatch(b *testing.B) {
	for _, compression := range []string{"zstd", "none"} {
		b.Run(compression, func(b *testing.B) {
			s, err := tryOpen(b.TempDir(), "clicks", func(o *files.Options) { o.Compression = compression })
			if err != nil {
				b.Fatal(err)
			}
			w, _, err := s.Claim(b.Context(), slot("events", 0, 1))
			if err != nil {
				b.Fatal(err)
			}
			rows := chunk(0, 0, 5000)
			b.ReportAllocs()
			at := int64(0)
			for b.Loop() {
				for range 20 {
					if _, err := w.Append(b.Context(), rows); err != nil {
						b.Fatal(err)
					}
				}
				c := cut("events", 0, at, at+100_000)
				at += 100_000
				if _, err := w.Stage(b.Context(), c); err != nil {
					b.Fatal(err)
				}
				if err := w.Commit(b.Context(), c, ""); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(at)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
