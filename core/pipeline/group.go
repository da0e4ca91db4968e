package pipeline

import (
	"context"
	"errors"
	"slices"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/source"
)

// group is a generation as the ledger needs it.
type group struct {
	origin origin
	gen    generation
	name   string
}

func (h *holding) group(gen generation) *group {
	return &group{origin: h.origin, gen: gen, name: h.o.Group}
}

// Commit implements ledger.Group.
func (g *group) Commit(ctx context.Context, commits []ledger.Commit) error {
	out := make([]source.OffsetCommit, len(commits))
	for i, c := range commits {
		out[i] = source.OffsetCommit(c)
	}
	err := g.gen.Commit(ctx, out)
	var refused *source.RefusedError
	var unsure *source.UnsureError
	r := &ledger.Refused{Membership: isClosed(g.gen.Ended()), Err: err}
	var parts []source.PartitionCode
	switch {
	case errors.As(err, &refused):
		parts, r.Moved = refused.Partitions, refused.Moved
	case errors.As(err, &unsure):
		parts, r.Unsure = unsure.Partitions, true
	default:
		return err // nil, or no answer
	}
	for _, p := range parts {
		if p.Code == 0 {
			r.Stored = append(r.Stored, ledger.Place{Topic: p.Topic, Partition: p.Partition})
		}
	}
	return r
}

// Fetch implements ledger.Group.
func (g *group) Fetch(ctx context.Context, topic string, partitions []int32) ([]ledger.Stored, error) {
	stored, err := g.origin.FetchOffsets(ctx, g.name, map[string][]int32{topic: partitions})
	if err != nil {
		return nil, err
	}
	out := make([]ledger.Stored, len(stored))
	for i, s := range stored {
		out[i] = ledger.Stored{Partition: s.Partition, Offset: s.Offset, LeaderEpoch: s.LeaderEpoch, Metadata: s.Metadata}
	}
	return out, nil
}

// End implements ledger.Group.
func (g *group) End(reason error) { g.gen.End(reason) }

// book is the ledger for one sink in one slot. It implements lane.Book.
type book struct {
	holding *holding
	slot    *heldSlot
	sink    ledger.ID
}

// Put stores an entry; the first of a slot, or of a new incarnation, makes its
// record. A record is never made without an entry: an empty one would make every
// sink look new.
func (b *book) Put(ctx context.Context, e ledger.Entry) error {
	w := b.holding.writer
	b.slot.book.Lock()
	if st := w.State(b.slot.slot); st.Presence == ledger.Missing || st.Presence == ledger.Present && st.Incarnation != b.slot.incarnation {
		defer b.slot.book.Unlock()
		return w.Create(ctx, b.slot.slot, b.holding.header(b.slot), []ledger.Entry{e})
	}
	b.slot.book.Unlock()
	return w.Put(ctx, b.slot.slot, e)
}

// Note implements lane.Book. A lane that is cut off is about to learn so, and its
// slot may be forgotten.
func (b *book) Note(e ledger.Entry) {
	if !isClosed(b.slot.gone) {
		b.holding.writer.Note(b.slot.slot, e)
	}
}

// Known implements lane.Book. What this member knows by itself needs no question:
// while a stream starts, all its lanes ask.
func (b *book) Known(ctx context.Context) (bool, error) {
	h := b.holding
	if h.writer.Knows(b.sink) {
		return true, nil
	}
	d, err := h.origin.Describe(ctx, h.o.Topics...)
	if err != nil {
		return false, err
	}
	for _, topic := range h.o.Topics {
		stored, err := h.stored(ctx, topic, int32(len(d.Topics[topic].Partitions)))
		if err != nil {
			return false, err
		}
		for _, s := range stored {
			r, err := ledger.Decode(topic, s.Partition, s.Metadata)
			if err == nil && slices.ContainsFunc(r.Entries, func(e ledger.Entry) bool { return e.Sink == b.sink }) {
				return true, nil
			}
		}
	}
	return false, nil
}

var _ lane.Book = (*book)(nil)
