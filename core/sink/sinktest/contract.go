package sinktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// oneRow: the smallest batch that is none.
func oneRow(b *bench) {
	p := b.place(standard(b.target.Spec))
	w, _ := p.mustClaim(p.mustOpen(), slot(0, 1))
	w.mustWrite(cutOf(0, 0, 1))
	p.check("after one batch of one row")
}

// sequence: one writer goes on and on, from an offset that is not 0.
func sequence(b *bench) {
	p := b.place(standard(b.target.Spec))
	w, _ := p.mustClaim(p.mustOpen(), slot(3, 1))
	first := int64(1200)
	for _, n := range []int64{1, 600, 1, 3000, 9, 10} {
		w.mustWrite(cutOf(3, first, first+n))
		first += n
	}
	p.check("after six batches of one writer")
}

// invisible: before Commit nothing is to be seen, and after Close nothing ever.
func invisible(b *bench) {
	p := b.place(standard(b.target.Spec))
	s := p.mustOpen()
	w, _ := p.mustClaim(s, slot(0, 1))
	c := cutOf(0, 0, 100)
	w.mustFill(c)
	p.check("after Append, before Stage and Commit")
	w.mustStage(c)
	p.check("after Stage, before Commit")
	w.close()
	p.check("after Close without Commit")
	w, _ = p.mustClaim(s, slot(0, 1))
	p.check("after the next claim")
	w.mustWrite(cutOf(0, 0, 30))
	p.check("after a smaller batch in the place of one that was never committed")
}

// equalTwice: the same batch again, by the next owner, changes nothing.
func equalTwice(b *bench) {
	p := b.place(standard(b.target.Spec))
	c := cutOf(0, 0, 100)
	c.Dead, c.Letters = []record.Dead{{Partition: 0, Offset: 7}, {Partition: 0, Offset: 50}}, 3
	token := ""
	for range 3 {
		w, _ := p.mustClaim(p.mustOpen(), slot(0, 1))
		token = w.mustRepeat(c, token)
		p.check(fmt.Sprintf("after owner %d has committed the same batch", w.owner))
		w.close()
	}
	w, _ := p.mustClaim(p.mustOpen(), slot(0, 1))
	w.mustWrite(cutOf(0, 100, 110))
	w.mustWrite(cutOf(0, 110, 120))
	p.check("after two more batches")
}

// emptyBatch: a batch without rows is a batch.
func emptyBatch(b *bench) {
	p := b.place(standard(b.target.Spec))
	s := p.mustOpen()
	w, _ := p.mustClaim(s, slot(0, 1))
	for _, c := range []record.Cut{cutOf(0, 4, 5), cutOf(0, 5, 13), cutOf(0, 13, 14), cutOf(0, 14, 22), cutOf(0, 22, 23)} {
		w.mustWrite(c) // offsets 4, 13 and 22 have no rows
		p.check("after " + c.String())
		if b.target.Spec.Delivery == sink.Atomic {
			v, f := p.mustClaim(s, slot(0, 1))
			if f.High[0] != c.Ranges[0].Next {
				p.Fatalf("after %s was committed a claim finds position %d: a batch without rows moves it too", c, f.High[0])
			}
			v.close()
			w, _ = p.mustClaim(s, slot(0, 1))
		}
	}
}

// deadSet: rows of a dead set are not sent, and an Atomic sink remembers it.
func deadSet(b *bench) {
	p := b.place(standard(b.target.Spec))
	s := p.mustOpen()
	w, _ := p.mustClaim(s, slot(0, 1))
	c := cutOf(0, 0, 300)
	for o := int64(0); len(c.Dead) < record.MaxDead; o += 17 {
		c.Dead = append(c.Dead, record.Dead{Partition: 0, Offset: o})
	}
	c.Letters = 25
	w.mustWrite(c)
	p.check("after a batch with a dead set")
	_, f := p.mustClaim(s, slot(0, 1))
	if b.target.Spec.Delivery == sink.Atomic && (!f.Last.Equal(c) || f.Last.Letters != c.Letters) {
		p.Fatalf("the last batch is found as %s with dead set %v and %d letters; committed was %s with %v and %d",
			f.Last, f.Last.Dead, f.Last.Letters, c, c.Dead, c.Letters)
	}
	p.mustWriteNext(s, cutOf(0, 300, 310))
}

