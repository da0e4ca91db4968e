package native

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sort"

	"github.com/sluicekit/sluice/core/record"
)

// Column gathers the values of one column of a table, in the server's layout.
// Its memory is kept from block to block.
type Column struct {
	Name string
	Type Type
	enc  encoder
}

// encoder lays out the values of one type.
type encoder interface {
	// append copies all rows of a column. One that the type does not take is
	// complained about, and something else stands in its place.
	append(src *record.Column, bad *Complaints)
	reset()
	size() int64
	// prefix comes before the data of the whole column, also where the values
	// lie in an array.
	prefix(out *frames)
	data(out *frames)
}

// Complaints are the values that a column did not take.
type Complaints struct{ List []Complaint }

// Complaint is one of them. Reason names column and type, and never the value.
type Complaint struct {
	Row    int
	Reason string
}

func (b *Complaints) add(row int, reason string) { b.List = append(b.List, Complaint{row, reason}) }

// NewColumn makes a column of a table for values of a record type. The error
// says that the one does not take the other. With nulls a null becomes the
// type's default where it has no null.
func NewColumn(name string, t Type, from record.Type, nulls bool) (*Column, error) {
	enc, err := newEncoder(t, from, leaf{column: name, typ: t.Text, nullable: nulls})
	if err != nil {
		return nil, err
	}
	return &Column{Name: name, Type: t, enc: enc}, nil
}

// NewTuple makes a column of type Tuple, the elements of which are filled from
// columns of their own.
func NewTuple(name string, t Type, elems []*Column) *Column {
	return &Column{Name: name, Type: t, enc: &tuple{elems}}
}

// Append copies all rows of a column. After a complaint only Reset makes sense.
func (c *Column) Append(src *record.Column, bad *Complaints) { c.enc.append(src, bad) }

// Repeat appends a text n times. The column is a String or LowCardinality(String).
func (c *Column) Repeat(value string, n int) { c.enc.(repeater).repeat(value, n) }

// Repeats says whether Repeat can be used.
func (c *Column) Repeats() bool {
	if l, ok := c.enc.(*lowCardinality); ok {
		return l.of == nil // values of one width would need to be padded
	}
	_, ok := c.enc.(repeater)
	return ok
}

type repeater interface{ repeat(value string, n int) }

// Size is how many bytes the rows take.
func (c *Column) Size() int64 { return c.enc.size() }

// Reset empties the column and keeps its memory.
func (c *Column) Reset() { c.enc.reset() }

// leaf is what every encoder knows of its place, for its complaints.
type leaf struct {
	column, typ string
	nullable    bool // a null is laid out by somebody else
}

// inner is the place of the values within an array or map.
func (l leaf) inner() leaf {
	l.nullable = false
	return l
}

func (l *leaf) reason(what string) string {
	return "column " + l.column + " of type " + l.typ + ": " + what
}

func (l *leaf) refuse(from record.Type) error {
	return fmt.Errorf("column %s is of type %s, which does not take values of type %s", l.column, l.typ, from)
}

// checkNulls complains about nulls where there can be none.
func (l *leaf) checkNulls(src *record.Column, bad *Complaints) {
	if src.Nulls == 0 || l.nullable {
		return
	}
	reason := l.reason("is null, and the column is not Nullable")
	for i := range src.Len {
		if src.Null(i) {
			bad.add(i, reason)
		}
	}
}

// newEncoder chooses by both types.
func newEncoder(t Type, from record.Type, at leaf) (encoder, error) {
	switch t.Name {
	case "Nullable":
		at.nullable = true
		of, err := newEncoder(t.Args[0], from, at)
		if err != nil {
			return nil, err
		}
		return &nullable{of: of}, nil
	case "LowCardinality":
		return newLowCardinality(t.Args[0], from, at)
	case "Array":
		if from.Kind != record.List {
			return nil, at.refuse(from)
		}
		of, err := newEncoder(t.Args[0], *from.Elem, at.inner())
		if err != nil {
			return nil, err
		}
		return &array{leaf: at, of: of}, nil
	case "Map":
		return newMap(t, from, at)
	case "String":
		switch from.Kind {
		case record.String, record.Bytes:
			return &text{leaf: at}, nil
		case record.JSON:
			return &text{leaf: at, json: true}, nil
		}
	case "JSON":
		switch from.Kind {
		case record.JSON, record.String:
			if path := typedPath(t); path != "" {
				return nil, fmt.Errorf("column %s is of type %s: of its path %s the server refuses values that are not of that type, and all rows of the batch with them; "+
					"use JSON without types of paths", at.column, at.typ, path)
			}
			return &document{text: text{leaf: at}}, nil
		}
	default:
		if fill := newFill(t, from, &at); fill != nil {
			return &fixed{leaf: at, fill: fill}, nil
		}
		if !known(t.Name) {
			return nil, fmt.Errorf("column %s is of type %s, which this sink does not write", at.column, at.typ)
		}
	}
	return nil, at.refuse(from)
}

// fixed are values of one width. fill checks and lays out.
type fixed struct {
	leaf
	buf  []byte
	fill func(l *leaf, buf []byte, src *record.Column, bad *Complaints) []byte
}

func (f *fixed) append(src *record.Column, bad *Complaints) {
	f.checkNulls(src, bad)
	f.buf = f.fill(&f.leaf, f.buf, src, bad)
}
func (f *fixed) reset()           { f.buf = f.buf[:0] }
func (f *fixed) size() int64      { return int64(len(f.buf)) }
func (f *fixed) prefix(*frames)   {}
func (f *fixed) data(out *frames) { out.Write(f.buf) }

