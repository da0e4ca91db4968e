package plan_test

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

// wideEvents are adEvents with decimals of all digits that there are.
func wideEvents(t testing.TB) events {
	e := adEvents(t)
	e.types = append(e.types, typed(t, "payload.whole", "decimal(38,0)", "payload.middle", "decimal(38,19)", "payload.fine", "decimal(38,38)").types...)
	return e
}

// oneOf picks a value.
func oneOf[T any](a author, values ...T) T { return values[a.IntN(len(values))] }

// The edges: where a kind ends, where the next one does, and where a float
// begins to have gaps.
var (
	edgeInts = []int64{0, 1, -1, 2, 5, 1000, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, math.MinInt64 + 1, 1 << 53, 1<<53 + 1, -1<<53 - 1, 3037000500, -3037000500, 1 << 32, 1e18,
		253402300799999999, 253402300800000000, -62167219200000000, -62167219200000001}
	edgeUints  = []uint64{0, 1, 2, 3, 1 << 63, 1<<63 - 1, 1<<63 + 1, math.MaxUint64, math.MaxUint64 - 1, 1 << 53, 1<<53 + 1, 1 << 32, 1<<32 - 1}
	edgeFloats = []float64{0, math.Copysign(0, -1), 1, 0.25, 0.5, 1.5, 2.5, -3.75, 0.1, 1e300, 1 << 53, 1 << 63, -1 << 63, 1 << 64, -1 << 64, math.Nextafter(1<<63, 0), math.Nextafter(1<<64, 0), 9.5e18, math.Inf(1), math.Inf(-1), math.NaN(),
		1e38, -1e38, math.Nextafter(1e38, 0), math.Nextafter(1e38, 1e39), math.MaxFloat64, math.SmallestNonzeroFloat64, 1e-38, 1e21, 1e-6, 1e-7}
	edgeTexts = []string{"", "a", "Ab", "click", "click ", "é", "ÉA", "impression", "\xff", "a\x80\xe2\x82z", "\x00", "İß\u00a0", "\v x\u2003", "5", "-0", "1e3", "-9223372036854775808", "18446744073709551616", "0.5", "true", ".", "1e-12", "2024-02-29T12:00:00.1234567+02:00", "0000-01-01T00:00:00+01:00"}
	edgeTimes = []time.Time{time.Unix(0, 0), time.Date(2024, 2, 29, 12, 0, 0, 500e6, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(2026, 11, 22, 7, 8, 9, 123456000, time.UTC),
		time.UnixMicro(math.MinInt64), time.UnixMicro(math.MinInt64 + 1), time.UnixMicro(math.MaxInt64), time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-4, 2, 29, 1, 0, 0, 0, time.UTC)}
)

// edgeDecimal is an unscaled value of at most digits digits, often next to what
// a word or the decimal itself holds.
func (a author) edgeDecimal(digits int) *big.Int {
	n := new(big.Int)
	switch a.IntN(4) {
	case 0:
		n.SetInt64(int64(a.IntN(4)))
	case 1:
		n.Lsh(big.NewInt(1), uint(oneOf(a, 31, 32, 53, 63, 64, 65, 126)))
	case 2:
		n.Set(pow10(oneOf(a, digits, digits-1, digits/2)))
	default:
		n.Mul(pow10(digits), big.NewInt(a.Int64()))
		n.Rsh(n, 63+uint(a.IntN(3*digits)))
	}
	n.Add(n, big.NewInt(int64(a.IntN(5)-2)))
	if a.IntN(2) == 0 {
		n.Neg(n)
	}
	if n.CmpAbs(pow10(digits)) >= 0 {
		return a.edgeDecimal(digits)
	}
	return n
}

// rows is a number of rows around the words of a bitmap, or any.
func (a author) rows() int {
	if a.IntN(2) == 0 {
		return oneOf(a, 0, 1, 63, 64, 65, 128, 129)
	}
	return a.IntN(150)
}

// number is a text as casts read it; bad is the rest.
var number = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// readNumber is a text as a number, or bad: not one, or far beyond any decimal.
func readNumber(text string) any {
	if !number.MatchString(text) || len(text) > 400 {
		return bad{}
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	n, _ := new(big.Rat).SetString(mantissa)
	if n.Sign() == 0 || exponent == "" {
		return n
	}
	e, err := strconv.Atoi(exponent)
	switch {
	case err != nil || e > 1000 || e < -1000:
		return bad{}
	case e < 0:
		return n.Quo(n, new(big.Rat).SetInt(pow10(-e)))
	}
	return n.Mul(n, new(big.Rat).SetInt(pow10(e)))
}

// inInteger is what int and uint make of a number or a text: one without a
// fraction.
func inInteger(v any) any {
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return bad{}
	}
	if s, ok := v.(string); ok {
		if v = readNumber(s); v == (bad{}) {
			return v
		}
	}
	if n := ratOf(v); n.IsInt() {
		return n.Num()
	}
	return bad{}
}

