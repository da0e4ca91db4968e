package integration_test

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	_ "modernc.org/sqlite"

	"github.com/sluicekit/sluice/cmd/app/apptest"
	"github.com/sluicekit/sluice/core/telemetry"
	"github.com/sluicekit/sluice/integration/stack"
)

// gapRun is one test of TestGaps: a topic, a group, a database and a folder of
// its own, and the program with the YAML files there. An event is a number.
type gapRun struct {
	*testing.T
	*gapServers
	name  string // of the topic, the group and the database
	dir   string
	proxy *stack.Proxy // the way of sink "table" to MariaDB
	lives int

	// other is asked first for the numbers of a sink; nil: not one of its.
	other func(sink string) func() []int
}

const gapStreams = `streams:
  s:
    kafka: {brokers: ["%s"], topics: [%s], group: %s}
    format: json
    envelope: {id: id, time: time, type: type, server: server, payload: payload}
    types: {id: string, time: timestamp, type: string, server: string, payload.n: int, payload.pad: string}
%s
limits: {memory: 32MiB}
connections:
  db: {mariadb: {address: "%s", database: %s, username: root, timeout: 5s}}
  lite: {sqlite: {file: "%s"}}
`

// gapSinks are the sinks that a test can choose from: one that keeps its
// position beside its rows on a server, the same in a file, and one whose
// position is in the group alone. No table has a unique key, so a double is
// one row too many.
var gapSinks = map[string]string{
	"table":   "batch: {age: 100ms}\nmariadb: {connection: db, table: numbers, create: true}\n",
	"lite":    "batch: {age: 100ms}\nsqlite: {connection: lite, table: numbers, create: true}\n",
	"archive": "batch: {age: 100ms}\nfiles: {dir: \"%s\"}\n",
}

// gapThree is one sink of each kind.
var gapThree = []string{"table", "lite", "archive"}

func newGapRun(t *testing.T, s *gapServers) *gapRun {
	t.Helper()
	g := &gapRun{T: t, gapServers: s, name: gapName(t), dir: t.TempDir(), proxy: stack.ProxyTo(t, s.db.Addr(), stack.Raw)}
	if err := s.db.CreateDatabase(limit(t), g.name); err != nil {
		t.Fatal(err)
	}
	return g
}

// topic creates the topic.
func (g *gapRun) topic(partitions int) {
	g.Helper()
	topic(g.T, g.kafka, g.name, partitions)
}

// again deletes the topic and creates it with one partition.
func (g *gapRun) again() {
	g.Helper()
	if err := g.kafka.DeleteTopic(limit(g.T), g.name); err != nil {
		g.Fatal(err)
	}
	g.topic(1)
}

// produce writes the numbers [from, to), each to the partition that is its
// remainder.
func (g *gapRun) produce(from, to, partitions int) {
	g.Helper()
	g.produceTo(g.name, from, to, partitions, 0)
}

// produceTo makes every event so much larger.
func (g *gapRun) produceTo(topic string, from, to, partitions, pad int) {
	g.Helper()
	cl := kafkaClient(g.T, g.kafka)
	defer cl.Close()
	var records []*kgo.Record
	for n := from; n < to; n++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(n % partitions), Value: gapEvent(n, pad)})
	}
	send(g.T, cl, records...)
}

// gapDeployment is a folder of YAML files.
type gapDeployment struct {
	topics string            // "": the run's own
	group  string            // "": the run's own
	fields string            // "": n and pad
	env    []string          // beside the test's own
	text   string            // of streams.yaml; "": gapStreams with the above
	stream string            // more lines of the stream
	sinks  []string          // of gapSinks; NEW=OLD is OLD under another name
	more   map[string]string // more lines of a sink
}

