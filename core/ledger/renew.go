package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Kept is a slot that this member still has in another generation.
type Kept struct {
	Slot Slot
	// Gap: a generation was missed, in which another member may have had the
	// slot. It left the record as it is, but it may have repeated a pending cut,
	// so nobody here knows any more what became of that.
	Gap bool
}

// errElsewhere ends what is under way in a slot that this member has no more.
var errElsewhere = errors.New("the slot is with another member, or was")

// Renew goes on in another generation of the same membership, after its
// SyncGroup answer: nothing is sent before it has returned, and nothing in the
// old one after it was called. Slots that are not kept are forgotten, and what
// waits there gets an *EndedError; Load reads them again if they come back.
//
// A kept slot goes on only if the group holds, byte for byte, what memory says:
// then nobody has written it since. All others are forgotten too, and are the
// answer. On an error nothing has changed but that nothing is sent.
func (w *Writer) Renew(ctx context.Context, g Group, keep []Kept) (changed []Slot, err error) {
	w.sending.Lock()
	defer w.sending.Unlock()
	w.mu.Lock()
	w.held = true
	byTopic := map[string][]int32{}
	for _, k := range keep {
		if s := w.slots[k.Slot]; s != nil {
			for i := range s.at.Partitions {
				byTopic[k.Slot.Topic] = append(byTopic[k.Slot.Topic], s.at.First+i)
			}
		}
	}
	w.mu.Unlock()
	stored := map[string]map[int32]Stored{}
	for topic, partitions := range byTopic {
		if stored[topic], err = fetch(ctx, g, topic, partitions); err != nil {
			return nil, fmt.Errorf("compare the records of topic %s: %w", topic, err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for at, s := range w.slots {
		i := slices.IndexFunc(keep, func(k Kept) bool { return k.Slot == at })
		switch {
		case i < 0:
			w.forget(s)
		case !s.holds(stored[at.Topic]) || keep[i].Gap && s.pending():
			changed = append(changed, at)
			w.forget(s)
		}
	}
	w.group, w.held = g, false
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return changed, nil
}

// Forget drops a slot that is given up.
func (w *Writer) Forget(at Slot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.slots[at]; s != nil {
		w.forget(s)
	}
}

// forget is Forget with w.mu held. What is on its way stays so; its answer
// finds nobody.
func (w *Writer) forget(s *slot) {
	delete(w.slots, s.at.Slot)
	for _, c := range s.changes {
		c.finish(&EndedError{Reason: errElsewhere})
	}
	s.changes, s.gone = nil, true
	w.sweep()
}

// holds says whether the partitions hold what memory says.
func (s *slot) holds(stored map[int32]Stored) bool {
	for _, mine := range s.stored {
		p := stored[mine.Partition]
		if p.Offset != mine.Offset || p.Metadata != mine.Metadata {
			return false
		}
	}
	return true
}

// pending says whether some sink has a cut that may have been committed.
func (s *slot) pending() bool {
	return slices.ContainsFunc(s.entries, func(e placed) bool { return e.Pending != nil })
}
