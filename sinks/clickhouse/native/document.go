package native

import (
	"encoding/binary"
	"strings"

	"github.com/sluicekit/sluice/core/record"
)

// document is a column of type JSON, sent as text. The server parses it when it
// reads the block, where a text that it does not take would spoil all rows; so
// what it does not take is complained about here.
type document struct {
	text
	check documentCheck
}

func (d *document) append(src *record.Column, bad *Complaints) {
	d.checkNulls(src, bad)
	for i := range src.Len {
		v := src.Bytes(i)
		if src.Null(i) {
			v = []byte("{}")
		} else if reason := d.check.wrong(v); reason != "" {
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
