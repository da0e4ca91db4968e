package native

import (
	"encoding/binary"
	"math/bits"

	"github.com/sluicekit/sluice/core/record"
)

// fillDecimal takes decimals and integers. Of more than 38 digits, which is as
// many as a record's decimal has, a column is laid out by fillDecimal256.
func fillDecimal(t Type, from record.Type) fill {
	scale := int(from.Scale)
	switch from.Kind {
	case record.Decimal:
	case record.Int, record.Uint:
		scale = 0
	default:
		return nil
	}
	width := 4
	switch {
	case t.Size > record.MaxPrecision:
		return fillDecimal256(t, scale)
	case t.Size > 18:
		width = 16
	case t.Size > 9:
		width = 8
	}
	return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
		for i := range src.Len {
			d, err := whole(src, i).Rescale(scale, t.Scale)
			if err != nil {
				bad.add(i, l.reason(err.Error()))
			} else if t.Size < record.MaxPrecision && !d.Fits(t.Size) {
				bad.add(i, l.reason(outOfRange))
			}
			buf = appendWide(buf, d, width)
		}
		return buf
	}
}

// fillDecimal256 is for columns of 256 bits, which have digits for more than a
// record's decimal could be rescaled to.
func fillDecimal256(t Type, scale int) fill {
	bound, _ := u256{1}.times10(t.Size)
	return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
		for i := range src.Len {
			d, up := whole(src, i), t.Scale-scale
			if up < 0 {
				var err error
				if d, err = d.Rescale(scale, t.Scale); err != nil {
					bad.add(i, l.reason(err.Error()))
				}
				up = 0
			}
			a := d.Abs()
			w, ok := u256{a.Lo, uint64(a.Hi)}.times10(up)
			if !ok || !w.less(bound) {
				bad.add(i, l.reason(outOfRange))
			}
			if d.Sign() < 0 {
				w = w.neg()
			}
			for _, limb := range w {
				buf = binary.LittleEndian.AppendUint64(buf, limb)
			}
		}
		return buf
	}
}

// u256 is a number of 256 bits, the lowest limb first.
type u256 [4]uint64

// times10 multiplies by a power of ten. Not ok: the result has more bits.
func (w u256) times10(power int) (u256, bool) {
	for power > 0 {
		by := uint64(1)
		for ; power > 0 && by < 1e19; power-- {
			by *= 10
		}
		carry := uint64(0)
		for i := range w {
			hi, lo := bits.Mul64(w[i], by)
			var c uint64
			w[i], c = bits.Add64(lo, carry, 0)
			carry = hi + c
		}
		if carry != 0 {
			return w, false
		}
	}
	return w, true
}

func (w u256) less(o u256) bool {
	borrow := uint64(0)
	for i := range w {
		_, borrow = bits.Sub64(w[i], o[i], borrow)
	}
	return borrow != 0
}

func (w u256) neg() u256 {
	borrow := uint64(0)
	for i := range w {
		w[i], borrow = bits.Sub64(0, w[i], borrow)
	}
	return w
}
