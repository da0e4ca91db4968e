package jsonl_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/jsonl"
)

func kind(k record.Kind) record.Type { return record.Type{Kind: k} }

func decimal(precision, scale uint8) record.Type {
	return record.Type{Kind: record.Decimal, Precision: precision, Scale: scale}
}

func nested(k record.Kind, elem record.Type) record.Type { return record.Type{Kind: k, Elem: &elem} }

// one makes a chunk of a single field v, with a row per call of add.
func one(t record.Type, add ...func(c *record.Column)) *record.Chunk {
	c := record.NewChunk(&record.Schema{Fields: []record.Field{{Name: "v", Type: t}}})
	c.Partition = 5
	for i, f := range add {
		f(&c.Columns[0])
		c.Offsets, c.Times = append(c.Offsets, int64(100+i)), append(c.Times, 0)
	}
	return c
}

func encode(c *record.Chunk) (string, error) {
	e, err := jsonl.New(c.Schema)
	if err != nil {
		return "", err
	}
	b, err := e.Append([]byte("before\n"), c)
	return strings.TrimPrefix(string(b), "before\n"), err
}

func TestValues(t *testing.T) {
	null := func(c *record.Column) { c.AppendNull() }
	f := func(typ record.Type, add func(c *record.Column), want string) {
		t.Helper()
		got, err := encode(one(typ, add))
		if want = `{"v":` + want + "}\n"; err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", typ, got, err, want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s: %q is not JSON", typ, got)
		}
	}
	for _, k := range record.Kinds() {
		typ := kind(k)
		switch k {
		case record.Decimal:
			typ = decimal(18, 6)
		case record.List, record.Map:
			typ = nested(k, kind(record.Int))
		}
		f(typ, null, "null")
	}
	f(kind(record.Bool), func(c *record.Column) { c.AppendBool(true) }, "true")
	f(kind(record.Bool), func(c *record.Column) { c.AppendBool(false) }, "false")
	f(kind(record.Int), func(c *record.Column) { c.AppendInt(math.MinInt64) }, "-9223372036854775808")
	f(kind(record.Uint), func(c *record.Column) { c.AppendUint(math.MaxUint64) }, "18446744073709551615")
	f(kind(record.Float), func(c *record.Column) { c.AppendFloat(0.1) }, "0.1")
	f(kind(record.Float), func(c *record.Column) { c.AppendFloat(math.Copysign(0, -1)) }, "-0")
	f(kind(record.Float), func(c *record.Column) { c.AppendFloat(1e21) }, "1e+21")
	f(kind(record.Float), func(c *record.Column) { c.AppendFloat(123456789012) }, "123456789012")
	f(kind(record.Float), func(c *record.Column) { c.AppendFloat(math.SmallestNonzeroFloat64) }, "5e-324")
	f(kind(record.Timestamp), func(c *record.Column) { c.AppendInt(0) }, `"1970-01-01T00:00:00.000000Z"`)
	f(kind(record.Timestamp), func(c *record.Column) { c.AppendInt(-1) }, `"1969-12-31T23:59:59.999999Z"`)
	f(kind(record.String), func(c *record.Column) { c.AppendString("a\"b\\c\n\r\t\x00\x1f\x7f<é世\U0001F600\u2028") },
		`"a\"b\\c\n\r\t\u0000\u001f`+"\x7f<é世\U0001F600\u2028\"")
	f(kind(record.String), func(c *record.Column) { c.AppendString("") }, `""`)
	f(kind(record.Bytes), func(c *record.Column) { c.AppendBytes([]byte{0xff, 0, 1, 2}) }, `"/wABAg=="`)
	f(kind(record.Bytes), func(c *record.Column) { c.AppendBytes(nil) }, `""`)
	f(kind(record.JSON), func(c *record.Column) { c.AppendString(`{"a": [1.50,` + "\r\n" + ` null]}`) }, `{"a": [1.50, null]}`)
	f(kind(record.JSON), func(c *record.Column) { c.AppendString(`"\n"`) }, `"\n"`)
	f(nested(record.List, kind(record.String)), func(c *record.Column) {
		c.Elems.AppendString("x")
		c.Elems.AppendNull()
		c.AppendElems()
	}, `["x",null]`)
	f(nested(record.List, kind(record.String)), func(c *record.Column) { c.AppendElems() }, `[]`)
	f(nested(record.Map, nested(record.List, decimal(9, 2))), func(c *record.Column) {
		c.Keys.AppendString("b\n")
		c.Elems.Elems.AppendDec(record.Dec{Lo: 150})
		c.Elems.AppendElems()
		c.Keys.AppendString("a")
		c.Elems.AppendNull()
		c.AppendElems()
	}, `{"b\n":[1.50],"a":null}`)
}

