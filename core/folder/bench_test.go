package folder_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/sluicekit/sluice/core/folder"
	"github.com/sluicekit/sluice/core/source"
)

// bench is a folder with files and a state folder.
type bench struct {
	t   *testing.T
	dir string
	o   folder.Options
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, dir: dir, o: folder.Options{
		Name: "events", Paths: []string{filepath.Join(dir, "logs", "*")}, State: filepath.Join(dir, "state"),
		Poll: 5 * time.Millisecond, MaxLine: 1000, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, "logs", name) }

func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) add(name, text string) {
	b.t.Helper()
	f, err := os.OpenFile(b.path(name), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) rename(from, to string) {
	b.t.Helper()
	if err := os.Rename(b.path(from), b.path(to)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) remove(name string) {
	b.t.Helper()
	if err := os.Remove(b.path(name)); err != nil {
		b.t.Fatal(err)
	}
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstandard(t *testing.T, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

// lines are n lines of some length that no other prefix gives.
func lines(prefix string, from, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s %d\n", prefix, from+i)
	}
	return b.String()
}

// live is a source that runs, and a reader of its partition 0.
type live struct {
	t      *testing.T
	s      *folder.Source
	m      *folder.Member
	g      *folder.Generation
	c      *folder.Cursor
	at     int64
	closed bool
}

func (b *bench) start() *live {
	b.t.Helper()
	s, err := folder.Open(b.o)
	if err != nil {
		b.t.Fatal(err)
	}
	l := &live{t: b.t, s: s, m: s.Member()}
	if l.g, err = l.m.Join(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	l.c = s.Cursor(0, 20*time.Millisecond)
	b.t.Cleanup(l.stop)
	return l
}

func (l *live) stop() {
	if l.closed {
		return
	}
	l.closed = true
	l.c.Close()
	if err := l.m.Leave(context.Background()); err != nil {
		l.t.Error(err)
	}
	if err := l.s.Close(); err != nil {
		l.t.Error(err)
	}
}

// read gives the records that one fetch brings.
func (l *live) read() ([]source.Record, error) {
	if err := l.c.Fetch(l.t.Context(), l.at); err != nil {
		return nil, err
	}
	var out []source.Record
	next := l.at
	for {
		r, ok := l.c.Next()
		if !ok {
			break
		}
		r.Value = bytes.Clone(l.c.Original(r))
		if v := l.c.Verdict(); v != "" {
			r.Value = []byte("BAD: " + v)
		}
		out = append(out, r)
		next = r.Offset + 1
	}
	next, err := l.c.Ended(next)
	l.at = next
	return out, err
}

// until reads until n records have come, and a little longer, so that one too
// many is seen.
func (l *live) until(n int) []string {
	l.t.Helper()
	var out []string
	deadline := time.Now().Add(2 * time.Minute)
	for len(out) < n && time.Now().Before(deadline) {
		out = append(out, l.some()...)
	}
	for range 4 {
		out = append(out, l.some()...)
	}
	return out
}

func (l *live) some() []string {
	list, err := l.read()
	if err != nil && errors.As(err, new(*folder.GoneError)) {
		l.t.Fatal(err)
	}
	var out []string
	for _, r := range list {
		out = append(out, string(r.Value))
	}
	return out
}

// all reads to the end of what there is, without follow.
func (l *live) all() ([]string, error) {
	l.t.Helper()
	var out []string
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		ends, failure := l.s.Complete()
		if ends != nil && l.at >= ends[0] {
			return out, failure
		}
		list, err := l.read()
		if errors.As(err, new(*folder.GoneError)) || errors.As(err, new(*folder.BeyondError)) {
			return out, err
		}
		for _, r := range list {
			out = append(out, string(r.Value))
		}
	}
	l.t.Fatal("it does not come to an end")
	return nil, nil
}

func want(t *testing.T, got []string, text string) {
	t.Helper()
	if g := strings.Join(got, "\n") + "\n"; g != text && (text != "" || len(got) > 0) {
		t.Fatalf("got %d lines:\n%.2000s\nwant:\n%.2000s", len(got), g, text)
	}
}