// mustWriteNext claims anew, writes a batch and checks.
func (p *place) mustWriteNext(s sink.Sink, c record.Cut) {
	p.Helper()
	w, _ := p.mustClaim(s, slot(c.Partition, len(c.Ranges)))
	w.mustWrite(c)
	p.check("after " + c.String())
}

// gapAndOverlap: an Atomic sink takes only what begins at its position.
func gapAndOverlap(b *bench) {
	p := b.place(standard(b.target.Spec))
	s := p.mustOpen()
	w, _ := p.mustClaim(s, slot(0, 2))
	w.mustWrite(cutOf(0, 10, 20, 5, 9))
	for _, c := range []record.Cut{
		cutOf(0, 21, 30, 9, 12), cutOf(0, 20, 30, 10, 12), cutOf(0, 19, 30, 9, 12), cutOf(0, 20, 30, 8, 12), cutOf(0, 10, 30, 5, 12),
		cutOf(0, 10, 15, 5, 9), cutOf(0, 10, 20, 5, 8), cutOf(0, 0, 5, 0, 3), cutOf(0, 21, 21, 9, 9), cutOf(0, 10, 20, 5, 14),
	} {
		w, _ := p.mustClaim(s, slot(0, 2))
		w.mustFill(c)
		err := w.put(p.Context(), c)
		if !errors.Is(err, sink.ErrStale) || !sink.IsRefused(err) {
			p.Errorf("%s on top of position [20 9]: got %v, want Stale", c, err)
		}
		w.close()
		p.check("after " + c.String() + ", which does not begin at the position")
	}
	c := cutOf(0, 10, 20, 5, 9)
	c.Dead = []record.Dead{{Partition: 0, Offset: 12}}
	w, _ = p.mustClaim(s, slot(0, 2))
	w.mustFill(c)
	if err := w.put(p.Context(), c); !errors.Is(err, sink.ErrStale) {
		p.Errorf("the last batch again, with another dead set: got %v, want Stale, since it is another batch", err)
	}
	p.mustWriteNext(s, cutOf(0, 20, 25, 9, 9))
}

// foundBeforeAndAfter: what a claim finds on an empty destination and on one
// with rows, seen from the slot, from another, and by another sink.
func foundBeforeAndAfter(b *bench) {
	p := b.place(standard(b.target.Spec))
	s := p.mustOpen()
	w, f := p.mustClaim(s, slot(4, 1))
	p.wantNew("the first claim", f)
	mark := f.State
	w.mustWrite(cutOf(4, 7, 40))
	w.mustWrite(cutOf(4, 40, 43))
	for _, again := range []sink.Sink{s, p.mustOpen()} {
		_, f = p.mustClaim(again, slot(4, 1))
		p.wantHigh("after batches up to 43", f, 43)
		if mark == sink.Empty && f.State != sink.Has {
			p.Errorf("after batches with rows a claim finds state %d, want Has", f.State)
		}
	}
	// Another slot knows that the sink was here, and has no position.
	_, f = p.mustClaim(s, slot(5, 1))
	if f.High[0] != -1 {
		p.Errorf("a claim of a slot that had no batch finds High %d, want -1", f.High[0])
	}
	if mark == sink.Empty && f.State != sink.Has {
		p.Errorf("a claim of another slot finds state %d, want Has: the sink left traces, in any slot", f.State)
	}
	// Another topic has no position either.
	other := slot(4, 1)
	other.Topic = "others"
	if _, f = p.mustClaim(s, other); f.High[0] != -1 || f.OtherIncarnation != "" {
		p.Errorf("a claim of another topic finds High %d and incarnation %q, want nothing", f.High[0], f.OtherIncarnation)
	}
	p.check("after claims alone")
}

// wantNew wants nothing to be found.
func (p *place) wantNew(who string, f sink.Found) {
	p.Helper()
	if f.State == sink.Has || slices.ContainsFunc(f.High, func(n int64) bool { return n != -1 }) || f.OtherIncarnation != "" || len(f.Last.Ranges) > 0 {
		p.Errorf("%s finds %+v on a destination where this sink never was", who, f)
	}
}

