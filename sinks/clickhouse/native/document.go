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
	dec := json.NewDecoder(bytes.NewReader(v))
	dec.UseNumber()
	var open []map[string]bool // the names of the objects that are open; nil for an array
	key := false
	for {
		token, err := dec.Token()
		if err != nil {
			return "" // its end: it is valid
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{':
				open, key = append(open, map[string]bool{}), true
			case '[':
				open, key = append(open, nil), false
			default:
				open = open[:len(open)-1]
				key = len(open) > 0 && open[len(open)-1] != nil
			}
			if len(open) > maxDocumentDepth {
				return "the object is nested too deep"
			}
			continue
		case string:
			if key {
				if names := open[len(open)-1]; names[t] {
					return "the object has a name twice"
				} else {
					names[t] = true
				}
				key = false
				continue
			}
		}
		key = len(open) > 0 && open[len(open)-1] != nil
	}
}
