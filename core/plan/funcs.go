package plan

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/sluicekit/sluice/core/record"
)

// functionNames is the allow-list: functions of one event, without clock,
// chance or order.
var functionNames = []string{
	"abs", "bool", "bytes", "day", "decimal", "float", "hour", "int", "json", "len", "lower", "minute", "month",
	"round", "second", "string", "timestamp", "trim", "truncate", "uint", "upper", "year",
}

// function types a call.
type function func(k *checker, n *ast.CallNode, depth int) *expr

func functions(name string) function {
	switch name {
	case "lower":
		return textFunction(opLower)
	case "upper":
		return textFunction(opUpper)
	case "trim":
		return textFunction(opTrim)
	case "len":
		return lenFunction
	case "abs":
		return absFunction
	case "round":
		return roundFunction
	case "truncate":
		return truncateFunction
	case "decimal":
		return decimalFunction
	case "timestamp":
		return timestampFunction
	case "bool", "int", "uint", "float", "string", "bytes", "json":
		return castFunction
	}
	if slices.Contains(dateUnits, name) {
		return partFunction
	}
	return nil
}

func calledName(n *ast.CallNode) string { return n.Callee.(*ast.IdentifierNode).Value }

// arity checks the number of arguments.
func (k *checker) arity(n *ast.CallNode, usage string, least, most int) bool {
	if c := len(n.Arguments); c < least || c > most {
		k.problem(k.offset(n), "write "+usage, "%s with %d arguments", calledName(n), c)
		return false
	}
	return true
}

// one is the only argument of a call, which must be of one of kinds.
func (k *checker) one(n *ast.CallNode, depth int, takes string, kinds ...record.Kind) *expr {
	if !k.arity(n, calledName(n)+"(x)", 1, 1) {
		return nil
	}
	return k.argument(n, depth, takes, kinds...)
}

func (k *checker) argument(n *ast.CallNode, depth int, takes string, kinds ...record.Kind) *expr {
	a := k.node(n.Arguments[0], depth+1)
	if a != nil && !slices.Contains(kinds, a.typ.Kind) {
		return k.problem(k.at(n.Arguments[0]), castHint(a), "%s takes %s, and this is %s", calledName(n), takes, a.describe())
	}
	return a
}

func textFunction(o op) function {
	return func(k *checker, n *ast.CallNode, depth int) *expr {
		a := k.one(n, depth, "a string", record.String)
		if a == nil {
			return nil
		}
		return k.fold(&expr{op: o, typ: a.typ, args: []*expr{a}, at: k.offset(n)})
	}
}

func lenFunction(k *checker, n *ast.CallNode, depth int) *expr {
	a := k.one(n, depth, "a string, bytes, a list or a map", record.String, record.Bytes, record.List, record.Map)
	if a == nil {
		return nil
	}
	return k.fold(&expr{op: opLen, typ: record.Type{Kind: record.Int}, args: []*expr{a}, at: k.offset(n)})
}

func absFunction(k *checker, n *ast.CallNode, depth int) *expr {
	a := k.one(n, depth, "a number", record.Int, record.Uint, record.Float, record.Decimal)
	if a == nil {
		return nil
	}
	return k.fold(&expr{op: opAbs, typ: a.typ, args: []*expr{a}, at: k.offset(n)})
}

// roundFunction is round(x, digits) of a decimal.
func roundFunction(k *checker, n *ast.CallNode, depth int) *expr {
	if !k.arity(n, "round(x, digits)", 2, 2) {
		return nil
	}
	a := k.argument(n, depth, "a decimal", record.Decimal)
	digits, ok := k.literalInt(n.Arguments[1], record.MaxPrecision)
	if a == nil || !ok {
		return nil
	}
	t := a.typ
	if digits >= int(t.Scale) {
		return a
	}
	// Rounding may carry into one more digit: 9.9 becomes 10.
	t.Precision, t.Scale = min(t.Precision-t.Scale+uint8(digits)+1, record.MaxPrecision), uint8(digits)
	return k.fold(&expr{op: opRound, typ: t, args: []*expr{a}, at: k.offset(n)})
}

// literalInt is an argument that must be a number in the text, 0 to most.
func (k *checker) literalInt(n ast.Node, most int) (int, bool) {
	if i, ok := n.(*ast.IntegerNode); ok && i.Value <= most {
		return i.Value, true
	}
	k.problem(k.at(n), "", "a number from 0 to %d must stand here", most)
	return 0, false
}

