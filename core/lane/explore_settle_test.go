//go:build !race

package lane_test

import (
	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/settle"
	"github.com/sluicekit/sluice/core/sink"
)

// careless is a rule of settle that a mutant breaks.
type careless uint8

const (
	careful      careless = iota
	insisting             // what is lost or doubled is not looked at
	forgetful             // a pending batch is not looked at
	undecided             // the decision for this incarnation is not written down
	keepsWriting          // --keep does not take back that rows were written
)

// settles emits what a person can decide while nobody is in the group, as
// core/settle does it: nothing by which records are lost or doubled.
func (x *explorer) settles(w *world, out emit) {
	for k := range x.sinks {
		c, ok := try(w, settleFault)
		if !ok || w.group.gen == 0 {
			continue
		}
		c.group.live = false
		forget, keep := c, c
		if x.forgetEntry(&forget, k) {
			out(actForget, false, &forget)
		}
		if x.keep(&keep, k) {
			out(actKeep, false, &keep)
		}
		for o := range int64(w.group.logEnd) + 1 {
			at := make([]int64, w.group.parts)
			for p := range at {
				at[p] = o
			}
			start := c
			if x.startAt(&start, k, lane.Vec(at...)) {
				out(actStartAt, false, &start)
			}
		}
	}
}

// own is a sink's entry if it is one of the topic as it is now.
func (x *explorer) own(w *world, k int) lane.Entry {
	if !w.group.stored.present || w.group.stored.of[k] != w.group.incarnation {
		return lane.Entry{}
	}
	return x.loaded(w.group.stored.entries[k], int(w.group.parts))
}

// put writes an entry as settle does: a record that was lost or damaged is whole
// again.
func (x *explorer) put(w *world, k int, e lane.Entry) {
	g := &w.group
	if !g.stored.present {
		g.stored = rec{present: true}
	}
	g.stored.incarnation, g.damaged = g.incarnation, false
	g.stored.entries[k], g.stored.of[k] = x.entries.short(e), g.incarnation
}

func (x *explorer) forgetEntry(w *world, k int) bool {
	d, e := &w.dests[k], x.own(w, k)
	if !w.group.stored.present || w.group.stored.entries[k] == 0 || e.Pending && x.careless != forgetful {
		return false
	}
	if x.sinks[k].delivery == sink.Atomic && d.row {
		return false // its rows would be doubled
	}
	if x.sinks[k].delivery == sink.AtLeastOnce {
		return false
	}
	x.put(w, k, lane.Entry{})
	w.group.stored.of[k] = 0
	d.excused, d.gone = d.excused|d.letters, false
	return true
}

func (x *explorer) keep(w *world, k int) bool {
	d, e := &w.dests[k], x.own(w, k)
	if !e.Exists {
		return false
	}
	switch {
	case x.sinks[k].delivery == sink.Atomic && d.row && x.vectors.list[d.position].Below(e.Position):
		d.skipped |= x.below(e.Position) &^ x.covered(w, k)
		d.position, d.last = x.vectors.short(e.Position), 0
	case x.sinks[k].delivery == sink.Atomic && !d.row && e.Wrote, x.sinks[k].delivery == sink.Replay && d.once == 0 && e.Wrote && !x.sinks[k].noMark:
		d.skipped |= x.below(e.Position) &^ x.covered(w, k)
		if e.Wrote = x.careless == keepsWriting; e.Wrote {
			d.kept = true
		}
	default:
		return false
	}
	d.excused, d.gone = d.excused|d.letters, false
	x.put(w, k, e)
	return true
}

func (x *explorer) startAt(w *world, k int, at lane.Vector) bool {
	d, e, c := &w.dests[k], x.own(w, k), x.sinks[k]
	if e.Pending && x.careless != forgetful {
		return false
	}
	have := x.unknown(at.Len())
	switch {
	case c.delivery == sink.Atomic && d.row:
		have = x.vectors.list[d.position].Or(have)
	case e.Exists:
		have = e.Position
	}
	if c.delivery == sink.Replay && !c.noMark {
		have = higher(have, x.marks(d.once, at.Len()))
	}
	for p := range at.Len() {
		if at.At(p) < int64(w.group.logStart) {
			return false
		}
		means := settle.Compare(have.At(p), at.At(p), int64(w.group.logStart), int64(w.group.logEnd))
		harm := means.Lost.Next > 0 || means.Doubled.Next > 0 || means.Reused.Next > 0
		if harm && x.careless != insisting {
			return false
		}
	}
	if !have.Any() && d.once != 0 {
		return false // nothing is known, and what is there would be doubled: a person knows, or insists
	}
	// What is left out was said: what is gone, and what a mark hides.
	d.skipped |= x.below(at) &^ x.covered(w, k)
	if x.careless == insisting {
		d.skipped = 0
	}
	n := lane.Entry{Exists: true, Position: at, Plan: e.Plan, Wrote: c.delivery == sink.Replay && (d.once != 0 || d.foreign), Renewed: x.careless != undecided && (d.foreign || e.Renewed)}
	if c.delivery == sink.Atomic && d.row {
		n.Wrote = true
		d.position, d.last = x.vectors.short(at), 0
	}
	d.excused, d.gone, d.decided = d.excused|d.letters, false, true
	x.put(w, k, n)
	return true
}

func higher(a, b lane.Vector) lane.Vector {
	o := a.Offsets()
	for i := range o {
		o[i] = max(o[i], b.At(i))
	}
	return lane.Vec(o...)
}
