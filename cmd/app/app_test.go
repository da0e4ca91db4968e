package app_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks"
	"github.com/sluicekit/sluice/sinks/discard"
)

func TestUsage(t *testing.T) {
	sluice(t).want(t, 2, "", "Usage: sluice COMMAND")
	sluice(t, "help").want(t, 0, "describe  explain a type of sink", "")
	sluice(t, "--help").want(t, 0, "Exit codes: 0 done, 1 failed, 2 wrong usage", "")
	sluice(t, "chekc").want(t, 2, "", `unknown command "chekc"; did you mean check?`)
	sluice(t, "zzz").want(t, 2, "", `unknown command "zzz"; sluice help lists them`)
	sluice(t, "help", "zzz").want(t, 2, "", `unknown command "zzz"`)
	sluice(t, "check", "--conect").want(t, 2, "", "check: unknown flag --conect; did you mean --connect?")
	sluice(t, "check", "--zzz").want(t, 2, "", "check: unknown flag --zzz; see sluice help check")
	sluice(t, "check", "-c").want(t, 2, "", "flag needs an argument: -c")
	sluice(t, "check", "-c", "").want(t, 2, "", "an empty path")
	sluice(t, "check", "streams.yaml").want(t, 2, "", "check takes no arguments; say -c streams.yaml")
	sluice(t, "run", "--metrics", "9464").want(t, 2, "", "run: --metrics 9464: write HOST:PORT, such as 127.0.0.1:9464")
	sluice(t, "sinks", "files").want(t, 2, "", "sluice describe files explains a type")
	sluice(t, "version").want(t, 0, "sluice ", "")
	sluice(t, "--version", "--json").want(t, 0, `"version": `, "")
}

// Every subcommand explains itself, with an example to copy.
func TestHelpOfEveryCommand(t *testing.T) {
	_, list, _ := strings.Cut(sluice(t, "help").out, "COMMAND [FLAGS]\n\n")
	list, _, _ = strings.Cut(list, "\n\n")
	if strings.Count(list, "\n") < 3 {
		t.Fatalf("commands:\n%s", list)
	}
	for _, line := range strings.Split(list, "\n") {
		name := strings.Fields(line)[0]
		byHelp, byFlag := sluice(t, "help", name), sluice(t, name, "-h")
		if !strings.Contains(byHelp.out, "\nExamples:\n  sluice "+name) {
			t.Errorf("help of %s lacks examples:\n%s", name, byHelp.out)
		}
		if byHelp != byFlag || byHelp.code != 0 || !strings.Contains(byHelp.out, "Usage: sluice "+name) || strings.Count(byHelp.out, "sluice "+name) < 2 {
			t.Errorf("help of %s: exit code %d\n%s%s", name, byHelp.code, byHelp.out, byHelp.err)
		}
	}
}

func TestSinksAndDescribe(t *testing.T) {
	sluice(t, "sinks").want(t, 0, "TYPE ", "")
	sluice(t, "describe").want(t, 2, "", "describe takes one type, sink or stream; sluice sinks lists the types")
	sluice(t, "describe", "fils").want(t, 2, "", `unknown type of sink "fils"; did you mean files?`)
	sluice(t, "describe", "zzzz").want(t, 2, "", `unknown type of sink "zzzz"; sluice sinks lists them`)
	var types []struct{ Type, Delivery, Summary string }
	decode(t, sluice(t, "sinks", "--json").out, &types)
	if len(types) != len(sinks.All()) {
		t.Errorf("%d types, want %d", len(types), len(sinks.All()))
	}
	for _, s := range sinks.All() {
		text := sluice(t, "describe", s.Type)
		text.want(t, 0, s.Summary, "")
		for _, part := range []string{"Delivery ", "Fields ", "Example:", "sink: "} {
			if !strings.Contains(text.out, part) {
				t.Errorf("describe %s lacks %q:\n%s", s.Type, part, text.out)
			}
		}
		var about struct {
			Type, Delivery, Example string
			Kinds                   []string
			Options                 []struct{ Path, Type, Default string }
		}
		decode(t, sluice(t, "describe", "--json", s.Type).out, &about)
		if about.Type != s.Type || about.Delivery != s.Delivery.String() || len(about.Kinds) != len(s.Kinds) || about.Example != string(s.Example) {
			t.Errorf("describe %s --json: %+v", s.Type, about)
		}
		// Each option is explained by the example.
		for _, o := range about.Options {
			key := o.Path[strings.LastIndexByte(o.Path, '.')+1:] + ":"
			if !strings.Contains(about.Example, key) {
				t.Errorf("the example of %s lacks the option %s", s.Type, o.Path)
			}
		}
	}
}

