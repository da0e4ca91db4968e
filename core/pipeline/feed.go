package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/source"
	"github.com/sluicekit/sluice/core/telemetry"
)

// feed is one lane's view of its slot's partitions. It implements lane.Feed,
// for one goroutine.
type feed struct {
	origin  origin
	topic   string
	first   int32
	parts   []*partition
	start   Start
	wait    chan struct{}
	account *account
	own     []*loader // per partition, made when the lane is behind
	turn    int       // whose turn it is first, so that none starves

	meter *telemetry.Lane
	shown bool // that it waits for something else than records
}

// Start is where a new sink begins.
type Start struct {
	Latest bool
	Time   time.Time // not zero: the first record at or after it
}

// String is the start as the YAML writes it.
func (s Start) String() string {
	switch {
	case !s.Time.IsZero():
		return s.Time.UTC().Format(time.RFC3339)
	case s.Latest:
		return "latest"
	}
	return "earliest"
}

func newFeed(o origin, topic string, first int32, parts []*partition, start Start, p *portion, meter *telemetry.Lane) *feed {
	wait := make(chan struct{}, 1)
	return &feed{origin: o, topic: topic, first: first, parts: parts, start: start, wait: wait, account: p.account(wait), own: make([]*loader, len(parts)), meter: meter}
}

// Next implements lane.Feed.
func (f *feed) Next(ctx context.Context, at, until []int64) (*lane.Chunk, error) {
	defer f.account.leave()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f.turn++
		behind := -1
		for k := range at {
			i := (k + f.turn) % len(at)
			if until != nil && at[i] >= until[i] {
				continue
			}
			c, wait, err := f.parts[i].take(f, at[i], until != nil)
			if err != nil {
				return nil, err
			}
			if !wait && c == nil {
				behind = i
				continue
			}
			f.drop(i) // caught up: its buffers are not needed any more
			if c != nil {
				f.show(nil)
				return f.lend(i, c), nil
			}
		}
		if until == nil && f.account.pressed() {
			return nil, lane.ErrPressed
		}
		if behind >= 0 {
			c, tried, err := f.load(ctx, behind, at[behind], until != nil)
			if err != nil {
				return nil, heldUp(err)
			}
			if c != nil {
				f.show(nil)
				return c, nil
			}
			if tried {
				continue
			}
			if until == nil && f.account.holds() {
				return nil, lane.ErrPressed
			}
		}
		if until == nil {
			if err := f.through(at); err != nil {
				return nil, err
			}
		}
		f.show(f.troubles(at, until))
		select {
		case <-ctx.Done():
		case <-f.wait:
		case <-f.again():
		}
	}
}

// load reads for this lane alone. nil: nothing has come, or if it was not tried
// there is no room.
func (f *feed) load(ctx context.Context, i int, at int64, must bool) (c *lane.Chunk, tried bool, err error) {
	if f.own[i] == nil {
		f.own[i] = f.parts[i].lone()
	}
	l := f.own[i]
	if !f.account.borrow(2*max(l.largest, chunkBytes), must) {
		return nil, false, nil
	}
	got, err := l.load(ctx, at)
	if got == nil {
		f.account.repay()
		return nil, true, err
	}
	f.parts[i].seen(l.cursor.high())
	return f.lend(i, got), true, nil
}

// drop forgets the loader of one partition.
func (f *feed) drop(i int) {
	if f.own[i] != nil {
		f.own[i].close()
		f.own[i] = nil
	}
}

func (f *feed) lend(i int, c *chunk) *lane.Chunk {
	return &lane.Chunk{Index: i, Chunk: c.Chunk, Release: func() {
		f.account.repay()
		c.release()
	}}
}

// Start implements lane.Feed.
func (f *feed) Start(ctx context.Context, record lane.RecordState) ([]int64, error) {
	out := make([]int64, len(f.parts))
	for i := range out {
		at := source.Earliest
		switch {
		case record == lane.Grown: // new partitions are part of the stream from their beginning
		case !f.start.Time.IsZero():
			at = source.AtTime(f.start.Time)
		case f.start.Latest:
			at = source.Latest
		}
		o, err := f.origin.Offsets(ctx, f.topic, f.first+int32(i), at)
		if err != nil {
			return nil, fmt.Errorf("offset of %s[%d] for start %s: %w", f.topic, f.first+int32(i), f.start, err)
		}
		out[i] = o
	}
	return out, nil
}

// Raw implements lane.Feed.
func (f *feed) Raw(ctx context.Context, i int, offsets []int64) ([]lane.Letter, error) {
	return f.parts[i].lone().cursor.raw(ctx, offsets)
}

// High implements lane.Feed.
func (f *feed) High() []int64 {
	out := make([]int64, len(f.parts))
	for i, p := range f.parts {
		out[i] = p.highWatermark()
	}
	return out
}

// close forgets the lane in all partitions.
func (f *feed) close() {
	for i, p := range f.parts {
		p.leave(f)
		f.drop(i)
	}
}
