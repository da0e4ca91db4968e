package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sluicekit/sluice/core/record"
)

// Projector turns decoded chunks into rows. It keeps scratch memory: one
// goroutine at a time.
type Projector struct {
	plan    *Plan
	columns []int // per want: its column in src
	m       *machine

	// The run: the rows of src that one call of Project looks at, and some
	// before them so that it starts at a whole word of the bitmaps.
	run      []record.Column // per want
	dead     []int           // rows that are dead
	all      []uint64        // set bits
	selected []uint64        // the rows that are wanted
	spans    []span          // the same

	// Where few rows are selected, expressions are evaluated over a copy.
	badRows []badRows       // per want: the run's rows whose value could not be read
	inputs  []int           // wants that expressions of fields read
	compact []record.Column // per want that is one of inputs
	rows    []int           // per row of compact: its row in the run; empty: not in use
	whole   [1]span

	keep, keepV []span
	reasons     map[code]string
}

// NewProjector makes a projector for chunks whose columns are have, matched by
// path text and type. It is an error if a column that the plan wants is not
// there.
func (p *Plan) NewProjector(have []record.Want) (*Projector, error) {
	r := &Projector{
		plan:    p,
		m:       newMachine(p.nodes, len(p.wants)),
		run:     make([]record.Column, len(p.wants)),
		compact: make([]record.Column, len(p.wants)),
		badRows: make([]badRows, len(p.wants)),
		reasons: map[code]string{},
	}
	for _, w := range p.wants {
		text := w.Path.String()
		i := slices.IndexFunc(have, func(h record.Want) bool { return h.Path.String() == text && h.Type.Equal(w.Type) })
		if i < 0 {
			return nil, fmt.Errorf("no column %s of type %s among those decoded", text, w.Type)
		}
		r.columns = append(r.columns, i)
	}
	for i, w := range p.wants {
		r.compact[i].Init(w.Type)
	}
	for _, f := range p.fields {
		if f.op == opPath {
			continue
		}
		f.walk(func(e *expr) {
			if e.op == opPath && !slices.Contains(r.inputs, e.want) {
				r.inputs = append(r.inputs, e.want)
			}
		})
	}
	return r, nil
}

// Project appends to dst, a chunk of Rows, the rows of src with an offset in
// [first, next) that are not dead and that where selects. Rows whose where,
// field or cast fails, or looks at one of src.BadValues, go to dst.Bad. It sets dst.Partition, and widens
// dst.First and dst.Next by the part of [first, next) that src covers, so that
// chunks that follow each other can be appended to one dst. dead may be nil.
// filtered counts the rows that where did not select. src.Bad, src.Empty and
// dst.Empty are the caller's. After an error dst is as it was.
func (r *Projector) Project(dst, src *record.Chunk, first, next int64, dead func(offset int64) bool) (filtered int, err error) {
	if err := r.check(dst, src); err != nil {
		return 0, err
	}
	lo, _ := slices.BinarySearch(src.Offsets, first)
	hi, _ := slices.BinarySearch(src.Offsets, next)
	hi = max(lo, hi)
	start := lo &^ 63 // bitmaps are cut at whole words only
	if lo < hi {
		badBefore := len(dst.Bad)
		filtered = r.selectRows(dst, src, start, lo, hi, dead)
		if err := r.appendRows(dst, src, start); err != nil {
			clear(dst.Bad[badBefore:])
			dst.Bad = dst.Bad[:badBefore]
			return 0, err
		}
		slices.SortFunc(dst.Bad[badBefore:], func(a, b record.Bad) int { return cmp.Compare(a.Offset, b.Offset) })
	}
	r.cover(dst, src, first, next)
	return filtered, nil
}

// check refuses chunks that are not what NewProjector and Rows said.
func (r *Projector) check(dst, src *record.Chunk) error {
	for i, c := range r.columns {
		w := r.plan.wants[i]
		if c >= len(src.Columns) || !src.Columns[c].Type.Equal(w.Type) {
			return fmt.Errorf("column %d of the decoded chunk is not %s of type %s", c, w.Path, w.Type)
		}
	}
	if len(dst.Columns) != len(r.plan.fields) {
		return fmt.Errorf("a chunk of %d columns for %d fields", len(dst.Columns), len(r.plan.fields))
	}
	for i := range dst.Columns {
		if f := r.plan.rows.Fields[i]; !dst.Columns[i].Type.Equal(f.Type) {
			return fmt.Errorf("column %s of type %s in a chunk that has %s", f.Name, f.Type, dst.Columns[i].Type)
		}
	}
	return nil
}

// cover widens the range of dst.
func (r *Projector) cover(dst, src *record.Chunk, first, next int64) {
	first, next = max(first, src.First), min(next, src.Next)
	dst.Partition = src.Partition
	if next <= first {
		return
	}
	if dst.First == dst.Next {
		dst.First = first
	}
	dst.Next = next
}

