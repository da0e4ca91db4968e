package decode_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/record"
)

// independent decodes a value for all of the paths, for none, for each alone,
// for some, and behind a prefilter. The record must be bad for all or for
// none of them, and a path's value the same, or bad, in all that want it: what
// a sink gets must not change when another one is added.
func independent(t testing.TB, s *decode.Stream, paths []string, value []byte) {
	t.Helper()
	whole, values := verdict(t, decoder(t, s, paths...), value)
	compare := func(some ...int) {
		t.Helper()
		var chosen []string
		for _, i := range some {
			chosen = append(chosen, paths[i])
		}
		got, mine := verdict(t, decoder(t, s, chosen...), value)
		if got != whole {
			t.Fatalf("%q: %q for %q, and %q for %q", value, got, chosen, whole, paths)
		}
		for k, i := range some {
			if whole == "row" && mine[k] != values[i] {
				t.Fatalf("%q: %s is %s for %q, and %s for %q", value, paths[i], mine[k], chosen, values[i], paths)
			}
		}
	}
	compare()
	for i := range paths {
		compare(i)
	}
	// By the value, so that a fuzzer meets the same again.
	h := fnv.New64a()
	h.Write(value)
	g := rand.New(rand.NewPCG(h.Sum64(), 5))
	compare(g.Perm(len(paths))[:g.IntN(len(paths)+1)]...)
	for i, p := range paths {
		if f, err := s.Field(path(p)); err != nil || f.Kind != record.String {
			continue // p:json has no Field
		}
		d := decoder(t, s, paths[i])
		if err := d.Prefilter(path(p), []string{"none has this"}); err != nil {
			t.Fatal(err)
		}
		got, mine := verdict(t, d, value)
		want := whole
		if whole == "row" && values[i] != "null" && !isBad(values[i]) {
			want = "skipped"
		}
		if got != want || got == "row" && mine[0] != values[i] {
			t.Fatalf("%q: %s %q behind a prefilter for %s, and %s %q without", value, got, mine, p, want, values[i])
		}
	}
}

func isBad(v string) bool { return len(v) > 4 && v[:4] == "bad " }

// verdict is what becomes of one value, and of each column of it.
func verdict(t testing.TB, d *decode.Decoder, value []byte) (string, []string) {
	t.Helper()
	c := record.NewChunk(d.Schema())
	if err := d.Append(context.Background(), c, 0, 0, value); err != nil {
		t.Fatal(err)
	}
	check(t, c)
	if len(c.Bad) == 1 && c.Rows() == 0 && len(c.BadValues) == 0 {
		return "bad", nil
	}
	if len(c.Bad) == 0 && c.Rows() == 0 && d.Skipped() == 1 {
		return "skipped", nil
	}
	if c.Rows() != 1 || len(c.Bad) != 0 {
		t.Fatalf("%q: %d rows, bad %v, values %v", value, c.Rows(), c.Bad, c.BadValues)
	}
	var values []string
	for i := range c.Columns {
		values = append(values, text(&c.Columns[i], 0))
	}
	for _, b := range c.BadValues {
		if b.Row != 0 || !c.Columns[b.Column].Null(0) || b.Reason == "" {
			t.Fatalf("%q: %+v of a column that holds %s", value, b, values[b.Column])
		}
		values[b.Column] = "bad " + b.Reason
	}
	return "row", values
}

// Broken events of both formats, thousands of them.
func TestWantsAreIndependent(t *testing.T) {
	seed := rand.Uint64()
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 11))}
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	avros, jsons := adEvents(20)
	paths := []string{"id", "type", "time", "payload.cost", "payload.campaign_id", "payload:json", "payload.device"}
	for format, events := range map[string][][]byte{decode.Avro: avros, decode.JSON: jsons} {
		s := open(t, adOptions(format))
		for range 700 {
			value := slices.Clone(events[g.IntN(len(events))])
			for range 1 + g.IntN(3) {
				value[5+g.IntN(len(value)-5)] ^= 1 << g.IntN(8)
			}
			if g.IntN(10) == 0 {
				value = value[:g.IntN(len(value))]
			}
			independent(t, s, paths, value)
		}
	}
	inner := open(t, decode.Options{Format: decode.JSON, Types: map[string]decode.Declared{
		"payload.a": {Type: kind("int")}, "payload.b.c": {Type: kind("string")}, "x": {Type: kind("bool")}, "payload": {Type: kind("json")},
	}})
	text := open(t, decode.Options{Format: decode.Avro, Framing: decode.Bare, Types: map[string]decode.Declared{"payload.a": {Type: kind("int")}, "payload.b": {Type: kind("string")}},
		Schema: []byte(`{"type":"record","name":"E","fields":[{"name":"id","type":"string"},{"name":"payload","type":"string"},{"name":"n","type":"int"}]}`)})
	for range 700 {
		doc := g.object(0)
		independent(t, inner, []string{"payload.a", "payload.b.c", "x", "payload:json"}, []byte(doc))
		independent(t, inner, []string{"payload.a", "payload.b.c", "x"}, fmt.Appendf(nil, `{"x":true,"payload":%q}`, doc))
		value := binary.AppendVarint([]byte("\x04id"), int64(len(doc)))
		independent(t, text, []string{"id", "payload.a", "payload.b", "n"}, append(append(value, doc...), 8))
	}
}

