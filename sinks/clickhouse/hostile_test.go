package clickhouse_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// TestNestedOfUnequalLength: the server refuses a whole block for a row whose
// lists in a Nested differ, for ever; the row is refused by its offset.
func TestNestedOfUnequalLength(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), record.Field{Name: "n.a", Type: intList, Nullable: true}, record.Field{Name: "n.b", Type: intList, Nullable: true}, field("k", record.Int))
	r.options.Provenance.Off = true
	r.exec("CREATE TABLE $.t (n Nested(a Int8, b Int64), k Int64) ENGINE = MergeTree ORDER BY k SETTINGS non_replicated_deduplication_window = 100")
	s := r.open()
	err := r.write(r.claim(s), 0, []any{[]any{1}, []any{1}, 0}, []any{[]any{1, 2}, []any{2}, 1}, []any{[]any{}, []any{2}, 2})
	var rows *sink.RowsError
	if !errors.As(err, &rows) || len(rows.Rows) != 2 || rows.Rows[0].Offset != 1 || rows.Rows[1].Offset != 2 {
		t.Fatalf("got %v, want two rows refused", err)
	}
	if got := rows.Rows[0].Reason; !strings.Contains(got, "n.b") || !strings.Contains(got, "n.a") {
		t.Errorf("the reason %q names not both columns", got)
	}
	r.mustWrite(r.claim(s), 0, []any{[]any{1, 2}, []any{3, 4}, 0})
	r.want("SELECT n.a, n.b FROM $.t", "[1,2]\t[3,4]")
}

// TestEnumDefault: a null becomes the enumeration's default, not a number that
// has no name, which no query could read.
func TestEnumDefault(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("e", record.String), field("f", record.Int), field("g", record.String))
	r.options.NullAsDefault = true
	r.exec("CREATE TABLE $.t (e Enum8('b' = 2, 'a' = 1), f Enum16('x' = 5), g Nullable(Enum8('y' = 7)), " + provenance + ") ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 100")
	r.mustWrite(r.claim(r.open()), 0, []any{nil, nil, nil})
	r.want("SELECT e, f, g, assumeNotNull(g) FROM $.t", "a\tx\t\\N\ty")
}

