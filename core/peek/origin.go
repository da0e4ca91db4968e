package peek

import (
	"context"
	"errors"
	"time"

	"github.com/sluicekit/sluice/core/folder"
	"github.com/sluicekit/sluice/core/source"
)

// Origin is where the records are: Kafka or Files.
type Origin interface {
	Describe(ctx context.Context, topics ...string) (source.Description, error)
	Offsets(ctx context.Context, topic string, partition int32, at source.Position) (int64, error)
	// cursor waits no longer than wait for records that are not there.
	cursor(topic string, partition int32, wait time.Duration) cursor
}

// cursor reads one partition, for one goroutine at a time: a *source.Cursor or a
// *folder.Cursor.
type cursor interface {
	// Fetch gets what comes from an offset on, or nothing within a while. Of its
	// errors see goneTo.
	Fetch(ctx context.Context, at int64) error
	Next() (source.Record, bool)
	// Ended is asked when Next has no more: the first offset that is not covered.
	Ended(at int64) (int64, error)
	// End is where the partition ended at the latest Fetch.
	End() int64
}

// judge is a cursor that knows by itself of records that cannot be read.
type judge interface {
	Verdict() string // on the latest record; "": its bytes may be decoded
}

// goneTo says whether a Fetch has failed because the partition begins behind the
// offset that was asked for, and where.
func goneTo(err error, at int64) (next int64, gone bool) {
	var deleted *source.OutOfRangeError
	var removed *folder.GoneError
	switch {
	case errors.As(err, &deleted):
		return deleted.LogStart, deleted.LogStart > at
	case errors.As(err, &removed):
		return removed.Next, true
	}
	return 0, false
}

// Kafka makes an Origin of a cluster.
func Kafka(c *source.Cluster) Origin { return kafka{c} }

type kafka struct{ *source.Cluster }

// fetchBytes is how much one partition fetches at a time.
const fetchBytes = 256 << 10

func (k kafka) cursor(topic string, partition int32, wait time.Duration) cursor {
	return k.Cursor(source.FetchRequest{Topic: topic, Partition: partition, MaxBytes: fetchBytes, MaxWait: wait})
}

// Files makes an Origin of a stream's files. Somebody has joined as the
// member, so that they are looked for.
func Files(s *folder.Source) Origin { return files{s} }

type files struct{ *folder.Source }

// cursor waits a moment only: files that have not grown are asked again soon.
func (f files) cursor(_ string, partition int32, _ time.Duration) cursor {
	return f.Cursor(partition, 50*time.Millisecond)
}
