package source

import (
	"errors"
	"fmt"
	"slices"
)

// Limits of what a Reader holds. The zero value means the defaults.
type Limits struct {
	MaxBatchBytes int // of one batch, stored or unpacked; default 64 MiB
	// MaxHeldBytes of unpacked batches between two Resets; default MaxBatchBytes. The walk stops before the batch that would pass it,
	// with Err nil and More true. One batch is always taken.
	MaxHeldBytes int
	// OneBatch unpacks each batch into the memory of the one before: a record is valid until Next returns one of another batch.
	OneBatch bool
}

const defaultMaxBatchBytes = 64 << 20

// Record is a data record. Its bytes are valid until the reader's next Reset; see also Limits.OneBatch.
type Record struct {
	Offset      int64
	Timestamp   int64  // milliseconds since 1970
	Key, Value  []byte // nil: null; empty: not nil
	Headers     Headers
	LeaderEpoch int32
}

// Reader walks over the committed data records of a fetch answer. It is not safe for concurrent use; the zero value is ready.
//
// Control batches and records of aborted transactions are stepped over, as are the holes of compaction: NextOffset passes them all.
type Reader struct {
	Limits Limits

	rest []byte // batches not looked at yet
	from int64
	next int64
	seen int64 // last offset of the latest batch, -1 before the first
	past int32 // leader epoch of the offset before next, -1 if it was not seen
	err  error
	more bool

	aborted []Aborted          // of the answer, by first offset, those not begun yet
	sorted  []Aborted          // memory of aborted
	aborts  map[int64]struct{} // producers with an aborted transaction open at this point

	cur       batch
	body      []byte // records of cur, unpacked, not read yet
	left      int32  // how many
	lastDelta int64  // offset delta of the record before, -1 at the first

	unpack unpacker
}

// Reset starts over with another answer, at an offset. What Next returned before becomes invalid.
func (r *Reader) Reset(f Fetched, from int64) {
	r.rest, r.from, r.next, r.seen, r.past = f.Batches, from, from, -1, -1
	r.err, r.more = nil, false
	r.body, r.left = nil, 0
	r.sorted = append(r.sorted[:0], f.Aborted...)
	slices.SortFunc(r.sorted, func(a, b Aborted) int {
		switch {
		case a.FirstOffset < b.FirstOffset:
			return -1
		case a.FirstOffset > b.FirstOffset:
			return 1
		}
		return 0
	})
	r.aborted = r.sorted
	clear(r.aborts)
	if r.Limits.MaxBatchBytes <= 0 {
		r.Limits.MaxBatchBytes = defaultMaxBatchBytes
	}
	if r.Limits.MaxHeldBytes <= 0 {
		r.Limits.MaxHeldBytes = r.Limits.MaxBatchBytes
	}
	r.unpack.reset(r.Limits)
}

// Footprint is the number of bytes of memory that the reader keeps for unpacked batches, used or not.
func (r *Reader) Footprint() int64 { return r.unpack.footprint() }

// Err is what ended the walk, nil at the end of the answer: a *BatchError or a *TornError.
func (r *Reader) Err() error { return r.err }

// More reports that the walk stopped because of MaxHeldBytes: Reset with the same answer and NextOffset goes on with it.
func (r *Reader) More() bool { return r.more }

// NextOffset is the first offset that the walk has not covered.
func (r *Reader) NextOffset() int64 { return r.next }

// LeaderEpoch is the epoch of the offset before NextOffset, which the walk has covered; -1 if it has covered none. The next fetch can
// have the broker check it (FetchRequest.CheckEpoch).
func (r *Reader) LeaderEpoch() int32 { return r.past }

// Next returns the next data record. False: the end, or an error.
func (r *Reader) Next() (rec Record, ok bool) {
	for {
		for r.left > 0 {
			if err := r.take(&rec); err != nil {
				return r.fail(err)
			}
			if rec.Offset >= r.from {
				return rec, true
			}
		}
		if r.err != nil || !r.nextBatch() {
			return Record{}, false
		}
	}
}

// take reads the next record of the current batch.
func (r *Reader) take(rec *Record) error {
	size := r.cur.record(r.body, rec)
	if size == 0 {
		return recordError(r.body)
	}
	delta := rec.Offset
	if delta <= r.lastDelta || delta > int64(r.cur.lastDelta) {
		return fmt.Errorf("offset delta %d after %d, last is %d", delta, r.lastDelta, r.cur.lastDelta)
	}
	r.body, r.lastDelta = r.body[size:], delta
	rec.Offset = r.cur.base + delta
	next := rec.Offset + 1
	if r.left--; r.left == 0 {
		if len(r.body) != 0 {
			return fmt.Errorf("%d bytes after the last record", len(r.body))
		}
		next = r.cur.last + 1
	}
	if next >= r.next {
		r.next, r.past = next, r.cur.epoch
	}
	return nil
}

