//go:build !race

package lane_test

import (
	"math/bits"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/sink"
)

// found is what a destination says when a slot is claimed.
func (x *explorer) found(w *world, m, k int) lane.Found {
	d, c := &w.dests[k], x.sinks[k]
	parts := int(w.members[m].parts)
	f := lane.Found{High: x.unknown(parts), Resumes: c.resumes, Other: d.foreign}
	switch {
	case c.delivery == sink.Atomic:
		if d.row {
			f.State = sink.Has
			f.High = x.vectors.list[d.position].Or(f.High)
			f.Last = x.cuts.list[d.last]
		}
	case c.noMark || c.delivery == sink.AtLeastOnce:
		f.State = sink.NoMark
	case d.once != 0:
		f.State = sink.Has
		f.High = x.marks(d.once, parts)
	case d.foreign:
		f.State = sink.Has
	}
	return f
}

func (x *explorer) unknown(n int) lane.Vector {
	o := make([]int64, n)
	for i := range o {
		o[i] = -1
	}
	return lane.Vec(o...)
}

// marks are the highest offsets that are there, and one more: there may be
// holes below.
func (x *explorer) marks(rows uint8, n int) lane.Vector {
	o := make([]int64, n)
	for p := range o {
		o[p] = int64(bits.Len8(rows >> (p * x.offsets) & (1<<x.offsets - 1)))
		if o[p] == 0 {
			o[p] = -1
		}
	}
	return lane.Vec(o...)
}

func (d *dest) find(bounds uint16) int {
	for i := range d.names {
		if d.names[i].cut == bounds {
			return i
		}
	}
	return -1
}

// bounds is the name of a cut: its offsets, without the dead set.
func (x *explorer) bounds(cut uint16) uint16 {
	c := x.cuts.list[cut]
	return x.cuts.short(lane.Cut{First: c.First, Next: c.Next})
}

// cutID numbers a cut as a destination sees it.
func (x *explorer) cutID(c lane.Cut) uint16 {
	c.First = lane.Vec(c.First.Offsets()[:c.Next.Len()]...)
	return x.cuts.short(lane.Cut{First: c.First, Next: c.Next, Dead: c.Dead, Letters: c.Letters})
}

// allParts is the mask of a destination's table parts: even and odd records,
// if it has two.
func (x *explorer) allParts() uint8 {
	if x.half {
		return 3
	}
	return 1
}

func (x *explorer) part(parts uint8) (mask uint8) {
	if parts == 0 {
		return 0
	}
	if !x.half {
		return 0xff
	}
	if parts&1 != 0 {
		mask |= 0x55
	}
	if parts&2 != 0 {
		mask |= 0xaa
	}
	return mask
}

// put makes rows visible.
func (d *dest) put(rows uint8) {
	d.twice |= d.once & rows
	d.once |= rows
}

// apply performs a destination write, or some parts of it. stale: an Atomic
// destination's row is not where the cut begins.
func (x *explorer) apply(w *world, k int, f flyingRows, parts uint8) (stale bool) {
	d, c := &w.dests[k], x.sinks[k]
	switch {
	case c.delivery == sink.AtLeastOnce:
		d.put(f.rows & x.part(parts))
	case c.delivery == sink.Atomic:
		return x.transact(d, f)
	case c.resumes:
		if s := &d.stages[f.token-1]; s.status == invisible {
			s.status = visible
			d.put(s.rows)
			s.rows = 0
		}
	default:
		x.replay(d, f, parts)
	}
	return false
}

// replay applies a named cut: parts that the name has already are left alone.
func (x *explorer) replay(d *dest, f flyingRows, parts uint8) {
	if f.rows == 0 {
		return // nothing to name
	}
	name := x.bounds(f.cut)
	n := d.find(name)
	if n < 0 {
		n = d.find(0)
		if n < 0 {
			panic("explorer: a destination has no room for another name")
		}
		d.names[n] = applied{cut: name, rows: f.rows}
	}
	if d.names[n].rows != f.rows && !x.outcomes {
		x.fault("a cut was repeated with other rows (I3, I4)")
	}
	parts &^= d.names[n].parts
	d.put(f.rows & x.part(parts))
	d.names[n].parts |= parts
}

