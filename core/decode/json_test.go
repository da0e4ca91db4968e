package decode_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/decode"
)

// jsonStream declares paths: "a.b int", "t timestamp(ms)".
func jsonStream(t testing.TB, declared ...string) *decode.Stream {
	t.Helper()
	return open(t, jsonOptions(declared...))
}

func jsonOptions(declared ...string) decode.Options {
	types := map[string]decode.Declared{}
	for _, text := range declared {
		p, typ, _ := strings.Cut(text, " ")
		unit := ""
		if name, u, ok := strings.Cut(typ, "(ms"); ok {
			typ, unit = name+strings.TrimPrefix(u, ")"), "ms"
		}
		for _, u := range []string{"s", "us", "ns"} {
			if name, ok := strings.CutSuffix(typ, "("+u+")"); ok && name == "timestamp" {
				typ, unit = name, u
			}
		}
		types[p] = decode.Declared{Type: kind(typ), Unit: unit}
	}
	return decode.Options{Format: decode.JSON, Types: types}
}

func TestJSONValues(t *testing.T) {
	f := func(typ, value, want string) {
		t.Helper()
		d := decoder(t, jsonStream(t, "v "+typ), "v")
		if got := strings.TrimPrefix(row(t, d, []byte(`{"v":`+value+`}`)), "bad: v: "); got != want {
			t.Errorf("%s %s: got %s, want %s", typ, value, got, want)
		}
	}
	const other, whole, outside = "a JSON value of another type", "not a whole number", "a number outside the range of its type"
	for _, typ := range []string{"bool", "int", "uint", "float", "decimal(5,2)", "timestamp", "string", "bytes", "json", "list(int)", "map(int)"} {
		f(typ, "null", "null")
		for _, v := range []string{"{}", "[]", `"x"`, "1", "true"} {
			d := decoder(t, jsonStream(t, "v "+typ), "v")
			bad := strings.HasPrefix(row(t, d, []byte(`{"v":`+v+`}`)), "bad: v: ")
			fits := map[string]string{"bool": "true", "int": "1", "uint": "1", "float": "1", "decimal(5,2)": "1", "timestamp": "", "string": `"x"`, "bytes": "", "json": v, "list(int)": "[]", "map(int)": "{}"}[typ] == v
			if bad == fits {
				t.Errorf("%s as %s: bad is %v", v, typ, bad)
			}
		}
	}
	f("int", "0", "0")
	f("int", "-0", "0")
	f("int", "9223372036854775807", "9223372036854775807")
	f("int", "-9223372036854775808", "-9223372036854775808")
	f("int", "9223372036854775808", outside)
	f("int", "1.0", "1")
	f("int", "1e3", "1000")
	f("int", "12.50e1", "125")
	f("int", "1.5", whole)
	f("int", "1e-1", whole)
	f("int", "0e-1000000000000", "0")
	f("int", "1e1000000000000", outside)
	f("int", "123456789012345678901234567890", outside)
	f("uint", "18446744073709551615", "18446744073709551615")
	f("uint", "18446744073709551616", outside)
	f("uint", "-1", outside)
	f("float", "0.1", "0.1")
	f("float", "-1.5e-7", "-1.5e-07")
	f("float", "9007199254740993", "9.007199254740992e+15")
	f("float", "123456789.123456789123456789", "1.2345678912345679e+08")
	f("float", "1e308", "1e+308")
	f("float", "1e309", outside)
	f("float", "5e-324", "5e-324")
	f("float", "1e-400", "0")
	f("decimal(5,2)", "123.45", "123.45")
	f("decimal(5,2)", "-0.10000", "-0.10")
	f("decimal(5,2)", "1e2", "100.00")
	f("decimal(5,2)", `"12.5"`, "12.50")
	f("decimal(5,2)", `"+12.5"`, other)
	f("decimal(5,2)", `".5"`, other)
	f("decimal(5,2)", `""`, other)
	f("decimal(5,2)", "0.001", "more decimal places than the column has")
	f("decimal(5,2)", "1000", "more digits than the column has")
	f("decimal(38,0)", "99999999999999999999999999999999999999", "99999999999999999999999999999999999999")
	f("decimal(38,0)", "100000000000000000000000000000000000000", "more digits than the column has")
	f("string", `"a\"\\\/\b\f\n\r\tż\ud83d\ude00é😀"`, "a\"\\/\b\f\n\r\tż😀é😀")
	f("string", `"\u0000"`, "\x00")
	f("string", `"\ud83d"`, "half a surrogate pair in a JSON string")
	f("string", `"\ude00\ud83d"`, "half a surrogate pair in a JSON string")
	f("string", `"\ud83dA"`, "half a surrogate pair in a JSON string")
	f("string", `"\ud83d\n"`, "half a surrogate pair in a JSON string")
	f("string", `"\x"`, "an invalid escape in a JSON string")
	f("string", `"\u12g4"`, "an invalid escape in a JSON string")
	f("string", "\"a\x01\"", "a control character in a JSON string")
	f("string", "\"0123456789\n\"", "a control character in a JSON string")
	f("string", "\"\xff\"", "not valid UTF-8")
	f("string", "\"\xed\xa0\x80\"", "not valid UTF-8") // a surrogate in UTF-8
	f("string", "\"\x7f\"", "\x7f")
	f("bytes", `"AQID/+8="`, "010203ffef")
	f("bytes", `"AQID\/+8="`, "010203ffef")
	f("bytes", `""`, "")
	f("bytes", `"AQI"`, "not base64")
	f("bytes", `"AQ\nID"`, "not base64")
	f("bytes", `"AQJ="`, "not base64") // bits that no byte has
	f("json", ` {"a" : [1, 2.50]} `, `{"a" : [1, 2.50]}`)
	f("json", `"x\u0041"`, `"x\u0041"`)
	f("list(string)", `["a","b\n",null]`, "[a b\n null]")
	f("list(int)", ` [ 1 , 2 ] `, "[1 2]")
	f("list(int)", `[1,"x"]`, other)
	f("list(timestamp(ms))", `[1]`, "[1000]")
	f("map(float)", `{"a":1.5,"b\"":null,"a":2}`, `[a=1.5 b"=null a=2]`)
	f("map(float)", `{ }`, `[]`)
	f("timestamp(s)", "1.000001", "1000001")
	f("timestamp(s)", "-1", "-1000000")
	f("timestamp(s)", "1.0000001", "a time with parts of a microsecond")
	f("timestamp(ms)", "1763823845123", "1763823845123000")
	f("timestamp(ms)", "0.5", "500")
	f("timestamp(ms)", "9223372036854775807", outside)
	f("timestamp(us)", "-5", "-5")
	f("timestamp(ns)", "5000", "5")
	f("timestamp(ns)", "5001", "a time with parts of a microsecond")
	f("timestamp", "5", "a time as a number, with no unit declared")
	f("timestamp(ms)", `"1970-01-01T00:00:01Z"`, "1000000")
	f("timestamp", `"x"`, "not a time as RFC 3339 writes it")
}

