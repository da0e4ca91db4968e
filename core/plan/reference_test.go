package plan_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/record"
)

// The reference: expressions as trees of functions over one row at a time, on
// big numbers, written without a look at the package's kernels. A row maps
// path texts to values: nil, bool, int64, uint64, float64, *big.Rat, string,
// time.Time.
type row map[string]any

// bad is the value of a row that an expression fails on.
type bad struct{}

// term is an expression as text, with its type and its reference.
type term struct {
	text string
	typ  record.Type
	eval func(row) any
}

// author writes random expressions.
type author struct {
	*rand.Rand
}

func kind(k record.Kind) record.Type { return record.Type{Kind: k} }

func dec(precision, scale int) record.Type {
	return record.Type{Kind: record.Decimal, Precision: uint8(min(precision, 38)), Scale: uint8(scale)}
}

// lift makes a function of values one that null and bad arguments pass through,
// the first bad one first.
func lift(f func(args ...any) any, terms ...term) func(row) any {
	return func(r row) any {
		args, null := make([]any, len(terms)), false
		for i, t := range terms {
			args[i] = t.eval(r)
			if args[i] == (bad{}) {
				return bad{}
			}
			null = null || args[i] == nil
		}
		if null {
			return nil
		}
		return f(args...)
	}
}

func pathTerm(text string, t record.Type) term {
	return term{text, t, func(r row) any { return r[text] }}
}

func constant(text string, t record.Type, v any) term {
	return term{text, t, func(row) any { return v }}
}

// pick chooses one of several ways to write an expression.
func (a author) pick(ways ...func() term) term { return ways[a.IntN(len(ways))]() }

func ratOf(v any) *big.Rat {
	switch v := v.(type) {
	case int64:
		return new(big.Rat).SetInt64(v)
	case uint64:
		return new(big.Rat).SetInt(new(big.Int).SetUint64(v))
	case float64:
		return new(big.Rat).SetFloat64(v)
	}
	return v.(*big.Rat)
}

// order compares two values as the language does; not ok for NaN.
func order(x, y any) (int, bool) {
	switch x := x.(type) {
	case string:
		return bytes.Compare([]byte(x), []byte(y.(string))), true
	case time.Time:
		return x.Compare(y.(time.Time)), true
	case bool:
		if x == y.(bool) {
			return 0, true
		}
		return 1, true
	}
	for _, v := range []any{x, y} {
		if f, ok := v.(float64); ok && math.IsNaN(f) {
			return 0, false
		}
	}
	infinity := func(v any) float64 {
		if f, ok := v.(float64); ok && math.IsInf(f, 0) {
			return f
		}
		return 0
	}
	if p, q := infinity(x), infinity(y); p != 0 || q != 0 {
		return cmp.Compare(p, q), true
	}
	return ratOf(x).Cmp(ratOf(y)), true
}

func relation(op string, x, y any) bool {
	c, ok := order(x, y)
	switch op {
	case "==":
		return ok && c == 0
	case "!=":
		return !ok || c != 0
	case "<":
		return ok && c < 0
	case "<=":
		return ok && c <= 0
	case ">":
		return ok && c > 0
	}
	return ok && c >= 0
}

// anything writes an expression of a kind that has values to compare.
func (a author) anything(depth int) term {
	return a.pick(
		func() term { return a.integer(depth) }, func() term { return a.unsigned(depth) }, func() term { return a.decimal(depth) },
		func() term { return a.float(depth) }, func() term { return a.text(depth) }, func() term { return a.moment(depth) },
		func() term { return a.truth(depth) })
}

