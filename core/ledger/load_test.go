package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/ledger/ledgertest"
)

func wantPartly(t *testing.T, r *running, slot int32, message string) {
	t.Helper()
	s := r.State(at(slot))
	if s.Presence != ledger.Partly || !strings.Contains(s.Message, message) {
		t.Errorf("slot %d is %+v, want partly: %s", slot, s, message)
	}
	wantRefused(t, r.put(slot, entry("a", make([]int64, 4)...)))
	wantRefused(t, r.Create(t.Context(), at(slot), header(8, 4), nil))
}

func TestWhatOtherProgramsDoIsSeen(t *testing.T) {
	stored := func(c *ledgertest.Coordinator, p int32) ledger.Stored {
		s, _ := c.Stored("events", p)
		return s
	}
	for name, x := range map[string]struct {
		do   func(*ledgertest.Coordinator, map[int32]ledger.Stored)
		want string
	}{
		"offset reset, no metadata, at home": {func(c *ledgertest.Coordinator, _ map[int32]ledger.Stored) {
			c.Set("events", ledger.Stored{Partition: 0, Offset: 3})
		}, "partition 0 has offset 3 and no record"},
		"offset reset, no metadata, elsewhere": {func(c *ledgertest.Coordinator, _ map[int32]ledger.Stored) {
			c.Set("events", ledger.Stored{Partition: 2, Offset: 0})
		}, "partition 2 has offset 0 and no record"},
		"offset reset, metadata kept": {func(c *ledgertest.Coordinator, _ map[int32]ledger.Stored) {
			s := stored(c, 3)
			s.Offset = 1
			c.Set("events", s)
		}, "partition 3 has offset 1 where its record says 40"},
		"expired": {func(c *ledgertest.Coordinator, _ map[int32]ledger.Stored) { c.Delete("events", 1) }, "partition 1 has lost its record"},
		"foreign metadata": {func(c *ledgertest.Coordinator, _ map[int32]ledger.Stored) {
			c.Set("events", ledger.Stored{Partition: 1, Offset: 20, Metadata: "worker-7"})
		}, "metadata of events[1] is not a record: it was written by another program"},
		"another partition's": {func(c *ledgertest.Coordinator, _ map[int32]ledger.Stored) {
			s := stored(c, 1)
			s.Partition = 2
			c.Set("events", s)
		}, "events[2] is not a record"},
		"an old one put back": {func(c *ledgertest.Coordinator, old map[int32]ledger.Stored) { c.Set("events", old[2]) }, "partition 2 holds an old record"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c ledgertest.Coordinator
				r := begin(t, &c, ledger.Options{}, 8, 4)
				r.must(r.put(1, entry("a", 1, 2, 3, 4)))
				r.must(r.put(0, entry("a", 1, 2, 3, 40)))
				old := map[int32]ledger.Stored{2: stored(&c, 2)}
				r.must(r.put(0, pending("a", 1, 2, 3, 40)))
				r.must(r.put(0, entry("a", 10, 20, 30, 40)))
				r.stop()
				x.do(&c, old)
				n := join(t, &c, ledger.Options{}, layouts(8, 4))
				wantPartly(t, n, 0, x.want)
				n.wantEntry(1, entry("a", 1, 2, 3, 4)) // the other slot is as it was
				n.must(n.put(1, entry("a", 5, 5, 5, 5)))
			})
		})
	}
}

func TestMissingRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		c.Set("events", ledger.Stored{Partition: 1, Offset: 77})
		r := join(t, &c, ledger.Options{}, layouts(4, 2))
		if s := r.State(at(0)); s.Presence != ledger.Missing || !strings.Contains(s.Message, "partition 1 has offset 77") {
			t.Errorf("%+v", s)
		}
		if s := r.State(at(1)); s != (ledger.State{}) {
			t.Errorf("%+v", s)
		}
		wantRefused(t, r.put(0, entry("a", 1, 1)))
		if err := r.Create(t.Context(), at(0), ledger.Header{Width: 2, Partitions: 4}, nil); err == nil {
			t.Error("created without an incarnation")
		}
		wantRefused(t, r.Create(t.Context(), at(0), header(4, 1), nil)) // narrower than the slot
		r.must(r.Create(t.Context(), at(0), header(4, 2), []ledger.Entry{entry("a", 0, 77), entry("b", 5, 5)}))
		r.must(r.put(0, pending("b", 5, 5)))
		n := r.next(layouts(4, 2))
		n.wantEntry(0, entry("a", 0, 77))
		n.wantEntry(0, pending("b", 5, 5))
		if s := n.State(at(1)); s.Presence != ledger.Missing {
			t.Errorf("%+v", s)
		}
	})
}

