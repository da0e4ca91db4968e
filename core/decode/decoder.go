package decode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sluicekit/sluice/core/record"
)

// ErrFull says that a chunk's columns reach no further: it is to be handed
// over before more is appended. The chunk is as it was before the record.
var ErrFull = errors.New("the chunk is full")

// A chunk is full when it holds so many bytes, which is looked at every so many
// rows: a few bytes of an event can be much more in their columns, a default or
// the symbol of an enum, and who counts the events does not see it.
const (
	maxChunk  = 64 << 20
	sizedRows = 64
)

// Decoder appends events to chunks. It is used by one goroutine at a time.
type Decoder struct {
	stream *Stream
	schema *record.Schema
	tree   *tree
	layout layout
	m      machine
	paths  []record.Path // of the wants, in the raw event
	json   *extractor    // JSON streams
	filter *prefilter    // nil without one

	dst      *record.Chunk      // that m.cols point into
	programs map[uint32]*writer // by schema id
	steps    int                // of all programs
	last     *writer            // most records have the id of the one before
	skipped  int64
	reasons  map[[2]string]string // by field and cause
}

// writer is how the records of one schema id are read.
type writer struct {
	id      uint32
	program *program
	probe   *program // of the prefilter
	bad     string   // why none of them can be read, "" if they can
}

// NewDecoder makes a decoder for some of a stream's values. Their types are
// those that Field gives; an int may be wanted as a float, and anything as
// JSON.
func (s *Stream) NewDecoder(wants []record.Want) (*Decoder, error) {
	d := &Decoder{stream: s, schema: &record.Schema{}, layout: newLayout(wants), programs: map[uint32]*writer{}}
	for _, w := range wants {
		t, err := s.Field(w.Path)
		if err != nil && w.Type.Kind != record.JSON {
			return nil, err
		}
		if !t.Equal(w.Type) && w.Type.Kind != record.JSON && (t.Kind != record.Int || w.Type.Kind != record.Float) {
			return nil, fmt.Errorf("%s is %s, and cannot be read as %s", w.Path, t, w.Type)
		}
		d.paths = append(d.paths, s.raw(w.Path))
		d.schema.Fields = append(d.schema.Fields, record.Field{Name: w.Path.String(), Type: w.Type, Nullable: true})
	}
	d.tree = d.newTree(d.paths)
	d.m.limits, d.m.top = s.options.Limits, len(wants)
	if s.reader == nil {
		d.json = d.extractor(d.tree, d.layout)
		return d, nil
	}
	if s.schemas == nil {
		d.last = &writer{program: d.compile(s.reader)}
		if d.last.program.large {
			return nil, errors.New(tooLarge)
		}
		d.m.load(d.last.program)
	}
	return d, nil
}

// newTree knows which payload may be text that holds JSON.
func (d *Decoder) newTree(paths []record.Path) *tree {
	root := newTree(paths)
	if t := root.at(d.stream.payload()); t != nil && t != root {
		t.text = d.stream.text
	}
	return root
}

func (d *Decoder) compile(w *node) *program {
	newText := func(t *tree) *extractor { return d.extractor(t, d.layout) }
	c := &compiler{layout: d.layout, show: d.stream.show, newText: newText, limit: d.m.limits.Depth}
	return c.compile(w, d.stream.reader, d.tree)
}

func (d *Decoder) extractor(t *tree, l layout) *extractor {
	s := d.stream
	unit := map[int]string{}
	var note func(t *tree)
	note = func(t *tree) {
		for _, c := range t.cols {
			unit[c] = s.unit(t.path)
		}
		for _, k := range t.kids {
			note(k)
		}
		for _, k := range t.items {
			note(k)
		}
	}
	note(t)
	show := func(t *tree) string { return s.show(t.path) }
	return newExtractor(t, l, s.options.Limits, show, func(col int) string { return unit[col] })
}

// Schema has one column per want, named by the text of its path.
func (d *Decoder) Schema() *record.Schema { return d.schema }

// Append appends the event in value as one row, notes in dst.Bad why it is
// none, or skips it (see Prefilter). dst was made for Schema. An error means that nothing can be said now
// (the registry is away, or an id is unknown and within its grace) or that dst
// is full; dst is unchanged then.
func (d *Decoder) Append(ctx context.Context, dst *record.Chunk, offset, timestampMillis int64, value []byte) error {
	if len(dst.BadValues) >= maxBadValues || len(dst.Offsets)%sizedRows == sizedRows-1 && dst.Size() > maxChunk {
		return ErrFull
	}
	if len(value) > d.m.limits.Record {
		d.bad(dst, offset, "the event is "+faultTexts[faultLong], false)
		return nil
	}
	rows := len(dst.Offsets)
	if d.json != nil {
		if i := space(value, 0); i < len(value) && value[i] != '{' {
			return d.refuse(dst, rows, offset, faultObject, "")
		}
		skip, f := d.json.find(value)
		if skip {
			d.skipped++
			return nil
		}
		if err := d.bind(dst); err != nil {
			return err
		}
		if f == 0 {
			d.m.bad, f = d.json.store(value, d.m.cols, d.m.bad[:0])
		}
		if f != 0 {
			return d.refuse(dst, rows, offset, f, d.json.field())
		}
	} else if done, err := d.avro(ctx, dst, rows, offset, timestampMillis, value); done || err != nil {
		return err
	}
	if len(d.m.bad) > 0 {
		d.noteValues(dst, rows)
	}
	dst.Offsets = append(dst.Offsets, offset)
	dst.Times = append(dst.Times, timestampMillis)
	return nil
}

