package plan

import (
	"strconv"
	"strings"

	"github.com/sluicekit/sluice/core/record"
)

// op is what a node of a typed expression does with its arguments.
type op uint8

const (
	opConst op = iota
	opNull     // nil, before it has a type
	opPath
	opEq
	opNe
	opLt
	opLe
	opGt
	opGe
	opIn
	opAnd
	opOr
	opNot
	opIsNull
	opIf
	opCoalesce
	opAdd
	opSub
	opMul
	opDiv
	opMod
	opNeg
	opAbs
	opRound
	opStarts
	opEnds
	opContains
	opLower
	opUpper
	opTrim
	opLen
	opPart
	opTruncate
	opCast
)

// opNames are part of the fingerprint: a name is never changed or used again.
var opNames = [...]string{
	"const", "nil", "path", "==", "!=", "<", "<=", ">", ">=", "in", "and", "or", "not", "isnull", "?:", "??",
	"+", "-", "*", "/", "%", "neg", "abs", "round", "startsWith", "endsWith", "contains", "lower", "upper", "trim", "len",
	"part", "truncate", "cast",
}

// expr is a node of a typed expression. It does not change once compiled, and
// projectors share it: what evaluation needs lies in a machine, under id.
type expr struct {
	op   op
	typ  record.Type
	args []*expr
	id   int
	at   int // byte offset in the text

	path    string         // opPath: its text
	want    int            // opPath: index into the plan's wants
	value   *record.Column // opConst: one row
	untyped bool           // opConst: a number that takes the type of its company
	set     *set           // opIn
	unit    string         // opCast to a timestamp: s, ms, us, ns; opPart, opTruncate: year … second
}

// isConst says whether the value is known.
func (e *expr) isConst() bool { return e.op == opConst }

// isText says whether e is a literal of the given kind of text.
func (e *expr) isText() bool {
	return e.op == opConst && e.typ.Kind == record.String && e.value.Nulls == 0
}

// text is the value of a literal for which isText holds.
func (e *expr) text() string { return string(e.value.Bytes(0)) }

// children calls f for every node, arguments first.
func (e *expr) walk(f func(*expr)) {
	for _, a := range e.args {
		a.walk(f)
	}
	f(e)
}

// maxExprText bounds what a reason shows of an expression.
const maxExprText = 80

// String is the expression in short, for reasons.
func (e *expr) String() string {
	var b strings.Builder
	e.write(&b)
	if s := b.String(); len(s) > maxExprText {
		return strings.ToValidUTF8(s[:maxExprText], "") + "…"
	}
	return b.String()
}

func (e *expr) write(b *strings.Builder) {
	if b.Len() > maxExprText {
		return
	}
	switch e.op {
	case opConst:
		e.writeValue(b)
	case opNull:
		b.WriteString("nil")
	case opPath:
		b.WriteString(e.path)
	case opNot, opNeg:
		b.WriteString(map[op]string{opNot: "not ", opNeg: "-"}[e.op])
		e.args[0].writeInner(b)
	case opIsNull:
		e.args[0].writeInner(b)
		b.WriteString(" == nil")
	case opIf:
		e.args[0].writeInner(b)
		b.WriteString(" ? ")
		e.args[1].writeInner(b)
		b.WriteString(" : ")
		e.args[2].writeInner(b)
	case opIn:
		e.args[0].writeInner(b)
		b.WriteString(" in […]")
	case opAbs, opRound, opLower, opUpper, opTrim, opLen, opPart, opTruncate, opCast:
		e.writeCall(b)
	default:
		for i, a := range e.args {
			if i > 0 {
				b.WriteString(" " + opNames[e.op] + " ")
			}
			a.writeInner(b)
		}
	}
}

// writeInner puts parentheses around what is not a single word.
func (e *expr) writeInner(b *strings.Builder) {
	switch e.op {
	case opEq, opNe, opLt, opLe, opGt, opGe, opIn, opAnd, opOr, opIsNull, opIf, opCoalesce, opAdd, opSub, opMul, opDiv, opMod, opStarts, opEnds, opContains:
		b.WriteByte('(')
		e.write(b)
		b.WriteByte(')')
	default:
		e.write(b)
	}
}

func (e *expr) writeCall(b *strings.Builder) {
	name := opNames[e.op]
	switch e.op {
	case opPart:
		name = e.unit
	case opCast:
		name = e.typ.Kind.String()
	}
	b.WriteString(name)
	b.WriteByte('(')
	e.args[0].write(b)
	switch {
	case e.op == opCast && e.typ.Kind == record.Decimal:
		b.WriteString(", " + strconv.Itoa(int(e.typ.Precision)) + ", " + strconv.Itoa(int(e.typ.Scale)))
	case e.op == opRound:
		b.WriteString(", " + strconv.Itoa(int(e.typ.Scale)))
	case (e.op == opCast || e.op == opTruncate) && e.unit != "":
		b.WriteString(", " + strconv.Quote(e.unit))
	}
	b.WriteByte(')')
}

// writeValue shows a literal of the YAML, which is no secret.
func (e *expr) writeValue(b *strings.Builder) {
	if e.value.Null(0) {
		b.WriteString("nil")
		return
	}
	switch e.typ.Kind {
	case record.String, record.Bytes, record.JSON:
		b.WriteString(strconv.Quote(string(e.value.Bytes(0))))
	default:
		v := vec{Column: *e.value, konst: true}
		text, _ := appendText(nil, &v, 0)
		b.Write(text)
	}
}
