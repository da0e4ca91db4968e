package lane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/telemetry"
)

// GapError says that records which the sink has not seen are gone.
type GapError struct {
	Topic     string
	Partition int32
	First     int64 // the position
	Next      int64 // the first record that is left
}

func (e *GapError) Error() string {
	return fmt.Sprintf("records %s[%d] [%d,%d) are gone from the topic before this sink has read them", e.Topic, e.Partition, e.First, e.Next)
}

// TruncatedError says that the log ends below the position.
type TruncatedError struct {
	Topic         string
	Partition     int32
	Position, End int64
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("%s[%d] ends at %d, below the sink's position %d: records were truncated, or the topic is another one", e.Topic, e.Partition, e.End, e.Position)
}

// cutting is what a lane gathers for one cut. Its memory is used again.
type cutting struct {
	c         *Config
	projector *plan.Projector
	grouper   *plan.Grouper
	rows      *record.Chunk // of one chunk, projected
	grouped   *record.Chunk
	bad       badList
	judged    map[record.Dead]string // reasons of what the destination refused

	at       []int64 // read up to here
	appended int     // rows that the writer has been given
	taken    int     // rows selected (of a grouped cut: before grouping)
	filtered int
	read     int // records, bad ones included
	held     int64
	opened   time.Time        // when the first record was read
	began    time.Time        // when Stage began
	stamps   telemetry.Stamps // of the records, for the delay
	surveyed bool             // read for its bad records only: not to be counted
}

func (t *cutting) init(c *Config) {
	t.c = c
	t.judged = map[record.Dead]string{}
}

// prepare makes what needs the plan; its error is a mistake of ours.
func (t *cutting) prepare() error {
	if t.projector != nil {
		return nil
	}
	p, err := t.c.Plan.NewProjector(t.c.Have)
	if err != nil {
		return fmt.Errorf("bind the fields of %s: %w", t.c.ID, err)
	}
	t.projector = p
	t.rows = record.NewChunk(t.c.Plan.Rows())
	if t.c.Plan.Grouped() {
		t.grouper = t.c.Plan.NewGrouper()
		t.grouped = record.NewChunk(t.c.Plan.Schema())
	}
	return nil
}

// reset forgets a cut: the writer that held its rows is gone.
func (t *cutting) reset() {
	t.at, t.appended, t.taken, t.filtered, t.read, t.held = nil, 0, 0, 0, 0, 0
	t.opened = time.Time{}
	t.stamps.Reset()
	t.surveyed = false
	t.bad.reset()
	if t.grouper != nil {
		t.grouper.Reset()
	}
}

func (t *cutting) blame(r sink.RowError) {
	t.judged[record.Dead{Partition: r.Partition, Offset: r.Offset}] = r.Reason
}

// read performs Read: it appends rows until the cut is full, or up to its
// fixed end.
func (l *Lane) read(ctx context.Context, e *Effect) Event {
	t := &l.cut
	if err := t.prepare(); err != nil {
		return l.failure("read", e.Cut, err)
	}
	t.reset()
	n := e.Cut.First.Len()
	var until []int64
	if e.Fixed {
		until = e.Cut.Next.Offsets()
		n = len(until)
		l.c.Meter.Repeats.Add(1)
		l.c.Log.Info("repeating a pending batch", "batch", l.toCut(e.Cut).String(), "since", l.since)
	} else {
		l.commits, l.since = 0, time.Time{}
	}
	t.at = e.Cut.First.Offsets()[:n]
	dead := e.Cut.Dead
	for !l.full(until) {
		chunk, err := l.next(ctx, until)
		if errors.Is(err, errAged) {
			break
		}
		if err != nil {
			return l.unread(e, err)
		}
		halt, event := l.take(ctx, e, chunk, until, &dead)
		chunk.Release()
		if event != nil {
			return *event
		}
		if halt {
			break
		}
	}
	return l.fill(ctx, e, dead)
}

// full says that the cut ends here.
func (l *Lane) full(until []int64) bool {
	t := &l.cut
	if until != nil {
		for i := range until {
			if t.at[i] < until[i] {
				return false
			}
		}
		return true
	}
	if t.taken > 0 && l.c.Budget != nil && l.c.Budget.Full() {
		return true
	}
	b := l.c.Batch
	return b.Rows > 0 && t.taken >= b.Rows || b.Bytes > 0 && t.held >= int64(b.Bytes)
}

var errAged = errors.New("the batch has reached its age")

