package record

import "math/bits"

// u128 is the magnitude of a Dec.
type u128 struct{ lo, hi uint64 }

// pow10 holds 10^0 to 10^38.
var pow10 = func() (p [MaxPrecision + 1]u128) {
	p[0] = u128{lo: 1}
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1].times10()
	}
	return p
}()

func (d Dec) magnitude() u128 {
	d = d.Abs()
	return u128{d.Lo, uint64(d.Hi)}
}

// fromMagnitude gives m its sign; not ok: more than MaxPrecision digits.
func fromMagnitude(m u128, neg bool) (Dec, bool) {
	if !m.less(pow10[MaxPrecision]) {
		return Dec{}, false
	}
	d := Dec{Lo: m.lo, Hi: int64(m.hi)}
	if neg {
		d = d.Neg()
	}
	return d, true
}

func (a u128) less(b u128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a u128) times10() u128 {
	hi, lo := bits.Mul64(a.lo, 10)
	return u128{lo, a.hi*10 + hi}
}

func (a u128) plus(v uint64) u128 {
	lo, carry := bits.Add64(a.lo, v, 0)
	return u128{lo, a.hi + carry}
}

func (a u128) inc() u128 { return a.plus(1) }

func (a u128) minus(b u128) u128 {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return u128{lo, hi}
}

// mul is the whole product, lowest word first.
func mul(a, b u128) (w [4]uint64) {
	w[1], w[0] = bits.Mul64(a.lo, b.lo)
	if a.hi|b.hi == 0 {
		return w
	}
	h1, l1 := bits.Mul64(a.lo, b.hi)
	h2, l2 := bits.Mul64(a.hi, b.lo)
	h3, l3 := bits.Mul64(a.hi, b.hi)
	var c, c2 uint64
	w[1], c = bits.Add64(w[1], l1, 0)
	w[2], c = bits.Add64(h1, h2, c)
	w[3] = h3 + c
	w[1], c = bits.Add64(w[1], l2, 0)
	w[2], c2 = bits.Add64(w[2], l3, c)
	w[3] += c2
	return w
}

// div is a/b and what is left; b is not zero.
func div(a [4]uint64, b u128) (q [4]uint64, rest u128) {
	if b.hi == 0 {
		var r uint64
		for i := 3; i >= 0; i-- {
			q[i], r = bits.Div64(r, a[i], b.lo)
		}
		return q, u128{lo: r}
	}
	if a[2]|a[3] == 0 && (u128{a[0], a[1]}).less(b) {
		return q, u128{a[0], a[1]}
	}
	// Bit by bit: it is rare that both numbers are beyond 64 bits.
	for i := 255; i >= 0; i-- {
		top := rest.hi >> 63
		rest = u128{rest.lo<<1 | a[i>>6]>>(uint(i)&63)&1, rest.hi<<1 | rest.lo>>63}
		if top != 0 || !rest.less(b) {
			rest = rest.minus(b)
			q[i>>6] |= 1 << (uint(i) & 63)
		}
	}
	return q, rest
}

// roundUp decides half to even: q is the quotient so far, rest what is left of
// a division by b.
func roundUp(q uint64, rest, b u128) bool {
	left := b.minus(rest) // rest < b
	if rest == left {
		return q&1 == 1
	}
	return left.less(rest)
}
