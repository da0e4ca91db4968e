package plan

import (
	"fmt"

	"github.com/sluicekit/sluice/core/record"
)

// appendRows appends the selected rows, field by field. Expressions are
// evaluated over the run itself where much of it is selected, else over a copy
// of the selected rows of what they read.
func (r *Projector) appendRows(dst, src *record.Chunk, start int) error {
	n := count(r.spans)
	if n == 0 {
		return nil
	}
	values := r.spans // the selected rows, as expressions see them
	r.rows = r.rows[:0]
	if len(r.inputs) > 0 && n*2 < r.m.n {
		values = r.gather(n)
	}
	if r.evaluate() {
		values = r.dropBad(dst, src, start, values)
	}
	if err := r.room(dst, values); err != nil {
		return err
	}
	for i, f := range r.plan.fields {
		c, before := &dst.Columns[i], dst.Columns[i].Len
		switch {
		case f.isConst():
			repeat(c, f.value, count(r.spans))
		case f.op == opPath:
			appendSpans(c, &r.run[f.want], r.spans)
		default:
			appendSpans(c, &r.m.vecs[f.id].Column, values)
			zeroNulls(c, before)
		}
	}
	for _, s := range r.spans {
		dst.Offsets = append(dst.Offsets, src.Offsets[start+s.first:start+s.next]...)
		dst.Times = append(dst.Times, src.Times[start+s.first:start+s.next]...)
	}
	return nil
}

// gather copies the n selected rows of what expressions read, and points the
// machine at them.
func (r *Projector) gather(n int) []span {
	for _, w := range r.inputs {
		c := &r.compact[w]
		c.Reset()
		appendSpans(c, &r.run[w], r.spans)
		r.m.in[w].Column = *c
		r.gatherBad(w, n)
	}
	for _, s := range r.spans {
		for i := s.first; i < s.next; i++ {
			r.rows = append(r.rows, i)
		}
	}
	r.m.n = n
	r.whole[0] = span{0, n}
	return r.whole[:]
}

// gatherBad is gather for the values of a want that could not be read.
func (r *Projector) gatherBad(w, n int) {
	b := &r.badRows[w]
	if b.at == nil {
		return
	}
	b.copied = resize(b.copied, n)[:0]
	for _, s := range r.spans {
		b.copied = append(b.copied, b.at[s.first:s.next]...)
	}
	r.m.in[w].errs = b.copied
}

// evaluate computes all fields that are expressions, and says whether a row
// may have become bad.
func (r *Projector) evaluate() bool {
	failed := false
	for _, f := range r.plan.fields {
		switch {
		case f.op == opPath:
			failed = failed || r.badRows[f.want].at != nil
		case !f.isConst():
			v := r.m.eval(f)
			failed = failed || v.errs != nil
		}
	}
	for _, i := range r.plan.by {
		failed = failed || r.hasNulls(r.plan.fields[i])
	}
	return failed
}

func (r *Projector) hasNulls(f *expr) bool {
	switch {
	case f.isConst():
		return f.value.Nulls != 0
	case f.op == opPath:
		return r.run[f.want].Nulls != 0
	}
	return r.m.vecs[f.id].Nulls != 0
}

// dropBad takes the rows that are bad out of the selected ones: those that a
// field fails on, and those in which a grouping field is null.
func (r *Projector) dropBad(dst, src *record.Chunk, start int, values []span) []span {
	r.keep, r.keepV = r.keep[:0], r.keepV[:0]
	for _, s := range values {
		for i := s.first; i < s.next; i++ {
			row := i // in the run
			if len(r.rows) > 0 {
				row = r.rows[i]
			}
			if c := r.failed(i, row); c != 0 {
				r.note(dst, src, start+row, c)
				continue
			}
			r.keep, r.keepV = extend(r.keep, row), extend(r.keepV, i)
		}
	}
	r.spans, r.keep = r.keep, r.spans
	return r.keepV
}

// failed is why a row is bad: the first field that failed says so.
func (r *Projector) failed(i, row int) code {
	for _, f := range r.plan.fields {
		var c code
		switch {
		case f.op == opPath:
			c = r.badRows[f.want].of(row)
		case !f.isConst():
			c = r.m.vecs[f.id].err(i)
		}
		if c != 0 {
			return c
		}
	}
	for _, k := range r.plan.by {
		f := r.plan.fields[k]
		var null bool
		switch {
		case f.isConst():
			null = f.value.Null(0)
		case f.op == opPath:
			null = r.run[f.want].Null(row)
		default:
			null = r.m.vecs[f.id].null(i)
		}
		if null {
			return codeOf(f, nullKey)
		}
	}
	return 0
}

// extend adds row i to spans that end before it.
func extend(spans []span, i int) []span {
	if n := len(spans); n > 0 && spans[n-1].next == i {
		spans[n-1].next++
		return spans
	}
	return append(spans, span{i, i + 1})
}

// room refuses rows that would not fit the 32-bit offsets of a column.
func (r *Projector) room(dst *record.Chunk, values []span) error {
	for i, f := range r.plan.fields {
		c := &dst.Columns[i]
		fits := true
		switch {
		case f.isConst():
			fits = len(c.Data)+len(f.value.Data)*count(r.spans) <= maxData
		case f.op == opPath:
			fits = roomFor(c, &r.run[f.want], r.spans)
		default:
			fits = roomFor(c, &r.m.vecs[f.id].Column, values)
		}
		if !fits {
			return fmt.Errorf("column %s would hold more than %d bytes", r.plan.rows.Fields[i].Name, maxData)
		}
	}
	return nil
}

func roomFor(dst, src *record.Column, spans []span) bool {
	if len(src.Offsets) == 0 {
		return true
	}
	have, more := len(dst.Data), 0
	if dst.Elems != nil {
		have = dst.Elems.Len
	}
	for _, s := range spans {
		more += int(src.Offsets[s.next] - src.Offsets[s.first])
	}
	if have+more > maxData {
		return false
	}
	// Below a list it is enough to know that all of it would fit.
	for _, nested := range [][2]*record.Column{{dst.Elems, src.Elems}, {dst.Keys, src.Keys}} {
		if nested[0] != nil && nested[1].Len > 0 && !roomFor(nested[0], nested[1], []span{{0, nested[1].Len}}) {
			return false
		}
	}
	return true
}