// next waits for a chunk, for as long as the age of the batch allows.
func (l *Lane) next(ctx context.Context, until []int64) (*Chunk, error) {
	t := &l.cut
	if until != nil || t.opened.IsZero() || l.c.Batch.Age <= 0 {
		return l.c.Feed.Next(ctx, t.at, until)
	}
	left := l.c.Batch.Age - time.Since(t.opened)
	if left <= 0 {
		return nil, errAged
	}
	own, cancel := context.WithTimeoutCause(ctx, left, errAged)
	defer cancel()
	c, err := l.c.Feed.Next(own, t.at, until)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(own), errAged) {
		return nil, errAged
	}
	return c, err
}

// unread turns an error of the feed into the answer.
func (l *Lane) unread(e *Effect, err error) Event {
	var gap *GapError
	var cut *TruncatedError
	switch {
	case errors.As(err, &gap):
		l.cause = err
		return Event{Kind: Halted, Reason: Gap}
	case errors.As(err, &cut):
		l.cause = err
		return Event{Kind: Halted, Reason: Truncated}
	}
	return l.failure("read", e.Cut, err)
}

// take projects a chunk and hands its rows to the writer. halt: the cut must
// end at t.at. An event ends the reading altogether.
func (l *Lane) take(ctx context.Context, e *Effect, c *Chunk, until []int64, dead *DeadSet) (halt bool, _ *Event) {
	t := &l.cut
	first, next := t.at[c.Index], c.Next
	if until != nil {
		next = min(next, until[c.Index])
	}
	if t.opened.IsZero() {
		t.opened = time.Now()
	}
	known := e.Cut.Dead.of(c.Index)
	next, short := l.room(e, known, first, next, *dead)
	next, halt, event := l.judge(e, c, first, next, known, dead)
	if event != nil {
		return false, event
	}
	halt = halt || short
	isDead := func(o int64) bool { _, ok := slices.BinarySearch(known, o); return ok }
	t.rows.Reset()
	filtered, err := t.projector.Project(t.rows, c.Chunk, first, next, isDead)
	if err != nil {
		ev := l.failure("project", e.Cut, err)
		return false, &ev
	}
	if len(t.rows.Bad) > 0 && l.c.Letters == nil && !e.Fixed {
		// on_bad_record: stop. Everything before it is committed first.
		b := t.rows.Bad[0]
		next, halt = b.Offset, true
		if l.nothing(e) && next == first {
			ev := l.badRecord(c.Index, b)
			return false, &ev
		}
		t.rows.Reset()
		if filtered, err = t.projector.Project(t.rows, c.Chunk, first, next, isDead); err != nil {
			ev := l.failure("project", e.Cut, err)
			return false, &ev
		}
	}
	if room := l.c.Batch.Rows - t.taken; !e.Fixed && l.c.Batch.Rows > 0 && t.rows.Rows() > room {
		// The rest of the chunk is the next cut's.
		next, halt = t.rows.Offsets[room-1]+1, true
		t.rows.Reset()
		if filtered, err = t.projector.Project(t.rows, c.Chunk, first, next, isDead); err != nil {
			ev := l.failure("project", e.Cut, err)
			return false, &ev
		}
	}
	t.count(c, first, next, filtered, known)
	for _, b := range t.rows.Bad {
		t.bad.add(c.Index, b)
	}
	for _, o := range known {
		if o >= first && o < next {
			t.bad.add(c.Index, record.Bad{Offset: o, Reason: t.reasonOf(c.Partition, o)})
		}
	}
	t.at[c.Index] = next
	if ev := l.hand(ctx, e); ev != nil {
		return false, ev
	}
	return halt, nil
}

// room ends a free cut before the record that would be one too many for its
// dead set.
func (l *Lane) room(e *Effect, known []int64, first, next int64, dead DeadSet) (int64, bool) {
	if e.Fixed {
		return next, false
	}
	n := dead.within(l.cut.at, e.Cut.First).Len()
	for _, o := range known {
		if o < first || o >= next {
			continue
		}
		if n == record.MaxDead {
			return o, true
		}
		n++
	}
	return next, false
}

