package plan

import (
	"math/bits"

	"github.com/sluicekit/sluice/core/record"
)

// arithmetic evaluates an operator over numbers of e's kind. What does not fit
// makes the row bad; nothing wraps.
func (m *machine) arithmetic(e *expr, v, a, b *vec) {
	if b == nil {
		v.strict(a)
	} else {
		v.strict(a, b)
	}
	switch e.typ.Kind {
	case record.Int:
		v.arithInts(e, a, b)
	case record.Uint:
		arithRows(e, v, a, b, v.Uints, a.Uints, uintsOf(b), uintArith(e.op))
	case record.Float:
		arithRows(e, v, a, b, v.Floats, a.Floats, floatsOf(b), floatArith(e.op))
	case record.Decimal:
		v.arithDecimals(e, a, b)
	case record.String:
		v.concat(e, a, b)
	}
}

// arithInts has loops of its own for what is common, and looks for the rows
// that do not fit only if there is one.
func (v *vec) arithInts(e *expr, a, b *vec) {
	var y []int64
	var ym int
	if b != nil {
		y, ym = b.Ints, b.mask()
	}
	x, xm, bad := a.Ints, a.mask(), int64(0)
	switch e.op {
	case opAdd:
		for i := range v.Ints {
			p, q := x[i&xm], y[i&ym]
			s := p + q
			v.Ints[i] = s
			bad |= (p ^ s) & (q ^ s)
		}
	case opSub:
		for i := range v.Ints {
			p, q := x[i&xm], y[i&ym]
			s := p - q
			v.Ints[i] = s
			bad |= (p ^ q) & (p ^ s)
		}
	default:
		bad = -1
	}
	if bad < 0 {
		arithRows(e, v, a, b, v.Ints, x, y, intArith(e.op))
	}
}

// arithRows is the loop of all else.
func arithRows[T any](e *expr, v, a, b *vec, out, x, y []T, f func(p, q T) (T, cause)) {
	xm, ym := a.mask(), 0
	if b == nil {
		y, ym = x, xm
	} else {
		ym = b.mask()
	}
	for i := range out {
		r, c := f(x[i&xm], y[i&ym])
		out[i] = r
		if c != fine {
			v.fail(i, codeOf(e, c))
		}
	}
}

func uintsOf(b *vec) []uint64 {
	if b == nil {
		return nil
	}
	return b.Uints
}

func floatsOf(b *vec) []float64 {
	if b == nil {
		return nil
	}
	return b.Floats
}

func overflows(b bool) cause {
	if b {
		return overflow
	}
	return fine
}

func intArith(o op) func(p, q int64) (int64, cause) {
	const least = -1 << 63
	switch o {
	case opAdd:
		return func(p, q int64) (int64, cause) {
			s := p + q
			return s, overflows((p^s)&(q^s) < 0)
		}
	case opSub:
		return func(p, q int64) (int64, cause) {
			s := p - q
			return s, overflows((p^q)&(p^s) < 0)
		}
	case opMul:
		return func(p, q int64) (int64, cause) {
			hi, lo := bits.Mul64(uint64(p), uint64(q))
			hi -= uint64(p>>63)&uint64(q) + uint64(q>>63)&uint64(p)
			return int64(lo), overflows(int64(hi) != int64(lo)>>63)
		}
	case opMod: // the sign is the dividend's
		return func(p, q int64) (int64, cause) {
			if q == 0 {
				return 0, divisionByZero
			}
			return p % q, fine
		}
	case opNeg:
		return func(p, _ int64) (int64, cause) { return -p, overflows(p == least) }
	}
	return func(p, _ int64) (int64, cause) { // abs
		if p < 0 {
			p = -p
		}
		return p, overflows(p == least)
	}
}

func uintArith(o op) func(p, q uint64) (uint64, cause) {
	switch o {
	case opAdd:
		return func(p, q uint64) (uint64, cause) { return p + q, overflows(p+q < p) }
	case opSub:
		return func(p, q uint64) (uint64, cause) { return p - q, overflows(q > p) }
	case opMul:
		return func(p, q uint64) (uint64, cause) {
			hi, lo := bits.Mul64(p, q)
			return lo, overflows(hi != 0)
		}
	case opMod:
		return func(p, q uint64) (uint64, cause) {
			if q == 0 {
				return 0, divisionByZero
			}
			return p % q, fine
		}
	}
	return func(p, _ uint64) (uint64, cause) { return p, fine } // abs
}

func floatArith(o op) func(p, q float64) (float64, cause) {
	switch o { // the conversions keep a multiplication from being fused with what follows, on any processor
	case opAdd:
		return func(p, q float64) (float64, cause) { return float64(p + q), fine }
	case opSub:
		return func(p, q float64) (float64, cause) { return float64(p - q), fine }
	case opMul:
		return func(p, q float64) (float64, cause) { return float64(p * q), fine }
	case opDiv:
		return func(p, q float64) (float64, cause) {
			if q == 0 {
				return 0, divisionByZero
			}
			return float64(p / q), fine
		}
	case opNeg:
		return func(p, _ float64) (float64, cause) { return -p, fine }
	}
	return func(p, _ float64) (float64, cause) { // abs
		if p < 0 {
			return -p, fine
		}
		return p + 0, fine // -0 becomes 0
	}
}

// arithDecimals brings sums to the larger scale first; a product has the sum
// of the scales, and a quotient the scale of its type.
func (v *vec) arithDecimals(e *expr, a, b *vec) {
	scale, s := int(e.typ.Scale), int(a.Type.Scale)
	if b == nil {
		arithRows(e, v, a, nil, v.Decimals, a.Decimals, nil, decArithOne(e.op, s, scale))
		return
	}
	t := int(b.Type.Scale)
	f := decArith(e.op, s, t, scale)
	arithRows(e, v, a, b, v.Decimals, a.Decimals, b.Decimals, f)
}

func decArith(o op, s, t, scale int) func(p, q record.Dec) (record.Dec, cause) {
	switch o {
	case opMul:
		return func(p, q record.Dec) (record.Dec, cause) {
			r, ok := p.Mul(q)
			return r, overflows(!ok)
		}
	case opDiv:
		return func(p, q record.Dec) (record.Dec, cause) {
			if q.Sign() == 0 {
				return q, divisionByZero
			}
			r, ok := p.Quo(q, scale-s+t)
			return r, overflows(!ok)
		}
	}
	sum := record.Dec.Add
	if o == opSub {
		sum = record.Dec.Sub
	}
	return func(p, q record.Dec) (record.Dec, cause) {
		if s != scale || t != scale {
			var err1, err2 error
			p, err1 = p.Rescale(s, scale)
			q, err2 = q.Rescale(t, scale)
			if err1 != nil || err2 != nil {
				return record.Dec{}, overflow
			}
		}
		r, ok := sum(p, q)
		return r, overflows(!ok)
	}
}

func decArithOne(o op, from, to int) func(p, _ record.Dec) (record.Dec, cause) {
	switch o {
	case opNeg:
		return func(p, _ record.Dec) (record.Dec, cause) { return p.Neg(), fine }
	case opAbs:
		return func(p, _ record.Dec) (record.Dec, cause) { return p.Abs(), fine }
	}
	return func(p, _ record.Dec) (record.Dec, cause) { return p.Round(from, to), fine }
}
