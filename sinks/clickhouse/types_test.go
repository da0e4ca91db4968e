package clickhouse_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// typeCase is a type of column, what is written to it, and what the server then
// shows; "!" and a reason where the value is refused.
type typeCase struct {
	column string
	from   record.Type
	values []any
	want   []string
}

var (
	ints    = record.Type{Kind: record.Int}
	uints   = record.Type{Kind: record.Uint}
	floats  = record.Type{Kind: record.Float}
	bools   = record.Type{Kind: record.Bool}
	texts   = record.Type{Kind: record.String}
	raw     = record.Type{Kind: record.Bytes}
	moments = record.Type{Kind: record.Timestamp}
	objects = record.Type{Kind: record.JSON}
	whole   = record.Type{Kind: record.Decimal, Precision: 38}
	cents   = record.Type{Kind: record.Decimal, Precision: 38, Scale: 2}
	intList = record.Type{Kind: record.List, Elem: &ints}
)

const (
	bad    = "!the value is out of its range"
	noNull = "!is null, and the column is not Nullable"
)

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05.999999999", text)
	if err != nil {
		panic(err)
	}
	return t
}

func typeCases() []typeCase {
	return []typeCase{
		{"Int8", ints, []any{-128, 127, -129, 128, nil}, []string{"-128", "127", bad, bad, noNull}},
		{"Int16", ints, []any{-32768, 32767, -32769, 32768}, []string{"-32768", "32767", bad, bad}},
		{"Int32", ints, []any{-1 << 31, 1<<31 - 1, -1<<31 - 1, 1 << 31}, []string{"-2147483648", "2147483647", bad, bad}},
		{"Int64", ints, []any{math.MinInt64, math.MaxInt64}, []string{"-9223372036854775808", "9223372036854775807"}},
		{"Int64", uints, []any{uint64(math.MaxInt64), uint64(math.MaxInt64) + 1}, []string{"9223372036854775807", bad}},
		{"Int64", whole, []any{"-9223372036854775808", "9223372036854775807", "-9223372036854775809", "9223372036854775808"},
			[]string{"-9223372036854775808", "9223372036854775807", bad, bad}},
		{"UInt8", ints, []any{0, 255, -1, 256}, []string{"0", "255", bad, bad}},
		{"UInt8", bools, []any{true, false}, []string{"1", "0"}},
		{"UInt16", uints, []any{uint64(65535), uint64(65536)}, []string{"65535", bad}},
		{"UInt32", ints, []any{0, 1<<32 - 1, -1, 1 << 32}, []string{"0", "4294967295", bad, bad}},
		{"UInt64", uints, []any{uint64(math.MaxUint64)}, []string{"18446744073709551615"}},
		{"UInt64", ints, []any{math.MaxInt64, -1}, []string{"9223372036854775807", bad}},
		{"UInt64", whole, []any{"18446744073709551615", "18446744073709551616", "-1"}, []string{"18446744073709551615", bad, bad}},
		{"Int128", whole, []any{strings.Repeat("9", 38), "-" + strings.Repeat("9", 38)}, []string{strings.Repeat("9", 38), "-" + strings.Repeat("9", 38)}},
		{"Int256", ints, []any{-1, math.MaxInt64}, []string{"-1", "9223372036854775807"}},
		{"UInt128", whole, []any{strings.Repeat("9", 38), "-1"}, []string{strings.Repeat("9", 38), bad}},
		{"UInt256", uints, []any{uint64(math.MaxUint64)}, []string{"18446744073709551615"}},
		{"Int256", whole, []any{strings.Repeat("9", 38), "-" + strings.Repeat("9", 38), "0", nil}, []string{strings.Repeat("9", 38), "-" + strings.Repeat("9", 38), "0", noNull}},
		{"UInt128", ints, []any{math.MaxInt64, -1}, []string{"9223372036854775807", bad}},
		{"UInt256", whole, []any{strings.Repeat("9", 38), "0", "-1"}, []string{strings.Repeat("9", 38), "0", bad}},
		{"UInt256", ints, []any{-1}, []string{bad}},
		{"Float64", floats, []any{math.MaxFloat64, math.SmallestNonzeroFloat64, -0.1, math.Inf(-1), math.NaN()},
			[]string{"1.7976931348623157e308", "5e-324", "-0.1", "-inf", "nan"}},
		{"Float64", ints, []any{1 << 53, -(1 << 53), 1<<53 + 1}, []string{"9007199254740992", "-9007199254740992", "!not exact as a float"}},
		{"Float32", floats, []any{1.5, math.MaxFloat64, math.Inf(1)}, []string{"1.5", bad, "inf"}},
		{"Decimal(9, 2)", cents, []any{"9999999.99", "-9999999.99", "10000000"}, []string{"9999999.99", "-9999999.99", bad}},
		{"Decimal(18, 1)", cents, []any{"1.5", "1.55"}, []string{"1.5", "!more fractional digits"}},
		{"Decimal(38, 2)", cents, []any{"-" + strings.Repeat("9", 36) + ".99"}, []string{"-" + strings.Repeat("9", 36) + ".99"}},
		{"Decimal(76, 4)", cents, []any{"-" + strings.Repeat("9", 34) + ".99"}, []string{"-" + strings.Repeat("9", 34) + ".99"}},
		{"Decimal(76, 38)", whole, []any{strings.Repeat("9", 38), "-" + strings.Repeat("9", 38), "-1", nil}, []string{strings.Repeat("9", 38), "-" + strings.Repeat("9", 38), "-1", noNull}},
		{"Decimal(76, 76)", cents, []any{"0", "-0.01", "0.99", "1.00"}, []string{"0", "-0.01", "0.99", bad}},
		{"Decimal(76, 75)", ints, []any{9, -9, 10, math.MinInt64}, []string{"9", "-9", bad, bad}},
		{"Decimal(39, 1)", whole, []any{strings.Repeat("9", 38)}, []string{strings.Repeat("9", 38)}},
		{"Decimal(39, 2)", whole, []any{"-" + strings.Repeat("9", 37), strings.Repeat("9", 38)}, []string{"-" + strings.Repeat("9", 37), bad}},
		{"Decimal(40, 1)", cents, []any{"1.50", "1.55"}, []string{"1.5", "!more fractional digits"}},
		{"Decimal32(3)", ints, []any{999999, 1000000}, []string{"999999", bad}},
		{"Bool", bools, []any{true, false, nil}, []string{"true", "false", noNull}},
		{"String", texts, []any{"", "ü\x00", strings.Repeat("x", 300), nil}, []string{"", "ü\\0", strings.Repeat("x", 300), noNull}},
		{"String", raw, []any{[]byte{0xff}}, []string{"\xff"}},
		{"String", objects, []any{`{"a": 1}`}, []string{`{"a": 1}`}},
		{"FixedString(3)", texts, []any{"abc", "abcd", ""}, []string{"abc", "!too long", "\\0\\0\\0"}},
		{"UUID", texts, []any{"61f0c404-5cb3-11e7-907b-a6006ad3dba0", "61F0C404-5CB3-11E7-907B-A6006AD3DBA0", "61f0c404", "", "61f0c404-5cb3-11e7-907b-a6006ad3dbag"},
			[]string{"61f0c404-5cb3-11e7-907b-a6006ad3dba0", "61f0c404-5cb3-11e7-907b-a6006ad3dba0", "!none", "!none", "!none"}},
		{"FixedString(3)", raw, []any{[]byte{0, 0xff, 1}, []byte("abcd")}, []string{"\\0\xff\x01", "!too long"}},
		{"UUID", raw, []any{[]byte("0123456789abcdef")}, []string{"30313233-3435-3637-3839-616263646566"}},
		{"Nullable(UUID)", texts, []any{nil}, []string{"\\N"}},
		{"IPv4", texts, []any{"1.2.3.4", "255.255.255.255", "1.2.3", "::1"}, []string{"1.2.3.4", "255.255.255.255", "!none", "!none"}},
		{"IPv4", uints, []any{uint64(16909060), uint64(1 << 32)}, []string{"1.2.3.4", bad}},
		{"IPv6", texts, []any{"2001:db8::1", "1.2.3.4", "fe80::1%eth0"}, []string{"2001:db8::1", "::ffff:1.2.3.4", "!none"}},
		{"IPv4", raw, []any{[]byte{1, 2, 3, 255}, []byte{1, 2, 3}}, []string{"1.2.3.255", "!none"}},
		{"IPv6", raw, []any{[]byte("0123456789abcdef"), []byte{1, 2, 3, 4, 5}}, []string{"3031:3233:3435:3637:3839:6162:6364:6566", "!none"}},
		{"Date", moments, []any{at("1970-01-01 00:00:00"), at("2149-06-06 23:59:59.999999"), at("2149-06-07 00:00:00"), at("1969-12-31 23:59:59")},
			[]string{"1970-01-01", "2149-06-06", bad, bad}},
		{"Date32", moments, []any{at("1900-01-01 00:00:00"), at("2299-12-31 23:59:59"), at("1899-12-31 23:59:59"), at("2300-01-01 00:00:00")},
			[]string{"1900-01-01", "2299-12-31", bad, bad}},
		{"DateTime('UTC')", moments, []any{at("1970-01-01 00:00:00"), at("2106-02-07 06:28:15.9"), at("2106-02-07 06:28:16"), at("1969-12-31 23:59:59.9")},
			[]string{"1970-01-01 00:00:00", "2106-02-07 06:28:15", bad, bad}},
		{"DateTime64(3, 'Asia/Tokyo')", moments, []any{at("2026-01-01 00:00:00.123999"), at("1969-12-31 23:59:59.9999")},
			[]string{"2026-01-01 09:00:00.123", "1970-01-01 08:59:59.999"}},
		{"DateTime64(6, 'UTC')", moments, []any{at("1900-01-01 00:00:00"), at("2299-12-31 23:59:59.999999"), at("1899-12-31 23:59:59.999999"), at("2300-01-01 00:00:00")},
			[]string{"1900-01-01 00:00:00.000000", "2299-12-31 23:59:59.999999", bad, bad}},
		{"DateTime64(9, 'UTC')", moments, []any{at("2262-04-11 23:47:16.854775"), at("2262-04-11 23:47:16.854776"), at("1900-01-01 00:00:00")},
			[]string{"2262-04-11 23:47:16.854775000", bad, "1900-01-01 00:00:00.000000000"}},
		{"DateTime64(0, 'UTC')", moments, []any{at("2026-01-01 00:00:00.9")}, []string{"2026-01-01 00:00:00"}},
		{"DateTime64(1, 'UTC')", moments, []any{at("1900-01-01 00:00:00"), at("2299-12-31 23:59:59.99")}, []string{"1900-01-01 00:00:00.0", "2299-12-31 23:59:59.9"}},
		{"DateTime64(2, 'UTC')", moments, []any{at("1969-12-31 23:59:59.999"), at("2300-01-01 00:00:00")}, []string{"1969-12-31 23:59:59.99", bad}},
		{"DateTime64(4, 'UTC')", moments, []any{at("2026-01-01 00:00:00.123456")}, []string{"2026-01-01 00:00:00.1234"}},
		{"DateTime64(5, 'America/St_Johns')", moments, []any{at("2026-01-01 00:00:00.123456")}, []string{"2025-12-31 20:30:00.12345"}},
		{"DateTime64(7, 'UTC')", moments, []any{at("1900-01-01 00:00:00.000001"), at("2299-12-31 23:59:59.999999")}, []string{"1900-01-01 00:00:00.0000010", "2299-12-31 23:59:59.9999990"}},
		{"DateTime64(8, 'UTC')", moments, []any{at("1969-12-31 23:59:59.999999"), at("2299-12-31 23:59:59.999999"), at("1899-12-31 23:59:59.999999")},
			[]string{"1969-12-31 23:59:59.99999900", "2299-12-31 23:59:59.99999900", bad}},
		{"DateTime64(3)", moments, []any{nil}, []string{noNull}},
		{"Enum8('a' = -128, 'it''s' = 127)", texts, []any{"a", "it's", "b"}, []string{"a", "it\\'s", "!none of its names"}},
		{"Enum16('x' = 1000)", ints, []any{1000, 1}, []string{"x", "!none of its numbers"}},
		{"Nullable(Enum8('a' = 1))", texts, []any{nil, "a"}, []string{"\\N", "a"}},
		{"LowCardinality(String)", texts, []any{"a", "", "a", nil}, []string{"a", "", "a", noNull}},
		{"LowCardinality(Nullable(String))", texts, []any{nil, "", "a", nil}, []string{"\\N", "", "a", "\\N"}},
		{"LowCardinality(FixedString(2))", texts, []any{"ab", "abc", "a"}, []string{"ab", "!too long", "a\\0"}},
		{"Nullable(Int32)", ints, []any{nil, 7, 1 << 40}, []string{"\\N", "7", bad}},
		{"Array(Int8)", intList, []any{[]any{1, 2}, []any{}, []any{3, 300}, []any{4, nil}, nil}, []string{"[1,2]", "[]", bad, noNull, noNull}},
		{"Array(Nullable(Int8))", intList, []any{[]any{nil, 1}}, []string{"[NULL,1]"}},
		{"Array(LowCardinality(String))", record.Type{Kind: record.List, Elem: &texts}, []any{[]any{"a", "b", "a"}, []any{}}, []string{"['a','b','a']", "[]"}},
		{"Array(Array(Int64))", record.Type{Kind: record.List, Elem: &intList}, []any{[]any{[]any{1}, []any{}, []any{2, 3}}, []any{}}, []string{"[[1],[],[2,3]]", "[]"}},
		{"Map(String, Int16)", record.Type{Kind: record.Map, Elem: &ints}, []any{[]any{1, 2}, []any{}, []any{1 << 20}}, []string{"{'k0':1,'k1':2}", "{}", bad}},
		{"Map(LowCardinality(String), Nullable(Int64))", record.Type{Kind: record.Map, Elem: &ints}, []any{[]any{nil}}, []string{"{'k0':NULL}"}},
		{"JSON", objects, []any{`{"a":{"b":1},"c":["x"]}`, `[1]`, `{"a":1,"a":2}`, `{"a.b":1,"a":{"b":2}}`, `{"l":[{"a":1},{"a":2}],"n":null}`},
			[]string{`{"a":{"b":1},"c":["x"]}`, "!no JSON object", "!a name twice", "!a path twice", `{"l":[{"a":1},{"a":2}]}`}},
		{"LowCardinality(Int32)", ints, []any{7, -1 << 31, 7, 1 << 31, nil}, []string{"7", "-2147483648", "7", bad, noNull}},
		{"LowCardinality(Nullable(UInt8))", ints, []any{nil, 0, 255, 256}, []string{"\\N", "0", "255", bad}},
		{"LowCardinality(UInt64)", uints, []any{uint64(math.MaxUint64), uint64(0)}, []string{"18446744073709551615", "0"}},
		{"LowCardinality(Int128)", whole, []any{"-" + strings.Repeat("9", 38)}, []string{"-" + strings.Repeat("9", 38)}},
		{"LowCardinality(Float64)", floats, []any{-0.1, 0.0, math.Inf(1)}, []string{"-0.1", "0", "inf"}},
		{"LowCardinality(Date)", moments, []any{at("2149-06-06 23:59:59"), at("2149-06-07 00:00:00")}, []string{"2149-06-06", bad}},
		{"LowCardinality(Date32)", moments, []any{at("1900-01-01 00:00:00"), at("1899-12-31 23:59:59")}, []string{"1900-01-01", bad}},
		{"LowCardinality(DateTime('UTC'))", moments, []any{at("2106-02-07 06:28:15"), at("2106-02-07 06:28:16")}, []string{"2106-02-07 06:28:15", bad}},
		{"LowCardinality(UUID)", texts, []any{"61f0c404-5cb3-11e7-907b-a6006ad3dba0", "x"}, []string{"61f0c404-5cb3-11e7-907b-a6006ad3dba0", "!none"}},
		{"LowCardinality(IPv4)", texts, []any{"1.2.3.4", "1.2.3"}, []string{"1.2.3.4", "!none"}},
		{"LowCardinality(IPv6)", texts, []any{"2001:db8::1"}, []string{"2001:db8::1"}},
		{"LowCardinality(Bool)", bools, []any{true, false}, []string{"true", "false"}},
		{"SimpleAggregateFunction(sum, Int64)", ints, []any{5}, []string{"5"}},
	}
}

