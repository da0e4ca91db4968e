package sqltabletest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// kinds: every kind survives the way into a created table.
func kinds(t *testing.T, target Target) {
	f := func(kind record.Type, same func(got, want string) bool, values map[string]any) {
		t.Helper()
		schema := &record.Schema{Fields: []record.Field{{Name: "id", Type: intType}, {Name: "v", Type: kind, Nullable: true}}}
		b := NewBench(t, target, schema, nil)
		w, _ := b.Claim(b.Open(), Slot(0, 1))
		rows := [][]any{{-1, nil}}
		var want []string
		for text, v := range values {
			rows, want = append(rows, []any{len(want), v}), append(want, text)
		}
		b.Append(w, b.Rows(0, 0, rows...))
		b.Commit(w, Cut(0, 0, int64(len(rows))))
		b.Want("SELECT id FROM t WHERE v IS NULL", "[-1]")
		for id, text := range want {
			var got string
			if err := b.DB.QueryRowContext(t.Context(), fmt.Sprintf("SELECT v FROM t WHERE id = %d", id)).Scan(&got); err != nil {
				t.Errorf("%s %q: %v", kind, text, err)
			} else if !same(got, text) {
				t.Errorf("%s: got %q, want %q", kind, got, text)
			}
		}
	}
	equal := func(got, want string) bool { return got == want }
	kind := func(k record.Kind) record.Type { return record.Type{Kind: k} }
	f(kind(record.Bool), func(got, want string) bool { return (got == "1" || got == "true") == (want == "1") }, map[string]any{"0": false, "1": true})
	f(intType, equal, map[string]any{"0": 0, "-9223372036854775808": math.MinInt64, "9223372036854775807": math.MaxInt64})
	f(kind(record.Uint), equal, map[string]any{"0": uint64(0), strconv.FormatUint(target.MaxUint, 10): target.MaxUint})
	f(kind(record.Float), sameFloat, floats())
	nines := strings.Repeat("9", 38)
	f(decimal(38, 0), equal, map[string]any{"0": "0", nines: nines, "-" + nines: "-" + nines})
	f(decimal(38, 38), equal, map[string]any{"0." + nines: "0." + nines, "-0." + strings.Repeat("0", 37) + "1": "-0." + strings.Repeat("0", 37) + "1"})
	f(decimal(18, 6), equal, map[string]any{"0.000000": "0", "-0.000001": "-0.000001", "12.500000": "12.5", "999999999999.999999": "999999999999.999999"})
	f(timeType, equal, map[string]any{"1970-01-01 00:00:00.000000": 0, "0001-01-01 00:00:00.000000": sqltable.MinTime, "9999-12-31 23:59:59.999999": sqltable.MaxTime,
		"2026-03-29 01:30:00.000001": 1774747800_000001, "1969-12-31 23:59:59.999999": -1})
	texts := map[string]any{}
	for _, s := range []string{"", " ", "a ", "ends in \\", "'\"`;-- /* %s ? :x $1 @y", "\x00", "a\x00b", "ünï", "\U0001F600", "\uFFFD", "\r\n\t\x1a", "\\N", "NULL", "1e3", strings.Repeat("x", 100_000)} {
		texts[s] = s
	}
	f(textType, equal, texts)
	blobs := map[string]any{}
	for _, s := range []string{"", "\x00", "\xff\xfe\x00'\\", "text", strings.Repeat("\x00", 70_000)} {
		blobs[s] = s
	}
	f(kind(record.Bytes), equal, blobs)
	f(kind(record.JSON), equal, map[string]any{"null": "null", `{"a": [1, 2.50, "\u00fc'\\"]}`: `{"a": [1, 2.50, "\u00fc'\\"]}`, `"x"`: `"x"`})
}

func floats() map[string]any {
	values := map[string]any{}
	for _, v := range []float64{0, 1, -1.5, 0.1, 1.0 / 3, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 2.2250738585072014e-308, 9007199254740993, 123456789.123456789} {
		values[strconv.FormatFloat(v, 'g', -1, 64)] = v
	}
	return values
}

func sameFloat(got, want string) bool {
	g, err := strconv.ParseFloat(got, 64)
	w, _ := strconv.ParseFloat(want, 64)
	return err == nil && g == w
}

