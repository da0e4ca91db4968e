//go:build !race

package lane_test

import (
	"math/bits"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/record"
)

// read emits every cut that a reading can end with.
func (x *explorer) read(w *world, m, k int, f lane.Effect, out emit) {
	if reason := x.outOfLog(w, f); reason != lane.NoReason {
		c := *w
		x.deliver(&c, m, k, lane.Event{Kind: lane.Halted, Reason: reason, Cut: lane.Cut{Next: x.behind(w, f)}})
		out(actReadHalt, true, &c)
		return
	}
	if f.Fixed {
		cut := f.Cut
		n := cut.Next.Len()
		cut.First = lane.Vec(cut.First.Offsets()[:n]...)
		x.fill(w, m, k, f, cut, out)
	} else {
		for _, next := range x.ends(w, f.Cut.First) {
			x.fill(w, m, k, f, lane.Cut{First: f.Cut.First, Next: next, Dead: f.Cut.Dead}, out)
		}
	}
	x.lost(w, m, k, actReadLost, out)
}

// outOfLog says why the log cannot be read from a cut's first offsets on.
func (x *explorer) outOfLog(w *world, f lane.Effect) lane.Reason {
	for p := range f.Cut.First.Len() {
		if f.Fixed && (p >= f.Cut.Next.Len() || f.Cut.First.At(p) >= f.Cut.Next.At(p)) {
			continue
		}
		switch o := f.Cut.First.At(p); {
		case o < int64(w.group.logStart):
			return lane.Gap
		case o > int64(w.group.logEnd), f.Fixed && f.Cut.Next.At(p) > int64(w.group.logEnd):
			return lane.Truncated
		}
	}
	return lane.NoReason
}

// behind is where a gap ends.
func (x *explorer) behind(w *world, f lane.Effect) lane.Vector {
	at := f.Cut.First.Offsets()
	for p := range at {
		if !f.Fixed || p < f.Cut.Next.Len() {
			at[p] = max(at[p], int64(w.group.logStart))
		}
	}
	return lane.Vec(at...)
}

func (x *explorer) gap(w *world, c lane.Cut) bool {
	for p := range c.Next.Len() {
		if c.First.At(p) < c.Next.At(p) && c.First.At(p) < int64(w.group.logStart) {
			return true
		}
	}
	return false
}

// ends are the ends that a cut can have, longest first.
func (x *explorer) ends(w *world, first lane.Vector) (all []lane.Vector) {
	at := first.Offsets()
	var grow func(p, left int)
	next := make([]int64, len(at))
	grow = func(p, left int) {
		if p == len(at) {
			if v := lane.Vec(next...); v != first {
				all = append(all, v)
			}
			return
		}
		for n := min(int64(w.group.logEnd)-at[p], int64(left)); n >= 0; n-- {
			next[p] = at[p] + n
			grow(p+1, left-int(n))
		}
	}
	grow(0, x.maxCut)
	return all
}

// fill reads one cut: every judgement that something outside can make.
func (x *explorer) fill(w *world, m, k int, f lane.Effect, cut lane.Cut, out emit) {
	known := x.deadBits(f.Cut.Dead)
	within := x.bits(cut)
	moody := within & x.kind(w, m, outside) &^ known
	for worse := uint8(0); ; worse = (worse - moody) & moody { // all subsets
		x.filled(w, m, k, f, cut, worse, out)
		if worse == moody {
			break
		}
	}
	if picky := within & x.kind(w, m, refusable) &^ known; picky != 0 && w.group.left[refuseFault] > 0 {
		c, _ := try(w, refuseFault)
		x.deliver(&c, m, k, x.refusal(picky))
		out(actReadRefused, false, &c)
	}
}

// filled ends a reading in which the records of worse were judged bad.
func (x *explorer) filled(w *world, m, k int, f lane.Effect, cut lane.Cut, worse uint8, out emit) {
	c := *w
	within := x.bits(cut)
	byBytes := within & x.kind(w, m, badBytes)
	if halted := f.Fixed && worse != 0 || x.sinks[k].stops && worse|byBytes != 0; halted {
		if !f.Fixed && bits.OnesCount8(within) > 1 {
			return // the cut ends before it: another end of this reading
		}
		x.deliver(&c, m, k, lane.Event{Kind: lane.Halted, Reason: lane.BadRecord})
		out(actReadHalt, worse == 0, &c)
		return
	}
	known := x.deadBits(f.Cut.Dead) & within
	l := &c.members[m].lanes[k]
	l.held = within &^ known &^ worse &^ byBytes &^ x.kind(w, m, filtered)
	l.bad, l.read = byBytes|known|worse, true
	if !f.Fixed {
		cut.Dead = x.deads(known | worse)
	}
	cut.Rows, cut.Letters = l.held != 0, l.bad != 0
	x.deliver(&c, m, k, lane.Event{Kind: lane.Filled, Cut: cut})
	a := actRead
	if worse != 0 {
		a = actReadOutside
	}
	out(a, worse == 0, &c)
}

// refusal is a destination's word against the first of some records.
func (x *explorer) refusal(mask uint8) lane.Event {
	first := mask & -mask
	return lane.Event{Kind: lane.Failed, Failure: lane.Failure{Refused: true, Rows: x.deads(first)}}
}

func (x *explorer) deads(mask uint8) lane.DeadSet {
	var list []record.Dead
	for ; mask != 0; mask &= mask - 1 {
		b := bits.TrailingZeros8(mask)
		list = append(list, record.Dead{Partition: int32(b / x.offsets), Offset: int64(b % x.offsets)})
	}
	return lane.Deads(list...)
}
