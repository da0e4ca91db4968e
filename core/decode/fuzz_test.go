package decode_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twmb/avro"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/record"
)

// What this package refuses and the reference takes, on purpose.
var stricter = []string{"neither 0 nor 1", "not valid UTF-8", "wrong block size", "parts of a microsecond", "outside the range", "outside the years", "more digits", "the limit"}

// looser is what the reference refuses and this package takes, on purpose: the
// reference limits items without bytes to 4096, and Limits.Items is any items.
const looser = "array of zero-byte items exceeds 4096-element limit"

// FuzzAvro compares with another implementation: a random schema (from seed),
// and a value of it that is sound, or broken at one place, or data.
func FuzzAvro(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, []byte(nil))
	}
	f.Add(uint64(1), []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Fuzz(avroAgainstReference)
}

func TestAvroAgainstReference(t *testing.T) {
	for range 700 {
		avroAgainstReference(t, rand.Uint64(), nil)
		if t.Failed() {
			return
		}
	}
}

func avroAgainstReference(t *testing.T, seed uint64, data []byte) {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 7))}
	typ := g.record(0)
	reference, err := avro.Parse(typ.text)
	if err != nil {
		t.Fatalf("seed %d: %v in %s", seed, err, typ.text)
	}
	if data == nil {
		data = g.value(nil, typ)
		if len(data) > 0 && g.IntN(3) == 0 {
			data[g.IntN(len(data))] ^= 1 << g.IntN(8)
		}
		if g.IntN(10) == 0 {
			data = data[:g.IntN(len(data)+1)]
		}
	}
	var want any
	rest, err := reference.Decode(data, &want, avro.TaggedUnions())
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes behind the value", len(rest))
	}
	s := bare(t, typ.text)
	c, bad := wholeRow(t, s, typ.fields, data)
	unread := map[int]string{}
	for _, v := range c.BadValues {
		unread[v.Column] = v.Reason
		if err == nil && !containsAny(v.Reason, stricter) {
			t.Fatalf("seed %d, schema %s, data %x: bad %s, and the reference took it", seed, typ.text, data, v.Reason)
		}
	}
	var paths []string
	for _, f := range typ.fields {
		paths = append(paths, f, f+":json")
	}
	independent(t, s, paths, data)
	switch {
	case len(unread) > 0 && err != nil:
	case bad != "" && (err != nil || containsAny(bad, stricter)):
	case bad != "":
		t.Fatalf("seed %d, schema %s, data %x: bad %s, and the reference took it", seed, typ.text, data, bad)
	case err != nil && strings.Contains(err.Error(), looser):
	case err != nil:
		t.Fatalf("seed %d, schema %s, data %x: taken, and the reference said %v", seed, typ.text, data, err)
	default:
		for i, name := range typ.fields {
			v := want.(map[string]any)[name]
			wantJSON := canonical(t, jsonOf(typ.types[i], v))
			column := &c.Columns[2*i]
			got, asJSON, want := columnText(t, column), canonical(t, text(&c.Columns[2*i+1], 0)), typed(column.Type, typ.types[i], wantJSON, v)
			if got != want && unread[2*i] == "" || asJSON != wantJSON && unread[2*i+1] == "" {
				t.Fatalf("seed %d, schema %s, data %x, %s:\ngot  %s\nwant %s\nas JSON %s\nwant    %s", seed, typ.text, data, name, got, want, asJSON, wantJSON)
			}
		}
	}
	if got := row(t, decoder(t, s), data); err == nil && got != "" && !containsAny(got, stricter) {
		t.Fatalf("seed %d, schema %s, data %x: skipped, and %s", seed, typ.text, data, got)
	}
}

// wholeRow decodes every field, as its column and as JSON.
func wholeRow(t *testing.T, s *decode.Stream, fields []string, data []byte) (c *record.Chunk, bad string) {
	var paths []string
	for _, f := range fields {
		paths = append(paths, f, f+":json")
	}
	d := decoder(t, s, paths...)
	c = record.NewChunk(d.Schema())
	if err := d.Append(context.Background(), c, 0, 0, data); err != nil {
		t.Fatal(err)
	}
	check(t, c)
	if len(c.Bad) > 0 {
		return c, c.Bad[0].Reason
	}
	return c, ""
}

