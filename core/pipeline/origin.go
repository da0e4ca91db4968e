package pipeline

import (
	"context"
	"iter"
	"time"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/source"
)

// origin is where a stream's records come from and where its progress is kept:
// a Kafka cluster, or files and a folder. What a cluster, a topic, a partition
// and an offset are there, its own package says; offsets only have to ascend.
type origin interface {
	// Describe names the incarnation of the topics and their partitions.
	Describe(ctx context.Context, topics ...string) (source.Description, error)
	// Offsets resolves where a new sink starts.
	Offsets(ctx context.Context, topic string, partition int32, at source.Position) (int64, error)
	// FetchOffsets reads what the stream's group has stored.
	FetchOffsets(ctx context.Context, group string, partitions map[string][]int32) ([]source.Stored, error)
	// cursor opens nothing yet.
	cursor(o cursorOptions) cursor
	// member does not join yet.
	member(o source.MemberOptions) member
}

// cursorOptions of one reader of a partition.
type cursorOptions struct {
	topic     string
	topicID   [16]byte // that the positions are of
	partition int32
	changed   func() // told when the topic is not topicID any more
	maxBytes  int32  // aimed at for one fetch
	maxWait   time.Duration
	budget    *Budget
}

// cursor reads one partition, for one goroutine.
type cursor interface {
	walk
	// raw reads original records again, as lane.Feed.Raw; it fetches for itself.
	raw(ctx context.Context, offsets []int64) ([]lane.Letter, error)
}

// walk goes over a partition. Errors that are the log's own are the lanes':
// *lane.GapError and the like. It charges the memory that it takes.
type walk interface {
	// fetch gets what comes from an offset on, or nothing within maxWait. The
	// records before it become invalid.
	fetch(ctx context.Context, at int64) error
	// next is the next record of what was fetched.
	next() (source.Record, bool)
	// ended is asked when next has no more: the first offset that is not covered.
	ended(at int64) (next int64, err error)
	// high is the offset behind the last record that can be read, -1 if unknown.
	high() int64
	// free gives back what the last fetch took, and with all what was asked for in
	// advance too. It says how many bytes of the budget that was.
	free(all bool) (freed int64)
}

// foresight is a cursor that can look at what it has fetched and not given out
// yet.
type foresight interface {
	// ahead gives the records from an offset on. They are invalid after the loop.
	ahead(from int64) iter.Seq[source.Record]
}

// member takes part in the stream's group.
type member interface {
	// join begins a membership, with nothing in hand.
	join(ctx context.Context) (generation, error)
	// rejoin goes on to its next generation with what runs here. An error ends it.
	rejoin(ctx context.Context, owned []source.Slot) (generation, error)
	Leave(ctx context.Context) error
}

// generation is what a member holds from one join to the next.
type generation interface {
	share
	course
	fence
}

// share is what a generation gives to this member.
type share interface {
	ID() int32
	Layouts() []source.Layout
	Slots() []source.Slot
	Settle() []source.Slot // to be given up
	SettleBy() time.Time
}

// course is what becomes of a generation.
type course interface {
	Rebalance() <-chan struct{} // it is time to rejoin
	Moved() <-chan struct{}     // the next one has begun
	Ended() <-chan struct{}     // the membership is over
}

// fence keeps a replaced member from writing.
type fence interface {
	Heartbeat(ctx context.Context) error
	Commit(ctx context.Context, commits []source.OffsetCommit) error
	End(reason error)
}

// closer is an origin or a cursor that is given back.
type closer interface{ close() }

// finite is an origin that may have nothing more to come.
type finite interface {
	// complete is the end of each partition once nothing will come behind it; nil
	// before. The error is what could not be read, once all else was.
	complete() (ends []int64, err error)
}

// judging is a cursor that knows by itself of records that cannot be read.
type judging interface {
	// judge says why the latest record cannot be, "" if its bytes may.
	judge() string
	// where names the file and the byte of an offset, "" if it is not known.
	where(offset int64) string
}
