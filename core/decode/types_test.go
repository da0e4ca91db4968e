package decode_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

var _ plan.Events = (*decode.Stream)(nil)

func kind(text string) record.Type {
	t, _, err := plan.ParseType(text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestFieldsOfAvro(t *testing.T) {
	s := open(t, decode.Options{Format: decode.Avro, Schema: []byte(orders), Envelope: decode.Envelope{Server: "host"}})
	f := func(p, want string) {
		t.Helper()
		got, err := s.Field(path(p))
		if err != nil || got.String() != want {
			t.Errorf("%s: got %s, %v; want %s", p, got, err, want)
		}
	}
	f("id", "string")
	f("time", "timestamp")
	f("type", "string")
	f("server", "string")
	f("host", "string")
	f("payload", "json")
	f("payload.amount", "decimal(12,4)") // 8 digits before the point in either branch
	f("payload.count", "float")          // int in one branch, double in the other
	f("payload.items", "json")
	f("payload.items[0]", "json")
	f("payload.items[-1].price", "float")
	f("payload.of.tags", "map(string)")
	f("payload.of.tags.anything", "string")

	fail := func(p, want, near string) {
		t.Helper()
		_, err := s.Field(path(p))
		var unknown *plan.UnknownError
		if !errors.As(err, &unknown) || unknown.Name != want || (near == "") != (len(unknown.Near) == 0) || near != "" && unknown.Near[0] != near {
			t.Errorf("%s: got %#v, want %s, near %q", p, err, want, near)
		}
	}
	fail("paylod.amount", "paylod", "payload")
	fail("payload.amonut", "payload.amonut", "payload.amount")
	fail("payload.of.cuont.x", "payload.of.cuont", "payload.of.count")
	fail("payload.count.x", "payload.count.x", "")
	fail("payload.items.sku", "payload.items.sku", "")
	fail("id[0]", "id[0]", "")

	_, err := s.Field(path("payload.tags"))
	if want := "payload.tags is map(string) in one branch of the union and int in another"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if got, want := strings.Join(s.Names(nil), " "), "id time type server payload note"; got != want {
		t.Errorf("names: got %s, want %s", got, want)
	}
	if got, want := strings.Join(s.Names(path("payload")), " "), "amount count items tags reason of"; got != want {
		t.Errorf("names of payload: got %s, want %s", got, want)
	}
	if got, want := all(s), "id:string time:timestamp type:string server:string note:string payload:json"; got != want {
		t.Errorf("all: got %s, want %s", got, want)
	}
}

func all(s *decode.Stream) string {
	var parts []string
	for _, n := range s.All() {
		parts = append(parts, fmt.Sprintf("%s:%s", n.Name, n.Type))
	}
	return strings.Join(parts, " ")
}

func TestFieldsOfJSON(t *testing.T) {
	s := open(t, decode.Options{Format: decode.JSON, Envelope: decode.Envelope{Time: "meta.at", Server: decode.None, Payload: "data"}, Types: map[string]decode.Declared{
		"time":           {Type: kind("timestamp"), Unit: "ms"},
		"payload.cost":   {Type: kind("decimal(10,2)")},
		"data.tags":      {Type: kind("list(string)")},
		"data.sub.x":     {Type: kind("int")},
		"session.number": {Type: kind("int")},
		"flag":           {Type: kind("bool")},
	}})
	f := func(p, want string) {
		t.Helper()
		got, err := s.Field(path(p))
		if err != nil || got.String() != want {
			t.Errorf("%s: got %s, %v; want %s", p, got, err, want)
		}
	}
	f("id", "string")
	f("type", "string")
	f("time", "timestamp")
	f("meta.at", "timestamp")
	f("payload", "json")
	f("payload.cost", "decimal(10,2)")
	f("data.cost", "decimal(10,2)")
	f("payload.tags", "list(string)")
	f("payload.tags[2]", "string")
	for _, p := range []string{"payload.other", "server", "session", "payload.sub"} {
		_, err := s.Field(path(p))
		var untyped *plan.UntypedError
		if !errors.As(err, &untyped) || untyped.Path.String() != p {
			t.Errorf("%s: got %v, want an UntypedError", p, err)
		}
	}
	if got, want := strings.Join(s.Names(nil), " "), "id time type payload flag session"; got != want {
		t.Errorf("names: got %s, want %s", got, want)
	}
	if got, want := strings.Join(s.Names(path("payload")), " "), "cost sub tags"; got != want {
		t.Errorf("names of payload: got %s, want %s", got, want)
	}
	if got, want := all(s), "id:string time:timestamp type:string flag:bool session:json payload:json"; got != want {
		t.Errorf("all: got %s, want %s", got, want)
	}
}

// An event without a payload is all of its fields.
func TestAllWithoutPayload(t *testing.T) {
	s := bare(t, `{"type":"record","name":"E","fields":[{"name":"x","type":"int"},{"name":"time","type":"long"},{"name":"deep","type":{"type":"record","name":"D","fields":[]}}]}`)
	if got, want := all(s), "time:int x:int deep:json"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	f := func(o decode.Options, want string) {
		t.Helper()
		_, err := decode.Open(context.Background(), o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want …%s…", err, want)
		}
	}
	schema := []byte(orders)
	f(decode.Options{Format: "xml"}, `format "xml"`)
	f(decode.Options{Format: decode.JSON, Schema: schema}, "no registry, schema or framing")
	f(decode.Options{Format: decode.Avro}, "needs a registry or a schema")
	f(decode.Options{Format: decode.Avro, Schema: schema, Framing: "x"}, `framing "x"`)
	f(decode.Options{Format: decode.Avro, Schema: []byte(`{"type":"recrd"}`)}, `unknown type "recrd"`)
	f(decode.Options{Format: decode.Avro, Schema: schema, Envelope: decode.Envelope{Server: "hots"}}, "the schema has no field hots")
	f(decode.Options{Format: decode.Avro, Schema: schema, Envelope: decode.Envelope{ID: "type"}}, "hides the field that is called id")
	f(decode.Options{Format: decode.Avro, Schema: schema, Types: map[string]decode.Declared{"id": {Type: kind("int")}}}, "the schema gives the types")
	f(decode.Options{Format: decode.JSON, Types: map[string]decode.Declared{"a": {}}}, "a has no type")
	f(decode.Options{Format: decode.JSON, Types: map[string]decode.Declared{"a..b": {Type: kind("int")}}}, "an empty name")
	f(decode.Options{Format: decode.JSON, Types: map[string]decode.Declared{"a": {Type: kind("timestamp"), Unit: "h"}}}, `unit "h"`)
	f(decode.Options{Format: decode.JSON, Types: map[string]decode.Declared{"a": {Type: kind("list(json)")}}}, "declare it as json")
	f(decode.Options{Format: decode.JSON, Envelope: decode.Envelope{ID: "[0]"}}, "behind a name")
}

func TestNewDecoderRefuses(t *testing.T) {
	s := bare(t, orders)
	f := func(p, typ, want string) {
		t.Helper()
		_, err := s.NewDecoder([]record.Want{{Path: path(p), Type: kind(typ)}})
		if err == nil || err.Error() != want {
			t.Errorf("%s as %s: got %v, want %s", p, typ, err, want)
		}
	}
	f("payload.count", "int", "payload.count is float, and cannot be read as int")
	f("payload.amount", "decimal(10,2)", "payload.amount is decimal(12,4), and cannot be read as decimal(10,2)")
	f("id", "int", "id is string, and cannot be read as int")
	f("nothing", "int", "no field nothing")
}