// judge looks at the records that could not be decoded. It may bring next
// down, to end the cut before a record that must not be in it.
func (l *Lane) judge(e *Effect, c *Chunk, first, next int64, known []int64, dead *DeadSet) (int64, bool, *Event) {
	t := &l.cut
	for _, b := range c.Bad {
		if b.Offset < first || b.Offset >= next {
			continue
		}
		if _, ok := slices.BinarySearch(known, b.Offset); ok {
			continue // it is listed, and counted there
		}
		switch {
		case e.Fixed && b.Outside:
			// It was fine when the cut was fixed.
			ev := l.badRecord(c.Index, b)
			return 0, false, &ev
		case !e.Fixed && l.c.Letters == nil:
			if b.Offset == first && l.nothing(e) {
				ev := l.badRecord(c.Index, b)
				return 0, false, &ev
			}
			return b.Offset, true, nil
		case b.Outside:
			if dead.within(t.at, e.Cut.First).Len() >= record.MaxDead {
				return b.Offset, true, nil
			}
			*dead = dead.With(Deads(record.Dead{Partition: int32(c.Index), Offset: b.Offset}))
		}
		t.bad.add(c.Index, b)
	}
	return next, false, nil
}

// nothing says that the cut would be empty.
func (l *Lane) nothing(e *Effect) bool {
	for i, o := range l.cut.at {
		if o > e.Cut.First.At(i) {
			return false
		}
	}
	return true
}

func (l *Lane) badRecord(index int, b record.Bad) Event {
	l.cause = fmt.Errorf("record %s[%d] offset %d: %s", l.c.Claim.Topic, int(l.c.Claim.Partition)+index, b.Offset, b.Reason)
	return Event{Kind: Halted, Reason: BadRecord}
}

// hand gives the projected rows to the writer, or to the groups.
func (l *Lane) hand(ctx context.Context, e *Effect) *Event {
	t := &l.cut
	n := t.rows.Rows()
	if n == 0 {
		return nil
	}
	t.taken += n
	if t.grouper != nil {
		if err := t.grouper.Add(t.rows); err != nil {
			l.cause = fmt.Errorf("aggregate %s: %w", l.c.ID, err)
			return &Event{Kind: Halted, Reason: BadRecord}
		}
		t.held = t.grouper.Size()
	} else {
		size, err := l.writer.Append(ctx, t.rows)
		if err != nil {
			ev := l.failure("append", Cut{}, err)
			return &ev
		}
		t.appended += n
		t.held = size
	}
	l.hold(t.held)
	return nil
}

// fill ends the cut: grouped rows are handed over, and the cut is described.
func (l *Lane) fill(ctx context.Context, e *Effect, dead DeadSet) Event {
	t := &l.cut
	if t.bad.count() > 0 && l.c.Letters == nil {
		// Fixed under dead_letter, repeated under stop.
		l.cause = fmt.Errorf("%s holds %d records for the dead letters, and on_bad_record is stop now", l.toCut(e.Cut), t.bad.count())
		return Event{Kind: Halted, Reason: BadRecord}
	}
	if t.grouper != nil && t.taken > 0 {
		t.grouped.Reset()
		if err := t.grouper.Emit(t.grouped); err != nil {
			// A sum that does not fit is no record's fault.
			l.cause = fmt.Errorf("aggregate %s: %w", l.c.ID, err)
			return Event{Kind: Halted, Reason: BadRecord}
		}
		if t.grouped.Rows() > 0 {
			if _, err := l.writer.Append(ctx, t.grouped); err != nil {
				return l.failure("append", e.Cut, err)
			}
			t.appended = t.grouped.Rows()
		}
	}
	c := Cut{First: Vec(e.Cut.First.Offsets()[:len(t.at)]...), Next: Vec(t.at...), Rows: t.appended > 0, Letters: t.bad.count() > 0}
	if e.Fixed {
		c.Dead = e.Cut.Dead
	} else {
		c.Dead = dead.within(t.at, e.Cut.First)
	}
	return Event{Kind: Filled, Cut: c}
}

func (t *cutting) reasonOf(partition int32, offset int64) string {
	if r := t.judged[record.Dead{Partition: partition, Offset: offset}]; r != "" {
		return r
	}
	return "refused by the destination when the batch was first committed"
}

// count keeps the books: read = taken + filtered + bad.
func (t *cutting) count(c *Chunk, first, next int64, filtered int, known []int64) {
	t.filtered += filtered
	t.read += filtered + t.rows.Rows() + len(t.rows.Bad)
	for _, b := range c.Bad {
		if b.Offset >= first && b.Offset < next {
			t.read++
		}
	}
	for _, o := range known {
		if o >= first && o < next && !slices.ContainsFunc(c.Bad, func(b record.Bad) bool { return b.Offset == o }) {
			t.read++
		}
	}
	for _, ms := range t.rows.Times {
		t.stamps.Add(ms * 1000)
	}
}
