package decode_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/record"
)

func varint(v int64) []byte { return binary.AppendVarint(nil, v) }

func cat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// What no writer writes is bad, whether the value is wanted or not, and never
// costs more than the record's own size.
func TestAvroHostile(t *testing.T) {
	f := func(typ string, data []byte, wanted, skipped string) {
		t.Helper()
		s := bare(t, fieldSchema(typ))
		field, err := s.Field(path("f"))
		if err != nil {
			t.Fatal(err)
		}
		as := "f"
		if field.Kind == record.JSON {
			as = "f:json"
		}
		for _, c := range []struct{ want, path string }{{wanted, as}, {wanted, "f:json"}, {skipped, ""}} {
			var d *decode.Decoder
			if c.path == "" {
				d = decoder(t, s)
			} else {
				d = decoder(t, s, c.path)
			}
			got := strings.TrimPrefix(row(t, d, data), "bad: ")
			if !strings.Contains(got, c.want) || c.want == "" && got != "" {
				t.Errorf("%s %x as %q: got %s, want %s", typ, data, c.path, got, c.want)
			}
		}
	}
	const early, longer = "the data end too early", "an integer longer than its type"
	f(`"long"`, nil, early, early)
	f(`"long"`, []byte{0x80}, early, early)
	f(`"long"`, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2}, longer, longer)
	f(`"long"`, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}, longer, longer)
	f(`"long"`, []byte{0x80, 0}, "0", "") // longer than it need be, as Java reads it
	f(`"long"`, []byte{0, 0}, "more data behind the event", "more data behind the event")
	f(`"int"`, varint(math.MaxInt32+1), "outside the range", "")
	f(`"boolean"`, []byte{2}, "neither 0 nor 1", "")
	// Of one that is wanted; how an int that nobody wants is written is its own affair.
	long := func(v byte) []byte { return []byte{v | 0x80, 0x80, 0x80, 0x80, 0x80, 0} }
	f(`"int"`, long(2), longer, "")
	f(`{"type":"int","logicalType":"date"}`, long(2), longer, "")
	f(`{"type":"enum","name":"E","symbols":["A"]}`, long(0), longer, "")
	f(`["null","long"]`, long(0), longer, longer)
	f(`["null","string"]`, cat(long(2), varint(0)), longer, longer)
	f(`["null","long","string"]`, long(0), longer, longer)
	f(`"long"`, long(2), "1", "")
	f(`{"type":"array","items":["null","long","string"]}`, cat(varint(1), long(0), varint(0)), longer, longer)
	f(`"string"`, varint(-1), "length below zero", "length below zero")
	f(`"string"`, varint(math.MaxInt64), early, early)
	f(`"string"`, varint(1), early, early)
	f(`"string"`, cat(varint(2), []byte{0xc3, 0x28}), "not valid UTF-8", "")
	f(`"string"`, cat(varint(20), []byte("0123456789abcdefghi\xff")), "not valid UTF-8", "")
	f(`{"type":"enum","name":"E","symbols":["A"]}`, varint(1), "an enum symbol", "")
	f(`{"type":"enum","name":"E","symbols":["A"]}`, varint(-1), "an enum symbol", "")
	f(`["null","long"]`, varint(2), "a union branch", "a union branch")
	f(`["null","long"]`, varint(-1), "a union branch", "a union branch")
	f(`["null","long","string"]`, varint(3), "a union branch", "a union branch")
	f(`["null","long","string"]`, varint(-2), "a union branch", "a union branch")
	f(`{"type":"array","items":"null"}`, cat(varint(1<<60), varint(0)), "more entries", "more entries")
	f(`{"type":"array","items":"null"}`, cat(varint(100_000), varint(1), varint(0)), "more entries", "more entries")
	f(`{"type":"array","items":"long"}`, cat(varint(math.MinInt64), varint(0), varint(0)), "more entries", "more entries")
	f(`{"type":"array","items":"long"}`, cat(varint(-1), varint(-5), varint(0), varint(0)), "wrong block size", "wrong block size")
	f(`{"type":"array","items":"long"}`, cat(varint(-1), varint(1<<40), varint(0), varint(0)), "wrong block size", "wrong block size")
	f(`{"type":"array","items":"string"}`, cat(varint(-1), varint(2), varint(0), varint(0)), "wrong block size", "wrong block size")
	f(`{"type":"array","items":"double"}`, cat(varint(99_999), varint(0)), early, early)
	f(`{"type":"map","values":"null"}`, cat(varint(1), varint(1), []byte{0xff}, varint(0)), "not valid UTF-8", "")
	f(`{"type":"long","logicalType":"timestamp-millis"}`, varint(math.MaxInt64), "outside the", "")
	f(`{"type":"long","logicalType":"timestamp-millis"}`, varint(math.MinInt64/1000-1), "outside the", "")
	f(`{"type":"int","logicalType":"date"}`, varint(106_751_992), "outside the", "") // the first day that has no microseconds in 64 bits
	f(`{"type":"int","logicalType":"date"}`, varint(-106_751_992), "outside the", "")
	f(`{"type":"int","logicalType":"date"}`, varint(math.MaxInt32), "outside the", "")
	f(`{"type":"int","logicalType":"date"}`, varint(math.MinInt32), "outside the", "")
	f(`{"type":"long","logicalType":"timestamp-nanos"}`, varint(1001), "parts of a microsecond", "")
	f(`{"type":"long","logicalType":"timestamp-nanos"}`, varint(math.MinInt64), "parts of a microsecond", "")
	f(`{"type":"bytes","logicalType":"decimal","precision":3,"scale":1}`, cat(varint(2), []byte{3, 0xe8}), "more digits", "") // 1000
	f(`{"type":"bytes","logicalType":"decimal","precision":38}`, cat(varint(17), make([]byte, 16), []byte{1}), "1", "")
	f(`{"type":"bytes","logicalType":"decimal","precision":38}`, cat(varint(17), []byte{1}, make([]byte, 16)), "more digits", "")
	f(`{"type":"bytes","logicalType":"decimal","precision":99}`, cat(varint(2000), make([]byte, 2000)), "longer than the limit", "")
}