// TestTypes writes every type that the sink knows, one value at a time, and
// reads it back; a value beyond the type is refused by its offset, with the
// names of column and type.
func TestTypes(t *testing.T) {
	c := servers.ClickHouse(t)
	for _, tc := range typeCases() {
		t.Run(tc.column+" from "+tc.from.String(), func(t *testing.T) {
			r := newRig(t, c, record.Field{Name: "v", Type: tc.from, Nullable: true}, field("n", record.Int))
			r.options.Provenance.Off = true
			r.exec("CREATE TABLE $.t (v " + tc.column + ", n Int64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100, allow_suspicious_low_cardinality_types = 1")
			s := r.open()
			w := r.claim(s)
			for i, v := range tc.values {
				err := r.write(w, int64(i), []any{v, i})
				reason, refused := strings.CutPrefix(tc.want[i], "!")
				if !refused {
					if err != nil {
						t.Fatalf("%v: %v", v, err)
					}
					r.want("SELECT v FROM $.t WHERE n = "+r.query("SELECT "+itoa(i)), tc.want[i])
					continue
				}
				var rows *sink.RowsError
				if !errors.As(err, &rows) || len(rows.Rows) != 1 || rows.Rows[0].Offset != int64(i) {
					t.Fatalf("%v: got %v, want it refused by its offset", v, err)
				}
				if got := rows.Rows[0].Reason; !strings.Contains(got, reason) || !strings.Contains(got, "column v of type ") {
					t.Errorf("%v: the reason is %q, want %q with column and type", v, got, reason)
				}
				w = r.claim(s)
			}
		})
	}
}

