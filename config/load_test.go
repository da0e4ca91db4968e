package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// The example of the design: streams, connections and two sinks.
const example = `
-- streams.yaml --
streams:
  events:
    kafka: {brokers: [kafka:9092], topics: [events], group: ads-events, sasl: {mechanism: scram-sha-256, username: sluice, password: "${env:DB_PASSWORD}"}, tls: {}}
    format: avro                        # or json
    registry: {url: "http://registry:8081"}
    envelope: {id: id, time: time, type: type, server: server, payload: payload}
    dead_letters: {topic: events.dead}
connections:
  ch_prod: {clickhouse: {address: [ch1:9000, ch2:9000], username: sluice, password: "${file:secrets/ch}"}}
  ch_dev:  {clickhouse: {address: [dev:9000]}}
  billing: {mariadb: {address: [db:3306], database: billing, username: sluice, password: "${env:DB_PASSWORD}"}}
-- secrets/ch --
hunter2-from-file
-- sinks/campaign_stats.yaml --
sink: campaign_stats
from: events
start: earliest                         # latest | a time; resolved once
where: type in ["impression", "click"] and payload.campaign_id > 0
fields:
  event_id: id
  time: time
  campaign_id: payload.campaign_id
  cost: {from: payload.cost, as: "decimal(18,6)"}
batch: {rows: 100000, bytes: 64MiB, age: 5s}
on_bad_record: dead_letter              # default: stop
clickhouse:
  connection: [ch_prod, ch_dev]         # each its own progress
  table: stats.events
-- sinks/balances.yaml --
sink: balances
from: events
where: type in ["impression", "click", "deposit"]
fields:
  campaign_id: payload.campaign_id
  amount: 'type == "deposit" ? payload.amount : -payload.cost'     # exact decimals
  at: time
aggregate: {by: [campaign_id], columns: {balance: sum(amount), events: count(), last_at: max(at)}}
batch: {age: 15s}
mariadb: {connection: billing, table: balances, mode: add}         # insert | upsert | add | apply
`

func TestExampleOfTheDesign(t *testing.T) {
	c := mustLoad(t, example)
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
	events := c.Stream("events")
	if events == nil || events.Kafka.Group != "ads-events" || events.Kafka.SASL.Mechanism != "SCRAM-SHA-256" || events.Kafka.TLS == nil || events.DeadLetters.Topic != "events.dead" {
		t.Errorf("stream: %+v", events)
	}
	if len(c.Connections) != 3 || len(c.SinksOf("events")) != 2 {
		t.Fatalf("%d connections, %d sinks", len(c.Connections), len(c.Sinks))
	}
	stats := c.Sink("campaign_stats")
	wantFields := []config.Field{{Name: "event_id", Expr: "id"}, {Name: "time", Expr: "time"}, {Name: "campaign_id", Expr: "payload.campaign_id"}, {Name: "cost", Expr: "payload.cost", As: "decimal(18,6)"}}
	if !reflect.DeepEqual(stats.Fields, wantFields) {
		t.Errorf("fields: %v", stats.Fields)
	}
	if want := (sink.Batch{Rows: 100_000, Bytes: 64 << 20, Age: 5 * time.Second}); stats.Batch != want || stats.OnBadRecord != config.DeadLetter || stats.Delivery != sink.Replay {
		t.Errorf("batch %v, on bad record %s, delivery %s", stats.Batch, stats.OnBadRecord, stats.Delivery)
	}
	if len(stats.Targets) != 2 || stats.Targets[0].Connection != "ch_prod" || stats.Targets[1].Connection != "ch_dev" {
		t.Fatalf("targets: %v", stats.Targets)
	}
	if p := stats.Targets[0].Options.(*mariaConnection).Password.Reveal(); p != "hunter2-from-file" {
		t.Errorf("password of ch_prod: %q", p)
	}
	balances := c.Sink("balances")
	wantAggregate := &config.Aggregate{By: []string{"campaign_id"}, Columns: []config.Column{{Name: "balance", Expr: "sum(amount)"}, {Name: "events", Expr: "count()"}, {Name: "last_at", Expr: "max(at)"}}}
	if !reflect.DeepEqual(balances.Aggregate, wantAggregate) {
		t.Errorf("aggregate: %+v", balances.Aggregate)
	}
	if want := (sink.Batch{Rows: 50_000, Bytes: 64 << 20, Age: 15 * time.Second}); balances.Batch != want { // rows: of the type; bytes: of the program
		t.Errorf("batch: %v, want %v", balances.Batch, want)
	}
	if o := balances.Options.(*mariaOptions); o.Table != "balances" || o.Mode != "add" || o.Pool != 4 {
		t.Errorf("options: %+v", o)
	}
	cluster, err := events.Kafka.Cluster()
	if err != nil || cluster.TLS == nil || cluster.SASL.Password != "hunter2-from-env" {
		t.Errorf("cluster: %+v, %v", cluster, err)
	}
}

