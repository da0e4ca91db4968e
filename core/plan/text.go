package plan

import (
	"bytes"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
)

// maxConcat bounds a text that + makes: each may be as large as a record, and
// an expression may add it to itself over and over.
const maxConcat = 16 << 20

// concat joins two texts.
func (v *vec) concat(e *expr, a, b *vec) {
	for i := range v.Len {
		if !v.Column.Null(i) {
			p, q := a.bytes(i), b.bytes(i)
			if len(p)+len(q) > maxConcat {
				v.fail(i, codeOf(e, tooLong))
			} else {
				v.Data = append(append(v.Data, p...), q...)
			}
		}
		v.endText(i, e)
	}
}

// match sets the bits of startsWith, endsWith and contains.
func match(v *vec, o op, a, b *vec) {
	test := bytes.HasPrefix
	switch o {
	case opEnds:
		test = bytes.HasSuffix
	case opContains:
		test = bytes.Contains
	}
	for w := range v.Bits {
		x := uint64(0)
		for i := w * 64; i < min(v.Len, w*64+64); i++ {
			x |= bit(test(a.bytes(i), b.bytes(i))) << (uint(i) & 63)
		}
		v.Bits[w] = x
	}
}

// retext is lower, upper and trim.
func retext(e *expr, v, a *vec) {
	for i := range v.Len {
		if !v.Column.Null(i) {
			switch s := a.bytes(i); e.op {
			case opTrim:
				v.Data = append(v.Data, bytes.Trim(s, " \t\r\n\v\f")...)
			case opLower:
				v.Data = appendMapped(v.Data, s, 'A', 'Z', unicode.ToLower)
			default:
				v.Data = appendMapped(v.Data, s, 'a', 'z', unicode.ToUpper)
			}
		}
		v.endText(i, e)
	}
}

// appendMapped changes letter case rune by rune; first to last are the ASCII
// letters that change.
func appendMapped(dst, s []byte, first, last byte, to func(rune) rune) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if first <= c && c <= last {
				c ^= 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, c)
		} else {
			dst = utf8.AppendRune(dst, to(r))
		}
		i += size
	}
	return dst
}

// length counts characters, bytes or elements.
func length(v, a *vec) {
	m := a.mask()
	for i := range v.Len {
		switch k := i & m; {
		case v.Column.Null(i):
			v.Ints[i] = 0
		case a.Type.Kind == record.String:
			v.Ints[i] = int64(utf8.RuneCount(a.Column.Bytes(k)))
		default:
			v.Ints[i] = int64(a.Offsets[k+1] - a.Offsets[k])
		}
	}
}

// dateUnits are the parts of a time that functions of the same name give, in
// UTC, and the units that truncate takes; largest first.
var dateUnits = []string{"year", "month", "day", "hour", "minute", "second"}

func datePart(v *vec, unit string, a *vec) {
	m := a.mask()
	for i := range v.Len {
		t := time.UnixMicro(a.Ints[i&m]).UTC()
		var part int
		switch unit {
		case "year":
			part = t.Year()
		case "month":
			part = int(t.Month())
		case "day":
			part = t.Day()
		case "hour":
			part = t.Hour()
		case "minute":
			part = t.Minute()
		default:
			part = t.Second()
		}
		v.Ints[i] = int64(part)
	}
}

// unitMicros are the units of fixed length.
func unitMicros(unit string) int64 {
	switch unit {
	case "second":
		return 1_000_000
	case "minute":
		return 60 * 1_000_000
	case "hour":
		return 3600 * 1_000_000
	case "day":
		return 24 * 3600 * 1_000_000
	}
	return 0
}

// truncate goes back to the start of a unit, in UTC.
func truncate(e *expr, v, a *vec) {
	m, micros := a.mask(), unitMicros(e.unit)
	for i := range v.Len {
		t := a.Ints[i&m]
		if micros == 0 {
			u := time.UnixMicro(t).UTC()
			month := time.January
			if e.unit == "month" {
				month = u.Month()
			}
			start := time.Date(u.Year(), month, 1, 0, 0, 0, 0, time.UTC)
			v.Ints[i] = start.UnixMicro()
		} else {
			rest := t % micros
			if rest < 0 {
				rest += micros
			}
			v.Ints[i] = t - rest
		}
		if v.Ints[i] > t { // before the first microsecond that there is
			v.fail(i, codeOf(e, outOfRange))
		}
	}
}
