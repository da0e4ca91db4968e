package plan_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

// run evaluates one expression over one event, as a field.
func run(t testing.TB, e plan.Events, text, as string, event row) (value any, typ record.Type, reason string) {
	t.Helper()
	p := mustCompile(t, plan.Spec{Fields: []plan.Field{{Name: "f", Expr: text, As: as}}}, e)
	r, err := p.NewProjector(p.Wants())
	if err != nil {
		t.Fatal(err)
	}
	src := record.NewChunk(&record.Schema{})
	for _, w := range p.Wants() {
		c := record.NewColumn(w.Type)
		v := event[w.Path.String()]
		if text, ok := v.(string); ok && w.Type.Kind == record.Decimal {
			d, err := record.ParseDec([]byte(text), 38, int(w.Type.Scale))
			if err != nil {
				t.Fatal(err)
			}
			c.AppendDec(d)
		} else {
			store(c, v)
		}
		src.Columns = append(src.Columns, *c)
	}
	src.Offsets, src.Times, src.Next = []int64{0}, []int64{0}, 1
	dst := record.NewChunk(p.Rows())
	if _, err := r.Project(dst, src, 0, 1, nil); err != nil {
		t.Fatal(err)
	}
	typ = p.Rows().Fields[0].Type
	if len(dst.Bad) > 0 {
		return bad{}, typ, dst.Bad[0].Reason
	}
	return load(&dst.Columns[0], 0), typ, ""
}

// All connectives over all states of their arguments: T and F, N for null, B
// for bad. Bad counts only where it is reached from the left.
func TestThreeValuedLogic(t *testing.T) {
	e := typed(t, "a", "bool", "b", "bool", "c", "bool", "z", "int", "one", "int")
	states := map[byte]string{'T': "(one == 1)", 'F': "(one == 2)", 'N': "(z == 1)", 'B': "(1 / (one - 1) == 1)"}
	event := row{"one": int64(1), "z": nil}
	for _, table := range []struct{ op, rows string }{
		{"and", "TT=T TF=F TN=N TB=B FT=F FF=F FN=F FB=F NT=N NF=F NN=N NB=B BT=B BF=F BN=B BB=B"},
		{"or", "TT=T TF=T TN=T TB=T FT=T FF=F FN=N FB=B NT=T NF=N NN=N NB=B BT=T BF=B BN=B BB=B"},
		{"==", "TT=T TF=F TN=N TB=B FT=F FF=T FN=N FB=B NT=N NF=N NN=N NB=B BT=B BF=B BN=B BB=B"},
		{"!=", "TT=F TF=T TN=N TB=B FT=T FF=F FN=N FB=B NT=N NF=N NN=N NB=B BT=B BF=B BN=B BB=B"},
		{"??", "TT=T TF=T TN=T TB=T FT=F FF=F FN=F FB=F NT=T NF=F NN=N NB=B BT=B BF=B BN=B BB=B"},
		{"not", "T=F F=T N=N B=B"},
		{"nil", "T=F F=F N=T B=B"},
		{"?:", "TTF=T TFT=F TNF=N TBF=B FTF=F FTN=N FTB=B NTF=F NFT=T NTN=N BTT=B"},
	} {
		for entry := range strings.FieldsSeq(table.rows) {
			args, want, _ := strings.Cut(entry, "=")
			text := ""
			switch table.op {
			case "not":
				text = "not " + states[args[0]]
			case "nil":
				text = states[args[0]] + " == nil"
			case "?:":
				text = states[args[0]] + " ? " + states[args[1]] + " : " + states[args[2]]
			default:
				text = states[args[0]] + " " + table.op + " " + states[args[1]]
			}
			v, _, _ := run(t, e, text, "", event)
			got := map[any]string{true: "T", false: "F", nil: "N", bad{}: "B"}[v]
			if got != want {
				t.Errorf("%s %s is %s instead of %s", table.op, args, got, want)
			}
		}
	}
}