// everyOption says each option once.
const everyOption = `
-- streams.yaml --
streams:
  a:
    kafka:
      brokers: [k1:9092, "[::1]:9092"]
      topics: [x, y.z]
      group: g
      instance_id: node-1
      client_id: me
      sasl: {mechanism: SCRAM-SHA-512, username: 12, password: "${env:DB_PASSWORD}"}
      tls: {ca: pem, cert: pem, key: pem, server_name: k, insecure_skip_verify: false}
      session_timeout: 20s
      rebalance_timeout: 2m
      fetch: {partition_bytes: 2MiB}
    format: avro
    framing: confluent
    registry: {url: "https://r:8081/api", username: u, password: "${env:DB_PASSWORD}", tls: {}, subject: s, grace: 2h}
    schema: events.avsc
    envelope: {id: header.id, time: header.ts, type: kind, server: "-", payload: body}
    types: {payload.at: timestamp(ms), payload.cost: "decimal(18,6)", payload.tags: list(string)}
    dead_letters: {topic: dead}
    slots: 12
    defaults: {start: latest, batch: {rows: 7}, on_bad_record: dead_letter}
defaults: {timeout: 1m30s, batch: {rows: 9, bytes: 1.5MiB}, on_gap: stop, on_topic_reset: stop}
limits: {memory: 1GiB}
connections:
  db: {mariadb: {address: [db], tls: {ca: x, skip_verify: true}}}
-- pem --
x
-- events.avsc --
{"type":"string"}
-- s.yaml --
sink: s
from: a
start: 2026-01-31T06:00:00+02:00
where: |
  type == "a"
fields: all
delivery: at_least_once
mariadb:
  connection: db
  table: 1.10
  create: true
  mode: upsert
  keys: id
  pool: 255
  shift: -32768
  ratio: 1e-3
  wait: 1d12h30m5s
  chunk: 10KB
  token: $${env:X}
  renames: {a: b, c: "null"}
  limits: {a: 100_000, b: -5}
  retry: {times: 3, pause: 250ms}
  parts: [{name: a, rows: 1}, {name: b}]
---
sink: p
from: a
fields: {x: "1", y: true}
timeout: 2h
print:
`

func TestEveryOptionOfStreams(t *testing.T) {
	c := mustLoad(t, everyOption)
	a := c.Stream("a")
	wantKafka := config.Kafka{
		Brokers: []string{"k1:9092", "[::1]:9092"}, Topics: []string{"x", "y.z"}, Group: "g", InstanceID: "node-1", ClientID: "me",
		SASL:           &config.SASL{Mechanism: "SCRAM-SHA-512", Username: "12", Password: sink.NewSecret("hunter2-from-env")},
		TLS:            &config.TLS{CA: "pem", Cert: "pem", Key: "pem", ServerName: "k"},
		SessionTimeout: 20 * time.Second, RebalanceTimeout: 2 * time.Minute, Fetch: config.Fetch{PartitionBytes: 2 << 20},
	}
	if !reflect.DeepEqual(a.Kafka, wantKafka) {
		t.Errorf("kafka: %+v", a.Kafka)
	}
	if r := a.Registry; r.URL != "https://r:8081/api" || r.Grace != 2*time.Hour || r.Subject != "s" || r.Password.Reveal() != "hunter2-from-env" {
		t.Errorf("registry: %+v", r)
	}
	wantTypes := []config.Declared{
		{Path: "payload.at", Type: record.Type{Kind: record.Timestamp}, Unit: "ms"},
		{Path: "payload.cost", Type: record.Type{Kind: record.Decimal, Precision: 18, Scale: 6}},
		{Path: "payload.tags", Type: record.Type{Kind: record.List, Elem: &record.Type{Kind: record.String}}},
	}
	if !reflect.DeepEqual(a.Types, wantTypes) || string(a.Schema) != "{\"type\":\"string\"}\n" || a.Slots != 12 || a.Envelope.ID != "header.id" || a.Envelope.Server != "-" {
		t.Errorf("stream: %+v", a)
	}
	if c.Limits.Memory != 1<<30 {
		t.Errorf("limits: %+v", c.Limits)
	}
}