// What describe says of streams and sinks is a configuration without a mistake.
func TestDescribeStreamAndSink(t *testing.T) {
	for _, name := range []string{"HOSTNAME", "KAFKA_PASSWORD", "REGISTRY_PASSWORD"} {
		t.Setenv(name, "x")
	}
	stream, sink := sluice(t, "describe", "stream"), sluice(t, "describe", "sink")
	folder(t, map[string]string{"streams.yaml": strings.ReplaceAll(stream.out, "/etc/sluice/", ""), "sink.yaml": sink.out,
		"ca.pem": "", "client.pem": "", "client.key": "",
		"more.yaml": "connections: {billing: {mariadb: {address: [\"db:3306\"], database: d, username: u}}}\n"})
	sluice(t, "check").want(t, 0, "balances  events  mariadb (billing)  3       100000 rows, 64MiB, 5s  earliest  atomic", "streams.lines: warning: no sink reads this stream")
	var about struct{ Example string }
	if decode(t, sluice(t, "describe", "sink", "--json").out, &about); about.Example != sink.out {
		t.Errorf("--json: %q", about.Example)
	}
}

// streams is a stream of JSON events for the examples and the tests of check.
// Nobody listens at its broker's port.
const streams = `
streams:
  events:
    kafka: {brokers: "127.0.0.1:9", topics: events, group: g}
    format: json
    types:
      payload.cost: decimal(18,6)
      payload.amount: decimal(18,6)
      payload.campaign_id: int
    dead_letters: {topic: events.dead}
`

// The example of every sink is a configuration without a mistake.
func TestExamples(t *testing.T) {
	for _, s := range sinks.All() {
		t.Run(s.Type, func(t *testing.T) {
			t.Setenv("DB_PASSWORD", "x")
			folder(t, map[string]string{"streams.yaml": streams, "example.yaml": string(s.Example)})
			sluice(t, "check").want(t, 0, s.Type, "")
		})
	}
}

func TestCheck(t *testing.T) {
	good := `
sink: a
from: events
where: type == "click"
fields: {id: id, cost: payload.cost}
files: {dir: out}
---
sink: b
from: events
fields: all
start: latest
batch: {rows: 10}
stdout:
`
	folder(t, map[string]string{"streams.yaml": streams, "sinks/a.yaml": good})
	r := sluice(t, "check")
	r.want(t, 0, "a     events  files   2       ", "")
	r.want(t, 0, "sink b: at least once: after a crash rows may come twice", "")
	if sluice(t, "check", "-c", "streams.yaml", "-c", "sinks") != r || sluice(t, "check", "-c", ".") != r {
		t.Errorf("-c gives something else")
	}
	var report struct {
		OK       bool
		Problems []any
		Sinks    []struct {
			Name, Delivery string
			Fields         []struct{ Name, Type string }
		}
	}
	decode(t, sluice(t, "check", "--json").out, &report)
	if !report.OK || len(report.Problems) != 0 || len(report.Sinks) != 2 || report.Sinks[0].Fields[1].Type != "decimal(18,6)" || report.Sinks[0].Delivery != "replay" {
		t.Errorf("--json: %+v", report)
	}
	if _, err := os.Stat("out"); err == nil {
		t.Errorf("check without --connect has written something")
	}
	// With --connect the folder is made; the broker is not there.
	r = sluice(t, "check", "--connect")
	r.want(t, 1, "ok: sink a: files\n", "")
	r.want(t, 1, ": stream events: kafka: ApiVersions to 127.0.0.1:9", "")
}

