package sqltable

import (
	"math/bits"

	"github.com/sluicekit/sluice/core/record"
)

// magnitude is the absolute value of d as an unsigned 128-bit integer.
func magnitude(d record.Dec) (hi, lo uint64, negative bool) {
	if d.Hi >= 0 {
		return uint64(d.Hi), d.Lo, false
	}
	lo, carry := bits.Add64(^d.Lo, 1, 0)
	return ^uint64(d.Hi) + carry, lo, true
}

// AppendDecimal appends d as text, always with scale digits behind the point,
// so that equal values are equal texts.
func AppendDecimal(dst []byte, d record.Dec, scale int) []byte {
	hi, lo, negative := magnitude(d)
	if negative {
		dst = append(dst, '-')
	}
	var digits [40]byte
	i := len(digits)
	for hi != 0 || lo != 0 || len(digits)-i <= scale {
		var r uint64
		hi, r = hi/10, hi%10
		lo, r = bits.Div64(r, lo, 10)
		i--
		digits[i] = byte('0' + r)
	}
	point := len(digits) - scale
	dst = append(dst, digits[i:point]...)
	if scale > 0 {
		dst = append(dst, '.')
		dst = append(dst, digits[point:]...)
	}
	return dst
}

// Digits returns a test whether an unscaled value has at most n digits.
func Digits(n int) func(record.Dec) bool {
	if n > 38 {
		return func(record.Dec) bool { return true } // more than a Dec holds
	}
	hi, lo := uint64(0), uint64(1)
	for range n {
		over, low := bits.Mul64(lo, 10)
		hi, lo = hi*10+over, low
	}
	return func(d record.Dec) bool {
		h, l, _ := magnitude(d)
		return h < hi || h == hi && l < lo
	}
}

// Shorten drops n digits at the end, and says whether they were zeros.
func Shorten(d record.Dec, n int) (record.Dec, bool) {
	hi, lo, negative := magnitude(d)
	for range n {
		var r uint64
		hi, r = hi/10, hi%10
		if lo, r = bits.Div64(r, lo, 10); r != 0 {
			return record.Dec{}, false
		}
	}
	if negative {
		var carry uint64
		lo, carry = bits.Add64(^lo, 1, 0)
		hi = ^hi + carry
	}
	return record.Dec{Hi: int64(hi), Lo: lo}, true
}

// Int64 is the value of d without a scale, if it fits.
func Int64(d record.Dec) (int64, bool) {
	v := int64(d.Lo)
	return v, d.Hi == v>>63
}