func TestEveryOptionOfSinks(t *testing.T) {
	c := mustLoad(t, everyOption)
	s := c.Sink("s")
	if s.Start.String() != "2026-01-31T06:00:00+02:00" || s.Where != "type == \"a\"\n" || !s.All || s.Delivery != sink.AtLeastOnce || s.Timeout != 90*time.Second {
		t.Errorf("sink: %+v", s)
	}
	if want := (sink.Batch{Rows: 7, Bytes: 3 << 19, Age: time.Second}); s.Batch != want { // of the stream, of the installation, of the type
		t.Errorf("batch: %+v", s.Batch)
	}
	o := s.Options.(*mariaOptions)
	want := &mariaOptions{
		common: common{"1.10", true}, Mode: "upsert", Keys: []string{"id"}, Pool: 255, Shift: -32768, Ratio: 1e-3,
		Wait: 36*time.Hour + 30*time.Minute + 5*time.Second, Chunk: 10_000, Token: sink.NewSecret("${env:X}"),
		Renames: map[string]string{"a": "b", "c": "null"}, Limits: map[string]int{"a": 100_000, "b": -5},
	}
	retry, parts := o.Retry, o.Parts
	o.Retry, o.Parts = nil, nil
	if !reflect.DeepEqual(o, want) || retry.Times != 3 || retry.Pause != 250*time.Millisecond || len(parts) != 2 || parts[1].Name != "b" {
		t.Errorf("options: %+v\nwant %+v\n%+v %+v", o, want, retry, parts)
	}
	p := c.Sink("p")
	if p.Start.String() != "latest" || p.Timeout != 2*time.Hour || p.OnBadRecord != config.DeadLetter || p.Delivery != sink.AtLeastOnce {
		t.Errorf("sink: %+v", p)
	}
	if want := []config.Target{{Connection: "print"}}; !reflect.DeepEqual(p.Targets, want) {
		t.Errorf("targets: %v", p.Targets)
	}
}

// Nothing is skipped unless somebody says so: without start, a sink begins at
// the earliest record; without on_bad_record it stops.
func TestDefaults(t *testing.T) {
	c := mustLoad(t, "-- a.yaml --\n"+small)
	s := c.Sink("s")
	if s.Start != (config.Start{}) || s.Start.String() != "earliest" || s.OnBadRecord != config.StopOnBad || s.OnGap != config.StopOnGap || s.OnReset != config.StopOnReset {
		t.Errorf("%+v", s)
	}
	if s.Timeout != 5*time.Minute || s.Batch != (sink.Batch{Rows: 100_000, Bytes: 64 << 20, Age: 5 * time.Second}) {
		t.Errorf("timeout %v, batch %v", s.Timeout, s.Batch)
	}
	k := c.Streams[0].Kafka
	if k.SessionTimeout != 10*time.Second || k.RebalanceTimeout != time.Minute || k.Fetch.PartitionBytes != 4<<20 {
		t.Errorf("kafka: %+v", k)
	}
}

const small = `
streams: {e: {kafka: {brokers: k:1, topics: t, group: g}, format: json}}
---
sink: s
from: e
fields: all
print:
`

