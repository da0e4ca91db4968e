package jsonl

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
)

// appendValue appends one value. cause says why it cannot be written, "" if it
// was; what was appended of it then is the caller's to cut off.
func appendValue(dst []byte, c *record.Column, i int) (_ []byte, cause string) {
	if c.Null(i) {
		return append(dst, "null"...), ""
	}
	switch c.Type.Kind {
	case record.Bool:
		return strconv.AppendBool(dst, c.Bool(i)), ""
	case record.Int:
		return strconv.AppendInt(dst, c.Ints[i], 10), ""
	case record.Uint:
		return strconv.AppendUint(dst, c.Uints[i], 10), ""
	case record.Float:
		return appendFloat(dst, c.Floats[i])
	case record.Decimal:
		return appendDecimal(dst, c.Decimals[i], int(c.Type.Scale)), ""
	case record.Timestamp:
		return appendTimestamp(dst, c.Ints[i])
	case record.String:
		return appendString(dst, c.Bytes(i))
	case record.Bytes:
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), c.Bytes(i))
		return append(dst, '"'), ""
	case record.JSON:
		return appendJSON(dst, c.Bytes(i))
	case record.List, record.Map:
		return appendNested(dst, c, i)
	}
	return dst, "a value of kind " + c.Type.Kind.String() + " has no JSON form"
}

func appendNested(dst []byte, c *record.Column, i int) ([]byte, string) {
	brackets := "[]"
	if c.Keys != nil {
		brackets = "{}"
	}
	dst = append(dst, brackets[0])
	first, next := c.Range(i)
	for k := first; k < next; k++ {
		if k > first {
			dst = append(dst, ',')
		}
		var cause string
		if c.Keys != nil {
			if dst, cause = appendString(dst, c.Keys.Bytes(k)); cause != "" {
				return dst, "a key of the map: " + cause
			}
			dst = append(dst, ':')
		}
		if dst, cause = appendValue(dst, c.Elems, k); cause != "" {
			return dst, "an element: " + cause
		}
	}
	return append(dst, brackets[1]), ""
}

// appendFloat writes the shortest digits that read back the same; very large
// and very small numbers with an exponent.
func appendFloat(dst []byte, v float64) ([]byte, string) {
	if math.IsNaN(v) {
		return dst, "the float is NaN, which JSON does not have"
	}
	if math.IsInf(v, 0) {
		return dst, "the float is infinite, which JSON does not have"
	}
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, v, 'e', -1, 64), ""
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64), ""
}

