package decode_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// schemaType is a type of a random schema.
type schemaType struct {
	name   string // as a union's branch is called
	kind   string // primitive, record, enum, array, map, union, fixed
	text   string // the schema
	fields []string
	types  []*schemaType // of fields, branches; the items
	size   int
	scale  int
}

// generator makes random schemas and values of them.
type generator struct {
	*rand.Rand
	names int
}

var scalars = []schemaType{
	{kind: "boolean", text: `"boolean"`}, {kind: "int", text: `"int"`}, {kind: "long", text: `"long"`}, {kind: "float", text: `"float"`}, {kind: "double", text: `"double"`},
	{kind: "string", text: `"string"`}, {kind: "bytes", text: `"bytes"`},
	{kind: "date", name: "int", text: `{"type":"int","logicalType":"date"}`},
	{kind: "millis", name: "long", text: `{"type":"long","logicalType":"timestamp-millis"}`},
	{kind: "micros", name: "long", text: `{"type":"long","logicalType":"timestamp-micros"}`},
	{kind: "micros", name: "long", text: `{"type":"long","logicalType":"local-timestamp-micros"}`},
	{kind: "nanos", name: "long", text: `{"type":"long","logicalType":"timestamp-nanos"}`},
	{kind: "decimal", name: "bytes", scale: 3, text: `{"type":"bytes","logicalType":"decimal","precision":20,"scale":3}`},
	{kind: "decimal", name: "bytes", scale: 0, text: `{"type":"bytes","logicalType":"decimal","precision":50}`},
	{kind: "decimal", name: "bytes", scale: 40, text: `{"type":"bytes","logicalType":"decimal","precision":60,"scale":40}`},
	{kind: "decimal", name: "bytes", scale: 38, text: `{"type":"bytes","logicalType":"decimal","precision":38,"scale":38}`},
}

func (g *generator) scalar() *schemaType {
	switch g.IntN(10) {
	case 0:
		g.names++
		name := fmt.Sprintf("E%d", g.names)
		return &schemaType{kind: "enum", name: name, text: `{"type":"enum","name":"` + name + `","symbols":["A","Bb","C"]}`}
	case 1:
		g.names++
		t := &schemaType{kind: "fixed", name: fmt.Sprintf("F%d", g.names), size: g.IntN(5)}
		t.text = fmt.Sprintf(`{"type":"fixed","name":%q,"size":%d}`, t.name, t.size)
		if t.size > 2 {
			t.kind, t.scale = "decimalfixed", 1
			t.text = t.text[:len(t.text)-1] + `,"logicalType":"decimal","precision":4,"scale":1}`
		}
		return t
	}
	t := scalars[g.IntN(len(scalars))]
	if t.name == "" {
		t.name = t.kind
	}
	return &t
}

func (g *generator) typ(depth int) *schemaType {
	k := g.IntN(12)
	if depth > 4 && k >= 6 {
		k = 0
	}
	switch {
	case k < 6:
		return g.scalar()
	case k < 8:
		return g.record(depth + 1)
	case k < 9:
		t := &schemaType{kind: "array", name: "array", types: []*schemaType{g.typ(depth + 1)}}
		t.text = `{"type":"array","items":` + t.types[0].text + `}`
		return t
	case k < 10:
		t := &schemaType{kind: "map", name: "map", types: []*schemaType{g.typ(depth + 1)}}
		t.text = `{"type":"map","values":` + t.types[0].text + `}`
		return t
	}
	return g.union(depth + 1)
}

func (g *generator) union(depth int) *schemaType {
	t := &schemaType{kind: "union", types: []*schemaType{{kind: "null", name: "null", text: `"null"`}}}
	seen := map[string]bool{"null": true}
	for range 1 + g.IntN(3) {
		if b := g.typ(depth); b.kind != "union" && !seen[b.name] {
			seen[b.name] = true
			t.types = append(t.types, b)
		}
	}
	g.Shuffle(len(t.types), func(i, j int) { t.types[i], t.types[j] = t.types[j], t.types[i] })
	// A named type is defined where it comes first, so the texts come last.
	var parts []string
	for _, b := range t.types {
		parts = append(parts, b.text)
	}
	t.text = "[" + strings.Join(parts, ",") + "]"
	return t
}

func (g *generator) record(depth int) *schemaType {
	g.names++
	t := &schemaType{kind: "record", name: fmt.Sprintf("R%d", g.names)}
	var parts []string
	for i := range 1 + g.IntN(6) {
		f := g.typ(depth)
		t.types = append(t.types, f)
		t.fields = append(t.fields, fmt.Sprintf("f%d", i))
		parts = append(parts, fmt.Sprintf(`{"name":"f%d","type":%s}`, i, f.text))
	}
	t.text = fmt.Sprintf(`{"type":"record","name":%q,"fields":[%s]}`, t.name, strings.Join(parts, ","))
	return t
}

