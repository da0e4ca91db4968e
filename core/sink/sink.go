package sink

import (
	"context"

	"github.com/sluicekit/sluice/core/record"
)

// Sink is one destination of one sink of the configuration, opened.
type Sink interface {
	// Claim opens the writer of one slot and reports what the destination
	// already holds of this sink, under any incarnation. A Claim is also how an
	// older writer of the same slot is fenced, where the destination can do so.
	Claim(ctx context.Context, c Claim) (Writer, Found, error)

	// Close frees what Open took. All writers are closed before.
	Close() error
}

// Claim names a slot and who claims it.
type Claim struct {
	Topic       string
	Incarnation string // cluster id and topic id: part of every durable key
	Partition   int32  // the slot's first partition
	Partitions  int    // how many it has
	// Repeats: the first cut after this claim is one that was tried before, so
	// that its Since is set. Such a cut never comes at another time.
	Repeats bool
}

// Found is what a destination itself remembers of a sink's slot.
type Found struct {
	// High is the next offset per partition of the slot; -1: not known.
	High []int64
	// State says whether there are traces of this sink at all, in any slot and
	// under any incarnation.
	State State
	// Last is the last committed cut with its dead set and Letters (Atomic
	// sinks); a cut without ranges otherwise.
	Last record.Cut
	// OtherIncarnation names another incarnation of the topic that left traces,
	// "" if there is none.
	OtherIncarnation string
}

// State is how much a destination remembers.
type State uint8

// The states of a destination.
const (
	// Empty: it keeps marks, and has none of this sink.
	Empty State = iota
	// NoMark: it keeps no marks (a table without provenance columns).
	NoMark
	// Has: it holds rows or marks of this sink.
	Has
)

// Writer takes the rows of one slot. See the package comment for the order of
// calls, for what an error means, and for who owns a chunk.
type Writer interface {
	// Append takes rows: dense columns in the order of Config.Schema, with
	// their offsets, of one partition of the slot (or grouped: Partition is -1).
	// size is what the writer now holds, or has written since the last cut, in
	// bytes: core charges it to the budget and cuts by it.
	Append(ctx context.Context, rows *record.Chunk) (size int64, err error)

	// Stage says that no more rows follow for c. What can be made durable but
	// invisible is made so now, and what must be open before the commit is
	// opened. token (at most MaxToken bytes, may be empty) is stored with the
	// cut's intent. A cut may hold no rows: positions advance over filtered
	// records too.
	Stage(ctx context.Context, c record.Cut) (token string, err error)

	// Commit makes all rows of c visible and durable. After nil all are. After
	// an error nothing, a part or all may be, unless the error is Refused: then
	// nothing is. Repeating an equal c completes it and changes nothing else.
	// An Atomic writer whose stored position is not c's First applies nothing
	// and returns Stale.
	Commit(ctx context.Context, c record.Cut, token string) error

	// Close drops what was not committed and frees what the writer holds.
	Close() error
}

// Resumer is implemented by writers whose token decides what becomes visible.
// A writer without Resume must not let the token decide visibility.
type Resumer interface {
	// Resume finishes a pending cut from what was staged under token. It is
	// called before any Append. An error leaves the outcome undecided: core
	// backs off, claims and resumes again, and never appends.
	Resume(ctx context.Context, c record.Cut, token string) (Outcome, error)
}

// Outcome is what Resume found.
type Outcome uint8

// The outcomes of Resume.
const (
	// Never: nothing of the cut is visible, and nothing can become so any more
	// (the writer removed or fenced what was staged).
	Never Outcome = iota + 1
	// Done: all of the cut is visible.
	Done
)

// Mover is implemented by Sinks that keep the position themselves (Atomic). A
// person who decides where a sink goes on moves it there too, or the decision
// would have no effect: the destination's own position is the truth.
type Mover interface {
	// Move sets the positions of a slot from what Claim has found to next, in
	// one transaction, and forgets the last cut. A from of -1 is one that is not
	// there; a next of -1 removes it, under every incarnation of the topic.
	// Where the stored positions are not from it changes nothing and returns
	// Stale. Nobody writes to the slot at that time.
	Move(ctx context.Context, c Claim, from, next []int64) error
}

// MaxToken is the longest token that Stage may return, in bytes. A real
// BigQuery stream id has over 50.
const MaxToken = 64

// Holder is implemented by writers that hold less memory than Append's size
// says, because rows went to a file or to a server already: core charges what
// Held reports to the budget, and cuts by size.
type Holder interface {
	// Held is the number of bytes of memory that the rows since the last cut
	// take now. It is called after Append.
	Held() int64
}