// appendDecimal writes all digits of the scale: 1.50 stays 1.50.
func appendDecimal(dst []byte, d record.Dec, scale int) []byte {
	hi, lo := uint64(d.Hi), d.Lo
	if d.Hi < 0 {
		dst = append(dst, '-')
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	var buf [39]byte
	if hi == 0 {
		return appendPoint(dst, strconv.AppendUint(buf[:0], lo, 10), scale)
	}
	// The absolute value is at least 2^64 and at most 2^127, which is below
	// 2^64 * 10^19: one division parts it into the upper digits, of which there
	// are some, and the lower 19.
	const tenTo19 = 10_000_000_000_000_000_000
	upper, lower := bits.Div64(hi, lo, tenTo19)
	digits := strconv.AppendUint(buf[:0], upper, 10)
	for unit := uint64(tenTo19 / 10); unit > 0; unit /= 10 {
		digits = append(digits, byte('0'+lower/unit%10))
	}
	return appendPoint(dst, digits, scale)
}

// appendPoint writes digits, of which scale stand behind the point.
func appendPoint(dst, digits []byte, scale int) []byte {
	const zeros = "000000000000000000000000000000000000000" // a scale is at most 38
	if missing := scale + 1 - len(digits); missing > 0 {
		dst = append(dst, '0', '.')
		dst = append(dst, zeros[:missing-1]...)
		return append(dst, digits...)
	}
	point := len(digits) - scale
	dst = append(dst, digits[:point]...)
	if scale == 0 {
		return dst
	}
	return append(append(dst, '.'), digits[point:]...)
}

const (
	microsPerDay  = 24 * 60 * 60 * 1_000_000
	firstMicrosAD = -62_167_219_200 * 1_000_000 // 0000-01-01
	nextMicrosAD  = 253_402_300_800 * 1_000_000 // 10000-01-01
)

// appendTimestamp writes RFC 3339, which knows the years 0 to 9999.
func appendTimestamp(dst []byte, micros int64) ([]byte, string) {
	if micros < firstMicrosAD || micros >= nextMicrosAD {
		return dst, "the timestamp is outside of the years 0 to 9999"
	}
	day, in := micros/microsPerDay, micros%microsPerDay
	if in < 0 {
		day, in = day-1, in+microsPerDay
	}
	year, month, dom := civil(day)
	seconds, part := in/1_000_000, in%1_000_000
	text := [29]byte([]byte(`"0000-00-00T00:00:00.000000Z"`))
	twoDigits(text[1:], year/100)
	twoDigits(text[3:], year%100)
	twoDigits(text[6:], month)
	twoDigits(text[9:], dom)
	twoDigits(text[12:], seconds/3600)
	twoDigits(text[15:], seconds/60%60)
	twoDigits(text[18:], seconds%60)
	twoDigits(text[21:], part/10_000)
	twoDigits(text[23:], part/100%100)
	twoDigits(text[25:], part%100)
	return append(dst, text[:]...), ""
}

func twoDigits(b []byte, v int64) {
	b[0], b[1] = byte('0'+v/10), byte('0'+v%10)
}

// civil turns days since 1970 into a date of the Gregorian calendar. Years are
// counted from March, so that the leap day is the last of its year, in eras of
// 400 years.
func civil(day int64) (year, month, dom int64) {
	const daysPerEra = 146_097
	day += 719_468 // days from 0000-03-01 to 1970-01-01
	era := day / daysPerEra
	if day < 0 {
		era = (day - daysPerEra + 1) / daysPerEra
	}
	doe := day - era*daysPerEra
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	shifted := (5*doy + 2) / 153 // 0 is March
	dom = doy - (153*shifted+2)/5 + 1
	month = shifted + 3
	year = yoe + era*400
	if month > 12 {
		month, year = month-12, year+1
	}
	return year, month, dom
}

// appendString writes a JSON string. Only what JSON requires is escaped.
func appendString(dst, s []byte) ([]byte, string) {
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b < utf8.RuneSelf {
			if plain[b] {
				i++
				continue
			}
			dst = append(dst, s[done:i]...)
			dst = appendEscape(dst, b)
			i++
			done = i
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && size == 1 {
			return dst, "the text is not UTF-8"
		}
		i += size
	}
	return append(append(dst, s[done:]...), '"'), ""
}

func appendEscape(dst []byte, b byte) []byte {
	switch b {
	case '"', '\\':
		return append(dst, '\\', b)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
}

// plain says which ASCII bytes stand in a JSON string as they are.
var plain = func() (t [utf8.RuneSelf]bool) {
	for b := range t {
		t[b] = b >= ' ' && b != '"' && b != '\\'
	}
	return t
}()

// appendJSON copies a JSON value. Line breaks can only stand between its
// tokens, since a string must not hold them; there they would end the line and
// are left out.
func appendJSON(dst, v []byte) ([]byte, string) {
	if !json.Valid(v) {
		return dst, "the value is not JSON"
	}
	if !utf8.Valid(v) {
		return dst, "the text is not UTF-8"
	}
	done := 0
	for i, b := range v {
		if b == '\n' || b == '\r' {
			dst = append(dst, v[done:i]...)
			done = i + 1
		}
	}
	return append(dst, v[done:]...), ""
}
