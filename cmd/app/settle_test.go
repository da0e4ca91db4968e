package app_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	_ "modernc.org/sqlite"

	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/sinks"
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
	if err := os.WriteFile("mill.yaml", fmt.Appendf(nil, millYAML, m.brokers[0], slots, more, more), 0o600); err != nil {
		m.t.Fatal(err)
	}
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

// safe is a buffer that a running command writes to while a test reads it.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// run runs the stream until done says so, and returns its log.
func (m *mill) run(what string, done func(log string) bool) string {
	m.t.Helper()
	ctx, cancel := context.WithCancel(m.t.Context())
	var log safe
	end := make(chan int, 1)
	go func() {
		end <- app.Run(ctx, []string{"run", "-c", "mill.yaml"}, strings.NewReader(""), &log, &log, sinks.All())
	}()
	for deadline := time.Now().Add(20 * time.Second); !done(log.String()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			cancel()
			<-end
			m.t.Fatalf("waited in vain for %s:\n%s", what, log.String())
		}
	}
	time.Sleep(50 * time.Millisecond) // for what must not come
	cancel()
	if code := <-end; code != 0 {
		m.t.Fatalf("run: exit code %d:\n%s", code, log.String())
	}
	return log.String()
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

// The list shows what there is, before the first start, while a member runs, and
// after; nothing is changed while one does, and it says who.
func TestSettleLists(t *testing.T) {
	m := newMill(t, 2)
	m.produce(0, 10)
	sluice(t, "settle", "-c", "mill.yaml").want(t, 0, "nobody is in it", "")
	m.run("10 rows", func(log string) bool {
		table, archive := m.rows()
		if count(table) < 10 || count(archive) < 10 {
			return false
		}
		sluice(t, "settle", "-c", "mill.yaml").want(t, 0, "1 member in it", "")
		sluice(t, "settle", "-c", "mill.yaml", "--forget", "table@local", "--yes").want(t, 1, "", "group g has members: ")
		return true
	})
	r := sluice(t, "settle", "-c", "mill.yaml")
	r.want(t, 0, "mill[0]  [0,10)     table@local    10        -        10", "")
	r.want(t, 0, "mill[0]  [0,10)     archive@files  10        -        10", "")
	var reports []struct {
		Group string
		Slots []struct {
			Partition int32
			Record    string
			Entries   []struct {
				Sink        string
				Configured  bool
				Position    []int64
				Destination struct{ State string }
			}
		}
	}
	r = sluice(t, "settle", "-c", "mill.yaml", "--json")
	if err := json.Unmarshal([]byte(r.out), &reports); err != nil || r.code != 0 {
		t.Fatal(err, r)
	}
	if e := reports[0].Slots[0].Entries[0]; len(reports[0].Slots) != 2 || reports[0].Slots[0].Record != "present" || !e.Configured || e.Position[0] != 10 || e.Destination.State != "has" {
		t.Errorf("got %s", r.out)
	}
}

func TestSettleUsage(t *testing.T) {
	m := newMill(t, 2)
	m.produce(0, 1)
	m.produce(1, 1)
	m.carry(2, 2)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"--yes", 2, "--yes and --insist belong to"},
		{"--forget a@b --keep a@b", 2, "one of --forget"},
		{"--start-at table@local", 2, "wants SINK@CONNECTION=WHERE"},
		{"--start-at tabel@local=earliest", 1, "known are [archive@files table@local]"},
		{"--start-at table@local=tomorrow", 1, `"tomorrow" is no start`},
		{"--start-at table@local=1", 1, "say mill/0:1"},
		{"--start-at table@local=7:1", 1, "has the partitions 0 to 1"},
		{"--start-at table@local=other/0:1", 1, "no topic other"},
		{"--start-at table@local=0:99", 1, "99 is behind it"},
		{"--start-at table@local=0:1x", 1, "is no start"},
		{"--start-at table@local=earliest --yes", 1, "--insist does it all the same"},
		{"--start-at table@local=mark", 1, "--yes does it without asking"},
		{"--stream x", 2, "no stream x"},
		{"extra", 2, "takes no arguments"},
	} {
		r := sluice(t, append(append([]string{"settle"}, strings.Fields(c.args)...), "-c", "mill.yaml")...)
		if r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s%s", c.args, r.code, c.code, c.want, r.out, r.err)
		}
	}
	m.check("after all of it", once)
}

// A gap: the command of the message goes on behind it.
func TestSettleAGap(t *testing.T) {
	m := newMill(t, 2)
	m.produce(0, 10)
	m.produce(1, 10)
	m.carry(20, 20)
	m.produce(0, 20)
	m.deleteRecords(0, 20)
	for _, command := range m.stopped(2, "gap") {
		m.obey(command)
	}
	m.carry(30, 30)
	m.check("after the gap", func(n int) int {
		if n >= 20 && n < 30 {
			return 0
		}
		return 1
	})
}

