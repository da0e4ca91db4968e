package integration_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/integration/stack"
)

const gapAvroStreams = `streams:
  s:
    kafka: {brokers: ["%[1]s"], topics: [%[2]s], group: %[2]s}
    format: avro
    registry: {url: "http://%[3]s/apis/ccompat/v7", grace: 3s}
    envelope: {id: id, time: time, type: type, server: server, payload: payload}
    dead_letters: {topic: %[2]s_dead}
    defaults: {on_bad_record: dead_letter}
connections:
  db: {mariadb: {address: "%[4]s", database: %[2]s, username: root, timeout: 5s}}
`

// gapSchema is an event's schema whose number has a type, and whose payload may
// have one field more.
func gapSchema(n, more string) string {
	return `{"type":"record","name":"Event","fields":[{"name":"id","type":"string"},{"name":"time","type":{"type":"long","logicalType":"timestamp-millis"}},
		{"name":"type","type":"string"},{"name":"server","type":"string"},
		{"name":"payload","type":{"type":"record","name":"Payload","fields":[{"name":"n","type":"` + n + `"},{"name":"pad","type":"string"}` + more + `]}}]}`
}

// avro produces the numbers [from, to) under a schema; more is what follows
// their two fields.
func (g *gapRun) avro(id, from, to int, number func(n int) []byte, more ...byte) {
	g.Helper()
	cl := kafkaClient(g.T, g.kafka, kgo.DefaultProduceTopic(g.name))
	text := func(b []byte, s string) []byte { return append(binary.AppendVarint(b, int64(len(s))), s...) }
	for n := from; n < to; n++ {
		v := binary.BigEndian.AppendUint32([]byte{0}, uint32(id))
		v = binary.AppendVarint(text(v, fmt.Sprint("e", n)), 1767225600000)
		v = text(text(v, "click"), "s")
		v = append(text(append(v, number(n)...), "pad"), more...)
		send(g.T, cl, &kgo.Record{Value: v})
	}
}

func gapLong(n int) []byte { return binary.AppendVarint(nil, int64(n)) }

// letters counts the dead letters.
func (g *gapRun) letters() int64 {
	g.Helper()
	_, next, err := g.kafka.LogRange(limit(g.T), g.name+"_dead", 0)
	if err != nil {
		g.Fatal(err)
	}
	return next
}

// gapRegistryDown takes the registry away when schemas come that nobody has
// asked for yet: what is known goes on, what is not waits, as long as it takes,
// and no event becomes a dead letter for that. Also a program that starts waits.
// Then come events that no waiting helps: of a schema that nobody has
// registered, and of one whose number is none.
func gapRegistryDown(g *gapRun) {
	g.topic(1)
	topic(g.T, g.kafka, g.name+"_dead", 1)
	r := stack.Registry(g.T)
	gate := stack.ProxyTo(g.T, r.Addr(), stack.Raw)
	first := register(g.T, r, g.name+"-value", gapSchema("long", ""))
	second := register(g.T, r, g.name+"-value", gapSchema("long", `,{"name":"more","type":["null","string"],"default":null}`))
	third := register(g.T, r, "another", gapSchema("string", ""))
	g.avro(first, 0, 50, gapLong)
	d := gapDeployment{sinks: []string{"table", "archive"}, text: fmt.Sprintf(gapAvroStreams, g.kafka.Addr(), g.name, gate.Addr(), g.db.Addr())}
	l := g.deploy("conf", d)
	l.have(d.sinks, span(0, 50)...)

	away := func() { gate.Refuse(); gate.Sever() }
	back := func() {
		if err := gate.Accept(); err != nil {
			g.Fatal(err)
		}
	}
	away()
	g.avro(first, 50, 60, gapLong)
	l.has("table", span(0, 60)...)
	g.avro(second, 60, 70, gapLong, 0)
	g.avro(first, 70, 80, gapLong)
	time.Sleep(5 * time.Second) // longer than the grace of an unknown schema
	g.wants("table", span(0, 60)...)
	g.wants("archive", span(0, 60)...)
	back()
	l.have(d.sinks, span(0, 80)...)
	l.stop()

	away()
	g.avro(second, 80, 90, gapLong, 0)
	l = g.deploy("conf", d)
	l.until("a word on the registry", func() bool { return len(l.lines("waiting for the schema registry")) > 0 })
	back()
	l.have(d.sinks, span(0, 90)...)
	if n := g.letters(); n != 0 {
		g.Errorf("%d events became dead letters while the registry was away", n)
	}

	g.avro(99999, 90, 93, gapLong)
	g.avro(third, 93, 95, func(int) []byte { return append(binary.AppendVarint(nil, 3), "one"...) })
	g.avro(first, 95, 100, gapLong)
	l.have(d.sinks, slices.Concat(span(0, 90), span(95, 100))...)
	l.until("a letter for each sink and event", func() bool { return g.letters() == 10 })
	l.stop()
	for _, letter := range g.headers() {
		if reason := letter["sluice-reason"]; !strings.Contains(reason, "99999") && !strings.Contains(reason, "payload.n") {
			g.Errorf("a letter's reason is %q", reason)
		}
	}
}

// headers reads the dead letters' headers.
func (g *gapRun) headers() (all []map[string]string) {
	g.Helper()
	cl := kafkaClient(g.T, g.kafka, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{g.name + "_dead": {0: kgo.NewOffset().AtStart()}}))
	for next := g.letters(); int64(len(all)) < next; {
		fetches := cl.PollFetches(limit(g.T))
		if err := fetches.Err(); err != nil {
			g.Fatal(err)
		}
		for _, r := range fetches.Records() {
			one := map[string]string{}
			for _, h := range r.Headers {
				one[h.Key] = string(h.Value)
			}
			all = append(all, one)
		}
	}
	return all
}
