package config_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/sink"
)

// described opens what describes the events of every stream.
func described(t *testing.T, c *config.Config) map[string]plan.Events {
	t.Helper()
	events := map[string]plan.Events{}
	for i := range c.Streams {
		o, err := c.Streams[i].Decode(nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := decode.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		events[c.Streams[i].Name] = s
	}
	return events
}

const typed = `
-- streams.yaml --
streams:
  e:
    kafka: {brokers: k:1, topics: t, group: g}
    format: json
    types: {payload.cost: "decimal(18,6)", payload.n: int, payload.tags: list(string)}
connections: {db: {mariadb: {address: [a]}}}
`

// A mistake in an expression is shown at its very character, however the YAML
// writes the text.
func TestPlacesOfMistakes(t *testing.T) {
	f := func(where, place, line, under string) {
		t.Helper()
		c := mustLoad(t, typed+"-- s.yaml --\nwhere: "+where+"\nsink: s\nfrom: e\nfields: all\nprint:\n")
		_, err := c.Compile(described(t, c))
		var ps config.Problems
		if !errors.As(err, &ps) || len(ps) != 1 {
			t.Fatalf("%s\ngot %v, want one problem", where, err)
		}
		if !strings.HasPrefix(ps[0].String(), "s.yaml:"+place+": where: ") {
			t.Errorf("%s\ngot %s\nwant %s", where, ps[0], place)
		}
		shown := strings.Split(ps[0].Snippet(), "\n")
		_, text, _ := strings.Cut(shown[0], " | ")
		_, caret, _ := strings.Cut(shown[1], "| ")
		at := len([]rune(caret)) - len([]rune(strings.TrimLeft(caret, " \t")))
		if text != line || !strings.HasPrefix(string([]rune(text)[at:]), under) {
			t.Errorf("%s\ngot\n%swant %s below %s", where, ps[0].Snippet(), line, under)
		}
	}
	same := func(where, place string) { t.Helper(); f(where, place, "where: "+where, "nosuch") }
	same("payload.n > 1 and nosuch > 1", "1:26")
	same("'payload.n > 1 and id == ''it'' and nosuch > 1'", "1:44")
	same(`"payload.n > 1 and\tid == \"\u00e4\x41\" and nosuch > 1"`, "1:53")
	same("&a  payload.n > 1 and nosuch > 1", "1:30")
	f("id == \"äöü\" and nosuch > 1   # comment", "1:24", "where: id == \"äöü\" and nosuch > 1", "nosuch")
	f("|\n    id == \"ä\"\n      and nosuch > 1", "3:11", "      and nosuch > 1", "nosuch")
	f("|-\n\n    nosuch > 1", "3:5", "    nosuch > 1", "nosuch")
	f("|2\n    nosuch > 1", "2:5", "    nosuch > 1", "nosuch")
	f("id == \"a\"\n  and nosuch > 1", "1:8", "where: i", "i")                              // goes on in another line: the start
	f(">\n  id == \"a\"\n  and nosuch > 1", "1:8", "where: >", ">")                         // the same
	f("id == \"$${x}\" and nosuch > 1", "1:8", `where: id == "$${x}" and nosuch > 1`, "id") // behind what may be a reference: the start
}

// Each part of a plan has its place.
func TestPlacesOfParts(t *testing.T) {
	c := mustLoad(t, typed+`
-- s.yaml --
sink: s
from: e
where: nosuch > 1
fields:
  a: nosuch
  b: {from: 1 + nosuch, as: int}
  c: {from: id, as: "decimal(0,0)"}
  d: payload.tags
  id: id
  n: payload.n
mariadb: {connection: db, table: t}
---
sink: t
from: e
fields: {id: id, n: payload.n}
aggregate:
  by: id2
  columns: {x: sum(id), y: nosuch(n)}
mariadb: {connection: db, table: t}
---
sink: u
from: e
fields: {tags: payload.tags, id: id, "n": payload.n}
mariadb: {connection: db, table: t}
---
sink: w
from: e
fields: {id: id}
mariadb: {connection: db, table: t}
`)
	plans, err := c.Compile(described(t, c))
	if plans != nil {
		t.Errorf("plans: %v", plans)
	}
	var got []string
	for _, p := range err.(config.Problems) {
		got = append(got, strings.Join(strings.SplitN(p.String(), ":", 5)[1:4], ":"))
	}
	want := []string{
		"3:8: where", "5:6: fields.a", "6:17: fields.b", "7:21: fields.c.as",
		"17:7: aggregate.by[0]", "18:16: aggregate.columns.x", "18:28: aggregate.columns.y",
		"23:10: fields.tags",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s\n%v", strings.Join(got, "\n"), strings.Join(want, "\n"), err)
	}
}

// Sinks of streams whose events are not known are left out; the others give
// what their destinations are opened with.
func TestCompile(t *testing.T) {
	c := mustLoad(t, typed+`
-- s.yaml --
sink: s
from: e
where: payload.n > 0
fields: {id: id, cost: payload.cost}
aggregate: {by: id, columns: {sum: sum(cost)}}
mariadb: {connection: db, table: t}
`)
	if plans, err := c.Compile(nil); err != nil || len(plans) != 0 {
		t.Errorf("without events: %v, %v", plans, err)
	}
	plans, err := c.Compile(described(t, c))
	if err != nil {
		t.Fatal(err)
	}
	s := c.Sink("s")
	o := s.Open(0, plans["s"], nil)
	if o.ID() != "s@db" || o.Keys[0] != "id" || len(o.Schema.Fields) != 2 || o.Options != s.Options || o.Conn != c.Connections[0].Options || o.Delivery != sink.Atomic {
		t.Errorf("%+v", o)
	}
}

// What decode finds wrong with envelope: and types: has its place too.
func TestBlame(t *testing.T) {
	f := func(options, want string) {
		t.Helper()
		c := mustLoad(t, "-- a.yaml --\nstreams:\n  e:\n    kafka: {brokers: k:1, topics: t, group: g}\n"+options+"\n-- e.avsc --\n{\"type\": \"record\", \"name\": \"e\", \"fields\": [{\"name\": \"id\", \"type\": \"string\"}]}\n")
		o, err := c.Streams[0].Decode(nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = decode.Open(t.Context(), o)
		if err = c.Blame("e", err); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f("    format: avro\n    schema: e.avsc\n    envelope: {id: nosuch}", "a.yaml:6:20: streams.e.envelope.id: ")
	f("    format: avro\n    schema: a.yaml", "a.yaml:2:3: streams.e: ")
	f("    format: json\n    types: {\"a[\": int}", "a.yaml:5:5: streams.e.types: ")
}

// TestPartsBesideMistakes: expressions are checked in a configuration that has
// other mistakes, as long as none of what is found only follows from these.
func TestPartsBesideMistakes(t *testing.T) {
	c, err := load(t, typed+`
-- s.yaml --
sink: options
from: e
where: nosuch > 1
fields: {id: id, n: payload.nosuch}
batch: {rowz: 3}
mariadb: {connection: nosuch, table: t, mode: add}
---
sink: nowhere
from: e
fields: {id: nosuch}
---
sink: misspelt
from: e
where: nosuch > 2
feilds: {id: nosuch}
print:
---
sink: expressions
from: e
where: {nosuch: 3}
fields: {id: nosuch}
print:
---
sink: stream
from: broken
fields: {id: nosuch}
print:
---
sink: twin
from: e
fields: {id: nosuch}
print:
---
sink: twin
from: e
fields: {id: nosuch}
print:
---
sink: unknown
from: nosuch
fields: {id: nosuch}
print:
-- t.yaml --
streams:
  broken:
    kafka: {brokers: k:1, topics: t, group: other}
    format: json
    tpyes: {nosuch: int}
`)
	var mistakes config.Problems
	if !errors.As(err, &mistakes) {
		t.Fatalf("got %v", err)
	}
	_, err = c.Compile(described(t, c))
	all := mistakes.With(err)
	var got []string
	for _, p := range all {
		if !slices.ContainsFunc(mistakes, func(m config.Problem) bool { return m.String() == p.String() }) {
			got = append(got, fmt.Sprintf("%s:%d %s", p.File, p.Line, p.Path))
		}
	}
	if want := []string{"s.yaml:3 where", "s.yaml:4 fields.n", "s.yaml:10 fields.id", "s.yaml:14 where"}; !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q, besides\n%v", got, want, mistakes)
	}
}
