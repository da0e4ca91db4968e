package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/source"
)

// kafka is a cluster as an origin.
type kafka struct {
	*source.Cluster
	fetcher *source.Fetcher
	readers sync.Pool // of *source.Reader, for cursors that are in the middle of an answer

	mu     sync.Mutex // held while starts is asked for: all others want the same
	starts map[start]starts
}

// start is what the lanes of a stream ask for at the same time.
type start struct {
	topic string
	at    source.Position
}

// starts is an answer, and when it was.
type starts struct {
	offsets map[int32]int64
	when    time.Time
}

// startsFor is how long an answer is good for: long enough for the lanes that
// start together, too short for the log's begin to move on much.
const startsFor = 2 * time.Second

// Offsets implements origin: hundreds of lanes that start ask once.
func (k *kafka) Offsets(ctx context.Context, topic string, partition int32, at source.Position) (int64, error) {
	k.mu.Lock()
	s := k.starts[start{topic, at}]
	if time.Since(s.when) > startsFor {
		if all, err := k.AllOffsets(ctx, topic, at); err == nil {
			s = starts{all, time.Now()}
			k.starts = map[start]starts{{topic, at}: s}
		}
	}
	k.mu.Unlock()
	if o, ok := s.offsets[partition]; ok && time.Since(s.when) <= startsFor {
		return o, nil
	}
	return k.Cluster.Offsets(ctx, topic, partition, at)
}

// newKafka makes one. Answers of the brokers have a small part of the budget each: there are some at a time.
func newKafka(c *source.Cluster, b *Budget) *kafka {
	answer := int64(16 << 20)
	switch {
	case b.Bytes >= 256<<20: // enough for few and large requests
		answer = min(answer, b.Bytes/16)
	case b.Bytes > 0:
		answer = max(b.Bytes/64, 512<<10)
	}
	return &kafka{Cluster: c, fetcher: source.NewFetcher(c, b, answer)}
}

func (k *kafka) close() { k.fetcher.Close() }

func (k *kafka) cursor(o cursorOptions) cursor {
	return &kafkaCursor{kafka: k, o: o, at: -1, end: -1}
}

func (k *kafka) reader() *source.Reader {
	if r, ok := k.readers.Get().(*source.Reader); ok {
		return r
	}
	r := &source.Reader{}
	r.Limits.OneBatch = true // decoders copy what they keep
	return r
}

// keep takes a reader for the next answer. What was made for a large one goes.
func (k *kafka) keep(r *source.Reader) {
	r.Reset(source.Fetched{}, 0)
	if r.Footprint() <= largeBytes {
		k.readers.Put(r)
	}
}

func (k *kafka) member(o source.MemberOptions) member {
	return kafkaMember{source.NewMember(k.Cluster, o)}
}

type kafkaMember struct{ *source.Member }

func (m kafkaMember) join(ctx context.Context) (generation, error) {
	g, err := m.Join(ctx)
	if err != nil {
		return nil, err
	}
	return g, nil
}

func (m kafkaMember) rejoin(ctx context.Context, owned []source.Slot) (generation, error) {
	g, err := m.Rejoin(ctx, owned)
	if err != nil {
		return nil, err
	}
	return g, nil
}

// kafkaCursor reads a partition of a cluster.
type kafkaCursor struct {
	kafka *kafka
	o     cursorOptions

	fetched source.Fetched
	reader  *source.Reader // of fetched; nil: nothing is
	charged int64          // for what it unpacks
	asked   *source.Ask    // for what comes next; nil: not asked for yet
	askedAt int64
	end     int64 // the last stable offset
	at      int64 // offset behind what was read last,
	epoch   int32 // and its leader epoch: the broker is asked whether it still has that
}

func (c *kafkaCursor) fetch(ctx context.Context, at int64) error {
	c.let()
	if c.asked != nil && c.askedAt != at {
		c.cancel()
	}
	if c.asked == nil {
		c.ask(at, c.at, c.epoch)
	}
	ask := c.asked
	c.asked = nil
	f, err := ask.Wait(ctx)
	if err != nil {
		return c.outside(err)
	}
	c.end = f.LastStable
	if c.end < 0 {
		c.end = f.HighWatermark
	}
	if f.LogStart > at {
		// The broker let it pass; it is a gap all the same.
		f.Release()
		return &lane.GapError{Topic: c.o.topic, Partition: c.o.partition, First: at, Next: f.LogStart}
	}
	c.fetched, c.reader = f, c.kafka.reader()
	c.reader.Reset(f, at)
	// The next answer comes while this one is decoded.
	if last, epoch, ok := source.LastOf(f.Batches); ok && last+1 < c.end && !c.o.budget.short() {
		c.ask(last+1, last+1, epoch)
	}
	return nil
}

// ask asks for what comes from an offset on. behind and epoch: see c.at.
func (c *kafkaCursor) ask(at, behind int64, epoch int32) {
	req := source.FetchRequest{Topic: c.o.topic, TopicID: c.o.topicID, Partition: c.o.partition, Offset: at, MaxBytes: c.o.maxBytes, MaxWait: c.o.maxWait}
	if behind == at && behind > 0 && epoch >= 0 {
		req.CheckEpoch, req.LastEpoch = true, epoch
	}
	c.asked, c.askedAt = c.kafka.fetcher.Ask(req, c.end > at || c.end < 0), at
}

func (c *kafkaCursor) cancel() {
	if c.asked != nil {
		c.asked.Cancel()
		c.asked = nil
	}
}

