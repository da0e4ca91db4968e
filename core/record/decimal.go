package record

import (
	"cmp"
	"errors"
	"math/bits"
	"strconv"
)

// MaxPrecision is the most digits that a Decimal can have.
const MaxPrecision = 38

// Dec is the unscaled value of an exact decimal: a 128-bit two's complement
// integer, low half first, as Arrow lays it out. Its scale is the column's.
//
// Every Dec that these functions return has at most MaxPrecision digits. A
// result with more is reported, never wrapped.
type Dec struct {
	Lo uint64
	Hi int64
}

// Why a text or a change of scale gives no decimal. They carry no value, since
// values of events must not get into messages.
var (
	ErrDecSyntax = errors.New("not a decimal number")
	ErrDecRange  = errors.New("more digits than the decimal holds")
	ErrDecScale  = errors.New("more fractional digits than the decimal's scale")
)

// DecFromInt is v with scale 0.
func DecFromInt(v int64) Dec { return Dec{Lo: uint64(v), Hi: v >> 63} }

// DecFromUint is v with scale 0.
func DecFromUint(v uint64) Dec { return Dec{Lo: v} }

// DecFromBytes reads a big-endian two's complement integer of any length, as
// Avro writes it. Not ok: it is empty, or has more than MaxPrecision digits.
func DecFromBytes(b []byte) (d Dec, ok bool) {
	if len(b) == 0 {
		return Dec{}, false
	}
	sign := byte(int8(b[0]) >> 7)
	for len(b) > 16 {
		if b[0] != sign {
			return Dec{}, false
		}
		b = b[1:]
	}
	d = Dec{Lo: uint64(int64(int8(sign))), Hi: int64(int8(sign))}
	for _, c := range b {
		d.Hi = d.Hi<<8 | int64(d.Lo>>56)
		d.Lo = d.Lo<<8 | uint64(c)
	}
	if (d.Hi < 0) != (sign != 0) {
		return Dec{}, false
	}
	return d, d.Fits(MaxPrecision)
}

// Sign is -1, 0 or 1.
func (d Dec) Sign() int {
	if d.Hi < 0 {
		return -1
	}
	if d.Hi|int64(d.Lo) == 0 {
		return 0
	}
	return 1
}

// Neg is -d.
func (d Dec) Neg() Dec {
	lo, borrow := bits.Sub64(0, d.Lo, 0)
	return Dec{Lo: lo, Hi: -d.Hi - int64(borrow)}
}

// Abs is d without its sign.
func (d Dec) Abs() Dec {
	if d.Hi < 0 {
		return d.Neg()
	}
	return d
}

// Cmp compares two decimals of one scale.
func (d Dec) Cmp(o Dec) int {
	if d.Hi != o.Hi {
		return cmp.Compare(d.Hi, o.Hi)
	}
	return cmp.Compare(d.Lo, o.Lo)
}

// CmpScaled compares d with scale scale and o with scale oscale, exactly.
func (d Dec) CmpScaled(scale int, o Dec, oscale int) int {
	if scale > oscale {
		return -o.CmpScaled(oscale, d, scale)
	}
	up, err := d.Rescale(scale, oscale)
	if err != nil { // d is beyond every decimal of o's scale
		return d.Sign()
	}
	return up.Cmp(o)
}

// Add is d+o; both have one scale. Not ok: more than MaxPrecision digits.
func (d Dec) Add(o Dec) (sum Dec, ok bool) {
	lo, carry := bits.Add64(d.Lo, o.Lo, 0)
	hi := d.Hi + o.Hi + int64(carry)
	sum = Dec{Lo: lo, Hi: hi}
	if (d.Hi < 0) == (o.Hi < 0) && (hi < 0) != (d.Hi < 0) {
		return sum, false
	}
	return sum, sum.Fits(MaxPrecision)
}

// Sub is d-o; both have one scale. Not ok: more than MaxPrecision digits.
func (d Dec) Sub(o Dec) (difference Dec, ok bool) { return d.Add(o.Neg()) }

// Mul is d*o; its scale is the sum of theirs. Not ok: more than MaxPrecision
// digits.
func (d Dec) Mul(o Dec) (product Dec, ok bool) {
	w := mul(d.magnitude(), o.magnitude())
	if w[2]|w[3] != 0 {
		return Dec{}, false
	}
	return fromMagnitude(u128{w[0], w[1]}, (d.Hi < 0) != (o.Hi < 0))
}