// selectRows makes spans of the rows that are wanted, and notes those that
// where fails on. Rows of the run count from start.
func (r *Projector) selectRows(dst, src *record.Chunk, start, lo, hi int, dead func(int64) bool) (filtered int) {
	n := hi - start
	r.bind(src, start, n)
	r.dead = r.dead[:0]
	if dead != nil {
		for i, offset := range src.Offsets[lo:hi] {
			if dead(offset) {
				r.dead = append(r.dead, lo-start+i)
			}
		}
	}
	where := r.matching(n)
	for _, i := range r.dead {
		r.selected[i>>6] &^= 1 << (uint(i) & 63)
	}
	r.spans = bitSpans(r.spans[:0], r.selected, lo-start, n)
	failed := 0
	if where != nil && where.errs != nil {
		failed = r.noteFailed(dst, src, where, start, lo-start)
	}
	return hi - lo - len(r.dead) - failed - count(r.spans)
}

// bind points the machine at rows of src.
func (r *Projector) bind(src *record.Chunk, start, n int) {
	r.m.n = n
	for i, c := range r.columns {
		r.run[i] = view(&src.Columns[c], start, n)
		r.m.in[i].Column, r.m.in[i].errs = r.run[i], nil
		r.badRows[i].at = nil
	}
	if len(src.BadValues) > 0 {
		r.bindBad(src, start, n)
	}
}

// badRows are the rows of a run in which a want's value could not be read.
type badRows struct {
	at     []code // nil: there are none
	memory []code
	copied []code // memory for the rows of compact
}

func (b *badRows) of(row int) code {
	if b.at == nil {
		return 0
	}
	return b.at[row]
}

// bindBad makes the values bad that the decoder could not read: an expression
// that looks at one is bad, and one that does not look is not.
func (r *Projector) bindBad(src *record.Chunk, start, n int) {
	values := src.BadValues
	k, _ := slices.BinarySearchFunc(values, start, func(v record.BadValue, row int) int { return cmp.Compare(v.Row, row) })
	for ; k < len(values) && values[k].Row < start+n; k++ {
		for w, c := range r.columns {
			if c != values[k].Column {
				continue
			}
			b := &r.badRows[w]
			if b.at == nil {
				b.memory = resize(b.memory, n)
				clear(b.memory)
				b.at = b.memory
				r.m.in[w].errs = b.at
			}
			b.at[values[k].Row-start] = code(k)<<8 | code(unreadable)
		}
	}
}

// matching sets selected to the rows for which where is true, and returns its
// value; nil if it is the same for all rows.
func (r *Projector) matching(n int) *vec {
	w := r.plan.where
	if w == nil || w.isConst() {
		for len(r.all) < words(n) {
			r.all = append(r.all, ^uint64(0))
		}
		r.selected = append(r.selected[:0], r.all[:words(n)]...)
		if w != nil && (w.value.Null(0) || !w.value.Bool(0)) {
			clear(r.selected)
		}
		return nil
	}
	v := r.m.eval(w)
	r.selected = append(r.selected[:0], v.Bits[:words(n)]...)
	return v
}

// noteFailed makes the rows bad that where fails on, from row lo on.
func (r *Projector) noteFailed(dst, src *record.Chunk, v *vec, start, lo int) (failed int) {
	for i := lo; i < v.Len; i++ {
		if v.errs[i] != 0 && !slices.Contains(r.dead, i) {
			failed++
			r.note(dst, src, start+i, v.errs[i])
		}
	}
	return failed
}

// note makes the record of a row of src bad.
func (r *Projector) note(dst, src *record.Chunk, row int, c code) {
	offset := src.Offsets[row]
	if c.cause() == unreadable {
		dst.Bad = append(dst.Bad, record.Bad{Offset: offset, Reason: src.BadValues[c.id()].Reason})
		return
	}
	reason, ok := r.reasons[c]
	if !ok {
		reason = r.plan.reason(c)
		r.reasons[c] = reason
	}
	dst.Bad = append(dst.Bad, record.Bad{Offset: offset, Reason: reason})
}

// reason names the part, the expression in it, and the cause.
func (p *Plan) reason(c code) (text string) {
	find := func(part string, root *expr) {
		root.walk(func(e *expr) {
			if e.id != c.id() || text != "" {
				return
			}
			text = part + ": " + causes[c.cause()]
			if e.op != opCast || e.args[0].op != opPath || e != root {
				text = part + ": " + e.String() + ": " + causes[c.cause()]
			}
		})
	}
	if p.where != nil {
		find("where", p.where)
	}
	for i, f := range p.fields {
		find("field "+p.rows.Fields[i].Name, f)
	}
	return text
}
