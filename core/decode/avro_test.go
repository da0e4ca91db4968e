package decode_test

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/decode"
)

// field makes a record schema of one field, f.
func fieldSchema(typ string) string {
	return `{"type":"record","name":"R","fields":[{"name":"f","type":` + typ + `}]}`
}

func TestAvroTypes(t *testing.T) {
	at := time.Date(2026, 11, 22, 15, 4, 5, 123456000, time.UTC)
	us := at.UnixMicro()
	f := func(typ string, v any, want, wantValue, wantJSON string) {
		t.Helper()
		schema := fieldSchema(typ)
		data := encode(t, schema, map[string]any{"f": v})
		s := bare(t, schema)
		got, err := s.Field(path("f"))
		if err != nil || got.String() != want {
			t.Errorf("%s: type %s, %v; want %s", typ, got, err, want)
			return
		}
		if got, want := row(t, decoder(t, s, "f", "f:json"), data), wantValue+"|"+wantJSON; got != want {
			t.Errorf("%s of %v: got %s, want %s", typ, v, got, want)
		}
	}
	f(`"boolean"`, true, "bool", "true", "true")
	f(`"int"`, int32(-7), "int", "-7", "-7")
	f(`"long"`, int64(math.MinInt64), "int", "-9223372036854775808", "-9223372036854775808")
	f(`"float"`, float32(0.1), "float", "0.10000000149011612", "0.1")
	f(`"double"`, 0.1, "float", "0.1", "0.1")
	f(`"double"`, math.NaN(), "float", "NaN", `"NaN"`)
	f(`"float"`, float32(math.Inf(-1)), "float", "-Inf", `"-Infinity"`)
	f(`"double"`, 1e21, "float", "1e+21", "1e+21")
	f(`"string"`, "żółw \"x\"\n\x01", "string", "żółw \"x\"\n\x01", `"żółw \"x\"\n\u0001"`)
	f(`"bytes"`, []byte{1, 0xff}, "bytes", "01ff", `"Af8="`)
	f(`{"type":"fixed","name":"F","size":3}`, [3]byte{1, 2, 3}, "bytes", "010203", `"AQID"`)
	f(`{"type":"enum","name":"E","symbols":["A","B"]}`, "B", "string", "B", `"B"`)
	f(`{"type":"int","logicalType":"date"}`, time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), "timestamp", "-86400000000", `"1969-12-31"`)
	f(`{"type":"long","logicalType":"timestamp-millis"}`, at, "timestamp", fmt.Sprint(us/1000*1000), `"2026-11-22T15:04:05.123Z"`)
	f(`{"type":"long","logicalType":"timestamp-micros"}`, at, "timestamp", fmt.Sprint(us), `"2026-11-22T15:04:05.123456Z"`)
	f(`{"type":"long","logicalType":"timestamp-nanos"}`, at, "timestamp", fmt.Sprint(us), `"2026-11-22T15:04:05.123456Z"`)
	f(`{"type":"long","logicalType":"local-timestamp-micros"}`, at, "timestamp", fmt.Sprint(us), `"2026-11-22T15:04:05.123456Z"`)
	f(`{"type":"long","logicalType":"timestamp-millis"}`, time.Unix(-1, 0), "timestamp", "-1000000", `"1969-12-31T23:59:59Z"`)
	f(`{"type":"int","logicalType":"time-millis"}`, 90*time.Second, "int", "90000", "90000")
	f(`{"type":"long","logicalType":"time-micros"}`, 90*time.Second, "int", "90000000", "90000000")
	f(`{"type":"string","logicalType":"uuid"}`, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "string", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", `"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"`)
	f(`{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}`, [16]byte{0xf8, 0x1d, 15: 1}, "string", "f81d0000-0000-0000-0000-000000000001", `"f81d0000-0000-0000-0000-000000000001"`)
	f(`{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}`, big.NewRat(-12345, 100), "decimal(10,2)", "-123.45", "-123.45")
	f(`{"type":"bytes","logicalType":"decimal","precision":4}`, big.NewRat(0, 1), "decimal(4,0)", "0", "0")
	f(`{"type":"fixed","name":"D","size":16,"logicalType":"decimal","precision":38,"scale":38}`, new(big.Rat).SetFrac(big.NewInt(-1), new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil)),
		"decimal(38,38)", "-0."+strings.Repeat("0", 37)+"1", "-0."+strings.Repeat("0", 37)+"1")
	f(`["null","long"]`, nil, "int", "null", "null")
	f(`["null","long"]`, int64(5), "int", "5", "5")
	f(`["long","null"]`, int64(5), "int", "5", "5")
	f(`["long"]`, int64(5), "int", "5", "5")
	f(`{"type":"array","items":"long"}`, []int64{1, -2, 3}, "list(int)", "[1 -2 3]", "[1,-2,3]")
	f(`{"type":"array","items":["null","string"]}`, []any{"a", nil}, "list(string)", "[a null]", `["a",null]`)
	f(`{"type":"array","items":"long"}`, []int64{}, "list(int)", "[]", "[]")
	f(`{"type":"map","values":"double"}`, map[string]float64{"k": 1.5}, "map(float)", "[k=1.5]", `{"k":1.5}`)
	f(`{"type":"array","items":{"type":"array","items":"int"}}`, [][]int32{{1}, {}}, "json", "[[1],[]]", "[[1],[]]")
	f(`["null","long","string"]`, "x", "json", `"x"`, `"x"`)
	f(`{"type":"record","name":"S","fields":[{"name":"b","type":"int"},{"name":"a","type":["null","string"]}]}`, map[string]any{"b": int32(1), "a": nil}, "json", `{"b":1,"a":null}`, `{"b":1,"a":null}`)
}