// Quo is d*10^shift/o, rounded half to even: with scales s and t the quotient
// has scale s+shift-t. Not ok: o is zero, or more than MaxPrecision digits.
// shift is 0 to 2*MaxPrecision.
func (d Dec) Quo(o Dec, shift int) (quotient Dec, ok bool) {
	if o.Sign() == 0 {
		return Dec{}, false
	}
	m, by := d.magnitude(), o.magnitude()
	if shift > MaxPrecision { // in two steps: what overflows in the first is beyond 10^MaxPrecision after the second and the division as well
		w := mul(m, pow10[shift-MaxPrecision])
		if w[2]|w[3] != 0 {
			return Dec{}, false
		}
		m, shift = u128{w[0], w[1]}, MaxPrecision
	}
	q, rest := div(mul(m, pow10[shift]), by)
	m = u128{q[0], q[1]}
	if q[2]|q[3] != 0 || !m.less(pow10[MaxPrecision]) { // before it is rounded, which could begin anew at zero
		return Dec{}, false
	}
	if roundUp(m.lo, rest, by) {
		m = m.inc()
	}
	return fromMagnitude(m, (d.Hi < 0) != (o.Hi < 0))
}

// Rescale brings d from one scale to another without a change of value, or
// fails with ErrDecRange or ErrDecScale. A scale may be any, even one that no Dec
// of ours has: that of a destination's column.
func (d Dec) Rescale(from, to int) (Dec, error) {
	switch {
	case from == to || d.Sign() == 0:
		return d, nil
	case to-from > MaxPrecision:
		return Dec{}, ErrDecRange
	case from-to > MaxPrecision:
		return Dec{}, ErrDecScale
	case from < to:
		w := mul(d.magnitude(), pow10[to-from])
		up, ok := fromMagnitude(u128{w[0], w[1]}, d.Hi < 0)
		if !ok || w[2]|w[3] != 0 {
			return Dec{}, ErrDecRange
		}
		return up, nil
	}
	m := d.magnitude()
	q, rest := div([4]uint64{m.lo, m.hi}, pow10[from-to])
	if rest != (u128{}) {
		return Dec{}, ErrDecScale
	}
	down, _ := fromMagnitude(u128{q[0], q[1]}, d.Hi < 0)
	return down, nil
}

// Round brings d from one scale to a smaller one, rounding half to even; both
// are 0 to MaxPrecision.
func (d Dec) Round(from, to int) Dec {
	m, by := d.magnitude(), pow10[from-to]
	q, rest := div([4]uint64{m.lo, m.hi}, by)
	m = u128{q[0], q[1]}
	if roundUp(m.lo, rest, by) {
		m = m.inc()
	}
	r, _ := fromMagnitude(m, d.Hi < 0)
	return r
}

// Floor brings d from one scale to a smaller one, rounding down. from may be any,
// even a scale that no Dec of ours has: that of a count of nanoseconds.
func (d Dec) Floor(from, to int) Dec {
	if from-to > MaxPrecision { // nothing is left but the sign
		return Dec{Lo: uint64(d.Hi >> 63), Hi: d.Hi >> 63}
	}
	m := d.magnitude()
	q, rest := div([4]uint64{m.lo, m.hi}, pow10[from-to])
	m = u128{q[0], q[1]}
	if d.Hi < 0 && rest != (u128{}) {
		m = m.inc()
	}
	r, _ := fromMagnitude(m, d.Hi < 0)
	return r
}

// Fits says whether d has at most precision digits; precision is 0 to
// MaxPrecision.
func (d Dec) Fits(precision int) bool { return d.magnitude().less(pow10[precision]) }

// Int is d, of scale 0, as an int64 if it is one.
func (d Dec) Int() (v int64, ok bool) { return int64(d.Lo), d.Hi == int64(d.Lo)>>63 }

// Uint is d, of scale 0, as a uint64 if it is one.
func (d Dec) Uint() (v uint64, ok bool) { return d.Lo, d.Hi == 0 }

// Float is the float nearest to d.
func (d Dec) Float(scale int) float64 {
	var buf [maxDecText]byte
	f, _ := strconv.ParseFloat(string(d.Append(buf[:0], scale)), 64) // digits, a sign and a point always parse
	return f
}

// maxDecText is the longest text of a Dec: 38 digits, a sign, "0.".
const maxDecText = MaxPrecision + 3

// String is d in digits, with scale of them behind the point: -0.050.
func (d Dec) String(scale int) string {
	var buf [maxDecText]byte
	return string(d.Append(buf[:0], scale))
}

// Append appends what String returns.
func (d Dec) Append(dst []byte, scale int) []byte {
	var digits [2 * 20]byte
	m, n := d.magnitude(), len(digits)
	for m.hi != 0 {
		q, rest := div([4]uint64{m.lo, m.hi}, pow10[19])
		for range 19 {
			n--
			digits[n] = '0' + byte(rest.lo%10)
			rest.lo /= 10
		}
		m = u128{q[0], q[1]}
	}
	for m.lo != 0 {
		n--
		digits[n] = '0' + byte(m.lo%10)
		m.lo /= 10
	}
	for n > len(digits)-scale-1 {
		n--
		digits[n] = '0'
	}
	if d.Hi < 0 {
		dst = append(dst, '-')
	}
	dst = append(dst, digits[n:len(digits)-scale]...)
	if scale > 0 {
		dst = append(dst, '.')
		dst = append(dst, digits[len(digits)-scale:]...)
	}
	return dst
}