// wantHigh wants the next offsets: exactly of an Atomic sink, none beyond of
// others.
func (p *place) wantHigh(when string, f sink.Found, next ...int64) {
	p.Helper()
	switch {
	case p.target.Spec.Delivery == sink.Atomic && !slices.Equal(f.High, next):
		p.Fatalf("%s a claim finds High %v, want %v", when, f.High, next)
	case p.target.Spec.Delivery == sink.Atomic && f.State != sink.Has:
		p.Fatalf("%s a claim finds state %d, want Has", when, f.State)
	}
	for i := range next {
		if f.High[i] > next[i] {
			p.Fatalf("%s a claim finds High %v, which is beyond %v", when, f.High, next)
		}
	}
}

// otherIncarnation: the topic was made anew, and its offsets begin again.
func otherIncarnation(b *bench) {
	p := b.place(standard(b.target.Spec))
	s := p.mustOpen()
	old := slot(0, 1)
	old.Incarnation = "sinktest/old"
	w, f := p.mustClaim(s, old)
	if f.State == sink.NoMark {
		return // it promises nothing
	}
	w.mustWrite(cutOf(0, 0, 10))
	_, f = p.mustClaim(s, slot(0, 1))
	if f.OtherIncarnation != old.Incarnation || f.High[0] != -1 || f.State != sink.Has {
		p.Fatalf("a claim of a topic made anew finds incarnation %q, High %d, state %d; want %q, -1, Has", f.OtherIncarnation, f.High[0], f.State, old.Incarnation)
	}
	// The same offsets are other records now; only their names are compared.
	w, _ = p.mustClaim(s, slot(0, 1))
	c := cutOf(0, 0, 10)
	w.mustFill(c)
	if err := w.put(p.Context(), c); err != nil {
		p.Fatalf("a batch of the new topic with the bounds of one of the old: %v", err)
	}
	if n, want := len(p.read()), 2*rowsIn(c); n != want {
		p.Fatalf("%d rows are there after the same bounds of two incarnations, want %d", n, want)
	}
	if _, f = p.mustClaim(s, slot(0, 1)); f.High[0] > 10 {
		p.Fatalf("High is %d after a batch up to 10", f.High[0])
	}
}

func rowsIn(c record.Cut) (n int) {
	for i, r := range c.Ranges {
		for o := r.First; o < r.Next; o++ {
			if a := (at{c.Partition + int32(i), o}); hasRow(a) && !c.IsDead(a.partition, o) {
				n++
			}
		}
	}
	return n
}

// wideSlot: partitions that are owned together, one of them idle for a while.
func wideSlot(b *bench) {
	p := b.place(standard(b.target.Spec))
	s := p.mustOpen()
	w, f := p.mustClaim(s, slot(3, 3))
	p.wantNew("the first claim", f)
	for _, c := range []record.Cut{cutOf(3, 5, 6, 0, 0, 2, 9), cutOf(3, 6, 6, 0, 4, 9, 9), cutOf(3, 6, 6, 4, 8, 9, 9), cutOf(3, 6, 6, 8, 8, 9, 12), cutOf(3, 6, 100, 8, 50, 12, 13), cutOf(3, 100, 101, 50, 51, 13, 14)} {
		token := w.mustRepeat(c, "")
		p.check("after " + c.String())
		w.close()
		if w, f = p.mustClaim(s, slot(3, 3)); b.target.Spec.Delivery != sink.AtLeastOnce {
			w.mustRepeat(c, token)
			p.check("after " + c.String() + " once more")
			w.close()
			w, f = p.mustClaim(s, slot(3, 3))
		}
		p.wantHigh("after "+c.String(), f, nexts(c)...)
	}
}

