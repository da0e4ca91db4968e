//go:build !race

package lane_test

import (
	"fmt"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/sink"
)

// fault notes a violation that a transition shows.
func (x *explorer) fault(format string, a ...any) {
	if x.problem == "" {
		x.problem = fmt.Sprintf(format, a...)
	}
}

// guard checks an effect before it is performed: what must be true is what the
// world knows, not what the lane believes.
func (x *explorer) guard(w *world, m, k int, s lane.State, f lane.Effect) {
	if x.outcomes && f.Kind != lane.Stop {
		return
	}
	mem := &w.members[m]
	l := mem.lanes[k]
	stored := x.loaded(mem.memory.entries[k], int(mem.parts))
	replay := s.Delivery == sink.Replay
	switch f.Kind {
	case lane.Read, lane.Stage, lane.Commit, lane.Resume:
		if !l.open {
			x.fault("a writer is used that is dead")
		}
	}
	switch f.Kind {
	case lane.Read:
		if !f.Fixed && replay && l.risky && stored.Pending {
			x.fault("a new cut is begun while one that may have been committed is pending (I3)")
		}
		if mem.memory.present && mem.memory.of[k] != w.group.incarnation || w.dests[k].foreign && !x.sinks[k].renews && !w.dests[k].decided {
			x.fault("records of another incarnation are read as if they went on from the old ones")
		}
		if !f.Fixed && !stored.Position.Known() {
			x.fault("records are read before the start is stored")
		}
		if w.group.damaged {
			x.fault("a damaged record is gone on from")
		}
	case lane.Store:
		if f.Entry.Pending {
			x.guardIntent(s, l, stored, f.Entry)
		}
	case lane.Stage, lane.Commit:
		x.contiguous(s, f.Cut)
		if f.Kind == lane.Commit && replay {
			x.acknowledged(k, stored, f)
		}
	case lane.Note:
		if miss := x.below(f.Entry.Position) &^ x.covered(w, k); miss != 0 && x.budget[restoreFault] == 0 {
			x.fault("a position passes records that the sink does not have (I5): %s", x.listed(miss))
		}
	case lane.Stop:
		if !x.justified(w, m, k, stored, f.Reason) {
			x.fault("a lane stops for %q, which is not so", f.Reason)
		}
	}
}

// contiguous is I1: a cut begins where the last one ended.
func (x *explorer) contiguous(s lane.State, c lane.Cut) {
	for p := range c.Next.Len() {
		if c.First.At(p) != s.Position.At(p) || c.Next.At(p) < c.First.At(p) {
			x.fault("a cut does not begin at the position (I1)")
		}
	}
}

// guardIntent is I3 for what is stored: an intent that may have been committed
// is replaced by an equal one only.
func (x *explorer) guardIntent(s lane.State, l slotLane, stored, e lane.Entry) {
	if l.risky && stored.Pending && (e.Cut.Next != stored.Cut.Next || e.Cut.Dead != stored.Cut.Dead) {
		x.fault("an intent that may have been committed is replaced by another (I3)")
	}
}

// acknowledged is I2: what is committed is what the ledger holds.
func (x *explorer) acknowledged(k int, stored lane.Entry, f lane.Effect) {
	same := stored.Pending && stored.Cut.Next == f.Cut.Next && stored.Cut.Dead == f.Cut.Dead
	for p := range f.Cut.Next.Len() {
		same = same && stored.Position.At(p) == f.Cut.First.At(p)
	}
	if x.sinks[k].resumes {
		same = same && stored.Token == f.Token
	}
	if !same {
		x.fault("a commit starts before its intent was acknowledged (I2)")
	}
}

