package integration_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// holeRun is one test of TestClickHouseHoles: as gapRun is, with a database on
// the ClickHouse server in the place of that on MariaDB, and the proxy before
// ClickHouse.
type holeRun struct {
	*gapRun
	house *stack.ClickHouseServer
}

const holeStreams = `streams:
  s:
    kafka: {brokers: ["%[1]s"], topics: [%[2]s], group: %[3]s, session_timeout: 3s}
    format: json
    envelope: {id: id, time: time, type: type, server: server, payload: payload}
    types: {id: string, time: timestamp, type: string, server: string, payload.n: int, payload.pad: string}
%[4]s
limits: {memory: 32MiB}
connections:
  house: {clickhouse: {address: "%[5]s", database: %[2]s, compression: none, timeout: 5s}}
  annex: {clickhouse: {address: "%[5]s", database: %[2]s_annex, compression: none, timeout: 5s}}
`

const (
	holeBatch = "batch: {age: 200ms}\ntimeout: 2s\n"
	holeTable = "clickhouse: {connection: house, table: numbers, create: true}\n"
	// The columns that say where a row comes from.
	holeColumns = "n Int64, pad String, _sink LowCardinality(String), _incarnation LowCardinality(String), _topic LowCardinality(String), _partition Int32, _offset Int64"
)

func newHoleRun(t *testing.T, name string, s *gapServers, house *stack.ClickHouseServer) *holeRun {
	t.Helper()
	h := &holeRun{house: house, gapRun: &gapRun{T: t, gapServers: s, name: name, dir: t.TempDir(), proxy: stack.ProxyTo(t, house.Addr(), stack.Raw)}}
	for _, database := range []string{h.name, h.name + "_annex"} {
		if err := house.CreateDatabase(limit(t), database); err != nil {
			t.Fatal(err)
		}
	}
	h.other = func(sink string) func() []int {
		return func() []int { return h.column("SELECT n FROM $.numbers WHERE _sink = '" + sink + "@house' ORDER BY n") }
	}
	return h
}

// conf is a deployment of sinks with these lines each.
func (h *holeRun) conf(stream, address, group string, sinks map[string]string) gapDeployment {
	d := gapDeployment{text: fmt.Sprintf(holeStreams, h.kafka.Addr(), h.name, group, stream, address), more: sinks}
	for name := range sinks {
		d.sinks = append(d.sinks, name)
	}
	return d
}

// one is a deployment of one sink, house, with these lines, which writes to the
// table numbers.
func (h *holeRun) one(lines string) gapDeployment {
	return h.conf("", h.proxy.Addr(), h.name, map[string]string{"house": lines + holeTable})
}

// withLetters is the same with dead letters, in a topic.
func (h *holeRun) withLetters(lines string) gapDeployment {
	dead := "    dead_letters: {topic: " + h.name + "_dead}\n    defaults: {on_bad_record: dead_letter}"
	return h.conf(dead, h.proxy.Addr(), h.name, map[string]string{"house": lines + holeTable})
}

// run runs one sink.
func (h *holeRun) run(lines string) *gapLife {
	h.Helper()
	return h.deploy("conf", h.one(lines))
}

// checked wants check --connect, on the YAML files of run, to end with this code
// and to say this.
func (h *holeRun) checked(code int, parts ...string) {
	h.Helper()
	cmd := exec.CommandContext(limit(h.T), h.binary, "check", "--connect", "-c", h.write("checked", h.one(holeBatch)))
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code || !containsAll(string(out), parts) {
		h.Errorf("check --connect: %v, want exit code %d and %q in\n%s", err, code, parts, out)
	}
}

// began runs a deployment on a new topic, and waits until its sink has ten events.
func (h *holeRun) began(d gapDeployment) *gapLife {
	h.Helper()
	h.topic(1)
	h.produce(0, 10, 1)
	l := h.deploy("conf", d)
	l.has("house", span(0, 10)...)
	l.settled("house", 10)
	return l
}

// sql runs a statement, in which $ stands for the database.
func (h *holeRun) sql(statement string) string {
	h.Helper()
	text, err := h.house.Query(limit(h.T), strings.ReplaceAll(statement, "$", h.name))
	if err != nil {
		h.Fatalf("%s: %v", statement, err)
	}
	return strings.TrimSuffix(text, "\n")
}

// column reads numbers; of a table that is not there, none.
func (h *holeRun) column(query string) (all []int) {
	h.Helper()
	text, err := h.house.Query(limit(h.T), strings.ReplaceAll(query, "$", h.name))
	if err != nil {
		if strings.Contains(err.Error(), "UNKNOWN_TABLE") {
			return nil
		}
		h.Fatalf("%s: %v", query, err)
	}
	for line := range strings.Lines(text) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			h.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// inserts counts the INSERTs of this test that ended at the server, well or not,
// by their tokens.
func (h *holeRun) inserts() map[string]int {
	h.Helper()
	h.sql("SYSTEM FLUSH LOGS")
	all := map[string]int{}
	for line := range strings.Lines(h.sql("SELECT Settings['insert_deduplication_token'] AS token, count() FROM system.query_log WHERE type != 'QueryStart' AND position(query, 'INSERT INTO `$`') = 1 AND token != '' GROUP BY token")) {
		token, count, _ := strings.Cut(strings.TrimSpace(line), "\t")
		n, err := strconv.Atoi(count)
		if err != nil {
			h.Fatal(err)
		}
		all[token] = n
	}
	return all
}

// repeated wants at least one token to have come to the server more than once.
func (h *holeRun) repeated() {
	h.Helper()
	all := h.inserts()
	for _, n := range all {
		if n > 1 {
			return
		}
	}
	h.Errorf("no token came twice: %v", all)
}

// age lets the table become so old that it was surely there when the next batch
// is first tried. Else a repeat asks it for its rows, and sends none of them.
func (h *holeRun) age() { time.Sleep(2500 * time.Millisecond) }

// onBlock produces the numbers [from, to), does something with the block of rows
// that the program then sends, and lets no connection to the server come about
// after it.
func (h *holeRun) onBlock(action stack.Action, from, to int) {
	h.Helper()
	var once sync.Once
	done := make(chan struct{})
	h.proxy.OnRequest(func(_ int, b []byte) stack.Action {
		// Only a block names the types of its columns.
		if !bytes.Contains(b, []byte("LowCardinality(String)")) {
			return stack.Forward
		}
		a := stack.Forward
		once.Do(func() {
			a = action
			h.proxy.Refuse()
			close(done)
		})
		return a
	})
	h.produce(from, to, 1)
	select {
	case <-done:
	case <-limit(h.T).Done():
		h.Fatal("no block was sent")
	}
}

// heal ends onBlock.
func (h *holeRun) heal() {
	h.Helper()
	h.proxy.OnRequest(nil)
	if err := h.proxy.Accept(); err != nil {
		h.Fatal(err)
	}
}
