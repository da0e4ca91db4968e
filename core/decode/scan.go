package decode

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// span is where the text of a wanted JSON value lies.
type span struct {
	first, next int32
	form        form
	inner       bool  // in the text that a JSON string held
	fault       fault // formBad: what is wrong with that text
}

// form is what kind of JSON value a span is.
type form uint8

const (
	formNone form = iota // not in the document
	formNull
	formFalse
	formTrue
	formInteger // digits, with or without a minus
	formNumber
	formString  // first and next are inside the quotes
	formEscaped // the same, with escapes
	formObject
	formArray
	formBad // in a text that should hold JSON, and does not
)

// scanner checks a JSON document and notes where wanted values lie. Its methods
// take the index of a value's first byte and return the index behind it, or -1
// with the fault noted.
type scanner struct {
	spans  []span
	round  uint64 // of the current document, for target.seen
	depth  int    // limit
	fault  fault
	at     *target // what was being read when it stopped
	inner  bool    // reading the text of a string
	textAt *target // where such a text was no JSON
	text   []byte  // that text, reused
	key    []byte  // an unescaped key, reused
}

func (s *scanner) fail(f fault, t *target) int {
	if s.fault == 0 {
		s.fault = f
	}
	if s.at == nil {
		s.at = t // the nearest that is wanted
	}
	return -1
}

// document scans b for the values that t wants.
func (s *scanner) document(b []byte, t *target) bool {
	i := s.value(b, space(b, 0), t, 0)
	if i < 0 {
		return false
	}
	if space(b, i) != len(b) {
		s.fail(faultTrailing, t)
		return false
	}
	return true
}

// space skips white space.
func space(b []byte, i int) int {
	for uint(i) < uint(len(b)) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func (s *scanner) value(b []byte, i int, t *target, depth int) int {
	if uint(i) >= uint(len(b)) {
		return s.fail(faultTruncated, t)
	}
	if t != nil && t.deep {
		s.enter(t)
	}
	start := i
	var f form
	switch b[i] {
	case '"':
		return s.text1(b, i, t, depth)
	case '{':
		f, i = formObject, s.object(b, i+1, t, depth+1)
	case '[':
		f, i = formArray, s.array(b, i+1, t, depth+1)
	case 't':
		f, i = formTrue, s.literal(b, i, "true")
	case 'f':
		f, i = formFalse, s.literal(b, i, "false")
	case 'n':
		f, i = formNull, s.literal(b, i, "null")
	default:
		f, i = s.number(b, i)
	}
	if i < 0 {
		return s.fail(faultSyntax, t)
	}
	if t != nil {
		s.note(b, t, span{first: int32(start), next: int32(i), form: f})
	}
	return i
}

// note keeps a wanted value.
func (s *scanner) note(b []byte, t *target, v span) {
	v.inner = s.inner
	for _, k := range t.spans {
		s.spans[k] = v
	}
}

func (s *scanner) literal(b []byte, i int, want string) int {
	if len(b)-i < len(want) {
		return s.fail(faultTruncated, nil)
	}
	if string(b[i:i+len(want)]) != want {
		return -1
	}
	return i + len(want)
}

// number checks a number by JSON's grammar.
func (s *scanner) number(b []byte, i int) (form, int) {
	f := formInteger
	if b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b):
		return f, s.fail(faultTruncated, nil)
	case b[i] == '0':
		i++
	case b[i]-'1' < 9:
		i = digits(b, i+1)
	default:
		return f, -1
	}
	if i < len(b) && b[i] == '.' {
		f = formNumber
		if end := digits(b, i+1); end > i+1 {
			i = end
		} else {
			return f, -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		f = formNumber
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if end := digits(b, i); end > i {
			i = end
		} else {
			return f, -1
		}
	}
	return f, i
}

func digits(b []byte, i int) int {
	for uint(i) < uint(len(b)) && b[i]-'0' < 10 {
		i++
	}
	return i
}

func (s *scanner) array(b []byte, i int, t *target, depth int) int {
	if depth > s.depth {
		return s.fail(faultDepth, t)
	}
	count := 0
	if t != nil && t.fromEnd {
		// Which entry an index from the end means is known only behind it.
		if count = s.count(b, i, depth); count < 0 {
			return -1
		}
	}
	i = space(b, i)
	if uint(i) < uint(len(b)) && b[i] == ']' {
		return i + 1
	}
	for n := 0; ; n++ {
		first := i
		if i = s.value(b, first, nil, depth); i < 0 {
			return -1
		}
		if t != nil && len(t.items) > 0 && !s.items(b, first, t, n, count, depth) {
			return -1
		}
		i = space(b, i)
		switch {
		case uint(i) >= uint(len(b)):
			return s.fail(faultTruncated, t)
		case b[i] == ',':
			i = space(b, i+1)
		case b[i] == ']':
			return i + 1
		default:
			return s.fail(faultSyntax, t)
		}
	}
}

