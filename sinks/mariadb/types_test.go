package mariadb_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/sqltable"
	"github.com/sluicekit/sluice/sinks/sqltable/sqltabletest"
)

// pair is a value that a column holds, and how the server writes it.
type pair struct {
	value any
	text  string
}

func same(values ...string) []pair {
	var out []pair
	for _, v := range values {
		out = append(out, pair{v, v})
	}
	return out
}

// TestColumns writes what a column holds just so, reads it back, and has what
// lies just beyond refused by Append.
func TestColumns(t *testing.T) { columns(t, servers.MariaDB(t)) }

func columns(t *testing.T, m *stack.MariaDBServer) {
	f := func(column string, field record.Type, good []pair, bad ...any) {
		t.Helper()
		schema := &record.Schema{Fields: []record.Field{{Name: "id", Type: record.Type{Kind: record.Int}}, {Name: "v", Type: field}}}
		b := sqltabletest.NewBench(t, on(m, m.Addr()), schema, nil)
		b.Exec("CREATE TABLE t (id INT, v " + column + ") DEFAULT CHARSET=utf8mb4")
		w, _ := b.Claim(b.Open(), sqltabletest.Slot(0, 1))
		var rows [][]any
		var want []string
		for i, p := range good {
			rows, want = append(rows, []any{i, p.value}), append(want, fmt.Sprintf("[%d %s]", i, p.text))
		}
		b.Append(w, b.Rows(0, 0, rows...))
		for _, v := range bad {
			_, err := w.Append(t.Context(), b.Rows(0, 5000, []any{99, v}))
			var refused *sink.RowsError
			if !errors.As(err, &refused) || refused.Rows[0].Offset != 5000 {
				t.Errorf("%s into %s: %.40v: got %v, want it refused", field, column, v, err)
			}
		}
		b.Commit(w, sqltabletest.Cut(0, 0, 6000))
		read := "v"
		if strings.HasPrefix(column, "BIT") {
			read = "v + 0"
		}
		b.Want("SELECT id, "+read+" FROM t ORDER BY id", want...)
	}
	kind := func(k record.Kind) record.Type { return record.Type{Kind: k} }
	decimal := func(p, s uint8) record.Type { return record.Type{Kind: record.Decimal, Precision: p, Scale: s} }
	ints := func(column string, lo, hi int) {
		t.Helper()
		f(column, kind(record.Int), []pair{{lo, fmt.Sprint(lo)}, {hi, fmt.Sprint(hi)}}, lo-1, hi+1, math.MinInt64, math.MaxInt64)
	}
	ints("TINYINT", -128, 127)
	ints("TINYINT UNSIGNED", 0, 255)
	ints("SMALLINT", -32768, 32767)
	ints("SMALLINT UNSIGNED", 0, 65535)
	ints("MEDIUMINT", -8388608, 8388607)
	ints("MEDIUMINT UNSIGNED", 0, 16777215)
	ints("INT", math.MinInt32, math.MaxInt32)
	ints("INT UNSIGNED", 0, math.MaxUint32)
	ints("YEAR", 1901, 2155)
	ints("BIT(3)", 0, 7)
	ints("DECIMAL(3,0)", -999, 999)
	ints("DECIMAL(5)", -99999, 99999)
	f("DECIMAL(20,1)", kind(record.Int), []pair{{math.MinInt64, "-9223372036854775808.0"}, {math.MaxInt64, "9223372036854775807.0"}})
	f("DOUBLE", kind(record.Int), []pair{{1 << 53, "9.007199254740992e+15"}}, 1<<53+1, -(1<<53)-1)
	f("BIGINT", kind(record.Int), []pair{{math.MinInt64, "-9223372036854775808"}, {math.MaxInt64, "9223372036854775807"}})
	f("BIGINT", kind(record.Uint), []pair{{uint64(math.MaxInt64), "9223372036854775807"}}, uint64(math.MaxInt64)+1, uint64(math.MaxUint64))
	f("BIGINT UNSIGNED", kind(record.Uint), []pair{{uint64(math.MaxUint64), "18446744073709551615"}})
	f("BIGINT UNSIGNED", kind(record.Int), []pair{{math.MaxInt64, "9223372036854775807"}}, -1, math.MinInt64)
	f("BIT(64)", kind(record.Uint), []pair{{uint64(math.MaxUint64), "18446744073709551615"}})
	f("YEAR", kind(record.Uint), []pair{{uint64(1901), "1901"}}, uint64(0), uint64(1900), uint64(2156))
	f("BIT(1)", kind(record.Bool), []pair{{false, "0"}, {true, "1"}})
	f("BOOLEAN", kind(record.Bool), []pair{{false, "0"}, {true, "1"}})
	f("DOUBLE UNSIGNED", kind(record.Float), []pair{{0.5, "0.5"}}, -0.5, math.NaN(), math.Inf(1))
	f("DOUBLE", kind(record.Float), []pair{{-0.1, "-0.1"}}, math.NaN(), math.Inf(1), math.Inf(-1))
	f("FLOAT", kind(record.Float), []pair{{0.5, "0.5"}}, math.NaN(), math.Inf(1), 1e39, -1e39)

	f("DECIMAL(5,2)", decimal(10, 2), same("999.99", "-999.99", "0.00"), "1000.00", "-1000.00")
	f("DECIMAL(5,2) UNSIGNED", decimal(10, 2), same("999.99"), "-0.01")
	f("DECIMAL(5,1)", decimal(10, 3), []pair{{"9999.900", "9999.9"}}, "0.010", "0.001", "10000.000")
	f("DECIMAL(38,38)", decimal(38, 0), []pair{{"0", "0." + strings.Repeat("0", 38)}}, "1")
	f("DECIMAL(65,30)", decimal(38, 8), []pair{{"999999999999999999999999999999.99999999", "999999999999999999999999999999.99999999" + strings.Repeat("0", 22)}})
	f("TINYINT", decimal(10, 1), []pair{{"-128.0", "-128"}, {"127.0", "127"}}, "128.0", "0.1")
	f("BIGINT", decimal(38, 0), same("9223372036854775807", "-9223372036854775808"), "9223372036854775808", "-9223372036854775809")
	f("INT UNSIGNED", decimal(38, 0), same("4294967295"), "-1", "4294967296")

	micros := func(text string) int {
		at, err := time.Parse("2006-01-02 15:04:05.999999", text)
		if err != nil {
			t.Fatal(err)
		}
		return int(at.UnixMicro())
	}
	times := func(column string, good []string, bad ...string) {
		t.Helper()
		var pairs []pair
		for _, g := range good {
			pairs = append(pairs, pair{micros(g), g})
		}
		var beyond []any
		for _, x := range bad {
			beyond = append(beyond, micros(x))
		}
		f(column, kind(record.Timestamp), pairs, append(beyond, sqltable.MinTime-1, sqltable.MaxTime+1)...)
	}
	times("DATETIME(6)", []string{"0001-01-01 00:00:00.000000", "9999-12-31 23:59:59.999999", "2000-02-29 00:00:00.000001"})
	times("DATETIME(3)", []string{"9999-12-31 23:59:59.999"}, "2020-01-01 00:00:00.0001")
	times("DATETIME", []string{"1900-03-01 12:00:00"}, "2020-01-01 00:00:00.5", "2020-01-01 00:00:00.000001")
	times("TIMESTAMP(6) NULL", []string{"1970-01-01 00:00:01.000000", "2038-01-19 03:14:07.000000", "2026-03-29 02:30:00.000000"}, "1970-01-01 00:00:00", "1970-01-01 00:00:00.999999", "2038-01-19 03:14:08", "2106-02-08 00:00:00")
	times("TIMESTAMP NULL", []string{"2026-10-25 01:30:00"}, "2026-10-25 01:30:00.5")
	f("DATE", kind(record.Timestamp), []pair{{micros("2024-02-29 00:00:00"), "2024-02-29"}}, micros("2024-02-29 00:00:01"), micros("2024-02-29 00:00:00.000001"))

	four, accents := "\U0001F600", "üéß"
	f("VARCHAR(3)", kind(record.String), same(accents, four+four+four, "a  ", "", "\x00\x00\x00"), "abcd", accents+"x", "a   ", "\xff", "\xc3")
	f("CHAR(3)", kind(record.String), same("abc", accents, ""), "ab ", " ", "abcd")
	f("TINYTEXT", kind(record.String), same(strings.Repeat("x", 255)), strings.Repeat("x", 256), strings.Repeat("ü", 128))
	f("TEXT", kind(record.String), same(strings.Repeat("x", 65535)), strings.Repeat("x", 65536))
	f("VARCHAR(9) CHARACTER SET utf8mb3", kind(record.String), same(accents), four)
	f("VARCHAR(9) CHARACTER SET ascii", kind(record.String), same("abc"), accents)
	f("ENUM('a','it''s','')", kind(record.String), same("a", "it's", ""), "A", "its", "b", "1")
	f("SET('a','b','c d')", kind(record.String), same("", "a", "a,c d"), "A", "a,a", "b,", "d")
	f("UUID", kind(record.String), same("123e4567-e89b-12d3-a456-426655440000"))
	f("JSON", kind(record.JSON), same(`{"a":[1,2.50]}`), "{", "")
	f("VARCHAR(4)", kind(record.JSON), same("1234"), "12345")
	f("BINARY(3)", kind(record.Bytes), same("a\x00\xff"), "ab", "abcd", "")
	f("VARBINARY(3)", kind(record.Bytes), same("", "a\x00", "\xff\xff\xff"), "abcd")
	f("TINYBLOB", kind(record.Bytes), same(strings.Repeat("\xff", 255)), strings.Repeat("x", 256))
	f("BLOB", kind(record.Bytes), same(strings.Repeat("\xff", 65535)), strings.Repeat("x", 65536))
}