func TestAvroDecimalBeyondColumns(t *testing.T) {
	schema := fieldSchema(`{"type":"bytes","logicalType":"decimal","precision":60,"scale":5}`)
	v, _ := new(big.Rat).SetString("-123456789012345678901234567890123456789012345678901234.56789")
	got := row(t, decoder(t, bare(t, schema), "f"), encode(t, schema, map[string]any{"f": v}))
	if want := "-123456789012345678901234567890123456789012345678901234.56789"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

const orders = `{"type":"record","name":"Event","fields":[
 {"name":"id","type":"string"},
 {"name":"time","type":{"type":"long","logicalType":"timestamp-millis"}},
 {"name":"type","type":{"type":"enum","name":"Kind","symbols":["order","refund","ping"]}},
 {"name":"host","type":"string"},
 {"name":"note","type":["null","string"],"default":null},
 {"name":"payload","type":["null",
  {"type":"record","name":"Order","fields":[
   {"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
   {"name":"count","type":"int"},
   {"name":"items","type":{"type":"array","items":{"type":"record","name":"Item","fields":[{"name":"sku","type":"string"},{"name":"price","type":"double"}]}}},
   {"name":"tags","type":{"type":"map","values":"string"}}]},
  {"type":"record","name":"Refund","fields":[
   {"name":"reason","type":"string"},
   {"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":4}},
   {"name":"count","type":"double"},
   {"name":"tags","type":"long"},
   {"name":"of","type":["null","Order"]}]}]}]}`

func order() map[string]any {
	return map[string]any{"amount": big.NewRat(1050, 100), "count": int32(2), "tags": map[string]any{"vip": "yes"},
		"items": []any{map[string]any{"sku": "a", "price": 1.5}, map[string]any{"sku": "b", "price": 2.0}, map[string]any{"sku": "c", "price": 3.0}}}
}

func event(typ string, payload any) map[string]any {
	return map[string]any{"id": "e1", "time": time.UnixMilli(1000), "type": typ, "host": "h", "note": nil, "payload": payload}
}

func TestAvroPayloadByType(t *testing.T) {
	s := open(t, decode.Options{Format: decode.Avro, Framing: decode.Bare, Schema: []byte(orders), Envelope: decode.Envelope{Server: "host"}})
	d := decoder(t, s, "server", "host", "type", "time", "payload.amount", "payload.count", "payload.reason", "payload.items[0].price", "payload.items[-1].sku", "payload.items[5].sku", "payload.of.items[-3].sku", "payload.of.count", "payload.of", "payload:json")
	f := func(v map[string]any, want string) {
		t.Helper()
		if got := row(t, d, encode(t, orders, v)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	full := `{"amount":10.50,"count":2,"items":[{"sku":"a","price":1.5},{"sku":"b","price":2},{"sku":"c","price":3}],"tags":{"vip":"yes"}}`
	f(event("order", order()), `h|h|order|1000000|10.5000|2|null|1.5|c|null|null|null|null|`+full)
	f(event("ping", nil), "h|h|ping|1000000|null|null|null|null|null|null|null|null|null|null")
	refund := map[string]any{"reason": "late", "amount": big.NewRat(-1, 10000), "count": 2.5, "tags": int64(1), "of": order()}
	f(event("refund", refund), `h|h|refund|1000000|-0.0001|2.5|late|null|null|null|a|2|`+full+`|{"reason":"late","amount":-0.0001,"count":2.5,"tags":1,"of":`+full+`}`)
}

func TestAvroMapEntry(t *testing.T) {
	schema := fieldSchema(`{"type":"map","values":{"type":"record","name":"V","fields":[{"name":"x","type":"int"},{"name":"y","type":"string"}]}}`)
	d := decoder(t, bare(t, schema), "f.b.y", "f.a.x", "f.none.x")
	v := func(x int32, y string) map[string]any { return map[string]any{"x": x, "y": y} }
	if got, want := row(t, d, encode(t, schema, map[string]any{"f": map[string]any{"a": v(1, "p"), "b": v(2, "q")}})), "q|1|null"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// The last of equal keys counts: two entries called a.
	twice := []byte{4, 2, 'a', 2, 2, 'p', 2, 'a', 4, 2, 'q', 0}
	if got, want := row(t, d, twice), "null|2|null"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAvroSameValueTwice(t *testing.T) {
	d := decoder(t, bare(t, orders), "payload.of.amount", "payload.of", "payload.of.amount", "id", "id:json", "id")
	refund := map[string]any{"reason": "late", "amount": big.NewRat(0, 1), "count": 2.5, "tags": int64(1), "of": order()}
	got := row(t, d, encode(t, orders, event("refund", refund)))
	if want := `10.50|{"amount":10.50,"count":2,"items":[{"sku":"a","price":1.5},{"sku":"b","price":2},{"sku":"c","price":3}],"tags":{"vip":"yes"}}|10.50|e1|"e1"|e1`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// A string or bytes that holds JSON is read like a JSON payload.
func TestAvroPayloadOfJSONText(t *testing.T) {
	for _, typ := range []string{"string", "bytes"} {
		schema := `{"type":"record","name":"E","fields":[{"name":"id","type":"string"},{"name":"payload","type":["null","` + typ + `"]},{"name":"z","type":"int"}]}`
		s := open(t, decode.Options{Format: decode.Avro, Framing: decode.Bare, Schema: []byte(schema), Types: map[string]decode.Declared{"payload.a": {Type: kind("int")}, "payload.b[1]": {Type: kind("string")}}})
		d := decoder(t, s, "id", "payload.b[1]", "payload", "payload.a", "z")
		f := func(payload any, want string) {
			t.Helper()
			if b, ok := payload.(string); ok && typ == "bytes" {
				payload = []byte(b)
			}
			if got := row(t, d, encode(t, schema, map[string]any{"id": "i", "payload": payload, "z": int32(9)})); got != want {
				t.Errorf("%s %q: got %s, want %s", typ, payload, got, want)
			}
		}
		f(`{"a":1,"b":["x","y"]}`, `i|y|{"a":1,"b":["x","y"]}|1|9`)
		f(` {"b":[]} `, `i|null|{"b":[]}|null|9`)
		f(nil, `i|null|null|null|9`)
		f(`{"a":"x"}`, "bad: payload.a: a JSON value of another type")
		f(`{"a":1`, "bad: payload: the data end too early")
		f(``, "bad: payload: the data end too early")
	}
}