// items reads entry n of an array again, for everyone who wants it: [0] and
// [-1] may be the same one. count is known only if t.fromEnd.
func (s *scanner) items(b []byte, i int, t *target, n, count, depth int) bool {
	for k, x := range t.index {
		if x == n || x < 0 && x+count == n {
			if s.value(b, i, t.items[k], depth) < 0 {
				return false
			}
		}
	}
	return true
}

// count is the number of entries of an array whose bracket was read.
func (s *scanner) count(b []byte, i, depth int) int {
	i = space(b, i)
	if uint(i) < uint(len(b)) && b[i] == ']' {
		return 0
	}
	for n := 1; ; n++ {
		if i = s.value(b, i, nil, depth); i < 0 {
			return -1
		}
		i = space(b, i)
		switch {
		case uint(i) >= uint(len(b)):
			return s.fail(faultTruncated, nil)
		case b[i] == ',':
			i = space(b, i+1)
		case b[i] == ']':
			return n
		default:
			return s.fail(faultSyntax, nil)
		}
	}
}

// text1 scans a string; where a string holds JSON it is scanned in turn.
func (s *scanner) text1(b []byte, i int, t *target, depth int) int {
	first := i + 1
	end, escaped := s.quoted(b, first, t)
	if end < 0 || t == nil {
		return end
	}
	f := formString
	if escaped {
		f = formEscaped
	}
	if t.text && !s.inner {
		s.text = append(s.text[:0], b[first:end-1]...)
		if escaped {
			s.text = unescape(s.text[:0], b[first:end-1])
		}
		s.inner = true
		if !s.document(s.text, t) {
			s.spoil(t)
		}
		s.inner = false
		return end
	}
	s.note(b, t, span{first: int32(first), next: int32(end - 1), form: f})
	return end
}

// spoil makes all values bad that are wanted of a text at t. The document that
// the text is in may be sound, and whoever wants nothing of the text need not
// know.
func (s *scanner) spoil(t *target) {
	for k := t.low; k < t.high; k++ {
		s.spans[k] = span{form: formBad, fault: s.fault}
	}
	s.textAt = t
	s.fault, s.at = 0, nil
}

// quoted scans the inside of a string, eight bytes at a time, to behind its
// closing quote. It checks escapes and UTF-8.
func (s *scanner) quoted(b []byte, i int, t *target) (end int, escaped bool) {
	const ones = 0x0101010101010101
	for {
		for uint(i)+8 <= uint(len(b)) {
			w := binary.LittleEndian.Uint64(b[i:])
			stop := ((w - 0x20*ones) | ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones) | w) & topBits
			if stop != 0 {
				i += bits.TrailingZeros64(stop) >> 3
				break
			}
			i += 8
		}
		if uint(i) >= uint(len(b)) {
			return s.fail(faultTruncated, t), false
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped
		case c == '\\':
			n, f := escape(b[i:])
			if f != 0 {
				return s.fail(f, t), false
			}
			i += n
			escaped = true
		case c < 0x20:
			return s.fail(faultControl, t), false
		case c >= 0x80:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return s.fail(faultUTF8, t), false
			}
			i += n
		default:
			i++
		}
	}
}

// escape checks the escape sequence that b starts with, and tells its length.
// A surrogate needs its other half.
func escape(b []byte) (int, fault) {
	if len(b) < 2 {
		return 0, faultTruncated
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, 0
	case 'u':
	default:
		return 0, faultEscape
	}
	r, ok := hex4(b)
	switch {
	case !ok:
		return 0, faultEscape
	case r < 0xd800 || r > 0xdfff:
		return 6, 0
	case r > 0xdbff || len(b) < 12 || b[6] != '\\' || b[7] != 'u':
		return 0, faultSurrogate
	}
	if low, ok := hex4(b[6:]); !ok || low < 0xdc00 || low > 0xdfff {
		return 0, faultSurrogate
	}
	return 12, 0
}

// hex4 reads \uXXXX.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c-'0' < 10:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unescape appends the inside of a checked string without its escapes.
func unescape(out, v []byte) []byte {
	for i := 0; i < len(v); {
		if v[i] != '\\' {
			out = append(out, v[i])
			i++
			continue
		}
		switch c := v[i+1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, _ := hex4(v[i:])
			if i += 6; r >= 0xd800 && r <= 0xdbff {
				low, _ := hex4(v[i:])
				r = (r-0xd800)<<10 | (low - 0xdc00) + 0x10000
				i += 6
			}
			out = utf8.AppendRune(out, r)
			continue
		default:
			out = append(out, c)
		}
		i += 2
	}
	return out
}
