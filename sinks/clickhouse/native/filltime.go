package native

import (
	"github.com/sluicekit/sluice/core/record"
)

const (
	daySeconds = 86_400
	// The years that the server computes with, in seconds since 1970: beyond
	// them it shows another moment than the one that is stored.
	first1900 = -2_208_988_800
	last2299  = 10_413_791_999
)

// fillTime lays out timestamps. What is finer than the column is cut off, as
// the server does itself; what lies outside of its range is complained about.
func fillTime(t Type) fill {
	switch t.Name {
	case "Date":
		return times(2, daySeconds*1_000_000, 1, 0, 65_535)
	case "Date32":
		return times(4, daySeconds*1_000_000, 1, first1900/daySeconds, last2299/daySeconds)
	case "DateTime":
		return times(4, 1_000_000, 1, 0, 1<<32-1)
	}
	unit := int64(1) // of the column, in 1/unit seconds
	for range t.Size {
		unit *= 10
	}
	least, most := int64(first1900)*unit, (int64(last2299)+1)*unit-1
	if t.Size == 9 { // 64 bits of nanoseconds are what there is
		most = 1<<63 - 1
		return times(8, 1, 1000, least, most)
	}
	if unit <= 1_000_000 {
		return times(8, 1_000_000/unit, 1, least, most)
	}
	return times(8, 1, unit/1_000_000, least, most)
}

// times divides microseconds by one number, rounding down, or multiplies them
// by another.
func times(width int, by, mul, least, most int64) fill {
	lowest, highest := least/mul, most/mul // before the multiplication, which could overflow
	return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
		first := len(buf)
		buf = extend(buf, src.Len*width)
		to := buf[first:]
		for i, v := range src.Ints {
			if by != 1 {
				q := v / by
				if v%by < 0 {
					q--
				}
				v = q
			}
			if v < lowest || v > highest {
				bad.add(i, l.reason(outOfRange))
				continue
			}
			v *= mul
			for k, b := 0, to[i*width:i*width+width]; k < len(b); k++ {
				b[k] = byte(v >> (8 * k))
			}
		}
		return buf
	}
}

func fillFixedString(size int) fill {
	return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
		for i := range src.Len {
			v := src.Bytes(i)
			if len(v) > size {
				bad.add(i, l.reason("the text is too long"))
				v = v[:size]
			}
			buf = append(buf, v...)
			buf = extend(buf, size-len(v))
		}
		return buf
	}
}

// fillAddress lays out UUID, IPv4 and IPv6, from text or from their bytes.
func fillAddress(name string, from record.Type) fill {
	var parse func(v []byte, binary bool) ([16]byte, bool)
	width := 16
	switch name {
	case "UUID":
		parse = parseUUID
	case "IPv6":
		parse = parseIPv6
	default:
		if from.Kind == record.Uint || from.Kind == record.Int {
			return fillInteger(4, false, from)
		}
		parse, width = parseIPv4, 4
	}
	if from.Kind != record.String && from.Kind != record.Bytes {
		return nil
	}
	return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
		for i := range src.Len {
			b, ok := parse(src.Bytes(i), from.Kind == record.Bytes)
			if !ok && !src.Null(i) {
				bad.add(i, l.reason("the value is none"))
			}
			buf = append(buf, b[:width]...)
		}
		return buf
	}
}

// parseUUID reads a UUID, which the server stores as two numbers of 64 bits,
// the lowest byte of each first.
func parseUUID(v []byte, binary bool) (out [16]byte, ok bool) {
	var b [16]byte
	switch {
	case binary && len(v) == 16:
		copy(b[:], v)
	case len(v) == 36 && v[8] == '-' && v[13] == '-' && v[18] == '-' && v[23] == '-':
		n := 0
		for i := 0; i < len(v); i++ {
			if i == 8 || i == 13 || i == 18 || i == 23 { // there are hyphens; one anywhere else is no digit
				continue
			}
			high, okHigh := hexDigit(v[i])
			i++
			low, okLow := hexDigit(v[i])
			if !okHigh || !okLow {
				return out, false
			}
			b[n] = high<<4 | low
			n++
		}
	default:
		return out, false
	}
	for i := range 8 {
		out[i], out[8+i] = b[7-i], b[15-i]
	}
	return out, true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// fillEnum takes names, or numbers that have one. Under a null, which may become
// the default, lies the type's own default, its first value: a number that has no
// name would be stored, and spoil every query that reads it.
func fillEnum(t Type, from record.Type) fill {
	width := 1
	if t.Name == "Enum16" {
		width = 2
	}
	switch from.Kind {
	case record.String:
		names := make(map[string]int16, len(t.Enum))
		for _, e := range t.Enum {
			names[e.Name] = e.Value
		}
		return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
			for i := range src.Len {
				v, ok := names[string(src.Bytes(i))]
				if src.Null(i) {
					v = t.Enum[0].Value
				} else if !ok {
					bad.add(i, l.reason("the value is none of its names"))
				}
				buf = appendInteger(buf, uint64(v), width)
			}
			return buf
		}
	case record.Int:
		numbers := make(map[int64]bool, len(t.Enum))
		for _, e := range t.Enum {
			numbers[int64(e.Value)] = true
		}
		return func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte {
			for i, v := range src.Ints {
				if src.Null(i) {
					v = int64(t.Enum[0].Value)
				} else if !numbers[v] {
					bad.add(i, l.reason("the value is none of its numbers"))
				}
				buf = appendInteger(buf, uint64(v), width)
			}
			return buf
		}
	}
	return nil
}
