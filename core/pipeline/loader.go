package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/source"
)

// loader fetches and decodes one partition, for one reader: the shared one or
// a lane that is behind.
type loader struct {
	cluster   *source.Cluster
	topic     string
	topicID   [16]byte // that the positions are of
	partition int32
	changed   func() // told when the brokers do not have topicID any more
	decoder   *decode.Decoder
	pool      *pool
	maxBytes  int32
	maxWait   time.Duration

	buf     []byte
	fetched source.Fetched
	reader  source.Reader
	open    bool // reader has records left, from next on
	next    int64
	held    *source.Record // read, and not decoded because the registry was away
	heldRec source.Record
	high    int64
	past    int64 // offset behind what was read last,
	epoch   int32 // and its leader epoch: the broker is asked whether it still has that
	triedAt int64 // where records could not be read,
	tries   int   // and how often
}

// chunkRows is how many rows a chunk has at most: enough for the kernels to
// run at full speed, few enough to stay in the processor's cache.
const chunkRows = 4096

// load reads the chunk that starts at an offset. nil and no error: nothing has
// come within maxWait.
func (l *loader) load(ctx context.Context, at int64) (*chunk, error) {
	if !l.open || l.next != at {
		if err := l.fetch(ctx, at); err != nil {
			return nil, err
		}
	}
	c := l.pool.get()
	c.Partition, c.First, c.Next = l.partition, at, at
	err := l.fill(ctx, c)
	if c.Next == c.First {
		c.release()
		return nil, l.persists(at, err)
	}
	l.tries = 0
	// An error behind some records: they count, and it comes back with the
	// next load.
	l.next = c.Next
	l.pool.charge(c)
	return c, nil
}

// fetch asks the broker for records from an offset on.
func (l *loader) fetch(ctx context.Context, at int64) error {
	l.open, l.held = false, nil
	ask := source.FetchRequest{Topic: l.topic, TopicID: l.topicID, Partition: l.partition, Offset: at, MaxBytes: l.maxBytes, MaxWait: l.maxWait}
	if l.past == at && l.past > 0 && l.epoch >= 0 {
		ask.CheckEpoch, ask.LastEpoch = true, l.epoch
	}
	f, err := l.cluster.Fetch(ctx, ask, l.buf)
	l.buf = f.Buf
	if err != nil {
		return l.outside(err)
	}
	l.high = f.LastStable
	if l.high < 0 {
		l.high = f.HighWatermark
	}
	if f.LogStart > at {
		// The broker let it pass; it is a gap all the same.
		return &lane.GapError{Topic: l.topic, Partition: l.partition, First: at, Next: f.LogStart}
	}
	l.fetched = f
	l.reader.Reset(f, at)
	l.open, l.next = true, at
	return nil
}

// outside turns an offset that the log does not hold, or not any more as it was
// read, into the lanes' errors.
func (l *loader) outside(err error) error {
	var changed *source.TopicChangedError
	if errors.As(err, &changed) {
		l.changed()
		return err
	}
	var cut *source.TruncatedError
	if errors.As(err, &cut) {
		return &lane.TruncatedError{Topic: l.topic, Partition: l.partition, Position: cut.Offset, End: cut.End}
	}
	var out *source.OutOfRangeError
	if !errors.As(err, &out) {
		return err
	}
	switch {
	case out.LogStart >= 0 && out.Offset < out.LogStart:
		return &lane.GapError{Topic: l.topic, Partition: l.partition, First: out.Offset, Next: out.LogStart}
	case out.End >= 0 && out.Offset > out.End:
		return &lane.TruncatedError{Topic: l.topic, Partition: l.partition, Position: out.Offset, End: out.End}
	}
	return err
}

// tooOften is how often a batch that cannot be read is fetched again: what was
// damaged on its way comes sound the next time, what is damaged on a disk does
// not.
const tooOften = 5

// persists makes an error of the records themselves final when it has come
// back often enough.
func (l *loader) persists(at int64, err error) error {
	var bad *source.BatchError
	var torn *source.TornError
	if !errors.As(err, &bad) && !errors.As(err, &torn) {
		return err
	}
	if l.triedAt != at {
		l.triedAt, l.tries = at, 0
	}
	if l.tries++; l.tries < tooOften {
		return fmt.Errorf("read %s[%d]: %w", l.topic, l.partition, err)
	}
	return &lane.UnreadableError{Topic: l.topic, Partition: l.partition, Offset: at, Err: err}
}

// fill decodes records into a chunk, until it is full or the answer is used up.
func (l *loader) fill(ctx context.Context, c *chunk) error {
	for c.Rows()+len(c.Bad) < chunkRows {
		r := l.held
		if r == nil {
			rec, ok := l.reader.Next()
			if !ok {
				return l.ended(c)
			}
			l.heldRec = rec
			r = &l.heldRec
		}
		l.held = nil
		if err := l.decoder.Append(ctx, c.Chunk, r.Offset, r.Timestamp, r.Value); err != nil {
			l.held = r
			return fmt.Errorf("decode %s[%d] offset %d: %w", l.topic, l.partition, r.Offset, err)
		}
		c.Next = r.Offset + 1
		l.past, l.epoch = c.Next, r.LeaderEpoch
	}
	return nil
}

// ended is called when the reader has no more records.
func (l *loader) ended(c *chunk) error {
	l.open = false
	err := l.reader.Err()
	var torn *source.TornError
	if errors.As(err, &torn) {
		// One batch is larger than what was asked for.
		if need := int64(torn.Need); need > int64(l.maxBytes) && need < 1<<30 {
			l.maxBytes = int32(need)
			return nil
		}
	}
	if err != nil {
		return err
	}
	next, epoch := l.reader.NextOffset(), l.reader.LeaderEpoch()
	if l.reader.More() {
		l.reader.Reset(l.fetched, next)
		l.open = true
	}
	if next > c.Next {
		c.Next = next
		l.past, l.epoch = next, epoch
	}
	return nil
}