func TestNamesAndOrder(t *testing.T) {
	c := record.NewChunk(&record.Schema{Fields: []record.Field{
		{Name: "z", Type: kind(record.Int)}, {Name: `a"b`, Type: kind(record.Int)}, {Name: "ü", Type: kind(record.Int)},
	}})
	for row := range int64(2) {
		for i := range c.Columns {
			c.Columns[i].AppendInt(row*10 + int64(i))
		}
		c.Offsets, c.Times = append(c.Offsets, row), append(c.Times, 0)
	}
	got, err := encode(c)
	want := `{"z":0,"a\"b":1,"ü":2}` + "\n" + `{"z":10,"a\"b":11,"ü":12}` + "\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := jsonl.New(&record.Schema{Fields: []record.Field{{Name: "a\xff"}}}); err == nil {
		t.Error("a field name that is not UTF-8 was taken")
	}
	if got, err := encode(&record.Chunk{Schema: &record.Schema{}, Offsets: []int64{1, 2}}); err != nil || got != "{}\n{}\n" {
		t.Errorf("rows without fields: got %q, %v", got, err)
	}
	e, err := jsonl.New(c.Schema)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Append(nil, one(kind(record.Int))); err == nil {
		t.Error("a chunk of another schema was taken")
	}
}

func TestRefusesWhatJSONCannotHold(t *testing.T) {
	f := func(typ record.Type, add func(c *record.Column), cause, secret string) {
		t.Helper()
		good := func(c *record.Column) { c.AppendNull() }
		got, err := encode(one(typ, good, add, good, add))
		var rows *sink.RowsError
		if !errors.As(err, &rows) || got != "" {
			t.Errorf("%s: got %q, %v; want a *sink.RowsError and nothing kept", typ, got, err)
			return
		}
		if len(rows.Rows) != 2 || rows.Rows[0].Offset != 101 || rows.Rows[1].Offset != 103 || rows.Rows[0].Partition != 5 {
			t.Errorf("%s: rows %+v, want offsets 101 and 103 of partition 5", typ, rows.Rows)
		}
		if r := rows.Rows[0].Reason; !strings.HasPrefix(r, "field v: ") || !strings.Contains(r, cause) || strings.Contains(r, secret) {
			t.Errorf("%s: reason %q, want field v and %q without the value", typ, r, cause)
		}
	}
	const secret = "card 4711"
	f(kind(record.Float), func(c *record.Column) { c.AppendFloat(math.NaN()) }, "NaN", secret)
	f(kind(record.Float), func(c *record.Column) { c.AppendFloat(math.Inf(-1)) }, "infinite", secret)
	f(kind(record.String), func(c *record.Column) { c.AppendString(secret + "\xff") }, "UTF-8", secret)
	f(kind(record.String), func(c *record.Column) { c.AppendString("\xed\xa0\x80" + secret) }, "UTF-8", secret) // a lone surrogate
	f(kind(record.JSON), func(c *record.Column) { c.AppendString(`{"a":` + secret) }, "not JSON", secret)
	f(kind(record.JSON), func(c *record.Column) { c.AppendString(`1}` + "\n" + `{"v":2`) }, "not JSON", secret)
	f(kind(record.JSON), func(c *record.Column) { c.AppendString("\"\n\"") }, "not JSON", secret)
	f(kind(record.JSON), func(c *record.Column) { c.AppendString("\"\xff\"") }, "UTF-8", secret)
	f(kind(record.JSON), func(c *record.Column) { c.AppendString("") }, "not JSON", secret)
	f(kind(record.Timestamp), func(c *record.Column) { c.AppendInt(math.MaxInt64) }, "years 0 to 9999", secret)
	f(kind(record.Timestamp), func(c *record.Column) { c.AppendInt(math.MinInt64) }, "years 0 to 9999", secret)
	f(nested(record.List, kind(record.Float)), func(c *record.Column) { c.Elems.AppendFloat(math.NaN()); c.AppendElems() }, "NaN", secret)
	f(nested(record.Map, kind(record.Int)), func(c *record.Column) {
		c.Keys.AppendString(secret + "\xff")
		c.Elems.AppendInt(1)
		c.AppendElems()
	}, "key", secret)
}

