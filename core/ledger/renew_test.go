package ledger_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/ledger/ledgertest"
)

// kept are the first n slots, held without a gap.
func kept(n int32) (all []ledger.Kept) {
	for i := range n {
		all = append(all, ledger.Kept{Slot: at(i)})
	}
	return all
}

// renew goes on in the next generation.
func (r *running) renew(keep []ledger.Kept) (changed []ledger.Slot) {
	r.t.Helper()
	r.member = r.of.Join()
	changed, err := r.Renew(r.t.Context(), r.member, keep)
	r.must(err)
	return changed
}

// later puts an entry without waiting.
func (r *running) later(slot int32, e ledger.Entry) <-chan error {
	done := make(chan error, 1)
	go func() { done <- r.put(slot, e) }()
	return done
}

// What met the next generation on its way is sent in that, and nothing before.
func TestAWriteThatMetTheNextGenerationIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 4, 2)
		r.must(r.put(0, entry("a", 5, 5)))
		r.always(ledgertest.Moved)
		put := r.later(0, pending("a", 5, 5))
		r.Note(at(1), entry("b", 7, 7))
		ctx, cancel := context.WithCancel(t.Context())
		given := make(chan error, 1)
		go func() { given <- r.Put(ctx, at(1), pending("a", 1, 1)) }()
		synctest.Wait()
		before := r.member.Commits()
		time.Sleep(time.Minute)
		if n := r.member.Commits(); n != before || n == 0 {
			t.Fatalf("%d commits, and %d a minute later", before, n)
		}
		cancel()
		if err := <-given; !errors.Is(err, context.Canceled) {
			t.Fatalf("a wait that was given up ended with %v", err)
		}
		if changed := r.renew(kept(2)); len(changed) != 0 {
			t.Fatalf("changed: %v", changed)
		}
		r.must(<-put)
		r.must(r.Flush(t.Context()))
		n := r.next(layouts(4, 2))
		n.wantEntry(0, pending("a", 5, 5))
		n.wantEntry(1, entry("b", 7, 7))
	})
}

// A slot that somebody else has written to meanwhile is not gone on with,
// whoever is said to have it. The others are.
func TestASlotThatWasWrittenByAnotherIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 3, 1)
		for p := range int32(3) {
			r.must(r.put(p, entry("a", 5)))
		}
		r.always(ledgertest.Moved)
		lost, left, stays := r.later(0, pending("a", 5)), r.later(1, pending("a", 5)), r.later(2, pending("a", 5))
		synctest.Wait()

		other := join(t, &c, ledger.Options{}, layouts(1, 1))
		other.must(other.put(0, entry("a", 9)))
		other.stop()

		changed := r.renew([]ledger.Kept{{Slot: at(0)}, {Slot: at(2)}})
		if !slices.Equal(changed, []ledger.Slot{at(0)}) {
			t.Fatalf("changed: %v", changed)
		}
		wantEnded(t, <-lost)
		wantEnded(t, <-left) // which is not kept
		r.must(<-stays)
		wantRefused(t, r.put(0, entry("a", 6)))
		r.must(r.Load(t.Context(), layouts(1, 1)))
		r.wantEntry(0, entry("a", 9))
		r.must(r.put(0, entry("a", 10)))
		n := r.next(layouts(3, 1))
		n.wantEntry(0, entry("a", 10))
		n.wantEntry(1, entry("a", 5))
		n.wantEntry(2, pending("a", 5))
	})
}

// After a generation that was missed nobody knows what became of a pending cut.
func TestAPendingCutIsNotKeptOverAGap(t *testing.T) {
	var c ledgertest.Coordinator
	r := begin(t, &c, ledger.Options{}, 3, 1)
	r.must(r.put(0, pending("a", 5)))
	r.must(r.put(1, entry("a", 5)))
	r.must(r.put(2, pending("a", 5)))
	c.Join()
	changed := r.renew([]ledger.Kept{{Slot: at(0), Gap: true}, {Slot: at(1), Gap: true}, {Slot: at(2)}})
	if !slices.Equal(changed, []ledger.Slot{at(0)}) {
		t.Fatalf("changed: %v", changed)
	}
	r.must(r.put(1, entry("a", 6)))
	r.must(r.put(2, entry("a", 15)))
}