func TestCheckFindsMistakes(t *testing.T) {
	folder(t, map[string]string{"a.yaml": streams + "---\nsink: a\nfrom: events\nwhere: payload.cots > 0\nfeilds: all\nfiles: {dir: out}\n"})
	r := sluice(t, "check") // the expression is looked at too
	r.want(t, 2, "", "a.yaml:14:8: where: the type of payload.cots is not declared")
	r.want(t, 2, "", "a.yaml:15:1: feilds: unknown option; did you mean fields?\n   15 | feilds\n      | ^^^^^^\nsluice: 2 mistakes in the configuration\n")
	folder(t, map[string]string{"a.yaml": streams + "---\nsink: a\nfrom: events\nwhere: payload.cots > 0\nfields: all\nfiles: {dir: out}\n"})
	sluice(t, "check").want(t, 2, "", "a.yaml:14:8: where: ")
	r = sluice(t, "check", "--json")
	r.want(t, 2, `"ok": false`, "")
	var report struct {
		Problems []struct {
			File, Path   string
			Line, Column int
		}
	}
	decode(t, r.out, &report)
	if len(report.Problems) != 1 || report.Problems[0].Line != 14 || report.Problems[0].Column != 8 || report.Problems[0].Path != "where" {
		t.Errorf("--json: %+v", report)
	}
	folder(t, map[string]string{"readme": ""})
	sluice(t, "check").want(t, 2, "", "no *.yaml or *.yml file in this folder")
	sluice(t, "check", "-c", "nosuch").want(t, 2, "", "nosuch: does not exist")
	// What Avro files hold is not looked for where it is not known which they are.
	folder(t, map[string]string{"a.yaml": "streams:\n  e: {files: {paths: [\"[a\"], state: s}, format: avro}\n---\nsink: a\nfrom: e\nfields: {id: nosuch}\nfiles: {dir: out}\n"})
	r = sluice(t, "check")
	r.want(t, 2, "", "a.yaml:2:23: streams.e.files.paths[0]: is no glob")
	r.want(t, 2, "", "sluice: 1 mistake in the configuration")
}

// What a sink's options say of its rows is told with its place, without a
// database.
func TestCheckComparesOptionsWithTheRows(t *testing.T) {
	shared := streams + "connections:\n  lite: {sqlite: {file: a.db}}\n  db: {mariadb: {address: \"127.0.0.1:1\", database: d, username: u}}\n"
	folder(t, map[string]string{"a.yaml": shared,
		"sinks/a.yaml": "sink: a\nfrom: events\nfields: {id: id, n: payload.cost}\nsqlite: {connection: lite, table: t, mode: upsert, key: [idd]}\n",
		"sinks/b.yaml": "sink: b\nfrom: events\nfields: {id: id, n: payload.cost}\nmariadb: {connection: db, table: t, mode: add}\n",
		"sinks/c.yaml": "sink: c\nfrom: events\nfields: {id: id, n: payload.cost}\naggregate: {by: [id], columns: {s: sum(n)}}\nmariadb:\n  connection: db\n  table: t\n  mode: add\n  key: [s]\n"})
	r := sluice(t, "check")
	r.want(t, 2, "", "sinks/a.yaml:4:58: sqlite.key[0]: \"idd\" is no field of this sink; the nearest is id\n")
	r.want(t, 2, "", "sinks/b.yaml:4:43: mariadb.mode: add needs an aggregate")
	r.want(t, 2, "", "sinks/c.yaml:9:3: mariadb.key: must be the fields that the aggregate groups by, or be left out")
	r.want(t, 2, "", "sluice: 3 mistakes in the configuration")
}

// What only a registry knows is not passed off as checked.
func TestCheckSaysWhatItDidNotCheck(t *testing.T) {
	folder(t, map[string]string{"a.yaml": `
streams: {e: {kafka: {brokers: "127.0.0.1:9", topics: t, group: g}, format: avro, registry: {url: "http://127.0.0.1:9", username: u, password: hunter2}}}
---
sink: a
from: e
fields: {x: nosuch}
files: {dir: out}
`})
	r := sluice(t, "check")
	r.want(t, 0, "not checked: the fields of the sinks of e: their types are in the registry; --connect asks it", "warning: the secret itself stands in the file")
	r = sluice(t, "check", "--connect")
	r.want(t, 1, "failed: a.yaml:2:11: stream e: registry: ", "warning")
	if strings.Contains(r.out+r.err, "hunter2") {
		t.Errorf("shows the password:\n%s%s", r.out, r.err)
	}
	// A mistake of the schema file has its place.
	folder(t, map[string]string{"e.avsc": "{}", "a.yaml": "streams: {e: {kafka: {brokers: k:1, topics: t, group: g}, format: avro, schema: e.avsc}}"})
	sluice(t, "check").want(t, 2, "", "a.yaml:1:11: streams.e: ")
}