// A schema may describe more values than there are atoms, in a few lines.
func TestAvroSchemaBombs(t *testing.T) {
	typ := `"null"`
	for i := range 60 {
		typ = fmt.Sprintf(`{"type":"record","name":"B%d","fields":[{"name":"a","type":%s},{"name":"b","type":%q}]}`, i, typ, map[bool]string{true: "null", false: fmt.Sprintf("B%d", i-1)}[i == 0])
	}
	s := open(t, decode.Options{Format: decode.Avro, Framing: decode.Bare, Schema: []byte(fieldSchema(typ)), Limits: decode.Limits{Depth: 100}})
	if got := row(t, decoder(t, s), nil); got != "" {
		t.Errorf("2^60 nulls without a byte, skipped: %s", got)
	}
	if got, want := row(t, decoder(t, s, "f"), nil), "bad: f: longer than the limit"; got != want {
		t.Errorf("2^60 nulls as JSON: got %s, want %s", got, want)
	}
	list := `"null"`
	for range 2 {
		list = `{"type":"array","items":` + list + `}`
	}
	var data []byte
	data = append(data, varint(90_000)...)
	for range 90_000 {
		data = append(append(data, varint(100_000)...), 0)
	}
	data = append(data, 0)
	s = bare(t, fieldSchema(list))
	if got := row(t, decoder(t, s), data); got != "" {
		t.Errorf("9·10^9 nulls in lists, skipped: %s", got)
	}
	if got, want := row(t, decoder(t, s, "f"), data), "bad: f: longer than the limit"; got != want {
		t.Errorf("9·10^9 nulls as JSON: got %s, want %s", got, want)
	}
}

