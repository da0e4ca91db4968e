package ledger_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/ledger/ledgertest"
)

// always answers every commit from now on with one fault.
func (r *running) always(f ledgertest.Fault) {
	r.member.Decide(func([]ledger.Commit) ledgertest.Fault { return f })
}

func TestAnUnansweredCommitEndsTheMembership(t *testing.T) {
	for name, fault := range map[string]ledgertest.Fault{"stored": ledgertest.Lost, "dropped": ledgertest.Dropped, "late": ledgertest.Delayed} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c ledgertest.Coordinator
				r := begin(t, &c, ledger.Options{}, 4, 1)
				r.must(r.put(0, entry("a", 5)))
				before := r.member.Commits()
				r.member.Decide(func([]ledger.Commit) ledgertest.Fault {
					time.Sleep(time.Second)
					return fault
				})
				var all sync.WaitGroup
				for p := range int32(4) { // the others wait behind the first
					all.Go(func() { wantEnded(t, r.put(p, pending("a", 5))) })
					time.Sleep(time.Millisecond)
				}
				r.Note(at(3), entry("b", 1))
				all.Wait()
				wantEnded(t, r.put(1, entry("a", 6)))
				wantEnded(t, r.Create(t.Context(), at(1), header(4, 1), nil))
				wantEnded(t, r.Flush(t.Context()))
				r.Note(at(2), entry("a", 7))
				time.Sleep(time.Minute)
				wantEnded(t, r.stop())
				if n := r.member.Commits() - before; n != 1 {
					t.Errorf("%d commits, want only the one without an answer", n)
				}
				if ends := r.member.Ended(); len(ends) != 1 || !strings.Contains(ends[0].Error(), "no answer") {
					t.Errorf("ended %v", ends)
				}
				n := join(t, &c, ledger.Options{}, layouts(4, 1))
				if applied := c.Deliver(); applied != 0 {
					t.Errorf("%d late commits overwrote what the next membership has read", applied)
				}
				want := entry("a", 5)
				if fault == ledgertest.Lost {
					want = pending("a", 5)
				}
				n.wantEntry(0, want)
				n.must(n.put(0, entry("a", 20)))
			})
		})
	}
}

func TestACommitThatTakesTooLongIsUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{Timeout: 3 * time.Second}, 1, 1)
		r.member.Decide(func([]ledger.Commit) ledgertest.Fault {
			time.Sleep(4 * time.Second)
			return ledgertest.None
		})
		err := r.put(0, entry("a", 5))
		wantEnded(t, err)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestStoppingDuringACommitEndsTheMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 1, 1)
		r.member.Decide(func([]ledger.Commit) ledgertest.Fault {
			time.Sleep(time.Second)
			return ledgertest.None
		})
		go r.stop()
		wantEnded(t, r.put(0, entry("a", 5)))
		r.stop()
		if len(r.member.Ended()) > 1 {
			t.Error("ended twice")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 1, 1)
		r.Note(at(0), entry("a", 5))
		if err := r.stop(); err != nil || len(r.member.Ended()) != 0 {
			t.Errorf("stopped between commits: %v, ended %v", err, r.member.Ended())
		}
		before := r.member.Commits()
		wantEnded(t, r.put(0, entry("a", 5)))
		time.Sleep(time.Minute)
		if r.member.Commits() != before {
			t.Error("something was sent after Run")
		}
	})
}

func TestAReplacedMemberIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 1, 1)
		n := join(t, &c, ledger.Options{}, layouts(1, 1))
		n.must(n.put(0, entry("a", 7)))
		err := r.put(0, entry("a", 5))
		wantEnded(t, err)
		if !strings.Contains(err.Error(), "illegal generation") {
			t.Error(err)
		}
		n.next(layouts(1, 1)).wantEntry(0, entry("a", 7))
	})
}

func TestARefusedCommitFailsItsPutsAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 2, 1)
		r.must(r.put(0, entry("a", 5)))
		r.always(ledgertest.Refuse)
		r.Note(at(1), entry("b", 1))
		wantRefused(t, r.put(0, pending("a", 5)))
		r.wantEntry(0, entry("a", 5))
		r.wantEntry(1, entry("b", 1))
		if len(r.member.Ended()) != 0 {
			t.Fatal("the membership has ended")
		}
		before := r.member.Commits()
		time.Sleep(10*time.Second + time.Millisecond)
		if n := r.member.Commits() - before; n != 10 {
			t.Errorf("the note was tried %d times in 10 s", n)
		}
		r.always(ledgertest.None)
		r.must(r.put(0, pending("a", 5)))
		n := r.next(layouts(2, 1))
		n.wantEntry(0, pending("a", 5))
		n.wantEntry(1, entry("b", 1))
	})
}

// What an unsure answer may have stored is overwritten by what memory says,
// even if nobody puts anything any more.
func TestAnUnsureCommitIsOverwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 2, 1)
		r.must(r.put(0, entry("a", 5)))
		r.always(ledgertest.Unsure)
		wantRefused(t, r.put(0, pending("a", 5)))
		r.wantEntry(0, entry("a", 5))
		if len(r.member.Ended()) != 0 {
			t.Fatal("the membership has ended")
		}
		// A crash here shows what was stored: a cut that nobody has committed.
		join(t, &c, ledger.Options{}, layouts(2, 1)).wantEntry(0, pending("a", 5))
	})
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 1, 1)
		r.must(r.put(0, entry("a", 5)))
		r.always(ledgertest.Unsure)
		wantRefused(t, r.put(0, pending("a", 5)))
		r.always(ledgertest.None)
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		r.next(layouts(1, 1)).wantEntry(0, entry("a", 5))
	})
}

func TestAPartitionErrorIsJudgedBySlot(t *testing.T) {
	// The last partition of a request is refused alone.
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 2, 1)
		r.always(ledgertest.Partial)
		r.Note(at(0), entry("a", 1))
		r.Note(at(1), entry("a", 1))
		err := r.Flush(t.Context()) // slot 0 is wholly stored, slot 1 wholly not
		wantRefused(t, err)
		if len(r.member.Ended()) != 0 {
			t.Fatal("ended, though all that is stored is known")
		}
		if s, _ := c.Stored("events", 0); s.Offset != 1 {
			t.Error("the other slot was not stored")
		}
		r.always(ledgertest.None)
		r.must(r.Flush(t.Context()))
		n := r.next(layouts(2, 1))
		n.wantEntry(0, entry("a", 1))
		n.wantEntry(1, entry("a", 1))
	})
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 2, 2)
		r.must(r.put(0, entry("a", 1, 1)))
		r.always(ledgertest.Partial)
		wantEnded(t, r.put(0, entry("a", 2, 2))) // half a slot
		if len(r.member.Ended()) != 1 {
			t.Fatal("not ended")
		}
		// The entry is whole, and its slot's other partition one write behind.
		n := join(t, &c, ledger.Options{}, layouts(2, 2))
		if s := n.State(at(0)); s.Presence != ledger.Present {
			t.Fatalf("%+v", s)
		}
		n.wantEntry(0, entry("a", 2, 2))
		n.must(n.put(0, entry("a", 3, 3)))
		n.next(layouts(2, 2)).wantEntry(0, entry("a", 3, 3))
	})
}
