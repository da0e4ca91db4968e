package decode

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sluicekit/sluice/core/record"
)

// prefilter finds out early that nobody wants a record.
type prefilter struct {
	path   record.Path // in the raw event
	few    []string    // the values, if there are few
	many   map[string]bool
	tree   *tree
	column record.Column // the value of the record at hand
	m      machine       // Avro: a program that stops behind the value, at first
	span   int           // JSON: the value's span
}

// Prefilter makes Append pass over the records in which the String at p is
// none of values, and not null: those that every sink's where refuses (see
// plan.Plan.TypeFilter). They give no row, and Skipped counts them. It is
// called before the first Append.
//
// A record is walked to its end all the same: one that is torn is bad, and not
// skipped, whatever the other sinks of the stream ask for. What is saved is to
// read the wanted values and to hold them.
func (d *Decoder) Prefilter(p record.Path, values []string) error {
	t, err := d.stream.Field(p)
	if err != nil {
		return err
	}
	if t.Kind != record.String {
		return fmt.Errorf("%s is %s: a prefilter is for a string", p, t)
	}
	f := &prefilter{path: d.stream.raw(p), span: -1}
	if len(values) <= maxFew {
		f.few = slices.Clone(values)
	} else {
		f.many = map[string]bool{}
		for _, v := range values {
			f.many[v] = true
		}
	}
	f.column.Init(t)
	f.m.limits, f.m.cols, f.m.binding, f.m.top = d.m.limits, []*record.Column{&f.column}, 1, 1
	f.tree = d.newTree([]record.Path{f.path})
	if d.json != nil {
		// The value needs a span of its own, whether it is wanted or not.
		paths := append(d.paths[:len(d.paths):len(d.paths)], f.path)
		d.json = d.extractor(d.newTree(paths), d.layout.with(t))
		for k, col := range d.json.cols {
			if int(col) == len(d.paths) {
				f.span = k
			}
		}
		d.json.filter = f
	}
	d.filter = f
	clear(d.programs)
	d.steps = 0
	if d.last != nil && d.stream.schemas == nil {
		if d.last.probe = d.probe(d.stream.reader); d.last.probe.large {
			return errors.New(tooLarge)
		}
	} else {
		d.last = nil
	}
	return nil
}

// Skipped is how many records the prefilter has passed over so far.
func (d *Decoder) Skipped() int64 { return d.skipped }

// probe compiles the way to the prefilter's value, and from there to the end
// of the record.
func (d *Decoder) probe(w *node) *program {
	if d.filter == nil {
		return nil
	}
	l := layout{types: []record.Type{d.filter.column.Type}, elems: []int32{0}}
	c := &compiler{layout: l, show: d.stream.show, newText: func(t *tree) *extractor { return d.extractor(t, l) }, stop: true, limit: d.m.limits.Depth}
	return c.compile(w, d.stream.reader, d.filter.tree)
}

// refuses says whether an Avro value is one to skip. One that cannot be read,
// here or up to its end, is left to the decoder, which says why.
func (f *prefilter) refuses(p *program, b []byte, i int) bool {
	f.column.Settle()
	f.column.Reset()
	f.column.Offsets = append(f.column.Offsets[:0], 0)
	f.m.load(p)
	f.m.fault, f.m.resume, f.m.bad = 0, 0, f.m.bad[:0]
	i = f.m.exec(b, i, 0)
	if i < 0 || f.column.Len != 1 || len(f.m.bad) > 0 || f.has(f.column.Null(0), f.column.Bytes(0)) {
		return false
	}
	if f.m.resume > 0 {
		i = f.m.exec(b, i, f.m.resume)
	}
	return i == len(b)
}

// has says whether a record with this value is to be read. Whether a null is
// enough to refuse one is for where to say: null and x may be bad.
func (f *prefilter) has(null bool, v []byte) bool {
	if null {
		return true
	}
	for _, w := range f.few {
		if w == string(v) {
			return true
		}
	}
	return f.many[string(v)]
}

// maxFew is how many values are compared one by one.
const maxFew = 8

// refusesSpan is refuses for the value of a JSON document. One of another type
// is left to the decoder.
func (f *prefilter) refusesSpan(x *extractor, b []byte) bool {
	v := &x.scan.spans[f.span]
	if v.inner {
		b = x.scan.text
	}
	text := b[v.first:v.next]
	switch v.form {
	case formNone, formNull:
		return !f.has(true, nil)
	case formEscaped:
		x.scratch = unescape(x.scratch[:0], text)
		text = x.scratch
	case formString:
	default:
		return false
	}
	return !f.has(false, text)
}

// with is the layout with one more column, which no chunk has.
func (l layout) with(t record.Type) layout {
	return layout{types: append(l.types[:len(l.types):len(l.types)], t), elems: append(l.elems[:len(l.elems):len(l.elems)], 0)}
}