func itoa(i int) string { return string(rune('0' + i)) }

// TestManyValues writes columns with many values in one block: dictionaries of
// every width of key, nested in arrays too.
func TestManyValues(t *testing.T) {
	c := servers.ClickHouse(t)
	list := record.Type{Kind: record.List, Elem: &texts}
	for _, n := range []int{1, 255, 256, 257, 70_000} {
		r := newRig(t, c, field("n", record.Int), field("s", record.String), record.Field{Name: "l", Type: list}, field("z", record.String))
		r.options.Provenance.Off = true
		r.exec(`CREATE TABLE $.t (n Int64, s LowCardinality(String), l Array(LowCardinality(Nullable(String))), z LowCardinality(Nullable(String)))
			ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100`)
		w := r.claim(r.open())
		for _, base := range []int{0, n} { // the memory is used again
			var rows [][]any
			for i := range n {
				s := "s" + r.text(i)
				rows = append(rows, []any{base + i, s, []any{s, nil, ""}, map[bool]any{true: nil, false: s}[i%3 == 0]})
			}
			r.mustWrite(w, int64(base), rows...)
		}
		r.want("SELECT count(), countIf(s != concat('s', toString(n % "+r.text(n)+")) OR l != [s, NULL, ''] OR (z IS NULL) != ((n % "+r.text(n)+") % 3 = 0) OR z != s) FROM $.t",
			r.text(2*n)+"\t0")
	}
}

