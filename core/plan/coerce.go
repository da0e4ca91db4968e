package plan

import (
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/sluicekit/sluice/core/record"
)

// Widths of integers as decimals.
var (
	intDecimal  = record.Type{Kind: record.Decimal, Precision: 19}
	uintDecimal = record.Type{Kind: record.Decimal, Precision: 20}
)

func (e *expr) isNumber() bool {
	switch e.typ.Kind {
	case record.Int, record.Uint, record.Float, record.Decimal:
		return true
	}
	return false
}

// isNested says whether e is a list or a map.
func (e *expr) isNested() bool { return e.typ.Kind == record.List || e.typ.Kind == record.Map }

// describe names what an argument is: payload.price (decimal(18,6)).
func (e *expr) describe() string {
	switch {
	case e.op == opNull:
		return "nil"
	case e.op == opPath:
		return e.path + " (" + e.typ.String() + ")"
	}
	return e.typ.String()
}

// castHint says how to make a value of a type that few operators take usable.
func castHint(e *expr) string {
	if e.typ.Kind == record.JSON {
		return "say what it is, such as int(" + e.String() + ") or string(" + e.String() + ")"
	}
	return ""
}

// mixHint says how a decimal and a float come together.
func mixHint(a, b *expr) string {
	if a.typ.Kind == record.Float {
		a, b = b, a
	}
	return "write decimal(" + b.String() + ", p, s) to stay exact, or float(" + a.String() + ")"
}

// number is a literal. With a point or an exponent it is an exact decimal.
func (k *checker) number(n ast.Node) *expr {
	at := k.offset(n)
	if i, ok := n.(*ast.IntegerNode); ok {
		c := record.NewColumn(record.Type{Kind: record.Int})
		c.AppendInt(int64(i.Value))
		return &expr{op: opConst, typ: c.Type, value: c, untyped: true, at: at}
	}
	text := strings.ReplaceAll(k.text[at:byteOffset(k.text, n.Location().To)], "_", "")
	mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
	_, fraction, _ := strings.Cut(mantissa, ".")
	for scale := min(len(fraction), record.MaxPrecision); scale <= record.MaxPrecision; scale++ {
		d, err := record.ParseDec([]byte(text), record.MaxPrecision, scale)
		if err == nil {
			return decimalConst(d, scale, true, at)
		}
		if err != record.ErrDecScale {
			break
		}
	}
	return k.problem(at, `write float("…")`, "the number has more than %d digits", record.MaxPrecision)
}

// decimalConst is a constant of as few digits as d has.
func decimalConst(d record.Dec, scale int, untyped bool, at int) *expr {
	precision := max(scale, 1)
	for !d.Fits(precision) {
		precision++
	}
	c := record.NewColumn(record.Type{Kind: record.Decimal, Precision: uint8(precision), Scale: uint8(scale)})
	c.AppendDec(d)
	return &expr{op: opConst, typ: c.Type, value: c, untyped: untyped, at: at}
}

func boolConst(b bool, at int) *expr {
	c := record.NewColumn(boolType)
	c.AppendBool(b)
	return &expr{op: opConst, typ: c.Type, value: c, at: at}
}

func textConst(kind record.Kind, text string, at int) *expr {
	c := record.NewColumn(record.Type{Kind: kind})
	c.AppendString(text)
	return &expr{op: opConst, typ: c.Type, value: c, at: at}
}

// adapt brings a literal to the type of its company: numbers to uint and
// float, a text to a time or to bytes. It fails, having said why, if the text
// is no time.
func (k *checker) adapt(a, b *expr) (x, y *expr, failed bool) {
	if x = k.adaptTo(a, b); x == nil {
		return nil, nil, true
	}
	if y = k.adaptTo(b, a); y == nil {
		return nil, nil, true
	}
	return x, y, false
}

func (k *checker) adaptTo(e, company *expr) *expr {
	if !e.isConst() {
		return e
	}
	switch to := company.typ.Kind; {
	case e.untyped && !company.untyped && to == record.Float,
		e.untyped && !company.untyped && to == record.Uint && e.typ.Kind == record.Int && e.value.Ints[0] >= 0,
		e.isText() && to == record.Timestamp,
		e.isText() && to == record.Bytes:
		return k.cast(e, record.Type{Kind: to}, "")
	}
	return e
}

// cast brings e to a type that castable allows; nil if e is a constant that
// does not fit.
func (k *checker) cast(e *expr, t record.Type, unit string) *expr {
	if e.typ.Equal(t) && unit == "" {
		return e
	}
	return k.fold(&expr{op: opCast, typ: t, args: []*expr{e}, unit: unit, at: e.at})
}