// The group's record is lost: an Atomic sink goes on by itself, a Replay sink
// where its mark says.
func TestSettleALostRecord(t *testing.T) {
	m := newMill(t, 2)
	m.produce(0, 10)
	m.produce(1, 10)
	m.carry(20, 20)
	m.deleteGroup()
	m.produce(0, 5)
	for _, command := range m.stopped(2, "lost record") {
		if !strings.Contains(command, "archive@files=mill/") {
			t.Errorf("got command %q, want one for the archive", command)
		}
		m.obey(command)
	}
	m.carry(25, 25)
	m.check("after the loss", once)
}

// A topic that was created again.
func TestSettleARecreatedTopic(t *testing.T) {
	m := newMill(t, 1)
	m.produce(0, 10)
	m.carry(10, 10)
	m.recreate(1)
	m.produce(0, 4)
	for _, command := range m.stopped(2, "other incarnation") {
		m.obey(command)
	}
	m.carry(14, 14)
	m.check("the new topic", once)
	m.produce(0, 4)
	m.carry(18, 18)
	m.check("at the next start", once)
}

// The same without a person.
func TestANewIncarnationGoesOn(t *testing.T) {
	m := newMill(t, 1)
	m.configure(0, "on_topic_reset: new_incarnation")
	m.produce(0, 10)
	m.carry(10, 10)
	for n := 1; n <= 2; n++ {
		m.recreate(1)
		m.produce(0, 15)
		m.carry(10+15*n, 10+15*n)
		m.check("the new topic", once)
	}
	m.configure(0, "")
	m.produce(0, 3)
	m.carry(43, 43)
	m.check("with stop again", once)
}

// The destination has lost all rows: --keep goes on without them.
func TestSettleKeep(t *testing.T) {
	m := newMill(t, 1)
	m.produce(0, 10)
	m.carry(10, 10)
	for _, name := range []string{"mill.db", "mill.db-wal", "mill.db-shm", "archive"} {
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
	}
	m.produce(0, 5)
	for _, command := range m.stopped(2, "rows gone") {
		if strings.Contains(command, "--keep") {
			if r := m.obey(command); !strings.Contains(r.out, "what the destination lacks of mill[0] [0,10) is not written again") {
				t.Errorf("%s says\n%s", command, r.out)
			}
		}
	}
	m.carry(5, 5)
	m.check("after --keep", func(n int) int { return n / 10 })
}