// TestErrorsHoldNoValues: what a view makes of a value may stand in the server's
// message, whatever its code.
func TestErrorsHoldNoValues(t *testing.T) {
	for _, expression := range []string{"parseTimeDelta(s)", "encrypt('aes-128-ecb', s, s)", "toUInt8(s)", "CAST(s AS Enum8('a' = 1))"} {
		r := newRig(t, servers.ClickHouse(t), field("s", record.String))
		r.exec("CREATE TABLE $.t (s String, " + provenance + ") ENGINE = MergeTree ORDER BY s SETTINGS non_replicated_deduplication_window = 100")
		r.exec("CREATE TABLE $.v (x String) ENGINE = MergeTree ORDER BY x SETTINGS non_replicated_deduplication_window = 100")
		r.exec("CREATE MATERIALIZED VIEW $.mv TO $.v AS SELECT toString(" + expression + ") AS x FROM $.t")
		err := r.write(r.claim(r.open()), 0, []any{"geheim4711"})
		if err == nil || sink.IsRefused(err) || !strings.Contains(err.Error(), "clickhouse error ") || !strings.Contains(err.Error(), "a materialized view of the table fails") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

// TestProvenanceTypes: a column that cannot hold what says where a row comes
// from, or does not keep it, is refused before rows come.
func TestProvenanceTypes(t *testing.T) {
	for _, tc := range []struct{ column, instead, want string }{
		{"_sink String", "_sink LowCardinality(FixedString(8))", "column _sink is of type LowCardinality(FixedString(8)), want String"},
		{"_sink String", "_sink Nullable(String)", "column _sink is of type Nullable(String), want String"},
		{"_sink String", "_sink String MATERIALIZED 'x'", "column _sink is MATERIALIZED, and must be one that is stored"},
		{"_sink String", "_sink String ALIAS 'x'", "column _sink is ALIAS, and must be one that is stored"},
		{"_sink String", "_sink String EPHEMERAL", "column _sink is EPHEMERAL, and must be one that is stored"},
		{"_offset Int64", "_offset UInt32", "column _offset is of type UInt32, which does not hold every offset; want Int64"},
		{"_offset Int64", "_offset Float64", "column _offset is of type Float64, which does not hold every offset; want Int64"},
		{"_offset Int64", "_offset String", "column _offset is of type String, which does not take values of type int"},
		{"_offset Int64", "_offset UInt64", ""},
		{"_partition Int32", "_partition IPv4", "column _partition is of type IPv4, which does not hold every partition; want Int32"},
		{"_partition Int32", "_partition Nullable(UInt16)", ""},
	} {
		t.Run(tc.instead, func(t *testing.T) {
			r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
			r.exec("CREATE TABLE $.t (n Int64, " + strings.Replace(provenance, tc.column, tc.instead, 1) + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100")
			if tc.want != "" {
				r.refused(tc.want)
				return
			}
			s := r.open()
			r.mustWrite(r.claim(s), 0, []any{1})
			_, found, err := r.open().Claim(t.Context(), claimed())
			if err != nil || found.High[0] != 1 {
				t.Errorf("found %+v, %v", found, err)
			}
		})
	}
}

// TestHostileDocuments: a document that the server does not take is refused by
// its offset, since it would spoil all rows of its batch, whenever they are
// sent. The server itself is asked about each document.
func TestHostileDocuments(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), record.Field{Name: "v", Type: objects}, field("n", record.Int))
	r.exec("CREATE TABLE $.t (v JSON(max_dynamic_paths=64, SKIP x.y, SKIP REGEXP 'q,.z'), n Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100")
	s := r.open()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	keys := []string{"a", "b", "a.b", "", ".", "A", `\u0000`, `\ud83d\ude00`, `\ud800`, `\\ud800`, "\xff", "ü", "x", "q", "_", `\u0061`, `\u002E`, `a\u002eb`, `\"`, `\/`, "/", `\n\t`}
	scalars := []string{"1", "-1", "-0", "null", "true", `""`, `"2026-01-01"`, `"\ud800"`, `"\udc00"`, `"\ud800\ud800"`, `"\ud83d\ude00"`, `"\\ud800"`, "\"\xff\"", `"\u0000"`, "1e400", "-1e400",
		"1e-400", "1.5E+3", "18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809", "123456789012345678901234567890.5",
		"123456789012345678901234567890e1", `"` + strings.Repeat("x", 300) + `"`}
	var value func(depth int) string
	object := func(depth int) string {
		var parts []string
		for range random.IntN(3) {
			parts = append(parts, `"`+keys[random.IntN(len(keys))]+`":`+value(depth+1))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	value = func(depth int) string {
		switch k := random.IntN(8); {
		case depth < 5 && k < 2:
			return object(depth)
		case depth < 5 && k < 3:
			return "[" + value(depth+1) + "," + value(depth+1) + "]"
		}
		return scalars[random.IntN(len(scalars))]
	}
	documents := []string{strings.Repeat(`{"a":`, 98) + "1" + strings.Repeat("}", 98), `{"a":` + strings.Repeat("[", 90) + strings.Repeat("]", 90) + "}"}
	for _, k := range keys {
		documents = append(documents, `{"`+k+`":1}`, `{"a":{"`+k+`":1}}`)
	}
	for _, v := range scalars {
		documents = append(documents, `{"a":`+v+`}`, `{"a":[`+v+`,{"b":`+v+`}]}`)
	}
	for range 150 {
		documents = append(documents, object(0))
	}
	taken := 0
	w := r.claim(s)
	for i, d := range documents {
		err := r.write(w, int64(i), []any{d, i})
		var rows *sink.RowsError
		switch {
		case err == nil:
			taken++
			continue
		case !errors.As(err, &rows):
			t.Errorf("%.80q: %v", d, err)
		}
		w = r.claim(s)
	}
	r.want("SELECT count() FROM $.t", fmt.Sprint(taken))
	if taken < len(documents)/4 {
		t.Errorf("%d of %d documents were taken: too few to mean anything", taken, len(documents))
	}
}

// TestTypedDocuments: a value that does not fit the type of a path cannot be told
// from here, and would stop the sink; such a column is refused when it opens.
func TestTypedDocuments(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), record.Field{Name: "v", Type: objects})
	r.exec("CREATE TABLE $.t (v JSON(max_dynamic_paths=64, a.b UInt32), " + provenance + ") ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 100")
	r.refused("of its path `a.b` the server refuses values")
}