// decimal makes an integer a decimal.
func (k *checker) decimal(e *expr) *expr {
	switch {
	case e.isConst() && e.typ.Kind == record.Int && e.value.Nulls == 0:
		return decimalConst(record.DecFromInt(e.value.Ints[0]), 0, e.untyped, e.at)
	case e.typ.Kind == record.Int:
		return k.cast(e, intDecimal, "")
	case e.typ.Kind == record.Uint:
		return k.cast(e, uintDecimal, "")
	}
	return e
}

// numbers brings two numbers to one kind: int and uint to int, integers next
// to a decimal to decimals, integers next to a float to floats. Decimals keep
// their scales.
func (k *checker) numbers(a, b *expr, at int, operator string) (x, y *expr) {
	s, t := a.typ.Kind, b.typ.Kind
	switch {
	case s == t:
		return a, b
	case s == record.Float && t == record.Decimal || s == record.Decimal && t == record.Float:
		k.problem(at, mixHint(a, b), "%s cannot mix %s and %s", operator, a.describe(), b.describe())
		return nil, nil
	case s == record.Decimal || t == record.Decimal:
		return k.decimal(a), k.decimal(b)
	case s == record.Float || t == record.Float:
		float := record.Type{Kind: record.Float}
		return k.cast(a, float, ""), k.cast(b, float, "")
	}
	integer := record.Type{Kind: record.Int}
	x, y = k.cast(a, integer, ""), k.cast(b, integer, "")
	if x == nil || y == nil {
		return nil, nil
	}
	return x, y
}

// common brings the two results of ?: or ?? to one type.
func (k *checker) common(a, b *expr, at int, operator string) (x, y *expr) {
	switch {
	case a.op == opNull && b.op == opNull:
		k.problem(at, "", "%s has no type: both sides are nil", operator)
		return nil, nil
	case a.isNested(), b.isNested(): // next to nil as well: no kernel makes one
		if !a.isNested() {
			a = b
		}
		k.problem(at, "cast it to json or string", "%s takes no list or map, and this is %s", operator, a.describe())
		return nil, nil
	case a.op == opNull:
		return nullOf(b.typ, a.at), b
	case b.op == opNull:
		return a, nullOf(a.typ, b.at)
	}
	a, b, failed := k.adapt(a, b)
	if failed {
		return nil, nil
	}
	switch {
	case a.isNumber() && b.isNumber():
		if a, b = k.numbers(a, b, at, operator); a == nil || a.typ.Kind != record.Decimal {
			return a, b
		}
		s, t := a.typ, b.typ
		scale := max(s.Scale, t.Scale)
		t = record.Type{Kind: record.Decimal, Precision: min(max(s.Precision-s.Scale, t.Precision-t.Scale)+scale, record.MaxPrecision), Scale: scale}
		x, y = k.cast(a, t, ""), k.cast(b, t, "")
		if x == nil || y == nil {
			return nil, nil
		}
		return x, y
	case a.typ.Equal(b.typ):
		return a, b
	}
	k.problem(at, "cast one of them", "both sides of %s must have one type, and these are %s and %s", operator, a.describe(), b.describe())
	return nil, nil
}

// nullOf is nil with a type.
func nullOf(t record.Type, at int) *expr {
	c := record.NewColumn(t)
	c.AppendNull()
	return &expr{op: opConst, typ: t, value: c, at: at}
}

// fold evaluates what has only constant arguments.
func (k *checker) fold(e *expr) *expr {
	for _, a := range e.args {
		if !a.isConst() {
			e.untyped = false
			return e
		}
	}
	if e.typ.Kind == record.List || e.typ.Kind == record.Map {
		return e
	}
	untyped := e.untyped || e.op == opNeg && e.args[0].untyped
	next := 0
	e.walk(func(n *expr) { n.id = next; next++ })
	m := newMachine(next, 0)
	m.n = 1
	v := m.eval(e)
	if c := v.err(0); c != 0 {
		hint := ""
		if c.cause() == notTimestamp {
			hint = `write "2026-01-31T00:00:00Z"`
		}
		return k.problem(e.at, hint, "%s: %s", e, causes[c.cause()])
	}
	column := record.NewColumn(e.typ)
	appendSpans(column, &v.Column, []span{{0, 1}})
	return &expr{op: opConst, typ: e.typ, value: column, untyped: untyped, at: e.at}
}
