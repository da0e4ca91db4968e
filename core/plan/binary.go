package plan

import (
	"github.com/expr-lang/expr/ast"

	"github.com/sluicekit/sluice/core/record"
)

// operators are the ones between two arguments. What is missing here is
// refused, such as matches and ...
func operators(text string) (o op, ok bool) {
	switch text {
	case "and", "&&":
		return opAnd, true
	case "or", "||":
		return opOr, true
	case "startsWith", "endsWith", "contains", "==", "!=", "<", "<=", ">", ">=", "in", "??", "+", "-", "*", "/", "%":
		for i, name := range opNames {
			if name == text {
				return op(i), true
			}
		}
	}
	return 0, false
}

// binary types an operator between two arguments.
func (k *checker) binary(n *ast.BinaryNode, depth int) *expr {
	at := k.offset(n)
	o, ok := operators(n.Operator)
	switch {
	case !ok:
		return k.problem(at, "", "no operator %s", n.Operator)
	case k.chained(n, at):
		return k.problem(at, "write a < b and b < c", "comparisons cannot be chained")
	case o == opAnd || o == opOr:
		return k.logic(o, n, depth)
	case o == opIn:
		return k.in(n, depth)
	}
	a, b := k.node(n.Left, depth+1), k.node(n.Right, depth+1)
	if a == nil || b == nil {
		return nil
	}
	switch o {
	case opEq, opNe, opLt, opLe, opGt, opGe:
		return k.comparison(o, a, b, at)
	case opCoalesce:
		if a, b = k.common(a, b, at, "??"); a == nil {
			return nil
		}
		return k.fold(&expr{op: o, typ: a.typ, args: []*expr{a, b}, at: a.at})
	case opStarts, opEnds, opContains:
		if a.typ.Kind != record.String || b.typ.Kind != record.String {
			return k.problem(at, castHint(a), "%s takes two strings, and these are %s and %s", n.Operator, a.describe(), b.describe())
		}
		return k.fold(&expr{op: o, typ: boolType, args: []*expr{a, b}, at: a.at})
	}
	return k.arithmetic(o, a, b, at)
}

// chained finds a < b < c, which the parser turns into a < b and b < c with
// one node in two places.
func (k *checker) chained(n *ast.BinaryNode, at int) bool {
	return n.Operator == "&&" && at < len(k.text) && (k.text[at] == '<' || k.text[at] == '>')
}

// logic gathers a and b and c into one node.
func (k *checker) logic(o op, n *ast.BinaryNode, depth int) *expr {
	e := &expr{op: o, typ: boolType, at: k.at(n)}
	ok := true
	for _, side := range []ast.Node{n.Left, n.Right} {
		a := k.node(side, depth+1)
		switch {
		case a == nil:
			ok = false
		case a.typ.Kind != record.Bool:
			k.problem(a.at, castHint(a), "%s takes true or false, and this is %s", opNames[o], a.describe())
			ok = false
		case a.op == o && side == n.Left:
			e.args = append(e.args, a.args...)
		default:
			e.args = append(e.args, a)
		}
	}
	if !ok {
		return nil
	}
	return k.fold(e)
}

var boolType = record.Type{Kind: record.Bool}

// comparison types == != < <= > >=; next to nil it is a test for null.
func (k *checker) comparison(o op, a, b *expr, at int) *expr {
	if a.op == opNull {
		a, b = b, a
	}
	if b.op == opNull {
		switch {
		case o != opEq && o != opNe:
			return k.problem(at, "write == nil or != nil", "nil has no order")
		case a.op == opNull:
			return boolConst(o == opEq, a.at)
		}
		e := k.fold(&expr{op: opIsNull, typ: boolType, args: []*expr{a}, at: a.at})
		if o == opNe {
			e = k.fold(&expr{op: opNot, typ: boolType, args: []*expr{e}, at: a.at})
		}
		return e
	}
	a, b = k.comparable(a, b, at)
	if a == nil {
		return nil
	}
	if a.typ.Kind == record.Bool && o != opEq && o != opNe {
		return k.problem(at, "", "true and false have no order")
	}
	return k.fold(&expr{op: o, typ: boolType, args: []*expr{a, b}, at: a.at})
}

// comparable brings two arguments to what compare takes; nil after a problem.
func (k *checker) comparable(a, b *expr, at int) (*expr, *expr) {
	a, b, failed := k.adapt(a, b)
	if failed {
		return nil, nil
	}
	switch s, t := a.typ.Kind, b.typ.Kind; {
	case a.isNumber() && b.isNumber() && (s == record.Decimal && t == record.Float || s == record.Float && t == record.Decimal):
		k.problem(at, mixHint(a, b), "%s and %s cannot be compared", a.describe(), b.describe())
		return nil, nil
	case a.isNumber() && b.isNumber():
		return atScale(a, b), atScale(b, a)
	case s != t || s == record.List || s == record.Map || s == record.JSON || s == record.Invalid:
		hint := castHint(a)
		if hint == "" {
			hint = castHint(b)
		}
		k.problem(at, hint, "%s and %s cannot be compared", a.describe(), b.describe())
		return nil, nil
	}
	return a, b
}

