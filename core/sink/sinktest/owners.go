package sinktest

import "github.com/sluicekit/sluice/core/record"

// hung is an owner that had its batch staged and the intent stored, and then
// hung. Another takes its place; it does not know that.
type hung struct {
	*writer
	cut   record.Cut
	token string
}

// hang makes one. token is that of the intent which it finds; "" for none.
func (p *place) hang(c record.Cut, token string) hung {
	p.Helper()
	w, _ := p.mustClaim(p.mustOpen(), slot(c.Partition, len(c.Ranges)))
	if finished, err := w.resume(p.Context(), c, token); err != nil || finished {
		p.Fatalf("resume of %s, which nobody has committed: finished: %t, %v", c, finished, err)
	}
	w.mustFill(c)
	return hung{w, c, w.mustStage(c)}
}

// wake has the old owner commit, and wants that to change nothing.
func (h hung) wake(when string) {
	h.p.Helper()
	if err := h.commit(h.p.Context(), h.cut, h.token); err != nil {
		h.p.Logf("late commit %s: %v", when, err)
	}
	h.p.check("after the late commit of an old owner, " + when)
	h.close()
	h.p.check("after that old owner has ended")
}

// takeOver claims for the next owner, who finishes the batch of the old one:
// by Resume if there is one, and else by committing it again.
func (p *place) takeOver(h hung) *writer {
	p.Helper()
	w, _ := p.mustClaim(p.mustOpen(), slot(h.cut.Partition, len(h.cut.Ranges)))
	w.mustRepeat(h.cut, h.token)
	return w
}

// oldOwner: the old owner wakes up when the next one has just committed the
// same batch, which was the first of all or not.
func oldOwner(b *bench) {
	for _, start := range []int64{0, 7} {
		p := b.place(standard(b.target.Spec))
		if start > 0 {
			w, _ := p.mustClaim(p.mustOpen(), slot(0, 1))
			w.mustWrite(cutOf(0, 0, start))
		}
		h := p.hang(cutOf(0, start, start+50), "")
		w := p.takeOver(h)
		p.check("before the old owner wakes up")
		h.wake("right behind that of the new one")
		w.mustWrite(cutOf(0, start+50, start+60))
		p.check("after the new owner has gone on")
	}
}

// oldOwnerLater: old owners wake up when the new one is batches ahead, and has
// one under way.
func oldOwnerLater(b *bench) {
	p := b.place(standard(b.target.Spec))
	first := p.hang(cutOf(0, 0, 50, 0, 20), "")
	second := p.hang(first.cut, first.token) // hangs too, at the same batch
	w := p.takeOver(second)
	w.mustWrite(cutOf(0, 50, 70, 20, 20))
	third := p.hang(cutOf(0, 70, 80, 20, 30), "")
	w = p.takeOver(third)
	next := cutOf(0, 80, 99, 30, 31)
	w.mustFill(next)
	first.wake("two batches later, while another is appended")
	token := w.mustStage(next)
	second.wake("two batches later, while another is staged")
	if err := w.commit(p.Context(), next, token); err != nil {
		// An old writer may take staged rows with it; then they come again.
		p.Logf("commit of the new owner: %v", err)
		w.close()
		w, _ = p.mustClaim(p.mustOpen(), slot(0, 2))
		w.mustRepeat(next, token)
	}
	third.wake("one batch later")
	w, f := p.mustClaim(p.mustOpen(), slot(0, 2))
	p.wantHigh("after late commits", f, 99, 31)
	w.mustWrite(cutOf(0, 99, 100, 31, 40))
	p.check("after one more batch of the new owner")
}
