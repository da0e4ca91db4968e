package integration_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/core/source"
	"github.com/sluicekit/sluice/integration/harness"
	"github.com/sluicekit/sluice/integration/stack"
)

// memoryLoad is a run of TestMemory.
type memoryLoad struct {
	partitions, records int // records of 1 MB per partition
	budget              int // MiB
	bound               int // MiB that the program may be resident with
	limit               time.Duration
}

// TestMemory carries records of 1 MB from 500 partitions into 12 sinks, one of whose destinations is away, with a budget that holds a
// fraction of them: the program stays below a bound, and the other sinks get everything. The bound is what the collector is told without
// a container's limit, three times the budget and 128 MiB, and 64 MiB for what is not the collector's. 6,000 lanes take 150 MiB of it.
func TestMemory(t *testing.T) {
	memoryRun(t, memoryLoad{partitions: 500, records: 1, budget: 128, bound: 3*128 + 128 + 64, limit: 15 * time.Minute})
}

// memorySinks are 11 sinks that go on, and the one that does not.
func memorySinks() map[string]string {
	sinks := map[string]string{
		"dead": "fields: {n: payload.n, body: payload.body}\nbatch: {age: 1s}\nmariadb: {connection: db, table: dead, create: true}\n",
		"all":  "fields: all\nbatch: {age: 2s}\nfiles: {dir: all, level: 1}\n",
	}
	for i := range 2 {
		sinks[fmt.Sprintf("names%d", i)] = fmt.Sprintf("fields: {n: payload.n}\nbatch: {age: 5s}\nfiles: {dir: names%d}\n", i)
		sinks[fmt.Sprintf("lite%d", i)] = fmt.Sprintf("fields: {n: payload.n}\nbatch: {age: 2s}\nsqlite: {connection: lite%d, table: t, create: true}\n", i)
	}
	for i := range 6 {
		sinks[fmt.Sprintf("none%d", i)] = "fields: all\nbatch: {age: 1s}\ndiscard: {}\n"
	}
	return sinks
}

const memoryStreams = `streams:
  events:
    kafka: {brokers: ["%s"], topics: [events], group: memory}
    format: json
    types: {id: string, time: timestamp, type: string, server: string, payload.n: int, payload.body: string}
connections:
  db: {mariadb: {address: "%s", database: memory, username: root}}
  lite0: {sqlite: {file: lite0.db}}
  lite1: {sqlite: {file: lite1.db}}
limits: {memory: %dMiB}
`

type memoryTest struct {
	*testing.T
	memoryLoad
	kafka *stack.KafkaServer
	db    *stack.MariaDBServer
	dir   string
	life  *life

	random []byte // bodies are parts of it
}

func memoryRun(t *testing.T, load memoryLoad) {
	ctx, cancel := context.WithTimeout(t.Context(), load.limit)
	defer cancel()
	m := &memoryTest{T: t, memoryLoad: load, dir: t.TempDir(), kafka: stack.Kafka(t), db: stack.MariaDB(t)}
	m.lay(ctx)
	m.produce(ctx)
	m.start(ctx)
	went := m.watch(ctx, "the sinks that can go on", func(done map[string]int) bool {
		for name, n := range done {
			if name != "dead" && n < m.partitions*m.records {
				return false
			}
		}
		return len(done) == len(memorySinks())
	})
	if went["dead"] >= m.partitions*m.records {
		t.Error("the dead destination got everything: the test shows nothing")
	}
	m.ledger(ctx)
	if err := m.db.Resume(); err != nil {
		t.Fatal(err)
	}
	m.watch(ctx, "the sink whose destination is back", func(done map[string]int) bool { return done["dead"] >= m.partitions*m.records })
	m.compare(ctx)
}

// lay makes database and topic, and writes the configuration.
func (m *memoryTest) lay(ctx context.Context) {
	m.Helper()
	if err := m.db.CreateDatabase(ctx, "memory"); err != nil {
		m.Fatal(err)
	}
	topic(m.T, m.kafka, "events", m.partitions)
	if err := os.MkdirAll(filepath.Join(m.dir, "conf", "sinks"), 0o755); err != nil {
		m.Fatal(err)
	}
	files := map[string]string{"streams.yaml": fmt.Sprintf(memoryStreams, m.kafka.Addr(), m.db.Addr(), m.budget)}
	for name, text := range memorySinks() {
		files["sinks/"+name+".yaml"] = "sink: " + name + "\nfrom: events\n" + text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(m.dir, "conf", name), []byte(text), 0o644); err != nil {
			m.Fatal(err)
		}
	}
}

