package ledger

import (
	"context"
	"fmt"
)

// Group is the consumer group's membership as the ledger needs it. Commit is
// never called twice at a time.
type Group interface {
	// Commit sends one OffsetCommit, with member id and generation, and waits for
	// the answer. nil: everything was stored. *Refused (by errors.As): an answer
	// says what was not stored, or the request provably never left. Any other
	// error: no answer, the commit may be applied at any later time.
	Commit(ctx context.Context, commits []Commit) error

	// Fetch reads what is stored. It is called only after the SyncGroup answer
	// of the membership, and answers for every partition asked, in any order;
	// one that was never committed has Offset -1 and no Metadata.
	Fetch(ctx context.Context, topic string, partitions []int32) ([]Stored, error)

	// End gives the membership up: its slots must not be written any more. The
	// Writer calls it at most once, from Run, and does not wait for the leaving.
	End(reason error)
}

// Commit is one partition of an OffsetCommit.
type Commit struct {
	Topic       string
	Partition   int32
	Offset      int64 // -1 where no position is known, which Kafka accepts
	LeaderEpoch int32 // -1: unknown; never 0 for lack of a better one
	Metadata    string
}

// Stored is what a partition's last commit left.
type Stored struct {
	Partition   int32
	Offset      int64
	LeaderEpoch int32
	Metadata    string
}

// Place is one partition of a topic.
type Place struct {
	Topic     string
	Partition int32
}

// Refused is the error of a Group.Commit that was answered, or was not sent: it
// will not be applied later.
type Refused struct {
	// Stored are the partitions that the answer reports as stored in spite of the
	// error of others.
	Stored []Place
	// Unsure: the others may be stored too (the coordinator did not learn whether
	// its replicas have them), but nothing sent later is overtaken by them.
	Unsure bool
	// Membership: the coordinator does not take this member or generation any
	// more (22, 25, 82), so there is no use in trying again.
	Membership bool
	// Moved: the group is in its next generation, and this member too: what was
	// sent may be sent again in that, once Renew has found the slots unchanged.
	Moved bool
	Err   error
}

func (e *Refused) Error() string { return fmt.Sprintf("offset commit refused: %v", e.Err) }

// Unwrap is the coordinator's error.
func (e *Refused) Unwrap() error { return e.Err }

// RefusedError says that a change was not stored, or that what was stored of it
// is overwritten by the record without it: it has not happened. The membership
// goes on; the same change may be put again.
type RefusedError struct {
	Slot Slot
	Err  error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("record of slot %s not stored: %v", e.Slot, e.Err)
}

// Unwrap is the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// EndedError says that the membership is over for this Writer: whether a change
// was stored is unknown, and nothing may be written any more. The next
// membership loads what is there.
type EndedError struct {
	Reason error
}

func (e *EndedError) Error() string { return fmt.Sprintf("group membership ended: %v", e.Reason) }

// Unwrap is what ended it.
func (e *EndedError) Unwrap() error { return e.Reason }
