package native_test

import (
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/sinks/clickhouse/native"
)

// TestParseType reads types as servers write them.
func TestParseType(t *testing.T) {
	for text, want := range map[string]string{
		"Int64":                                      "Int64",
		"Nullable(Decimal(18, 6))":                   "Nullable",
		"Decimal64(3)":                               "Decimal",
		"DateTime64(3, 'Asia/Tokyo')":                "DateTime64",
		"DateTime('UTC')":                            "DateTime",
		"Enum8('a' = 1, 'b\\'(,)' = -2)":             "Enum8",
		"Tuple(a Int8, `b c` Array(String))":         "Tuple",
		"Tuple(Int8, LowCardinality(String))":        "Tuple",
		"Map(String, Array(Nullable(UUID)))":         "Map",
		"SimpleAggregateFunction(anyLast, Int8)":     "Int8",
		"AggregateFunction(quantiles(0.5), Float64)": "AggregateFunction",
		"JSON(max_dynamic_paths=16, a.b UInt32)":     "JSON",
		"Variant(Int8, String)":                      "Variant",
	} {
		got, err := native.ParseType(text)
		if err != nil || got.Name != want || got.Text != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "Nullable(", "Nullable(Int8", "Array(Int8, Int8)", "Map(String)", "Enum8('a')", "Enum8('a' = 1", "FixedString(0)", "FixedString(x)",
		"Enum8", "Enum16('a' = 32768)", "Enum8('a' = -129)", "FixedString(16777216)",
		"Decimal(77, 0)", "Decimal(3, 4)", "Int8 x", "DateTime64(10)", strings.Repeat("Array(", 40) + "Int8" + strings.Repeat(")", 40)} {
		if got, err := native.ParseType(text); err == nil {
			t.Errorf("%s is taken for %+v", text, got)
		}
	}
}

// FuzzParseType: whatever a server sends, a type is read or refused, and what is
// read can be asked for a column.
func FuzzParseType(f *testing.F) {
	for _, s := range []string{"Enum8", "Nullable(Decimal(18, 6))", "Enum8('a' = 1, 'b' = 2)", "Tuple(a Int8, b Array(String))", "Map(String, Int8)", "LowCardinality(Nullable(FixedString(3)))"} {
		f.Add(s)
	}
	elem := record.Type{Kind: record.Int}
	f.Fuzz(func(t *testing.T, text string) {
		typ, err := native.ParseType(text)
		if err != nil {
			return
		}
		for _, from := range []record.Type{elem, {Kind: record.String}, {Kind: record.List, Elem: &elem}, {Kind: record.Map, Elem: &elem}} {
			c, err := native.NewColumn("c", typ, from, false)
			if err != nil {
				continue
			}
			none, before, bad := record.NewChunk(&record.Schema{Fields: []record.Field{{Name: "c", Type: from}}}), c.Size(), native.Complaints{}
			if c.Append(&none.Columns[0], &bad); c.Size() != before || len(bad.List) > 0 {
				t.Errorf("%s: no rows take %d bytes, and are complained about: %v", text, c.Size()-before, bad.List)
			}
			if c, err = native.NewColumn("c", typ, from, true); err != nil {
				t.Errorf("%s: with nulls as defaults: %v", text, err)
				continue
			}
			some := record.NewColumn(from)
			some.AppendNull()
			switch from.Kind {
			case record.Int:
				some.AppendInt(1)
			case record.String:
				some.AppendString("1")
			default:
				some.AppendElems()
			}
			c.Append(some, &bad)
		}
	})
}
