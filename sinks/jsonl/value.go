package jsonl

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/sinks/clock"
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
		return c.Decimals[i].Append(dst, int(c.Type.Scale)), "" // all digits of the scale: 1.50 stays 1.50
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

// appendTimestamp writes RFC 3339, which knows the years 0 to 9999.
func appendTimestamp(dst []byte, micros int64) ([]byte, string) {
	if micros < clock.First || micros >= clock.Next {
		return dst, "the timestamp is outside of the years 0 to 9999"
	}
	dst = clock.Append(append(dst, '"'), micros, 'T')
	return append(dst, 'Z', '"'), ""
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
