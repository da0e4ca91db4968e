package sqlite_test

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqltable"
	"github.com/sluicekit/sluice/sinks/sqltable/sqltabletest"
)

// TestAffinities: a column that would change a value is refused at Open, by
// SQLite's own rules of what it does with declared types.
func TestAffinities(t *testing.T) {
	one := target()
	database := one.New(t) // a database for each case would take half a minute
	one.New = func(testing.TB) sqltabletest.Database { return database }
	all := []string{"INTEGER", "BIGINT", "TEXT", "VARCHAR(5)", "BLOB", "REAL", "DOUBLE", "NUMERIC", "DECIMAL(10,2)", "DATETIME", "BOOLEAN", "", "BLOB STRICT", "ANY STRICT", "TEXT STRICT", "REAL STRICT", "INTEGER STRICT"}
	for _, c := range []struct {
		typ   record.Type
		value any
		want  []string // per column of all; "": refused
	}{
		{record.Type{Kind: record.Bool}, true, []string{"integer 1", "integer 1", "", "", "integer 1", "", "", "integer 1", "integer 1", "integer 1", "integer 1", "integer 1", "", "integer 1", "", "", "integer 1"}},
		{record.Type{Kind: record.Int}, -5, []string{"integer -5", "integer -5", "", "", "integer -5", "", "", "integer -5", "integer -5", "integer -5", "integer -5", "integer -5", "", "integer -5", "", "", "integer -5"}},
		{record.Type{Kind: record.Float}, 0.5, []string{"", "", "", "", "real 0.5", "real 0.5", "real 0.5", "real 0.5", "real 0.5", "real 0.5", "real 0.5", "real 0.5", "", "real 0.5", "", "real 0.5", ""}},
		{record.Type{Kind: record.Decimal, Precision: 38, Scale: 2}, "0.10", []string{"", "", "text 0.10", "text 0.10", "text 0.10", "", "", "", "", "", "", "text 0.10", "", "text 0.10", "text 0.10", "", ""}},
		{record.Type{Kind: record.Decimal, Precision: 38}, 7, []string{"integer 7", "integer 7", "text 7", "text 7", "text 7", "", "", "", "", "", "", "text 7", "", "text 7", "text 7", "", "integer 7"}},
		{record.Type{Kind: record.Timestamp}, 1, []string{"integer 1", "integer 1", "text T", "text T", "text T", "", "", "text T", "text T", "text T", "text T", "text T", "", "text T", "text T", "", "integer 1"}},
		{record.Type{Kind: record.String}, "007", []string{"", "", "text 007", "text 007", "text 007", "", "", "", "", "", "", "text 007", "", "text 007", "text 007", "", ""}},
		{record.Type{Kind: record.JSON}, "1.0", []string{"", "", "text 1.0", "text 1.0", "text 1.0", "", "", "", "", "", "", "text 1.0", "", "text 1.0", "text 1.0", "", ""}},
		{record.Type{Kind: record.Bytes}, "ab", []string{"", "", "", "", "blob ab", "", "", "", "", "", "", "blob ab", "blob ab", "blob ab", "", "", ""}},
	} {
		for i, column := range all {
			schema := &record.Schema{Fields: []record.Field{{Name: "v", Type: c.typ}}}
			name := fmt.Sprintf("%s %d", c.typ, i)
			b := sqltabletest.NewBench(t, one, schema, func(o *sqltable.Options) { o.Table = name })
			b.Config.Name = name
			declared, strict := strings.CutSuffix(column, " STRICT")
			b.Exec("CREATE TABLE " + sqltable.Quote('"', name) + " (v " + declared + ")" + map[bool]string{true: " STRICT"}[strict])
			s, err := b.TryOpen()
			if c.want[i] == "" {
				if !sink.IsPermanent(err) {
					t.Errorf("%s into %q: got %v, want it refused", c.typ, column, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s into %q: %v", c.typ, column, err)
				continue
			}
			w, _ := b.Claim(s, sqltabletest.Slot(0, 1))
			b.Append(w, b.Rows(0, 0, []any{c.value}))
			b.Commit(w, sqltabletest.Cut(0, 0, 1))
			b.Want("SELECT typeof(v) || ' ' || CAST(v AS TEXT) FROM "+sqltable.Quote('"', name), "["+strings.Replace(c.want[i], "T", "1970-01-01 00:00:00.000001", 1)+"]")
			s.Close()
		}
	}
}

// TestDecimalSums adds random decimals of 38 digits in SQLite and in
// math/big.
func TestDecimalSums(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	schema := &record.Schema{Fields: []record.Field{
		{Name: "k", Type: record.Type{Kind: record.Int}, Merge: record.MergeKey},
		{Name: "total", Type: record.Type{Kind: record.Decimal, Precision: 38, Scale: 9}, Merge: record.MergeAdd},
		{Name: "least", Type: record.Type{Kind: record.Decimal, Precision: 38, Scale: 9}, Merge: record.MergeMin},
		{Name: "most", Type: record.Type{Kind: record.Decimal, Precision: 38, Scale: 9}, Merge: record.MergeMax},
	}}
	b := sqltabletest.NewBench(t, target(), schema, func(o *sqltable.Options) { o.Mode = sqltable.Add })
	w, _ := b.Claim(b.Open(), sqltabletest.Slot(0, 1))
	total, values := new(big.Int), []*big.Int{}
	for i := range int64(300) {
		n := randomBig(r, new(big.Int).Exp(big.NewInt(10), big.NewInt(r.Int64N(36)), nil))
		if r.IntN(2) == 0 {
			n.Neg(n)
		}
		total.Add(total, n)
		values = append(values, n)
		text := decimalText(n)
		b.Append(w, b.Rows(-1, i, []any{1, text, text, text}))
		b.Commit(w, sqltabletest.Cut(0, i, i+1))
	}
	slices.SortFunc(values, (*big.Int).Cmp)
	b.Want("SELECT total, least, most FROM t", fmt.Sprintf("[%s %s %s]", decimalText(total), decimalText(values[0]), decimalText(values[len(values)-1])))
}

// TestStoredDecimals: what people wrote into a table by hand is added to, or
// blamed on the row that meets it.
func TestStoredDecimals(t *testing.T) {
	for stored, want := range map[string]string{"'1'": "1.50", "'1.005'": "1.505", "-1": "-0.50", "'+2'": "2.50", "'.5'": "1.00", "NULL": "0.50",
		"'abc'": "", "''": "", "'1e3'": "", "1.5": "", "x'31'": "", "'" + strings.Repeat("9", 39) + "'": ""} {
		schema := &record.Schema{Fields: []record.Field{
			{Name: "k", Type: record.Type{Kind: record.Int}, Merge: record.MergeKey},
			{Name: "total", Type: record.Type{Kind: record.Decimal, Precision: 38, Scale: 2}, Merge: record.MergeAdd}}}
		b := sqltabletest.NewBench(t, target(), schema, func(o *sqltable.Options) { o.Mode = sqltable.Add })
		b.Exec("CREATE TABLE t (k INTEGER PRIMARY KEY, total BLOB)")
		b.Exec("INSERT INTO t VALUES (1, " + stored + ")")
		w, _ := b.Claim(b.Open(), sqltabletest.Slot(0, 1))
		b.Append(w, b.Rows(-1, 4, []any{1, "0.50"}))
		err := b.TryCommit(t.Context(), w, sqltabletest.Cut(0, 0, 5))
		if want == "" {
			var rows *sink.RowsError
			if !errors.As(err, &rows) || rows.Rows[0].Offset != 4 {
				t.Errorf("%s: got %v, want the row refused", stored, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", stored, err)
			continue
		}
		b.Want("SELECT total FROM t", "["+want+"]")
	}
}

// randomBig is below a limit.
func randomBig(r *rand.Rand, limit *big.Int) *big.Int {
	n := new(big.Int).SetUint64(r.Uint64())
	n.Lsh(n, 64).Add(n, new(big.Int).SetUint64(r.Uint64()))
	return n.Mod(n, limit)
}

func decimalText(n *big.Int) string {
	digits := new(big.Int).Abs(n).String()
	digits = strings.Repeat("0", max(0, 10-len(digits))) + digits
	text := digits[:len(digits)-9] + "." + digits[len(digits)-9:]
	if n.Sign() < 0 {
		return "-" + text
	}
	return text
}

// TestFoldingKeys: what the table takes for one key is one row, and the newest
// record is its value whatever way the key is spelled.
func TestFoldingKeys(t *testing.T) {
	schema := &record.Schema{Fields: []record.Field{{Name: "k", Type: record.Type{Kind: record.String}}, {Name: "n", Type: record.Type{Kind: record.Int}}}}
	for table, other := range map[string]string{
		"k TEXT COLLATE NOCASE PRIMARY KEY, n":        "B",
		"k TEXT COLLATE RTRIM PRIMARY KEY, n":         "b  ",
		"n, k TEXT COLLATE NOCASE, UNIQUE (k)":        "B",
		"k TEXT, n, PRIMARY KEY (k COLLATE NOCASE)":   "B",
		"k TEXT COLLATE NOCASE NOT NULL UNIQUE, n, m": "B",
	} {
		b := sqltabletest.NewBench(t, target(), schema, func(o *sqltable.Options) { o.Mode = sqltable.Upsert })
		b.Exec("CREATE TABLE t (" + table + ")")
		s := b.Open()
		w, _ := b.Claim(s, sqltabletest.Slot(0, 1))
		b.Append(w, b.Rows(0, 0, []any{"b", 1}, []any{other, 2}, []any{"a", 3}))
		if err := b.TryCommit(t.Context(), w, sqltabletest.Cut(0, 0, 3)); err != nil {
			if strings.Contains(table, "(k COLLATE") && sink.IsPermanent(err) {
				continue // SQLite does not take such a key for a conflict's
			}
			t.Fatalf("%s: %v", table, err)
		}
		b.Want("SELECT n FROM t ORDER BY n", "[2]", "[3]")
		b.Append(w, b.Rows(0, 3, []any{other, 4}, []any{"b", 5}))
		b.Commit(w, sqltabletest.Cut(0, 3, 5))
		b.Want("SELECT n FROM t ORDER BY n", "[3]", "[5]")
	}
}