// literalText is an argument that must be one of the texts given.
func (k *checker) literalText(n ast.Node, texts ...string) (string, bool) {
	if s, ok := n.(*ast.StringNode); ok && slices.Contains(texts, s.Value) {
		return s.Value, true
	}
	k.problem(k.at(n), "", `one of "%s" must stand here`, strings.Join(texts, `", "`))
	return "", false
}

func partFunction(k *checker, n *ast.CallNode, depth int) *expr {
	a := k.one(n, depth, "a timestamp", record.Timestamp)
	if a == nil {
		return nil
	}
	return k.fold(&expr{op: opPart, typ: record.Type{Kind: record.Int}, unit: calledName(n), args: []*expr{a}, at: k.offset(n)})
}

// truncateFunction is truncate(time, "day").
func truncateFunction(k *checker, n *ast.CallNode, depth int) *expr {
	if !k.arity(n, `truncate(time, "day")`, 2, 2) {
		return nil
	}
	a := k.argument(n, depth, "a timestamp", record.Timestamp)
	unit, ok := k.literalText(n.Arguments[1], dateUnits...)
	if a == nil || !ok {
		return nil
	}
	return k.fold(&expr{op: opTruncate, typ: a.typ, unit: unit, args: []*expr{a}, at: k.offset(n)})
}

// decimalFunction is decimal(x, precision, scale).
func decimalFunction(k *checker, n *ast.CallNode, depth int) *expr {
	if !k.arity(n, "decimal(x, precision, scale)", 3, 3) {
		return nil
	}
	precision, ok1 := k.literalInt(n.Arguments[1], record.MaxPrecision)
	scale, ok2 := k.literalInt(n.Arguments[2], record.MaxPrecision)
	if !ok1 || !ok2 {
		return nil
	}
	t, err := decimalType(precision, scale)
	if err != nil {
		return k.problem(k.offset(n), "", "%s", err)
	}
	return k.castNode(n.Arguments[0], t, "", depth)
}

// timestampFunction is timestamp(text) or timestamp(number, "ms").
func timestampFunction(k *checker, n *ast.CallNode, depth int) *expr {
	if !k.arity(n, `timestamp(x) or timestamp(x, "ms")`, 1, 2) {
		return nil
	}
	unit := ""
	if len(n.Arguments) == 2 {
		var ok bool
		if unit, ok = k.literalText(n.Arguments[1], "s", "ms", "us", "ns"); !ok {
			return nil
		}
	}
	return k.castNode(n.Arguments[0], record.Type{Kind: record.Timestamp}, unit, depth)
}

func castFunction(k *checker, n *ast.CallNode, depth int) *expr {
	if !k.arity(n, calledName(n)+"(x)", 1, 1) {
		return nil
	}
	t, _, err := ParseType(calledName(n))
	if err != nil {
		return k.problem(k.offset(n), "", "%s", err)
	}
	return k.castNode(n.Arguments[0], t, "", depth)
}

// castNode types n and casts it.
func (k *checker) castNode(n ast.Node, t record.Type, unit string, depth int) *expr {
	a := k.source(n, t, unit, depth+1)
	if a == nil {
		return nil
	}
	return k.castTo(a, t, unit, k.at(n))
}

// source types what is to be cast. A path whose type nobody declared is read
// as the type of the cast, or as the integer that a unit counts.
func (k *checker) source(n ast.Node, t record.Type, unit string, depth int) *expr {
	switch n.(type) {
	case *ast.IdentifierNode, *ast.MemberNode, *ast.ChainNode:
		if unit != "" {
			t = record.Type{Kind: record.Int}
		}
		return k.path(n, t)
	}
	return k.node(n, depth)
}

// castTo casts where a cast is asked for.
func (k *checker) castTo(a *expr, t record.Type, unit string, at int) *expr {
	if a.op == opNull {
		return nullOf(t, a.at)
	}
	if ok, hint := castable(a.typ, t, unit); !ok {
		if unit != "" {
			return k.problem(at, hint, "%s cannot be read as a timestamp(%s)", a.describe(), unit)
		}
		return k.problem(at, hint, "%s cannot be cast to %s", a.describe(), t)
	}
	e := k.cast(a, t, unit)
	if e != nil && e.isConst() && e.untyped {
		typed := *e
		typed.untyped = false
		e = &typed
	}
	return e
}