// Every function and operator gives null for a null, whichever argument it is.
func TestNullPassesThrough(t *testing.T) {
	e := typed(t, "i", "int", "u", "uint", "f", "float", "d", "decimal(10,2)", "s", "string", "t", "timestamp", "y", "bytes", "l", "list(int)", "j", "json", "b", "bool",
		"i1", "int", "s1", "string")
	event := row{"i1": int64(3), "s1": "x"}
	for _, text := range []string{
		"i + i1", "i1 + i", "i1 - i", "i1 * i", "i1 / i", "i1 % i", "-i", "abs(i)", "u + 1", "f * 2.5", "f / f", "d + 1", "d / d", "-d", "round(d, 1)",
		"i == i1", "i1 != i", "i < 1", "f >= f", "d <= 1.5", "s > 'a'", "t == t", "y == b'x'", "b == true", "i in [1, 2]", "s in ['a']", "i1 in [i]", "i not in [1]",
		"s + s1", "s1 + s", "s startsWith s1", "s1 contains s", "s endsWith 'x'", "lower(s)", "upper(s)", "trim(s)", "len(s)", "len(y)", "len(l)",
		"year(t)", "truncate(t, 'day')", "int(s)", "uint(i)", "float(d)", "decimal(i, 20, 2)", "string(i)", "string(l)", "bytes(s)", "json(i)", "json(l)", "timestamp(s)", "timestamp(i, 's')", "bool(j)", "int(j)", "string(j)",
		"b ? i : i", "i ?? i", "b and b", "not b",
	} {
		if v, _, reason := run(t, e, text, "", event); v != nil {
			t.Errorf("%s is %v %s instead of nil", text, v, reason)
		}
	}
	for text, want := range map[string]bool{"i == nil": true, "i != nil": false, "i1 == nil": false, "i1 != nil": true, "nil == i": true, "(i ?? i1) == nil": false, "l == nil": true, "(i + 1) == nil": true, "nil == nil": true, "nil != nil": false} {
		if v, _, _ := run(t, e, text, "", event); v != want {
			t.Errorf("%s is %v", text, v)
		}
	}
}

