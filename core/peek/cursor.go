package peek

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/source"
)

// cursor reads one partition: what was fetched last and is not shown yet.
type cursor struct {
	origin    Origin
	reader    reader
	topic     string
	partition int32
	decoder   *decode.Decoder
	projector *plan.Projector
	events    *record.Chunk // decoded
	rows      *record.Chunk // projected; its Bad are all that is rejected
	badTimes  []int64       // per entry of events.Bad, then of rows.Bad: its timestamp, milliseconds

	next     int64 // offset to fetch from
	end      int64 // where the partition ended when Run began
	ended    bool  // nothing was there to be had when it was last asked
	row, bad int   // next of each to show
	whole    bool  // it began at the partition's beginning
	warning  error // something odd that is to be told once

	idle           time.Time // since when nothing came though the end is not reached
	read, filtered int64
}

// patience is how long a partition waits for what should be there: a schema
// that the registry does not have yet, a leader that moves.
const patience = 20 * time.Second

func newCursor(o Options, topic string, partition int32) (*cursor, error) {
	c := &cursor{origin: o.Origin, reader: o.Origin.reader(topic, partition), topic: topic, partition: partition}
	var err error
	if c.decoder, err = o.Events.NewDecoder(o.Plan.Wants()); err != nil {
		return nil, err
	}
	if c.projector, err = o.Plan.NewProjector(o.Plan.Wants()); err != nil {
		return nil, err
	}
	c.events, c.rows = record.NewChunk(c.decoder.Schema()), record.NewChunk(o.Plan.Rows())
	return c, nil
}

// begin finds out where to start and where the partition ends now.
func (c *cursor) begin(ctx context.Context, from From) error {
	first, err := c.origin.Offsets(ctx, c.topic, c.partition, source.Earliest)
	if err != nil {
		return err
	}
	if c.end, err = c.origin.Offsets(ctx, c.topic, c.partition, source.Latest); err != nil {
		return err
	}
	switch {
	case from.Last > 0:
		c.next = max(first, c.end-from.Last)
	case from.Offset != nil:
		c.next = *from.Offset
		if c.next < first {
			c.warning = fmt.Errorf("%s[%d] begins at offset %d: [%d,%d) is gone", c.topic, c.partition, first, c.next, first)
			c.next = first
		}
		if c.next > c.end {
			c.warning = fmt.Errorf("%s[%d] ends before offset %d, at %d", c.topic, c.partition, c.next, c.end)
			c.next = c.end
		}
	default:
		if c.next, err = c.origin.Offsets(ctx, c.topic, c.partition, from.Position); err != nil {
			return err
		}
	}
	c.ended, c.whole = c.next >= c.end, c.next <= first
	return nil
}

// has says whether something is left to show.
func (c *cursor) has() bool { return c.row < c.rows.Rows() || c.bad < len(c.rows.Bad) }

// badNext says whether the next record is a rejected one.
func (c *cursor) badNext() bool {
	return c.bad < len(c.rows.Bad) && (c.row >= c.rows.Rows() || c.rows.Bad[c.bad].Offset < c.rows.Offsets[c.row])
}

// time is the timestamp of the next record, in milliseconds.
func (c *cursor) time() int64 {
	if c.badNext() {
		return c.badTimes[c.bad]
	}
	return c.rows.Times[c.row]
}

// take returns the next record, the one with the lower offset.
func (c *cursor) take() Record {
	r := Record{Topic: c.topic, Partition: c.partition}
	r.Time = time.UnixMilli(c.time()).UTC()
	if c.badNext() {
		b := c.rows.Bad[c.bad]
		c.bad++
		r.Offset, r.Reason = b.Offset, b.Reason
		return r
	}
	r.Offset, r.Rows, r.Row = c.rows.Offsets[c.row], c.rows, c.row
	c.row++
	return r
}