func TestJSONTimes(t *testing.T) {
	d := decoder(t, jsonStream(t), "time")
	get := func(text string) string { return row(t, d, []byte(`{"time":"`+text+`"}`)) }
	good := []string{"1970-01-01T00:00:00Z", "2026-11-22T15:04:05.123456Z", "2024-02-29t23:59:59.9z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-23:59", "2000-02-29T12:00:00+05:30",
		"1900-03-01T00:00:00.000001Z", "2026-11-22T15:04:05.123456000Z", "0001-03-01T00:00:00+00:00"}
	for _, text := range good {
		want, err := time.Parse(time.RFC3339Nano, strings.ToUpper(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := get(text); got != fmt.Sprint(want.UnixMicro()) {
			t.Errorf("%s: got %s, want %d", text, got, want.UnixMicro())
		}
	}
	for _, text := range []string{"", "2026-11-22", "2026-11-22 15:04:05Z", "2026-11-22T15:04:05", "2026-11-22T15:04:60Z", "2026-11-22T24:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
		"2026-04-31T00:00:00Z", "2026-11-00T00:00:00Z", "2026-11-22T15:04:05.Z", "2026-11-22T15:04:05.1234567890Z", "2026-11-22T15:04:05+1:00", "2026-11-22T15:04:05+0100", "2026-11-22T15:04:05+24:00", "2026-11-22T15:04:05+01:60",
		"2026-11-22T15:04:05ZZ", "2O26-11-22T15:04:05Z", "2026-11-22T15:04:05.12x", "-026-11-22T15:04:05Z", "2026-11-2:T15:04:05Z", "２０26-11-22T15:04:05Z"} {
		if got := get(text); got != "bad: time: not a time as RFC 3339 writes it" {
			t.Errorf("%q: got %s", text, got)
		}
	}
	if got := get("2026-11-22T15:04:05.1234567Z"); got != "bad: time: a time with parts of a microsecond" {
		t.Errorf("parts of a microsecond: got %s", got)
	}
	// Every day of 800 years, against the library's calendar.
	for day := time.Date(1600, 1, 1, 6, 7, 8, 0, time.UTC); day.Year() < 2400; day = day.AddDate(0, 0, 13) {
		if got := get(day.Format(time.RFC3339)); got != fmt.Sprint(day.UnixMicro()) {
			t.Fatalf("%s: got %s, want %d", day, got, day.UnixMicro())
		}
	}
}

func TestJSONPaths(t *testing.T) {
	s := jsonStream(t, "payload.a int", "payload.b[0] int", "payload.b[-1] int", "payload.b[1].c string", "payload.b json", "payload.d.e.f string", "payload.l list(int)", "x.y int")
	d := decoder(t, s, "payload.a", "payload.b[0]", "payload.b[-1]", "payload.b[1].c", "payload.b", "payload.d.e.f", "payload.l[1]", "x.y", "type")
	f := func(doc, want string) {
		t.Helper()
		if got := row(t, d, []byte(doc)); got != want {
			t.Errorf("%s: got %s, want %s", doc, got, want)
		}
	}
	f(`{}`, "null|null|null|null|null|null|null|null|null")
	f(` { "payload" : { "a" : 1 , "b" : [ 5 ] } , "type" : "t" } `, "1|5|5|null|[ 5 ]|null|null|null|t")
	f(`{"payload":{"b":[1,{"c":"x"},3],"d":{"e":{"f":"g","h":[{}]}},"l":[7,8]},"x":{"y":2},"z":[[[]],{"payload":{"a":9}}]}`, `null|1|3|x|[1,{"c":"x"},3]|g|8|2|null`)
	// Another shape than the wanted one has nothing there.
	f(`{"payload":7,"x":[1],"type":null}`, "null|null|null|null|null|null|null|null|null")
	f(`{"payload":{"b":{"c":1},"d":"e","l":null}}`, `null|null|null|null|{"c":1}|null|null|null|null`)
	// Escapes in keys.
	f(`{"p\u0061yload":{"\u0061":1},"type\u0000":"x"}`, "1|null|null|null|null|null|null|null|null")
	// Of equal keys the last counts, and takes all that was below the first.
	f(`{"payload":{"a":1,"d":{"e":{"f":"g"}}},"payload":{"b":[2]}}`, "null|2|2|null|[2]|null|null|null|null")
	f(`{"payload":{"a":1},"payload":3}`, "null|null|null|null|null|null|null|null|null")
	f(`{"payload":{"b":[1,{"c":"x"}],"a":1,"b":[4],"a":2}}`, "2|4|4|null|[4]|null|null|null|null")
	f(`{"type":"a","type":"b"}`, "null|null|null|null|null|null|null|null|b")
	f(`{"type":"a","type":null}`, "null|null|null|null|null|null|null|null|null")
	// The first of two may even be of another type: it does not count.
	f(`{"payload":{"a":"x","a":2}}`, "2|null|null|null|null|null|null|null|null")
	f(`[]`, "bad: the event is not a JSON object")
	f(` null`, "bad: the event is not a JSON object")
	f(` `, "bad: the data end too early")
	f(`{"type":"a"}}`, "bad: more data behind the event")
	f(`{"type":"a"`, "bad: the data end too early")
	f(`{"type":"a",}`, "bad: not valid JSON")
	f(`{"x":{"y" 1}}`, "bad: x: not valid JSON")
	f(`{"unwanted":[1,2,}`, "bad: not valid JSON")
	f(`{"unwanted":"`+"\xff"+`"}`, "bad: not valid UTF-8")
}

// A payload that is a string of JSON is read like one that is an object.
func TestJSONPayloadInString(t *testing.T) {
	d := decoder(t, jsonStream(t, "payload.a int", "payload.s string"), "payload.a", "payload.s", "payload", "id")
	f := func(doc, want string) {
		t.Helper()
		if got := row(t, d, []byte(doc)); got != want {
			t.Errorf("%s: got %s, want %s", doc, got, want)
		}
	}
	f(`{"payload":"{\"a\":1,\"s\":\"x\\ny\"}","id":"i"}`, "1|x\ny|{\"a\":1,\"s\":\"x\\ny\"}|i")
	f(`{"payload":{"a":1,"s":"x"},"id":"i"}`, `1|x|{"a":1,"s":"x"}|i`)
	f(`{"payload":"{\"a\":1}","payload":"{\"s\":\"x\"}"}`, `null|x|{"s":"x"}|null`)
	f(`{"payload":"{\"a\":1}","payload":{"s":"x"}}`, `null|x|{"s":"x"}|null`)
	f(`{"payload":"x"}`, "bad: payload: not valid JSON")
	f(`{"payload":"{\"a\":1} 2"}`, "bad: payload: more data behind the event")
}

func TestJSONDepth(t *testing.T) {
	d := decoder(t, jsonStream(t), "payload")
	for n, want := range map[int]bool{62: true, 63: true, 64: false, 100_000: false} {
		for _, open := range []string{"[", `{"a":`} {
			doc := `{"payload":` + strings.Repeat(open, n) + "1" + strings.Repeat(map[string]string{"[": "]", `{"a":`: "}"}[open], n) + "}"
			got := row(t, d, []byte(doc))
			if ok := !strings.HasPrefix(got, "bad: payload: nested deeper"); ok != want {
				t.Errorf("%d %s: got %.60s", n, open, got)
			}
		}
	}
}

func TestJSONLimits(t *testing.T) {
	o := jsonOptions("l list(int)", "s string", "b bytes", "payload.x int")
	o.Limits = decode.Limits{String: 8, Items: 3, Record: 100}
	s := open(t, o)
	f := func(p, doc, want string) {
		t.Helper()
		if got := row(t, decoder(t, s, p), []byte(doc)); got != want {
			t.Errorf("%s: got %s, want %s", doc, got, want)
		}
	}
	f("l", `{"l":[1,2,3]}`, "[1 2 3]")
	f("l", `{"l":[1,2,3,4]}`, "bad: l: more entries than the limit, or a wrong block size")
	f("s", `{"s":"12345678"}`, "12345678")
	f("s", `{"s":"123456789"}`, "bad: s: longer than the limit")
	f("s", `{"s":"\u0031\u0032"}`, "12")
	f("b", `{"b":"AAAAAAAAAAAA"}`, "bad: b: longer than the limit")
	f("payload", `{"payload":[1,2,3,4]}`, "bad: payload: longer than the limit")
	f("s", `{"s":"`+strings.Repeat("x", 100)+`"}`, "bad: the event is longer than the limit")
	f("id", `{"s":"123456789"}`, "null") // nobody wants it
}

// An object with more names than the table of a target holds.
func TestJSONManyNames(t *testing.T) {
	for _, n := range []int{1, 8, 255, 256, 400} {
		var declared, paths, doc, want []string
		for i := range n {
			name := fmt.Sprintf("name%d", i*i)
			declared, paths = append(declared, name+" int"), append(paths, name)
			doc, want = append(doc, fmt.Sprintf(`"no%s":-1,%q:%d`, name, name, i)), append(want, fmt.Sprint(i))
		}
		if got, want := row(t, decoder(t, jsonStream(t, declared...), paths...), []byte("{"+strings.Join(doc, ",")+"}")), strings.Join(want, "|"); got != want {
			t.Errorf("%d names: got %s", n, got)
		}
	}
}

// TestJSONKeyOrder reads objects whose keys come in changing order, doubled,
// left out, with escapes and with spaces, by one decoder that remembers what it
// saw before, and by one for each event that remembers nothing.
func TestJSONKeyOrder(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	keys := []string{`"a"`, `"ab"`, `"abc"`, `"b"`, `"\u0061"`, `"é"`, `""`, `"` + strings.Repeat("long", 20) + `"`, `"o"`, `"o"`}
	paths := []string{"a:json", "ab:json", "b:json", "é:json", "o.a:json", "o.b:json", "o.o.ab:json"}
	var object func(depth int) string
	object = func(depth int) string {
		out := "{"
		for i := range rng.IntN(7) {
			key := keys[rng.IntN(len(keys))]
			if rng.IntN(3) > 0 { // most events are alike
				key = keys[(i+depth)%len(keys)]
			}
			value := strconv.Itoa(rng.IntN(1000))
			if key == `"o"` && depth < 3 {
				value = object(depth + 1)
			}
			if i > 0 {
				out += ","
			}
			out += key + strings.Repeat(" ", max(0, rng.IntN(9)-6)) + ":" + value
		}
		return out + "}"
	}
	s := jsonStream(t)
	old := decoder(t, s, paths...)
	for range 3000 {
		event := []byte(object(0))
		if rng.IntN(20) == 0 {
			event = event[:rng.IntN(len(event))]
		}
		if got, want := row(t, old, event), row(t, decoder(t, s, paths...), event); got != want {
			t.Fatalf("seed %d: %s is %s, by a decoder that is new %s", seed, event, got, want)
		}
	}
}
