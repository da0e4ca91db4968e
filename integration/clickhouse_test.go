package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/cmd/app/apptest"
	"github.com/sluicekit/sluice/integration/stack"
)

const partsYAML = `
streams:
  s:
    kafka: {brokers: ["%s"], topics: [numbers], group: parts}
    format: json
    envelope: {id: "-", time: "-", type: "-", server: "-", payload: "-"}
    types: {n: int}
    slots: 4
connections:
  prod: {clickhouse: {address: "%s", compression: none}}
  dev: {clickhouse: {address: "%s"}}
---
sink: numbers
from: s
fields: {n: n}
batch: {age: 5s}
clickhouse: {connection: [prod, dev], table: d.numbers, create: true}
`

// The parts that TestClickHouseParts counts.
const (
	partsPartitions = 48
	partsSlots      = 4
	partsAge        = 5 * time.Second
)

// TestClickHouseParts: 48 partitions of little traffic make at most four inserts
// in five seconds, at each of two servers; a program that is stopped and run
// again goes on where it was, and every record is at both servers once.
func TestClickHouseParts(t *testing.T) {
	t.Parallel()
	k := stack.Kafka(t)
	topic(t, k, "numbers", partsPartitions)
	options := stack.ClickHouseOptions{Logs: true}
	both := []*stack.ClickHouseServer{stack.ClickHouseWith(t, options), stack.ClickHouseWith(t, options)}
	for _, c := range both {
		if err := c.CreateDatabase(limit(t), "d"); err != nil {
			t.Fatal(err)
		}
	}
	yaml := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(yaml, fmt.Appendf(nil, partsYAML, k.Addr(), both[0].Addr(), both[1].Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	cl := kafkaClient(t, k, kgo.DefaultProduceTopic("numbers"))
	sent, began := 0, time.Now()
	for range 2 {
		p := apptest.Start(t, "-c", yaml)
		sent = trickle(t, cl, sent, 12*time.Second)
		p.Wait("all records at both servers", func() bool { return arrived(t, both, sent) })
		if code := p.End(); code != 0 {
			t.Fatalf("exit code %d\n%s", code, p.Said)
		}
	}
	took := time.Since(began)
	for i, c := range both {
		ask(t, c, "SYSTEM FLUSH LOGS")
		parts := number(t, c, "SELECT count() FROM system.part_log WHERE event_type = 'NewPart' AND table = 'numbers'")
		// Each slot begins anew with each of the two lives of the program.
		if most := partsSlots * (int(took/partsAge) + 2); parts > most {
			t.Errorf("server %d: %d parts in %s, want %d at most", i, parts, took, most)
		}
		if got := ask(t, c, "SELECT count(), uniqExact(n), uniqExact(_partition) FROM d.numbers"); got != fmt.Sprintf("%d\t%d\t%d", sent, sent, partsPartitions) {
			t.Errorf("server %d has rows, numbers, partitions: %s; sent were %d", i, got, sent)
		}
		t.Logf("server %d: %d records in %d parts in %s", i, sent, parts, took.Round(time.Millisecond))
	}
}

// trickle produces the numbers from sent on, ten at a time, and answers the next.
func trickle(t *testing.T, cl *kgo.Client, sent int, d time.Duration) int {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var records []*kgo.Record
		for range 10 {
			records = append(records, &kgo.Record{Partition: int32(sent * 7 % partsPartitions), Value: fmt.Appendf(nil, `{"n":%d}`, sent)})
			sent++
		}
		send(t, cl, records...)
	}
	return sent
}

// arrived says whether both servers have that many rows.
func arrived(t *testing.T, both []*stack.ClickHouseServer, n int) bool {
	for _, c := range both {
		if ask(t, c, "EXISTS d.numbers") == "0" || number(t, c, "SELECT count() FROM d.numbers") < n {
			return false
		}
	}
	return true
}

func ask(t *testing.T, c *stack.ClickHouseServer, query string) string {
	t.Helper()
	text, err := c.Query(limit(t), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return strings.TrimSpace(text)
}

func number(t *testing.T, c *stack.ClickHouseServer, query string) int {
	t.Helper()
	n, err := strconv.Atoi(ask(t, c, query))
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