// like writes another expression of t's kind, or a literal.
func (a author) like(t term, depth int) term {
	if a.IntN(40) == 0 {
		return null(t.typ)
	}
	switch t.typ.Kind {
	case record.Int:
		return a.pick(func() term { return a.integer(depth) }, a.intLiteral)
	case record.Uint:
		return a.pick(func() term { return a.unsigned(depth) }, func() term {
			v := oneOf(a, uint64(a.IntN(5)), uint64(a.IntN(5)), math.MaxInt64, 1<<53+1) // what the parser takes
			return constant(strconv.FormatUint(v, 10), kind(record.Uint), v)
		})
	case record.Decimal:
		return a.pick(func() term { return a.decimal(depth) }, a.decimalLiteral)
	case record.Float:
		return a.pick(func() term { return a.float(depth) }, func() term {
			text := oneOf(a, "0.25", "0.1", "9007199254740993", "9223372036854775807", "1e37", "1e-38", "12345678901234567890.123456789", "0", "-3.75", "2.5", "1e21", "1e-7", "0.5", "9.5e18", "-1")
			v, _ := strconv.ParseFloat(text, 64)
			if a.IntN(8) == 0 {
				text, v = literal("", math.NaN()), math.NaN()
			}
			return constant(text, kind(record.Float), v)
		})
	case record.String:
		return a.pick(func() term { return a.text(depth) }, a.textLiteral)
	case record.Timestamp:
		return a.pick(func() term { return a.moment(depth) }, func() term {
			text := oneOf(a, "2024-02-29T12:00:00.5Z", "9999-12-31T23:59:59.9999999Z", "0000-01-01T00:00:00+23:59")
			v, _ := time.Parse(time.RFC3339Nano, text)
			return constant(strconv.Quote(text), t.typ, time.UnixMicro(v.UnixMicro()).UTC())
		})
	}
	return a.pick(func() term { return a.truth(depth) }, func() term { return constant("true", t.typ, true) })
}

// null is nil with a type.
func null(t record.Type) term {
	text := t.Kind.String() + "(nil)"
	if t.Kind == record.Decimal {
		text = fmt.Sprintf("decimal(nil, %d, %d)", t.Precision, t.Scale)
	}
	return constant(text, t, nil)
}

// comparable writes two expressions that may be compared.
func (a author) comparable(depth int) (x, y term) {
	x = a.anything(depth)
	if a.IntN(3) > 0 || x.typ.Kind == record.Bool || x.typ.Kind == record.String || x.typ.Kind == record.Timestamp {
		return x, a.like(x, depth)
	}
	others := []func() term{func() term { return a.integer(depth) }, func() term { return a.unsigned(depth) }}
	if x.typ.Kind != record.Float {
		others = append(others, func() term { return a.decimal(depth) })
	}
	if x.typ.Kind != record.Decimal {
		others = append(others, func() term { return a.float(depth) })
	}
	return x, a.pick(others...)
}

