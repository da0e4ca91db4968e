//go:build !race

package lane_test

import (
	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/sink"
)

// deliver gives an event to a lane and performs what it wants done at once.
func (x *explorer) deliver(w *world, m, k int, e lane.Event) {
	l := &w.members[m].lanes[k]
	if l.state == 0 {
		return
	}
	before := x.states.list[l.state]
	s, effects := x.step(before, e)
	x.tell(w, m, k, e, effects)
	x.ghost(l, before, e)
	x.record(&w.dests[k], w, before, s, e)
	l.state = x.states.short(s)
	if e.Kind != lane.Revoke && before.Phase != lane.Stopped {
		l.ask = 0
	}
	for _, f := range effects {
		x.act(w, m, k, s, f)
		if l.state == 0 {
			return
		}
	}
}

// ghost keeps what a person who sees everything knows of a pending cut.
func (x *explorer) ghost(l *slotLane, before lane.State, e lane.Event) {
	switch {
	case e.Kind == lane.Failed && before.Phase == lane.Committing && before.Delivery == sink.Replay:
		l.risky = l.risky || !e.Failure.Refused && e.Failure.Rows == ""
	case e.Kind == lane.Resumed && e.Outcome == sink.Never:
		l.risky = false
	case e.Kind == lane.Saved && before.Phase == lane.Opening:
		l.risky = false // what was pending was given up, or there was nothing
	}
}

// record notes what the log says to be left out, and that it may be.
func (x *explorer) record(d *dest, w *world, before, s lane.State, e lane.Event) {
	if e.Kind != lane.Halted || e.Reason != lane.Gap || !before.SkipGaps || s.Phase == lane.Stopped || s.Phase == lane.Over {
		return
	}
	past := s.Position
	if s.Open {
		past = s.Cut.Next.Or(past)
	}
	out := x.below(past) &^ x.below(before.Position)
	allowed := x.gone(w)
	if before.Open && before.Unknown {
		allowed |= x.bits(before.Cut) // it cannot be repeated
	}
	if out&^allowed != 0 {
		x.fault("records are left out that are there: %s", x.listed(out&^allowed))
	}
	d.skipped |= out
}

// gone is the mask of records that the log does not have any more.
func (x *explorer) gone(w *world) (mask uint8) {
	for p := range x.parts {
		for o := range int(w.group.logStart) {
			mask |= 1 << (p*x.offsets + o)
		}
	}
	return mask
}

// act performs an effect. Those with an answer are kept, for perform.
func (x *explorer) act(w *world, m, k int, s lane.State, f lane.Effect) {
	mem := &w.members[m]
	l := &mem.lanes[k]
	x.guard(w, m, k, s, f)
	switch f.Kind {
	case lane.Close:
		l.held, l.open, l.cut = 0, false, false
	case lane.Note:
		l.read, l.bad, l.risky = false, 0, false
		if !mem.ended {
			mem.notes[k] = x.entries.short(f.Entry)
		}
	case lane.Stop:
		l.read, l.bad = false, 0
	case lane.Exit:
		*l = slotLane{}
		mem.puts[k] = 0
	case lane.Store:
		if mem.ended {
			x.deliver(w, m, k, lane.Event{Kind: lane.LedgerEnded})
			return
		}
		l.ask = x.effects.short(f)
		mem.puts[k] = x.entries.short(f.Entry)
	default:
		l.ask = x.effects.short(f)
	}
}

// perform emits every way in which an effect can go.
func (x *explorer) perform(w *world, m, k int, out emit) {
	f := x.effects.list[w.members[m].lanes[k].ask]
	if f.Kind == lane.Stage || f.Kind == lane.Commit {
		if w.members[m].lanes[k].cut {
			x.answer(w, m, k, actCut, lane.Event{Kind: lane.Failed}, out)
			return
		}
	}
	switch f.Kind {
	case lane.Claim:
		x.claim(w, m, k, out)
	case lane.Resolve:
		x.answer(w, m, k, actResolve, lane.Event{Kind: lane.Resolved, Position: x.resolved(w, m)}, out)
		x.lost(w, m, k, actResolveLost, out)
	case lane.Resume:
		x.resume(w, m, k, f, out)
	case lane.Read:
		x.read(w, m, k, f, out)
	case lane.Stage:
		x.stage(w, m, k, f, out)
	case lane.Heartbeat:
		if !x.current(w, m) {
			x.answer(w, m, k, actBeatFenced, lane.Event{Kind: lane.Silent}, out)
			return
		}
		x.answer(w, m, k, actBeat, lane.Event{Kind: lane.Alive}, out)
		if c, ok := try(w, silentFault); ok {
			x.deliver(&c, m, k, lane.Event{Kind: lane.Silent})
			out(actBeatLost, false, &c)
		}
	case lane.Commit:
		x.commit(w, m, k, f, out)
	case lane.Letters:
		x.letters(w, m, k, f, out)
	case lane.Wait:
		x.answer(w, m, k, actWait, lane.Event{Kind: lane.Waited}, out)
	}
}

