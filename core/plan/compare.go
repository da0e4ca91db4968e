package plan

import (
	"bytes"
	"cmp"
	"math"

	"github.com/sluicekit/sluice/core/record"
)

// compare sets the bits of v. Types are equal, or both are numbers other than
// a decimal next to a float.
func compare(v *vec, o op, a, b *vec) {
	switch o { // six operators out of three
	case opNe:
		compareKinds(v, opEq, a, b)
		for w := range v.Bits {
			v.Bits[w] = ^v.Bits[w]
		}
	case opGt:
		compareKinds(v, opLt, b, a)
	case opGe:
		compareKinds(v, opLe, b, a)
	default:
		compareKinds(v, o, a, b)
	}
	v.maskBits()
}

func compareKinds(v *vec, o op, a, b *vec) {
	if a.Type.Kind != b.Type.Kind {
		compareRows(v, o, func(i int) (int, bool) { return compareMixed(a, i&a.mask(), b, i&b.mask()) })
		return
	}
	switch a.Type.Kind {
	case record.Bool:
		for w := range v.Bits {
			v.Bits[w] = ^(a.bitsAt(w) ^ b.bitsAt(w))
		}
	case record.Int, record.Timestamp:
		compareOrdered(v.Bits, o, a.Ints, b.Ints, a.konst, b.konst)
	case record.Uint:
		compareOrdered(v.Bits, o, a.Uints, b.Uints, a.konst, b.konst)
	case record.Float:
		compareOrdered(v.Bits, o, a.Floats, b.Floats, a.konst, b.konst)
	case record.Decimal:
		compareDecimals(v, o, a, b)
	default:
		if o == opEq && b.konst {
			equalText(v.Bits, &a.Column, b.bytes(0))
		} else if o == opEq && a.konst {
			equalText(v.Bits, &b.Column, a.bytes(0))
		} else {
			compareRows(v, o, func(i int) (int, bool) { return bytes.Compare(a.bytes(i), b.bytes(i)), true })
		}
	}
}

// compareOrdered is the kernel of fixed-width values. NaN is in no order with
// anything and equals nothing.
func compareOrdered[T cmp.Ordered](out []uint64, o op, a, b []T, aConst, bConst bool) {
	switch {
	case bConst:
		compareConst(out, o, a, b[0])
	case aConst && o == opEq:
		compareConst(out, opEq, b, a[0])
	case aConst && o == opLt:
		compareConst(out, opGt, b, a[0])
	case aConst:
		compareConst(out, opGe, b, a[0])
	default:
		for w := range out {
			s, t, x := a[w*64:min(len(a), w*64+64)], b[w*64:], uint64(0)
			t = t[:len(s)]
			switch o {
			case opEq:
				for k := range s {
					x |= bit(s[k] == t[k]) << (uint(k) & 63)
				}
			case opLt:
				for k := range s {
					x |= bit(s[k] < t[k]) << (uint(k) & 63)
				}
			default:
				for k := range s {
					x |= bit(s[k] <= t[k]) << (uint(k) & 63)
				}
			}
			out[w] = x
		}
	}
}

func compareConst[T cmp.Ordered](out []uint64, o op, a []T, c T) {
	for w := range out {
		s, x := a[w*64:min(len(a), w*64+64)], uint64(0)
		switch o {
		case opEq:
			for k, y := range s {
				x |= bit(y == c) << (uint(k) & 63)
			}
		case opLt:
			for k, y := range s {
				x |= bit(y < c) << (uint(k) & 63)
			}
		case opLe:
			for k, y := range s {
				x |= bit(y <= c) << (uint(k) & 63)
			}
		case opGt:
			for k, y := range s {
				x |= bit(y > c) << (uint(k) & 63)
			}
		default:
			for k, y := range s {
				x |= bit(y >= c) << (uint(k) & 63)
			}
		}
		out[w] = x
	}
}

// equalText is the kernel of `type == "click"`.
func equalText(out []uint64, a *record.Column, c []byte) {
	text := string(c)
	for w := range out {
		ends, x := a.Offsets[w*64:min(len(a.Offsets), w*64+65)], uint64(0)
		start := ends[0]
		for k, end := range ends[1:] {
			if int(end-start) == len(text) {
				x |= bit(string(a.Data[start:end]) == text) << (uint(k) & 63)
			}
			start = end
		}
		out[w] = x
	}
}

func compareDecimals(v *vec, o op, a, b *vec) {
	s, t := int(a.Type.Scale), int(b.Type.Scale)
	am, bm := a.mask(), b.mask()
	eq, lt := bit(o != opLt), bit(o != opEq) // which of the two make the row true
	if s != t {
		compareRows(v, o, func(i int) (int, bool) { return a.Decimals[i&am].CmpScaled(s, b.Decimals[i&bm], t), true })
		return
	}
	for w := range v.Bits {
		x := uint64(0)
		for i := w * 64; i < min(v.Len, w*64+64); i++ {
			p, q := a.Decimals[i&am], b.Decimals[i&bm]
			equal, less := bit(p == q), bit(p.Hi < q.Hi)|bit(p.Hi == q.Hi)&bit(p.Lo < q.Lo)
			x |= (equal&eq | less&lt) << (uint(i) & 63)
		}
		v.Bits[w] = x
	}
}

// compareRows compares row by row what has no kernel. Not ok: in no order.
func compareRows(v *vec, o op, order func(i int) (c int, ok bool)) {
	for w := range v.Bits {
		x := uint64(0)
		for i := w * 64; i < min(v.Len, w*64+64); i++ {
			c, ok := order(i)
			x |= bit(ok && holds(o, c)) << (uint(i) & 63)
		}
		v.Bits[w] = x
	}
}

func holds(o op, c int) bool {
	switch o {
	case opEq:
		return c == 0
	case opLt:
		return c < 0
	}
	return c <= 0
}

// compareMixed compares numbers of different kinds by what they are worth,
// without rounding either.
func compareMixed(a *vec, i int, b *vec, j int) (c int, ok bool) {
	switch {
	case b.Type.Kind == record.Float:
		c, ok = compareWithFloat(whole(a, i), b.Floats[j])
		return c, ok
	case a.Type.Kind == record.Float:
		c, ok = compareWithFloat(whole(b, j), a.Floats[i])
		return -c, ok
	}
	return whole(a, i).CmpScaled(int(a.Type.Scale), whole(b, j), int(b.Type.Scale)), true
}

// whole is row i of an Int, Uint or Decimal.
func whole(a *vec, i int) record.Dec {
	switch a.Type.Kind {
	case record.Int:
		return record.DecFromInt(a.Ints[i])
	case record.Uint:
		return record.DecFromUint(a.Uints[i])
	}
	return a.Decimals[i]
}

// compareWithFloat compares an integer of 64 bits with a float, exactly.
func compareWithFloat(d record.Dec, f float64) (c int, ok bool) {
	switch {
	case math.IsNaN(f):
		return 0, false
	case f >= 1<<64:
		return -1, true
	case f <= -(1 << 64):
		return 1, true
	}
	floor := math.Floor(f)
	whole := record.DecFromUint(uint64(math.Abs(floor)))
	if floor < 0 {
		whole = whole.Neg()
	}
	if c = d.Cmp(whole); c == 0 && f > floor {
		c = -1
	}
	return c, true
}