func TestEntriesOfUnknownSinksAreCarriedAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 2, 2)
		theirs := pending("theirs", 3, 4)
		theirs.Plan, theirs.Incarnation = [8]byte{9}, "old/one"
		r.must(r.put(0, theirs))
		r.must(r.put(0, entry("ours", 1, 1)))
		for range 3 {
			r = r.next(layouts(2, 2))
			for i := range int64(20) {
				r.must(r.put(0, entry("ours", i, i)))
			}
		}
		n := r.next(layouts(2, 2))
		got, _ := n.Entry(at(0), theirs.Sink)
		if fmt.Sprint(got.Incarnation, got.Plan, got.Position, *got.Pending) != fmt.Sprint("old/one", theirs.Plan, theirs.Position, *theirs.Pending) {
			t.Errorf("carried as %+v %+v", got, got.Pending)
		}
	})
}

// Homes are chosen so that entries at their largest fit, and never change.
func TestEntriesKeepTheirHomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 4, 4)
		homes := func() (all string) {
			for p := range int32(4) {
				s, _ := c.Stored("events", p)
				x, err := ledger.Decode("events", p, s.Metadata)
				r.must(err)
				for _, e := range x.Entries {
					all += fmt.Sprintf("%d:%s ", p, e.Sink)
				}
			}
			return all
		}
		sinks := 0
		for ; ledger.Check(sinks+1, 4) == nil; sinks++ {
			r.must(r.put(0, entry(fmt.Sprint(sinks), 1, 1, 1, 1)))
		}
		before := homes()
		if len(strings.Fields(before)) != sinks {
			t.Fatalf("%d sinks at %s", sinks, before)
		}
		last, _ := c.Stored("events", 3)
		if x, _ := ledger.Decode("events", 3, last.Metadata); len(x.Entries) == 0 {
			t.Error("the last partition is home to nothing though Check says the slot is full")
		}
		r = r.next(layouts(4, 4))
		for s := range sinks {
			r.must(r.put(0, pending(fmt.Sprint(s), 1000, 1, 1, 1)))
		}
		if after := homes(); after != before {
			t.Errorf("homes moved from %s to %s", before, after)
		}
	})
}

func TestAGrownTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 3, 2) // slots [0,2) and [2,3)
		r.must(r.put(1, pending("a", 7)))
		r = r.next(layouts(4, 2))
		if s := r.State(at(1)); s.Presence != ledger.Present || s.Partitions != 3 {
			t.Fatalf("%+v", s)
		}
		e, _ := r.Entry(at(1), ledger.SinkID("a"))
		if fmt.Sprint(e.Position, e.Pending.Next) != "[7 -1] [17]" {
			t.Fatalf("position %v, pending until %v", e.Position, e.Pending.Next)
		}
		// The repeat of the pending cut still covers one partition.
		e.Pending.Token = "again"
		r.must(r.put(1, e))
		// Kafka does not know the new partition yet: the number stays.
		r.always(ledgertest.Partial)
		wantEnded(t, r.Create(t.Context(), at(1), header(4, 2), nil))
	})
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 3, 2)
		r.must(r.put(1, entry("a", 7)))
		r = r.next(layouts(4, 2))
		r.always(ledgertest.Partial)
		wantEnded(t, r.Create(t.Context(), at(1), header(4, 2), nil))
		r = r.next(layouts(4, 2))
		if s := r.State(at(1)); s.Presence != ledger.Present || s.Partitions != 3 {
			t.Fatalf("a partition that never had a record counts as lost: %+v", s)
		}
		r.must(r.Create(t.Context(), at(1), header(4, 2), []ledger.Entry{entry("a", 7, 0)}))
		if s := r.State(at(1)); s.Partitions != 4 {
			t.Errorf("%+v", s)
		}
		r.must(r.Flush(t.Context()))
		r = r.next(layouts(4, 2))
		if s := r.State(at(1)); s.Partitions != 4 {
			t.Errorf("%+v", s)
		}
		r.wantEntry(1, entry("a", 7, 0))
		r.stop()
		c.Delete("events", 3)
		wantPartlyLost := join(t, &c, ledger.Options{}, layouts(4, 2)).State(at(1))
		if wantPartlyLost.Presence != ledger.Partly {
			t.Errorf("%+v", wantPartlyLost)
		}
	})
}