// The places where what is wanted could make a difference, one by one: each
// record with the values that are bad in it, all others of it being read.
func TestBadValuesOfAvro(t *testing.T) {
	fields := []string{
		`"string"`, `{"type":"enum","name":"E","symbols":["A"]}`, `"boolean"`, `"int"`, `{"type":"array","items":"string"}`, `{"type":"map","values":"int"}`,
		`["null","string",{"type":"record","name":"R","fields":[{"name":"x","type":"string"}]}]`, `{"type":"bytes","logicalType":"decimal","precision":3,"scale":1}`,
		`{"type":"long","logicalType":"timestamp-nanos"}`, `{"type":"array","items":["null",{"type":"array","items":"string"}]}`, `"long"`,
	}
	schema := `{"type":"record","name":"Z","fields":[`
	for i, f := range fields {
		if i > 0 {
			schema += ","
		}
		schema += fmt.Sprintf(`{"name":"f%d","type":%s}`, i, f)
	}
	s := bare(t, schema+"]}")
	sound := [][]byte{
		cat(varint(1), []byte("a")), varint(0), {1}, varint(7), cat(varint(1), varint(1), []byte("b"), varint(0)), cat(varint(1), varint(1), []byte("k"), varint(5), varint(0)),
		cat(varint(2), varint(1), []byte("x")), cat(varint(1), []byte{9}), varint(1000), cat(varint(1), varint(1), varint(1), varint(1), []byte("q"), varint(0), varint(0)), varint(77),
	}
	bad := [][]byte{
		cat(varint(1), []byte("\xff")), varint(3), {9}, varint(1 << 40), cat(varint(1), varint(1), []byte("\xff"), varint(0)), cat(varint(1), varint(1), []byte("k"), varint(1<<40), varint(0)),
		cat(varint(2), varint(1), []byte("\xff")), cat(varint(2), []byte{0x7f, 0xff}), varint(1001), cat(varint(1), varint(1), varint(1), varint(1), []byte("\xff"), varint(0), varint(0)), varint(77),
	}
	paths := []string{"f0", "f1", "f2", "f3", "f4", "f5", "f6.x", "f7", "f8", "f9[0][0]", "f10"}
	_, want := verdict(t, decoder(t, s, paths...), cat(sound...))
	for mask := range 1 << len(fields) {
		var value []byte
		for i := range fields {
			value = append(value, map[bool][]byte{false: sound[i], true: bad[i]}[mask>>i&1 == 1]...)
		}
		got, values := verdict(t, decoder(t, s, paths...), value)
		if got != "row" {
			t.Fatalf("%011b: %s", mask, got)
		}
		for i, v := range values {
			isWrong := mask>>i&1 == 1 && i != 10
			if isBad(v) != isWrong || !isWrong && v != want[i] {
				t.Fatalf("%011b: %s is %s", mask, paths[i], v)
			}
		}
		if mask%37 == 0 {
			independent(t, s, append(paths, "f4:json", "f6:json", "f9:json"), value)
			independent(t, s, append(paths, "f4:json", "f6:json", "f9:json"), value[:len(value)-1])
		}
	}
}

// How deep a record is must not depend on who looks: records that are read,
// skipped step by step, skipped as a whole or written as JSON.
func TestDepthIsIndependent(t *testing.T) {
	for levels := 1; levels < 12; levels++ {
		for limit := 1; limit < 14; limit++ {
			for _, leaf := range []string{`"string"`, `"null"`, `{"type":"array","items":"string"}`, `{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"s","type":"string"}]}}`} {
				typ, p := leaf, "f"
				for i := range levels {
					typ = fmt.Sprintf(`{"type":"record","name":"L%d","fields":[{"name":"f","type":%s}]}`, i, typ)
					if i > 0 {
						p += ".f"
					}
				}
				s := open(t, decode.Options{Format: decode.Avro, Framing: decode.Bare, Schema: []byte(typ), Limits: decode.Limits{Depth: limit}})
				paths := []string{"f:json"}
				if _, err := s.Field(path(p)); err == nil {
					paths = append(paths, p)
				}
				for _, value := range [][]byte{nil, {0}, {2, 'a'}, {2, 2, 'a', 0}} {
					independent(t, s, paths, value)
				}
			}
		}
	}
}