// Folders give their files by name, those of sinks last; hidden files, other
// files and a file named twice are left out.
func TestFolders(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "conf/b.yaml", small)
	for _, n := range []string{"conf/a.yml", "conf/sinks/0.yaml", "conf/.hidden.yaml", "conf/readme.md", "conf/other/x.yaml", "more.conf"} {
		write(t, n, "sink: "+strings.NewReplacer("/", "_", ".", "_").Replace(n)+"\nfrom: e\nfields: all\nprint:\n")
	}
	c, err := config.Load([]string{"conf", "more.conf", "./conf/b.yaml"}, specs(), environment)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.Sinks {
		got = append(got, s.File)
	}
	want := []string{"conf/a.yml", "conf/b.yaml", "conf/sinks/0.yaml", "more.conf"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What cannot be read is a problem of that file, not a crash and not a hang.
func TestFilesThatCannotBeRead(t *testing.T) {
	f := func(want string, paths ...string) {
		t.Helper()
		_, err := config.Load(paths, specs(), environment)
		if err == nil || err.Error() != want {
			t.Errorf("%v: got %v, want %s", paths, err, want)
		}
	}
	t.Chdir(t.TempDir())
	write(t, "empty/readme", "")
	write(t, "large.yaml", strings.Repeat("#\n", 1<<19)+"#")
	write(t, "latin1.yaml", "sink: \xe9")
	write(t, "many.yaml", strings.Repeat("---\n5\n", 1001))
	f("nosuch: does not exist", "nosuch")
	f("empty: no *.yaml or *.yml file in this folder", "empty")
	f("/dev/null: is not a regular file", "/dev/null")
	f("large.yaml: has more than 1024 KiB", "large.yaml")
	f("latin1.yaml: is not UTF-8 text", "latin1.yaml")
	_, err := config.Load([]string{"many.yaml"}, specs(), environment)
	if err == nil || !strings.Contains(err.Error(), "more than 1000 documents in one file") || strings.Count(err.Error(), "\n") != 200 {
		t.Errorf("many documents: %d lines", strings.Count(err.Error(), "\n"))
	}
	for i := range 20 {
		write(t, fmt.Sprintf("total/%02d.yaml", i), strings.Repeat("#\n", 1<<19-1))
	}
	_, err = config.Load([]string{"total"}, specs(), environment)
	if err == nil || !strings.Contains(err.Error(), "total/16.yaml: more than 16 MiB of configuration") {
		t.Errorf("16 MiB: %v", err)
	}
}

// References are resolved in place, from the folder of the YAML file.
func TestReferences(t *testing.T) {
	c := mustLoad(t, `
-- a.yaml --
streams: {e: {kafka: {brokers: [k:1], topics: "${env:TOPIC}", group: "g-${env:TOPIC}-${file:name}"}, format: json}}
connections: {db: {mariadb: {address: [a], password: "${file:name}", username: "${env:EMPTY}", database: "${env:YAML}"}}}
-- name --
x
y

-- sinks/a.yaml --
sink: s
from: e
where: x == "$${env:TOPIC}" and y == "$$$${"
fields: all
batch: {rows: "${env:ROWS}"}
mariadb: {connection: db, table: "${file:../name}"}
`)
	k := c.Streams[0].Kafka
	if k.Group != "g-events-x\ny\n" || !reflect.DeepEqual(k.Topics, []string{"events"}) {
		t.Errorf("%q %q", k.Group, k.Topics)
	}
	conn := c.Connections[0].Options.(*mariaConnection)
	if conn.Password.Reveal() != "x\ny\n" || conn.Username != "" || conn.Database != "{a: 1}" {
		t.Errorf("%q %q %q", conn.Password.Reveal(), conn.Username, conn.Database)
	}
	s := c.Sinks[0]
	if s.Batch.Rows != 2000 || s.Where != `x == "${env:TOPIC}" and y == "$$${"` || s.Options.(*mariaOptions).Table != "x\ny\n" {
		t.Errorf("%d %q", s.Batch.Rows, s.Where)
	}
}

// No way of printing a configuration shows a secret.
func TestSecretsNeverPrint(t *testing.T) {
	c := mustLoad(t, example)
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		for _, v := range []any{c, *c, c.Streams, c.Streams[0].Kafka.SASL, c.Connections[0].Options, c.Connections, c.Sinks, c.Sink("balances").Targets[0].Options} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "hunter2") {
				t.Errorf("%s of %T shows the secret", verb, v)
			}
		}
	}
}

// The offsets of a group have room for so many sinks.
func TestTooManySinks(t *testing.T) {
	f := func(sinks int, options, want string) {
		t.Helper()
		text := "-- a.yaml --\nstreams: {e: {kafka: {brokers: k:1, topics: t, group: g}, format: json" + options + "}}\n"
		for i := range sinks {
			text += fmt.Sprintf("---\nsink: s%d\nfrom: e\nfields: all\nprint:\n", i)
		}
		_, err := load(t, text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%d sinks%s: got %v, want %q", sinks, options, err, want)
		}
	}
	f(10, "", "")
	f(40, "", "a.yaml:1:11: streams.e: 40 sinks in one group: its offsets can record ")
	f(40, ", slots: 2", "") // depends on the topic
}