// write lays the YAML files out and answers their folder.
func (g *gapRun) write(folder string, d gapDeployment) string {
	g.Helper()
	dir := filepath.Join(g.dir, folder)
	if err := os.RemoveAll(dir); err != nil {
		g.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "sinks"), 0o755); err != nil {
		g.Fatal(err)
	}
	topics, group := cmp.Or(d.topics, g.name), cmp.Or(d.group, g.name)
	files := map[string]string{"streams.yaml": cmp.Or(d.text, fmt.Sprintf(gapStreams, g.kafka.Addr(), topics, group, d.stream, g.proxy.Addr(), g.name, filepath.Join(g.dir, "lite.db")))}
	for _, name := range d.sinks {
		name, kind, renamed := strings.Cut(name, "=")
		if !renamed {
			kind = name
		}
		text := gapSinks[kind]
		if strings.Contains(text, "%s") {
			text = fmt.Sprintf(text, filepath.Join(g.dir, "archive"))
		}
		fields := cmp.Or(d.fields, "fields: {n: payload.n, pad: payload.pad}\n")
		files["sinks/"+name+".yaml"] = "sink: " + name + "\nfrom: s\n" + fields + text + d.more[name]
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			g.Fatal(err)
		}
	}
	return dir
}

// start runs the program with these sinks.
func (g *gapRun) start(sinks ...string) *gapLife {
	g.Helper()
	return g.deploy("conf", gapDeployment{sinks: sinks})
}

// deploy runs the program with YAML files of a folder of their own.
func (g *gapRun) deploy(folder string, d gapDeployment) *gapLife {
	g.Helper()
	dir := g.write(folder, d)
	g.lives++
	cmd := exec.Command(g.binary, "run", "-c", dir, "--log-format", "json", "--metrics", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), d.env...)
	l := &gapLife{gapRun: g, life: begin(g.T, cmd, filepath.Join(g.dir, fmt.Sprintf("%s-%d.log", folder, g.lives)))}
	l.until("the metrics", func() bool { return l.get("/status") != nil })
	return l
}

// began runs sinks on a new topic, and waits until they have its 100 events.
func (g *gapRun) began(partitions int, sinks ...string) *gapLife {
	g.Helper()
	g.topic(partitions)
	g.produce(0, 100, partitions)
	l := g.start(sinks...)
	l.have(sinks, span(0, 100)...)
	return l
}

