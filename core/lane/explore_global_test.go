//go:build !race

package lane_test

import (
	"slices"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/sink"
)

// global emits what happens outside of the members.
func (x *explorer) global(w *world, out emit) {
	for i, f := range w.group.flying {
		if f.gen != 0 {
			c := *w
			c.group.stored, c.group.flying[i] = f.rec, flyingWrite{}
			out(actLedgerApply, false, &c)
		}
	}
	for k := range x.sinks {
		x.late(w, k, out)
		x.backups(w, k, out)
	}
	if c, ok := try(w, planFault); ok && (x.quiet(w) || !x.any(sink.Atomic)) {
		c.group.plan = 1
		if x.any(sink.Atomic) {
			// A destination's row does not say whose plan its last cut was made
			// by, so only a change with all processes stopped is explored.
			c.members = [2]member{}
		}
		out(actPlan, false, &c)
	}
	if c, ok := try(w, retainFault); ok && c.group.logStart < c.group.logEnd {
		c.group.logStart++
		out(actRetain, false, &c)
	}
	if c, ok := try(w, truncateFault); ok && c.group.logEnd > c.group.logStart {
		c.group.logEnd--
		out(actTruncate, false, &c)
	}
	if c, ok := try(w, growFault); ok && x.spare(w) {
		c.group.parts++
		out(actGrow, false, &c)
	}
	if c, ok := try(w, windowFault); ok && x.forget(w, &c) {
		out(actWindow, false, &c)
	}
	if x.quiet(w) {
		x.losses(w, out)
	}
}

// any says that a sink delivers so.
func (x *explorer) any(d sink.Delivery) bool {
	return slices.ContainsFunc(x.sinks, func(c sinkConf) bool { return c.delivery == d })
}

// forget lets the destinations forget the names of cuts that are settled. By
// then every attempt to commit one has ended, since an attempt has a deadline;
// but a process that was stopped before it began one may wake at any time.
func (x *explorer) forget(w, c *world) (any bool) {
	for m := range w.members {
		for k := range x.sinks {
			if a := w.members[m].lanes[k].ask; a != 0 && x.effects.list[a].Kind == lane.Commit {
				return false
			}
		}
	}
	for k := range x.sinks {
		d := &c.dests[k]
		if d.flying != [maxFlying]flyingRows{} {
			return false
		}
		settled := x.below(x.entries.list[w.group.stored.entries[k]].Position)
		for i, n := range d.names {
			if n.cut != 0 && x.bits(x.cuts.list[n.cut])&^settled == 0 {
				d.names[i], any = applied{}, true
			}
		}
	}
	return any
}

// quiet says that nobody is in the group and nothing is on its way: records of
// a group are lost days later, and a person resets them only while it is empty.
func (x *explorer) quiet(w *world) bool {
	if !x.spare(w) || w.group.gen == 0 {
		return false
	}
	for m := range w.members {
		if !w.members[m].idle() {
			return false
		}
	}
	for k := range x.sinks {
		if w.dests[k].flying != [maxFlying]flyingRows{} {
			return false
		}
	}
	return true
}

// losses emits what can happen to the memories of an empty group.
func (x *explorer) losses(w *world, out emit) {
	for _, how := range []struct {
		a       action
		missing lane.RecordState
	}{{actLoseAll, lane.Fresh}, {actLoseSlot, lane.Lost}} {
		c, ok := try(w, loseFault)
		if !ok || !w.group.stored.present {
			continue
		}
		c.group.live, c.group.stored, c.group.missing = false, rec{}, how.missing
		for k := range x.sinks {
			c.dests[k].excused |= c.dests[k].letters
		}
		out(how.a, false, &c)
	}
	for _, a := range []action{actRecreate, actRecreateBare, actRecreateShort} {
		if c, ok := try(w, recreateFault); ok && w.group.stored.present {
			x.recreate(&c, a)
			out(a, false, &c)
		}
	}
	if c, ok := try(w, damageFault); ok && w.group.stored.present {
		c.group.live, c.group.damaged = false, true
		out(actDamage, false, &c)
	}
	for k := range x.sinks {
		c, ok := try(w, emptyFault)
		if !ok || w.dests[k].once == 0 {
			continue
		}
		c.group.live = false
		d := &c.dests[k]
		e := x.entries.list[c.group.stored.entries[k]]
		*d = dest{letters: d.letters, excused: d.excused | d.letters, gone: e.Wrote, skipped: d.skipped}
		out(actEmpty, false, &c)
	}
	x.settles(w, out)
}

// recreate makes the topic another one: its records are others, and what the
// destinations hold of the old ones are traces. Kafka deletes a group's offsets
// with the topic; a member that still ran may have written some since.
func (x *explorer) recreate(c *world, a action) {
	g := &c.group
	g.live = false
	if a != actRecreate {
		g.stored, g.missing = rec{}, lane.Fresh
	}
	g.incarnation++
	g.logStart, g.logEnd = 0, uint8(x.offsets)
	if a == actRecreateShort {
		g.logEnd = 1
	}
	for k := range x.sinks {
		d := &c.dests[k]
		*d = dest{foreign: d.foreign || d.once != 0 || d.row}
	}
}

// settled says that nothing is on its way to a destination, and that the
// letters of what it holds are written.
func (x *explorer) settled(w *world, k int) bool {
	for m := range w.members {
		if a := w.members[m].lanes[k].ask; a != 0 && x.effects.list[a].Kind == lane.Letters {
			return false
		}
	}
	return w.dests[k].flying == [maxFlying]flyingRows{}
}

// backups of an Atomic destination.
func (x *explorer) backups(w *world, k int, out emit) {
	if x.sinks[k].delivery != sink.Atomic {
		return
	}
	if c, ok := try(w, backupFault); ok {
		c.dests[k].backup, c.dests[k].saved = c.dests[k].table, true
		out(actBackup, false, &c)
	}
	if w.dests[k].saved && x.settled(w, k) {
		if c, ok := try(w, restoreFault); ok {
			d := &c.dests[k]
			d.table, d.backup, d.saved = d.backup, table{}, false
			d.excused |= d.letters
			for m := range c.members {
				l := &c.members[m].lanes[k]
				l.cut = l.open // a restore ends all connections
			}
			out(actRestore, false, &c)
		}
	}
}
