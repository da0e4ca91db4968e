package decode_test

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/sluicekit/sluice/core/decode"
)

func TestSchemaRefused(t *testing.T) {
	f := func(schema, want string) {
		t.Helper()
		_, err := decode.Open(context.Background(), decode.Options{Format: decode.Avro, Schema: []byte(schema)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want …%s…", schema, err, want)
		}
	}
	f(``, "EOF")
	f(`{"type":"record"`, "unexpected EOF")
	f(`"int" "int"`, "more text behind it")
	f(`17`, "a type is a name, a list or an object")
	f(`"strng"`, `unknown type "strng"`)
	f(`[]`, "a union without branches")
	f(`["int",["null","string"]]`, "a union directly in a union")
	f(`{"type":"record","name":"R"}`, "record R: no list of fields")
	f(`{"type":"record","fields":[]}`, "has no name of its own")
	f(`{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"record","name":"R","fields":[]}}]}`, `"R" has no name of its own`)
	f(`{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}`, `cannot be called "a", or is there twice`)
	f(`{"type":"record","name":"R","fields":[{"name":"a.b","type":"int"}]}`, `cannot be called "a.b"`)
	f(`{"type":"record","name":"R","fields":[7]}`, `cannot be called ""`)
	f(`{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array"}}]}`, "field a: array: a type is")
	f(`{"type":"enum","name":"E","symbols":[]}`, "no symbols")
	f(`{"type":"fixed","name":"F","size":-1}`, "not a size")
	f(`{"type":"fixed","name":"F","size":"x"}`, "not a size")
	f(`{"type":"fixed","name":"F","size":1e30}`, "not a size")
}

// Names are resolved in their namespaces, as the reference does it.
func TestSchemaNames(t *testing.T) {
	schema := `{"type":"record","name":"a.b.E","fields":[
		{"name":"x","type":{"type":"record","name":"X","fields":[{"name":"v","type":"int"}]}},
		{"name":"y","type":{"type":"fixed","name":"Y","namespace":"c","size":1}},
		{"name":"z","type":"X"},
		{"name":"w","type":"a.b.X"},
		{"name":"u","type":["null","c.Y"]},
		{"name":"t","type":{"type":"record","name":"T","namespace":"","fields":[{"name":"s","type":{"type":"enum","name":"S","symbols":["p","q"]}}]}},
		{"name":"r","type":"S"},
		{"name":"n","type":{"type":{"type":"long","logicalType":"timestamp-micros"}}}]}`
	if _, err := avro.Parse(strings.Replace(schema, `{"type":{"type":"long","logicalType":"timestamp-micros"}}`, `"long"`, 1)); err != nil {
		t.Fatal(err)
	}
	data := cat(varint(1), []byte{7}, varint(2), varint(3), varint(1), []byte{8}, varint(1), varint(0), varint(5))
	if got, want := row(t, decoder(t, bare(t, schema), "x.v", "y", "z.v", "w.v", "u", "t.s", "r", "n"), data), "1|07|2|3|08|q|p|5"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A logical type that does not fit what it stands on is ignored.
func TestLogicalTypesIgnored(t *testing.T) {
	for typ, want := range map[string]string{
		`{"type":"string","logicalType":"timestamp-millis"}`:                         "string",
		`{"type":"int","logicalType":"timestamp-millis"}`:                            "int",
		`{"type":"long","logicalType":"date"}`:                                       "int",
		`{"type":"bytes","logicalType":"decimal"}`:                                   "bytes",
		`{"type":"bytes","logicalType":"decimal","precision":2,"scale":3}`:           "bytes",
		`{"type":"bytes","logicalType":"decimal","precision":0}`:                     "bytes",
		`{"type":"long","logicalType":"decimal","precision":5}`:                      "int",
		`{"type":"fixed","name":"F","size":12,"logicalType":"duration"}`:             "bytes",
		`{"type":"fixed","name":"F","size":12,"logicalType":"uuid"}`:                 "bytes",
		`{"type":"long","logicalType":"something-new"}`:                              "int",
		`{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":4}`: "decimal(4,0)",
		`["null",{"type":"bytes","logicalType":"decimal","precision":5,"scale":1}]`:  "decimal(5,1)",
		`["null"]`:                        "json",
		`"null"`:                          "json",
		`{"type":"array","items":"null"}`: "json",
		`{"type":"map","values":{"type":"bytes","logicalType":"decimal","precision":50}}`:     "json",
		`{"type":"map","values":["null",{"type":"enum","name":"E","symbols":["a"]}]}`:         "map(string)",
		`{"type":"array","items":["int","string"]}`:                                           "json",
		`{"type":"array","items":{"type":"long","logicalType":"local-timestamp-nanos"}}`:      "list(timestamp)",
		`{"type":"array","items":{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}}`: "list(string)",
	} {
		got, err := bare(t, fieldSchema(typ)).Field(path("f"))
		if err != nil || got.String() != want {
			t.Errorf("%s: got %s, %v; want %s", typ, got, err, want)
		}
	}
}

// A union whose other branches have no parts gives null for them.
func TestUnionOfRecordAndScalar(t *testing.T) {
	schema := fieldSchema(`["null",{"type":"record","name":"A","fields":[{"name":"x","type":"int"},{"name":"l","type":{"type":"array","items":"int"}}]},"string",{"type":"array","items":"int"},{"type":"map","values":"int"}]`)
	d := decoder(t, bare(t, schema), "f.x", "f", "f.l[-2]", "f[1]")
	f := func(data []byte, want string) {
		t.Helper()
		if got := row(t, d, data); got != want {
			t.Errorf("%x: got %s, want %s", data, got, want)
		}
	}
	f(varint(0), "null|null|null|null")
	f(cat(varint(1), varint(5), varint(2), varint(6), varint(7), varint(0)), `5|{"x":5,"l":[6,7]}|6|null`)
	f(cat(varint(2), varint(1), []byte("s")), `null|"s"|null|null`)
	f(cat(varint(3), varint(2), varint(6), varint(7), varint(0)), `null|[6,7]|null|7`)
	f(cat(varint(4), varint(1), varint(1), []byte("x"), varint(9), varint(0)), `9|{"x":9}|null|null`)
}

// resolved writes with one schema and reads with another, of the field f.
func resolved(t *testing.T, writer, reader string, value any, p string) string {
	t.Helper()
	r := newRegistry(t)
	id := r.add("s", fieldSchema(writer))
	s := open(t, decode.Options{Format: decode.Avro, Registry: client(t, r.URL()), Schema: []byte(fieldSchema(reader))})
	return row(t, decoder(t, s, p), framed(id, encode(t, fieldSchema(writer), map[string]any{"f": value})))
}

func TestResolution(t *testing.T) {
	f := func(writer, reader string, value any, want string) {
		t.Helper()
		if got := strings.TrimPrefix(resolved(t, writer, reader, value, "f"), "bad: f: "); got != want {
			t.Errorf("%s read as %s: got %s, want %s", writer, reader, got, want)
		}
	}
	dec := func(precision, scale int) string {
		return fmt.Sprintf(`{"type":"bytes","logicalType":"decimal","precision":%d,"scale":%d}`, precision, scale)
	}
	long := func(logical string) string { return `{"type":"long","logicalType":"` + logical + `"}` }
	f(`"int"`, `"long"`, int32(-5), "-5")
	f(`"int"`, `"double"`, int32(-5), "-5")
	f(`"long"`, `"float"`, int64(1)<<53+1, "9.007199254740992e+15")
	f(`"float"`, `"double"`, float32(0.5), "0.5")
	f(`"long"`, `"int"`, int64(1)<<40, "1099511627776") // a column holds both
	f(`"double"`, `"long"`, 1.0, "written as double, wanted as int")
	f(`"string"`, `"bytes"`, "ab", "6162")
	f(`"bytes"`, `"string"`, []byte("ab"), "ab")
	f(`"bytes"`, `"string"`, []byte{0xff}, "not valid UTF-8")
	f(`{"type":"fixed","name":"F","size":1}`, `"bytes"`, [1]byte{7}, "07")
	f(`"string"`, `{"type":"enum","name":"E","symbols":["a"]}`, "b", "b")
	f(`{"type":"enum","name":"E","symbols":["a"]}`, `"string"`, "a", "a")
	f(`"boolean"`, `"string"`, true, "written as boolean, wanted as string")
	f(`"string"`, `"boolean"`, "x", "written as string, wanted as bool")
	f(`["null","int"]`, `"long"`, nil, "null")
	f(`"int"`, `["null","long"]`, int32(3), "3")
	f(`["int","string"]`, `"long"`, int32(3), "3")
	f(`["int","string"]`, `"long"`, "x", "written as string, wanted as int")
	f(`"int"`, `["int","string"]`, int32(3), "3")
	f(dec(6, 2), dec(10, 4), big.NewRat(-1234, 100), "-12.3400")
	f(dec(6, 2), dec(6, 1), big.NewRat(1230, 100), "12.3")
	f(dec(6, 2), dec(6, 1), big.NewRat(1234, 100), "more decimal places than the column has")
	f(dec(6, 2), dec(3, 1), big.NewRat(12340, 100), "more digits than the column has")
	f(dec(50, 39), dec(38, 0), big.NewRat(0, 1), "written as json, wanted as decimal(38,0)")
	f(`"bytes"`, dec(6, 2), []byte{1}, "written as bytes, wanted as decimal(6,2)")
	f(dec(6, 2), `"string"`, big.NewRat(1, 1), "written as decimal(6,2), wanted as string")
	f(`"long"`, long("timestamp-millis"), int64(5), "5000") // the reader says what it counts
	f(`"long"`, long("timestamp-nanos"), int64(5000), "5")
	f(`"int"`, long("timestamp-micros"), int32(5), "5")
	f(long("timestamp-millis"), long("timestamp-micros"), int64(5), "5000") // the writer knows best
	f(long("timestamp-micros"), long("timestamp-millis"), int64(5), "5")
	f(long("timestamp-millis"), `"long"`, int64(5), "5")
	f(`{"type":"int","logicalType":"date"}`, long("timestamp-millis"), int32(1), "86400000000")
	f(`"string"`, long("timestamp-millis"), "x", "written as string, wanted as timestamp")
	f(`{"type":"array","items":"int"}`, `{"type":"array","items":"double"}`, []int32{1}, "[1]")
	f(`{"type":"array","items":["null","int"]}`, `{"type":"array","items":"long"}`, []any{nil, int32(2)}, "[null 2]")
	f(`{"type":"array","items":"string"}`, `{"type":"array","items":"long"}`, []string{"x"}, "written as string, wanted as int")
	f(`{"type":"array","items":"string"}`, `{"type":"array","items":"long"}`, []string{}, "[]")
	f(`{"type":"map","values":"long"}`, `{"type":"map","values":{"type":"long","logicalType":"timestamp-millis"}}`, map[string]int64{"k": 1}, "[k=1000]")
	f(`{"type":"map","values":"long"}`, `{"type":"array","items":"long"}`, map[string]int64{"k": 1}, "written as map, wanted as list(int)")
	f(`{"type":"record","name":"P","fields":[{"name":"x","type":"int"}]}`, `"string"`, map[string]any{"x": int32(1)}, "written as record P, wanted as string")
	if got := resolved(t, `{"type":"record","name":"P","fields":[{"name":"old","type":"int"}]}`, `["null",{"type":"record","name":"Q","aliases":["P"],"fields":[{"name":"x","type":"long","aliases":["older","old"]}]},{"type":"record","name":"O","fields":[]}]`,
		map[string]any{"old": int32(1)}, "f.x"); got != "1" {
		t.Errorf("by aliases: got %s, want 1", got)
	}
	// Both aliases are there: the value is one, and a row of the column is one.
	for _, p := range []string{"f.x", "f.x:json"} {
		if got := resolved(t, `{"type":"record","name":"Q","fields":[{"name":"old","type":"int"},{"name":"older","type":"int"}]}`,
			`{"type":"record","name":"Q","fields":[{"name":"x","type":"long","aliases":["older","old"]}]}`, map[string]any{"old": int32(1), "older": int32(2)}, p); got != "2" {
			t.Errorf("by one of two aliases, as %s: got %s, want 2", p, got)
		}
	}
	// One field of the writer's that two of the reader's once were called.
	if got := resolved(t, `{"type":"record","name":"Q","fields":[{"name":"old","type":"int"}]}`,
		`{"type":"record","name":"Q","fields":[{"name":"x","type":"long","aliases":["old"]},{"name":"y","type":"long","aliases":["old"]}]}`, map[string]any{"old": int32(1)}, "f.x"); got != "1" {
		t.Errorf("by an alias of two: got %s, want 1", got)
	}
	if got := resolved(t, `{"type":"map","values":"int"}`, `{"type":"map","values":"long"}`, map[string]int32{"k": 4}, "f.k"); got != "4" {
		t.Errorf("an entry of a map: got %s, want 4", got)
	}
}