// justified says whether the world is such that a person must decide.
func (x *explorer) justified(w *world, m, k int, stored lane.Entry, r lane.Reason) bool {
	if !x.current(w, m) || w.members[m].ended {
		return true // another member goes on, and this one is about to learn so
	}
	g, l := &w.group, w.members[m].lanes[k]
	spent := func(f fault) bool { return g.left[f] < x.budget[f] }
	switch r {
	case lane.LostRecord:
		return spent(loseFault) || spent(settleFault) || x.sinks[k].noMark
	case lane.DamagedRecord:
		return g.damaged
	case lane.OtherIncarnation:
		return g.incarnation > 0 && !w.dests[k].decided && !x.sinks[k].renews
	case lane.RowsGone:
		return (spent(emptyFault) || spent(restoreFault)) && !w.dests[k].kept
	case lane.PlanChanged:
		return spent(planFault) && stored.Plan != fingerprint(w.members[m].plan)
	case lane.Undecidable:
		cut := stored.Cut
		cut.First = stored.Position
		moody := x.kind(w, m, outside) | x.kind(w, m, refusable) | x.kind(w, m, hated)
		return l.risky && stored.Pending && x.bits(cut)&moody&^x.deadBits(cut.Dead) != 0
	case lane.BadRecord:
		return x.sinks[k].stops
	case lane.Gap:
		return g.logStart > 0 && !x.sinks[k].skips
	case lane.Truncated:
		return spent(truncateFault)
	case lane.TooLong:
		return spent(fullFault)
	}
	return false
}

// covered is the mask of records that have left: by commit, by where, by the
// dead letters.
func (x *explorer) covered(w *world, k int) uint8 {
	d := &w.dests[k]
	mask := d.once | d.letters | d.skipped
	for b := range x.parts * x.offsets {
		if x.kinds[0][b] == filtered || w.group.plan == 1 && x.kinds[1][b] == filtered {
			mask |= 1 << b
		}
	}
	return mask
}

// check looks at one state; "" if all is well.
func (x *explorer) check(w *world) string {
	for k, c := range x.sinks {
		d := &w.dests[k]
		if d.twice != 0 && c.delivery != sink.AtLeastOnce {
			return "doubled at the destination: " + x.listed(d.twice)
		}
		if both := d.once & d.letters &^ d.excused; both != 0 && c.delivery != sink.AtLeastOnce {
			return "in the table and in the dead letters: " + x.listed(both)
		}
		if d.gone {
			continue // there is no row for a position any more, and the lane must stop
		}
		covered := x.covered(w, k)
		if c.delivery == sink.Atomic {
			if miss := x.rowBelow(d) &^ covered; miss != 0 {
				return "missing below the destination's row: " + x.listed(miss)
			}
			if x.budget[restoreFault] > 0 {
				continue // a restored backup is behind the ledger
			}
		}
		e := x.entries.list[w.group.stored.entries[k]]
		if w.group.stored.of[k] != w.group.incarnation {
			continue // it counts what is gone
		}
		if miss := x.below(e.Position) &^ covered; miss != 0 && w.group.stored.present {
			return "missing below the ledger's position: " + x.listed(miss)
		}
	}
	return ""
}

// rowBelow is what an Atomic destination's row vouches for. The letters of its
// last cut may still have to be written.
func (x *explorer) rowBelow(d *dest) uint8 {
	if !d.row {
		return 0
	}
	mask := x.below(x.vectors.list[d.position])
	if last := x.cuts.list[d.last]; last.Letters {
		pending := x.deadBits(last.Dead)
		for b := range x.parts * x.offsets {
			if x.kinds[0][b] == badBytes || x.kinds[1][b] == badBytes {
				pending |= 1 << b
			}
		}
		mask &^= x.bits(last) & pending
	}
	return mask
}

// ended says why a state without a fair successor may be the end; "" if it may
// not.
func (x *explorer) ended(w *world) string {
	for m := range w.members {
		if !x.current(w, m) || w.members[m].idle() {
			continue
		}
		for k := range x.sinks {
			s := x.states.list[w.members[m].lanes[k].state]
			if s.Phase == lane.Stopped {
				continue // its reason was looked at
			}
			if !x.allDone(w, k, s) {
				return ""
			}
		}
		return "ended"
	}
	return ""
}

func (x *explorer) allDone(w *world, k int, s lane.State) bool {
	for p := range int(w.group.parts) {
		if s.Position.Len() <= p || s.Position.At(p) != int64(w.group.logEnd) {
			return false
		}
	}
	// A lane at the end of the log hears of a restore at its next commit.
	return x.budget[restoreFault] > 0 || x.below(s.Position)&^x.covered(w, k) == 0
}