func (r *rig) text(n int) string {
	if n < 10 {
		return itoa(n)
	}
	return r.text(n/10) + itoa(n%10)
}

// TestTypesWithin writes types within types, all rows in one block, with empty
// lists among them.
func TestTypesWithin(t *testing.T) {
	list := func(e record.Type) record.Type { return record.Type{Kind: record.List, Elem: &e} }
	dict := func(e record.Type) record.Type { return record.Type{Kind: record.Map, Elem: &e} }
	none := []any{}
	for _, tc := range []struct {
		column string
		from   record.Type
		values []any
		want   string
	}{
		{"Nullable(JSON)", objects, []any{`{"a":1}`, nil, `{"b":[1,2]}`}, `{"a":1} | \N | {"b":[1,2]}`},
		{"Array(JSON)", list(objects), []any{[]any{`{"a":1}`, `{"b":"x"}`}, none, []any{`{}`}}, `['{"a":1}','{"b":"x"}'] | [] | ['{}']`},
		{"Map(String, JSON)", dict(objects), []any{[]any{`{"a":1}`, `{"b":"x"}`}, none}, `{'k0':'{"a":1}','k1':'{"b":"x"}'} | {}`},
		{"DateTime('Europe/Berlin')", moments, []any{at("2026-10-25 00:30:00"), at("2026-10-25 01:30:00"), at("2026-03-29 01:00:00")}, "2026-10-25 02:30:00 | 2026-10-25 02:30:00 | 2026-03-29 03:00:00"},
		{"Array(Nullable(DateTime64(9, 'Europe/Berlin')))", list(moments), []any{[]any{at("2026-10-25 01:30:00"), nil}, none}, "['2026-10-25 02:30:00.000000000',NULL] | []"},
		{"LowCardinality(Nullable(FixedString(2)))", texts, []any{nil, "a", "ab", "", nil}, `\N | a\0 | ab | \0\0 | \N`},
		{"Map(Enum8('k0' = 1, 'k1' = 2), Array(LowCardinality(String)))", dict(list(texts)), []any{[]any{[]any{"a"}, none}, none, []any{[]any{"b", "a"}}}, "{'k0':['a'],'k1':[]} | {} | {'k0':['b','a']}"},
		{"Map(FixedString(3), Nullable(Decimal(76, 10)))", dict(cents), []any{[]any{"1.5", nil}, none}, `{'k0\0':1.5,'k1\0':NULL} | {}`},
		{"Map(LowCardinality(FixedString(2)), Float32)", dict(floats), []any{[]any{1.5, math.NaN()}, none}, "{'k0':1.5,'k1':nan} | {}"},
		{"Array(Array(LowCardinality(Nullable(String))))", list(list(texts)), []any{[]any{[]any{nil, "a", ""}, none}, none, []any{[]any{"a", nil}}}, "[[NULL,'a',''],[]] | [] | [['a',NULL]]"},
		{"Array(Nullable(Enum8('a' = 1)))", list(texts), []any{[]any{"a", nil}, none}, "['a',NULL] | []"},
		{"Array(Map(String, Int8))", list(dict(ints)), []any{[]any{[]any{1}, none}, none}, "[{'k0':1},{}] | []"},
		{"Map(String, Map(String, Array(Nullable(Int8))))", dict(dict(list(ints))), []any{[]any{[]any{[]any{1, nil}}, none}, none}, "{'k0':{'k0':[1,NULL]},'k1':{}} | {}"},
		{"Array(Nullable(Bool))", list(bools), []any{[]any{true, nil, false}, none}, "[true,NULL,false] | []"},
		{"Nullable(Float64)", floats, []any{math.NaN(), nil, math.Inf(1)}, `nan | \N | inf`},
		{"Nullable(DateTime64(9, 'UTC'))", moments, []any{nil, at("1900-01-01 00:00:00"), at("2262-04-11 23:47:16.854775")}, `\N | 1900-01-01 00:00:00.000000000 | 2262-04-11 23:47:16.854775000`},
		{"SimpleAggregateFunction(anyLast, LowCardinality(Nullable(String)))", texts, []any{nil, "a"}, `\N | a`},
		{"SimpleAggregateFunction(groupArrayArray, Array(Int8))", intList, []any{[]any{1}, none}, "[1] | []"},
		{"Enum16('a' = -32768, 'ü\"\\n' = 32767, '' = 0)", texts, []any{"a", "ü\"\n", ""}, `a | ü"\n | `},
		{"LowCardinality(String)", texts, []any{strings.Repeat("z", 1<<20), "", "\xff\xfe"}, strings.Repeat("z", 1<<20) + " |  | \xff\xfe"},
	} {
		t.Run(tc.column, func(t *testing.T) {
			r := newRig(t, servers.ClickHouse(t), record.Field{Name: "v", Type: tc.from, Nullable: true}, field("n", record.Int))
			r.options.Provenance.Off = true
			r.exec("CREATE TABLE $.t (v " + tc.column + ", n Int64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100")
			var rows [][]any
			for i, v := range tc.values {
				rows = append(rows, []any{v, i})
			}
			r.mustWrite(r.claim(r.open()), 0, rows...)
			if got := strings.ReplaceAll(r.query("SELECT v FROM $.t ORDER BY n"), "\n", " | "); got != tc.want {
				t.Errorf("%.200q, want %.200q", got, tc.want)
			}
		})
	}
}