func TestAnotherLayoutOrIncarnation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 4, 2)
		r.must(r.put(0, entry("a", 1, 1)))
		wantRefused(t, r.Create(t.Context(), at(0), header(4, 4), nil))
		r = r.next(layouts(4, 4)) // slots: was changed
		if s := r.State(at(0)); s.Presence != ledger.Partly || s.Width != 2 {
			t.Errorf("%+v", s)
		}
		r = r.next(layouts(4, 2))
		again := header(4, 2)
		again.Incarnation = "new/one"
		fresh := entry("b", 0, 0)
		r.must(r.Create(t.Context(), at(0), again, []ledger.Entry{fresh}))
		r = r.next(layouts(4, 2))
		a, _ := r.Entry(at(0), ledger.SinkID("a"))
		b, _ := r.Entry(at(0), ledger.SinkID("b"))
		if s := r.State(at(0)); s.Incarnation != "new/one" || a.Incarnation != incarnation || b.Incarnation != "new/one" {
			t.Errorf("record of %s, entries of %s and %s", s.Incarnation, a.Incarnation, b.Incarnation)
		}
	})
}

// broken is a group whose Fetch can be other than it should be.
type broken struct {
	*ledgertest.Member
	short, whole bool
	calls        int
}

func (b *broken) Fetch(ctx context.Context, topic string, partitions []int32) ([]ledger.Stored, error) {
	b.calls++
	if b.whole {
		return b.Member.Fetch(ctx, topic, partitions)
	}
	if b.short {
		return b.Member.Fetch(ctx, topic, partitions[1:])
	}
	return nil, errors.New("coordinator is loading")
}

func TestLoad(t *testing.T) {
	var c ledgertest.Coordinator
	b := &broken{Member: c.Join()}
	w := ledger.NewWriter(b, ledger.Options{})
	if err := w.Load(t.Context(), layouts(2, 1)); err == nil || !strings.Contains(err.Error(), "topic events: coordinator is loading") {
		t.Error(err)
	}
	b.short = true
	if err := w.Load(t.Context(), layouts(2, 1)); err == nil || !strings.Contains(err.Error(), "partition 0 is not in the answer") {
		t.Error(err)
	}
	for _, l := range []ledger.SlotLayout{{Slot: at(0), Partitions: 0}, {Slot: at(0), First: -1, Partitions: 1}, {Slot: at(0), Partitions: ledger.MaxWidth + 1}} {
		if w.Load(t.Context(), []ledger.SlotLayout{l}) == nil {
			t.Errorf("%+v was loaded", l)
		}
	}
	b = &broken{Member: c.Join(), whole: true}
	w = ledger.NewWriter(b, ledger.Options{})
	for range 3 {
		if err := w.Load(t.Context(), layouts(2, 1)); err != nil || b.calls != 1 {
			t.Errorf("%v, fetched %d times", err, b.calls)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 1, 1)
		r.must(r.put(0, entry("a", 5)))
		c.Set("events", ledger.Stored{Partition: 0, Offset: 1})
		r.must(r.Load(t.Context(), layouts(2, 1))) // slot 0 is not fetched again
		r.wantEntry(0, entry("a", 5))
		if s := r.State(at(1)); s.Presence != ledger.Missing {
			t.Errorf("%+v", s)
		}
		r.must(r.Create(t.Context(), at(1), header(2, 1), nil))
		time.Sleep(2 * time.Second)
	})
}