// asInt is what int makes of a number or a text.
func asInt(v any) any {
	n, ok := inInteger(v).(*big.Int)
	if !ok {
		return bad{}
	}
	return inInt(n)
}

// inTime is a time, if microseconds of 64 bits hold it.
func inTime(v time.Time) any {
	if v.Before(time.UnixMicro(math.MinInt64)) || v.After(time.UnixMicro(math.MaxInt64)) {
		return bad{}
	}
	return v
}

// timeText is a time as text: of a year of four digits.
func timeText(v time.Time) any {
	if v.Year() < 0 || v.Year() > 9999 {
		return bad{}
	}
	return v.Format("2006-01-02T15:04:05.999999Z")
}

// mapText changes the letters of a text, and leaves what is not UTF-8.
func mapText(s string, to func(string) string) string {
	var b strings.Builder
	for i, r := range s {
		if r == '\ufffd' && !strings.HasPrefix(s[i:], "\ufffd") {
			b.WriteByte(s[i])
		} else {
			b.WriteString(to(string(r)))
		}
	}
	return b.String()
}

// parsed is a text, often one of a number or a time.
func (a author) parsed(depth int) term {
	return a.pick(func() term { return a.text(0) }, func() term {
		x := a.pick(func() term { return a.integer(depth) }, func() term { return a.decimal(depth) }, func() term { return a.moment(depth) }, func() term { return a.unsigned(depth) })
		return a.asText(x)
	})
}

// asText is string(x) of anything but a float.
func (a author) asText(x term) term {
	return term{"string(" + x.text + ")", kind(record.String), lift(func(v ...any) any {
		switch v := v[0].(type) {
		case *big.Rat:
			return v.FloatString(int(x.typ.Scale))
		case time.Time:
			return timeText(v)
		default:
			return fmt.Sprint(v)
		}
	}, x)}
}

// throughJSON is a value made JSON and read again.
func throughJSON(cast string, x term) term {
	return term{cast + "(json(" + x.text + "))", x.typ, lift(func(v ...any) any {
		switch v := v[0].(type) {
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return bad{}
			}
		case string:
			return string([]rune(v)) // what is not UTF-8 becomes U+FFFD
		case time.Time:
			if timeText(v) == (bad{}) {
				return bad{}
			}
		}
		return v[0]
	}, x)}
}

// counted is a timestamp out of a number of units.
func (a author) counted(depth int) term {
	x := a.pick(func() term { return a.integer(depth) }, func() term { return a.unsigned(depth) }, func() term { return a.decimal(depth) }, func() term { return a.parsed(depth) })
	unit := oneOf(a, "s", "ms", "us", "ns")
	exponent := map[string]int{"s": 6, "ms": 3, "us": 0, "ns": -3}[unit]
	return term{fmt.Sprintf("timestamp(%s, %q)", x.text, unit), kind(record.Timestamp), lift(func(v ...any) any {
		if s, ok := v[0].(string); ok {
			n := readNumber(s)
			if n == (bad{}) || inDecimal(n.(*big.Rat), dec(38, 12)) == (bad{}) {
				return bad{}
			}
			v[0] = n
		}
		n := ratOf(v[0])
		if exponent < 0 {
			n = new(big.Rat).Quo(n, new(big.Rat).SetInt(pow10(-exponent)))
		} else {
			n = new(big.Rat).Mul(n, new(big.Rat).SetInt(pow10(exponent)))
		}
		micros := inInt(new(big.Int).Div(n.Num(), n.Denom())) // down, for a positive divisor
		if micros == (bad{}) {
			return micros
		}
		return time.UnixMicro(micros.(int64)).UTC()
	}, x)}
}

// timeOf is a timestamp out of a text.
func (a author) timeOf(depth int) term {
	x := a.parsed(depth)
	return term{"timestamp(" + x.text + ")", kind(record.Timestamp), lift(func(v ...any) any {
		var u time.Time
		if u.UnmarshalText([]byte(v[0].(string))) != nil {
			return bad{}
		}
		return time.UnixMicro(u.UnixMicro()).UTC()
	}, x)}
}

