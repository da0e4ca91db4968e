package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/source"
)

// renew goes on in the latest generation: what stays is looked at and goes on,
// what is lost is cut off, what is to be given up is settled, what is new is
// begun. It tries again until it is done, or it is time to join anew: then
// nothing is stored meanwhile.
func (h *holding) renew(ctx, run context.Context) (n sorting, ok bool) {
	n = h.sort()
	for attempt := 0; ; attempt++ {
		err := h.learn(ctx)
		if err == nil {
			err = h.confirm(ctx)
		}
		if err == nil {
			err = h.gain(ctx, run, &n)
		}
		if err == nil {
			h.counted.Slots.Set(int64(len(h.slots)))
			return n, true
		}
		if ctx.Err() != nil || run.Err() != nil {
			return n, false
		}
		h.log.Warn("reading the group's records, trying again", "error", err)
		t := time.NewTimer(min(100*time.Millisecond<<min(attempt, 6), 5*time.Second))
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-run.Done():
		case <-h.gen.Rebalance():
		}
		t.Stop()
		if ctx.Err() != nil || isClosed(h.gen.Rebalance()) {
			return n, false
		}
	}
}

// begin is renew for a generation that has just come.
func (h *holding) begin(ctx, run context.Context) {
	n, ok := h.renew(ctx, run)
	h.counted.Rebalances.Add(1)
	h.counted.Kept.Add(n.kept)
	h.counted.Gained.Add(n.gained)
	h.counted.Lost.Add(n.lost + n.settle)
	if !ok {
		return // the next one is on its way
	}
	h.tellTopics()
	h.tellStrangers()
	h.log.Info("carrying", "generation", h.gen.ID(), "slots", len(h.gen.Slots()), "kept", n.kept, "gained", n.gained, "lost", n.lost,
		"to_settle", n.settle, "sinks", len(h.o.Sinks))
}

// sorting counts what a generation means for the slots of this member.
type sorting struct{ kept, gained, settle, lost int }

// sort says of all that runs whether it may go on in the latest generation.
func (h *holding) sort() (n sorting) {
	mine, settle := map[ledger.Slot]bool{}, map[ledger.Slot]bool{}
	for _, at := range h.gen.Slots() {
		mine[ledger.Slot(at)] = true
	}
	for _, at := range h.gen.Settle() {
		settle[ledger.Slot(at)] = true
	}
	layouts := h.layoutsOf()
	for at, s := range h.slots {
		switch {
		case mine[at]:
			n.kept++
			if first, next := layouts[at.Topic].Range(at.Index); first != s.first || next != s.first+s.partitions {
				s.leave() // and is begun anew in its new shape
			}
		case settle[at]:
			if !isClosed(s.revoke) {
				n.settle++
			}
			s.leave()
		default:
			if !isClosed(s.revoke) {
				n.lost++
			}
			s.cut()
			continue
		}
		s.gap = s.gap || h.gen.ID() > s.seen+1
		s.seen = h.gen.ID()
	}
	return n
}

func (h *holding) layoutsOf() map[string]source.Layout {
	layouts := map[string]source.Layout{}
	for _, l := range h.gen.Layouts() {
		layouts[l.Topic] = l
	}
	return layouts
}

// learn reads what the cluster and the group say of the topics.
func (h *holding) learn(ctx context.Context) error {
	d, err := h.origin.Describe(ctx, h.o.Topics...)
	if err != nil {
		return err
	}
	layouts := h.layoutsOf()
	topics, epochs := map[string]*heldTopic{}, map[string][]int32{}
	for _, name := range h.o.Topics {
		t, err := topicOf(d, name)
		if err != nil {
			return err
		}
		incarnation := d.Incarnation(name)
		k, err := h.records(ctx, name, incarnation, int32(len(t.Partitions)))
		if err != nil {
			return err
		}
		ht := h.topics[name]
		if ht == nil || ht.incarnation != incarnation || ht.layout != layouts[name] {
			ht = &heldTopic{id: t.ID, incarnation: incarnation, layout: layouts[name]}
		}
		ht.known = k
		ht.prefix.Store(k.prefix)
		for _, part := range t.Partitions {
			epochs[name] = append(epochs[name], part.LeaderEpoch)
		}
		topics[name] = ht
	}
	for at, s := range h.slots {
		if t := topics[at.Topic]; t == nil || t.incarnation != s.incarnation {
			s.leave()
		} else {
			s.topic.Store(t)
		}
	}
	h.topics = topics
	h.epochs.Store(&epochs)
	return nil
}

// confirm lets what is kept go on in the latest generation, if the group holds
// what the ledger's writer remembers. What somebody else has written to is lost,
// whoever has it now.
func (h *holding) confirm(ctx context.Context) error {
	var keep []ledger.Kept
	for at, s := range h.slots {
		if !s.lost {
			keep = append(keep, ledger.Kept{Slot: at, Gap: s.gap})
		}
	}
	changed, err := h.writer.Renew(ctx, h.group(h.gen), keep)
	if err != nil {
		return err
	}
	for _, at := range changed {
		h.log.Info("the record of a slot was written by another member, or may have been repeated: beginning it anew", "slot", at)
		h.slots[at].cut()
	}
	for _, s := range h.slots {
		s.gap = false
	}
	h.proof.advance(h.gen)
	return nil
}

// gain begins the slots of the latest generation in which nothing runs.
func (h *holding) gain(ctx, run context.Context, n *sorting) error {
	var slots []*heldSlot
	var want []ledger.SlotLayout
	for _, at := range h.gen.Slots() {
		slot := ledger.Slot(at)
		if h.slots[slot] != nil {
			continue
		}
		t := h.topics[at.Topic]
		if t == nil || t.layout.Width <= 0 {
			return fmt.Errorf("slot %s: the leader's assignment does not name its topic", slot)
		}
		first, next := t.layout.Range(at.Index)
		if next <= first {
			continue
		}
		h.writer.Forget(slot) // what a lane of before has left
		want = append(want, ledger.SlotLayout{Slot: slot, First: first, Partitions: next - first})
		slots = append(slots, newSlot(slot, first, next-first, t, h.gen.ID()))
	}
	if err := h.writer.Load(ctx, want); err != nil {
		return err
	}
	for _, s := range slots {
		h.judge(s)
		if err := h.grow(ctx, s); err != nil {
			return err
		}
	}
	for _, s := range slots {
		h.slots[s.slot] = s
		n.gained++
	}
	for _, s := range slots {
		h.start(run, s)
	}
	return nil
}
