package ledger

import (
	"slices"
	"time"
)

// slot is the memory of one slot: what is stored, and what is to be.
type slot struct {
	at       SlotLayout
	presence Presence
	message  string
	header   Header // as stored
	want     Header // as asked for: Partitions may be ahead, see revise
	write    uint64
	entries  []placed
	// stored is what the partitions hold, as it was read or last acknowledged.
	stored []Stored
	// bare: some partition has no text yet.
	bare    bool
	changes []*change // in the order they came
	gone    bool      // given up; what is still on its way changes nothing any more
}

// placed is an entry and the index of its home in the slot. What the entry
// points to is never changed, only replaced, so copies may share it.
type placed struct {
	Entry
	home int
}

// change is one request to alter a slot.
type change struct {
	slot    *slot
	header  *Header
	entries []Entry
	done    chan error // has room for the one answer; nil: a note, nobody waits
	due     time.Time  // of a note
	sent    bool
}

func (c *change) finish(err error) {
	if c.done == nil {
		return
	}
	select {
	case c.done <- err:
	default: // the slot was given up while it was on its way
	}
}

// due is how long the slot's changes can still wait.
func (s *slot) due(now time.Time) time.Duration {
	wait := time.Duration(1<<63 - 1)
	for _, c := range s.changes {
		if c.done != nil {
			return 0
		}
		wait = min(wait, c.due.Sub(now))
	}
	return wait
}

func (s *slot) remove(c *change) {
	if i := slices.Index(s.changes, c); i >= 0 {
		s.changes = slices.Delete(s.changes, i, i+1)
	}
}

// revision is a slot's next record, as one OffsetCommit carries it.
type revision struct {
	slot    *slot
	header  Header
	want    Header
	write   uint64
	entries []placed
	taken   []*change
	commits []Commit
	size    int
}

// revise makes a slot's next record from its changes. One that does not fit is
// told so, alone, and dropped.
func (w *Writer) revise(s *slot) *revision {
	r := &revision{slot: s, want: s.want, write: s.write + 1, entries: s.entries}
	for _, c := range slices.Clone(s.changes) {
		next := *r
		next.entries = slices.Clone(r.entries)
		if c.header != nil {
			next.want = *c.header
		}
		for _, e := range c.entries {
			next.upsert(e)
		}
		if err := w.encode(&next); err != nil {
			s.remove(c)
			if c.done == nil {
				w.options.Log.Error("position not stored", "slot", s.at.Slot, "error", err)
			}
			c.finish(err)
			continue
		}
		next.taken = append(next.taken, c)
		r = &next
	}
	return r
}

// upsert replaces a sink's entry where it lives, or finds a home for it: the
// first partition with room for all its entries at their largest, so that none
// is refused later because of its neighbours. If more sinks came than Check
// allows, the one with the fewest takes it.
func (r *revision) upsert(e Entry) {
	if e.Incarnation == "" {
		e.Incarnation = r.want.Incarnation
	}
	living := make([]int, r.slot.at.Partitions)
	for i := range r.entries {
		if r.entries[i].Sink == e.Sink {
			r.entries[i].Entry = e
			return
		}
		living[r.entries[i].home]++
	}
	home, room := -1, perPartition(len(living))
	for i, n := range living {
		if n < room {
			home = i
			break
		}
		if home < 0 || n < living[home] {
			home = i
		}
	}
	r.entries = append(r.entries, placed{Entry: e, home: home})
}

// encode makes the commits of all partitions of the slot.
//
// A partition below Header.Partitions without a text counts as lost. So the
// number is raised only once all partitions of the slot have one: if Kafka does
// not know a new partition yet it refuses that one and stores the others.
func (w *Writer) encode(r *revision) error {
	at := r.slot.at
	r.header = r.want
	if r.slot.bare {
		r.header.Partitions = min(r.want.Partitions, r.slot.header.Partitions)
	}
	r.commits, r.size = make([]Commit, at.Partitions), 0
	for i := range r.commits {
		record := Record{
			Incarnation: r.header.Incarnation, Width: r.header.Width, Partitions: r.header.Partitions,
			First: at.First, Count: at.Partitions, Write: r.write, Offset: w.lowest(r.entries, i),
		}
		for _, e := range r.entries {
			if e.home == i {
				record.Entries = append(record.Entries, e.Entry)
			}
		}
		partition := at.First + int32(i)
		text, err := Encode(at.Slot.Topic, partition, record)
		if err != nil {
			return &RefusedError{Slot: at.Slot, Err: err}
		}
		if len(text) > MaxText {
			return &TooLongError{Slot: at.Slot, Sinks: len(record.Entries), Characters: len(text), Limit: MaxText}
		}
		r.size += len(text) + len(at.Slot.Topic) + requestShare
		r.commits[i] = Commit{Topic: at.Slot.Topic, Partition: partition, Offset: record.Offset, LeaderEpoch: w.epoch(at.Slot.Topic, partition, record.Offset), Metadata: text}
	}
	if r.size > maxRequest {
		return &TooLongError{Slot: at.Slot, Sinks: len(r.entries), Characters: r.size, Limit: maxRequest}
	}
	return nil
}

// lowest is the offset to commit for the i-th partition of a slot.
func (w *Writer) lowest(entries []placed, i int) int64 {
	lowest := int64(-1)
	for _, e := range entries {
		v := e.Position[i]
		if v < 0 || w.options.Sinks != nil && !slices.Contains(w.options.Sinks, e.Sink) {
			continue
		}
		if lowest < 0 || v < lowest {
			lowest = v
		}
	}
	return lowest
}

func (w *Writer) epoch(topic string, partition int32, offset int64) int32 {
	if w.options.Epoch == nil || offset < 0 {
		return -1
	}
	return max(w.options.Epoch(topic, partition), -1)
}