func TestAvroDepth(t *testing.T) {
	schema := `{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]},{"name":"x","type":"int"}]}`
	nested := func(n int) []byte {
		out := []byte(strings.Repeat("\x02", n-1))
		return append(append(out, 0), strings.Repeat("\x02", n)...)
	}
	s := bare(t, schema)
	for _, p := range []string{"x", "next.x", "next:json", "next.next.next:json"} {
		for n, deep := range map[int]bool{1: false, 64: false, 65: true, 10_000: true} {
			got := row(t, decoder(t, s, p), nested(n))
			if strings.HasSuffix(got, "nested deeper than the limit") != deep {
				t.Errorf("%d deep as %s: %.100s", n, p, got)
			}
		}
	}
	// A type that holds itself has no value at all.
	s = bare(t, `{"type":"record","name":"A","fields":[{"name":"a","type":"A"}]}`)
	if got, want := row(t, decoder(t, s), nil), "bad: nested deeper than the limit"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := decode.Open(context.Background(), decode.Options{Format: decode.Avro, Schema: []byte(strings.Repeat(`{"type":"array","items":`, 200) + `"int"` + strings.Repeat("}", 200))}); err == nil {
		t.Error("a schema 200 deep was taken")
	}
}

// An enum's symbol can be longer than the byte that stands for it.
func TestAvroExpansion(t *testing.T) {
	schema := fieldSchema(`{"type":"array","items":{"type":"enum","name":"E","symbols":["` + strings.Repeat("x", 10_000) + `"]}}`)
	data := cat(varint(50_000), make([]byte, 50_000), varint(0))
	for _, p := range []string{"f", "f:json"} {
		if got, want := row(t, decoder(t, bare(t, schema), p), data), "bad: f: longer than the limit"; got != want {
			t.Errorf("%s: got %.100s, want %s", p, got, want)
		}
	}
}

// What a few bytes ask for, by a schema that was made for it, takes no time to
// speak of. (It was seconds each, and up to a minute.)
func TestAvroSlowSchemas(t *testing.T) {
	f := func(what, want string, read func() string) {
		t.Helper()
		began := cpu()
		got := read()
		if took := cpu() - began; !strings.HasPrefix(got, want) || took > 10*time.Second {
			t.Errorf("%s: after %s got %.100q, want %.100q", what, took, got, want)
		}
	}
	f("decimals of 4096 digits", "bad: f: longer than the limit", func() string {
		s := bare(t, fieldSchema(`{"type":"array","items":{"type":"bytes","logicalType":"decimal","precision":4096,"scale":4096}}`))
		return row(t, decoder(t, s, "f"), cat(varint(5000), make([]byte, 5000), varint(0)))
	})
	var ways []string
	for i := range 250 {
		names := make([]string, i+1)
		for k := range names {
			names[k] = fmt.Sprintf(`"r%d"`, k)
		}
		ways = append(ways, fmt.Sprintf(`{"type":"record","name":"r%d","fields":[{"name":"f","type":["null",%s]}]}`, i, strings.Join(names, ",")))
	}
	const tooMany = "bad: schema id 0: its unions lead to what is wanted in too many ways"
	many, one := fieldSchema("["+strings.Join(ways, ",")+"]"), fieldSchema(`{"type":"record","name":"r0","fields":[{"name":"f","type":["null","r0"]}]}`)
	f("a schema of many ways", tooMany, func() string {
		s := open(t, decode.Options{Format: decode.Avro, Schema: []byte(one), Writers: oneWriter(many)})
		return row(t, decoder(t, s, "f.f.f.f.f:json"), []byte{0, 0, 0, 0, 0, 0, 0})
	})
	f("a schema of many ways that are not wanted", "{", func() string {
		s := open(t, decode.Options{Format: decode.Avro, Schema: []byte(one), Writers: oneWriter(many)})
		return row(t, decoder(t, s, "f:json"), []byte{0, 0, 0, 0, 0, 0, 0})
	})
	var nulls strings.Builder
	f("a schema of many fields", "0|0|", func() string {
		var names, have []string
		for i := range 30_000 {
			have = append(have, fmt.Sprintf(`{"name":"n%d","type":"int"}`, i))
		}
		var want []string
		for i := range 30 {
			names, want = append(names, fmt.Sprintf("w%d", i)), append(want, fmt.Sprintf(`{"name":"w%d","type":"int","default":0}`, i))
		}
		fields := func(list []string) string {
			return `{"type":"record","name":"T","fields":[` + strings.Join(list, ",") + `]}`
		}
		s := open(t, decode.Options{Format: decode.Avro, Schema: []byte(fields(want)), Writers: oneWriter(fields(have))})
		return row(t, decoder(t, s, names...), make([]byte, 5+len(have)))
	})
	for i := range 30_000 {
		fmt.Fprintf(&nulls, `{"name":"n%d","type":"null"},`, i)
	}
	f("records of many fields without bytes", "", func() string {
		s := bare(t, fieldSchema(`{"type":"array","items":{"type":"record","name":"E","fields":[`+nulls.String()+`{"name":"i","type":"int"}]}}`))
		return row(t, decoder(t, s), cat(varint(90_000), make([]byte, 90_000), varint(0)))
	})
	// Fields that the writer does not have: each entry of the default takes the
	// default of its own field, and is a branch of a union.
	defaults := func(inner, entry string) func() string {
		return func() string {
			reader := `{"type":"record","name":"T","fields":[{"name":"f","type":{"type":"array","items":["null",{"type":"record","name":"R","fields":[` + inner + `]}]},
				"default":[` + strings.Repeat(entry+",", 2000) + entry + `]}]}`
			stream := open(t, decode.Options{Format: decode.Avro, Schema: []byte(reader), Writers: oneWriter(`{"type":"record","name":"T","fields":[]}`)})
			return row(t, decoder(t, stream, "f"), []byte{0, 0, 0, 0, 1})
		}
	}
	const noDefault = "bad: f: the default of the reader's schema does not fit its type"
	f("texts of defaults of defaults", noDefault, defaults(`{"name":"x","type":"string","default":"`+strings.Repeat("x", 500_000)+`"}`, `{}`))
	f("keys of defaults of defaults", noDefault, defaults(`{"name":"x","type":{"type":"map","values":"null"},"default":{"`+strings.Repeat("x", 500_000)+`":null}}`, `{}`))
	f("many branches of a default", `[{"x":"xxx`, defaults(`{"name":"x","type":"string"}`, `{"x":"`+strings.Repeat("x", 300)+`"}`))
}