// fetch asks for what comes next, decodes and projects it. It waits no longer
// than wait for records that are not there, and for patience when something is
// in the way.
func (c *cursor) fetch(ctx context.Context, wait time.Duration) error {
	c.rows.Reset()
	c.row, c.bad = 0, 0
	deadline := time.Now().Add(patience)
	for {
		err := c.try(ctx, wait)
		if err == nil || ctx.Err() != nil || !passes(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// passes says whether an error may pass by itself.
func passes(err error) bool {
	var gone *source.OutOfRangeError
	var batch *source.BatchError
	var kafka *source.KafkaError
	switch {
	case errors.As(err, &gone), errors.As(err, &batch):
		return false
	case errors.As(err, &kafka):
		return kafka.Retriable()
	}
	return true
}

func (c *cursor) try(ctx context.Context, wait time.Duration) error {
	end, err := c.reader.fetch(ctx, c.next, wait)
	var gone *goneError
	if errors.As(err, &gone) {
		c.warning = fmt.Errorf("%s[%d]: [%d,%d) is gone", c.topic, c.partition, c.next, gone.next)
		c.next = gone.next
		c.ended = c.next >= c.end
		return nil
	}
	if err != nil {
		return err
	}
	first := c.next
	c.events.Reset()
	c.events.Partition, c.events.First, c.events.Next = c.partition, first, first
	c.badTimes = c.badTimes[:0]
	if err := c.decode(ctx); err != nil {
		return err
	}
	c.next = c.events.Next
	c.ended = c.next >= max(c.end, end)
	if err := c.stuck(first); err != nil {
		return err
	}
	filtered, err := c.projector.Project(c.rows, c.events, first, c.next, nil)
	if err != nil {
		return err
	}
	c.merge()
	c.filtered += int64(filtered)
	c.read += int64(c.events.Rows() + len(c.events.Bad))
	return nil
}

// decode takes the records that were fetched into events.
func (c *cursor) decode(ctx context.Context) error {
	for {
		r, bad, ok := c.reader.next()
		if !ok {
			break
		}
		if bad != "" {
			c.events.Bad = append(c.events.Bad, record.Bad{Offset: r.Offset, Reason: bad})
		} else if err := c.decoder.Append(ctx, c.events, r.Offset, r.Timestamp, r.Value); err != nil {
			if errors.Is(err, decode.ErrFull) && c.events.Next > c.events.First {
				return nil
			}
			return fmt.Errorf("decode %s[%d] offset %d: %w", c.topic, c.partition, r.Offset, err)
		}
		c.events.Next = r.Offset + 1
		if len(c.badTimes) < len(c.events.Bad) {
			c.badTimes = append(c.badTimes, r.Timestamp)
		}
	}
	next, err := c.reader.ended(c.events.Next)
	if err != nil && c.events.Next == c.events.First {
		return fmt.Errorf("read %s[%d] at offset %d: %w", c.topic, c.partition, c.events.First, err)
	}
	if err == nil {
		c.events.Next = max(c.events.Next, next)
	}
	return nil
}

// stuck gives up on a partition whose end cannot be reached.
func (c *cursor) stuck(first int64) error {
	switch {
	case c.ended || c.next > first:
		c.idle = time.Time{}
	case c.idle.IsZero():
		c.idle = time.Now()
	case time.Since(c.idle) > patience:
		return fmt.Errorf("read %s[%d]: nothing comes at offset %d, though it ends at %d", c.topic, c.partition, c.next, c.end)
	}
	return nil
}

// merge joins what could not be decoded with what could not be projected, in
// the order of the offsets.
func (c *cursor) merge() {
	decoded, projected := c.events.Bad, c.rows.Bad
	if len(decoded)+len(projected) == 0 {
		return
	}
	times := c.badTimes
	c.rows.Bad, c.badTimes = nil, nil
	for len(decoded)+len(projected) > 0 {
		if len(projected) == 0 || len(decoded) > 0 && decoded[0].Offset < projected[0].Offset {
			c.rows.Bad, c.badTimes = append(c.rows.Bad, decoded[0]), append(c.badTimes, times[0])
			decoded, times = decoded[1:], times[1:]
			continue
		}
		row, _ := slices.BinarySearch(c.events.Offsets, projected[0].Offset)
		c.rows.Bad, c.badTimes = append(c.rows.Bad, projected[0]), append(c.badTimes, c.events.Times[row])
		projected = projected[1:]
	}
}
