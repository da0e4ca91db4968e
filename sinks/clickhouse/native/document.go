package native

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
)

// document is a column of type JSON, sent as text. The server parses it when it
// reads the block, where a text that it does not take would spoil all rows; so
// what it does not take is complained about here.
type document struct{ text }

func (d *document) append(src *record.Column, bad *Complaints) {
	d.checkNulls(src, bad)
	for i := range src.Len {
		v := src.Bytes(i)
		if src.Null(i) {
			v = []byte("{}")
		} else if reason := checkDocument(v); reason != "" {
			bad.add(i, d.reason(reason))
		}
		d.buf = append(binary.AppendUvarint(d.buf, uint64(len(v))), v...)
	}
}

func (d *document) prefix(out *frames) { out.uint64(1) } // the layout that is text

// typedPath is the first path of a JSON type that has a type of its own, ""
// without one. The server casts its values as it reads the block, so one that
// does not fit would spoil all rows, and is not to be told from here.
func typedPath(t Type) string {
	_, rest, _ := strings.Cut(strings.TrimSuffix(t.Text, ")"), "(")
	for p := (typeParser{rest: rest}); p.space() != ""; {
		first := p.rest
		if !strings.HasPrefix(first, "SKIP ") && !strings.HasPrefix(first, "max_dynamic_") {
			path, _, _ := strings.Cut(first, " ")
			return path
		}
		for open := 0; p.rest != "" && (open > 0 || p.rest[0] != ','); {
			switch p.rest[0] {
			case '\'', '`':
				if _, err := p.quoted(p.rest[0]); err != nil {
					return first
				}
				continue
			case '(':
				open++
			case ')':
				open--
			}
			p.rest = p.rest[1:]
		}
		p.take(',')
	}
	return ""
}

// maxDocumentDepth is below what the server takes.
const maxDocumentDepth = 100

// checkDocument says what is wrong with an object, "" for nothing.
func checkDocument(v []byte) string {
	if t := bytes.TrimLeft(v, " \t\r\n"); len(t) == 0 || t[0] != '{' || !json.Valid(v) {
		return "the value is no JSON object"
	}
	if !utf8.Valid(v) {
		return "the object is not UTF-8"
	}
	if loneSurrogate(v) {
		return "the object has half of a character"
	}
	w := documentWalk{in: json.NewDecoder(bytes.NewReader(v))}
	w.in.UseNumber()
	w.in.Token() //nolint:errcheck // the opening bracket: it is valid
	w.object("", map[string]bool{}, 1)
	return w.wrong
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

// documentWalk looks for paths that are there twice. To the server a name with a
// dot is a path: {"a.b": 1, "a": {"b": 2}} is none.
type documentWalk struct {
	in    *json.Decoder
	wrong string
}

// object walks one whose opening bracket was read. paths are those of the
// outermost object, or of the object in an array.
func (w *documentWalk) object(prefix string, paths map[string]bool, depth int) {
	names := map[string]bool{}
	for w.in.More() && w.wrong == "" {
		name, _ := w.in.Token()
		text, _ := name.(string)
		if names[text] {
			w.wrong = "the object has a name twice"
			return
		}
		names[text] = true
		w.value(prefix+text, paths, depth)
	}
	w.in.Token() //nolint:errcheck // the closing bracket
}

func (w *documentWalk) value(path string, paths map[string]bool, depth int) {
	if depth >= maxDocumentDepth {
		w.wrong = "the object is nested too deep"
		return
	}
	token, _ := w.in.Token()
	if n, ok := token.(json.Number); ok && !storable(n.String()) {
		w.wrong = "the object has a number that is out of range"
		return
	}
	if token == json.Delim('{') {
		w.object(path+".", paths, depth+1)
		return
	}
	if paths[path] {
		w.wrong = "the object has a path twice"
		return
	}
	paths[path] = true
	if token == json.Delim('[') {
		w.array(depth + 1)
	}
}

// array walks the elements; each object in it has paths of its own.
func (w *documentWalk) array(depth int) {
	for w.in.More() && w.wrong == "" {
		w.value("", map[string]bool{}, depth)
	}
	w.in.Token() //nolint:errcheck // the closing bracket
}
