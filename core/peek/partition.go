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

// place names a partition.
type place struct {
	topic  string
	number int32
}

// partition is one that is read: what was fetched last and is not shown yet.
type partition struct {
	place
	origin    Origin
	cursor    cursor
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

func newPartition(o Options, at place, wait time.Duration) (*partition, error) {
	p := &partition{origin: o.Origin, cursor: o.Origin.cursor(at.topic, at.number, wait), place: at}
	var err error
	if p.decoder, err = o.Events.NewDecoder(o.Plan.Wants()); err != nil {
		return nil, err
	}
	if p.projector, err = o.Plan.NewProjector(o.Plan.Wants()); err != nil {
		return nil, err
	}
	p.events, p.rows = record.NewChunk(p.decoder.Schema()), record.NewChunk(o.Plan.Rows())
	return p, nil
}

// begin finds out where to start and where the partition ends now.
func (p *partition) begin(ctx context.Context, from From) error {
	first, err := p.origin.Offsets(ctx, p.topic, p.number, source.Earliest)
	if err != nil {
		return err
	}
	if p.end, err = p.origin.Offsets(ctx, p.topic, p.number, source.Latest); err != nil {
		return err
	}
	switch {
	case from.Last > 0:
		p.next = max(first, p.end-from.Last)
	case from.Offset != nil:
		p.next = *from.Offset
		if p.next < first {
			p.warning = fmt.Errorf("%s[%d] begins at offset %d: [%d,%d) is gone", p.topic, p.number, first, p.next, first)
			p.next = first
		}
		if p.next > p.end {
			p.warning = fmt.Errorf("%s[%d] ends before offset %d, at %d", p.topic, p.number, p.next, p.end)
			p.next = p.end
		}
	default:
		if p.next, err = p.origin.Offsets(ctx, p.topic, p.number, from.Position); err != nil {
			return err
		}
	}
	p.ended, p.whole = p.next >= p.end, p.next <= first
	return nil
}

// has says whether something is left to show.
func (p *partition) has() bool { return p.row < p.rows.Rows() || p.bad < len(p.rows.Bad) }

// badNext says whether the next record is a rejected one.
func (p *partition) badNext() bool {
	return p.bad < len(p.rows.Bad) && (p.row >= p.rows.Rows() || p.rows.Bad[p.bad].Offset < p.rows.Offsets[p.row])
}

// time is the timestamp of the next record, in milliseconds.
func (p *partition) time() int64 {
	if p.badNext() {
		return p.badTimes[p.bad]
	}
	return p.rows.Times[p.row]
}

// take returns the next record, the one with the lower offset.
func (p *partition) take() Record {
	r := Record{Topic: p.topic, Partition: p.number}
	r.Time = time.UnixMilli(p.time()).UTC()
	if p.badNext() {
		b := p.rows.Bad[p.bad]
		p.bad++
		r.Offset, r.Reason = b.Offset, b.Reason
		return r
	}
	r.Offset, r.Rows, r.Row = p.rows.Offsets[p.row], p.rows, p.row
	p.row++
	return r
}

// fetch asks for what comes next, decodes and projects it. It waits for patience
// when something is in the way.
func (p *partition) fetch(ctx context.Context) error {
	p.rows.Reset()
	p.row, p.bad = 0, 0
	deadline := time.Now().Add(patience)
	for {
		err := p.try(ctx)
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

func (p *partition) try(ctx context.Context) error {
	err := p.cursor.Fetch(ctx, p.next)
	if next, gone := goneTo(err, p.next); gone {
		p.warning = fmt.Errorf("%s[%d]: [%d,%d) is gone", p.topic, p.number, p.next, next)
		p.next = next
		p.ended = p.next >= p.end
		return nil
	}
	if err != nil {
		return err
	}
	first := p.next
	p.events.Reset()
	p.events.Partition, p.events.First, p.events.Next = p.number, first, first
	p.badTimes = p.badTimes[:0]
	if err := p.decode(ctx); err != nil {
		return err
	}
	p.next = p.events.Next
	p.ended = p.next >= max(p.end, p.cursor.End())
	if err := p.stuck(first); err != nil {
		return err
	}
	filtered, err := p.projector.Project(p.rows, p.events, first, p.next, nil)
	if err != nil {
		return err
	}
	p.merge()
	p.filtered += int64(filtered)
	p.read += int64(p.events.Rows() + len(p.events.Bad))
	return nil
}

// decode takes the records that were fetched into events.
func (p *partition) decode(ctx context.Context) error {
	for {
		r, ok := p.cursor.Next()
		if !ok {
			break
		}
		if bad := p.verdict(); bad != "" {
			p.events.Bad = append(p.events.Bad, record.Bad{Offset: r.Offset, Reason: bad})
		} else if err := p.decoder.Append(ctx, p.events, r.Offset, r.Timestamp, r.Value); err != nil {
			if errors.Is(err, decode.ErrFull) && p.events.Next > p.events.First {
				return nil
			}
			return fmt.Errorf("decode %s[%d] offset %d: %w", p.topic, p.number, r.Offset, err)
		}
		p.events.Next = r.Offset + 1
		if len(p.badTimes) < len(p.events.Bad) {
			p.badTimes = append(p.badTimes, r.Timestamp)
		}
	}
	next, err := p.cursor.Ended(p.events.Next)
	if err != nil && p.events.Next == p.events.First {
		return fmt.Errorf("read %s[%d] at offset %d: %w", p.topic, p.number, p.events.First, err)
	}
	if err == nil {
		p.events.Next = max(p.events.Next, next)
	}
	return nil
}

// verdict is why the latest record cannot be read, "" if it can be tried.
func (p *partition) verdict() string {
	if j, ok := p.cursor.(judge); ok {
		return j.Verdict()
	}
	return ""
}

// stuck gives up on a partition whose end cannot be reached.
func (p *partition) stuck(first int64) error {
	switch {
	case p.ended || p.next > first:
		p.idle = time.Time{}
	case p.idle.IsZero():
		p.idle = time.Now()
	case time.Since(p.idle) > patience:
		return fmt.Errorf("read %s[%d]: nothing comes at offset %d, though it ends at %d", p.topic, p.number, p.next, p.end)
	}
	return nil
}

// merge joins what could not be decoded with what could not be projected, in
// the order of the offsets.
func (p *partition) merge() {
	decoded, projected := p.events.Bad, p.rows.Bad
	if len(decoded)+len(projected) == 0 {
		return
	}
	times := p.badTimes
	p.rows.Bad, p.badTimes = nil, nil
	for len(decoded)+len(projected) > 0 {
		if len(projected) == 0 || len(decoded) > 0 && decoded[0].Offset < projected[0].Offset {
			p.rows.Bad, p.badTimes = append(p.rows.Bad, decoded[0]), append(p.badTimes, times[0])
			decoded, times = decoded[1:], times[1:]
			continue
		}
		row, _ := slices.BinarySearch(p.events.Offsets, projected[0].Offset)
		p.rows.Bad, p.badTimes = append(p.rows.Bad, projected[0]), append(p.badTimes, p.events.Times[row])
		projected = projected[1:]
	}
}
