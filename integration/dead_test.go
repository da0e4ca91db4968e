package integration_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/cmd/app/apptest"
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
files: {dir: "%s"}
`

const numberSchema = `{"type":"record","name":"number","fields":[{"name":"n","type":"%s"}]}`

// deadRun is the program on real servers, in this process.
type deadRun struct {
	*testing.T
	kafka    *stack.KafkaServer
	registry *stack.RegistryServer
	client   *kgo.Client
	dir      string
	program  *apptest.Program
}

// TestDeadLettersAndOutages: records with made-up schema ids cost one grace and
// are in the dead letters, in a folder as in a topic, where dead finds them;
// a registry and a broker that are away are seen in the lanes while they are,
// nothing is put aside meanwhile, and all goes on by itself.
func TestDeadLettersAndOutages(t *testing.T) {
	t.Parallel()
	d := &deadRun{T: t, kafka: stack.Kafka(t), registry: stack.Registry(t), dir: t.TempDir()}
	for _, name := range []string{"numbers", "numbers.dead"} {
		topic(t, d.kafka, name, 1)
	}
	d.client = kafkaClient(t, d.kafka, kgo.DefaultProduceTopic("numbers"))
	old := d.register("int")
	d.numbers(old, 0, 100)
	d.madeUp(300)
	d.numbers(old, 100, 200)

	d.run("dir: letters")
	began := time.Now()
	d.settled(200, 300) // 300 graces would be longer than this waits
	t.Logf("300 made-up schema ids took %s", time.Since(began))
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
	if err := d.kafka.Start(limit(t)); err != nil {
		t.Fatal(err)
	}
	d.numbers(young, 210, 220)
	d.settled(220, 300)
	d.inState(telemetry.Running, "")
	d.end()

	// The same into a topic, for a group that begins anew.
	again := &deadRun{T: t, kafka: d.kafka, registry: d.registry, client: d.client, dir: t.TempDir()}
	again.run("topic: numbers.dead")
	again.settled(220, 300)
	again.found("topic: numbers.dead", 300)
	again.end()
}

// register registers the schema of a number of a type.
func (d *deadRun) register(kind string) uint32 {
	d.Helper()
	return uint32(register(d.T, d.registry, "numbers-value", fmt.Sprintf(numberSchema, kind)))
}

// numbers writes events [from, to) under a schema.
func (d *deadRun) numbers(id uint32, from, to int) {
	d.Helper()
	var records []*kgo.Record
	for n := from; n < to; n++ {
		records = append(records, &kgo.Record{Value: binary.AppendVarint(binary.BigEndian.AppendUint32([]byte{0}, id), int64(n))})
	}
	send(d.T, d.client, records...)
}

// madeUp writes n events, each under a schema id that nobody has registered.
func (d *deadRun) madeUp(n int) {
	d.Helper()
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Value: append(binary.BigEndian.AppendUint32([]byte{0}, 1<<30+uint32(i)), "\x1b[31m"...)})
	}
	send(d.T, d.client, records...)
}

// conf writes the YAML, with another group for each kind of dead letters.
func (d *deadRun) conf(letters string) {
	d.Helper()
	text := fmt.Sprintf(deadYAML, d.kafka.Addr(), d.registry.URL(), letters, filepath.Join(d.dir, "out"))
	text = strings.ReplaceAll(text, "group: dead", "group: dead-"+letters[:3])
	if err := os.WriteFile(filepath.Join(d.dir, "sluice.yaml"), []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
}

// run starts the program.
func (d *deadRun) run(letters string) {
	d.Helper()
	d.conf(letters)
	d.program = apptest.Start(d.T, "-c", d.dir)
}

// end ends the program, as an operator does.
func (d *deadRun) end() {
	d.Helper()
	if code := d.program.End(); code != 0 {
		d.Errorf("exit code %d:\n%s", code, d.program.Said)
	}
}

// settled waits until so many records are at the destination and so many in
// the dead letters, and no record more has been read.
func (d *deadRun) settled(committed, dead int64) {
	d.Helper()
	d.program.Wait(fmt.Sprintf("%d rows and %d letters", committed, dead), func() bool {
		lanes := d.program.Status().Lanes
		return len(lanes) == 1 && lanes[0].Committed == committed && lanes[0].Dead == dead && lanes[0].AtRest()
	})
}

func (d *deadRun) inState(want telemetry.State, part string) {
	d.Helper()
	began := time.Now()
	d.program.Wait("state "+want.String(), func() bool {
		lanes := d.program.Status().Lanes
		return len(lanes) == 1 && lanes[0].State == want && strings.Contains(lanes[0].Reason, part)
	})
	d.Logf("%s seen after %s: %s", want, time.Since(began).Round(time.Millisecond), d.program.Status().Lanes[0].Reason)
}

// found looks for the letters as a person would.
func (d *deadRun) found(letters string, n int) {
	d.Helper()
	dead := func(args ...string) string {
		var out, err bytes.Buffer
		if code := app.Run(context.Background(), append([]string{"dead"}, append(args, "-c", d.dir)...), strings.NewReader(""), &out, &err, sinks.All()); code != 0 {
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