// TestServerRefusesRows: what only the server can judge is found by offset, and
// its message does not carry the value.
func TestServerRefusesRows(t *testing.T) { serverRefusesRows(t, servers.MariaDB(t)) }

func serverRefusesRows(t *testing.T, m *stack.MariaDBServer) {
	const secret = "geheim4711"
	f := func(setup []string, column string, kind record.Kind, good, bad any) {
		t.Helper()
		schema := &record.Schema{Fields: []record.Field{{Name: "id", Type: record.Type{Kind: record.Int}}, {Name: "v", Type: record.Type{Kind: kind}}}}
		b := sqltabletest.NewBench(t, on(m, m.Addr()), schema, nil)
		for _, s := range setup {
			b.Exec(s)
		}
		b.Exec("CREATE TABLE t (id INT, v " + column + ") DEFAULT CHARSET=utf8mb4")
		if len(setup) > 1 {
			b.Exec("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW IF NEW.v = '" + secret + "' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '" + secret + "'; END IF")
		}
		w, _ := b.Claim(b.Open(), sqltabletest.Slot(0, 1))
		rows := make([][]any, 2300)
		for i := range rows {
			rows[i] = []any{i, good}
		}
		rows[3][1], rows[2222][1] = bad, bad
		b.Append(w, b.Rows(0, 0, rows...))
		err := b.TryCommit(t.Context(), w, sqltabletest.Cut(0, 0, 2300))
		var refused *sink.RowsError
		if !errors.As(err, &refused) || len(refused.Rows) != 2 || refused.Rows[0].Offset != 3 || refused.Rows[1].Offset != 2222 {
			t.Fatalf("%s: got %v, want offsets 3 and 2222 refused", column, err)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %q, which shows the value", column, err)
		}
		b.Want("SELECT count(*) FROM t", "[0]")
	}
	f(nil, "VARCHAR(40) CHARACTER SET latin1", record.String, "x", secret+"中")
	f(nil, "VARCHAR(40) CHECK (v <> '"+secret+"')", record.String, "x", secret)
	f(nil, "UUID", record.String, "123e4567-e89b-12d3-a456-426655440000", secret)
	f(nil, "INET6", record.String, "::1", secret)
	f(nil, "JSON", record.String, "1", secret)
	f([]string{"CREATE TABLE p (v VARCHAR(40) PRIMARY KEY) DEFAULT CHARSET=utf8mb4 AS SELECT 'x' AS v"}, "VARCHAR(40), FOREIGN KEY (v) REFERENCES p (v)", record.String, "x", secret)
	f([]string{"SET @x = 1", "SET @x = 1"}, "VARCHAR(40)", record.String, "x", secret)
}

