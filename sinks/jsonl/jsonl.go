package jsonl

import (
	"fmt"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// Kinds are the kinds of column that a line can hold: all.
func Kinds() []record.Kind { return record.Kinds() }

// Encoder writes the rows of one schema.
type Encoder struct {
	names  []string // of the fields, for messages
	before [][]byte // what stands before each value: {"name": or ,"name":
}

// New makes an encoder. Names of fields that are not UTF-8 are an error.
func New(s *record.Schema) (*Encoder, error) {
	e := &Encoder{}
	for i, f := range s.Fields {
		b := []byte{','}
		if i == 0 {
			b[0] = '{'
		}
		b, cause := appendString(b, []byte(f.Name))
		if cause != "" {
			return nil, fmt.Errorf("name of field %d: %s", i+1, cause)
		}
		e.names = append(e.names, f.Name)
		e.before = append(e.before, append(b, ':'))
	}
	return e, nil
}

// Append appends a line per row of the chunk, whose columns must be those of
// the encoder's schema. If some rows cannot be written it returns dst as it
// was, and a *sink.RowsError that names all of them.
func (e *Encoder) Append(dst []byte, rows *record.Chunk) ([]byte, error) {
	if len(rows.Columns) != len(e.before) {
		return dst, fmt.Errorf("chunk has %d columns, the sink %d fields", len(rows.Columns), len(e.before))
	}
	start := len(dst)
	var refused []sink.RowError
	for i := range rows.Rows() {
		begin := len(dst)
		var reason string
		if dst, reason = e.appendRow(dst, rows, i); reason != "" {
			dst = dst[:begin]
			refused = append(refused, sink.RowError{Partition: rows.Partition, Offset: rows.Offsets[i], Reason: reason})
		}
	}
	if refused != nil {
		return dst[:start], &sink.RowsError{Rows: refused}
	}
	return dst, nil
}

func (e *Encoder) appendRow(dst []byte, rows *record.Chunk, i int) ([]byte, string) {
	if len(e.before) == 0 {
		return append(dst, "{}\n"...), ""
	}
	for k := range rows.Columns {
		dst = append(dst, e.before[k]...)
		var cause string
		if dst, cause = appendValue(dst, &rows.Columns[k], i); cause != "" {
			return dst, "field " + e.names[k] + ": " + cause
		}
	}
	return append(dst, '}', '\n'), ""
}