// floatText is string(x) of a float.
func floatText(x term) term {
	return term{"string(" + x.text + ")", kind(record.String), lift(func(v ...any) any {
		f, format := v[0].(float64), byte('f')
		if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
			format = 'e'
		}
		return strconv.FormatFloat(f, format, -1, 64)
	}, x)}
}

// floatOf is a float out of a text.
func floatOf(x term) term {
	return term{"float(" + x.text + ")", kind(record.Float), lift(func(v ...any) any {
		f, err := strconv.ParseFloat(v[0].(string), 64)
		if err != nil || !number.MatchString(v[0].(string)) {
			return bad{}
		}
		return f
	}, x)}
}

// paths are the fields of wideEvents that expressions of an author read.
var paths = regexp.MustCompile(`\b(payload\.[a-z_]+(\[0\]\.price)?|type|time)\b`)

// literal is a constant expression of a value.
func literal(path string, v any) string {
	switch v := v.(type) {
	case nil:
		return map[string]string{"payload.campaign_id": "int(nil)", "payload.clicks": "uint(nil)", "payload.price": "float(nil)", "payload.valid": "bool(nil)", "time": "timestamp(nil)", "payload.cost": "decimal(nil, 18, 6)", "payload.items[0].price": "decimal(nil, 10, 2)",
			"payload.whole": "decimal(nil, 38, 0)", "payload.middle": "decimal(nil, 38, 19)", "payload.fine": "decimal(nil, 38, 38)", "payload.country": "string(nil)", "type": "string(nil)"}[path]
	case bool:
		return fmt.Sprint(v)
	case int64:
		return fmt.Sprintf(`int("%d")`, v)
	case uint64:
		return fmt.Sprintf(`uint("%d")`, v)
	case float64:
		switch {
		case math.IsInf(v, 1):
			return `(float("1e308") * 10)`
		case math.IsInf(v, -1):
			return `(float("-1e308") * 10)`
		case math.IsNaN(v):
			return `(float("1e308") * 10 - float("1e308") * 10)`
		}
		return `float("` + strconv.FormatFloat(v, 'g', -1, 64) + `")`
	case *big.Rat:
		scale := map[string]int{"payload.cost": 6, "payload.items[0].price": 2, "payload.whole": 0, "payload.middle": 19, "payload.fine": 38}[path]
		return fmt.Sprintf(`decimal("%s", 38, %d)`, v.FloatString(scale), scale)
	case time.Time:
		return fmt.Sprintf(`timestamp("%d", "us")`, v.UnixMicro())
	}
	return `string("` + strings.ReplaceAll(v.(string), "\x00", "\\x00") + `")`
}

// An expression over constants is calculated when it is compiled, and must be
// what it is over an event that holds them. Where it is bad there is a problem
// instead, also one in a branch that is not taken.
func TestFoldedAgainstReference(t *testing.T) {
	a, e := newAuthor(t), wideEvents(t)
	seen := map[string]int{}
	for range 2000 {
		x, event := a.anything(1+a.IntN(3)), a.event()
		for _, name := range []string{"type", "payload.country"} { // the text of an expression is UTF-8
			if s, ok := event[name].(string); ok {
				event[name] = strings.ToValidUTF8(s, "")
			}
		}
		text := paths.ReplaceAllStringFunc(x.text, func(path string) string { return literal(path, event[path]) })
		want := x.eval(event)
		p, problems := plan.Compile(plan.Spec{Fields: []plan.Field{{Name: "f", Expr: text}, {Name: "id", Expr: "id"}}}, e)
		if p == nil {
			if want == (bad{}) {
				seen["bad"]++
				continue
			}
			known := strings.Contains(text, "nil") && problems[0].Message == "division by zero" || strings.Contains(text, " or ") || strings.Contains(text, " and ") || strings.ContainsAny(text, "?|&") || strings.Contains(text, " in [") // null, or not reached at run time
			if !known {
				t.Fatalf("%s: %v instead of %s", text, problems, show(want))
			}
			seen["branch"]++
			continue
		}
		r, err := p.NewProjector(p.Wants())
		if err != nil {
			t.Fatal(err)
		}
		src, dst := a.decode(p.Wants(), []row{{"id": "x"}}, 0), record.NewChunk(p.Rows())
		if _, err := r.Project(dst, src, src.First, src.Next, nil); err != nil {
			t.Fatal(err)
		}
		if dst.Rows() != 1 {
			t.Fatalf("%s: bad %v instead of %s", text, dst.Bad, show(want))
		}
		checkColumns(t, dst)
		if got := load(&dst.Columns[0], 0); !identical(got, want) {
			t.Fatalf("%s is %s instead of %s", text, show(got), show(want))
		}
		seen["row"]++
	}
	if seen["row"] < 300 || seen["bad"] < 20 {
		t.Errorf("only %v", seen)
	}
}

