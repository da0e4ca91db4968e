package integration_test

import (
	"bufio"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"
	_ "modernc.org/sqlite"

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

func newGapRun(t *testing.T, s *gapServers) *gapRun {
	t.Helper()
	g := &gapRun{T: t, gapServers: s, name: gapName(t), dir: t.TempDir(), proxy: stack.ProxyTo(t, s.db.Addr(), stack.Raw)}
	if err := s.db.CreateDatabase(gapLimit(t), g.name); err != nil {
		t.Fatal(err)
	}
	return g
}

// topic creates the topic.
func (g *gapRun) topic(partitions int) {
	g.Helper()
	if err := g.kafka.CreateTopic(gapLimit(g.T), g.name, partitions, nil); err != nil {
		g.Fatal(err)
	}
}

// again deletes the topic and creates it with one partition.
func (g *gapRun) again() {
	g.Helper()
	if err := g.kafka.DeleteTopic(gapLimit(g.T), g.name); err != nil {
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
	cl, err := kgo.NewClient(kgo.SeedBrokers(g.kafka.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		g.Fatal(err)
	}
	defer cl.Close()
	var records []*kgo.Record
	for n := from; n < to; n++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(n % partitions), Value: gapEvent(n, pad)})
	}
	if err := cl.ProduceSync(gapLimit(g.T), records...).FirstErr(); err != nil {
		g.Fatal(err)
	}
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
	l := &gapLife{gapRun: g, log: filepath.Join(g.dir, fmt.Sprintf("%s-%d.log", folder, g.lives)), done: make(chan struct{})}
	log, err := os.Create(l.log)
	if err != nil {
		g.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(g.binary, "run", "-c", dir, "--log-format", "json", "--metrics", "127.0.0.1:0")
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, append(os.Environ(), d.env...)
	if err := cmd.Start(); err != nil {
		g.Fatal(err)
	}
	l.process = cmd.Process
	go func() {
		l.err = cmd.Wait()
		close(l.done)
	}()
	g.Cleanup(func() {
		l.process.Kill() //nolint:errcheck // it may have ended
		<-l.done
		if text, err := os.ReadFile(l.log); err == nil && g.Failed() {
			g.Logf("%s:\n%s", filepath.Base(l.log), text)
		}
	})
	l.until("the metrics", func() bool {
		for _, line := range l.lines("serving metrics") {
			l.address, _ = line["address"].(string)
		}
		return l.address != ""
	})
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
	cmd := exec.CommandContext(gapLimit(g.T), g.binary, append([]string{"settle", "-c", filepath.Join(g.dir, "conf")}, args...)...)
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
	rows, err := db.QueryContext(gapLimit(g.T), "SELECT n FROM numbers ORDER BY n")
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
	g.lines(sink, func(line []byte) error {
		var row struct{ N int }
		err := json.Unmarshal(line, &row)
		all = append(all, row.N)
		return err
	})
	slices.Sort(all)
	return all
}

// lines reads the files of one sink.
func (g *gapRun) lines(sink string, each func(line []byte) error) {
	g.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		g.Fatal(err)
	}
	defer z.Close()
	err = filepath.WalkDir(filepath.Join(g.dir, "archive", sink), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := z.Reset(file); err != nil {
			return err
		}
		lines := bufio.NewScanner(z)
		for lines.Scan() {
			if err := each(lines.Bytes()); err != nil {
				return err
			}
		}
		return lines.Err()
	})
	if err != nil && !os.IsNotExist(err) {
		g.Fatal(err)
	}
}

// span is the numbers [from, to).
func span(from, to int) (all []int) {
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}

// wants compares what a sink has.
func (g *gapRun) wants(sink string, want ...int) {
	g.Helper()
	if got := g.numbers(sink); !slices.Equal(got, want) {
		g.Errorf("sink %s: %s", sink, difference(got, want))
	}
}

func difference(got, want []int) string {
	count := map[int]int{}
	for _, n := range want {
		count[n]++
	}
	for _, n := range got {
		count[n]--
	}
	maps.DeleteFunc(count, func(_, c int) bool { return c == 0 })
	var missing, more []int
	for n, c := range count {
		if c > 0 {
			missing = append(missing, n)
		} else {
			more = append(more, n)
		}
	}
	slices.Sort(missing)
	slices.Sort(more)
	return fmt.Sprintf("%d rows, want %d; missing %v, too many %v", len(got), len(want), short(missing), short(more))
}

func short(list []int) string {
	if len(list) > 6 {
		return fmt.Sprintf("%v…%d (%d)", list[:5], list[len(list)-1], len(list))
	}
	return fmt.Sprint(list)
}

// gapLife is one life of `sluice run`.
type gapLife struct {
	*gapRun
	log     string
	address string
	process *os.Process
	done    chan struct{}
	err     error
}

// stop ends the life as an operator does.
func (l *gapLife) stop() {
	l.Helper()
	l.process.Signal(syscall.SIGTERM) //nolint:errcheck // seen below
	select {
	case <-l.done:
	case <-time.After(20 * time.Second):
		l.Fatal("the program does not stop")
	}
	if l.err != nil {
		l.Errorf("after SIGTERM: %v", l.err)
	}
}

// lines are the log's lines with a message.
func (l *gapLife) lines(msg string) (all []map[string]any) {
	l.Helper()
	text, err := os.ReadFile(l.log)
	if err != nil {
		l.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && strings.Contains(fmt.Sprint(fields["msg"]), msg) {
			all = append(all, fields)
		}
	}
	return all
}

// until waits, as long as the program runs.
func (l *gapLife) until(what string, reached func() bool) {
	l.Helper()
	end := time.Now().Add(90 * time.Second)
	for !reached() {
		select {
		case <-l.done:
			l.Fatalf("waiting for %s: the program has ended: %v", what, l.err)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(end) {
			l.Fatalf("waiting for %s for too long", what)
		}
	}
}

// has waits until a sink has these numbers, and no others.
func (l *gapLife) has(sink string, want ...int) {
	l.Helper()
	var got []int
	end := time.Now().Add(90 * time.Second)
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

// lanes is what the program says of a sink.
func (l *gapLife) lanes(sink string) (all []telemetry.LaneSnapshot) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.address+"/status", nil)
	if err != nil {
		l.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil // it is just starting or ending
	}
	defer resp.Body.Close()
	var s telemetry.Snapshot
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		l.Fatal(err)
	}
	for _, lane := range s.Lanes {
		if lane.Sink == sink && lane.State != telemetry.Idle {
			all = append(all, lane)
		}
	}
	return all
}

// stopped waits until a sink has stopped in some slot, and looks for words in
// the reason. It answers the reason.
func (l *gapLife) stopped(sink string, words ...string) string {
	l.Helper()
	reason := ""
	l.until("a stop of "+sink, func() bool {
		for _, lane := range l.lanes(sink) {
			if lane.State == telemetry.Stopped {
				reason = lane.Reason
			}
		}
		return reason != ""
	})
	l.Logf("%s: %s", sink, reason)
	for _, w := range append(words, "sluice settle") { // the way out
		if !strings.Contains(reason, w) {
			l.Errorf("sink %s: the reason is %q, and should say %q", sink, reason, w)
		}
	}
	return reason
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