// nullable puts a byte per row before the values: 1 is null.
type nullable struct {
	nulls []byte
	of    encoder
}

func (n *nullable) append(src *record.Column, bad *Complaints) {
	first := len(n.nulls)
	n.nulls = extend(n.nulls, src.Len)
	if src.Nulls > 0 {
		for i, row := 0, n.nulls[first:]; i < src.Len; i++ {
			if src.Null(i) {
				row[i] = 1
			}
		}
	}
	n.of.append(src, bad)
}
func (n *nullable) reset()             { n.nulls = n.nulls[:0]; n.of.reset() }
func (n *nullable) size() int64        { return int64(len(n.nulls)) + n.of.size() }
func (n *nullable) prefix(out *frames) { n.of.prefix(out) }
func (n *nullable) data(out *frames)   { out.Write(n.nulls); n.of.data(out) }

// extend appends n zeros.
func extend(b []byte, n int) []byte { return append(b, make([]byte, n)...) }

// text is lengths and bytes.
type text struct {
	leaf
	json bool // what is no JSON is complained about
	buf  []byte
}

func (s *text) append(src *record.Column, bad *Complaints) {
	s.checkNulls(src, bad)
	if s.json {
		for i := range src.Len {
			if !src.Null(i) && !json.Valid(src.Bytes(i)) {
				bad.add(i, s.reason("the value is no JSON"))
			}
		}
	}
	buf := s.buf
	for i := range src.Len {
		v := src.Data[src.Offsets[i]:src.Offsets[i+1]]
		if len(v) < 0x80 {
			buf = append(buf, byte(len(v)))
		} else {
			buf = binary.AppendUvarint(buf, uint64(len(v)))
		}
		buf = append(buf, v...)
	}
	s.buf = buf
}

func (s *text) repeat(value string, n int) {
	for range n {
		s.buf = append(binary.AppendUvarint(s.buf, uint64(len(value))), value...)
	}
}
func (s *text) reset()           { s.buf = s.buf[:0] }
func (s *text) size() int64      { return int64(len(s.buf)) }
func (s *text) prefix(*frames)   {}
func (s *text) data(out *frames) { out.Write(s.buf) }

// array is where each row ends among the values of all.
type array struct {
	leaf
	ends []byte // uint64 each
	rows uint64 // values so far
	of   encoder
}

func (a *array) append(src *record.Column, bad *Complaints) {
	a.checkNulls(src, bad)
	a.close(src)
	inner := len(bad.List)
	a.of.append(src.Elems, bad)
	toRows(src, bad.List[inner:])
}

// close lays out where the rows end.
func (a *array) close(src *record.Column) {
	for i := range src.Len {
		a.ends = binary.LittleEndian.AppendUint64(a.ends, a.rows+uint64(src.Offsets[i+1]))
	}
	a.rows += uint64(src.Elems.Len)
}

// toRows finds the rows of values that were complained about.
func toRows(src *record.Column, list []Complaint) {
	for k := range list {
		value := int32(list[k].Row)
		list[k].Row = sort.Search(src.Len, func(i int) bool { return src.Offsets[i+1] > value })
	}
}

func (a *array) reset()             { a.ends, a.rows = a.ends[:0], 0; a.of.reset() }
func (a *array) size() int64        { return int64(len(a.ends)) + a.of.size() }
func (a *array) prefix(out *frames) { a.of.prefix(out) }
func (a *array) data(out *frames)   { out.Write(a.ends); a.of.data(out) }

// mapping is an array of pairs: all keys, then all values.
type mapping struct {
	array
	keys encoder
}

func newMap(t Type, from record.Type, at leaf) (encoder, error) {
	if from.Kind != record.Map {
		return nil, at.refuse(from)
	}
	keys, err := newEncoder(t.Args[0], record.Type{Kind: record.String}, at.inner())
	if err != nil {
		return nil, err
	}
	values, err := newEncoder(t.Args[1], *from.Elem, at.inner())
	if err != nil {
		return nil, err
	}
	return &mapping{array{leaf: at, of: values}, keys}, nil
}

func (m *mapping) append(src *record.Column, bad *Complaints) {
	inner := len(bad.List)
	m.keys.append(src.Keys, bad)
	toRows(src, bad.List[inner:])
	m.array.append(src, bad)
}
func (m *mapping) reset()             { m.array.reset(); m.keys.reset() }
func (m *mapping) size() int64        { return m.array.size() + m.keys.size() }
func (m *mapping) prefix(out *frames) { m.keys.prefix(out); m.of.prefix(out) }
func (m *mapping) data(out *frames)   { out.Write(m.ends); m.keys.data(out); m.of.data(out) }

// tuple is one column after the other. Each is appended to by itself.
type tuple struct{ elems []*Column }

func (t *tuple) append(*record.Column, *Complaints) {}
func (t *tuple) reset() {
	for _, e := range t.elems {
		e.Reset()
	}
}
func (t *tuple) size() (n int64) {
	for _, e := range t.elems {
		n += e.Size()
	}
	return n
}
func (t *tuple) prefix(out *frames) {
	for _, e := range t.elems {
		e.enc.prefix(out)
	}
}
func (t *tuple) data(out *frames) {
	for _, e := range t.elems {
		e.enc.data(out)
	}
}