// TestUTF8EndsAtTheRow puts the two halves of a character into two rows: the
// column's bytes are UTF-8, the rows are not.
func TestUTF8EndsAtTheRow(t *testing.T) {
	_, err := encode(one(kind(record.String),
		func(c *record.Column) { c.AppendBytes([]byte{0xc3}) }, func(c *record.Column) { c.AppendBytes([]byte{0xa9}) }))
	var rows *sink.RowsError
	if !errors.As(err, &rows) || len(rows.Rows) != 2 {
		t.Errorf("got %v, want both rows refused", err)
	}
}

func TestAgainstTheStandardLibrary(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	line := func(typ record.Type, add func(c *record.Column)) string {
		t.Helper()
		got, err := encode(one(typ, add))
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		return strings.TrimSuffix(strings.TrimPrefix(got, `{"v":`), "}\n")
	}
	for range 20_000 {
		v := math.Float64frombits(r.Uint64())
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			got := line(kind(record.Float), func(c *record.Column) { c.AppendFloat(v) })
			if back, err := strconv.ParseFloat(got, 64); err != nil || back != v || !json.Valid([]byte(got)) {
				t.Fatalf("float %b: got %s, reads back as %b, %v", v, got, back, err)
			}
		}

		micros := r.Int64N(315_537_897_600_000_000) - 62_135_596_800_000_000 // years 1 to 9999
		want := time.UnixMicro(micros).UTC().Format(`"2006-01-02T15:04:05.000000Z"`)
		if got := line(kind(record.Timestamp), func(c *record.Column) { c.AppendInt(micros) }); got != want {
			t.Fatalf("timestamp %d: got %s, want %s", micros, got, want)
		}

		d := record.Dec{Lo: r.Uint64(), Hi: int64(r.Uint64()) >> r.IntN(64)}
		scale := r.IntN(39)
		if got, want := line(decimal(38, uint8(scale)), func(c *record.Column) { c.AppendDec(d) }), reference(d, scale); got != want {
			t.Fatalf("decimal %+v with scale %d: got %s, want %s", d, scale, got, want)
		}

		s := randomText(r)
		got := line(kind(record.String), func(c *record.Column) { c.AppendString(s) })
		var back string
		if err := json.Unmarshal([]byte(got), &back); err != nil || back != s || strings.ContainsAny(got, "\n\r") {
			t.Fatalf("text %q: got %s, which reads as %q, %v", s, got, back, err)
		}
		got = line(kind(record.Bytes), func(c *record.Column) { c.AppendString(s) })
		if b, err := base64.StdEncoding.DecodeString(strings.Trim(got, `"`)); err != nil || string(b) != s {
			t.Fatalf("bytes %q: got %s", s, got)
		}
	}
}

func TestEdgesOfDecimals(t *testing.T) {
	for _, d := range []record.Dec{{}, {Lo: 1}, {Lo: math.MaxUint64, Hi: -1}, {Lo: math.MaxUint64}, {Hi: 1},
		{Hi: math.MinInt64}, {Lo: math.MaxUint64, Hi: math.MaxInt64}, {Lo: 10_000_000_000_000_000_000}, {Lo: 9_999_999_999_999_999_999}} {
		for scale := range 39 {
			got, err := encode(one(decimal(38, uint8(scale)), func(c *record.Column) { c.AppendDec(d) }))
			if want := `{"v":` + reference(d, scale) + "}\n"; err != nil || got != want {
				t.Errorf("%+v with scale %d: got %q, %v; want %q", d, scale, got, err, want)
			}
		}
	}
}

