package app_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	_ "modernc.org/sqlite"

	"github.com/sluicekit/sluice/cmd/app/apptest"
)

// mill is a stream with an Atomic and a Replay sink, which is run, stopped, hurt
// and settled.
type mill struct {
	t        *testing.T
	client   *kgo.Client
	brokers  []string
	produced int
}

const millYAML = `
streams:
  mill:
    kafka: {brokers: [%s], topics: [mill], group: g, session_timeout: 6s}
    format: json
    envelope: {id: "-", time: "-", type: "-", server: "-"}
    types: {payload.n: int}
    slots: %d
connections:
  local: {sqlite: {file: mill.db}}
---
sink: table
from: mill
fields: {n: payload.n}
batch: {age: 20ms}
%s
sqlite: {connection: local, table: t, create: true}
---
sink: archive
from: mill
fields: {n: payload.n}
batch: {age: 20ms}
%s
files: {dir: archive, compression: none}
`

func newMill(t *testing.T, partitions int32) *mill {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "mill"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	m := &mill{t: t, brokers: k.ListenAddrs()}
	m.connect()
	folder(t, map[string]string{})
	m.configure(0, "")
	return m
}

// carriedMill is a mill whose sinks have ten records of each partition.
func carriedMill(t *testing.T, partitions int32) *mill {
	t.Helper()
	m := newMill(t, partitions)
	for p := range partitions {
		m.produce(p, 10)
	}
	m.carry(m.produced, m.produced)
	return m
}

func (m *mill) connect() {
	m.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(m.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(client.Close)
	m.client = client
}

// configure writes the YAML; more goes into both sinks.
func (m *mill) configure(slots int, more string) {
	m.t.Helper()
	put(m.t, "mill.yaml", fmt.Sprintf(millYAML, m.brokers[0], slots, more, more))
}

// withoutArchive writes the YAML with one sink, the table.
func (m *mill) withoutArchive() {
	m.t.Helper()
	put(m.t, "mill.yaml", fmt.Sprintf(strings.Split(millYAML, "---\nsink: archive")[0], m.brokers[0], 0, ""))
}

// produce appends n records to a partition. Each has a number of its own.
func (m *mill) produce(partition int32, n int) {
	m.t.Helper()
	for range n {
		r := &kgo.Record{Topic: "mill", Partition: partition, Value: fmt.Appendf(nil, `{"payload":{"n":%d}}`, m.produced)}
		if err := m.client.ProduceSync(m.t.Context(), r).FirstErr(); err != nil {
			m.t.Fatal(err)
		}
		m.produced++
	}
}

// run runs the stream until done says so, and returns its log.
func (m *mill) run(what string, done func(log string) bool) string {
	m.t.Helper()
	p := apptest.Start(m.t, "-c", "mill.yaml")
	p.Wait(what, func() bool { return done(p.Said.String()) })
	time.Sleep(50 * time.Millisecond) // for what must not come
	if code := p.End(); code != 0 {
		m.t.Fatalf("run: exit code %d:\n%s", code, p.Said)
	}
	return p.Said.String()
}

// rows are the numbers in the table, and in the archive, with how often.
func (m *mill) rows() (table, archive map[int]int) {
	m.t.Helper()
	table, archive = map[int]int{}, map[int]int{}
	db, err := sql.Open("sqlite", "mill.db")
	if err != nil {
		m.t.Fatal(err)
	}
	defer db.Close()
	if rows, err := db.Query("SELECT n FROM t"); err == nil { // no table yet: no rows
		defer rows.Close()
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				m.t.Fatal(err)
			}
			table[n]++
		}
	}
	names, _ := filepath.Glob("archive/archive/mill/*/*.jsonl")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
			var row struct{ N int }
			if err := json.Unmarshal([]byte(l), &row); err != nil {
				m.t.Fatal(err)
			}
			archive[row.N]++
		}
	}
	return table, archive
}

// carry runs until both sinks have so many rows.
func (m *mill) carry(table, archive int) string {
	m.t.Helper()
	return m.run(fmt.Sprintf("%d and %d rows", table, archive), func(string) bool {
		t, a := m.rows()
		return count(t) >= table && count(a) >= archive
	})
}

func count(rows map[int]int) (n int) {
	for _, times := range rows {
		n += times
	}
	return n
}

// check compares both sinks with what they should have: each of [from, to) so
// often.
func (m *mill) check(what string, want func(n int) int) {
	m.t.Helper()
	table, archive := m.rows()
	for n := range m.produced {
		if table[n] != want(n) || archive[n] != want(n) {
			m.t.Fatalf("%s: record %d is %d times in the table and %d times in the archive, want %d", what, n, table[n], archive[n], want(n))
		}
	}
}

func once(int) int { return 1 }

// stopped runs until both sinks (or so many lanes) have stopped, and returns the
// commands that the messages name.
func (m *mill) stopped(lanes int, reason string) []string {
	m.t.Helper()
	log := m.run("sinks that stop", func(log string) bool { return strings.Count(log, "sink stopped") >= lanes })
	if n := strings.Count(log, `reason="`+reason+`"`) + strings.Count(log, "reason="+reason+" "); n != lanes {
		m.t.Fatalf("%d lanes stop for %q, want %d:\n%s", n, reason, lanes, log)
	}
	return regexp.MustCompile(`sluice settle --[a-z-]+ [^ "]+( --insist)?`).FindAllString(log, -1)
}

// obey runs a command as a message names it.
func (m *mill) obey(command string) result {
	m.t.Helper()
	args := append(strings.Fields(command)[1:], "-c", "mill.yaml", "--yes")
	r := sluice(m.t, args...)
	if r.code != 0 {
		m.t.Fatalf("%s: exit code %d\n%s%s", command, r.code, r.out, r.err)
	}
	return r
}

func (m *mill) deleteRecords(partition int32, before int64) {
	m.t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 5000
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = "mill"
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Partition, rp.Offset = partition, before
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	res, err := req.RequestWith(m.t.Context(), m.client)
	if err != nil || res.Topics[0].Partitions[0].ErrorCode != 0 {
		m.t.Fatal(err, res)
	}
}

// loseRows takes from both destinations whatever they have.
func (m *mill) loseRows() {
	m.t.Helper()
	for _, name := range []string{"mill.db", "mill.db-wal", "mill.db-shm", "archive"} {
		if err := os.RemoveAll(name); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *mill) deleteGroup() {
	m.t.Helper()
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{"g"}
	res, err := req.RequestWith(m.t.Context(), m.client)
	if err != nil || res.Groups[0].ErrorCode != 0 {
		m.t.Fatal(err, res)
	}
}

func (m *mill) recreate(partitions int32) {
	m.t.Helper()
	del := kmsg.NewPtrDeleteTopicsRequest()
	dt := kmsg.NewDeleteTopicsRequestTopic()
	dt.Topic = kmsg.StringPtr("mill")
	del.TopicNames, del.Topics, del.TimeoutMillis = []string{"mill"}, append(del.Topics, dt), 5000
	if _, err := del.RequestWith(m.t.Context(), m.client); err != nil {
		m.t.Fatal(err)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	ct := kmsg.NewCreateTopicsRequestTopic()
	ct.Topic, ct.NumPartitions, ct.ReplicationFactor = "mill", partitions, 1
	create.Topics, create.TimeoutMillis = append(create.Topics, ct), 5000
	res, err := create.RequestWith(m.t.Context(), m.client)
	if err != nil || res.Topics[0].ErrorCode != 0 {
		m.t.Fatal(err, res)
	}
	m.connect() // the old client knows the old topic's id
}
