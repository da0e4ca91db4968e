package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/cmd/app/apptest"
	"github.com/sluicekit/sluice/integration/stack"
)

// TestDamagedLog changes a byte of a batch on the broker's disk, which a broker
// that runs does not look at. sluice run carries everything before it, stops
// there and says so, and goes on from there when the byte is as it was.
func TestDamagedLog(t *testing.T) {
	t.Parallel()
	k := stack.Kafka(t)
	topic(t, k, "damaged", 1)
	client := kafkaClient(t, k, kgo.ProducerBatchCompression(kgo.NoCompression()))
	for batch := range 3 {
		var records []*kgo.Record
		for i := range 50 {
			records = append(records, &kgo.Record{Topic: "damaged", Value: fmt.Appendf(nil, `{"id":"e%03d","type":"t","mark":"batch %d"}`, batch*50+i, batch)})
		}
		send(t, client, records...)
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

// runUntil runs sluice with the configuration in a folder until done.
func runUntil(t *testing.T, dir string, done func(logs string) bool) string {
	t.Helper()
	p := apptest.Start(t, "-c", filepath.Join(dir, "a.yaml"), "--log", "debug")
	p.Wait("what is to come", func() bool { return done(p.Said.String()) })
	p.End()
	return p.Said.String()
}

// archivedIDs are the ids in the files of a folder, sorted.
func archivedIDs(t *testing.T, dir string) (ids []string) {
	t.Helper()
	for _, path := range finished(t, dir) {
		eachLine(t, path, func(line []byte) {
			var row struct{ ID string }
			if err := json.Unmarshal(line, &row); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			ids = append(ids, row.ID)
		})
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
