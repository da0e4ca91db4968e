package app_test

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite"
)

const fileStreams = `streams:
  events:
    files: {paths: logs/app.log*, state: state, follow: true}
    format: json
    envelope: {id: id}
    types: {id: string, time: timestamp, payload.n: int, payload.who: string}
    dead_letters: {dir: dead}
connections:
  local: {sqlite: {file: out.db}}
---
sink: rows
from: events
fields: {id: id, n: payload.n}
batch: {rows: 700, age: 100ms}
on_bad_record: dead_letter
sqlite: {connection: local, table: events, mode: insert, create: true}
---
sink: sums
from: events
fields: {who: payload.who, n: payload.n}
aggregate: {by: [who], columns: {total: sum(n), events: count()}}
batch: {rows: 500, age: 80ms}
on_bad_record: dead_letter
sqlite: {connection: local, table: sums, mode: add, create: true}
---
sink: archive
from: events
fields: {id: id}
batch: {rows: 900, age: 120ms}
on_bad_record: dead_letter
files: {dir: archive}
`

// logWriter writes events into a log, in pieces that end anywhere, and rotates it
// in every way: renamed, compressed later, now and then a line that is broken.
type logWriter struct {
	dir  string
	rng  *rand.Rand
	n    int
	bad  int
	turn int
}

func (w *logWriter) path(name string) string { return filepath.Join(w.dir, "logs", name) }

func (w *logWriter) write(t *testing.T, events int) {
	f, err := os.OpenFile(w.path("app.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	var b []byte
	for range events {
		if w.rng.IntN(500) == 0 {
			w.bad++
			b = fmt.Appendf(b, "{\"id\":\"broken %d\n", w.bad)
			continue
		}
		b = fmt.Appendf(b, `{"id":"e%d","time":"2024-01-01T00:00:00Z","payload":{"n":%d,"who":"w%d"}}`+"\n", w.n, w.n, w.n%7)
		w.n++
	}
	for len(b) > 0 {
		n := min(1+w.rng.IntN(4000), len(b))
		if _, err := f.Write(b[:n]); err != nil {
			t.Error(err)
			return
		}
		b = b[n:]
	}
}

func (w *logWriter) rotate(t *testing.T) {
	w.turn++
	old := w.path(fmt.Sprintf("app.log.%04d", w.turn))
	if err := os.Rename(w.path("app.log"), old); err != nil {
		t.Error(err)
		return
	}
	if w.turn%2 == 0 {
		return
	}
	text, err := os.ReadFile(old)
	if err != nil {
		t.Error(err)
		return
	}
	f, err := os.Create(old + ".gz")
	if err != nil {
		t.Error(err)
		return
	}
	z := gzip.NewWriter(f)
	z.Write(text[:len(text)/2])
	z.Flush()
	time.Sleep(5 * time.Millisecond)
	z.Write(text[len(text)/2:])
	z.Close()
	f.Close()
	os.Remove(old)
}

// TestFilesKilled kills sluice with SIGKILL again and again while a log is written
// and rotated: in every sink each event ends up once.
func TestFilesKilled(t *testing.T) {
	rounds, seed := 12, rand.Uint64()
	if testing.Short() {
		rounds = 5
	}
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "sluice.yaml")
	put(t, config, fileStreams)
	w := &logWriter{dir: dir, rng: rand.New(rand.NewPCG(seed, 2))}
	w.write(t, 20_000)
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(w.rng.IntN(20)) * time.Millisecond):
			}
			w.write(t, w.rng.IntN(200))
			if i%15 == 0 {
				w.rotate(t)
			}
		}
	})
	for range rounds {
		c := sluiceRun(t, config)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(100+rng.IntN(600)) * time.Millisecond)
		c.Process.Kill()
		c.Wait()
	}
	close(stop)
	writing.Wait()
	put(t, config, strings.Replace(fileStreams, ", follow: true", "", 1))
	c := sluiceRun(t, config)
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Run(); err != nil {
		left, _ := filepath.Glob(filepath.Join(dir, "logs", "*"))
		t.Fatalf("%v\n%s\n%q", err, said.String(), left)
	}
	t.Logf("%d events, %d broken lines, %d rotations", w.n, w.bad, w.turn)
	checkDatabase(t, filepath.Join(dir, "out.db"), w.n)
	checkArchive(t, filepath.Join(dir, "archive"), w.n)
	checkLetters(t, filepath.Join(dir, "dead"), w.bad)
}

// sluiceRun is the program in a process of its own, in its YAML file's folder.
func sluiceRun(t *testing.T, config string) *exec.Cmd {
	t.Helper()
	c := process(t, "SLUICE_TEST_ALL_SINKS=1", "run", "-c", config)
	c.Dir = filepath.Dir(config)
	return c
}

func checkDatabase(t *testing.T, path string, n int) {
	t.Helper()
	db := openDatabase(t, path)
	var rows, ids, sum, total, events int
	if err := db.QueryRow("SELECT count(*), count(DISTINCT id), sum(n) FROM events").Scan(&rows, &ids, &sum); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow("SELECT sum(total), sum(events) FROM sums").Scan(&total, &events); err != nil {
		t.Fatal(err)
	}
	if expect := n * (n - 1) / 2; rows != n || ids != n || sum != expect || total != expect || events != n {
		t.Errorf("%d rows with %d ids and a sum of %d; sums of %d events, %d; there are %d events, %d", rows, ids, sum, events, total, n, expect)
	}
}

func openDatabase(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func checkArchive(t *testing.T, dir string, n int) {
	t.Helper()
	seen := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".zst") {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		z, err := zstd.NewReader(f)
		if err != nil {
			return err
		}
		defer z.Close()
		text, err := io.ReadAll(z)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			var e struct{ ID string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				return err
			}
			seen[e.ID]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	double := 0
	for _, k := range seen {
		if k > 1 {
			double++
		}
	}
	if len(seen) != n || double > 0 {
		t.Errorf("the archive has %d events of %d, %d of them more than once", len(seen), n, double)
	}
}

func checkLetters(t *testing.T, dir string, bad int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var l struct {
				Sink, Topic, Reason string
				Offset              int64
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				continue // torn by a kill; it is there again
			}
			keys[fmt.Sprintf("%s %d", l.Sink, l.Offset)] = true
			if !strings.Contains(l.Reason, "app.log") || !strings.Contains(l.Reason, ", byte ") {
				t.Errorf("a reason that does not say where: %s", l.Reason)
			}
		}
	}
	if len(keys) != 3*bad {
		t.Errorf("letters of %d records, and 3 sinks met %d", len(keys), bad)
	}
}