// Sums of numbers at the edges of their kinds: exact if they fit, and an error
// that names the first column if not, whatever is on the way.
func TestGrouperSumsAtTheEdges(t *testing.T) {
	a := newAuthor(t)
	e := typed(t, "k", "int", "i", "int", "u", "uint", "d", "decimal(38,0)", "f", "decimal(38,38)")
	p := mustCompile(t, plan.Spec{All: true, Aggregate: &plan.Aggregate{By: []string{"k"}, Columns: []plan.Column{{Name: "i", Expr: "sum(i)"}, {Name: "u", Expr: "sum(u)"}, {Name: "d", Expr: "sum(d)"}, {Name: "f", Expr: "sum(f)"}}}}, e)
	g, seen := p.NewGrouper(), map[string]int{}
	for range 1000 {
		g.Reset()
		sums, groups := [4][3]*big.Int{}, 1+a.IntN(3)
		for i := range sums {
			for k := range groups {
				sums[i][k] = new(big.Int)
			}
		}
		for range 1 + a.IntN(4) {
			c := record.NewChunk(p.Rows())
			c.Partition = int32(a.IntN(2))
			for range a.IntN(4) {
				k := a.IntN(groups)
				values := [4]*big.Int{big.NewInt(oneOf(a, edgeInts...)), new(big.Int).SetUint64(oneOf(a, edgeUints...) >> a.IntN(3)), a.edgeDecimal(38), a.edgeDecimal(38)}
				c.Columns[0].AppendInt(int64(k))
				for i, v := range values {
					if a.IntN(3) == 0 {
						c.Columns[1+i].AppendNull()
						continue
					}
					sums[i][k].Add(sums[i][k], v)
					if i < 2 {
						store(&c.Columns[1+i], map[int]any{0: v.Int64(), 1: v.Uint64()}[i])
					} else {
						store(&c.Columns[1+i], new(big.Rat).SetFrac(v, pow10(int(c.Columns[1+i].Type.Scale))))
					}
				}
				c.Offsets, c.Times = append(c.Offsets, int64(len(c.Offsets))), append(c.Times, 0)
			}
			if err := g.Add(c); err != nil {
				t.Fatal(err)
			}
		}
		checkSums(t, p, g, sums, seen)
	}
	if seen["overflow"] < 50 || seen["sum"] < 500 {
		t.Errorf("only %v", seen)
	}
}

// checkSums compares what is emitted with the sums i, u, d and f per group.
func checkSums(t *testing.T, p *plan.Plan, g *plan.Grouper, sums [4][3]*big.Int, seen map[string]int) {
	t.Helper()
	overflow := ""
	for i, name := range []string{"i", "u", "d", "f"} {
		for _, s := range sums[i] {
			if s != nil && overflow == "" && (i == 0 && !s.IsInt64() || i == 1 && !s.IsUint64() || s.CmpAbs(pow10(38)) >= 0) {
				overflow = name
			}
		}
	}
	out := record.NewChunk(p.Schema())
	err := g.Emit(out)
	switch {
	case overflow != "":
		seen["overflow"]++
		if err == nil || !strings.HasPrefix(err.Error(), "column "+overflow+":") || out.Rows() != 0 {
			t.Fatalf("%v and %d rows instead of an overflow of %s: %v", err, out.Rows(), overflow, sums)
		}
		return
	case err != nil:
		t.Fatalf("%v: %v", err, sums)
	}
	checkColumns(t, out)
	for row := range out.Rows() {
		k := out.Columns[0].Ints[row]
		for i := range sums {
			c := &out.Columns[1+i]
			got := new(big.Rat).Mul(ratOf(load(c, row)), new(big.Rat).SetInt(pow10(int(c.Type.Scale))))
			if seen["sum"]++; got.Cmp(new(big.Rat).SetInt(sums[i][k])) != 0 {
				t.Fatalf("sum %d of group %d is %s instead of %s", i, k, got.RatString(), sums[i][k])
			}
		}
	}
}