func TestEdgesOfTimestamps(t *testing.T) {
	for _, want := range []string{"0000-01-01T00:00:00.000000Z", "0000-02-29T23:59:59.999999Z", "1900-02-28T12:00:00.000001Z", "1900-03-01T00:00:00.000000Z",
		"2000-02-29T00:00:00.000000Z", "2024-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"} {
		at, err := time.Parse(time.RFC3339Nano, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := encode(one(kind(record.Timestamp), func(c *record.Column) { c.AppendInt(at.UnixMicro()) }))
		if err != nil || got != `{"v":"`+want+"\"}\n" {
			t.Errorf("got %q, %v; want %s", got, err, want)
		}
	}
}

// reference writes a decimal by way of math/big.
func reference(d record.Dec, scale int) string {
	v := new(big.Int).Lsh(big.NewInt(d.Hi), 64)
	v.Add(v, new(big.Int).SetUint64(d.Lo))
	digits := new(big.Int).Abs(v).String()
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale+1-len(digits)) + digits
	}
	if scale > 0 {
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if v.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

func randomText(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(20) {
		switch r.IntN(4) {
		case 0:
			b.WriteByte(byte(r.IntN(utf8.RuneSelf)))
		case 1:
			b.WriteString("plain")
		default:
			if c := rune(r.IntN(utf8.MaxRune)); utf8.ValidRune(c) {
				b.WriteRune(c)
			}
		}
	}
	return b.String()
}

// events is a chunk like those of the demo: 20 fields, some of them null.
func events(rows int) *record.Chunk {
	s := &record.Schema{}
	for i := range 20 {
		typ := [...]record.Type{kind(record.String), kind(record.Int), kind(record.Timestamp), decimal(18, 6), kind(record.Float),
			kind(record.Bool), kind(record.String), kind(record.Uint), kind(record.Bytes), nested(record.List, kind(record.String))}[i%10]
		s.Fields = append(s.Fields, record.Field{Name: fmt.Sprintf("field_%d", i), Type: typ, Nullable: true})
	}
	c := record.NewChunk(s)
	for row := range rows {
		for i := range c.Columns {
			appendSample(&c.Columns[i], row, i)
		}
		c.Offsets, c.Times = append(c.Offsets, int64(row)), append(c.Times, 0)
	}
	return c
}

func appendSample(c *record.Column, row, i int) {
	switch {
	case (row+i)%17 == 0:
		c.AppendNull()
	case c.Type.Kind == record.String:
		c.AppendString("Mozilla/5.0 (X11; Linux) é")
	case c.Type.Kind == record.Int:
		c.AppendInt(int64(row) * 7919)
	case c.Type.Kind == record.Timestamp:
		c.AppendInt(1_760_000_000_000_000 + int64(row))
	case c.Type.Kind == record.Decimal:
		c.AppendDec(record.Dec{Lo: uint64(row) * 1234})
	case c.Type.Kind == record.Float:
		c.AppendFloat(float64(row) / 3)
	case c.Type.Kind == record.Bool:
		c.AppendBool(row%2 == 0)
	case c.Type.Kind == record.Uint:
		c.AppendUint(uint64(row))
	case c.Type.Kind == record.Bytes:
		c.AppendBytes([]byte{1, 2, 3, byte(row)})
	default:
		c.Elems.AppendString("a")
		c.Elems.AppendString("b")
		c.AppendElems()
	}
}

// TestAllocatesNothingPerRow guards the figure that the benchmark shows.
func TestAllocatesNothingPerRow(t *testing.T) {
	c := events(1000)
	e, err := jsonl.New(c.Schema)
	if err != nil {
		t.Fatal(err)
	}
	var buf []byte
	each := func() {
		if buf, err = e.Append(buf[:0], c); err != nil {
			t.Fatal(err)
		}
	}
	each()
	if n := testing.AllocsPerRun(5, each); n != 0 {
		t.Errorf("%v allocations for 1000 rows, want 0", n)
	}
	for i, line := range bytes.Split(bytes.TrimSuffix(buf, []byte("\n")), []byte("\n")) {
		if !json.Valid(line) {
			t.Fatalf("row %d: %s is not JSON", i, line)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	c := events(1000)
	e, err := jsonl.New(c.Schema)
	if err != nil {
		b.Fatal(err)
	}
	buf, err := e.Append(nil, c)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = e.Append(buf[:0], c); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(buf)))
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "rows/s")
}
