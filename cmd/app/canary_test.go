package app_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/sluicekit/sluice/cmd/app/apptest"
)

// The canaries: texts that stand where secrets stand, and must not be seen
// again, nor as base64, in whatever the program says.
const (
	canaryKafka    = "canary-kafka-7f3a"
	canaryWrong    = "canary-wrong-91bd"
	canaryRegistry = "canary-registry-c02e"
	canaryRefused  = "canary-refused-55aa"
	canaryDatabase = "canary-database-e8d1"
	canaryURL      = "canary-url-3c77"
	canaryEvent    = "canary-event-d00d"
)

// seen lists the canaries in a text, however they are written.
func seen(text string) (out []string) {
	for _, c := range []string{canaryKafka, canaryWrong, canaryRegistry, canaryRefused, canaryDatabase, canaryURL, canaryEvent} {
		for _, form := range []string{c, base64.StdEncoding.EncodeToString([]byte("u:" + c)), base64.StdEncoding.EncodeToString([]byte(c)), fmt.Sprintf("%x", c), strings.ToUpper(c)} {
			if strings.Contains(text, form) {
				out = append(out, c)
			}
		}
	}
	return out
}

// aviary is a Kafka that wants a password, a registry that wants one, one that
// refuses and shows the password in its answer, and a port that is no database.
type aviary struct {
	t       *testing.T
	client  *kgo.Client
	good    *httptest.Server
	refuses *httptest.Server
	kafka   string
}

const aviarySchema = `{"type":"record","name":"E","fields":[{"name":"id","type":"string"},{"name":"type","type":"string"},{"name":"n","type":"int"}]}`

func newAviary(t *testing.T) *aviary {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", canaryKafka), kfake.SeedTopics(1, "birds", "birds.dead", "texts"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	a := &aviary{t: t, kafka: k.ListenAddrs()[0]}
	a.client, err = kgo.NewClient(kgo.SeedBrokers(a.kafka), kgo.SASL(plain.Auth{User: "u", Pass: canaryKafka}.AsMechanism()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.client.Close)
	schema, err := json.Marshal(map[string]any{"id": 1, "version": 1, "subject": "birds-value", "schema": aviarySchema})
	if err != nil {
		t.Fatal(err)
	}
	a.good = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, p, _ := r.BasicAuth(); p != canaryRegistry || strings.Contains(r.URL.Path, "/ids/") && !strings.Contains(r.URL.Path, "/ids/1") {
			http.Error(w, fmt.Sprintf(`{"error_code":40403,"message":"no: %s %s"}`, p, r.Header.Get("Authorization")), http.StatusNotFound)
			return
		}
		w.Write(schema) //nolint:errcheck // the client sees it
	}))
	t.Cleanup(a.good.Close)
	a.refuses = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, p, _ := r.BasicAuth()
		w.Header().Set("WWW-Authenticate", "Basic realm="+p)
		http.Error(w, fmt.Sprintf(`{"error_code":401,"message":"who is %s, %s?"}`, p, r.Header.Get("Authorization")), http.StatusUnauthorized)
	}))
	t.Cleanup(a.refuses.Close)
	t.Setenv("CANARY_KAFKA", canaryKafka)
	return a
}

func (a *aviary) produce(topic string, values ...string) {
	a.t.Helper()
	for _, v := range values {
		if err := a.client.ProduceSync(a.t.Context(), &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(v)}).FirstErr(); err != nil {
			a.t.Fatal(err)
		}
	}
}

// files is a configuration that works, and how to break it.
func (a *aviary) files(more string) map[string]string {
	return map[string]string{
		"registry.pw": canaryRegistry + "\n",
		"database.pw": canaryDatabase,
		"a.yaml": fmt.Sprintf(`
streams:
  birds:
    kafka: {brokers: [%q], topics: [birds], group: g, sasl: {mechanism: PLAIN, username: u, password: "${env:CANARY_KAFKA}"}}
    format: avro
    registry: {url: %q, username: u, password: "${file:registry.pw}", grace: 1s}
    dead_letters: {topic: birds.dead}
connections:
  db: {mariadb: {address: ["127.0.0.1:1"], database: d, username: u, password: "${file:database.pw}", timeout: 2s}}
---
sink: out
from: birds
where: type != "x"
fields: {id: id, n: n}
batch: {age: 100ms}
on_bad_record: dead_letter
discard:
---
sink: rows
from: birds
fields: {id: id, n: n}
mariadb: {connection: db, table: t, mode: insert}
%s`, a.kafka, a.good.URL, more),
	}
}