// secret is a value that no error may show.
const secret = "geheim4711"

// refused wants the rows of some offsets refused, and their values not told.
func (b *Bench) refused(err error, partition int32, offsets ...int64) {
	b.Helper()
	var rows *sink.RowsError
	if !errors.As(err, &rows) || !sink.IsRefused(err) {
		b.Fatalf("got %v, want rows refused", err)
	}
	var got []int64
	for _, r := range rows.Rows {
		if r.Partition != partition || r.Reason == "" || strings.Contains(r.Reason, secret) {
			b.Fatalf("got %+v, want partition %d and a reason without the value", r, partition)
		}
		got = append(got, r.Offset)
	}
	if fmt.Sprint(got) != fmt.Sprint(offsets) {
		b.Fatalf("got offsets %d refused, want %d: %v", got, offsets, err)
	}
}

// outOfRange: what a column cannot hold is refused by Append, and nothing of
// the chunk is kept.
func outOfRange(t *testing.T, target Target) {
	f := func(kind record.Type, good any, bad ...any) {
		t.Helper()
		schema := &record.Schema{Fields: []record.Field{{Name: "id", Type: intType}, {Name: "v", Type: kind}}}
		b := NewBench(t, target, schema, nil)
		w, _ := b.Claim(b.Open(), Slot(0, 1))
		rows := [][]any{{0, good}}
		var offsets []int64
		for _, v := range append(bad, nil) { // the column takes no null
			offsets = append(offsets, int64(100+len(rows)))
			rows = append(rows, []any{1, v}, []any{2, good})
		}
		_, err := w.Append(t.Context(), b.Rows(0, 100, rows...))
		b.refused(err, 0, offsets...)
		b.Append(w, b.Rows(0, 100, []any{7, good}))
		b.Commit(w, Cut(0, 100, 200))
		b.Want("SELECT id FROM t", "[7]")
	}
	f(record.Type{Kind: record.Float}, 1.0, math.NaN())
	f(timeType, 0, sqltable.MinTime-1, sqltable.MaxTime+1, math.MinInt64, math.MaxInt64)
	f(textType, "ok", "\xff"+secret, "\xed\xa0\x80", "\xc0\x80")
	f(record.Type{Kind: record.JSON}, "1", "", "{", `{"`+secret+`": 1}}`, "'"+secret+"'")
	if target.MaxUint < math.MaxUint64 {
		f(record.Type{Kind: record.Uint}, uint64(1), target.MaxUint+1, uint64(math.MaxUint64))
	}
}

// duplicateRows: mode insert finds the rows whose keys are there.
func duplicateRows(t *testing.T, target Target) {
	schema := &record.Schema{Fields: []record.Field{{Name: "id", Type: textType}, {Name: "n", Type: intType}}}
	b := NewBench(t, target, schema, func(o *sqltable.Options) { o.Key = []string{"id"} })
	s := b.Open()
	w, _ := b.Claim(s, Slot(5, 1))
	b.Append(w, b.Rows(5, 0, []any{secret, 1}, []any{"b", 1}))
	b.Commit(w, Cut(5, 0, 2))

	rows := make([][]any, 2500)
	for i := range rows {
		rows[i] = []any{fmt.Sprintf("key%06d", 2500-i), i}
	}
	rows[17][0], rows[1400][0], rows[2100][0] = secret, "b", rows[2000][0] // two that are there, one double of its own
	b.Append(w, b.Rows(5, 2, rows...))
	b.refused(b.TryCommit(t.Context(), w, Cut(5, 2, 2502)), 5, 19, 1402, 2102)
	b.Want("SELECT count(*) FROM t", "[2]")

	// Core writes the others, with those in the dead set.
	w, f := b.Claim(s, Slot(5, 1))
	if f.High[0] != 2 {
		t.Fatalf("got %+v, want position 2", f)
	}
	b.Append(w, b.Rows(5, 2, rows[:17]...))
	b.Append(w, b.Rows(5, 20, rows[18:1400]...))
	b.Append(w, b.Rows(5, 1403, rows[1401:2100]...))
	b.Append(w, b.Rows(5, 2103, rows[2101:]...))
	cut := Cut(5, 2, 2502)
	cut.Dead = []record.Dead{{Partition: 5, Offset: 19}, {Partition: 5, Offset: 1402}, {Partition: 5, Offset: 2102}}
	b.Commit(w, cut)
	b.Want("SELECT count(*) FROM t", "[2499]")
}

