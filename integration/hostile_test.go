package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks"
)

// TestDamagedLog changes a byte of a batch on the broker's disk, which a broker
// that runs does not look at. sluice run carries everything before it, stops
// there and says so, and goes on from there when the byte is as it was.
func TestDamagedLog(t *testing.T) {
	k := stack.Kafka(t)
	sourceTopic(t, k, "damaged", 1)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for batch := range 3 {
		var records []*kgo.Record
		for i := range 50 {
			records = append(records, &kgo.Record{Topic: "damaged", Value: fmt.Appendf(nil, `{"id":"e%03d","type":"t","mark":"batch %d"}`, batch*50+i, batch)})
		}
		if err := client.ProduceSync(sourceLimit(t, time.Minute), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	segment := filepath.Join(filepath.Dir(k.LogFile()), "data", "damaged-0", "00000000000000000000.log")
	flip := flipper(t, segment, []byte("batch 1"))
	dir := t.TempDir()
	config := fmt.Sprintf(`
streams:
  s:
    kafka: {brokers: [%q], topics: [damaged], group: damaged}
    format: json
    types: {mark: string}
---
sink: out
from: s
fields: {id: id, mark: mark}
batch: {age: 1h, rows: 1000}
files: {dir: %q, compression: none}
`, k.Addr(), filepath.Join(dir, "out"))
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	flip()
	logged := runUntil(t, dir, func(logs string) bool {
		return strings.Contains(logs, "damaged[0] from offset 50 on cannot be read") && strings.Contains(logs, "sink stopped")
	})
	if !strings.Contains(logged, "checksum") {
		t.Errorf("the logs do not say why:\n%s", logged)
	}
	if got := archivedIDs(t, dir); !slices.Equal(got, numbered(50)) {
		t.Errorf("with the damage: %d rows, want the 50 before it", len(got))
	}
	flip()
	config = strings.Replace(config, "age: 1h", "age: 100ms", 1)
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	runUntil(t, dir, func(string) bool { return len(archivedIDs(t, dir)) >= 150 })
	if got := archivedIDs(t, dir); !slices.Equal(got, numbered(150)) {
		t.Errorf("mended: %d rows, want 150", len(got))
	}
}

// flipper changes a bit where text first stands in a file, and back.
func flipper(t *testing.T, path string, text []byte) func() {
	t.Helper()
	return func() {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close() //nolint:errcheck // what was written is looked at by the test
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		flipped := slices.Clone(text)
		flipped[0] ^= 1
		at := bytes.Index(data, text)
		if other := bytes.Index(data, flipped); other >= 0 {
			at = other
		}
		if at < 0 {
			t.Fatalf("%q is not in the segment", text)
		}
		if _, err := f.WriteAt([]byte{data[at] ^ 1}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
}

// messages is what a program says, while it runs.
type messages struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (m *messages) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.Write(p)
}

func (m *messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.String()
}

// runUntil runs sluice with the configuration in a folder until done.
func runUntil(t *testing.T, dir string, done func(logs string) bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var said messages
	var all sync.WaitGroup
	all.Go(func() {
		app.Run(ctx, []string{"run", "-c", filepath.Join(dir, "a.yaml"), "--log", "debug"}, strings.NewReader(""), &said, &said, sinks.All())
	})
	for !done(said.String()) && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	if ctx.Err() != nil {
		t.Errorf("waited in vain:\n%s", said.String())
	}
	cancel()
	all.Wait()
	return said.String()
}

// archivedIDs are the ids in the files of a folder, sorted.
func archivedIDs(t *testing.T, dir string) (ids []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".jsonl") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(data) {
			var row struct{ ID string }
			if err := json.Unmarshal(line, &row); err != nil {
				return err
			}
			ids = append(ids, row.ID)
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

func numbered(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("e%03d", i))
	}
	return ids
}
