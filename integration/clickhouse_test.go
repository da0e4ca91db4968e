package integration_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks"
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

// TestClickHouseParts: 48 partitions of little traffic make at most four inserts
// in five seconds, at each of two servers; a program that is stopped and run
// again goes on where it was, and every record is at both servers once.
func TestClickHouseParts(t *testing.T) {
	const partitions, slots, age = 48, 4, 5 * time.Second
	k := stack.Kafka(t)
	sourceTopic(t, k, "numbers", partitions)
	options := stack.ClickHouseOptions{Logs: true}
	both := []*stack.ClickHouseServer{stack.ClickHouseWith(t, options), stack.ClickHouseWith(t, options)}
	for _, c := range both {
		if err := c.CreateDatabase(sourceLimit(t, time.Minute), "d"); err != nil {
			t.Fatal(err)
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Addr()), kgo.DefaultProduceTopic("numbers"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	sent := 0
	send := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			var records []*kgo.Record
			for range 10 {
				records = append(records, &kgo.Record{Partition: int32(sent * 7 % partitions), Value: fmt.Appendf(nil, `{"n":%d}`, sent)})
				sent++
			}
			if err := client.ProduceSync(sourceLimit(t, time.Minute), records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sluice.yaml"), fmt.Appendf(nil, partsYAML, k.Addr(), both[0].Addr(), both[1].Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	began := time.Now()
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		log, code := &lines{}, make(chan int, 1)
		go func() {
			code <- app.Run(ctx, []string{"run", "--metrics", "127.0.0.1:0"}, strings.NewReader(""), io.Discard, log, sinks.All())
		}()
		send(12 * time.Second)
		for end := time.Now().Add(time.Minute); !arrived(t, both, sent); time.Sleep(200 * time.Millisecond) {
			if time.Now().After(end) {
				t.Error("records are missing a minute later")
				break
			}
		}
		cancel()
		if c := <-code; c != 0 || t.Failed() {
			t.Fatalf("exit code %d\n%s", c, log)
		}
	}
	took := time.Since(began)
	for i, c := range both {
		ask(t, c, "SYSTEM FLUSH LOGS")
		parts := number(t, c, "SELECT count() FROM system.part_log WHERE event_type = 'NewPart' AND table = 'numbers'")
		// Each slot begins anew with each of the two lives of the program.
		if most := slots * (int(took/age) + 2); parts > most {
			t.Errorf("server %d: %d parts in %s, want %d at most", i, parts, took, most)
		}
		if got := ask(t, c, "SELECT count(), uniqExact(n), uniqExact(_partition) FROM d.numbers"); got != fmt.Sprintf("%d\t%d\t%d", sent, sent, partitions) {
			t.Errorf("server %d has rows, numbers, partitions: %s; sent were %d", i, got, sent)
		}
		t.Logf("server %d: %d records in %d parts in %s", i, sent, parts, took.Round(time.Millisecond))
	}
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
	text, err := c.Query(sourceLimit(t, time.Minute), query)
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