// value appends a random value of a type.
func (g *generator) value(out []byte, t *schemaType) []byte {
	switch edge := g.IntN(20) == 0; {
	case edge && (t.kind == "int" || t.kind == "date"):
		return binary.AppendVarint(out, g.edge(math.MinInt32, math.MaxInt32))
	case edge && (t.kind == "long" || t.kind == "millis" || t.kind == "micros" || t.kind == "nanos"):
		return binary.AppendVarint(out, g.edge(math.MinInt64, math.MaxInt64))
	}
	switch t.kind {
	case "null":
		return out
	case "boolean":
		return append(out, byte(g.IntN(2)))
	case "int":
		return binary.AppendVarint(out, int64(int32(g.Uint32()>>g.IntN(32))))
	case "date":
		return binary.AppendVarint(out, int64(g.IntN(40_000)-10_000))
	case "nanos":
		return binary.AppendVarint(out, (g.Int64N(1<<50)-1<<49)*1000)
	case "long", "millis", "micros":
		return binary.AppendVarint(out, int64(g.Uint64()>>(14+g.IntN(50)))-1<<g.IntN(48))
	case "enum":
		return binary.AppendVarint(out, int64(g.IntN(3)))
	case "float":
		return binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(g.NormFloat64())))
	case "double":
		return binary.LittleEndian.AppendUint64(out, math.Float64bits(g.NormFloat64()*math.Pow(10, float64(g.IntN(40)-20))))
	case "string":
		s := strings.Repeat([]string{"", "a", "ż\n\"", "0123456789", "😀"}[g.IntN(5)], g.IntN(10))
		return append(binary.AppendVarint(out, int64(len(s))), s...)
	case "bytes", "decimal":
		n := g.IntN(7)
		return g.bytes(binary.AppendVarint(out, int64(n)), n)
	case "fixed":
		return g.bytes(out, t.size)
	case "decimalfixed":
		fill := byte(g.IntN(2)) * 0xff
		for range t.size - 1 {
			out = append(out, fill)
		}
		return append(out, byte(g.IntN(256)))
	case "union":
		i := g.IntN(len(t.types))
		return g.value(binary.AppendVarint(out, int64(i)), t.types[i])
	case "record":
		for _, f := range t.types {
			out = g.value(out, f)
		}
		return out
	}
	return g.entries(out, t)
}

// edge is a number at which some unit of time, or the type itself, ends.
func (g *generator) edge(least, most int64) int64 {
	unit := []int64{1, 1000, 1_000_000, 86_400_000_000, 86_400_000}[g.IntN(5)]
	v := []int64{math.MinInt64 / unit, math.MaxInt64 / unit, least, most}[g.IntN(4)]
	if v != math.MinInt64 && v != math.MaxInt64 {
		v += int64(g.IntN(3) - 1)
	}
	return min(max(v, least), most)
}

func (g *generator) bytes(out []byte, n int) []byte {
	for range n {
		out = append(out, byte(g.Uint32()))
	}
	return out
}

// entries writes an array or map in up to three blocks, some with their sizes.
func (g *generator) entries(out []byte, t *schemaType) []byte {
	for b := range g.IntN(4) {
		var block []byte
		n := 1 + g.IntN(3)
		for i := range n {
			if t.kind == "map" {
				key := fmt.Sprintf("k%d.%d", b, i)
				block = append(binary.AppendVarint(block, int64(len(key))), key...)
			}
			block = g.value(block, t.types[0])
		}
		if g.IntN(2) == 0 {
			out = binary.AppendVarint(out, int64(n))
		} else {
			out = binary.AppendVarint(out, -int64(n))
			out = binary.AppendVarint(out, int64(len(block)))
		}
		out = append(out, block...)
	}
	return append(out, 0)
}

// document makes a random JSON document, mostly sound.
func (g *generator) document(depth int) string {
	space := strings.Repeat(" ", g.IntN(30)/28)
	switch k := g.IntN(9); {
	case k < 2 || depth > 5:
		return space + []string{"1", "-0.5", "12e3", "null", "true", "false", "9007199254740993", "1.0", `""`, `"2026-11-22T00:00:00Z"`, "1e400", "0.1000"}[g.IntN(12)] + space
	case k < 4:
		b, _ := json.Marshal(strings.Repeat([]string{"a", "\n", "ż", "😀", `"`}[g.IntN(5)], g.IntN(12)))
		return string(b)
	case k < 5:
		return `"` + []string{`\u0041`, `\ud83d\ude00`, `\/`, `\ud83d`, `\x`, "\xff", `\u00e9x`}[g.IntN(7)] + `"`
	case k < 6:
		var parts []string
		for range g.IntN(4) {
			parts = append(parts, g.document(depth+1))
		}
		return "[" + strings.Join(parts, ","+space) + space + "]"
	}
	return g.object(depth)
}

func (g *generator) object(depth int) string {
	var parts []string
	for range g.IntN(6) {
		key := []string{`"a"`, `"b"`, `"c"`, `"\u0061"`, `"x"`, `"payload"`}[g.IntN(6)]
		parts = append(parts, key+":"+g.document(depth+1))
	}
	return "{" + strings.Join(parts, ",") + "}"
}