// TestLargePrograms: of a schema of many fields, all that is behind the first ones
// is skipped in another way.
func TestLargePrograms(t *testing.T) {
	fields, data := []string{}, []byte{}
	for i := range 12_000 {
		fields = append(fields, fmt.Sprintf(`{"name":"n%d","type":["null","string",{"type":"record","name":"R%d","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"}]}]}`, i, i))
		data = append(data, [][]byte{{0}, {2, 2, 'x'}, {4, 6, 4, 'y', 'z'}}[i%3]...)
	}
	s := open(t, decode.Options{Format: decode.Avro, Framing: decode.Bare, Limits: decode.Limits{Schema: 4 << 20},
		Schema: []byte(`{"type":"record","name":"T","fields":[` + strings.Join(fields, ",") + `,{"name":"last","type":"int"}]}`)})
	d := decoder(t, s, "n2.a", "last", "n11999.b")
	if got, want := row(t, d, append(data, 14)), "3|7|yz"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := row(t, d, data), "bad: last: the data end too early"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestSmallEventsOfLargeRows: a chunk is full before its rows take the memory.
func TestSmallEventsOfLargeRows(t *testing.T) {
	text := strings.Repeat("x", 500_000)
	reader := `{"type":"record","name":"T","fields":[{"name":"n","type":"int"},{"name":"x","type":"string","default":"` + text + `"}]}`
	s := open(t, decode.Options{Format: decode.Avro, Schema: []byte(reader), Writers: oneWriter(`{"type":"record","name":"T","fields":[{"name":"n","type":"int"}]}`)})
	d := decoder(t, s, "n", "x")
	c := record.NewChunk(d.Schema())
	var err error
	for n := int64(0); err == nil && n < 1000; n++ {
		err = d.Append(t.Context(), c, n, 0, []byte{0, 0, 0, 0, 1, byte(n) &^ 0x81})
	}
	if rows := c.Rows(); !errors.Is(err, decode.ErrFull) || rows == 0 || rows > 300 {
		t.Fatalf("after %d rows of 500 kB: %v", rows, err)
	}
	check(t, c)
	if c.Reset(); d.Append(t.Context(), c, 0, 0, []byte{0, 0, 0, 0, 1, 2}) != nil || c.Rows() != 1 {
		t.Error("the next chunk takes nothing")
	}
}

// oneWriter is the schema of every value.
type oneWriter string

func (w oneWriter) Schema(context.Context, uint32) ([]byte, error) { return []byte(w), nil }

func TestLimits(t *testing.T) {
	o := decode.Options{Format: decode.Avro, Framing: decode.Bare, Schema: []byte(fieldSchema(`{"type":"array","items":"string"}`)), Limits: decode.Limits{String: 3, Items: 2, Record: 20}}
	f := func(data []byte, want string) {
		t.Helper()
		if got := row(t, decoder(t, open(t, o), "f"), data); got != want {
			t.Errorf("%x: got %s, want %s", data, got, want)
		}
	}
	f(cat(varint(2), varint(3), []byte("abc"), varint(0), varint(0)), "[abc ]")
	f(cat(varint(1), varint(4), []byte("abcd"), varint(0)), "bad: f: longer than the limit")
	f(cat(varint(3), varint(0), varint(0), varint(0), varint(0)), "bad: f: more entries than the limit, or a wrong block size")
	f(cat(varint(2), varint(0), varint(0), varint(1), varint(0), varint(0)), "bad: f: more entries than the limit, or a wrong block size")
	f(make([]byte, 21), "bad: the event is longer than the limit")
}

func TestFraming(t *testing.T) {
	s := open(t, decode.Options{Format: decode.Avro, Schema: []byte(fieldSchema(`"int"`))})
	d := decoder(t, s, "f")
	f := func(data []byte, want string) {
		t.Helper()
		if got := row(t, d, data); got != want {
			t.Errorf("%x: got %s, want %s", data, got, want)
		}
	}
	const magic = "bad: the event does not start with a zero byte and a schema id"
	f([]byte{0, 0, 0, 0, 1, 6}, "3")
	f([]byte{0, 0xff, 0xff, 0xff, 0xff, 6}, "3") // without a registry the id says nothing
	f([]byte{1, 0, 0, 0, 1, 6}, magic)
	f([]byte{0, 0, 0, 0}, magic)
	f(nil, magic)
	f([]byte{0, 0, 0, 0, 1}, "bad: f: the data end too early")
	f([]byte{0, 0, 0, 0, 1, 6, 6}, "bad: more data behind the event")
}

// Every beginning of a sound event is bad, and leaves nothing in the chunk.
func TestTorn(t *testing.T) {
	avros, jsons := adEvents(3)
	for format, events := range map[string][][]byte{decode.Avro: avros, decode.JSON: jsons} {
		s := open(t, adOptions(format))
		d := decoder(t, s, adPaths...)
		for _, e := range events {
			for n := range e {
				if got := row(t, d, e[:n]); !strings.HasPrefix(got, "bad: ") {
					t.Fatalf("%s of %d bytes, cut to %d, was taken: %s", format, len(e), n, got)
				}
			}
			if got := row(t, d, e); strings.HasPrefix(got, "bad: ") {
				t.Fatal(got)
			}
		}
	}
}

func TestAppendNeedsItsChunk(t *testing.T) {
	d := decoder(t, bare(t, fieldSchema(`"int"`)), "f")
	for _, c := range []*record.Chunk{
		record.NewChunk(&record.Schema{}),
		record.NewChunk(&record.Schema{Fields: []record.Field{{Name: "f", Type: kind("string")}}}),
	} {
		if err := d.Append(context.Background(), c, 0, 0, []byte{2}); err == nil || c.Rows() != 0 {
			t.Errorf("a chunk of other columns was taken: %v", err)
		}
	}
}