// transact is the one transaction of an Atomic destination.
func (x *explorer) transact(d *dest, f flyingRows) (stale bool) {
	cut := x.cuts.list[f.cut]
	if d.row && !sameFirst(x.vectors.list[d.position], cut.First) || !d.row && f.rowed {
		return true
	}
	d.put(f.rows)
	d.row, d.last = true, f.cut
	d.position = x.vectors.short(cut.Next.Or(x.vectors.list[d.position]))
	return false
}

// sameFirst compares a position row with a cut's first offsets; partitions
// that the row does not have yet are new.
func sameFirst(row, first lane.Vector) bool {
	for i := range first.Len() {
		if i < row.Len() && row.At(i) >= 0 && row.At(i) != first.At(i) {
			return false
		}
	}
	return true
}

func (x *explorer) stage(w *world, m, k int, f lane.Effect, out emit) {
	c := *w
	d, l := &c.dests[k], &c.members[m].lanes[k]
	e := lane.Event{Kind: lane.StagedOK}
	if x.sinks[k].resumes {
		n := 0
		for n < maxTokens && d.stages[n].status != unused {
			n++
		}
		if n == maxTokens {
			panic("explorer: a destination has no room for another stage")
		}
		d.stages[n] = staged{rows: l.held, status: invisible}
		e.Token = tokenName(n)
	}
	if hated := l.held & x.kind(w, m, hated); hated != 0 {
		x.deliver(&c, m, k, x.refusal(hated))
		out(actStageRefused, true, &c)
		return
	}
	x.deliver(&c, m, k, e)
	out(actStage, true, &c)
	if picky := w.members[m].lanes[k].held & x.kind(w, m, refusable); picky != 0 {
		if c, ok := try(w, refuseFault); ok {
			x.deliver(&c, m, k, x.refusal(picky))
			out(actStageRefused, false, &c)
		}
	}
	x.lost(w, m, k, actStageLost, out)
}

func tokenName(n int) string { return string(rune('a' + n)) }

func tokenIndex(token string) int { return int(token[0] - 'a') }

// write is what a commit sends to the destination.
func (x *explorer) write(k int, l slotLane, f lane.Effect) flyingRows {
	r := flyingRows{cut: x.cutID(f.Cut), rows: l.held, parts: x.allParts(), letters: f.Cut.Letters, rowed: l.rowed}
	if x.sinks[k].resumes && f.Token != "" {
		r.token = uint8(tokenIndex(f.Token)) + 1
	}
	return r
}

// fly leaves a commit on its way.
func (x *explorer) fly(w *world, k int, l slotLane, f lane.Effect) bool {
	for i := range x.lateDest {
		if !l.cut && w.dests[k].flying[i].parts == 0 {
			w.dests[k].flying[i] = x.write(k, l, f)
			return true
		}
	}
	return false
}

func (x *explorer) commit(w *world, m, k int, f lane.Effect, out emit) {
	l := w.members[m].lanes[k]
	r := x.write(k, l, f)
	if r.token != 0 && w.dests[k].stages[r.token-1].status == removed {
		c := *w
		x.deliver(&c, m, k, lane.Event{Kind: lane.Failed})
		out(actCommitGone, true, &c)
		return
	}
	c := *w
	if x.apply(&c, k, r, x.allParts()) {
		x.deliver(&c, m, k, lane.Event{Kind: lane.Failed, Failure: lane.Failure{Refused: true}})
		out(actCommitStale, true, &c)
		return
	}
	c.members[m].lanes[k].rowed = c.dests[k].row
	x.deliver(&c, m, k, lane.Event{Kind: lane.CommittedOK})
	out(actCommit, true, &c)
	x.commitUnknown(w, m, k, f, r, out)
	if c, ok := try(w, refuseFault); ok {
		x.deliver(&c, m, k, lane.Event{Kind: lane.Failed, Failure: lane.Failure{Refused: true}})
		out(actCommitRefused, false, &c)
	}
	if picky := l.held & x.kind(w, m, refusable); picky != 0 && x.clean(w, k, r) {
		if c, ok := try(w, refuseFault); ok {
			x.deliver(&c, m, k, x.refusal(picky))
			out(actCommitRows, false, &c)
		}
	}
}