// TestRefusedColumns: types that do not hold a field are refused at Open.
func TestRefusedColumns(t *testing.T) {
	m := servers.MariaDB(t)
	all := []string{"INT", "DECIMAL(10,2)", "DOUBLE", "DOUBLE(9,3)", "DOUBLE(9,0)", "FLOAT", "FLOAT(7,2)", "FLOAT(7,0)", "BIT(8)", "BOOLEAN", "YEAR", "DATE", "DATETIME(6)", "TIMESTAMP", "TIME",
		"VARCHAR(9)", "CHAR(9)", "TEXT", "JSON", "ENUM('a')", "SET('a')", "BLOB", "BINARY(9)", "UUID", "INET6", "POINT"}
	whole := []string{"INT", "DECIMAL(10,2)", "DOUBLE", "FLOAT", "BIT(8)", "BOOLEAN", "YEAR"}
	text := []string{"VARCHAR(9)", "TEXT", "JSON"}
	for _, c := range []struct {
		kind  record.Kind
		takes []string
	}{
		{record.Bool, whole[:6]},
		{record.Int, whole},
		{record.Uint, whole},
		{record.Float, []string{"DOUBLE", "FLOAT"}},
		{record.Decimal, []string{"INT", "DECIMAL(10,2)", "BOOLEAN"}},
		{record.Timestamp, []string{"DATE", "DATETIME(6)", "TIMESTAMP"}},
		{record.String, append([]string{"CHAR(9)", "ENUM('a')", "SET('a')", "UUID", "INET6"}, text...)},
		{record.JSON, text},
		{record.Bytes, []string{"BLOB", "BINARY(9)"}},
	} {
		kind := record.Type{Kind: c.kind}
		if c.kind == record.Decimal {
			kind = record.Type{Kind: c.kind, Precision: 10, Scale: 2}
		}
		for _, column := range []bool{true, false} {
			schema := &record.Schema{}
			b := sqltabletest.NewBench(t, on(m, m.Addr()), schema, nil)
			var columns []string
			for i, a := range all {
				if slices.Contains(c.takes, a) == column {
					schema.Fields = append(schema.Fields, record.Field{Name: fmt.Sprintf("c%02d", i), Type: kind, Nullable: true})
				}
				columns = append(columns, fmt.Sprintf("c%02d %s NULL", i, a))
			}
			b.Exec("CREATE TABLE t (" + strings.Join(columns, ", ") + ")")
			s, err := b.TryOpen()
			if column {
				if err != nil {
					t.Errorf("%s: %v", kind, err)
				} else {
					s.Close()
				}
				continue
			}
			if !sink.IsPermanent(err) {
				t.Errorf("%s: got %v, want all other columns refused", kind, err)
				continue
			}
			for _, f := range schema.Fields {
				if !strings.Contains(err.Error(), "column "+f.Name+" ") {
					t.Errorf("%s into %s was not refused", kind, columns[slices.IndexFunc(columns, func(c string) bool { return strings.HasPrefix(c, f.Name) })])
				}
			}
		}
	}
}

