package decode_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/record"
)

// path parses payload.items[0].price.
func path(text string) record.Path {
	var p record.Path
	for _, part := range strings.Split(text, ".") {
		name, rest, _ := strings.Cut(part, "[")
		p = append(p, record.Step{Name: name})
		for rest != "" {
			index, more, _ := strings.Cut(rest, "]")
			i, err := strconv.Atoi(index)
			if err != nil {
				panic(err)
			}
			p = append(p, record.Step{Index: i})
			rest = strings.TrimPrefix(more, "[")
		}
	}
	return p
}

// text is how the tests write a value.
func text(c *record.Column, i int) string {
	if c.Null(i) {
		return "null"
	}
	switch c.Type.Kind {
	case record.Bool:
		return strconv.FormatBool(c.Bool(i))
	case record.Int, record.Timestamp:
		return strconv.FormatInt(c.Ints[i], 10)
	case record.Uint:
		return strconv.FormatUint(c.Uints[i], 10)
	case record.Float:
		return strconv.FormatFloat(c.Floats[i], 'g', -1, 64)
	case record.Decimal:
		return c.Decimals[i].String(int(c.Type.Scale))
	case record.String, record.JSON:
		return string(c.Bytes(i))
	case record.Bytes:
		return fmt.Sprintf("%x", c.Bytes(i))
	}
	var parts []string
	first, next := c.Range(i)
	for k := first; k < next; k++ {
		s := text(c.Elems, k)
		if c.Keys != nil {
			s = text(c.Keys, k) + "=" + s
		}
		parts = append(parts, s)
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func open(t testing.TB, o decode.Options) *decode.Stream {
	t.Helper()
	s, err := decode.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wants are values of a stream with the types that it gives them. "x:json"
// wants x as JSON, "x:float" as a float.
func wants(t testing.TB, s *decode.Stream, paths ...string) []record.Want {
	t.Helper()
	var out []record.Want
	for _, text := range paths {
		name, as, _ := strings.Cut(text, ":")
		typ, err := s.Field(path(name))
		switch as {
		case "json":
			typ, err = record.Type{Kind: record.JSON}, nil
		case "float":
			typ = record.Type{Kind: record.Float}
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		out = append(out, record.Want{Path: path(name), Type: typ})
	}
	return out
}

func decoder(t testing.TB, s *decode.Stream, paths ...string) *decode.Decoder {
	t.Helper()
	d, err := s.NewDecoder(wants(t, s, paths...))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// row decodes one value and returns its row, or "bad: " with the reason. It
// decodes it between two others, which must not be touched by it.
func row(t testing.TB, d *decode.Decoder, value []byte) string {
	t.Helper()
	c := record.NewChunk(d.Schema())
	for offset := range int64(2) {
		if err := d.Append(context.Background(), c, offset, 1000+offset, value); err != nil {
			t.Fatal(err)
		}
		check(t, c)
	}
	if len(c.Bad) == 2 && c.Rows() == 0 && c.Bad[0].Reason == c.Bad[1].Reason && c.Bad[1].Offset == 1 {
		return "bad: " + c.Bad[0].Reason
	}
	if c.Rows() != 2 || len(c.Bad) != 0 || c.Offsets[1] != 1 || c.Times[1] != 1001 {
		t.Fatalf("two times the same value: %d rows, bad %v", c.Rows(), c.Bad)
	}
	if n := len(c.BadValues); n > 0 {
		// A value is bad for whoever wants it: here for the test.
		if b := c.BadValues; n%2 != 0 || b[0].Row != 0 || b[n/2].Row != 1 || b[0].Reason != b[n/2].Reason {
			t.Fatalf("two times the same value: bad values %v", b)
		}
		return "bad: " + c.BadValues[0].Reason
	}
	rows := [2][]string{}
	for r := range rows {
		for i := range c.Columns {
			rows[r] = append(rows[r], text(&c.Columns[i], r))
		}
	}
	first, second := strings.Join(rows[0], "|"), strings.Join(rows[1], "|")
	if first != second {
		t.Fatalf("two times the same value: rows %s and %s", first, second)
	}
	return first
}

// check looks at the form of a chunk.
func check(t testing.TB, c *record.Chunk) {
	t.Helper()
	for i := range c.Columns {
		if err := c.Columns[i].Check(); err != nil {
			t.Fatalf("column %s: %v", c.Schema.Fields[i].Name, err)
		}
		if c.Columns[i].Len != c.Rows() {
			t.Fatalf("column %s has %d values in %d rows", c.Schema.Fields[i].Name, c.Columns[i].Len, c.Rows())
		}
	}
}

// encode writes a value with the reference implementation.
func encode(t testing.TB, schema string, v any) []byte {
	t.Helper()
	s, err := avro.Parse(schema)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bare opens a stream of values of one schema, without framing.
func bare(t testing.TB, schema string) *decode.Stream {
	t.Helper()
	return open(t, decode.Options{Format: decode.Avro, Framing: decode.Bare, Schema: []byte(schema)})
}