// clean says that nothing of a cut is at the destination: only then can an
// answer say so.
func (x *explorer) clean(w *world, k int, r flyingRows) bool {
	d := &w.dests[k]
	if r.token != 0 {
		return d.stages[r.token-1].status == invisible
	}
	return x.sinks[k].delivery != sink.Replay || d.find(x.bounds(r.cut)) < 0
}

// commitUnknown are the commits without an answer.
func (x *explorer) commitUnknown(w *world, m, k int, f lane.Effect, r flyingRows, out emit) {
	unknown := lane.Event{Kind: lane.Failed}
	if c, ok := try(w, lostFault); ok {
		x.apply(&c, k, r, x.allParts())
		x.deliver(&c, m, k, unknown)
		out(actCommitLost, false, &c)
	}
	if c, ok := try(w, lostFault); ok {
		x.deliver(&c, m, k, unknown)
		out(actCommitDropped, false, &c)
	}
	if c, ok := try(w, lostFault); ok && x.fly(&c, k, w.members[m].lanes[k], f) {
		x.deliver(&c, m, k, unknown)
		out(actCommitLate, false, &c)
	}
	if !x.half || x.sinks[k].resumes {
		return
	}
	for part := uint8(1); part <= 2; part++ {
		if c, ok := try(w, lostFault); ok {
			x.apply(&c, k, r, part)
			x.deliver(&c, m, k, unknown)
			out(actCommitHalf, false, &c)
		}
	}
}

// late applies destination writes that nobody waits for any more.
func (x *explorer) late(w *world, k int, out emit) {
	for i, f := range w.dests[k].flying {
		if f.parts == 0 {
			continue
		}
		for _, part := range []uint8{1, 2} {
			if f.parts&part == 0 {
				continue
			}
			c := *w
			c.dests[k].flying[i].parts &^= part
			x.apply(&c, k, f, part)
			if c.dests[k].flying[i].parts == 0 {
				c.dests[k].flying[i] = flyingRows{}
			}
			out(actCommitApply, false, &c)
		}
	}
}

// resume finishes or fences what was staged.
func (x *explorer) resume(w *world, m, k int, f lane.Effect, out emit) {
	n := tokenIndex(f.Token)
	decide := func(s stageStatus, a action, o sink.Outcome, fair bool) {
		c := *w
		x.decide(&c, k, n, s)
		x.deliver(&c, m, k, lane.Event{Kind: lane.Resumed, Outcome: o})
		out(a, fair, &c)
		if c, ok := try(w, lostFault); ok {
			x.decide(&c, k, n, s)
			x.deliver(&c, m, k, lane.Event{Kind: lane.Failed})
			out(actResumeLost, false, &c)
		}
	}
	switch w.dests[k].stages[n].status {
	case visible:
		decide(visible, actResumeDone, sink.Done, true)
	case invisible:
		decide(visible, actResumeDone, sink.Done, true)
		decide(removed, actResumeNever, sink.Never, false)
		x.lost(w, m, k, actResumeUndecided, out)
	default:
		decide(removed, actResumeNever, sink.Never, true)
	}
}

func (x *explorer) decide(w *world, k, n int, s stageStatus) {
	d := &w.dests[k]
	if s == visible && d.stages[n].status == invisible {
		d.put(d.stages[n].rows)
	}
	d.stages[n] = staged{status: s}
}
