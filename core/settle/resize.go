package settle

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/source"
)

// Resize rewrites all records for another number of slots per topic; 0: one
// partition each. Every sink must be settled in every slot.
func (v *View) Resize(ctx context.Context, slots int) (*Plan, error) {
	if err := v.unused(); err != nil {
		return nil, err
	}
	v.Look(ctx)
	p := v.plan()
	for i := range v.Topics {
		if err := p.resizeTopic(&v.Topics[i], slots); err != nil {
			return nil, fmt.Errorf("topic %s: %w", v.Topics[i].Name, err)
		}
	}
	if source.WidthOf(1<<20, slots) != source.WidthOf(1<<20, v.o.Slots) {
		p.note("the configuration says %s; change it to %d before the next start", saysSlots(v.o.Slots), slots)
	}
	return p, nil
}

func (p *Plan) resizeTopic(t *Topic, slots int) error {
	width := source.WidthOf(t.Partitions, slots)
	if width > ledger.MaxWidth {
		return fmt.Errorf("%d slots would have %d partitions each: at most %d", slots, width, ledger.MaxWidth)
	}
	if width == t.Width {
		p.note("topic %s has slots of %d partitions already", t.Name, width)
		return nil
	}
	sinks, err := p.v.settled(t)
	if err != nil {
		return err
	}
	if err := ledger.Check(len(sinks), width); err != nil {
		return err
	}
	h := ledger.Header{Incarnation: t.Incarnation, Width: width, Partitions: t.Partitions}
	for _, at := range layouts(t.layout(width)) {
		var entries []ledger.Entry
		for _, whole := range sinks {
			e := whole
			e.Wrote = t.wrote(at, e.Sink)
			e.Position = whole.Position[at.First : at.First+at.Partitions]
			entries = append(entries, e)
		}
		commits, err := ledger.Rewrite(at, h, p.v.above(t.Name), entries, p.v.running())
		if err != nil {
			return err
		}
		p.commits = append(p.commits, commits...)
	}
	p.line("topic %s: the records of %d slots of %d partitions are rewritten for slots of %d; no position changes", t.Name, len(t.Slots), t.Width, width)
	return nil
}

// settled is each sink's entry over all partitions of a topic, or what is in
// the way of there being one.
func (v *View) settled(t *Topic) ([]ledger.Entry, error) {
	var all []ledger.Entry
	at := map[ledger.ID]int{}
	for n, s := range t.Slots {
		switch {
		case s.State.Presence == ledger.Partly:
			return nil, fmt.Errorf("%s: its record is damaged (%s)", s.At.Slot, s.State.Message)
		case s.State.Presence == ledger.Missing:
			return nil, fmt.Errorf("%s has no record: run the stream once with the slots as they were", s.At.Slot)
		}
		for _, e := range s.Entries {
			name, _ := v.Name(e.Sink)
			if err := v.isSettled(s, &e, name); err != nil {
				return nil, err
			}
			i, known := at[e.Sink]
			if !known {
				i, at[e.Sink] = len(all), len(all)
				all = append(all, ledger.Entry{Sink: e.Sink, Incarnation: e.Incarnation, Plan: e.Plan})
			}
			if len(all[i].Position) != int(s.At.First) {
				return nil, fmt.Errorf("%s has no entry in every slot: run it once with the slots as they were, or --forget it", name)
			}
			if all[i].Plan != e.Plan {
				all[i].Plan = [8]byte{}
			}
			all[i].Renewed = all[i].Renewed || e.Renewed
			all[i].Position = append(all[i].Position, e.Position...)
		}
		for i := range all {
			if len(all[i].Position) != int(s.At.First+s.At.Partitions) {
				name, _ := v.Name(all[i].Sink)
				return nil, fmt.Errorf("%s has no entry in %s (slot %d): run it once with the slots as they were, or --forget it", name, s.At.Slot, n)
			}
		}
	}
	return all, nil
}

// wrote says whether a sink has written rows of a slot as it is to be: an Atomic
// destination has no position of one that was idle, and that is no loss.
func (t *Topic) wrote(at ledger.SlotLayout, id ledger.ID) bool {
	return slices.ContainsFunc(t.Slots, func(s *Slot) bool {
		e := s.Entry(id)
		return e != nil && e.Wrote && s.At.First < at.First+at.Partitions && at.First < s.At.First+s.At.Partitions
	})
}

func (v *View) isSettled(s *Slot, e *ledger.Entry, name string) error {
	if !s.Of(e) {
		return fmt.Errorf("%s: the entry of %s is of another incarnation of the topic", s.At.Slot, name)
	}
	if e.Pending != nil {
		return fmt.Errorf("%s: %s has a pending batch, %s: run it with the slots as they were until that is settled", s.At.Slot, name, s.pending(e))
	}
	for _, k := range v.o.Sinks {
		if k.ID != name || k.Delivery != sink.Atomic {
			continue
		}
		f := s.Found[k.ID]
		if f.Err != nil {
			return fmt.Errorf("%s: the destination of %s cannot be asked whether all is settled: %w", s.At.Slot, name, f.Err)
		}
		for i, r := range f.Last.Ranges {
			if f.Last.Letters > 0 && r.Next > e.Position[i] {
				return fmt.Errorf("%s: dead letters of the last batch of %s may not be written: run it with the slots as they were until they are", s.At.Slot, name)
			}
		}
	}
	return nil
}

// saysSlots is what a stream's YAML says of slots.
func saysSlots(n int) string {
	if n == 0 {
		return "no slots:, which is one per partition"
	}
	return fmt.Sprintf("slots: %d", n)
}