// commandsWithArguments are calls of every command, with every flag that makes
// it say more. A new command has to be added here.
func commandsWithArguments() map[string][][]string {
	return map[string][][]string{
		"demo":     {{"-h"}},
		"run":      {}, // has a test of its own
		"check":    {{}, {"--json"}, {"--connect"}, {"--connect", "--json"}},
		"peek":     {{"birds", "--from", "earliest", "--fields", "type"}, {"birds", "--from", "earliest", "--format", "csv", "--fields", "type"}, {"--sink", "rows", "--json", "--from", "earliest", "--where", "n > 5"}, {"birds", "--where", "nonsense > 1"}, {"nosuch"}},
		"dead":     {{"list"}, {"list", "--json"}, {"list", "--stream", "nosuch"}},
		"settle":   {{"--json"}, {"--stream", "birds"}, {"--stream", "birds", "--start-at", "rows@db=earliest"}, {"--slots", "1"}},
		"sinks":    {{}, {"--json"}},
		"describe": {{"mariadb"}, {"mariadb", "--json"}},
		"version":  {{}, {"--json"}},
	}
}

// No secret is shown by any command, whether it works, is used wrongly, or
// something answers with an error.
func TestCanaryInCommands(t *testing.T) {
	a := newAviary(t)
	const sound = "\x00\x00\x00\x00\x01\x02a\x02t\x02"
	a.produce("birds", sound, "\x00\x00\x00\x00\x07"+canaryEvent, "no avro "+canaryEvent, "\x00\x00\x00\x00\x01\x02a\x02\xff\x02", sound)
	broken := map[string]string{
		"works":           "",
		"wrong password":  strings.ReplaceAll("\n---\nstreams: {other: {kafka: {brokers: [ADDR], topics: [birds], group: h, sasl: {mechanism: PLAIN, username: u, password: "+canaryWrong+"}}, format: json}}\n", "ADDR", a.kafka),
		"registry says":   fmt.Sprintf("\n---\nstreams: {other: {kafka: {brokers: [%q], topics: [birds], group: h}, format: avro, registry: {url: %q, username: u, password: %s}}}\n---\nsink: x\nfrom: other\nfields: {z: z}\ndiscard:\n", a.kafka, a.refuses.URL, canaryRefused),
		"password in URL": fmt.Sprintf("\n---\nstreams: {other: {kafka: {brokers: [%q], topics: [birds], group: h}, format: avro, registry: {url: \"http://u:%s@127.0.0.1:1\"}}}\n", a.kafka, canaryURL),
		"query of a URL":  fmt.Sprintf("\n---\nstreams: {other: {kafka: {brokers: [%q], topics: [birds], group: h}, format: avro, registry: {url: \"http://127.0.0.1:1/?token=%s\"}}}\n", a.kafka, canaryURL),
		"broker as URL":   "\n---\nstreams: {other: {kafka: {brokers: [\"u:" + canaryURL + "@127.0.0.1:1\"], topics: [birds], group: h}, format: json}}\n",
		"misspelt":        "\n---\nconnections: {e: {mariadb: {address: [x], pasword: " + canaryDatabase + ", database: d}}}\n",
		"a list":          "\n---\nconnections: {e: {mariadb: {address: [x], password: [" + canaryDatabase + "], database: d}}}\n",
		"not YAML":        "\n---\nconnections: {e: {mariadb: {password: " + canaryDatabase + ": }\n",
		"a tab":           "\n---\nconnections:\n  e:\n\tpassword: " + canaryDatabase + "\n",
		"missing file":    "\n---\nconnections: {e: {mariadb: {address: [x], database: d, password: \"${file:database.pw}${file:nosuch}\"}}}\n",
		"in a reference":  "\n---\nconnections: {e: {mariadb: {address: [x], database: d, password: \"${env:CANARY_KAFKA}${oops:" + canaryDatabase + "}\"}}}\n",
	}
	calls := commandsWithArguments()
	_, list, _ := strings.Cut(sluice(t, "help").out, "COMMAND [FLAGS]\n\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for _, line := range strings.Split(list, "\n") {
		if _, ok := calls[strings.Fields(line)[0]]; !ok {
			t.Errorf("the command %s is in no test of secrets", strings.Fields(line)[0])
		}
	}
	for name, more := range broken {
		folder(t, a.files(more))
		for command, argss := range calls {
			for _, args := range argss {
				if name != "works" && len(args) == 1 && args[0] == "--connect" {
					continue // it waits; --json shows more
				}
				r := sluice(t, append([]string{command}, args...)...)
				if found := seen(r.out + r.err); found != nil {
					t.Errorf("%s: sluice %s %v shows %v:\n%s\n%s", name, command, args, found, r.out, r.err)
				}
				if name == "works" && r.out == "" && args[len(args)-1] != "nosuch" && !strings.Contains(args[len(args)-1], "nonsense") {
					t.Errorf("sluice %s %v says nothing: %s", command, args, r.err)
				}
				if strings.ContainsAny(r.out+r.err, "\x1b\x00") {
					t.Errorf("%s: sluice %s %v: control characters in %q", name, command, args, r.out+r.err)
				}
			}
		}
	}
}

