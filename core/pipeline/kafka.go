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
	answers sync.Pool // of *answer, for cursors that fetch
}

func (k *kafka) cursor(o cursorOptions) cursor {
	return &kafkaCursor{kafka: k, o: o, at: -1, end: -1}
}

// answer is the memory that one answer is read with.
type answer struct {
	buf     []byte
	fetched source.Fetched
	reader  source.Reader
}

func (k *kafka) answer() *answer {
	if a, ok := k.answers.Get().(*answer); ok {
		return a
	}
	a := &answer{}
	a.reader.Limits.OneBatch = true // decoders copy what they keep
	return a
}

// size is what the answer takes, as a whole.
func (a *answer) size() int64 { return int64(cap(a.buf)) + a.reader.Footprint() }

// keep takes memory for the next answer. What was made for a large one goes.
func (k *kafka) keep(a *answer) {
	a.fetched = source.Fetched{}
	a.reader.Reset(a.fetched, 0)
	if int64(cap(a.buf)) > largeBytes {
		a.buf = nil
	}
	if a.reader.Footprint() > largeBytes {
		a.reader = source.Reader{Limits: a.reader.Limits}
	}
	k.answers.Put(a)
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
	*kafka
	o cursorOptions

	answer  *answer // nil: nothing is fetched
	charged int64   // for it
	end     int64   // the last stable offset
	at      int64   // offset behind what was read last,
	epoch   int32   // and its leader epoch: the broker is asked whether it still has that
}

func (c *kafkaCursor) fetch(ctx context.Context, at int64) error {
	c.free()
	if err := c.o.budget.reserve(ctx, int64(c.o.maxBytes)); err != nil {
		return err
	}
	c.charged = int64(c.o.maxBytes)
	a := c.kafka.answer()
	c.answer = a
	ask := source.FetchRequest{Topic: c.o.topic, TopicID: c.o.topicID, Partition: c.o.partition, Offset: at, MaxBytes: c.o.maxBytes, MaxWait: c.o.maxWait}
	if c.at == at && c.at > 0 && c.epoch >= 0 {
		ask.CheckEpoch, ask.LastEpoch = true, c.epoch
	}
	f, err := c.Fetch(ctx, ask, a.buf)
	a.buf = f.Buf
	if err != nil {
		return c.outside(err)
	}
	c.end = f.LastStable
	if c.end < 0 {
		c.end = f.HighWatermark
	}
	if f.LogStart > at {
		// The broker let it pass; it is a gap all the same.
		return &lane.GapError{Topic: c.o.topic, Partition: c.o.partition, First: at, Next: f.LogStart}
	}
	a.fetched = f
	a.reader.Reset(f, at)
	c.recharge(a.size())
	return nil
}

// recharge makes the budget know what the answer really takes.
func (c *kafkaCursor) recharge(n int64) {
	c.o.budget.charge(n - c.charged)
	c.charged = n
}

func (c *kafkaCursor) free() (freed int64) {
	if c.answer == nil {
		return 0
	}
	c.keep(c.answer)
	c.answer = nil
	freed = c.charged
	c.recharge(0)
	return freed
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
	r, ok := c.answer.reader.Next()
	if ok {
		c.at, c.epoch = r.Offset+1, r.LeaderEpoch
	}
	return r, ok
}

func (c *kafkaCursor) ended(at int64) (next int64, more bool, err error) {
	reader := &c.answer.reader
	err = reader.Err()
	var torn *source.TornError
	if errors.As(err, &torn) {
		// One batch is larger than what was asked for.
		if need := int64(torn.Need); need > int64(c.o.maxBytes) && need < 1<<30 {
			c.o.maxBytes = int32(need)
			return at, false, nil
		}
	}
	if err != nil {
		return at, false, err
	}
	if next := reader.NextOffset(); next > at {
		c.at, c.epoch = next, reader.LeaderEpoch()
		at = next
	}
	return at, false, nil
}

// ahead unpacks what was fetched a second time, with a reader of its own: the
// other one's records must stay as they are.
func (c *kafkaCursor) ahead(from int64) iter.Seq[source.Record] {
	return func(yield func(source.Record) bool) {
		if c.answer == nil {
			return
		}
		n := c.answer.size() // much the same as before
		c.o.budget.charge(n)
		defer c.o.budget.charge(-n)
		a := c.kafka.answer()
		defer c.keep(a)
		a.reader.Reset(c.answer.fetched, from)
		for {
			rec, ok := a.reader.Next()
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
	ask := source.FetchRequest{Topic: topic, TopicID: c.o.topicID, Partition: partition, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond}
	n, size := 0, 0
	for n < len(offsets) && size < letterBytes {
		at := offsets[n]
		ask.Offset = at
		got, err := c.Fetch(ctx, ask, nil)
		var gone *source.OutOfRangeError
		if errors.As(err, &gone) {
			out[n].Missing = true
			n++
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s[%d] offset %d again: %w", topic, partition, at, err)
		}
		var r source.Reader
		r.Reset(got, at)
		before := n
		for n < len(offsets) && size < letterBytes {
			rec, ok := r.Next()
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
		var torn *source.TornError
		switch err := r.Err(); {
		case errors.As(err, &torn) && torn.Need > int(ask.MaxBytes):
			ask.MaxBytes = int32(torn.Need)
		case err != nil:
			return nil, fmt.Errorf("read %s[%d] again: %w", topic, partition, err)
		case n == before && r.NextOffset() <= at:
			return nil, fmt.Errorf("read %s[%d] offset %d again: nothing is there", topic, partition, at)
		}
		for n < len(offsets) && offsets[n] < r.NextOffset() {
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
