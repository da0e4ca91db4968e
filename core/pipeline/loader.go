package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/source"
)

// loader fetches and decodes one partition, for one reader: the shared one or
// a lane that is behind.
type loader struct {
	*intake
	topic     string
	partition int32

	mu      sync.Mutex // held while it loads; others may take an idle one's answer away
	cursor  cursor
	decoder *decode.Decoder // lent while open, nil else
	open    bool            // cursor has records left, from next on
	touched bool            // since the last sweep
	largest int64           // chunk, lately

	next     int64
	held     *source.Record // read, and not decoded because the registry was away
	heldRec  source.Record
	foreseen int64 // schema ids were asked for up to here
	triedAt  int64 // where records could not be read,
	tries    int   // and how often
}

// load reads the chunk that starts at an offset. nil and no error: nothing has
// come within maxWait.
func (l *loader) load(ctx context.Context, at int64) (*chunk, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touched = true
	if !l.open || l.next != at {
		if err := l.fetch(ctx, at); err != nil {
			l.free(true)
			return nil, err
		}
	}
	c := l.pool.get()
	c.Partition, c.First, c.Next = l.partition, at, at
	err := l.fill(ctx, c)
	if !l.open {
		l.free(false)
	}
	if c.Next == c.First {
		c.release()
		return nil, l.persists(at, err)
	}
	l.tries = 0
	// An error behind some records: they count, and it comes back with the
	// next load.
	l.next = c.Next
	l.pool.charge(c)
	l.largest = max(c.size, l.largest*7/8)
	return c, nil
}

// fetch asks for records from an offset on.
func (l *loader) fetch(ctx context.Context, at int64) error {
	l.free(false)
	l.budget.keep(l)
	if err := l.cursor.fetch(ctx, at); err != nil {
		return err
	}
	d, err := l.intake.decoder()
	if err != nil {
		return err
	}
	l.decoder, l.open, l.next = d, true, at
	return nil
}

// free is done with what was fetched, and with all also with what was asked for
// in advance. It says how much memory that gives.
func (l *loader) free(all bool) (freed int64) {
	if l.decoder != nil {
		l.decoders.Put(l.decoder)
		l.decoder = nil
	}
	l.open, l.held = false, nil
	if all {
		l.budget.forget(l)
	}
	return l.cursor.free(all)
}

// close is for one that is not used any more.
func (l *loader) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free(true)
	if c, ok := l.cursor.(closer); ok {
		c.close()
	}
}

// spare implements keeper: what is left of an answer can be fetched again.
func (l *loader) spare(n need) int64 {
	if !l.mu.TryLock() {
		return 0
	}
	defer l.mu.Unlock()
	was := l.touched
	l.touched = l.touched && n != idle
	if n == unread || n == idle && was {
		return 0
	}
	return l.free(true)
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
	for bytes := 0; bytes < chunkBytes && c.Rows()+len(c.Bad)+len(c.BadValues) < chunkRows; {
		r := l.held
		if r == nil {
			rec, ok := l.cursor.next()
			if !ok {
				return l.ended(c)
			}
			l.heldRec = rec
			r = &l.heldRec
		}
		if l.held == nil && l.refused(c, r) {
			continue
		}
		l.held = nil
		bad, values, skipped := len(c.Bad), len(c.BadValues), l.decoder.Skipped()
		if err := l.decoder.Append(ctx, c.Chunk, r.Offset, r.Timestamp, r.Value); err != nil {
			l.held = r
			l.foresee(ctx, r.Offset, err)
			return fmt.Errorf("decode %s[%d] offset %d: %w", l.topic, l.partition, r.Offset, err)
		}
		c.Next = r.Offset + 1
		if l.decoder.Skipped() != skipped {
			c.Passed = append(c.Passed, r.Offset)
			bytes += len(r.Value) / 4 // it takes time, and no memory
			continue
		}
		bytes += len(r.Value)
		l.locate(c, r.Offset, bad, values)
	}
	return nil
}

// refused notes a record that the cursor knows to be bad.
func (l *loader) refused(c *chunk, r *source.Record) bool {
	j, ok := l.cursor.(judging)
	if !ok {
		return false
	}
	reason := j.judge()
	if reason == "" {
		return false
	}
	bad := len(c.Bad)
	c.Bad = append(c.Bad, record.Bad{Offset: r.Offset, Reason: reason})
	c.Next = r.Offset + 1
	l.locate(c, r.Offset, bad, len(c.BadValues))
	return true
}

// locate says of what was found bad just now where it is, where an offset alone
// does not.
func (l *loader) locate(c *chunk, offset int64, bad, values int) {
	if len(c.Bad) == bad && len(c.BadValues) == values {
		return
	}
	j, ok := l.cursor.(judging)
	if !ok {
		return
	}
	where := j.where(offset)
	if where == "" {
		return
	}
	for i := range c.Bad[bad:] {
		c.Bad[bad+i].Reason = where + ": " + c.Bad[bad+i].Reason
	}
	for i := range c.BadValues[values:] {
		c.BadValues[values+i].Reason = where + ": " + c.BadValues[values+i].Reason
	}
}

// foresee has the registry asked for the schema ids of the records behind one
// whose id is not known, once for what was fetched.
func (l *loader) foresee(ctx context.Context, at int64, err error) {
	ahead, ok := l.cursor.(foresight)
	if !ok || at < l.foreseen || !errors.As(err, new(*decode.UnknownIDError)) {
		return
	}
	l.decoder.Foresee(ctx, func(yield func([]byte) bool) {
		for r := range ahead.ahead(at + 1) {
			l.foreseen = r.Offset
			if !yield(r.Value) {
				return
			}
		}
	})
	l.foreseen = max(l.foreseen, at+1)
}

// ended is called when the cursor has no more records.
func (l *loader) ended(c *chunk) error {
	l.open = false
	next, err := l.cursor.ended(c.Next)
	if err != nil {
		return err
	}
	c.Next = max(c.Next, next)
	return nil
}