// TestFoldingKeys: what the table takes for one key is one row, and the newest
// record is its value whatever way the key is spelled.
func TestFoldingKeys(t *testing.T) {
	m := servers.MariaDB(t)
	schema := &record.Schema{Fields: []record.Field{{Name: "k", Type: record.Type{Kind: record.String}}, {Name: "n", Type: record.Type{Kind: record.Int}}}}
	for _, column := range []string{"VARCHAR(9) COLLATE utf8mb4_general_ci", "VARCHAR(9) COLLATE utf8mb4_bin", "VARCHAR(9) COLLATE utf8mb4_unicode_nopad_ci", "CHAR(9) COLLATE utf8mb4_bin"} {
		b := sqltabletest.NewBench(t, on(m, m.Addr()), schema, func(o *sqltable.Options) { o.Mode = sqltable.Upsert })
		b.Exec("CREATE TABLE t (k " + column + " PRIMARY KEY, n INT)")
		w, _ := b.Claim(b.Open(), sqltabletest.Slot(0, 1))
		spelled := []any{"b ", "b", "a", "b "}
		if strings.Contains(column, "_ci") {
			spelled = []any{"b", "B", "a", "b"}
		}
		if strings.HasPrefix(column, "CHAR") {
			spelled = []any{"b", "b", "a", "b"}
		}
		b.Append(w, b.Rows(0, 0, []any{spelled[0], 1}, []any{spelled[1], 2}, []any{spelled[2], 3}))
		b.Commit(w, sqltabletest.Cut(0, 0, 3))
		b.Want("SELECT n FROM t ORDER BY n", "[2]", "[3]")
		b.Append(w, b.Rows(0, 3, []any{spelled[1], 4}, []any{spelled[3], 5}))
		b.Commit(w, sqltabletest.Cut(0, 3, 5))
		b.Want("SELECT n FROM t ORDER BY n", "[3]", "[5]")
	}
}
