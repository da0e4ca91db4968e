package ledger

import "fmt"

// Inspected is a slot's record as it is stored, for a person who looks at it or
// mends it while nobody is in the group.
type Inspected struct {
	At      SlotLayout
	State   State
	Write   uint64  // of the newest of its partitions
	Entries []Entry // all that can be read, also of a damaged record
}

// Inspect reads a slot's record from what its partitions hold.
func Inspect(at SlotLayout, stored map[int32]Stored) Inspected {
	s := read(at, stored)
	out := Inspected{At: at, Write: s.write,
		State: State{Presence: s.presence, Message: s.message, Incarnation: s.header.Incarnation, Width: s.header.Width, Partitions: s.header.Partitions}}
	for _, p := range s.entries {
		out.Entries = append(out.Entries, p.clone())
	}
	return out
}

// Rewrite makes the commits that replace a slot's record by another one. write
// is above that of every text that the slot's partitions hold. running are the
// sinks whose lowest position is committed as the offset.
func Rewrite(at SlotLayout, h Header, write uint64, entries []Entry, running []ID) ([]Commit, error) {
	w := NewWriter(nil, Options{Sinks: running})
	r := &revision{slot: &slot{at: at}, want: h, write: write}
	for _, e := range entries {
		r.upsert(e.clone())
	}
	if err := w.encode(r); err != nil {
		return nil, err
	}
	return r.commits, nil
}

// CheckRequest refuses commits that one request cannot carry: stored by
// several, they would be of two minds if the second one failed.
func CheckRequest(commits []Commit) error {
	size := 0
	for _, c := range commits {
		size += len(c.Metadata) + len(c.Topic) + requestShare
	}
	if size > maxRequest {
		return fmt.Errorf("%d partitions at once do not fit one request to Kafka (%d of %d bytes)", len(commits), size, maxRequest)
	}
	return nil
}
