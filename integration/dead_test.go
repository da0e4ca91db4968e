package integration_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/core/telemetry"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks"
)

const deadYAML = `
streams:
  s:
    kafka: {brokers: ["%s"], topics: [numbers], group: dead}
    format: avro
    registry: {url: "%s", grace: 1s}
    dead_letters: {%s}
---
sink: numbers
from: s
fields: {n: n}
on_bad_record: dead_letter
batch: {age: 100ms}
files: {dir: out}
`

const numberSchema = `{"type":"record","name":"number","fields":[{"name":"n","type":"%s"}]}`

// deadRun is the program on real servers, in this process.
type deadRun struct {
	*testing.T
	kafka    *stack.KafkaServer
	registry *stack.RegistryServer
	client   *kgo.Client
	dir      string
	address  string // of /status
}

// TestDeadLettersAndOutages: records with made-up schema ids cost one grace and
// are in the dead letters, in a folder as in a topic, where dead finds them;
// a registry and a broker that are away are seen in the lanes while they are,
// nothing is put aside meanwhile, and all goes on by itself.
func TestDeadLettersAndOutages(t *testing.T) {
	d := &deadRun{T: t, kafka: stack.Kafka(t), registry: stack.Registry(t), dir: t.TempDir()}
	for _, topic := range []string{"numbers", "numbers.dead"} {
		sourceTopic(t, d.kafka, topic, 1)
	}
	var err error
	if d.client, err = kgo.NewClient(kgo.SeedBrokers(d.kafka.Addr()), kgo.DefaultProduceTopic("numbers")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.client.Close)
	old := d.register("int")
	d.numbers(old, 0, 100)
	d.madeUp(300)
	d.numbers(old, 100, 200)

	stop := d.run("dir: letters")
	began := time.Now()
	d.settled(200, 300)
	t.Logf("300 made-up schema ids took %s", time.Since(began))
	if took := time.Since(began); took > time.Minute {
		t.Errorf("300 made-up schema ids took %s", took)
	}
	d.found("dir: letters", 300)

	// The schema comes while the registry is away.
	young := d.register("long")
	if err := d.registry.Pause(); err != nil {
		t.Fatal(err)
	}
	d.numbers(young, 200, 210)
	d.inState(telemetry.NoRegistry, "no answer of use since")
	if err := d.registry.Resume(); err != nil {
		t.Fatal(err)
	}
	d.settled(210, 300)
	d.inState(telemetry.Running, "")

	if err := d.kafka.Kill(); err != nil {
		t.Fatal(err)
	}
	d.inState(telemetry.NoBroker, "nothing can be read from Kafka since")
	if err := d.kafka.Start(sourceLimit(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	d.numbers(young, 210, 220)
	d.settled(220, 300)
	d.inState(telemetry.Running, "")
	stop()

	// The same into a topic, for a group that begins anew.
	again := &deadRun{T: t, kafka: d.kafka, registry: d.registry, client: d.client, dir: t.TempDir()}
	stop = again.run("topic: numbers.dead")
	again.settled(220, 300)
	again.found("topic: numbers.dead", 300)
	stop()
}

func (d *deadRun) register(kind string) uint32 {
	d.Helper()
	client, err := sr.NewClient(sr.URLs(d.registry.URL()))
	if err != nil {
		d.Fatal(err)
	}
	s, err := client.CreateSchema(sourceLimit(d.T, time.Minute), "numbers-value", sr.Schema{Schema: fmt.Sprintf(numberSchema, kind), Type: sr.TypeAvro})
	if err != nil {
		d.Fatal(err)
	}
	return uint32(s.ID)
}

func (d *deadRun) send(records []*kgo.Record) {
	d.Helper()
	if err := d.client.ProduceSync(sourceLimit(d.T, time.Minute), records...).FirstErr(); err != nil {
		d.Fatal(err)
	}
}

// numbers writes events [from, to) under a schema.
func (d *deadRun) numbers(id uint32, from, to int) {
	d.Helper()
	var records []*kgo.Record
	for n := from; n < to; n++ {
		records = append(records, &kgo.Record{Value: binary.AppendVarint(binary.BigEndian.AppendUint32([]byte{0}, id), int64(n))})
	}
	d.send(records)
}

// madeUp writes n events, each under a schema id that nobody has registered.
func (d *deadRun) madeUp(n int) {
	d.Helper()
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Value: append(binary.BigEndian.AppendUint32([]byte{0}, 1<<30+uint32(i)), "\x1b[31m"...)})
	}
	d.send(records)
}

