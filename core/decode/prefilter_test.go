package decode_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/record"
)

// A prefilter leaves the rows that a filter behind the decoder would, and those
// in which the value is null.
func TestPrefilterIsWhere(t *testing.T) {
	avros, jsons := adEvents(500)
	for format, events := range map[string][][]byte{decode.Avro: avros, decode.JSON: jsons} {
		// Of payload.ab_test most are null, and those pass.
		for _, p := range []string{"type", "payload.device", "payload.ab_test", "id"} {
			for _, values := range [][]string{nil, {"click", "tv", "test-1"}, {"click", "conversion", "impression", "desktop", "mobile"}, {"1", "2", "3", "4", "5", "6", "7", "8", "click", "tv"}} {
				s := open(t, adOptions(format))
				whole := decoder(t, s, p, "id", "payload.cost")
				some := decoder(t, s, "id", "payload.cost")
				if err := some.Prefilter(path(p), values); err != nil {
					t.Fatal(err)
				}
				a, b := record.NewChunk(whole.Schema()), record.NewChunk(some.Schema())
				var want []string
				for i, e := range events {
					if err := whole.Append(context.Background(), a, int64(i), 0, e); err != nil {
						t.Fatal(err)
					}
					if err := some.Append(context.Background(), b, int64(i), 0, e); err != nil {
						t.Fatal(err)
					}
					for _, v := range values {
						if text(&a.Columns[0], i) == v {
							want = append(want, fmt.Sprint(i, text(&a.Columns[1], i), text(&a.Columns[2], i)))
						}
					}
					if a.Columns[0].Null(i) {
						want = append(want, fmt.Sprint(i, text(&a.Columns[1], i), text(&a.Columns[2], i)))
					}
				}
				check(t, b)
				var got []string
				for i := range b.Rows() {
					got = append(got, fmt.Sprint(b.Offsets[i], text(&b.Columns[0], i), text(&b.Columns[1], i)))
				}
				if strings.Join(got, "\n") != strings.Join(want, "\n") || some.Skipped() != int64(len(events)-len(want)) || len(b.Bad) != 0 {
					t.Errorf("%s %s in %q: %d rows, want %d; %d skipped of %d, bad %v", format, p, values, len(got), len(want), some.Skipped(), len(events), b.Bad)
				}
			}
		}
	}
}

func TestPrefilterAndBadRecords(t *testing.T) {
	f := func(s *decode.Stream, p string, wantPath string, values []string, value []byte, want string) {
		t.Helper()
		d := decoder(t, s, wantPath)
		if err := d.Prefilter(path(p), values); err != nil {
			t.Fatal(err)
		}
		c := record.NewChunk(d.Schema())
		if err := d.Append(context.Background(), c, 0, 0, value); err != nil {
			t.Fatal(err)
		}
		check(t, c)
		got := "skipped"
		switch {
		case len(c.Bad) == 1 && d.Skipped() == 0:
			got = "bad: " + c.Bad[0].Reason
		case c.Rows() == 1 && d.Skipped() == 0:
			got = text(&c.Columns[0], 0)
			if len(c.BadValues) == 1 {
				got = "bad: " + c.BadValues[0].Reason
			}
		case d.Skipped() != 1 || c.Rows()+len(c.Bad) != 0:
			t.Errorf("%d skipped, %d rows, bad %v", d.Skipped(), c.Rows(), c.Bad)
		}
		if got != want {
			t.Errorf("%s in %q of %q: got %s, want %s", p, values, value, got, want)
		}
	}
	a := bare(t, `{"type":"record","name":"E","fields":[{"name":"n","type":"long"},{"name":"type","type":["null",{"type":"enum","name":"K","symbols":["a","b"]}]},{"name":"x","type":"int"}]}`)
	f(a, "type", "x", []string{"b"}, []byte{2, 2, 2, 8}, "4")
	f(a, "type", "x", []string{"b"}, []byte{2, 2, 0, 8}, "skipped")
	f(a, "type", "x", []string{"b"}, []byte{2, 0, 8}, "4")                              // null: what where says of the rest decides
	f(a, "type", "x", []string{"b"}, []byte{2, 2, 0}, "bad: x: the data end too early") // torn behind the value
	f(a, "type", "x", []string{"b"}, []byte{2, 2, 2}, "bad: x: the data end too early")
	f(a, "type", "x", []string{"b"}, []byte{2}, "bad: type: the data end too early")
	f(a, "type", "x", []string{"b"}, []byte{2, 2, 4, 8}, "4") // the value itself is wrong, and nobody wants it
	f(a, "type", "type", []string{"b"}, []byte{2, 2, 4, 8}, "bad: type: an enum symbol that the schema does not have")
	j := jsonStream(t, "x int")
	f(j, "type", "x", []string{"b"}, []byte(`{"type":"b","x":1}`), "1")
	f(j, "type", "x", []string{"b"}, []byte(`{"type":"\u0062","x":1}`), "1")
	f(j, "type", "x", []string{"b"}, []byte(`{"type":"a","x":"no number"}`), "skipped")
	f(j, "type", "x", []string{"b"}, []byte(`{"x":1}`), "1")
	f(j, "type", "x", []string{"b"}, []byte(`{"type":null,"x":1}`), "1")
	f(j, "type", "x", []string{"b"}, []byte(`{"type":"a","x":1,"type":"b"}`), "1")
	f(j, "type", "x", []string{"b"}, []byte(`{"type":"a","x":1`), "bad: the data end too early")
	f(j, "type", "type", []string{"b"}, []byte(`{"type":7,"x":1}`), "bad: type: a JSON value of another type")
	inner := open(t, decode.Options{Format: decode.Avro, Framing: decode.Bare, Schema: []byte(`{"type":"record","name":"E","fields":[{"name":"payload","type":"string"}]}`), Types: map[string]decode.Declared{"payload.k": {Type: kind("string")}, "payload.v": {Type: kind("int")}}})
	f(inner, "payload.k", "payload.v", []string{"b"}, append(varint(15), `{"k":"b","v":3}`...), "3")
	f(inner, "payload.k", "payload.v", []string{"b"}, append(varint(15), `{"k":"a","v":3}`...), "skipped")
}

func TestPrefilterNeedsText(t *testing.T) {
	d := decoder(t, bare(t, orders), "id")
	if err := d.Prefilter(path("time"), nil); err == nil || err.Error() != "time is timestamp: a prefilter is for a string" {
		t.Errorf("got %v", err)
	}
	if err := d.Prefilter(path("tiem"), nil); err == nil {
		t.Error("an unknown path was taken")
	}
}