// produce writes the records, uncompressed: 1 MB on the way is 1 MB in memory.
func (m *memoryTest) produce(ctx context.Context) {
	m.Helper()
	client := kafkaClient(m.T, m.kafka,
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(1<<20), kgo.MaxBufferedBytes(64<<20), kgo.DefaultProduceTopic("events"))
	m.random = make([]byte, 2_000_000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range m.random {
		m.random[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[r.IntN(64)]
	}
	failed := make(chan error, 1)
	for i := range m.partitions * m.records {
		var b bytes.Buffer
		fmt.Fprintf(&b, `{"id":"e%d","time":"2026-01-01T00:00:00Z","type":"t","server":"s","payload":{"n":%d,"body":"`, i, i)
		b.Write(m.body(i))
		b.WriteString(`"}}`)
		client.Produce(ctx, &kgo.Record{Partition: int32(i % m.partitions), Value: b.Bytes()}, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		m.Fatal(err)
	}
	select {
	case err := <-failed:
		m.Fatal(err)
	default:
	}
}

// body is that of a record.
func (m *memoryTest) body(n int) []byte { return m.random[n*1000%1_000_000:][:1_000_000] }

// start runs the program, and makes the database hang as soon as it has some rows.
func (m *memoryTest) start(ctx context.Context) {
	m.Helper()
	cmd := exec.Command(harness.Build(m.T), "run", "-c", "conf", "--metrics", "127.0.0.1:0")
	cmd.Dir = m.dir
	m.Cleanup(func() { m.db.Resume() }) //nolint:errcheck // so that it can be stopped
	m.life = begin(m.T, cmd, filepath.Join(m.dir, "log"))
	rows := m.open()
	m.life.until("a row", func() bool {
		var n int
		return rows.QueryRowContext(ctx, "SELECT COUNT(*) FROM dead").Scan(&n) == nil && n > 0
	})
	if err := m.db.Pause(); err != nil {
		m.Fatal(err)
	}
}

func (m *memoryTest) open() *sql.DB {
	m.Helper()
	db, err := sql.Open("mysql", m.db.DSN("memory"))
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() { db.Close() })
	return db
}

// watch samples memory and progress until ok, and fails when the program is larger than it may be.
func (m *memoryTest) watch(ctx context.Context, what string, ok func(map[string]int) bool) map[string]int {
	m.Helper()
	began, shown := time.Now(), time.Time{}
	var line strings.Builder
	defer func() {
		m.Logf("until %s, %s: peak %d MiB; resident%s", what, time.Since(began).Round(time.Second), m.life.resident("VmHWM"), line.String())
	}()
	for {
		done := m.progress()
		if time.Since(shown) > 3*time.Second {
			shown = time.Now()
			fmt.Fprintf(&line, " %d", m.life.resident("VmRSS"))
		}
		if peak := m.life.resident("VmHWM"); peak > m.bound {
			m.Fatalf("the program was resident with %d MiB, at most %d MiB are allowed; committed %v", peak, m.bound, done)
		}
		if ok(done) {
			return done
		}
		select {
		case <-ctx.Done():
			m.Fatalf("waited in vain for %s: committed %v", what, done)
		case <-m.life.done:
			m.Fatalf("the program ended: %v", m.life.err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// progress is how many records of each sink are at their destination.
func (m *memoryTest) progress() map[string]int {
	m.Helper()
	out := map[string]int{}
	for _, l := range strings.Split(string(m.life.get("/metrics")), "\n") {
		rest, ok := strings.CutPrefix(l, `sluice_records_committed_total{sink="`)
		if !ok {
			continue
		}
		n, _ := strconv.Atoi(l[strings.LastIndexByte(l, ' ')+1:])
		out[rest[:strings.IndexByte(rest, '"')]] += n
	}
	return out
}

// ledger checks that no record of the group is longer than Kafka takes.
func (m *memoryTest) ledger(ctx context.Context) {
	m.Helper()
	all := make([]int32, m.partitions)
	for i := range all {
		all[i] = int32(i)
	}
	stored, err := sourceOpen(m.T, source.Options{Brokers: []string{m.kafka.Addr()}}).FetchOffsets(ctx, "memory", map[string][]int32{"events": all})
	if err != nil {
		m.Fatal(err)
	}
	longest, n := 0, 0
	for _, s := range stored {
		if s.Metadata != "" {
			n++
		}
		longest = max(longest, len(s.Metadata))
	}
	m.Logf("%d records, the longest of %d characters", n, longest)
	if n != m.partitions || longest > 4096 || longest < 100 {
		m.Errorf("%d records of at most %d characters; want %d, of at most 4096", n, longest, m.partitions)
	}
}

// compare counts what is at the destinations.
func (m *memoryTest) compare(ctx context.Context) {
	m.Helper()
	want := m.partitions * m.records
	var n, distinct int
	if err := m.open().QueryRowContext(ctx, "SELECT COUNT(*), COUNT(DISTINCT n) FROM dead WHERE LENGTH(body) = 1000000").Scan(&n, &distinct); err != nil {
		m.Fatal(err)
	}
	if n != want || distinct != want {
		m.Errorf("mariadb has %d rows, %d of them distinct; want %d", n, distinct, want)
	}
	seen := map[int]int{}
	for _, path := range finished(m.T, filepath.Join(m.dir, "all")) {
		eachLine(m.T, path, func(line []byte) {
			// The body is taken out first: half a gigabyte of JSON takes the race
			// detector minutes.
			before, body, _ := bytes.Cut(line, []byte(`"body":"`))
			body, after, _ := bytes.Cut(body, []byte{'"'})
			var e struct{ Payload struct{ N int } }
			if err := json.Unmarshal(slices.Concat(before, []byte(`"body":"`), []byte{'"'}, after), &e); err != nil {
				m.Fatalf("%s: %v", path, err)
			}
			if n := e.Payload.N; !bytes.Equal(body, m.body(n)) {
				m.Errorf("record %d has another body, of %d bytes", n, len(body))
			}
			seen[e.Payload.N]++
		})
	}
	for i := range want {
		if seen[i] != 1 {
			m.Errorf("record %d is %d times in the archive", i, seen[i])
		}
	}
}
