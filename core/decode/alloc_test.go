package decode_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/record"
)

// A chunk that is filled again costs no allocation: not for columns, not for
// nested values, not for rows that are skipped.
func TestNoAllocations(t *testing.T) {
	avros, jsons := adEvents(200)
	f := func(name string, d *decode.Decoder, events [][]byte) {
		t.Helper()
		c := record.NewChunk(d.Schema())
		fill := func() {
			c.Reset()
			for i, e := range events {
				if err := d.Append(context.Background(), c, int64(i), 0, e); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := testing.AllocsPerRun(5, fill); n != 0 {
			t.Errorf("%s: %v allocations for %d events, want none", name, n, len(events))
		}
		if c.Rows() != len(events) {
			t.Errorf("%s: %d rows of %d: %v", name, c.Rows(), len(events), c.Bad)
		}
	}
	f("avro", decoder(t, open(t, adOptions(decode.Avro)), append(adPaths, "payload:json")...), avros)
	f("json", decoder(t, open(t, adOptions(decode.JSON)), append(adPaths, "payload:json")...), jsons)
	var nested [][]byte
	for range 50 {
		nested = append(nested, encode(t, orders, event("order", order())))
	}
	f("nested", decoder(t, bare(t, orders), "payload.items[-1].price", "payload.amount", "payload.of.tags", "payload:json", "type"), nested)
	for i := range nested {
		nested[i] = []byte(`{"type":"a\nb","l":["x","\u0041",null],"m":{"a":1.5},"d":12.50,"payload":{"b":"AQID"},"t":"2026-11-22T15:04:05.5Z","f":1.2345678901234567e5}`)
	}
	f("nested json", decoder(t, jsonStream(t, "l list(string)", "m map(float)", "d decimal(10,2)", "payload.b bytes", "t timestamp", "f float"), "l", "l[1]", "l[-1]", "m", "d", "payload.b", "t", "f", "type"), nested)
	d := decoder(t, open(t, adOptions(decode.Avro)), adSix...)
	if err := d.Prefilter(path("payload.currency"), []string{"EUR", "USD", "GBP"}); err != nil {
		t.Fatal(err)
	}
	f("prefilter", d, avros)
}

// A column's offsets have 32 bits. The memory here is never touched, but for
// its end.
func TestFullChunk(t *testing.T) {
	const used = math.MaxInt32 - 4
	data := make([]byte, used, math.MaxInt32+64)
	for format, value := range map[string][]byte{decode.Avro: []byte("\x00\x00\x00\x00\x01\x140123456789"), decode.JSON: []byte(`{"f":"0123456789"}`)} {
		o := jsonOptions("f string")
		if format == decode.Avro {
			o = decode.Options{Format: format, Schema: []byte(fieldSchema(`"string"`))}
		}
		d := decoder(t, open(t, o), "f")
		c := record.NewChunk(d.Schema())
		c.Columns[0].Data = data
		c.Columns[0].Offsets = []int32{used}
		if err := d.Append(context.Background(), c, 0, 0, value); !errors.Is(err, decode.ErrFull) {
			t.Errorf("%s: got %v, want ErrFull", format, err)
		}
		if c.Rows() != 0 || len(c.Bad) != 0 || len(c.Columns[0].Data) != used || c.Columns[0].Len != 0 {
			t.Errorf("%s: the full chunk has changed: %d rows, bad %v, %d bytes", format, c.Rows(), c.Bad, len(c.Columns[0].Data))
		}
	}
	for format, value := range map[string][]byte{decode.Avro: []byte("\x00\x00\x00\x00\x01\x02\x140123456789\x02\x00"), decode.JSON: []byte(`{"f":{"0123456789":1}}`)} {
		o := jsonOptions("f map(int)")
		if format == decode.Avro {
			o = decode.Options{Format: format, Schema: []byte(fieldSchema(`{"type":"map","values":"int"}`))}
		}
		d := decoder(t, open(t, o), "f")
		c := record.NewChunk(d.Schema())
		keys := c.Columns[0].Keys
		keys.Data = data
		keys.Offsets = []int32{used}
		if err := d.Append(context.Background(), c, 0, 0, value); !errors.Is(err, decode.ErrFull) || len(keys.Data) != used || c.Columns[0].Len != 0 {
			t.Errorf("%s: got %v for the keys of a map, want ErrFull", format, err)
		}
	}
}