// run shows no secret in its logs, at any level and in either format, nor in
// what it serves, nor in the dead letters that it writes.
func TestCanaryInRun(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		for _, password := range []string{canaryKafka, canaryWrong} {
			t.Run(format+" "+password, func(t *testing.T) {
				a := newAviary(t)
				t.Setenv("CANARY_KAFKA", password)
				a.produce("birds", "\x00\x00\x00\x00\x01\x02a\x02t\x02", "\x00\x00\x00\x00\x07"+canaryEvent, "\x1b]0;"+canaryEvent, "\x00\x00\x00\x00\x01\x02a\x06\xff\x1b[\x02")
				folder(t, a.files(""))
				done := func(string) bool { return true }
				if password == canaryKafka {
					done = func(served string) bool {
						return regexp.MustCompile(`(?i)"dead":\s*3`).MatchString(served)
					}
				}
				logged, served := a.run(format, done)
				for what, text := range map[string]string{"the logs": logged, "the endpoints": served} {
					if found := seen(text); found != nil {
						t.Errorf("%s show %v:\n%s", what, found, text)
					}
					if strings.ContainsAny(text, "\x1b\x00") {
						t.Errorf("%s hold control characters", what)
					}
				}
				if !strings.Contains(logged, "127.0.0.1") || served == "" {
					t.Errorf("the test has seen too little:\n%s\n%s", logged, served)
				}
				if password == canaryKafka {
					a.lookAtLetters(3)
				}
			})
		}
	}
}

// run runs the program until what it serves is as wanted, or it has ended, and
// for two seconds at the least: what it tries meanwhile may fail and be logged.
func (a *aviary) run(format string, done func(served string) bool) (logged, served string) {
	a.t.Helper()
	p := apptest.Start(a.t, "--log", "debug", "--log-format", format)
	least := time.Now().Add(2 * time.Second)
	p.Wait("what it serves", func() bool {
		if p.Ended() {
			return true
		}
		served = ""
		for _, path := range []string{"/metrics", "/status", "/ready", "/live", "/"} {
			served += p.Get(path)
		}
		return done(served) && strings.Contains(served, "sluice_") && time.Now().After(least)
	})
	p.End()
	return p.Said.String(), served
}

// lookAtLetters reads dead letters: what is in their headers is ours, and only
// the record itself may hold what the event holds.
func (a *aviary) lookAtLetters(n int) {
	a.t.Helper()
	a.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{"birds.dead": {0: kgo.NewOffset().AtStart()}})
	ctx, cancel := context.WithTimeout(a.t.Context(), apptest.Patience)
	defer cancel()
	for got := 0; got < n; {
		records := a.client.PollFetches(ctx).Records()
		if ctx.Err() != nil {
			a.t.Fatalf("%d dead letters, want %d", got, n)
		}
		for _, r := range records {
			got++
			for _, h := range r.Headers {
				if found := seen(string(h.Value)); found != nil || strings.Contains(string(h.Value), "\x1b") {
					a.t.Errorf("letter %d: header %s is %q", r.Offset, h.Key, h.Value)
				}
			}
		}
	}
}