// truth writes a condition.
func (a author) truth(depth int) term {
	if depth == 0 {
		return pathTerm("payload.valid", kind(record.Bool))
	}
	d := depth - 1
	boolean := kind(record.Bool)
	return a.pick(
		func() term {
			x, y := a.comparable(d)
			ops := []string{"==", "!=", "<", "<=", ">", ">="}
			if x.typ.Kind == record.Bool {
				ops = ops[:2]
			}
			op := ops[a.IntN(len(ops))]
			return term{"(" + x.text + " " + op + " " + y.text + ")", boolean, lift(func(v ...any) any { return relation(op, v[0], v[1]) }, x, y)}
		},
		func() term { return a.connected("and", false, d) },
		func() term { return a.connected("or", true, d) },
		func() term {
			x := a.truth(d)
			return term{"(not (" + x.text + "))", boolean, lift(func(v ...any) any { return !v[0].(bool) }, x)}
		},
		func() term {
			x := a.anything(d)
			op := []string{"==", "!="}[a.IntN(2)]
			return term{"(" + x.text + " " + op + " nil)", boolean, func(r row) any {
				v := x.eval(r)
				if v == (bad{}) {
					return v
				}
				return (v == nil) == (op == "==")
			}}
		},
		func() term { return a.membership(d) },
		func() term {
			x, y := a.text(d), a.pick(a.textLiteral, func() term { return a.text(0) })
			op := []string{"startsWith", "endsWith", "contains"}[a.IntN(3)]
			test := map[string]func(string, string) bool{"startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix, "contains": strings.Contains}[op]
			return term{"(" + x.text + " " + op + " " + y.text + ")", boolean, lift(func(v ...any) any { return test(v[0].(string), v[1].(string)) }, x, y)}
		},
		func() term { return a.choice(a.truth(d), d) },
		func() term { return pathTerm("payload.valid", boolean) },
	)
}

// connected is and (decisive: false) or or (decisive: true) over two to four
// conditions: decided by one that decides, wherever it stands.
func (a author) connected(op string, decisive bool, depth int) term {
	var terms []term
	var texts []string
	for range 2 + a.IntN(3) {
		t := a.truth(depth)
		terms, texts = append(terms, t), append(texts, t.text)
	}
	if a.IntN(2) == 0 {
		op = map[string]string{"and": "&&", "or": "||"}[op]
	}
	return term{"(" + strings.Join(texts, " "+op+" ") + ")", kind(record.Bool), func(r row) any {
		var result any = !decisive
		for _, t := range terms {
			switch v := t.eval(r); {
			case v == decisive:
				return v
			case v == (bad{}) || v == nil && result != (bad{}):
				result = v
			}
		}
		return result
	}}
}

// membership is x in [a, b] and x not in [a, b].
func (a author) membership(depth int) term {
	x := a.anything(depth)
	mixed := a.IntN(4) == 0 && (x.typ.Kind == record.Int || x.typ.Kind == record.Uint || x.typ.Kind == record.Decimal)
	literals := !mixed && a.IntN(2) == 0 // a set, of more than a few values too
	var terms []term
	var texts []string
	for range 1 + a.IntN(20) {
		t := a.like(x, 0)
		for literals && paths.MatchString(t.text) {
			t = a.like(x, 0)
		}
		if mixed {
			t = a.pick(func() term { return a.integer(0) }, func() term { return a.unsigned(0) }, func() term { return a.decimal(0) }, a.intLiteral, a.decimalLiteral)
		}
		terms, texts = append(terms, t), append(texts, t.text)
	}
	op, negate := "in", a.IntN(2) == 0
	if negate {
		op = "not in"
	}
	return term{"(" + x.text + " " + op + " [" + strings.Join(texts, ", ") + "])", kind(record.Bool), func(r row) any {
		var result any = false
		v := x.eval(r)
		for _, t := range terms {
			switch w := t.eval(r); {
			case v == (bad{}) || w == (bad{}):
				result = bad{}
			case v == nil || w == nil:
				if result != (bad{}) {
					result = nil
				}
			case relation("==", v, w):
				return !negate
			}
		}
		if negate && result == false {
			return true
		}
		return result
	}}
}

// choice is c ? t : u, or t ?? u, with u like t.
func (a author) choice(t term, depth int) term {
	u := a.like(t, depth)
	typ := t.typ
	if typ.Kind == record.Decimal {
		whole := max(int(t.typ.Precision-t.typ.Scale), int(u.typ.Precision-u.typ.Scale))
		scale := max(int(t.typ.Scale), int(u.typ.Scale))
		typ = dec(whole+scale, scale)
	}
	fit := func(v any) any {
		if d, ok := v.(*big.Rat); ok {
			return inDecimal(d, typ)
		}
		return v
	}
	if a.IntN(2) == 0 {
		return term{"(" + t.text + " ?? " + u.text + ")", typ, func(r row) any {
			if v := t.eval(r); v != nil {
				return fit(v)
			}
			return fit(u.eval(r))
		}}
	}
	c := a.truth(min(depth, 1))
	return term{"(" + c.text + " ? " + t.text + " : " + u.text + ")", typ, func(r row) any {
		switch c.eval(r) {
		case bad{}:
			return bad{}
		case true:
			return fit(t.eval(r))
		}
		return fit(u.eval(r))
	}}
}

func (a author) intLiteral() term {
	v := oneOf(a, int64(a.IntN(30)), int64(a.IntN(30)), int64(a.IntN(30)), -int64(a.IntN(30)), math.MaxInt64, -math.MaxInt64, 1<<53+1)
	return constant(strconv.FormatInt(v, 10), kind(record.Int), v)
}

func (a author) decimalLiteral() term {
	scale := a.IntN(8)
	n := big.NewInt(int64(a.IntN(3000)))
	if a.IntN(6) == 0 {
		scale = a.IntN(39)
		n = a.edgeDecimal(38)
		n.Abs(n)
		if scale == 0 { // e3 stands behind it
			n.Quo(n, pow10(3))
		}
	}
	text := new(big.Rat).SetFrac(n, pow10(scale)).FloatString(scale)
	if scale == 0 {
		text += "e3" // without a point or an exponent it would be an int
	}
	v, _ := new(big.Rat).SetString(text)
	digits := len(new(big.Rat).Mul(v, new(big.Rat).SetInt(pow10(scale))).Num().String())
	if v.Sign() == 0 {
		digits = 1
	}
	return constant(text, dec(max(digits, scale), scale), v)
}

func (a author) textLiteral() term {
	v := []string{"", "a", "Ab", "click", "é", "b", "c", "d", "e", "f", "g", "h", "i", "j"}[a.IntN(14)]
	return constant(strconv.Quote(v), kind(record.String), v)
}

// inInt is n as an int64, or bad.
func inInt(n *big.Int) any {
	if !n.IsInt64() {
		return bad{}
	}
	return n.Int64()
}

// integer writes an int.
func (a author) integer(depth int) term {
	t := kind(record.Int)
	if depth == 0 {
		return pathTerm("payload.campaign_id", t)
	}
	d := depth - 1
	return a.pick(
		func() term { return pathTerm("payload.campaign_id", t) },
		func() term {
			x := a.pick(func() term { return a.parsed(d) }, func() term { return a.moment(d) })
			return term{"int(" + x.text + ")", t, lift(func(v ...any) any {
				if u, ok := v[0].(time.Time); ok {
					return u.UnixMicro()
				}
				return asInt(v[0])
			}, x)}
		},
		func() term { return throughJSON("int", a.integer(d)) },
		func() term {
			x, y := a.integer(d), a.pick(func() term { return a.integer(d) }, a.intLiteral, func() term { return a.signed(d) })
			op := string("+-*%"[a.IntN(4)])
			return term{"(" + x.text + " " + op + " " + y.text + ")", t, lift(func(v ...any) any {
				p, q, n := big.NewInt(v[0].(int64)), big.NewInt(v[1].(int64)), new(big.Int)
				switch op {
				case "+":
					n.Add(p, q)
				case "-":
					n.Sub(p, q)
				case "*":
					n.Mul(p, q)
				default:
					if q.Sign() == 0 {
						return bad{}
					}
					n.Rem(p, q)
				}
				return inInt(n)
			}, x, y)}
		},
		func() term { return a.mixedInteger(d) },
		func() term {
			x := a.unsigned(d)
			return term{"(-" + x.text + ")", t, lift(func(v ...any) any {
				n := inInt(ratOf(v[0]).Num())
				if n == (bad{}) {
					return n
				}
				return -n.(int64)
			}, x)}
		},
		func() term {
			x := a.integer(d)
			return term{"(-" + x.text + ")", t, lift(func(v ...any) any { return inInt(new(big.Int).Neg(big.NewInt(v[0].(int64)))) }, x)}
		},
		func() term {
			x := a.integer(d)
			return term{"abs(" + x.text + ")", t, lift(func(v ...any) any { return inInt(new(big.Int).Abs(big.NewInt(v[0].(int64)))) }, x)}
		},
		func() term {
			x := a.text(d)
			return term{"len(" + x.text + ")", t, lift(func(v ...any) any { return int64(len([]rune(v[0].(string)))) }, x)}
		},
		func() term {
			x := a.moment(d)
			part := []string{"year", "month", "day", "hour", "minute", "second"}[a.IntN(6)]
			return term{part + "(" + x.text + ")", t, lift(func(v ...any) any {
				u := v[0].(time.Time)
				return int64(map[string]int{"year": u.Year(), "month": int(u.Month()), "day": u.Day(), "hour": u.Hour(), "minute": u.Minute(), "second": u.Second()}[part])
			}, x)}
		},
		func() term { return a.signed(d) },
		func() term { return a.choice(a.integer(d), d) },
	)
}

// mixedInteger is an int and a uint, in either order: calculated as ints.
func (a author) mixedInteger(depth int) term {
	x, u := a.integer(depth), a.unsigned(depth)
	// The uint is made an int before anything else, also next to a null.
	y := term{u.text, kind(record.Int), lift(func(v ...any) any { return inInt(ratOf(v[0]).Num()) }, u)}
	if a.IntN(2) == 0 {
		x, y = y, x
	}
	op := string("+-*"[a.IntN(3)])
	return term{"(" + x.text + " " + op + " " + y.text + ")", kind(record.Int), lift(func(v ...any) any {
		p, q, n := big.NewInt(v[0].(int64)), big.NewInt(v[1].(int64)), new(big.Int)
		switch op {
		case "+":
			n.Add(p, q)
		case "-":
			n.Sub(p, q)
		default:
			n.Mul(p, q)
		}
		return inInt(n)
	}, x, y)}
}

// signed is a number of another kind that is an integer, or bad.
func (a author) signed(depth int) term {
	x := a.pick(func() term { return a.unsigned(depth) }, func() term { return a.decimal(depth) }, func() term { return a.float(depth) })
	return term{"int(" + x.text + ")", kind(record.Int), lift(func(v ...any) any { return asInt(v[0]) }, x)}
}

// unsigned writes a uint.
func (a author) unsigned(depth int) term {
	t := kind(record.Uint)
	if depth == 0 {
		return pathTerm("payload.clicks", t)
	}
	d := depth - 1
	return a.pick(
		func() term { return pathTerm("payload.clicks", t) },
		func() term {
			x := a.pick(func() term { return a.integer(d) }, func() term { return a.decimal(d) }, func() term { return a.float(d) }, func() term { return a.parsed(d) })
			return term{"uint(" + x.text + ")", t, lift(func(v ...any) any {
				n, ok := inInteger(v[0]).(*big.Int)
				if !ok || !n.IsUint64() {
					return bad{}
				}
				return n.Uint64()
			}, x)}
		},
		func() term { return throughJSON("uint", a.unsigned(d)) },
		func() term {
			x := a.unsigned(d)
			return term{"abs(" + x.text + ")", t, x.eval}
		},
		func() term {
			x := a.unsigned(d)
			y := a.like(x, d)
			op := string("+-*%"[a.IntN(4)])
			return term{"(" + x.text + " " + op + " " + y.text + ")", t, lift(func(v ...any) any {
				p, q, n := new(big.Int).SetUint64(v[0].(uint64)), new(big.Int).SetUint64(v[1].(uint64)), new(big.Int)
				switch op {
				case "+":
					n.Add(p, q)
				case "-":
					n.Sub(p, q)
				case "*":
					n.Mul(p, q)
				default:
					if q.Sign() == 0 {
						return bad{}
					}
					n.Rem(p, q)
				}
				if !n.IsUint64() {
					return bad{}
				}
				return n.Uint64()
			}, x, y)}
		},
		func() term { return a.choice(a.unsigned(d), d) },
	)
}

// inDecimal is v if it is a decimal of type t without rounding, or bad.
func inDecimal(v *big.Rat, t record.Type) any {
	n := new(big.Rat).Mul(v, new(big.Rat).SetInt(pow10(int(t.Scale))))
	if !n.IsInt() || n.Num().CmpAbs(pow10(int(t.Precision))) >= 0 {
		return bad{}
	}
	return v
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// rounded brings v to scale digits, half to even.
func rounded(v *big.Rat, scale int) *big.Rat {
	n := new(big.Rat).Mul(v, new(big.Rat).SetInt(pow10(scale)))
	floor := new(big.Int).Div(n.Num(), n.Denom())
	half := new(big.Rat).Sub(n, new(big.Rat).SetInt(floor)).Cmp(big.NewRat(1, 2))
	if half > 0 || half == 0 && floor.Bit(0) == 1 {
		floor.Add(floor, big.NewInt(1))
	}
	return new(big.Rat).SetFrac(floor, pow10(scale))
}

// decimal writes a decimal.
func (a author) decimal(depth int) term {
	leaf := func() term {
		p := decimalPaths[max(0, a.IntN(len(decimalPaths)+4)-4)]
		if a.IntN(3) == 0 {
			p = decimalPaths[1]
		}
		return pathTerm(p.name, p.typ)
	}
	if depth == 0 {
		return leaf()
	}
	d := depth - 1
	return a.pick(leaf,
		func() term { return a.decimalOperation(d) },
		func() term {
			x := a.decimal(d)
			return term{"(-" + x.text + ")", x.typ, lift(func(v ...any) any { return new(big.Rat).Neg(ratOf(v[0])) }, x)}
		},
		func() term {
			x := a.decimal(d)
			return term{"abs(" + x.text + ")", x.typ, lift(func(v ...any) any { return new(big.Rat).Abs(ratOf(v[0])) }, x)}
		},
		func() term {
			x, digits := a.decimal(d), oneOf(a, a.IntN(5), a.IntN(5), a.IntN(39))
			if digits >= int(x.typ.Scale) {
				return x
			}
			t := dec(int(x.typ.Precision-x.typ.Scale)+digits+1, digits)
			return term{fmt.Sprintf("round(%s, %d)", x.text, digits), t, lift(func(v ...any) any { return rounded(ratOf(v[0]), digits) }, x)}
		},
		func() term {
			x := a.pick(func() term { return a.integer(d) }, func() term { return a.unsigned(d) }, func() term { return a.decimal(d) }, func() term { return a.float(d) }, func() term { return a.parsed(d) })
			precision := oneOf(a, 1+a.IntN(38), 38)
			t := dec(precision, oneOf(a, 0, a.IntN(precision+1), a.IntN(precision+1)))
			return term{fmt.Sprintf("decimal(%s, %d, %d)", x.text, t.Precision, t.Scale), t, lift(func(v ...any) any {
				if s, ok := v[0].(string); ok {
					if v[0] = readNumber(s); v[0] == (bad{}) {
						return v[0]
					}
				}
				f, isFloat := v[0].(float64)
				if !isFloat {
					return inDecimal(ratOf(v[0]), t)
				}
				if math.IsNaN(f) || math.IsInf(f, 0) {
					return bad{}
				}
				return inDecimal(rounded(ratOf(f), int(t.Scale)), t)
			}, x)}
		},
		func() term { return a.choice(a.decimal(d), d) },
	)
}

// decimalOperation is + - * / of two decimals, or of one and an integer.
func (a author) decimalOperation(depth int) term {
	x, y := a.decimal(depth), a.pick(func() term { return a.decimal(depth) }, a.decimalLiteral, a.intLiteral, func() term { return a.integer(depth) }, func() term { return a.unsigned(depth) },
		func() term {
			return null(oneOf(a, kind(record.Int), kind(record.Uint), dec(9, 2)))
		})
	if a.IntN(2) == 0 {
		x, y = y, x
	}
	op := string("+-*/"[a.IntN(4)])
	asDecimal := func(t term) record.Type {
		switch {
		case t.typ.Kind == record.Int && t.text[0] != '(' && strings.Trim(t.text, "-0123456789") == "": // a literal
			return dec(len(strings.Trim(t.text, "-")), 0)
		case t.typ.Kind == record.Int:
			return dec(19, 0)
		case t.typ.Kind == record.Uint:
			return dec(20, 0)
		}
		return t.typ
	}
	s, u := asDecimal(x), asDecimal(y)
	scale := max(int(s.Scale), int(u.Scale))
	precision := max(int(s.Precision-s.Scale), int(u.Precision-u.Scale)) + scale + 1
	switch op {
	case "*":
		precision, scale = int(s.Precision)+int(u.Precision), int(s.Scale)+int(u.Scale)
	case "/":
		precision, scale = 38, max(6, int(s.Scale))
	}
	if scale > 38 {
		return a.decimal(0) // refused when compiled, which has its own test
	}
	if x.typ.Kind != record.Decimal && y.typ.Kind != record.Decimal {
		return a.decimalOperation(depth)
	}
	t := dec(precision, scale)
	return term{"(" + x.text + " " + op + " " + y.text + ")", t, lift(func(v ...any) any {
		p, q, n := ratOf(v[0]), ratOf(v[1]), new(big.Rat)
		switch op {
		case "+":
			n.Add(p, q)
		case "-":
			n.Sub(p, q)
		case "*":
			n.Mul(p, q)
		default:
			if q.Sign() == 0 {
				return bad{}
			}
			n = rounded(n.Quo(p, q), scale)
		}
		if op == "+" || op == "-" { // both are brought to the scale first
			for _, side := range []*big.Rat{p, q} {
				if inDecimal(side, dec(38, scale)) == (bad{}) {
					return bad{}
				}
			}
		}
		return inDecimal(n, dec(38, scale))
	}, x, y)}
}

// float writes a float.
func (a author) float(depth int) term {
	t := kind(record.Float)
	if depth == 0 {
		return pathTerm("payload.price", t)
	}
	d := depth - 1
	return a.pick(
		func() term { return pathTerm("payload.price", t) },
		func() term {
			x := a.float(d)
			y := a.pick(func() term { return a.like(x, d) }, func() term { return a.integer(d) }, func() term { return a.unsigned(d) })
			op := string("+-*/"[a.IntN(4)])
			return term{"(" + x.text + " " + op + " " + y.text + ")", t, lift(func(v ...any) any {
				p := v[0].(float64)
				q, isFloat := v[1].(float64)
				if !isFloat { // the float nearest to an integer
					q, _ = ratOf(v[1]).Float64()
				}
				switch op {
				case "+":
					return p + q
				case "-":
					return p - q
				case "*":
					return p * q
				}
				if q == 0 {
					return bad{}
				}
				return p / q
			}, x, y)}
		},
		func() term {
			x := a.pick(func() term { return a.integer(d) }, func() term { return a.decimal(d) })
			return term{"float(" + x.text + ")", t, lift(func(v ...any) any { f, _ := ratOf(v[0]).Float64(); return f }, x)}
		},
		func() term {
			x := a.float(d)
			return term{"(-" + x.text + ")", t, lift(func(v ...any) any { return -v[0].(float64) }, x)}
		},
		func() term {
			x := a.float(d)
			return term{"abs(" + x.text + ")", t, lift(func(v ...any) any { return math.Abs(v[0].(float64)) }, x)}
		},
		func() term { return floatOf(a.parsed(d)) },
		func() term { return throughJSON("float", a.float(d)) },
		func() term { return a.choice(a.float(d), d) },
	)
}

// text writes a string.
func (a author) text(depth int) term {
	t := kind(record.String)
	if depth == 0 {
		return pathTerm("payload.country", t)
	}
	d := depth - 1
	return a.pick(
		func() term { return pathTerm("payload.country", t) },
		func() term { return pathTerm("type", t) },
		func() term {
			x, y := a.text(d), a.pick(a.textLiteral, func() term { return a.text(d) })
			return term{"(" + x.text + " + " + y.text + ")", t, lift(func(v ...any) any { return v[0].(string) + v[1].(string) }, x, y)}
		},
		func() term {
			x := a.text(d)
			name := []string{"lower", "upper", "trim"}[a.IntN(3)]
			f := map[string]func(string) string{
				"lower": func(s string) string { return mapText(s, strings.ToLower) }, "upper": func(s string) string { return mapText(s, strings.ToUpper) },
				"trim": func(s string) string { return strings.Trim(s, " \t\r\n\v\f") },
			}[name]
			return term{name + "(" + x.text + ")", t, lift(func(v ...any) any { return f(v[0].(string)) }, x)}
		},
		func() term {
			x := a.pick(func() term { return a.integer(d) }, func() term { return a.unsigned(d) }, func() term { return a.decimal(d) }, func() term { return a.truth(d) }, func() term { return a.moment(d) })
			return a.asText(x)
		},
		func() term { return floatText(a.float(d)) },
		func() term { return throughJSON("string", a.text(d)) },
		func() term { return a.choice(a.text(d), d) },
	)
}

// moment writes a timestamp.
func (a author) moment(depth int) term {
	t := kind(record.Timestamp)
	if depth == 0 {
		return pathTerm("time", t)
	}
	d := depth - 1
	return a.pick(
		func() term { return pathTerm("time", t) },
		func() term {
			x := a.moment(d)
			unit := []string{"year", "month", "day", "hour", "minute", "second"}[a.IntN(6)]
			return term{"truncate(" + x.text + ", " + strconv.Quote(unit) + ")", t, lift(func(v ...any) any {
				u := v[0].(time.Time)
				y, mo, da, h, mi := u.Year(), time.January, 1, 0, 0
				switch unit {
				case "second":
					return inTime(u.Truncate(time.Second))
				case "minute":
					mo, da, h, mi = u.Month(), u.Day(), u.Hour(), u.Minute()
				case "hour":
					mo, da, h = u.Month(), u.Day(), u.Hour()
				case "day":
					mo, da = u.Month(), u.Day()
				case "month":
					mo = u.Month()
				}
				return inTime(time.Date(y, mo, da, h, mi, 0, 0, time.UTC))
			}, x)}
		},
		func() term { return a.counted(d) },
		func() term { return a.timeOf(d) },
		func() term { return throughJSON("timestamp", a.moment(d)) },
		func() term { return a.choice(a.moment(d), d) },
	)
}