// manyDuplicates: more than a cut can list are reported as more than that.
func manyDuplicates(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), func(o *sqltable.Options) { o.Key = []string{"id"} })
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	rows := make([][]any, 3000)
	for i := range rows {
		rows[i] = []any{i % 1500, "x"}
	}
	b.Append(w, b.Rows(0, 0, rows...))
	err := b.TryCommit(t.Context(), w, Cut(0, 0, 3000))
	var bad *sink.RowsError
	if !errors.As(err, &bad) || len(bad.Rows) <= record.MaxDead || len(bad.Rows) > 2*record.MaxDead {
		t.Fatalf("got %v, want a few more rows than %d", err, record.MaxDead)
	}
	for _, r := range bad.Rows {
		if r.Offset < 1500 {
			t.Fatalf("got offset %d refused, which came first with its key", r.Offset)
		}
	}
	b.Want("SELECT count(*) FROM t", "[0]")
}

// nullInKey: null is equal to nothing, so such rows would pile up.
func nullInKey(t *testing.T, target Target) {
	schema := balances()
	schema.Fields[0].Nullable = true
	b := NewBench(t, target, schema, func(o *sqltable.Options) { o.Mode = sqltable.Add })
	b.Exec("CREATE TABLE t (campaign BIGINT UNIQUE, browser TEXT, balance " + wide(b) + ", events BIGINT, first_at VARCHAR(40), last_at VARCHAR(40), cheapest " + wide(b) + ", dearest " + wide(b) + ", os TEXT)")
	schema.Fields[4].Type, schema.Fields[5].Type = textType, textType
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	_, err := w.Append(t.Context(), b.group(5, []any{nil, "b", "1.0", 1, "a", "b", "1.0", "1.0"}))
	b.refused(err, -1, 5)
}

// wide is the type of the widest decimals that a user's table would have.
func wide(b *Bench) string {
	if b.Spec.Type == "sqlite" {
		return "TEXT"
	}
	return "DECIMAL(38,6)"
}

// randomValues: what goes by prepared blocks and what goes by single
// statements arrives alike, whatever is in it.
func randomValues(t *testing.T, target Target) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	schema := &record.Schema{Fields: []record.Field{{Name: "id", Type: intType}, {Name: "s", Type: textType, Nullable: true}, {Name: "b", Type: record.Type{Kind: record.Bytes}, Nullable: true}}}
	b := NewBench(t, target, schema, func(o *sqltable.Options) { o.Mode, o.Key = sqltable.Upsert, []string{"id"} })
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	const n = 5300
	rows := make([][]any, n)
	for i := range rows {
		raw := make([]byte, r.IntN(40)*r.IntN(10))
		for k := range raw {
			raw[k] = byte(r.Uint32())
		}
		rows[i] = []any{i, strings.ToValidUTF8(string(raw), "\\'"), string(raw)}
		for k := 1; k < 3; k++ {
			if r.IntN(5) == 0 {
				rows[i][k] = nil
			}
		}
	}
	b.Append(w, b.Rows(0, 0, rows...))
	b.Commit(w, Cut(0, 0, n))
	got, err := b.DB.QueryContext(t.Context(), "SELECT id, s, b, b IS NULL FROM t ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	i := 0
	for ; got.Next(); i++ {
		var id int
		var s *string
		var raw []byte
		var null bool
		if err := got.Scan(&id, &s, &raw, &null); err != nil {
			t.Fatal(err)
		}
		sWant, isText := rows[i][1].(string)
		rawWant, isRaw := rows[i][2].(string)
		if id != i || (s != nil) != isText || s != nil && *s != sWant || null == isRaw || string(raw) != rawWant {
			t.Fatalf("row %d: got %d %q %q, want %q", i, id, deref(s), raw, rows[i])
		}
	}
	if i != n || got.Err() != nil {
		t.Fatalf("got %d rows, %v; want %d", i, got.Err(), n)
	}
}

func deref(s *string) string {
	if s == nil {
		return "NULL"
	}
	return *s
}