// conf writes the YAML, with another group for each kind of dead letters.
func (d *deadRun) conf(letters string) {
	d.Helper()
	text := fmt.Sprintf(deadYAML, d.kafka.Addr(), d.registry.URL(), letters)
	text = strings.ReplaceAll(text, "group: dead", "group: dead-"+letters[:3])
	if err := os.WriteFile(filepath.Join(d.dir, "sluice.yaml"), []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
}

// lines is what a program logs.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// run starts the program and waits until it serves its status.
func (d *deadRun) run(letters string) (stop func()) {
	d.Helper()
	d.conf(letters)
	d.Chdir(d.dir)
	ctx, cancel := context.WithCancel(context.Background())
	log, code := &lines{}, make(chan int, 1)
	go func() {
		code <- app.Run(ctx, []string{"run", "--metrics", "127.0.0.1:0"}, strings.NewReader(""), io.Discard, log, sinks.All())
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if c := <-code; c != 0 {
				d.Errorf("exit code %d", c)
			}
			if d.Failed() {
				d.Log(log)
			}
		})
	}
	d.Cleanup(stop)
	d.until("the status to be served", func() bool {
		_, rest, ok := strings.Cut(log.String(), `msg="serving metrics" address=`)
		if ok {
			d.address, _, ok = strings.Cut(rest, "\n")
		}
		return ok
	})
	return stop
}

func (d *deadRun) until(what string, ok func() bool) {
	d.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.Fatal("waited in vain for " + what)
		}
	}
}

func (d *deadRun) status() telemetry.Snapshot {
	d.Helper()
	resp, err := http.Get("http://" + d.address + "/status")
	if err != nil {
		d.Fatal(err)
	}
	defer resp.Body.Close()
	var s telemetry.Snapshot
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		d.Fatal(err)
	}
	return s
}

// settled waits until so many records are at the destination and so many in
// the dead letters, and no record more has been read.
func (d *deadRun) settled(committed, dead int64) {
	d.Helper()
	d.until(fmt.Sprintf("%d rows and %d letters", committed, dead), func() bool {
		lanes := d.status().Lanes
		return len(lanes) == 1 && lanes[0].Committed == committed && lanes[0].Dead == dead && lanes[0].AtRest()
	})
}

func (d *deadRun) inState(want telemetry.State, part string) {
	d.Helper()
	began := time.Now()
	d.until("state "+want.String(), func() bool {
		lanes := d.status().Lanes
		return len(lanes) == 1 && lanes[0].State == want && strings.Contains(lanes[0].Reason, part)
	})
	d.Logf("%s seen after %s: %s", want, time.Since(began).Round(time.Millisecond), d.status().Lanes[0].Reason)
}

// found looks for the letters as a person would.
func (d *deadRun) found(letters string, n int) {
	d.Helper()
	dead := func(args ...string) string {
		var out, err bytes.Buffer
		if code := app.Run(context.Background(), append([]string{"dead"}, args...), strings.NewReader(""), &out, &err, sinks.All()); code != 0 {
			d.Fatalf("dead %v: exit code %d\n%s", args, code, err.String())
		}
		return out.String()
	}
	list := dead("list")
	if !strings.Contains(list, fmt.Sprintf("numbers@files  %d ", n)) || strings.Count(list, "\n") != 2 || !strings.Contains(list, "does not know schema id #") {
		d.Errorf("dead list with %s:\n%s", letters, list)
	}
	show := dead("show", "numbers/0/100")
	if !strings.Contains(show, "schema id 1073741824") || !strings.Contains(show, "00000000  00 40 00 00 00 1b 5b 33  31 6d") || strings.Contains(show, "\x1b") {
		d.Errorf("dead show with %s:\n%s", letters, show)
	}
	d.Logf("%s\n%s", list, show)
}
