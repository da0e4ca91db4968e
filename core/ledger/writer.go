package ledger

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Options of a Writer. The zero value is usable.
type Options struct {
	// Sinks that this member runs: the offset committed to Kafka is the lowest
	// of their positions. nil: of all entries.
	Sinks []ID
	// Epoch is the leader epoch to commit with a partition's offset; nil, or a
	// negative answer: unknown (-1).
	Epoch func(topic string, partition int32) int32
	// Delay is how long a Note may wait for another write to go with; 0: one
	// second.
	Delay time.Duration
	// Timeout of one OffsetCommit. Without an answer by then the membership
	// ends; 0: ten seconds.
	Timeout time.Duration
	// Log gets what no caller is told: a Note that was refused. nil: discarded.
	Log *slog.Logger
}

// Writer is the one writer of a membership's records.
type Writer struct {
	group Group
}

// NewWriter makes the writer of one membership. Nothing is sent before Run.
func NewWriter(g Group, o Options) *Writer { return &Writer{group: g} }

// Run sends what Put, Note and Create bring, one OffsetCommit at a time, until
// ctx ends (nil) or the membership does (*EndedError). Nothing is sent after it
// returned, and all that waits or comes later gets an *EndedError. If ctx ends
// while a commit is under way the membership is ended too.
func (w *Writer) Run(ctx context.Context) error { return errNotYet }

// SlotLayout is where a slot lies in its topic.
type SlotLayout struct {
	Slot       Slot
	First      int32 // its first partition
	Partitions int32 // how many it has, at least 1
}

// Load fetches and parses the records of newly gained slots. Slots that are
// loaded already are left alone: their memory is newer than anything fetched.
func (w *Writer) Load(ctx context.Context, slots []SlotLayout) error { return errNotYet }

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
	Message     string // Partly: what is wrong, with the partition; Missing: a foreign offset, if there is one
	Incarnation string
	Width       int32 // partitions per slot that the stream started with
	Partitions  int32 // partitions of the topic known to have a record; one at or above it is new
}

// State of a slot; Missing for one that is not loaded.
func (w *Writer) State(slot Slot) State { return State{} }

// Entry is the newest that is known of a sink: what is stored, or what was
// noted since. The caller owns it. false: the sink has no entry in that slot.
func (w *Writer) Entry(slot Slot, id ID) (Entry, bool) { return Entry{}, false }

// Entries are all of a slot, also of sinks that this member does not run.
func (w *Writer) Entries(slot Slot) []Entry { return nil }

// Header is what all sinks of a slot share.
type Header struct {
	Incarnation string
	Width       int32
	Partitions  int32 // of the topic; see State
}

// Create stores the first record of a slot that is Missing, with start
// positions that the caller resolved. On a Present one it replaces Incarnation
// and Partitions (the topic has grown, or is another) and puts the entries.
func (w *Writer) Create(ctx context.Context, slot Slot, h Header, entries []Entry) error {
	return errNotYet
}

// Put stores an entry: it returns nil once the whole current record of its slot
// was acknowledged in one OffsetCommit, together with whatever else had changed.
// *EndedError: unknown outcome, write nothing more. *RefusedError, *TooLongError
// and an invalid entry: not stored, the membership goes on. ctx is heeded until
// the entry is sent; from then on Put waits for the answer (Options.Timeout).
func (w *Writer) Put(ctx context.Context, slot Slot, e Entry) error { return errNotYet }

// Note stores an entry with the next write of anything, or alone after
// Options.Delay: a committed cut must not look pending for long on an idle
// topic. Entry answers it at once. An invalid entry, or a slot without a record,
// is reported in the log and dropped.
func (w *Writer) Note(slot Slot, e Entry) {}

// Flush returns once all that was noted before is stored.
func (w *Writer) Flush(ctx context.Context) error { return errNotYet }

var errNotYet = errors.New("ledger: not written yet")