// What each cast makes of a value; ! and the cause where it makes the row bad.
func TestCasts(t *testing.T) {
	for _, c := range []struct {
		from  string
		value any
		as    string
		want  string
	}{
		{"int", int64(7), "decimal(10,2)", "7.00"}, {"int", int64(12345), "decimal(4,0)", "!out of range"}, {"int", int64(math.MinInt64), "decimal(38,19)", "-9223372036854775808.0000000000000000000"},
		{"int", int64(-1), "uint", "!not an integer of 0 or more"}, {"uint", uint64(1 << 63), "int", "!out of range"}, {"uint", uint64(math.MaxUint64), "decimal(20,0)", "18446744073709551615"},
		{"int", int64(1700000000), "timestamp(s)", "2023-11-14T22:13:20Z"}, {"int", int64(1700000000123), "timestamp(ms)", "2023-11-14T22:13:20.123Z"},
		{"int", int64(-1), "timestamp(us)", "1969-12-31T23:59:59.999999Z"}, {"int", int64(-1), "timestamp(ns)", "1969-12-31T23:59:59.999999Z"}, {"int", int64(1999), "timestamp(ns)", "1970-01-01T00:00:00.000001Z"},
		{"int", int64(math.MaxInt64), "timestamp(s)", "!out of range"},
		{"decimal(18,6)", "1700000000.123456", "timestamp(s)", "2023-11-14T22:13:20.123456Z"}, {"decimal(20,9)", "-0.000000001", "timestamp(s)", "1969-12-31T23:59:59.999999Z"},
		{"string", "1700000000.5", "timestamp(s)", "2023-11-14T22:13:20.5Z"}, {"string", "12.3", "timestamp(ms)", "1970-01-01T00:00:00.0123Z"}, {"json", `"1700000000"`, "timestamp(s)", "2023-11-14T22:13:20Z"}, {"json", `1.7e9`, "timestamp(s)", "2023-11-14T22:13:20Z"},
		{"string", "2024-02-29T12:00:00.123456789+02:00", "timestamp", "2024-02-29T10:00:00.123456Z"}, {"string", "1969-12-31T23:59:59.9999999Z", "timestamp", "1969-12-31T23:59:59.999999Z"},
		{"string", "2023-02-29T12:00:00Z", "timestamp", "!not an RFC 3339 time"}, {"string", "2024-01-01", "timestamp", "!not an RFC 3339 time"}, {"json", `"2024-01-01T00:00:00Z"`, "timestamp", "2024-01-01T00:00:00Z"}, {"json", `5`, "timestamp", "!not an RFC 3339 time"},
		{"decimal(10,4)", "1.5000", "decimal(10,2)", "1.50"}, {"decimal(10,4)", "1.5050", "decimal(10,2)", "!digits would be lost"}, {"decimal(10,4)", "999999", "decimal(10,8)", "!out of range"}, {"decimal(10,4)", "999999", "decimal(5,0)", "!out of range"},
		{"decimal(10,4)", "12", "int", "12"}, {"decimal(10,4)", "12.5", "int", "!not an integer"}, {"decimal(38,0)", "99999999999999999999", "int", "!out of range"}, {"decimal(10,4)", "0.1", "float", "0.1"},
		{"float", 0.125, "decimal(10,2)", "0.12"}, {"float", 0.375, "decimal(10,2)", "0.38"}, {"float", 1.005, "decimal(10,2)", "1.00"}, {"float", -2.5, "decimal(10,0)", "-2"}, {"float", 1e300, "decimal(38,0)", "!out of range"}, {"float", 1e38, "decimal(38,0)", "99999999999999997748809823456034029568"}, {"float", -1e38, "decimal(38,0)", "-99999999999999997748809823456034029568"}, {"float", 1e38, "decimal(38,1)", "!out of range"}, {"float", math.Nextafter(1e38, 2e38), "decimal(38,0)", "!out of range"}, {"float", math.NaN(), "decimal(38,0)", "!not a finite number"},
		{"float", 1e3, "int", "1000"}, {"float", 1.5, "int", "!not an integer"}, {"float", 1e19, "int", "!out of range"}, {"float", 1e19, "uint", "10000000000000000000"}, {"float", math.Inf(-1), "int", "!not a finite number"}, {"float", -0.5, "uint", "!not an integer"},
		{"int", int64(1<<53 + 1), "float", "9007199254740992"}, {"uint", uint64(3), "float", "3"},
		{"string", "12", "int", "12"}, {"string", "-1.2e1", "int", "-12"}, {"string", "12.5", "int", "!not an integer"}, {"string", "", "int", "!not an integer"}, {"string", " 1", "int", "!not an integer"}, {"string", "1e30", "int", "!out of range"},
		{"string", "1.50", "decimal(10,2)", "1.50"}, {"string", "1.505", "decimal(10,2)", "!digits would be lost"}, {"string", "x", "decimal(10,2)", "!not a number"},
		{"string", "2.5e-3", "float", "0.0025"}, {"string", "NaN", "float", "!not a number"}, {"string", "0x10", "float", "!not a number"}, {"string", "1_0", "float", "!not a number"}, {"string", "1e999", "float", "!out of range"}, {"string", "", "float", "!not a number"},
		{"string", "true", "bool", "true"}, {"string", "True", "bool", "!not true or false"}, {"json", "false", "bool", "false"}, {"json", "0", "bool", "!not true or false"},
		{"json", " 5 ", "int", "5"}, {"json", "null", "int", "nil"}, {"json", "[1]", "int", "!not a single value"}, {"json", `{"a":1}`, "float", "!not a single value"}, {"json", "1.25", "decimal(10,2)", "1.25"}, {"json", `"1.25"`, "float", "1.25"}, {"json", "", "int", "!not a single value"},
		{"json", `"a\"b\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud800x"`, "string", "a\"b\\/\b\f\n\r\té😀\ufffdx"}, {"json", `"plain"`, "string", "plain"}, {"json", `[1, "a"]`, "string", `[1, "a"]`}, {"json", "null", "string", "nil"}, {"json", `"\u12"`, "string", "!not a single value"}, {"json", `"\x"`, "string", "!not a single value"}, {"json", `"a\`, "string", "!not a single value"}, {"json", `"\ud800\`, "string", "!not a single value"},
		{"json", " 1", "json", " 1"},
		{"int", int64(-5), "string", "-5"}, {"uint", uint64(5), "string", "5"}, {"bool", true, "string", "true"}, {"decimal(10,4)", "1.5", "string", "1.5000"}, {"bytes", "ab", "string", "ab"}, {"bytes", "\xff", "string", "!not UTF-8"}, {"string", "a", "bytes", "a"},
		{"float", 1.0, "string", "1"}, {"float", 1e21, "string", "1e+21"}, {"float", 1e-7, "string", "1e-07"}, {"float", math.Inf(1), "string", "+Inf"}, {"float", 123456789.5, "string", "123456789.5"},
		{"int", int64(5), "json", "5"}, {"string", "a\"\\\n\r\t\x01é", "json", `"a\"\\\n\r\t\u0001é"`}, {"bytes", "\xff\x00", "json", `"/wA="`}, {"float", math.NaN(), "json", "!not a finite number"}, {"float", 0.5, "json", "0.5"}, {"bool", false, "json", "false"}, {"uint", uint64(5), "json", "5"}, {"decimal(10,4)", "1.5", "json", "1.5000"},
	} {
		e := typed(t, "x", c.from)
		v, typ, reason := run(t, e, "x", c.as, row{"x": c.value})
		got := "nil"
		switch {
		case v == (bad{}):
			cause, ok := strings.CutPrefix(reason, "field f: ")
			if !ok {
				t.Errorf("%s as %s: reason %q", c.from, c.as, reason)
			}
			got = "!" + cause
			if text, ok := c.value.(string); ok && len(text) > 3 && strings.Contains(reason, text) {
				t.Errorf("%s as %s: the reason %q holds the value", c.from, c.as, reason)
			}
		case v != nil && typ.Kind == record.Timestamp, v != nil && typ.Kind == record.Decimal, v != nil && typ.Kind == record.Float:
			inner, _, _ := run(t, typed(t, "x", typ.String()), "string(x)", "", row{"x": v})
			got = fmt.Sprint(inner)
		case v != nil:
			got = fmt.Sprint(v)
		}
		if got != c.want {
			t.Errorf("%s %v as %s is %q instead of %q", c.from, c.value, c.as, got, c.want)
		}
	}
}

// A time that has no text of four digits for its year cannot be written.
func TestTimesBeyondTheCalendar(t *testing.T) {
	e := typed(t, "x", "int")
	if v, _, reason := run(t, e, `string(timestamp(x, "us"))`, "", row{"x": int64(math.MaxInt64)}); v != (bad{}) || reason != `field f: string(timestamp(x, "us")): out of range` {
		t.Errorf("%v, %s", v, reason)
	}
	if v, _, _ := run(t, e, `truncate(timestamp(x, "us"), "day")`, "", row{"x": int64(math.MinInt64)}); v != (bad{}) {
		t.Errorf("the day of the first microsecond begins at %v", v)
	}
}

// A quotient by a decimal with many digits behind the point: 10^44 times the
// dividend is more than any decimal, and the quotient may still be one.
func TestQuotientsOfManyDigits(t *testing.T) {
	e := typed(t, "p", "decimal(38,0)", "q", "decimal(38,38)")
	for _, c := range []struct{ p, q, want string }{
		{"1", "0.5", "2.000000"}, {"-1", "0.3", "-3.333333"}, {"2", "0.00000000000000000000000000000003", "66666666666666666666666666666666.666667"},
		{"0", "-0.1", "0.000000"}, {strings.Repeat("9", 38), "0.5", "!overflow"}, {"1", "0.00000000000000000000000000000000000001", "!overflow"},
	} {
		v, _, reason := run(t, e, "string(p / q)", "", row{"p": c.p, "q": c.q})
		if got := fmt.Sprint(v); got != c.want && (v != (bad{}) || !strings.HasSuffix(reason, ": "+c.want[1:])) {
			t.Errorf("%s / %s is %s %s instead of %s", c.p, c.q, got, reason, c.want)
		}
	}
}

// A null that has a type is one next to every kind of company, not the zero that
// lies in its column, and is in no list.
func TestConstantNulls(t *testing.T) {
	e := typed(t, "i", "int", "d", "decimal(18,6)", "u", "uint", "s", "string", "b", "bool")
	event := row{"i": int64(0), "d": "0", "u": uint64(0), "s": "", "b": true}
	for _, text := range []string{
		"int(nil) + 1.5", "1.5 - int(nil)", "d + int(nil)", "d * int(nil)", "int(nil) / 2", "i / int(nil)", "d == int(nil)", "i + decimal(nil, 9, 2)", "d - uint(nil)", "(b ? nil : 5) + d", "(true ? nil : 5) * 1.5", "b ? int(nil) : 1.5",
		"d in [int(nil), 1]", "i in [int(nil), 1]", "i not in [int(nil), 1, 2, 3, 4, 5, 6, 7, 8, 9]", "d in [decimal(nil, 18, 6), 1]", "u in [uint(nil)]", "s in [string(nil), 'x']", "s in [string(nil), '1', '2', '3', '4', '5', '6', '7', '8', '9']", "b in [bool(nil), false]",
	} {
		if v, _, reason := run(t, e, text, "", event); v != nil {
			t.Errorf("%s is %s %s instead of nil", text, show(v), reason)
		}
	}
	for text, want := range map[string]string{"int(nil) ?? 1.5": "3/2", "int(nil) ?? d": "0", "d in [int(nil), 0]": "true", "i not in [int(nil), 0]": "false", "s in [string(nil), '']": "true"} {
		if v, _, reason := run(t, e, text, "", event); show(v) != want {
			t.Errorf("%s is %s %s instead of %s", text, show(v), reason, want)
		}
	}
}

// A constant on the left of in, next to constants and paths on the right: every
// row is compared, beyond the first and beyond the first word of a bitmap too.
func TestConstantInListWithPaths(t *testing.T) {
	e := typed(t, "i", "int", "s", "string", "d", "decimal(9,2)")
	for text, want := range map[string]bool{
		"5 in [5, i]": true, "5 in [6, i]": false, "5 not in [5, i]": false, "'a' in ['a', s]": true, "'a' in ['b', s]": false, "1.5 in [1.50, d]": true, "5 in [i, 5.0]": true, "true in [i == 1, true]": true, "int(nil) in [1, i]": false,
	} {
		p := mustCompile(t, plan.Spec{Where: text, Fields: []plan.Field{{Name: "i", Expr: "i"}}}, e)
		events := make([]row, 130)
		for i := range events {
			events[i] = row{"i": int64(0), "s": "", "d": big.NewRat(0, 1)}
		}
		src := author{rand.New(rand.NewPCG(1, 1))}.decode(p.Wants(), events, 0)
		r, err := p.NewProjector(p.Wants())
		if err != nil {
			t.Fatal(err)
		}
		dst := record.NewChunk(p.Rows())
		if _, err := r.Project(dst, src, src.First, src.Next, nil); err != nil {
			t.Fatal(err)
		}
		if rows := map[bool]int{true: len(events)}[want]; dst.Rows() != rows || len(dst.Bad) > 0 {
			t.Errorf("%s selects %d rows instead of %d", text, dst.Rows(), rows)
		}
	}
}

// What is not a number is in no list, of however many values.
func TestNaNIsInNoList(t *testing.T) {
	e := typed(t, "f", "float")
	nan := `(float("1e308") * 10 - float("1e308") * 10)`
	for _, values := range []string{nan, nan + ", " + nan, nan + ", 1, 2, 3, 4, 5, 6, 7, 8, 9"} {
		for value, want := range map[float64]bool{math.NaN(): false, 0: false, 9: strings.HasSuffix(values, "9")} {
			if v, _, reason := run(t, e, "f in ["+values+"]", "", row{"f": value}); v != want {
				t.Errorf("%v in [%s] is %v %s", value, values, v, reason)
			}
		}
	}
}

// A decimal of 36 digits and more behind the point has no nanoseconds: 10^41 is
// more than any power in the table.
func TestNanosecondsOfManyDigits(t *testing.T) {
	for _, c := range []struct{ typ, value, want string }{
		{"decimal(38,38)", "0.5", "1970-01-01T00:00:00Z"}, {"decimal(38,38)", "-0.00000000000000000000000000000000000001", "1969-12-31T23:59:59.999999Z"}, {"decimal(38,38)", "0", "1970-01-01T00:00:00Z"},
		{"decimal(38,36)", "-99.5", "1969-12-31T23:59:59.999999Z"}, {"decimal(38,36)", "99.5", "1970-01-01T00:00:00Z"}, {"decimal(38,35)", "999.5", "1970-01-01T00:00:00Z"}, {"decimal(38,34)", "1999.5", "1970-01-01T00:00:00.000001Z"},
	} {
		if v, _, reason := run(t, typed(t, "x", c.typ), `string(timestamp(x, "ns"))`, "", row{"x": c.value}); v != c.want {
			t.Errorf("%s as %s is %v %s instead of %s", c.value, c.typ, v, reason, c.want)
		}
	}
}

// Reasons name the part, the expression and the cause, and no value.
func TestReasons(t *testing.T) {
	e := typed(t, "a", "int", "b", "int", "s", "string", "d", "decimal(38,0)")
	huge := strings.Repeat("9", 38)
	for text, want := range map[string]string{
		"a + b":                 "field f: a + b: overflow",
		"(a - 5) * b":           "field f: (a - 5) * b: overflow",
		"a % (b - b)":           "field f: a % (b - b): division by zero",
		"int(s) + 1":            "field f: int(s): not an integer",
		"d * d":                 "field f: d * d: overflow",
		"d + 1":                 "field f: d + 1: overflow",
		"decimal(a, 3, 1)":      "field f: out of range",
		"abs(a) + abs(-(-b-1))": "field f: -(-b - 1): overflow",
	} {
		_, _, reason := run(t, e, text, "", row{"a": int64(math.MaxInt64), "b": int64(math.MaxInt64), "s": "secret", "d": huge})
		if reason != want {
			t.Errorf("%s: %q instead of %q", text, reason, want)
		}
	}
}

// Lists and maps as text and as JSON, with what is in them.
func TestNestedValuesAsJSON(t *testing.T) {
	e := typed(t, "l", "list(decimal(5,2))", "m", "map(list(string))", "f", "list(float)")
	p := mustCompile(t, plan.Spec{Fields: []plan.Field{{Name: "l", Expr: "l", As: "string"}, {Name: "m", Expr: "json(m)"}, {Name: "n", Expr: "len(l) + len(m)"}, {Name: "f", Expr: "f", As: "json"}}}, e)
	src := record.NewChunk(&record.Schema{Fields: []record.Field{{Type: p.Wants()[0].Type}, {Type: p.Wants()[1].Type}, {Type: p.Wants()[2].Type}}})
	for _, f := range []float64{0.5, math.NaN()} {
		l, m, c := &src.Columns[0], &src.Columns[1], &src.Columns[2]
		l.Elems.AppendDec(record.DecFromInt(150))
		l.Elems.AppendNull()
		l.AppendElems()
		m.Keys.AppendString(`a"b`)
		m.Elems.Elems.AppendString("x\n")
		m.Elems.Elems.AppendNull()
		m.Elems.AppendElems()
		m.Keys.AppendString("c")
		m.Elems.AppendNull()
		m.AppendElems()
		c.Elems.AppendFloat(f)
		c.AppendElems()
		src.Offsets, src.Times = append(src.Offsets, src.Next), append(src.Times, 0)
		src.Next++
	}
	r, err := p.NewProjector(p.Wants())
	if err != nil {
		t.Fatal(err)
	}
	dst := record.NewChunk(p.Rows())
	if _, err := r.Project(dst, src, 0, 2, nil); err != nil {
		t.Fatal(err)
	}
	if len(dst.Bad) != 1 || dst.Bad[0] != (record.Bad{Offset: 1, Reason: "field f: not a finite number"}) {
		t.Errorf("bad %v", dst.Bad)
	}
	got := fmt.Sprint(load(&dst.Columns[0], 0), load(&dst.Columns[1], 0), load(&dst.Columns[2], 0), load(&dst.Columns[3], 0))
	if want := `[1.50,null]{"a\"b":["x\n",null],"c":null}4[0.5]`; got != want {
		t.Errorf("%s instead of %s", got, want)
	}
}