// twoSlots: two writers of one sink at once, as core runs them.
func twoSlots(b *bench) {
	p := b.place(narrow(b.target.Spec))
	s := p.mustOpen()
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		w, _ := p.mustClaim(s, slot(int32(2*i), 2))
		wg.Go(func() {
			first := int64(0)
			for n := range int64(12) {
				c := cutOf(int32(2*i), first, first+50*n, first, first+20)
				first += 50 * n
				c.Ranges[1] = record.Range{First: 20 * n, Next: 20*n + 20}
				err := w.fill(p.Context(), c)
				if err == nil {
					err = w.put(p.Context(), c)
				}
				if err != nil {
					errs[i] = fmt.Errorf("%s: %w", c, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		p.Fatalf("two slots at once: %v", err)
	}
	p.check("after two slots at once")
}

// twoSinks: two sinks of the configuration on one destination know nothing of
// each other.
func twoSinks(b *bench) {
	p := b.place(standard(b.target.Spec))
	w, _ := p.mustClaim(p.mustOpen(), slot(0, 1))
	w.mustWrite(cutOf(0, 0, 50))
	p.config.Name = "another"
	v, f := p.mustClaim(p.mustOpen(), slot(0, 1))
	p.wantNew("a sink of another name", f)
	v.mustWrite(cutOf(0, 50, 80)) // other records, so that they can be told apart
	p.config.Name = "conformance"
	_, f = p.mustClaim(p.mustOpen(), slot(0, 1))
	p.wantHigh("after a batch of another sink", f, 50)
	p.check("after batches of two sinks")
}

// manyRows: 200,000 in one batch.
func manyRows(b *bench) {
	p := b.place(narrow(b.target.Spec))
	w, _ := p.mustClaim(p.mustOpen(), slot(0, 1))
	w.mustWrite(cutOf(0, 0, 225_000)) // of which 200,000 have rows
	w.mustWrite(cutOf(0, 225_000, 225_003))
	p.check("after a batch of 200,000 rows and a small one")
}

// hugeValue: one value of 16 MiB is written, or refused by its offset.
func hugeValue(b *bench) {
	t := record.Type{Kind: record.String}
	if !slices.Contains(b.target.Spec.Kinds, t.Kind) {
		t.Kind = record.Bytes
	}
	if !slices.Contains(b.target.Spec.Kinds, t.Kind) {
		return // there are no long values
	}
	var huge any = strings.Repeat(`'\ü`, 4<<20)
	if t.Kind == record.Bytes {
		huge = []byte(huge.(string))
	}
	b.values(t, []sample{{value: huge}})
}

// mustFinish writes rows of its own making as one batch, and takes out what the
// sink refuses. It returns the offsets that were refused.
func (p *place) mustFinish(s sink.Sink, c record.Cut, add func(f *feed, c record.Cut)) (refused map[int64]string) {
	p.Helper()
	refused = map[int64]string{}
	for range record.MaxDead + 1 {
		w, _ := p.mustClaim(s, slot(c.Partition, len(c.Ranges)))
		err := p.tryFinish(p.Context(), w, c, add)
		if err == nil {
			return refused
		}
		var rows *sink.RowsError
		if !errors.As(err, &rows) {
			p.Fatalf("%s: %v", c, err)
		}
		w.close()
		p.takeOut(rows, &c, refused)
	}
	p.Fatalf("%s: each time other rows are refused: %d so far", c, len(refused))
	return nil
}

func (p *place) tryFinish(ctx context.Context, w *writer, c record.Cut, add func(*feed, record.Cut)) error {
	w.feed.begin(c.Partition, c.Ranges[0].First, c.Ranges[0].Next)
	add(w.feed, c)
	if w.feed.chunk.Rows() > 0 {
		if err := w.append(ctx, w.feed.chunk); err != nil {
			return err
		}
	}
	return w.put(ctx, c)
}

// takeOut puts what was refused into the dead set, as core does.
func (p *place) takeOut(rows *sink.RowsError, c *record.Cut, refused map[int64]string) {
	p.Helper()
	if !sink.IsRefused(rows) || len(rows.Rows) == 0 {
		p.Fatalf("an error names no rows: %v", rows)
	}
	for _, r := range rows.Rows {
		switch {
		case !c.Has(r.Partition, r.Offset):
			p.Fatalf("the refused row of partition %d, offset %d is not in %s", r.Partition, r.Offset, c)
		case c.IsDead(r.Partition, r.Offset):
			p.Fatalf("the row of offset %d is refused, and was not sent any more", r.Offset)
		case r.Reason == "":
			p.Errorf("the row of offset %d is refused without a reason", r.Offset)
		}
		refused[r.Offset] = r.Reason
		c.Dead = append(c.Dead, record.Dead{Partition: r.Partition, Offset: r.Offset})
	}
	slices.SortFunc(c.Dead, func(a, b record.Dead) int { return int(a.Offset - b.Offset) })
	c.Letters = len(c.Dead)
}