// What a destination answers is told line by line, with the place of what it is
// about.
func TestCheckConnectSaysWhere(t *testing.T) {
	folder(t, map[string]string{"streams.yaml": "streams:\n  lines:\n    files: {paths: ['*.jsonl'], state: state}\n    format: json\n    types: {id: int, n: int}\nconnections:\n  lite: {sqlite: {file: a.db}}\n",
		"sinks/a.yaml": "sink: a\nfrom: lines\nfields: {id: id, m: int(n)}\nsqlite: {connection: lite, table: t}\n"})
	db, err := sql.Open("sqlite", "a.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t (n INTEGER NOT NULL, o INTEGER NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	r := sluice(t, "check", "--connect")
	r.want(t, 1, "failed: sinks/a.yaml:4:1: sink a: sqlite lite: table t: ", "")
	if strings.Contains(r.out, `\n`) {
		t.Errorf("a line's end is shown as a character:\n%s", r.out)
	}
	var report struct{ Asked []struct{ Place string } }
	decode(t, sluice(t, "check", "--connect", "--json").out, &report)
	if len(report.Asked) != 2 || report.Asked[1].Place != "sinks/a.yaml:4:1" {
		t.Errorf("--json: %+v", report)
	}
}

// A check that is told to stop does, and does not say that all is well.
func TestCheckIsCancelled(t *testing.T) {
	folder(t, map[string]string{"a.yaml": streams})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, err bytes.Buffer
	if code := app.Run(ctx, []string{"check", "--connect"}, strings.NewReader(""), &out, &err, sinks.All()); code != 1 {
		t.Errorf("exit code %d\n%s%s", code, out.String(), err.String())
	}
}

// check --connect says how many files a stream has, and which it cannot have.
func TestCheckConnectFiles(t *testing.T) {
	const yaml = "streams:\n  lines:\n    files: {paths: [%s], state: state}\n    format: json\n    types: {id: int}\n---\nsink: a\nfrom: lines\nfields: {id: id}\ndiscard:\n"
	folder(t, map[string]string{"a.jsonl": "", "b.jsonl": "", "s.yaml": fmt.Sprintf(yaml, "'*.jsonl'")})
	sluice(t, "check", "--connect").want(t, 0, "ok: stream lines: 2 files now\n", "")
	folder(t, map[string]string{"a.jsonl": "", "s.yaml": fmt.Sprintf(yaml, "a.jsonl, b.jsonl, none/*")})
	sluice(t, "check", "--connect").want(t, 1, "failed: s.yaml:2:3: stream lines: 1 file now: stat b.jsonl: no such file or directory", "")
}

// What a destination says in several lines, which are all that does not fit, stays
// in lines.
func TestCheckConnectLines(t *testing.T) {
	folder(t, map[string]string{"a.jsonl": "", "s.yaml": "streams:\n  lines:\n    files: {paths: [a.jsonl], state: state}\n    format: json\n    types: {id: int}\n---\nsink: a\nfrom: lines\nfields: {id: id}\ndiscard:\n"})
	spec := discard.Spec()
	spec.Open = func(context.Context, sink.Config) (sink.Sink, error) {
		return nil, errors.Join(errors.New("field one has no column"), errors.New("field two\x1b has no column"))
	}
	var out, stderr bytes.Buffer
	if code := app.Run(t.Context(), []string{"check", "--connect"}, strings.NewReader(""), &out, &stderr, []sink.Spec{spec}); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if want := "failed: s.yaml:10:1: sink a: discard: field one has no column\n    field two\\x1b has no column\n"; !strings.Contains(out.String(), want) {
		t.Errorf("%q is not in\n%s", want, out.String())
	}
}