// atScale gives a literal the scale of the decimal that it is compared with, if
// it has one: that comparison is the fast one.
func atScale(e, company *expr) *expr {
	if !e.isConst() || company.isConst() || company.typ.Kind != record.Decimal || e.value.Nulls != 0 {
		return e
	}
	var d record.Dec
	switch e.typ.Kind {
	case record.Int:
		d = record.DecFromInt(e.value.Ints[0])
	case record.Decimal:
		d = e.value.Decimals[0]
	default:
		return e
	}
	up, err := d.Rescale(int(e.typ.Scale), int(company.typ.Scale))
	if err != nil {
		return e
	}
	return decimalConst(up, int(company.typ.Scale), false, e.at)
}

// in is x in [a, b]. With constants it is a set, else x == a or x == b.
func (k *checker) in(n *ast.BinaryNode, depth int) *expr {
	at := k.offset(n)
	list, ok := n.Right.(*ast.ArrayNode)
	if !ok {
		k.node(n.Left, depth+1)
		return k.problem(k.at(n.Right), `write x in ["a", "b"]`, "the right side of in is a list of values in brackets")
	}
	x, values := k.node(n.Left, depth+1), k.all(list.Nodes, depth+1)
	switch {
	case len(list.Nodes) == 0:
		return k.problem(k.offset(list), "", "the list of in is empty")
	case x == nil || values == nil:
		return nil
	}
	constant := true
	either := &expr{op: opOr, typ: boolType, at: x.at}
	var set []*record.Column
	for _, v := range values {
		if v.op == opNull {
			return k.problem(v.at, "write x == nil or x in […]", "nil is in no list")
		}
		a, b := k.comparable(x, v, v.at)
		if a == nil {
			return nil
		}
		constant = constant && b.isConst() && b.value.Nulls == 0 && a == x && sameType(a.typ, b.typ) // a null is not the zero in its column
		if constant {
			set = append(set, b.value)
		}
		either.args = append(either.args, k.fold(&expr{op: opEq, typ: boolType, args: []*expr{a, b}, at: v.at})) // no kernel compares two constants for many rows
	}
	if constant && !x.isConst() {
		return &expr{op: opIn, typ: boolType, args: []*expr{x}, set: newSet(x.typ, set), at: at}
	}
	return k.fold(either)
}

// sameType is equality of what kernels see.
func sameType(a, b record.Type) bool { return a.Kind == b.Kind && a.Scale == b.Scale }

// arithmetic types + - * / %.
func (k *checker) arithmetic(o op, a, b *expr, at int) *expr {
	a, b, failed := k.adapt(a, b)
	if failed {
		return nil
	}
	if o == opAdd && a.typ.Kind == record.String && b.typ.Kind == record.String {
		return k.fold(&expr{op: o, typ: a.typ, args: []*expr{a, b}, at: a.at})
	}
	if !a.isNumber() || !b.isNumber() {
		hint := castHint(a)
		if a.isNumber() || hint == "" {
			hint = castHint(b)
		}
		return k.problem(at, hint, "%s takes two numbers, and these are %s and %s", opNames[o], a.describe(), b.describe())
	}
	untyped := a.untyped && b.untyped
	if a, b = k.numbers(a, b, at, opNames[o]); a == nil {
		return nil
	}
	e := &expr{op: o, typ: a.typ, args: []*expr{a, b}, at: a.at, untyped: untyped}
	switch {
	case (o == opDiv || o == opMod) && b.isZero():
		return k.problem(at, "", "division by zero")
	case o == opMod && a.typ.Kind != record.Int && a.typ.Kind != record.Uint:
		return k.problem(at, "", "%% takes integers, and these are %s and %s", a.describe(), b.describe())
	case o == opDiv && a.typ.Kind != record.Float:
		e.args[0], e.args[1] = k.decimal(a), k.decimal(b)
	}
	if t := e.args[0].typ; t.Kind == record.Decimal {
		var ok bool
		if e.typ, ok = decimalResult(o, t, e.args[1].typ); !ok {
			return k.problem(at, "bring one of them to fewer digits behind the point, such as round(x, 6)", "the product of %s and %s has more than %d digits behind the point", t, e.args[1].typ, record.MaxPrecision)
		}
	}
	return k.fold(e)
}

// isZero says whether e is a literal of no worth.
func (e *expr) isZero() bool {
	if !e.isConst() || e.value.Nulls != 0 {
		return false
	}
	c, ok := compareMixed(&vec{Column: *e.value}, 0, &vec{Column: record.Column{Type: record.Type{Kind: record.Int}, Ints: []int64{0}}}, 0)
	return ok && c == 0
}

// minQuotientScale is how many digits a quotient has behind the point, unless
// the dividend has more.
const minQuotientScale = 6

// decimalResult is the type of an operator over decimals. Where the digits
// could exceed what a decimal holds, the rows that do are bad.
func decimalResult(o op, a, b record.Type) (record.Type, bool) {
	p, s, q, t := int(a.Precision), int(a.Scale), int(b.Precision), int(b.Scale)
	precision, scale := record.MaxPrecision, max(s, t)
	switch o {
	case opMul:
		precision, scale = p+q, s+t
	case opDiv:
		scale = max(minQuotientScale, s)
	default:
		precision = max(p-s, q-t) + scale + 1
	}
	if scale > record.MaxPrecision {
		return record.Type{}, false
	}
	return record.Type{Kind: record.Decimal, Precision: uint8(min(precision, record.MaxPrecision)), Scale: uint8(scale)}, true
}
