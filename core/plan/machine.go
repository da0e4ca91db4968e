package plan

import (
	"github.com/sluicekit/sluice/core/record"
)

// machine evaluates typed expressions over runs of rows, a whole run per node.
// It keeps a vec per node as scratch memory: one goroutine at a time, and the
// value of a node holds until it is evaluated again.
type machine struct {
	n    int   // rows of the run
	in   []vec // per want: its column's rows
	vecs []vec // per node
	text []byte
	one  vec      // scratch of a set
	mask []uint64 // scratch of ?: and ??
}

func newMachine(nodes, wants int) *machine {
	return &machine{in: make([]vec, wants), vecs: make([]vec, nodes)}
}

// eval is the value of e for the rows at hand.
func (m *machine) eval(e *expr) *vec {
	switch e.op {
	case opPath:
		return &m.in[e.want]
	case opConst:
		v := &m.vecs[e.id]
		v.Column, v.konst = *e.value, true
		return v
	case opAnd, opOr:
		return m.kleene(e)
	}
	args := [3]*vec{}
	for i, a := range e.args {
		args[i] = m.eval(a)
	}
	v := &m.vecs[e.id]
	v.begin(e.typ, m.n)
	if e.typ.Kind == record.Bool {
		m.condition(e, v, args[0], args[1], args[2])
	} else {
		m.value(e, v, args[0], args[1], args[2])
	}
	return v
}

// condition evaluates an operator that gives true or false.
func (m *machine) condition(e *expr, v, a, b, c *vec) {
	switch e.op {
	case opEq, opNe, opLt, opLe, opGt, opGe:
		v.strict(a, b)
		compare(v, e.op, a, b)
	case opIn:
		v.strict(a)
		e.set.has(v, a, &m.one)
		v.maskBits()
	case opNot:
		v.strict(a)
		for w := range v.Bits {
			v.Bits[w] = ^a.bitsAt(w)
		}
		v.maskBits()
	case opIsNull:
		isNullOf(v, a)
	case opStarts, opEnds, opContains:
		v.strict(a, b)
		match(v, e.op, a, b)
		v.maskBits()
	default:
		m.value(e, v, a, b, c)
	}
}

// value evaluates an operator that gives anything.
func (m *machine) value(e *expr, v, a, b, c *vec) {
	switch e.op {
	case opIf:
		m.choose(e, v, a, b, c)
	case opCoalesce:
		m.coalesce(e, v, a, b)
	case opAdd, opSub, opMul, opDiv, opMod, opNeg, opAbs, opRound:
		m.arithmetic(e, v, a, b)
	case opLower, opUpper, opTrim:
		v.strict(a)
		retext(e, v, a)
	case opLen:
		v.strict(a)
		length(v, a)
	case opPart:
		v.strict(a)
		datePart(v, e.unit, a)
	case opTruncate:
		v.strict(a)
		truncate(e, v, a)
	case opCast:
		m.cast(e, v, a)
	}
}

// maskBits clears the bits of null rows, as every Bool has it.
func (v *vec) maskBits() {
	if v.Nulls != 0 {
		for w := range v.Bits {
			v.Bits[w] &= v.Valid[w]
		}
	}
}

// isNullOf is never null itself; a bad row stays bad.
func isNullOf(v, a *vec) {
	for w := range v.Bits {
		v.Bits[w] = ^a.validAt(w)
	}
	v.keepErrors(a)
}

// keepErrors makes v bad where a is, in the operators that look at nulls.
func (v *vec) keepErrors(a *vec) {
	if a.errs == nil {
		return
	}
	for i, c := range a.errs[:v.Len] {
		if c != 0 {
			v.override(i, c)
		}
	}
}

// override makes a row bad whatever it was.
func (v *vec) override(i int, c code) {
	v.setNull(i)
	v.errors()[i] = c
	if v.Type.Kind == record.Bool {
		v.Bits[i>>6] &^= 1 << (uint(i) & 63)
	}
}

// kleene is `and` and `or` over any number of arguments: false and x is false,
// true or x is true, whatever x is, on either side: null, or bad. Else it is
// bad where an argument is, and else null where one is. A prefilter rests on
// that: see TypeFilter.
//
// For `or` everything is negated, as not (not a and not b).
func (m *machine) kleene(e *expr) *vec {
	v := &m.vecs[e.id]
	v.begin(e.typ, m.n)
	flip := uint64(0)
	if e.op == opOr {
		flip = ^uint64(0)
	}
	for i, arg := range e.args {
		a := m.eval(arg)
		if i == 0 {
			v.copyBits(a)
		} else {
			kleeneNext(v, a, flip)
		}
		if v.decided(flip) {
			break
		}
	}
	return v
}

// copyBits makes v what a is.
func (v *vec) copyBits(a *vec) {
	for w := range v.Bits {
		v.Bits[w] = a.bitsAt(w)
	}
	v.strict(a)
}

// decided says whether no row can change any more, so that the arguments on
// the right need not be looked at.
func (v *vec) decided(flip uint64) bool {
	if v.errs != nil {
		return false
	}
	for w, x := range v.Bits {
		undecided := x ^ flip
		if v.Nulls != 0 {
			undecided |= ^v.Valid[w]
		}
		if w == len(v.Bits)-1 {
			if r := uint(v.Len) & 63; r != 0 {
				undecided &= 1<<r - 1
			}
		}
		if undecided != 0 {
			return false
		}
	}
	return true
}

// kleeneNext joins v with the argument on its right. In the words below t are
// the rows that are true and f those that are false (for `or` the other way
// round); what is in neither is null.
func kleeneNext(v, a *vec, flip uint64) {
	if v.Nulls == 0 && a.Nulls == 0 {
		for w := range v.Bits {
			v.Bits[w] = ((v.Bits[w] ^ flip) & (a.bitsAt(w) ^ flip)) ^ flip
		}
		return
	}
	if v.Nulls == 0 {
		v.allValid()
	}
	if a.errs != nil {
		v.errors()
	}
	for w := range v.Bits {
		valid, also := v.Valid[w], a.validAt(w)
		t := (v.Bits[w] ^ flip) & valid & (a.bitsAt(w) ^ flip) & also
		f := ^(v.Bits[w]^flip)&valid | ^(a.bitsAt(w)^flip)&also
		if v.errs != nil {
			v.takeErrors(a, w, f)
		}
		v.Valid[w] = t | f
		if flip == 0 {
			v.Bits[w] = t
		} else {
			v.Bits[w] = f
		}
	}
}

// takeErrors makes v bad where it or a is, unless that is decided.
func (v *vec) takeErrors(a *vec, w int, decided uint64) {
	for i := w * 64; i < min(v.Len, w*64+64); i++ {
		switch {
		case decided&(1<<(uint(i)&63)) != 0:
			v.errs[i] = 0
		case v.errs[i] == 0:
			v.errs[i] = a.err(i)
		}
	}
}