// let gives the answer back.
func (c *kafkaCursor) let() (freed int64) {
	if c.reader == nil {
		return 0
	}
	c.kafka.keep(c.reader)
	c.reader = nil
	freed = c.charged
	c.o.budget.Charge(-c.charged)
	c.charged = 0
	return freed + c.fetched.Release()
}

func (c *kafkaCursor) free(all bool) (freed int64) {
	if all {
		c.cancel()
	}
	return c.let()
}

// brokerError is an answer to a fetch that did not come, or was of no use.
type brokerError struct{ err error }

func (e *brokerError) Error() string { return e.err.Error() }
func (e *brokerError) Unwrap() error { return e.err }

// outside turns an offset that the log does not hold, or not any more as it was
// read, into the lanes' errors.
func (c *kafkaCursor) outside(err error) error {
	var changed *source.TopicChangedError
	if errors.As(err, &changed) {
		c.o.changed()
		return err
	}
	var cut *source.TruncatedError
	if errors.As(err, &cut) {
		return &lane.TruncatedError{Topic: c.o.topic, Partition: c.o.partition, Position: cut.Offset, End: cut.End}
	}
	var out *source.OutOfRangeError
	if !errors.As(err, &out) {
		return &brokerError{err}
	}
	switch {
	case out.LogStart >= 0 && out.Offset < out.LogStart:
		return &lane.GapError{Topic: c.o.topic, Partition: c.o.partition, First: out.Offset, Next: out.LogStart}
	case out.End >= 0 && out.Offset > out.End:
		return &lane.TruncatedError{Topic: c.o.topic, Partition: c.o.partition, Position: out.Offset, End: out.End}
	}
	return err
}

func (c *kafkaCursor) next() (source.Record, bool) {
	r, ok := c.reader.Next()
	if ok {
		if n := c.reader.Footprint(); n != c.charged {
			c.o.budget.Charge(n - c.charged)
			c.charged = n
		}
		c.at, c.epoch = r.Offset+1, r.LeaderEpoch
	}
	return r, ok
}

func (c *kafkaCursor) ended(at int64) (next int64, err error) {
	reader := c.reader
	err = reader.Err()
	var torn *source.TornError
	if errors.As(err, &torn) {
		// One batch is larger than what was asked for.
		if need := int64(torn.Need); need > int64(c.o.maxBytes) && need < 1<<30 {
			c.o.maxBytes = int32(need)
			return at, nil
		}
	}
	if err != nil {
		return at, err
	}
	if next := reader.NextOffset(); next > at {
		c.at, c.epoch = next, reader.LeaderEpoch()
		at = next
	}
	return at, nil
}

// ahead unpacks what was fetched a second time, with a reader of its own: the
// other one's records must stay as they are.
func (c *kafkaCursor) ahead(from int64) iter.Seq[source.Record] {
	return func(yield func(source.Record) bool) {
		if c.reader == nil {
			return
		}
		n := c.reader.Footprint() // much the same as before
		c.o.budget.Charge(n)
		defer c.o.budget.Charge(-n)
		r := c.kafka.reader()
		defer c.kafka.keep(r)
		r.Reset(c.fetched, from)
		for {
			rec, ok := r.Next()
			if !ok || !yield(rec) {
				return // an error is met again when it is time
			}
		}
	}
}

func (c *kafkaCursor) high() int64 { return c.end }

// letterBytes is how much of original records is held at once, beyond the one
// that passes it.
const letterBytes = 4 << 20

func (c *kafkaCursor) raw(ctx context.Context, offsets []int64) ([]lane.Letter, error) {
	out := make([]lane.Letter, len(offsets))
	topic, partition := c.o.topic, c.o.partition
	own := c.kafka.Cursor(source.FetchRequest{Topic: topic, TopicID: c.o.topicID, Partition: partition, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond})
	n, size := 0, 0
	for n < len(offsets) && size < letterBytes {
		at := offsets[n]
		err := own.Fetch(ctx, at)
		var gone *source.OutOfRangeError
		if errors.As(err, &gone) {
			out[n].Missing = true
			n++
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s[%d] offset %d again: %w", topic, partition, at, err)
		}
		before := n
		for n < len(offsets) && size < letterBytes {
			rec, ok := own.Next()
			if !ok {
				break
			}
			for n < len(offsets) && offsets[n] < rec.Offset { // compacted away since
				out[n].Missing = true
				n++
			}
			if n < len(offsets) && offsets[n] == rec.Offset {
				out[n] = letterOf(rec)
				size += out[n].Size()
				n++
			}
		}
		next, err := own.Ended(at)
		switch {
		case err != nil:
			return nil, fmt.Errorf("read %s[%d] again: %w", topic, partition, err)
		case n == before && next <= at:
			return nil, fmt.Errorf("read %s[%d] offset %d again: nothing is there", topic, partition, at)
		}
		for n < len(offsets) && offsets[n] < next {
			out[n].Missing = true
			n++
		}
	}
	return out[:n], nil
}

// letterOf copies a record: the reader's memory is used again.
func letterOf(r source.Record) lane.Letter {
	l := lane.Letter{Timestamp: r.Timestamp, Key: slices.Clone(r.Key), Value: slices.Clone(r.Value)}
	for k, v := range r.Headers.All() {
		l.Headers = append(l.Headers, lane.Header{Key: string(k), Value: slices.Clone(v)})
	}
	return l
}
