package native

import (
	"bytes"
	"encoding/json"

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
		d.buf = append(appendUvarint(d.buf, uint64(len(v))), v...)
	}
}

func (d *document) prefix(out *Frames) { out.uint64(1) } // the layout that is text

// maxDocumentDepth is below what the server takes.
const maxDocumentDepth = 100

// checkDocument says what is wrong with an object, "" for nothing.
func checkDocument(v []byte) string {
	if t := bytes.TrimLeft(v, " \t\r\n"); len(t) == 0 || t[0] != '{' || !json.Valid(v) {
		return "the value is no JSON object"
	}
	w := documentWalk{in: json.NewDecoder(bytes.NewReader(v))}
	w.in.UseNumber()
	w.in.Token() //nolint:errcheck // the opening bracket: it is valid
	w.object("", map[string]bool{}, 1)
	return w.wrong
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