func (r *Reader) fail(err error) (Record, bool) {
	r.err = &BatchError{Base: r.cur.base, Err: err}
	r.left, r.rest = 0, nil
	return Record{}, false
}

// nextBatch takes the next batch that may have records to deliver; false at the end or on an error.
func (r *Reader) nextBatch() bool {
	for len(r.rest) > 0 {
		raw, ok := r.whole()
		if !ok {
			return false
		}
		b, err := parseBatch(raw)
		if err != nil {
			r.err = err
			return false
		}
		r.cur = b
		if b.base <= r.seen {
			_, ok := r.fail(fmt.Errorf("comes after offset %d", r.seen))
			return ok
		}
		if !r.wanted(b) {
			if r.err != nil {
				return false
			}
			r.pass(raw)
			continue
		}
		if b.count == 0 { // emptied by compaction; what is left only says how far the log goes
			r.pass(raw)
			continue
		}
		body, err := r.unpack.records(b, r.Limits)
		if errors.Is(err, errHeld) {
			r.more, r.rest = true, nil
			return false
		}
		if err != nil {
			_, ok := r.fail(err)
			return ok
		}
		r.rest, r.seen = r.rest[len(raw):], b.last
		r.body, r.left, r.lastDelta = body, b.count, -1
		return true
	}
	return false
}

// pass goes behind a batch without records to deliver.
func (r *Reader) pass(raw []byte) {
	r.rest, r.seen = r.rest[len(raw):], r.cur.last
	if next := r.cur.last + 1; next >= r.next {
		r.next, r.past = next, r.cur.epoch
	}
}

// whole cuts off the next batch. An answer ends where its size was reached, usually within a batch: that is its end, unless nothing came
// of it, for then asking again with the same size would give the same for ever.
func (r *Reader) whole() ([]byte, bool) {
	size := int64(batchHeader)
	if len(r.rest) >= batchPrefix {
		size = batchSize(r.rest)
		r.cur.base = baseOffset(r.rest)
	}
	switch {
	case size <= batchPrefix:
		return nil, r.failed(fmt.Errorf("length of %d bytes is impossible", size))
	case size > int64(r.Limits.MaxBatchBytes):
		return nil, r.failed(&LimitError{r.Limits.MaxBatchBytes})
	case len(r.rest) < batchPrefix || size > int64(len(r.rest)):
		if r.next == r.from {
			r.err = &TornError{Base: r.from, Need: int(max(size, batchHeader))}
		}
		r.rest = nil
		return nil, false
	}
	return r.rest[:size], true
}

func (r *Reader) failed(err error) bool {
	_, ok := r.fail(err)
	return ok
}

// wanted says whether a batch has records to deliver, and keeps the set of producers whose transaction is being stepped over: one enters
// it at the first offset that the answer's list names and leaves it at its abort marker. A list covers the whole answer, so nothing is
// carried from one answer to the next, also for transactions that began long before.
func (r *Reader) wanted(b batch) bool {
	if b.producer >= 0 {
		for len(r.aborted) > 0 && r.aborted[0].FirstOffset <= b.last {
			if r.aborts == nil {
				r.aborts = make(map[int64]struct{})
			}
			r.aborts[r.aborted[0].ProducerID] = struct{}{}
			r.aborted = r.aborted[1:]
		}
	}
	if b.control {
		abort, err := r.abortMarker(b)
		if err != nil {
			return r.failed(err)
		}
		if abort {
			delete(r.aborts, b.producer)
		}
		return false
	}
	if b.last < r.from {
		return false
	}
	if b.transactional && len(r.aborts) > 0 {
		_, aborted := r.aborts[b.producer]
		return !aborted
	}
	return true
}

// abortMarker says whether a control batch ends a transaction by an abort. One emptied by compaction says nothing.
func (r *Reader) abortMarker(b batch) (bool, error) {
	if b.count == 0 {
		return false, nil
	}
	if b.attributes&attrCodec != 0 {
		return false, errors.New("control batch is compressed")
	}
	var rec Record
	if b.record(b.records, &rec) == 0 {
		return false, recordError(b.records)
	}
	if len(rec.Key) < 4 {
		return false, fmt.Errorf("control record has a key of %d bytes", len(rec.Key))
	}
	const abort = 0
	return rec.Key[2] == 0 && rec.Key[3] == abort, nil
}