// bind finds the columns of dst, once for each time that it is filled: they
// stay where they are until it is empty again.
func (d *Decoder) bind(dst *record.Chunk) error {
	if dst == d.dst && len(dst.Offsets) > 0 {
		return nil
	}
	if len(dst.Columns) != len(d.schema.Fields) {
		return fmt.Errorf("a chunk of %d columns for %d values", len(dst.Columns), len(d.schema.Fields))
	}
	d.dst = nil
	d.m.cols = d.m.cols[:0]
	for i := range dst.Columns {
		if !dst.Columns[i].Type.Equal(d.schema.Fields[i].Type) {
			return fmt.Errorf("a column of %s for %s, which is %s", dst.Columns[i].Type, d.schema.Fields[i].Name, d.schema.Fields[i].Type)
		}
		d.m.cols = append(d.m.cols, &dst.Columns[i])
	}
	for i := range dst.Columns {
		if c := &dst.Columns[i]; c.Elems != nil {
			d.m.cols = append(d.m.cols, c.Elems)
			if c.Keys != nil {
				d.m.cols = append(d.m.cols, c.Keys)
			}
		}
	}
	for _, c := range d.m.cols {
		switch c.Type.Kind {
		case record.String, record.Bytes, record.JSON:
			if len(c.Offsets) == 0 {
				c.Offsets = append(c.Offsets, 0)
			}
		}
	}
	d.dst = dst
	d.m.binding++
	if d.m.program != nil {
		d.m.load(d.m.program)
	}
	return nil
}

// avro appends one Avro value. done: the record was bad and is noted, or was
// skipped.
func (d *Decoder) avro(ctx context.Context, dst *record.Chunk, rows int, offset, stamp int64, value []byte) (done bool, err error) {
	i := 0
	if d.stream.options.Framing == Confluent {
		if len(value) < 5 || value[0] != 0 {
			d.bad(dst, offset, "the event does not start with a zero byte and a schema id", false)
			return true, nil
		}
		i = 5
		if d.stream.schemas != nil {
			if err := d.use(ctx, binary.BigEndian.Uint32(value[1:]), stamp); err != nil {
				return false, err
			}
			if d.last.bad != "" {
				d.bad(dst, offset, d.last.bad, true)
				return true, nil
			}
		}
	}
	if d.filter != nil && d.filter.refuses(d.last.probe, value, i) {
		d.skipped++
		return true, nil
	}
	if err := d.bind(dst); err != nil {
		return false, err
	}
	d.m.fault, d.m.row, d.m.bad = 0, rows, d.m.bad[:0]
	next := d.m.exec(value, i, 0)
	if next == len(value) {
		return false, nil
	}
	if next >= 0 {
		return true, d.refuse(dst, rows, offset, faultTrailing, "")
	}
	return true, d.refuse(dst, rows, offset, d.m.fault, d.m.field())
}

// refuse takes back what a record has appended.
func (d *Decoder) refuse(dst *record.Chunk, rows int, offset int64, f fault, field string) error {
	dst.Truncate(rows)
	if f == faultFull {
		return ErrFull
	}
	reason := faultTexts[f]
	if field != "" {
		reason = field + ": " + reason
	}
	d.bad(dst, offset, reason, false)
	return nil
}

func (d *Decoder) bad(dst *record.Chunk, offset int64, reason string, outside bool) {
	dst.Bad = append(dst.Bad, record.Bad{Offset: offset, Reason: reason, Outside: outside})
}

// use makes the program of a schema id the current one.
func (d *Decoder) use(ctx context.Context, id uint32, stamp int64) error {
	if d.last != nil && d.last.id == id && d.last.program != nil {
		return nil
	}
	w := d.programs[id]
	if w == nil {
		var err error
		if w, err = d.writer(ctx, id, stamp); err != nil {
			return err
		}
	}
	d.last = w
	if w.program != nil {
		d.m.load(w.program)
	}
	return nil
}

// writer asks for a schema id and compiles its schema. What is not known is
// asked for again with every record; schemas remembers it for a while.
func (d *Decoder) writer(ctx context.Context, id uint32, stamp int64) (*writer, error) {
	n, bad, err := d.stream.schemas.get(ctx, id, stamp)
	if err != nil {
		return nil, err
	}
	if bad != "" {
		return &writer{id: id, bad: bad}, nil
	}
	if len(d.programs) >= d.m.limits.IDs {
		clear(d.programs)
		d.steps = 0
	}
	w := &writer{id: id, program: d.compile(n), probe: d.probe(n)}
	if w.program.large || w.probe != nil && w.probe.large {
		w = &writer{id: id, bad: fmt.Sprintf("schema id %d: %s", id, tooLarge)}
	} else if d.steps += len(w.program.ops); d.steps > 8*maxSteps {
		clear(d.programs)
		d.steps = len(w.program.ops)
	}
	d.programs[id] = w
	return w, nil
}

const tooLarge = "its unions lead to what is wanted in too many ways"

// load makes p the program that exec runs, on the columns that are bound.
func (m *machine) load(p *program) {
	m.program = p
	for len(m.at) < p.marks {
		m.at = append(m.at, 0)
	}
	if p.bound == m.binding || len(m.cols) == 0 {
		return
	}
	for i := range p.ops {
		p.ops[i].dst = m.cols[p.ops[i].col]
	}
	p.bound = m.binding
}

// field names what the last run has failed at.
func (m *machine) field() string { return m.sites[m.pc].field }

func (x *extractor) field() string {
	if x.scan.at == nil {
		return ""
	}
	return x.scan.at.path
}