func columnText(t *testing.T, c *record.Column) string {
	switch c.Type.Kind {
	case record.JSON:
		return canonical(t, text(c, 0))
	case record.Map:
		return mapText(c)
	}
	return text(c, 0)
}

// mapText is the map of row 0 in the order of its keys; of equal keys the last
// counts.
func mapText(c *record.Column) string {
	if c.Null(0) {
		return "null"
	}
	m := map[string]string{}
	first, next := c.Range(0)
	for k := first; k < next; k++ {
		m[text(c.Keys, k)] = text(c.Elems, k)
	}
	return sortedMap(m)
}

func sortedMap(m map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+"="+m[k])
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// canonical sorts the keys of a JSON text, and leaves its numbers.
func canonical(t *testing.T, text string) string {
	b, err := json.Marshal(parse(t, []byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func containsAny(s string, among []string) bool {
	for _, a := range among {
		if strings.Contains(s, a) {
			return true
		}
	}
	return false
}

// jsonOf writes what the reference has read as this package documents it.
func jsonOf(t *schemaType, v any) string {
	switch t.kind {
	case "null":
		return "null"
	case "union":
		if v == nil {
			return "null"
		}
		for name, inner := range v.(map[string]any) {
			for _, b := range t.types {
				if b.name == name {
					return jsonOf(b, inner)
				}
			}
		}
	case "record":
		var parts []string
		for i, f := range t.fields {
			parts = append(parts, strconv.Quote(f)+":"+jsonOf(t.types[i], v.(map[string]any)[f]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case "array":
		var parts []string
		for _, e := range v.([]any) {
			parts = append(parts, jsonOf(t.types[0], e))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case "map":
		var parts []string
		for k, e := range v.(map[string]any) {
			key, _ := json.Marshal(k)
			parts = append(parts, string(key)+":"+jsonOf(t.types[0], e))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return scalarJSON(t, v)
}

func scalarJSON(t *schemaType, v any) string {
	switch v := v.(type) {
	case time.Time:
		if t.kind == "date" {
			return v.Format(`"2006-01-02"`)
		}
		return v.Format(`"2006-01-02T15:04:05.999999Z"`)
	case *big.Rat:
		return v.FloatString(t.scale)
	case float32:
		return floatText(float64(v), 32)
	case float64:
		return floatText(v, 64)
	case []byte:
		return strconv.Quote(base64.StdEncoding.EncodeToString(v))
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func floatText(v float64, bits int) string {
	switch {
	case math.IsNaN(v):
		return `"NaN"`
	case math.IsInf(v, 0):
		return strconv.Quote(strings.TrimPrefix(strconv.FormatFloat(v, 'f', -1, 64), "+") + "inity")
	}
	f := strconv.FormatFloat(v, 'f', -1, bits)
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		f = strconv.FormatFloat(v, 'e', -1, bits)
	}
	return f
}

// typed is the text of the column that a value becomes.
func typed(field record.Type, typ *schemaType, asJSON string, v any) string {
	if typ.kind == "union" && v != nil {
		for tag, inner := range v.(map[string]any) {
			for _, b := range typ.types {
				if b.name == tag && field.Kind != record.JSON {
					return typed(field, b, asJSON, inner)
				}
			}
		}
	}
	if v == nil || field.Kind == record.JSON {
		return asJSON
	}
	switch field.Kind {
	case record.Timestamp:
		at := v.(time.Time) // whose UnixMicro wraps
		micros := new(big.Int).Mul(big.NewInt(at.Unix()), big.NewInt(1_000_000))
		return micros.Add(micros, big.NewInt(int64(at.Nanosecond()/1000))).String()
	case record.Decimal:
		return v.(*big.Rat).FloatString(int(field.Scale))
	case record.Bytes:
		return fmt.Sprintf("%x", v)
	case record.Float:
		return strconv.FormatFloat(reflect.ValueOf(v).Float(), 'g', -1, 64)
	case record.List:
		var parts []string
		for _, e := range v.([]any) {
			parts = append(parts, typed(*field.Elem, typ.types[0], "null", e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case record.Map:
		m := map[string]string{}
		for k, e := range v.(map[string]any) {
			m[k] = typed(*field.Elem, typ.types[0], "null", e)
		}
		return sortedMap(m)
	}
	return fmt.Sprint(v)
}

// FuzzJSON compares with encoding/json: what is taken, and what is found.
func FuzzJSON(f *testing.F) {
	for seed := range uint64(50) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 9))}
		f.Add([]byte(g.object(0)))
	}
	f.Fuzz(jsonAgainstReference)
}

func TestJSONAgainstReference(t *testing.T) {
	for range 5000 {
		seed := rand.Uint64()
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 9))}
		doc := []byte(g.object(0))
		if g.IntN(3) == 0 {
			doc[g.IntN(len(doc))] ^= 1 << g.IntN(8)
		}
		jsonAgainstReference(t, doc)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func jsonAgainstReference(t *testing.T, doc []byte) {
	o := jsonOptions("a json", "a.b json", "a.b.c json", "a[0] json", "a[-1] json", "a[1].b json", "x json")
	paths := []string{"a", "a.b", "a.b.c", "a[0]", "a[-1]", "a[1].b", "x"}
	d := decoder(t, open(t, o), paths...)
	c := record.NewChunk(d.Schema())
	if err := d.Append(context.Background(), c, 0, 0, doc); err != nil {
		t.Fatal(err)
	}
	check(t, c)
	sound := json.Valid(doc) && utf8.Valid(doc) && !loneSurrogate(doc) && depth(doc) <= 64 && bytes.TrimLeft(doc, " \t\r\n")[0] == '{'
	if sound != (c.Rows() == 1) {
		t.Fatalf("%q: sound is %v, and bad %v", doc, sound, c.Bad)
	}
	if !sound {
		return
	}
	tree := parse(t, doc)
	for i, p := range paths {
		want, found := lookup(tree, path(p))
		if !found || want == nil {
			if !c.Columns[i].Null(0) {
				t.Fatalf("%q: %s is %s, want null", doc, p, c.Columns[i].Bytes(0))
			}
			continue
		}
		if c.Columns[i].Null(0) {
			t.Fatalf("%q: %s is null, want %v", doc, p, want)
		}
		if got := parse(t, c.Columns[i].Bytes(0)); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %s is %v, want %v", doc, p, got, want)
		}
	}
	scalarsAgainstReference(t, doc, tree)
}

// scalarsAgainstReference reads x as each scalar type.
func scalarsAgainstReference(t *testing.T, doc []byte, tree any) {
	want, _ := lookup(tree, path("x"))
	for _, typ := range []string{"string", "bool", "float", "int", "decimal(20,5)"} {
		expect := "bad"
		switch v := want.(type) {
		case nil:
			expect = "null"
		case string:
			if typ == "string" {
				expect = v
			} else if typ == "decimal(20,5)" {
				continue // a number in a string: tested elsewhere
			}
		case bool:
			if typ == "bool" {
				expect = fmt.Sprint(v)
			}
		case json.Number:
			expect = number(typ, v)
		}
		got := row(t, decoder(t, jsonStream(t, "x "+typ), "x"), doc)
		if expect == "bad" && strings.HasPrefix(got, "bad: x: ") {
			continue
		}
		if got != expect {
			t.Fatalf("%q: x as %s is %s, want %s", doc, typ, got, expect)
		}
	}
}

// number is a number as a column of a type has it.
func number(typ string, n json.Number) string {
	f, err := strconv.ParseFloat(n.String(), 64)
	if typ == "float" {
		if err != nil {
			return "bad"
		}
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	if typ != "int" && typ != "decimal(20,5)" {
		return "bad"
	}
	if len(n) > 400 || math.Abs(f) > 1e30 || f != 0 && math.Abs(f) < 1e-30 {
		return "bad"
	}
	if f == 0 && strings.Trim(strings.ToLower(n.String()), "-0.") != "" && !strings.HasPrefix(strings.Trim(strings.ToLower(n.String()), "-0."), "e") {
		return "bad" // not zero, but nearer to it than any float
	}
	r := new(big.Rat)
	if f != 0 { // of 0e99999999999999999999 big.Rat does not take the exponent
		if _, ok := r.SetString(n.String()); !ok {
			return "bad"
		}
	}
	scale := map[string]int{"int": 0, "decimal(20,5)": 5}[typ]
	text := r.FloatString(scale)
	if back, _ := new(big.Rat).SetString(text); back.Cmp(r) != 0 {
		return "bad"
	}
	text = strings.TrimPrefix(text, "-0")
	if text == "" {
		text = "0"
	}
	if strings.HasPrefix(text, ".") {
		text = r.FloatString(scale)
	}
	if _, err := strconv.ParseInt(text, 10, 64); typ == "int" && err != nil {
		return "bad"
	}
	if digits := strings.TrimLeft(strings.NewReplacer("-", "", ".", "").Replace(text), "0"); len(digits) > 20 {
		return "bad"
	}
	return text
}

func parse(t *testing.T, doc []byte) any {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", doc, err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("%q: more behind it", doc)
	}
	return v
}

func lookup(v any, p record.Path) (any, bool) {
	for _, s := range p {
		switch w := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = w[s.Name]; !ok || s.Name == "" {
				return nil, false
			}
		case []any:
			i := s.Index
			if i < 0 {
				i += len(w)
			}
			if s.Name != "" || i < 0 || i >= len(w) {
				return nil, false
			}
			v = w[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// loneSurrogate looks for half of a pair in a sound document: escapes occur in
// strings only.
func loneSurrogate(doc []byte) bool {
	var units []uint16
	flush := func() bool {
		for i := 0; i < len(units); i++ {
			switch u := units[i]; {
			case u >= 0xdc00 && u <= 0xdfff:
				return true
			case u >= 0xd800 && u <= 0xdbff:
				if i+1 == len(units) || units[i+1] < 0xdc00 || units[i+1] > 0xdfff {
					return true
				}
				i++
			}
		}
		units = units[:0]
		return false
	}
	for i := 0; i < len(doc); i++ {
		if doc[i] == '\\' && i+1 < len(doc) {
			if doc[i+1] == 'u' {
				u, _ := strconv.ParseUint(string(doc[i+2:i+6]), 16, 16)
				units = append(units, uint16(u))
				i += 5
				continue
			}
			i++
		}
		if flush() {
			return true
		}
	}
	return flush()
}

func depth(doc []byte) int {
	d := json.NewDecoder(bytes.NewReader(doc))
	deep, most := 0, 0
	for {
		tok, err := d.Token()
		if err != nil {
			return most
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			deep++
			most = max(most, deep)
		case json.Delim('}'), json.Delim(']'):
			deep--
		}
	}
}

// FuzzEnvelope gives any bytes to decoders with framing, unions by type, paths
// into lists and JSON in text: nothing panics, the chunk stays sound, and what
// is read of a value does not depend on the other values that are wanted.
func FuzzEnvelope(f *testing.F) {
	g := &generator{Rand: rand.New(rand.NewPCG(3, 3))}
	f.Add(framed(1, []byte{4, 'e', '1', 0, 0, 2, 'h', 0, 0}))
	f.Add([]byte{0, 0, 0, 0, 1, 4, 'e', '1', 0xd0, 0xf, 2, 2, 'h', 0, 4, 8, 'l', 'a', 't', 'e', 2, 5, 0, 0, 0, 0, 0, 0, 4, 0x40, 2, 0})
	f.Add([]byte(`{"id":"a","time":5,"payload":"{\"a\":[1,{\"b\":2}]}"}`))
	f.Add([]byte(g.object(0)))
	avroStream := open(f, decode.Options{Format: decode.Avro, Schema: []byte(orders), Envelope: decode.Envelope{Server: "host"}})
	json := jsonOptions("payload.a[0] json", "payload.a[-1].b json", "payload.c string", "time timestamp(ms)")
	f.Fuzz(func(t *testing.T, value []byte) {
		independent(t, avroStream, []string{"id", "payload.amount", "server", "type", "time", "note", "payload.count", "payload.items[-1].sku", "payload.items[0].price", "payload.of.tags", "payload.of.tags.x", "payload:json"}, value)
		independent(t, open(t, json), []string{"id", "time", "payload.a[0]", "payload.a[-1].b", "payload.c", "payload"}, value)
	})
}