// settle decides how a sink goes on, with the YAML files of folder conf as they
// are.
func (g *gapRun) settle(args ...string) {
	g.Helper()
	out, err := g.trySettle(append(args, "--yes")...)
	if err != nil {
		g.Fatalf("sluice settle %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (g *gapRun) trySettle(args ...string) (string, error) {
	g.Helper()
	cmd := exec.CommandContext(limit(g.T), g.binary, append([]string{"settle", "-c", filepath.Join(g.dir, "conf")}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// numbers is what a sink has, ascending, doubles as often as they are there.
func (g *gapRun) numbers(sink string) []int {
	g.Helper()
	if g.other != nil {
		if numbers := g.other(sink); numbers != nil {
			return numbers()
		}
	}
	switch sink {
	case "table":
		return g.query("mysql", g.db.DSN(g.name))
	case "lite":
		if _, err := os.Stat(filepath.Join(g.dir, "lite.db")); err != nil {
			return nil
		}
		return g.query("sqlite", "file:"+filepath.Join(g.dir, "lite.db")+"?mode=ro&_pragma=busy_timeout(5000)")
	}
	return g.archived(sink)
}

func (g *gapRun) query(driver, dsn string) (all []int) {
	g.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		g.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(limit(g.T), "SELECT n FROM numbers ORDER BY n")
	if err != nil {
		if strings.Contains(err.Error(), "doesn't exist") || strings.Contains(err.Error(), "no such table") {
			return nil
		}
		g.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			g.Fatal(err)
		}
		all = append(all, n)
	}
	if err := rows.Err(); err != nil {
		g.Fatal(err)
	}
	return all
}

// archived reads the numbers in the files of one sink.
func (g *gapRun) archived(sink string) (all []int) {
	g.Helper()
	g.lines(sink, func(line []byte) {
		var row struct{ N int }
		if err := json.Unmarshal(line, &row); err != nil {
			g.Fatal(err)
		}
		all = append(all, row.N)
	})
	slices.Sort(all)
	return all
}

// lines reads the files of one sink.
func (g *gapRun) lines(sink string, each func(line []byte)) {
	g.Helper()
	for _, path := range finished(g.T, filepath.Join(g.dir, "archive", sink)) {
		eachLine(g.T, path, each)
	}
}

// wants compares what a sink has.
func (g *gapRun) wants(sink string, want ...int) {
	g.Helper()
	if got := g.numbers(sink); !slices.Equal(got, want) {
		g.Errorf("sink %s: %s", sink, difference(got, want))
	}
}

// want compares what each of several sinks has.
func (g *gapRun) want(sinks []string, want ...int) {
	g.Helper()
	for _, sink := range sinks {
		g.wants(sink, want...)
	}
}

// gapLife is one life of `sluice run`.
type gapLife struct {
	*gapRun
	*life
}

// lines are the log's lines with a message.
func (l *gapLife) lines(msg string) (all []map[string]any) {
	l.Helper()
	for line := range strings.Lines(l.said()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && strings.Contains(fmt.Sprint(fields["msg"]), msg) {
			all = append(all, fields)
		}
	}
	return all
}

// has waits until a sink has these numbers, and no others.
func (l *gapLife) has(sink string, want ...int) {
	l.Helper()
	var got []int
	end := time.Now().Add(apptest.Patience)
	for {
		if got = l.numbers(sink); slices.Equal(got, want) {
			return
		}
		if len(got) > len(want) || time.Now().After(end) {
			l.Fatalf("sink %s: %s", sink, difference(got, want))
		}
		select {
		case <-l.done:
			l.Fatalf("the program has ended: %v; sink %s: %s", l.err, sink, difference(got, want))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// have waits until each of several sinks has these numbers, and no others.
func (l *gapLife) have(sinks []string, want ...int) {
	l.Helper()
	for _, sink := range sinks {
		l.has(sink, want...)
	}
}

// lanes is what the program says of a sink.
func (l *gapLife) lanes(sink string) (all []telemetry.LaneSnapshot) {
	l.Helper()
	body := l.get("/status")
	if body == nil {
		return nil
	}
	var s telemetry.Snapshot
	if err := json.Unmarshal(body, &s); err != nil {
		l.Fatal(err)
	}
	for _, lane := range s.Lanes {
		if lane.Sink == sink && lane.State != telemetry.Idle {
			all = append(all, lane)
		}
	}
	return all
}

// inState waits until a sink is in a state in some slot, and looks for words in
// the reason. It answers the reason.
func (l *gapLife) inState(sink string, want telemetry.State, words ...string) string {
	l.Helper()
	reason := ""
	l.until(sink+" to be "+want.String(), func() bool {
		for _, lane := range l.lanes(sink) {
			if lane.State == want {
				reason = lane.Reason
			}
		}
		return reason != ""
	})
	l.Logf("%s: %s", sink, reason)
	for _, w := range words {
		if !strings.Contains(reason, w) {
			l.Errorf("sink %s: the reason is %q, and should say %q", sink, reason, w)
		}
	}
	return reason
}

// stopped waits until a sink has stopped: the reason names the way out.
func (l *gapLife) stopped(sink string, words ...string) {
	l.Helper()
	l.inState(sink, telemetry.Stopped, append(words, "sluice settle")...)
}

// blocked waits until a sink waits for somebody to mend its destination.
func (l *gapLife) blocked(sink string, words ...string) {
	l.Helper()
	l.inState(sink, telemetry.Blocked, words...)
}

// reason waits until a sink is not well and says so in these words, and answers
// all of them.
func (l *gapLife) reason(sink string, words ...string) (reason string) {
	l.Helper()
	l.until(fmt.Sprintf("%s to say %q", sink, words), func() bool {
		for _, lane := range l.lanes(sink) {
			if reason = lane.Reason; lane.State != telemetry.Running && containsAll(reason, words) {
				return true
			}
		}
		return false
	})
	return reason
}

func containsAll(text string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

// running fails if a sink has stopped, or waits for somebody.
func (l *gapLife) running(sinks ...string) {
	l.Helper()
	for _, sink := range sinks {
		for _, lane := range l.lanes(sink) {
			if lane.State != telemetry.Running {
				l.Errorf("sink %s, partition %d is %s: %s", sink, lane.Partition, lane.State, lane.Reason)
			}
		}
	}
}

// settled waits until a sink's positions are at these offsets, partition by
// partition: then all of them are in the group or at the destination.
func (l *gapLife) settled(sink string, want ...int64) {
	l.Helper()
	l.until(fmt.Sprintf("positions %v of %s", want, sink), func() bool {
		got := make([]int64, len(want))
		for _, lane := range l.lanes(sink) {
			for _, m := range lane.Marks {
				if int(m.Partition) < len(got) {
					got[m.Partition] = m.Position
				}
			}
		}
		return slices.Equal(got, want)
	})
}
