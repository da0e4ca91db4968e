package plan

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
)

// jsonScalar is the text of a JSON string, number, true or false.
func (m *machine) jsonScalar(text []byte) ([]byte, cause) {
	text = bytes.Trim(text, " \t\r\n")
	switch {
	case len(text) == 0, text[0] == '{', text[0] == '[':
		return nil, notScalar
	case text[0] == '"':
		return m.unquote(text)
	case string(text) == "null":
		return nil, isNull
	}
	return text, fine
}

// jsonText is a JSON value as text: a string without its quotes, all else as
// it stands.
func (m *machine) jsonText(text []byte) ([]byte, cause) {
	text = bytes.Trim(text, " \t\r\n")
	switch {
	case len(text) > 0 && text[0] == '"':
		return m.unquote(text)
	case string(text) == "null":
		return nil, isNull
	}
	return text, fine
}

// unquote is the text of a JSON string; it holds until the next call.
func (m *machine) unquote(s []byte) ([]byte, cause) {
	if len(s) < 2 || s[len(s)-1] != '"' {
		return nil, notScalar
	}
	s = s[1 : len(s)-1]
	if bytes.IndexByte(s, '\\') < 0 {
		return s, fine
	}
	out := m.text[:0]
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		if i == len(s) {
			return nil, notScalar
		}
		if k := bytes.IndexByte([]byte(`"\/bfnrt`), s[i]); k >= 0 {
			out = append(out, "\"\\/\b\f\n\r\t"[k])
			continue
		}
		r, ok := hex4(s[i:])
		if !ok {
			return nil, notScalar
		}
		i += 4
		if utf16.IsSurrogate(r) {
			low, _ := hex4(s[min(i+2, len(s)):])
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError && s[i+1] == '\\' {
				i += 6
			} else {
				r = utf8.RuneError
			}
		}
		out = utf8.AppendRune(out, r)
	}
	m.text = out
	return out, fine
}

// hex4 reads u12ab.
func hex4(s []byte) (rune, bool) {
	if len(s) < 5 || s[0] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s[1:5]), 16, 32)
	return rune(n), err == nil
}

// appendJSON appends row i as JSON: times and bytes (base64) as strings,
// decimals as numbers with all their digits.
func appendJSON(dst []byte, c *record.Column, i int) (out []byte, failed cause) {
	if c.Null(i) {
		return append(dst, "null"...), fine
	}
	switch c.Type.Kind {
	case record.Bool:
		return strconv.AppendBool(dst, c.Bool(i)), fine
	case record.Int:
		return strconv.AppendInt(dst, c.Ints[i], 10), fine
	case record.Uint:
		return strconv.AppendUint(dst, c.Uints[i], 10), fine
	case record.Float:
		if f := c.Floats[i]; math.IsNaN(f) || math.IsInf(f, 0) {
			return dst, notFinite
		}
		return appendFloat(dst, c.Floats[i]), fine
	case record.Decimal:
		return c.Decimals[i].Append(dst, int(c.Type.Scale)), fine
	case record.Timestamp:
		dst, failed = appendTime(append(dst, '"'), c.Ints[i])
		return append(dst, '"'), failed
	case record.Bytes:
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), c.Bytes(i))
		return append(dst, '"'), fine
	case record.JSON:
		return append(dst, c.Bytes(i)...), fine
	case record.List, record.Map:
		return appendElems(dst, c, i)
	}
	return appendQuoted(dst, c.Bytes(i)), fine
}

func appendElems(dst []byte, c *record.Column, i int) ([]byte, cause) {
	open, end := byte('['), byte(']')
	if c.Keys != nil {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	first, next := c.Range(i)
	for k := first; k < next; k++ {
		if k > first {
			dst = append(dst, ',')
		}
		if c.Keys != nil {
			dst = append(appendQuoted(dst, c.Keys.Bytes(k)), ':')
		}
		var failed cause
		if dst, failed = appendJSON(dst, c.Elems, k); failed != fine {
			return dst, failed
		}
	}
	return append(dst, end), fine
}

// appendQuoted writes a JSON string. What is not UTF-8 becomes U+FFFD.
func appendQuoted(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}
