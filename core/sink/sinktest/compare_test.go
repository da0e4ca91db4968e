package sinktest_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink/sinktest"
)

// TestSame: what is the same value, in all ways that a target may read it, and
// what is not.
func TestSame(t *testing.T) {
	f := func(kind record.Kind, want any, same bool, got ...any) {
		t.Helper()
		typ := record.Type{Kind: kind, Elem: &record.Type{Kind: record.Int}}
		for _, g := range got {
			if sinktest.Same(typ, want, g) != same {
				t.Errorf("%s: %#v and %#v: the same is not %t", kind, want, g, same)
			}
		}
	}
	type text string
	f(record.Bool, true, true, true, int64(1), uint8(1), "1", []byte("1"), "true")
	f(record.Bool, true, false, false, 0, "0", "yes", nil, 2, "")
	f(record.Bool, false, true, false, 0, "0", "false")
	f(record.Bool, false, false, nil, "", true, 1)
	f(record.Int, int64(-7), true, -7, int8(-7), "-7", []byte("-7"), text("-7"), json.Number("-7"))
	f(record.Int, int64(-7), false, 7, "-7.0", "-7 ", -7.0, nil)
	f(record.Int, int64(0), false, nil, "", false)
	f(record.Uint, uint64(math.MaxUint64), true, uint64(math.MaxUint64), "18446744073709551615")
	f(record.Uint, uint64(math.MaxUint64), false, int64(-1), "-1")
	f(record.Float, 1.5, true, 1.5, "1.5", []byte("15e-1"))
	f(record.Float, 2.0, true, int64(2), "2")
	f(record.Float, 0.1, false, float32(0.1), "0.10000001", nil)
	f(record.Float, math.NaN(), true, math.NaN(), "NaN")
	f(record.Float, math.NaN(), false, 0.0, nil)
	f(record.Decimal, "-0.050", true, "-0.050", "-0.05", []byte("-0.0500"), json.Number("-0.05"))
	f(record.Decimal, "99999999999999999999999999999999999999", false, "100000000000000000000000000000000000000", 1e38)
	f(record.Decimal, "0", false, nil, "", "x")
	at := time.Date(2026, 3, 29, 1, 30, 0, 123456000, time.UTC)
	f(record.Timestamp, at.UnixMicro(), true, at, at.In(time.FixedZone("x", 3600)), at.UnixMicro(), "2026-03-29T01:30:00.123456Z", "2026-03-29 01:30:00.123456", []byte("2026-03-29 03:30:00.123456+02:00"))
	f(record.Timestamp, at.UnixMicro(), false, at.Add(1), at.Add(time.Microsecond), "2026-03-29 01:30:00.123", "2026-03-29", nil, "")
	f(record.String, "", true, "", []byte{})
	f(record.String, "", false, nil, " ")
	f(record.String, "ü", true, "ü", []byte("ü"), text("ü"))
	f(record.Bytes, []byte{0, 255}, true, []byte{0, 255}, "\x00\xff")
	f(record.Bytes, []byte{}, false, nil, []byte{0})
	f(record.JSON, `{"a":[1,2.50,"\u00fc"]}`, true, `{ "a" : [1.0, 25e-1, "ü"] }`)
	f(record.JSON, `{"a":12345678901234567890123}`, false, `{"a":12345678901234567890124}`, `{"a":1.2345678901234568e22}`, `{}`, ``, `{"a":12345678901234567890123} x`, nil)
	f(record.JSON, `null`, true, nil, "null")
	f(record.JSON, `0`, false, nil, "null")
	f(record.List, []any{int64(1), nil}, true, []any{"1", nil})
	f(record.List, []any{int64(1), nil}, false, []any{"1"}, []any{nil, "1"}, []any{"1", 0}, nil, "[1,null]")
	f(record.List, []any{}, false, nil)
	f(record.Map, map[string]any{"a": int64(1), "b": nil}, true, map[string]any{"b": nil, "a": 1})
	f(record.Map, map[string]any{"a": int64(1), "b": nil}, false, map[string]any{"a": 1}, map[string]any{"a": 1, "c": nil}, map[string]any{"a": 1, "b": 0}, nil)
}

// TestLines: the keys of an example, and which of them have a comment.
func TestLines(t *testing.T) {
	got := sinktest.Lines(`# of the file
connections:
  billing:
    mariadb:
      address: [db1:3306, "a#b: c"]
      password: "${env:X}" # from outside
      # what encrypts
      # the connection
      tls:
        ca: x
      pool: {size: 3, idle: 1s}  # both

      "quoted": 1
      key: [a,
        b]
`)
	want := []string{"connections*", "connections.billing", "connections.billing.mariadb", "connections.billing.mariadb.address", "connections.billing.mariadb.password*",
		"connections.billing.mariadb.tls*", "connections.billing.mariadb.tls.ca*", "connections.billing.mariadb.pool*", "connections.billing.mariadb.pool.size*",
		"connections.billing.mariadb.pool.idle*", "connections.billing.mariadb.quoted", "connections.billing.mariadb.key"}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("got\n%q\nwant\n%q", got, want)
		}
	}
}
