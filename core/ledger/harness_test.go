package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/ledger/ledgertest"
)

// layouts are the slots of topic events.
func layouts(partitions, width int32) (all []ledger.SlotLayout) {
	for first := int32(0); first < partitions; first += width {
		all = append(all, ledger.SlotLayout{Slot: at(first / width), First: first, Partitions: min(width, partitions-first)})
	}
	return all
}

func at(i int32) ledger.Slot { return ledger.Slot{Topic: "events", Index: i} }

func header(partitions, width int32) ledger.Header {
	return ledger.Header{Incarnation: incarnation, Width: width, Partitions: partitions}
}

func entry(sink string, position ...int64) ledger.Entry {
	return ledger.Entry{Sink: ledger.SinkID(sink), Position: position}
}

// pending is an entry with a cut of ten offsets in each partition.
func pending(sink string, position ...int64) ledger.Entry {
	e := entry(sink, position...)
	e.Pending = &ledger.Pending{Token: "t", Since: time.Unix(1_790_000_000, 0).UTC()}
	for _, v := range position {
		e.Pending.Next = append(e.Pending.Next, v+10)
	}
	return e
}

// running is a membership with its writer at work.
type running struct {
	*ledger.Writer
	t      *testing.T
	of     *ledgertest.Coordinator
	member *ledgertest.Member
	stop   func() error // ends Run and returns its error
}

// join makes a new membership, loads the slots, and runs the writer.
func join(t *testing.T, c *ledgertest.Coordinator, o ledger.Options, slots []ledger.SlotLayout) *running {
	t.Helper()
	r := &running{t: t, of: c, member: c.Join()}
	r.Writer = ledger.NewWriter(r.member, o)
	r.must(r.Load(t.Context(), slots))
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		err := <-ran
		if misused := r.member.Misused(); misused != nil {
			t.Error(misused)
		}
		return err
	})
	t.Cleanup(func() { r.stop() })
	return r
}

// begin joins and creates the records of all slots.
func begin(t *testing.T, c *ledgertest.Coordinator, o ledger.Options, partitions, width int32) *running {
	t.Helper()
	r := join(t, c, o, layouts(partitions, width))
	for _, l := range layouts(partitions, width) {
		if s := r.State(l.Slot); s.Presence != ledger.Missing {
			t.Fatalf("new slot is %+v", s)
		}
		r.must(r.Create(t.Context(), l.Slot, header(partitions, width), nil))
	}
	r.must(r.Flush(t.Context()))
	return r
}

func (r *running) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) put(slot int32, e ledger.Entry) error {
	return r.Put(r.t.Context(), at(slot), e)
}

// next ends the membership and begins another one, which sees what is stored.
func (r *running) next(slots []ledger.SlotLayout) *running {
	r.stop()
	return join(r.t, r.of, ledger.Options{}, slots)
}

func (r *running) wantEntry(slot int32, want ledger.Entry) {
	r.t.Helper()
	got, ok := r.Entry(at(slot), want.Sink)
	want.Incarnation = incarnation
	if !ok || fmt.Sprint(got.Position, got.Plan, got.Wrote, got.Incarnation) != fmt.Sprint(want.Position, want.Plan, want.Wrote, want.Incarnation) {
		r.t.Fatalf("slot %d holds %+v (%v), want %+v", slot, got, ok, want)
	}
	if (got.Pending == nil) != (want.Pending == nil) || got.Pending != nil && fmt.Sprint(*got.Pending) != fmt.Sprint(*want.Pending) {
		r.t.Fatalf("slot %d has pending %+v, want %+v", slot, got.Pending, want.Pending)
	}
}

func wantEnded(t *testing.T, err error) {
	t.Helper()
	var ended *ledger.EndedError
	if !errors.As(err, &ended) {
		t.Fatalf("got %v, want the end of the membership", err)
	}
}

func wantRefused(t *testing.T, err error) {
	t.Helper()
	var refused *ledger.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a refusal", err)
	}
}
