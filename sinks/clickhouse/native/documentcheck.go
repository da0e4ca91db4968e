package native

import (
	"bytes"
	"encoding/json"
	"hash/maphash"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDocumentDepth is below what the server takes.
const maxDocumentDepth = 100

// manyPaths is how many a document may have for its memory to be used again: to
// empty what was large once takes long each time.
const manyPaths = 1000

// maxPaths is how many bytes the paths of a document may have in all. One long
// name around many short ones makes each path long: to read them, and for the
// server to hold them, would take the square of the document.
const maxPaths = 64 << 20

// documentCheck says what a server would not take of a document. It is used for
// one after the other, and keeps its memory.
//
// To the server a name with a dot is a path: {"a.b": 1, "a": {"b": 2}} has one
// twice. Names and paths are told apart by 128 bits of hash, with seeds that
// nobody knows.
type documentCheck struct {
	text   []byte // a valid document
	at     int    // how far it was read
	path   []byte // to there; what stands before from is of the objects around an array
	from   int
	root   uint64 // what paths are of: the outermost object, or an element of an array
	paths  int    // bytes that were looked at
	scopes uint64 // how many things have names or paths of their own
	seen   map[seenName]struct{}
	seeds  [2]maphash.Seed
	reason string
}

// seenName is a name of an object, or a path.
type seenName struct{ of, one, two uint64 }

// wrong says what is wrong with an object, "" for nothing.
func (c *documentCheck) wrong(v []byte) string {
	if t := bytes.TrimLeft(v, " \t\r\n"); len(t) == 0 || t[0] != '{' || !json.Valid(v) {
		return "the value is no JSON object"
	}
	if !utf8.Valid(v) {
		return "the object is not UTF-8"
	}
	if loneSurrogate(v) {
		return "the object has half of a character"
	}
	switch {
	case c.seen == nil:
		c.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
		c.seen = map[seenName]struct{}{}
	case len(c.seen) > manyPaths:
		c.seen = map[seenName]struct{}{}
	default:
		clear(c.seen)
	}
	c.text, c.at, c.path, c.from, c.scopes, c.reason = v, 0, c.path[:0], 0, 0, ""
	c.paths = 0
	c.root = c.scope()
	c.space()
	c.at++
	c.object(1)
	c.text = nil
	return c.reason
}

// scope is a number that nothing else of the document has.
func (c *documentCheck) scope() uint64 {
	c.scopes++
	return c.scopes
}

// again says whether a name or a path was there before.
func (c *documentCheck) again(of uint64, name []byte) bool {
	key := seenName{of, maphash.Bytes(c.seeds[0], name), maphash.Bytes(c.seeds[1], name)}
	if _, ok := c.seen[key]; ok {
		return true
	}
	c.seen[key] = struct{}{}
	return false
}

// object reads one whose opening bracket was read.
func (c *documentCheck) object(depth int) {
	names, base := c.scope(), len(c.path)
	for c.reason == "" && c.more('}') {
		c.path = c.string(c.path[:base])
		if c.again(names, c.path[base:]) {
			c.reason = "the object has a name twice"
			return
		}
		c.space()
		c.at++ // the colon
		c.value(depth)
	}
	c.path = c.path[:base]
}

// array reads one whose opening bracket was read; each object in it has paths of
// its own.
func (c *documentCheck) array(depth int) {
	root, from, base := c.root, c.from, len(c.path)
	for c.reason == "" && c.more(']') {
		c.root, c.from, c.path = c.scope(), base, c.path[:base]
		c.value(depth)
	}
	c.root, c.from, c.path = root, from, c.path[:base]
}

func (c *documentCheck) value(depth int) {
	if depth >= maxDocumentDepth {
		c.reason = "the object is nested too deep"
		return
	}
	c.space()
	start, first := c.at, c.text[c.at]
	switch first {
	case '{':
		c.at++
		c.path = append(c.path, '.')
		c.object(depth + 1)
		return
	case '[':
		c.at++
	case '"':
		c.skip()
	default:
		for c.at < len(c.text) && !bytes.ContainsRune([]byte(",]} \t\r\n"), rune(c.text[c.at])) {
			c.at++
		}
		if (first == '-' || first >= '0' && first <= '9') && !storable(string(c.text[start:c.at])) {
			c.reason = "the object has a number that is out of range"
			return
		}
	}
	if c.paths += len(c.path) - c.from; c.paths > maxPaths {
		c.reason = "the object has too many paths that are long"
		return
	}
	if c.again(c.root, c.path[c.from:]) {
		c.reason = "the object has a path twice"
		return
	}
	if first == '[' {
		c.array(depth + 1)
	}
}

// more reads up to the next member, or the closing bracket.
func (c *documentCheck) more(closing byte) bool {
	c.space()
	if c.text[c.at] == ',' {
		c.at++
		c.space()
	}
	if c.text[c.at] == closing {
		c.at++
		return false
	}
	return true
}

func (c *documentCheck) space() {
	for c.at < len(c.text) && (c.text[c.at] == ' ' || c.text[c.at] == '\t' || c.text[c.at] == '\r' || c.text[c.at] == '\n') {
		c.at++
	}
}

// skip reads a text.
func (c *documentCheck) skip() {
	for c.at++; c.text[c.at] != '"'; c.at++ {
		if c.text[c.at] == '\\' {
			c.at++
		}
	}
	c.at++
}

// string reads a text, and appends what it means.
func (c *documentCheck) string(to []byte) []byte {
	for c.at++; c.text[c.at] != '"'; c.at++ {
		if c.text[c.at] != '\\' {
			to = append(to, c.text[c.at])
			continue
		}
		c.at++
		switch b := c.text[c.at]; b {
		case 'b':
			to = append(to, '\b')
		case 'f':
			to = append(to, '\f')
		case 'n':
			to = append(to, '\n')
		case 'r':
			to = append(to, '\r')
		case 't':
			to = append(to, '\t')
		case 'u':
			r := c.unit()
			if utf16.IsSurrogate(r) { // both halves are there
				c.at += 2
				r = utf16.DecodeRune(r, c.unit())
			}
			to = utf8.AppendRune(to, r)
		default:
			to = append(to, b)
		}
	}
	c.at++
	return to
}

// unit reads the four digits behind a u, up to the last of them.
func (c *documentCheck) unit() rune {
	u, _ := strconv.ParseUint(string(c.text[c.at+1:c.at+5]), 16, 16)
	c.at += 4
	return rune(u)
}

// storable says whether the server takes a number: it refuses integers of more
// than 64 bits, and floats beyond a Float64.
func storable(n string) bool {
	if strings.ContainsAny(n, ".eE") {
		_, err := strconv.ParseFloat(n, 64)
		return err == nil
	}
	if _, err := strconv.ParseInt(n, 10, 64); err == nil {
		return true
	}
	_, err := strconv.ParseUint(n, 10, 64)
	return err == nil
}

// loneSurrogate says whether a text has half of a character, such as \ud800,
// which JSON allows and the server does not take. The text is valid JSON.
func loneSurrogate(v []byte) bool {
	unit := func(i int) (u uint64, ok bool) { // of the escape at i
		if i+6 > len(v) || v[i] != '\\' || v[i+1] != 'u' {
			return 0, false
		}
		u, err := strconv.ParseUint(string(v[i+2:i+6]), 16, 16)
		return u, err == nil && u >= 0xd800 && u < 0xe000
	}
	for i := 0; i < len(v); i++ {
		if v[i] != '\\' {
			continue
		}
		if u, ok := unit(i); ok {
			low, ok := unit(i + 6)
			if u >= 0xdc00 || !ok || low < 0xdc00 {
				return true
			}
			i += 10
		}
		i++ // what is escaped is no backslash that escapes
	}
	return false
}