// TestAddresses: what is an address, and which, is as Go's own package has it.
func TestAddresses(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	pieces := []string{":", "::", "0", "1", "f", "FFFF", "00ab", "12345", "255", "256", ".", "01", "1.2.3.4", "%e", "10.0.0.", "1:2:3:"}
	texts := []string{"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7:8:", ":1", "1:", ":::", "0.0.0.0", "1.2.3.4.", "::ffff:1.2.3.4"}
	for range 500 {
		text := ""
		for n := random.IntN(9); len(text) < 45 && n >= 0; n-- {
			text += pieces[random.IntN(len(pieces)-7*random.IntN(2))]
			if random.IntN(2) == 0 {
				text += ":"
			}
		}
		groups := make([]string, 8)
		for i := range groups {
			groups[i] = fmt.Sprintf("%x", random.IntN(1<<16)>>random.IntN(17))
		}
		from := random.IntN(8)
		to := from + 1 + random.IntN(8-from)
		texts = append(texts, text, strings.Join(groups[:from], ":")+"::"+strings.Join(groups[to:], ":"), strings.Join(groups, ":"))
	}
	r := newRig(t, servers.ClickHouse(t), field("v", record.String), field("s", record.String))
	r.options.Provenance.Off = true
	r.exec("CREATE TABLE $.t (v IPv6, s String) ENGINE = MergeTree ORDER BY s SETTINGS non_replicated_deduplication_window = 100")
	var good, all [][]any
	for _, text := range texts {
		a, err := netip.ParseAddr(text)
		row := []any{text, fmt.Sprintf("%X", a.As16())}
		if all = append(all, row); err == nil && a.Zone() == "" {
			good = append(good, row)
		}
	}
	s := r.open()
	_, err := r.claim(s).Append(t.Context(), r.chunk(0, all...))
	var rows *sink.RowsError
	if !errors.As(err, &rows) || len(rows.Rows) != len(all)-len(good) {
		t.Fatalf("seed %d: %d of %d are addresses: %.200v", seed, len(good), len(all), err)
	}
	for _, row := range rows.Rows {
		if a, err := netip.ParseAddr(texts[row.Offset]); err == nil && a.Zone() == "" {
			t.Errorf("seed %d: %q: %s", seed, texts[row.Offset], row.Reason)
		}
	}
	r.mustWrite(r.claim(s), 0, good...)
	r.want("SELECT count(), countIf(hex(v) != s) FROM $.t", fmt.Sprint(len(good), "\t0"))
}

// TestTuples fills the elements of a Tuple, and a Nested, from fields of their own.
func TestTuples(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("p.x", record.Float), field("p.y", record.Int),
		record.Field{Name: "n.a", Type: intList}, record.Field{Name: "n.b", Type: intList})
	r.options.Provenance.Off = true
	r.exec("CREATE TABLE $.t (p Tuple(x Float64, y Nullable(Int32)), n Nested(a Int8, b Int64)) ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 100")
	w := r.claim(r.open())
	r.mustWrite(w, 0, []any{1.5, 7, []any{1}, []any{2}}, []any{2.5, nil, []any{}, []any{}})
	r.want("SELECT p, n.a, n.b FROM $.t ORDER BY p.x", "(1.5,7)\t[1]\t[2]\n(2.5,NULL)\t[]\t[]")
	for i, row := range [][]any{{1.5, 1 << 31, []any{}, []any{}}, {1.5, 7, []any{128}, []any{1}}} {
		err := r.write(r.claim(r.open()), 10, row)
		var rows *sink.RowsError
		if want := []string{"column p.y of type Nullable(Int32)", "column n.a of type Array(Int8)"}[i]; !errors.As(err, &rows) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), bad[1:]) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
