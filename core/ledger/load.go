package ledger

import (
	"context"
	"fmt"
	"slices"
)

// SlotLayout is where a slot lies in its topic.
type SlotLayout struct {
	Slot       Slot
	First      int32 // its first partition
	Partitions int32 // how many it has, at least 1
}

// Presence is how much of a slot's record was found.
type Presence uint8

// What Load found.
const (
	Missing Presence = iota // no record on any partition
	Partly                  // a partition was reset, lost or written by something else
	Present                 // all of it
)

// State is what Load found of a slot's record, and what was created since.
type State struct {
	Presence    Presence
	Message     string // Partly: what is wrong, and where; Missing: an offset without a record, if there is one
	Incarnation string
	Width       int32 // partitions per slot that the stream started with
	// Partitions of the topic that are known to have a record. A partition below
	// it without one has lost it; one at or above it is new. If it is lower than
	// what the topic has, Create raises it.
	Partitions int32
}

// State of a slot; Missing for one that is not loaded.
func (w *Writer) State(at Slot) State {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.slots[at]
	if s == nil {
		return State{}
	}
	return State{Presence: s.presence, Message: s.message, Incarnation: s.want.Incarnation, Width: s.want.Width, Partitions: s.want.Partitions}
}

// Others lists the sinks that a slot's record has an entry of, and that this
// member does not run.
func (w *Writer) Others(at Slot) []ID {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.slots[at]
	if s == nil {
		return nil
	}
	var out []ID
	for _, e := range s.entries {
		if !slices.Contains(w.options.Sinks, e.Sink) {
			out = append(out, e.Sink)
		}
	}
	return out
}

// Knows says whether some slot that is loaded has an entry of a sink.
func (w *Writer) Knows(id ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.slots {
		if slices.ContainsFunc(s.entries, func(e placed) bool { return e.Sink == id }) {
			return true
		}
	}
	return false
}

// Load fetches and parses the records of newly gained slots. Slots that are
// loaded already are left alone: their memory is newer than anything fetched.
// It must not be called before the SyncGroup answer of the membership.
func (w *Writer) Load(ctx context.Context, slots []SlotLayout) error {
	byTopic := map[string][]SlotLayout{}
	w.mu.Lock()
	for _, at := range slots {
		if w.slots[at.Slot] == nil {
			byTopic[at.Slot.Topic] = append(byTopic[at.Slot.Topic], at)
		}
	}
	w.mu.Unlock()
	for topic, layouts := range byTopic {
		if err := w.load(ctx, topic, layouts); err != nil {
			return fmt.Errorf("load records of topic %s: %w", topic, err)
		}
	}
	return nil
}

func (w *Writer) load(ctx context.Context, topic string, layouts []SlotLayout) error {
	var partitions []int32
	for _, at := range layouts {
		if at.First < 0 || at.Partitions < 1 || at.Partitions > MaxWidth {
			return fmt.Errorf("slot %s: %d partitions from %d", at.Slot, at.Partitions, at.First)
		}
		for i := range at.Partitions {
			partitions = append(partitions, at.First+i)
		}
	}
	w.mu.Lock()
	g := w.group
	w.mu.Unlock()
	stored, err := fetch(ctx, g, topic, partitions)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range layouts {
		if w.slots[at.Slot] == nil {
			w.slots[at.Slot] = read(at, stored)
		}
	}
	return nil
}

// fetch reads what some partitions hold.
func fetch(ctx context.Context, g Group, topic string, partitions []int32) (map[int32]Stored, error) {
	answer, err := g.Fetch(ctx, topic, partitions)
	if err != nil {
		return nil, err
	}
	stored := make(map[int32]Stored, len(answer))
	for _, p := range answer {
		stored[p.Partition] = p
	}
	for _, p := range partitions {
		if _, ok := stored[p]; !ok {
			return nil, fmt.Errorf("partition %d is not in the answer", p)
		}
	}
	return stored, nil
}

// read makes a slot's memory from what its partitions hold.
func read(at SlotLayout, stored map[int32]Stored) *slot {
	s := &slot{at: at, stored: make([]Stored, at.Partitions)}
	found := make([]*Record, at.Partitions)
	for i := range found {
		p := stored[at.First+int32(i)]
		s.stored[i] = Stored{Partition: at.First + int32(i), Offset: p.Offset, Metadata: p.Metadata}
		if p.Metadata == "" {
			s.bare = true
			if p.Offset >= 0 && s.message == "" {
				s.message = fmt.Sprintf("partition %d has offset %d and no record: another program committed it", p.Partition, p.Offset)
			}
			continue
		}
		r, err := Decode(at.Slot.Topic, p.Partition, p.Metadata)
		if err != nil {
			s.damaged(err.Error())
			continue
		}
		found[i] = &r
		if r.Offset != p.Offset {
			s.damaged(fmt.Sprintf("partition %d has offset %d where its record says %d: another program committed it", p.Partition, p.Offset, r.Offset))
		}
	}
	s.join(found)
	return s
}

// damaged notes the first thing that is wrong.
func (s *slot) damaged(message string) {
	if s.presence != Partly {
		s.presence, s.message = Partly, message
	}
}

// join makes one record of those of the partitions.
func (s *slot) join(found []*Record) {
	var newest *Record
	for _, r := range found {
		if r != nil && (newest == nil || r.Write > newest.Write) {
			newest = r
		}
	}
	if newest == nil {
		return // Missing, or Partly if all is foreign
	}
	s.header = Header{Incarnation: newest.Incarnation, Width: newest.Width, Partitions: newest.Partitions}
	s.want, s.write = s.header, newest.Write
	for i, r := range found {
		partition := s.at.First + int32(i)
		switch {
		case r == nil && partition < s.header.Partitions && s.message != "":
			s.damaged(s.message)
		case r == nil && partition < s.header.Partitions:
			s.damaged(fmt.Sprintf("partition %d has lost its record: it expired, or another program reset it", partition))
		case r == nil:
			// New, and the first write gives it one.
		case r.First != s.at.First || r.Count > s.at.Partitions:
			s.damaged(fmt.Sprintf("partition %d was recorded in a slot of %d partitions from %d, not of %d from %d", partition, r.Count, r.First, s.at.Partitions, s.at.First))
		case r.Write+1 < newest.Write:
			// One behind is what a partition keeps that Kafka refused alone, and as
			// good as the newest; the others were written by the same requests.
			s.damaged(fmt.Sprintf("partition %d holds an old record, put back by another program", partition))
		default:
			s.take(r, i)
		}
	}
	if s.presence != Partly {
		s.presence, s.message = Present, ""
	}
}

// take adds the entries of one partition's record. Partitions that the slot has
// gained since have no position yet.
func (s *slot) take(r *Record, home int) {
	for _, e := range r.Entries {
		for _, o := range s.entries {
			if o.Sink == e.Sink {
				s.damaged(fmt.Sprintf("sink %s has entries on partitions %d and %d", e.Sink, int(s.at.First)+o.home, int(s.at.First)+home))
				return
			}
		}
		for len(e.Position) < int(s.at.Partitions) {
			e.Position = append(e.Position, -1)
		}
		s.entries = append(s.entries, placed{Entry: e, home: home})
	}
}