// answer emits the world in which an effect ends well.
func (x *explorer) answer(w *world, m, k int, a action, e lane.Event, out emit) {
	c := *w
	x.deliver(&c, m, k, e)
	out(a, true, &c)
}

// lost emits the world in which an effect ends in an error.
func (x *explorer) lost(w *world, m, k int, a action, out emit) {
	if c, ok := try(w, lostFault); ok {
		x.deliver(&c, m, k, lane.Event{Kind: lane.Failed})
		out(a, false, &c)
	}
}

func (x *explorer) claim(w *world, m, k int, out emit) {
	c := *w
	l := &c.members[m].lanes[k]
	l.held, l.bad, l.read, l.open = 0, 0, false, true
	l.rowed, l.cut = w.dests[k].row, false
	// Record and Entry are what a fetch would find now. Step does not look; a
	// mutant does.
	x.deliver(&c, m, k, lane.Event{Kind: lane.Claimed, Found: x.found(w, m, k),
		Entry: x.loaded(w.group.stored.entries[k], int(w.members[m].parts))})
	out(actClaim, true, &c)
	x.lost(w, m, k, actClaimLost, out)
}

// resolved is where a new sink starts.
func (x *explorer) resolved(w *world, m int) lane.Vector {
	v := x.zeros(int(w.members[m].parts))
	if x.latest && w.group.missing == lane.Lost {
		o := v.Offsets()
		for i := range o {
			o[i] = int64(w.group.logEnd)
		}
		v = lane.Vec(o...)
	}
	return v
}

// letters writes the letters of a cut, those of the reading if the cut was
// read, else those that a reading finds now.
func (x *explorer) letters(w *world, m, k int, f lane.Effect, out emit) {
	l := w.members[m].lanes[k]
	bad := l.bad
	if !l.read {
		if x.gap(w, f.Cut) && !x.sinks[k].skips {
			c := *w
			x.deliver(&c, m, k, lane.Event{Kind: lane.Halted, Reason: lane.Gap})
			out(actLettersHalt, true, &c)
			return
		}
		bad = x.deadBits(f.Cut.Dead) | x.bits(f.Cut)&x.kind(w, m, badBytes)&^x.gone(w)
	}
	e := lane.Event{Kind: lane.LettersWritten}
	e.Cut.Rows = !l.read && x.bits(f.Cut)&^x.gone(w)&^bad&^x.kind(w, m, filtered) != 0
	c := *w
	if !l.read {
		c.dests[k].skipped |= x.bits(f.Cut) & x.gone(w) & x.kind(w, m, badBytes) // said to be missing, maybe
	}
	if bad != 0 && x.sinks[k].stops {
		x.deliver(&c, m, k, lane.Event{Kind: lane.Halted, Reason: lane.BadRecord})
		out(actLettersHalt, true, &c)
		return
	}
	c.dests[k].letters |= bad
	lost := c
	x.deliver(&c, m, k, e)
	out(actLetters, true, &c)
	x.lost(&lost, m, k, actLettersLost, out)
}

// kind is the mask of records that are of a kind to a member's plan.
func (x *explorer) kind(w *world, m int, is kind) (mask uint8) {
	for b := range x.parts * x.offsets {
		if x.kinds[w.members[m].plan][b] == is {
			mask |= 1 << b
		}
	}
	return mask
}

// bits is the mask of the records of a cut.
func (x *explorer) bits(c lane.Cut) (mask uint8) {
	for p := range c.Next.Len() {
		for o := c.First.At(p); o < c.Next.At(p); o++ {
			mask |= 1 << (p*x.offsets + int(o))
		}
	}
	return mask
}

// below is the mask of the records below a position.
func (x *explorer) below(v lane.Vector) (mask uint8) {
	for p := range v.Len() {
		for o := int64(0); o < v.At(p); o++ {
			mask |= 1 << (p*x.offsets + int(o))
		}
	}
	return mask
}

func (x *explorer) deadBits(d lane.DeadSet) (mask uint8) {
	for _, r := range d.List() {
		mask |= 1 << (int(r.Partition)*x.offsets + int(r.Offset))
	}
	return mask
}
