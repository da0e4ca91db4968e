package native

import (
	"encoding/binary"
	"math"

	"github.com/sluicekit/sluice/core/record"
)

// fill lays out the values of one column at one width.
type fill = func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte

// known lists the types that have values of one width, to tell a type that
// does not fit from one that is not written at all.
func known(name string) bool {
	switch name {
	case "String", "JSON", "Bool", "UUID", "IPv4", "IPv6", "Date", "Date32", "DateTime", "DateTime64", "Enum8", "Enum16",
		"Decimal", "FixedString", "Float32", "Float64":
		return true
	}
	_, _, ok := integer(name)
	return ok
}

// integer is the width in bytes of an integer type, and whether it has a sign.
func integer(name string) (width int, signed, ok bool) {
	switch name {
	case "Int8":
		return 1, true, true
	case "Int16":
		return 2, true, true
	case "Int32":
		return 4, true, true
	case "Int64":
		return 8, true, true
	case "Int128":
		return 16, true, true
	case "Int256":
		return 32, true, true
	case "UInt8":
		return 1, false, true
	case "UInt16":
		return 2, false, true
	case "UInt32":
		return 4, false, true
	case "UInt64":
		return 8, false, true
	case "UInt128":
		return 16, false, true
	case "UInt256":
		return 32, false, true
	}
	return 0, false, false
}

// newFill is nil where the type does not take the record's.
func newFill(t Type, from record.Type, l *leaf) fill {
	if width, signed, ok := integer(t.Name); ok {
		if width > 8 {
			return fillWide(width, signed, from)
		}
		return fillInteger(width, signed, from)
	}
	switch t.Name {
	case "Bool":
		if from.Kind == record.Bool {
			return fillBool
		}
	case "Float32", "Float64":
		return fillFloat(t.Name == "Float32", from)
	case "Decimal":
		return fillDecimal(t, from)
	case "Date", "Date32", "DateTime", "DateTime64":
		if from.Kind == record.Timestamp {
			return fillTime(t)
		}
	case "FixedString":
		switch from.Kind {
		case record.String, record.Bytes:
			return fillFixedString(t.Size)
		}
	case "UUID", "IPv4", "IPv6":
		return fillAddress(t.Name, from)
	case "Enum8", "Enum16":
		return fillEnum(t, from)
	}
	return nil
}

const outOfRange = "the value is out of its range"

// bounds of integers of up to 8 bytes: what fits is in [-low, high].
func bounds(width int, signed bool) (low, high uint64) {
	high = math.MaxUint64 >> (64 - 8*width)
	if signed {
		return high/2 + 1, high / 2
	}
	return 0, high
}

func fillInteger(width int, signed bool, from record.Type) fill {
	low, high := bounds(width, signed)
	switch from.Kind {
	case record.Int:
		least, most := int64(-low), int64(min(high, math.MaxInt64))
		return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
			if width < 8 || !signed {
				for i, v := range src.Ints {
					if v < least || v > most {
						bad.add(i, l.reason(outOfRange))
					}
				}
			}
			return lay(buf, src.Ints, width)
		}
	case record.Uint:
		return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
			if high < math.MaxUint64 {
				for i, v := range src.Uints {
					if v > high {
						bad.add(i, l.reason(outOfRange))
					}
				}
			}
			return lay(buf, src.Uints, width)
		}
	case record.Bool:
		if width == 1 && !signed {
			return fillBool
		}
	case record.Decimal:
		if from.Scale == 0 {
			return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
				for i, d := range src.Decimals {
					a := d.Abs()
					if a.Hi != 0 || d.Sign() < 0 && a.Lo > low || d.Sign() >= 0 && a.Lo > high {
						bad.add(i, l.reason(outOfRange))
					}
					buf = appendInteger(buf, d.Lo, width)
				}
				return buf
			}
		}
	}
	return nil
}

// lay appends the low bytes of integers.
func lay[T int64 | uint64](buf []byte, values []T, width int) []byte {
	first := len(buf)
	buf = extend(buf, len(values)*width)
	to := buf[first:]
	switch width {
	case 8:
		for i, v := range values {
			binary.LittleEndian.PutUint64(to[8*i:], uint64(v))
		}
	case 4:
		for i, v := range values {
			binary.LittleEndian.PutUint32(to[4*i:], uint32(v))
		}
	case 2:
		for i, v := range values {
			binary.LittleEndian.PutUint16(to[2*i:], uint16(v))
		}
	case 1:
		for i, v := range values {
			to[i] = byte(v)
		}
	}
	return buf
}

func appendInteger(buf []byte, v uint64, width int) []byte {
	for range width {
		buf = append(buf, byte(v))
		v >>= 8
	}
	return buf
}

// fillWide are integers of 128 and 256 bits.
func fillWide(width int, signed bool, from record.Type) fill {
	switch {
	case from.Kind == record.Int || from.Kind == record.Uint || from.Kind == record.Decimal && from.Scale == 0:
	default:
		return nil
	}
	return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
		for i := range src.Len {
			d := whole(src, i)
			if !signed && d.Hi < 0 {
				bad.add(i, l.reason(outOfRange))
			}
			buf = appendWide(buf, d, width)
		}
		return buf
	}
}

// whole is row i as a decimal of the column's own scale.
func whole(src *record.Column, i int) record.Dec {
	switch src.Type.Kind {
	case record.Int:
		return record.DecFromInt(src.Ints[i])
	case record.Uint:
		return record.DecFromUint(src.Uints[i])
	}
	return src.Decimals[i]
}

func appendWide(buf []byte, d record.Dec, width int) []byte {
	if width <= 8 {
		return appendInteger(buf, d.Lo, width)
	}
	buf = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(buf, d.Lo), uint64(d.Hi))
	for sign := uint64(d.Hi >> 63); width > 16; width -= 8 {
		buf = binary.LittleEndian.AppendUint64(buf, sign)
	}
	return buf
}

func fillBool(_ *leaf, buf []byte, src *record.Column, _ *Complaints) []byte {
	for i := range src.Len {
		b := byte(0)
		if src.Bool(i) {
			b = 1
		}
		buf = append(buf, b)
	}
	return buf
}

func fillFloat(single bool, from record.Type) fill {
	switch {
	case from.Kind == record.Float && !single:
		return func(_ *leaf, buf []byte, src *record.Column, _ *Complaints) []byte {
			for _, v := range src.Floats {
				buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(v))
			}
			return buf
		}
	case from.Kind == record.Float:
		return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
			for i, v := range src.Floats {
				f := float32(v)
				if math.IsInf(float64(f), 0) && !math.IsInf(v, 0) {
					bad.add(i, l.reason(outOfRange))
				}
				buf = appendInteger(buf, uint64(math.Float32bits(f)), 4)
			}
			return buf
		}
	case (from.Kind == record.Int || from.Kind == record.Uint) && !single:
		return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
			for i := range src.Len {
				v := whole(src, i)
				a := v.Abs()
				if a.Lo > 1<<53 {
					bad.add(i, l.reason("the integer is not exact as a float"))
				}
				f := float64(a.Lo)
				if v.Sign() < 0 {
					f = -f
				}
				buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(f))
			}
			return buf
		}
	}
	return nil
}