// The same, and all of it is written again.
func TestSettleStartAgain(t *testing.T) {
	m := newMill(t, 1)
	m.produce(0, 10)
	m.carry(10, 10)
	for _, name := range []string{"mill.db", "mill.db-wal", "mill.db-shm", "archive"} {
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range m.stopped(2, "rows gone") {
		if strings.Contains(command, "--start-at") {
			m.obey(command)
		}
	}
	m.carry(10, 10)
	m.check("after --start-at", once)
}

// A start before what is written doubles it, and is refused unless insisted on;
// one behind what is not loses it.
func TestSettleSaysWhatIsLostOrDoubled(t *testing.T) {
	m := newMill(t, 1)
	m.produce(0, 10)
	m.carry(10, 10)
	again := []string{"settle", "-c", "mill.yaml", "--yes", "--start-at", "table@local=4"}
	sluice(t, again...).want(t, 1, "doubled: mill[0] [4,10) was written and is written again", "refused")
	m.carry(10, 10)
	m.check("after the refusal", once)
	sluice(t, append(again, "--insist")...).want(t, 0, "done: 2 changes", "")
	m.carry(16, 10)
	m.produce(0, 10)
	sluice(t, "settle", "-c", "mill.yaml", "--yes", "--start-at", "archive@files=latest").want(t, 1, "lost: mill[0] [10,20) is in the topic and is not written", "refused")
	m.carry(26, 20)
	if table, archive := m.rows(); count(table) != 26 || count(archive) != 20 {
		t.Errorf("got %d and %d rows, want 26 and 20", count(table), count(archive))
	}
}

// A sink that is removed and added again goes on where it was; one that is
// forgotten in between begins anew.
func TestSettleForget(t *testing.T) {
	m := newMill(t, 1)
	m.produce(0, 10)
	m.carry(10, 10)
	without := fmt.Sprintf(strings.Split(millYAML, "---\nsink: archive")[0], m.brokers[0], 0, "")
	if err := os.WriteFile("mill.yaml", []byte(without), 0o600); err != nil {
		t.Fatal(err)
	}
	m.produce(0, 10)
	m.carry(20, 10)
	sluice(t, "settle", "-c", "mill.yaml").want(t, 0, "not configured", "")
	m.configure(0, "")
	m.carry(20, 20)
	m.check("removed and added again", once)

	if err := os.WriteFile("mill.yaml", []byte(without), 0o600); err != nil {
		t.Fatal(err)
	}
	sluice(t, "settle", "-c", "mill.yaml", "--yes", "--forget", "archive@files").want(t, 0, "the entry of archive@files is dropped", "")
	r := sluice(t, "settle", "-c", "mill.yaml")
	r.want(t, 0, "table@local", "")
	if strings.Contains(r.out, "not configured") {
		t.Errorf("it is still there:\n%s", r.out)
	}
	m.configure(0, "")
	for _, command := range m.stopped(1, "lost record") { // its files are there
		m.obey(command)
	}
	m.carry(20, 20)
	m.check("after --forget and --start-at mark", once)

	forget := []string{"settle", "-c", "mill.yaml", "--yes", "--forget", "table@local"}
	sluice(t, forget...).want(t, 1, "rows of mill[0] [0,20) are in the table", "refused")
	sluice(t, append(forget, "--insist")...).want(t, 0, "the destination's position of table@local is removed", "")
	m.carry(40, 20)
}

// slots: changed, with the records rewritten, both ways.
func TestSettleSlots(t *testing.T) {
	m := newMill(t, 5)
	for p := range int32(5) {
		m.produce(p, 10)
	}
	m.carry(50, 50)
	for i, slots := range []int{2, 0, 1} {
		m.configure(slots, "")
		r := m.stopped(2*[]int{5, 2, 5}[i], "slots changed")
		if want := fmt.Sprint("sluice settle --slots ", slots); len(r) == 0 || r[0] != want {
			t.Fatalf("got commands %q, want %q", r, want)
		}
		if r := m.obey(r[0]); !strings.Contains(r.out, "no position changes") {
			t.Errorf("it says\n%s", r.out)
		}
		for p := range int32(5) {
			m.produce(p, 3)
		}
		m.carry(m.produced, m.produced)
		m.check(fmt.Sprintf("with %d slots", slots), once)
	}
}

// A stream of files is settled as one of Kafka is; its lock keeps others away.
func TestSettleAStreamOfFiles(t *testing.T) {
	folder(t, map[string]string{"in.jsonl": strings.Repeat(`{"payload":{"n":1}}`+"\n", 10), "files.yaml": `
streams:
  lines:
    files: {paths: in.jsonl, state: state}
    format: json
    envelope: {id: "-", time: "-", type: "-", server: "-"}
    types: {payload.n: int}
connections:
  local: {sqlite: {file: mill.db}}
---
sink: table
from: lines
fields: {n: payload.n}
sqlite: {connection: local, table: t, create: true}
`})
	sluice(t, "run", "-c", "files.yaml").want(t, 0, "", "carrying")
	r := sluice(t, "settle", "-c", "files.yaml")
	r.want(t, 0, "lines[0]  [0,200)    table@local  200       -        200", "")
	sluice(t, "settle", "-c", "files.yaml", "--yes", "--start-at", "table@local=100").want(t, 1, "doubled: lines[0] [100,200) was written", "refused")
	sluice(t, "settle", "-c", "files.yaml", "--yes", "--start-at", "table@local=100", "--insist").want(t, 0, "done: 2 changes", "")
	sluice(t, "run", "-c", "files.yaml").want(t, 0, "", "carrying")
	db, err := sql.Open("sqlite", "mill.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n := 0
	if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 15 {
		t.Errorf("got %d rows, want 15 (%v)", n, err)
	}
}

// on_gap: skip_and_record, in both kinds of sinks, without a person: said once.
func TestAGapIsSkippedOnce(t *testing.T) {
	m := newMill(t, 1)
	m.configure(0, "on_gap: skip_and_record")
	m.produce(0, 10)
	m.carry(10, 10)
	for round := 1; round <= 2; round++ {
		m.produce(0, 20)
		m.deleteRecords(0, int64(20*round))
		log := m.carry(10+10*round, 10+10*round)
		if n := strings.Count(log, "gap: records are skipped"); n != 2 || !strings.Contains(log, fmt.Sprintf(`skipped="mill[0] [%d,%d)"`, 20*round-10, 20*round)) {
			t.Fatalf("a gap is told %d times to two sinks:\n%s", n, log)
		}
		if log := m.carry(10+10*round, 10+10*round); strings.Contains(log, "gap") {
			t.Fatalf("it is told again:\n%s", log)
		}
	}
	m.check("after two gaps", func(n int) int {
		if n%20 >= 10 {
			return 0
		}
		return 1
	})
}
