package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/sluicekit/sluice/core/record"
)

// Slot names a run of partitions of one topic that is owned as a whole.
type Slot struct {
	Topic string
	Index int32
}

// String is the slot as messages show it, such as events/3.
func (s Slot) String() string { return fmt.Sprintf("%s/%d", s.Topic, s.Index) }

// ID is a sink's identity in the ledger: a hash of sink@connection.
type ID [8]byte

// SinkID hashes sink@connection (sink.Config.ID).
func SinkID(name string) ID {
	sum := sha256.Sum256([]byte(name))
	return ID(sum[:8])
}

// String is the id in hexadecimal.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Entry is the state of one sink in one slot.
type Entry struct {
	Sink ID
	// Incarnation of the topic that Position counts in. Put and Create fill an
	// empty one with the record's.
	Incarnation string
	// Plan is the fingerprint of the plan that Pending was made under, or else
	// the last cut.
	Plan [8]byte
	// Wrote: the destination has had rows of this slot, so an empty one has lost
	// them.
	Wrote bool
	// Renewed: it was decided that the sink goes on in this incarnation, although
	// the destination has traces of others.
	Renewed bool
	// Position is the next offset per partition of the slot; -1: not known (the
	// partition is new, or the sink has not started there).
	Position []int64
	// Pending is the cut that may have been committed; nil: none, all is settled.
	Pending *Pending
}

// Pending is a cut from an entry's Position to Next.
type Pending struct {
	// Next per partition of the slot, each at or above Position. It is shorter
	// than Position if the topic grew since it was stored: the cut must be
	// repeated over just these partitions, since its ranges are its identity.
	Next  []int64
	Dead  []record.Dead // ascending by partition and offset, at most record.MaxDead
	Since time.Time     // first store of this cut, to the second; zero: unknown
	Token string        // what Stage returned, at most MaxToken bytes
}

// clone copies an entry with all that it points to, since lanes keep changing
// theirs, and brings its time to what is stored.
func (e Entry) clone() Entry {
	e.Position = slices.Clone(e.Position)
	if e.Pending != nil {
		p := *e.Pending
		p.Next = slices.Clone(p.Next)
		p.Dead = slices.Clone(p.Dead)
		if !p.Since.IsZero() {
			p.Since = time.Unix(p.Since.Unix(), 0).UTC()
		}
		e.Pending = &p
	}
	return e
}
