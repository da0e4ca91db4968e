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

// cutting is what a lane gathers for one cut. Its memory is used again.
type cutting struct {
	c *Config
	*desk
	desks   *Desks
	grouper *plan.Grouper // nil until a cut begins, and where the plan has no aggregate
	bad     badList
	judged  map[record.Dead]string // reasons of what the destination refused

	at       []int64 // read up to here
	appended int     // rows that the writer has been given
	taken    int     // rows selected (of a grouped cut: before grouping)
	filtered int
	read     int // records, bad ones included
	held     int64
	opened   time.Time        // when the first record was read
	began    time.Time        // when Stage began
	stamps   telemetry.Stamps // of the records, for the delay
	events   telemetry.Stamps // of the events' own times
	newest   int64            // the largest of them, microseconds; 0: none
	timeCol  int              // the column of decoded chunks with the event's time, -1: no sink wants it
	surveyed bool             // read for its bad records only: not to be counted
}

func (t *cutting) init(c *Config) {
	t.c = c
	t.judged = map[record.Dead]string{}
	if t.desks = c.Desks; t.desks == nil {
		t.desks = &Desks{}
	}
	t.timeCol = slices.IndexFunc(c.Have, func(w record.Want) bool {
		return w.Path.String() == "time" && w.Type.Kind == record.Timestamp
	})
}

// reset forgets a cut: the writer that held its rows is gone.
func (t *cutting) reset() {
	t.at, t.appended, t.taken, t.filtered, t.read, t.held = nil, 0, 0, 0, 0, 0
	t.opened = time.Time{}
	t.newest = 0
	t.stamps.Reset()
	t.events.Reset()
	t.surveyed = false
	t.bad.reset()
	if t.grouper != nil {
		t.desks.keepGrouper(t.grouper)
		t.grouper = nil
	}
}

// blame notes why the destination refuses a row; false where that was known.
func (t *cutting) blame(r sink.RowError) bool {
	_, known := t.judged[record.Dead{Partition: r.Partition, Offset: r.Offset}]
	t.judged[record.Dead{Partition: r.Partition, Offset: r.Offset}] = r.Reason
	return !known
}

// read performs Read: it appends rows until the cut is full, or up to its
// fixed end.
func (l *Lane) read(ctx context.Context, e *Effect) Event {
	t := &l.cut
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
	if err := l.prime(ctx, e.Cut.First); err != nil {
		return l.failure("look back before", e.Cut, err)
	}
	l.flood.rewind(e.Cut.First)
	t.at = e.Cut.First.Offsets()[:n]
	dead := e.Cut.Dead
	for !l.full(until) {
		chunk, err := l.next(ctx, until)
		if errors.Is(err, errAged) || errors.Is(err, ErrPressed) {
			break
		}
		if err != nil {
			if !e.Fixed && Vec(t.at...) != e.Cut.First && isFinal(err) {
				break // what was read before it is committed first
			}
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

// maxLetters ends a cut: a flood of bad records must not gather in memory.
const maxLetters = 10_000

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
	if t.bad.count() >= maxLetters {
		return true
	}
	return b.Rows > 0 && t.taken >= b.Rows || b.Bytes > 0 && t.held >= int64(b.Bytes)
}

var errAged = errors.New("the batch has reached its age")

// next waits for a chunk, for as long as the age of the batch allows.
func (l *Lane) next(ctx context.Context, until []int64) (*Chunk, error) {
	c, err := l.wanted(ctx, until)
	if !errors.Is(err, ErrComplete) {
		return c, err
	}
	if !l.cut.opened.IsZero() {
		return nil, errAged
	}
	<-ctx.Done() // all is settled; who reads no more is told to end
	return nil, ctx.Err()
}

func (l *Lane) wanted(ctx context.Context, until []int64) (*Chunk, error) {
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
	var bad *UnreadableError
	switch {
	case errors.As(err, &gap):
		l.cause = err
		return Event{Kind: Halted, Reason: Gap, Cut: Cut{Next: l.behind(e.Cut.First, gap)}}
	case errors.As(err, &bad):
		l.cause = err
		return Event{Kind: Halted, Reason: Unreadable}
	case errors.As(err, &cut):
		l.cause = err
		return Event{Kind: Halted, Reason: Truncated}
	}
	return l.failure("read", e.Cut, err)
}

// behind is the position behind a gap.
func (l *Lane) behind(first Vector, gap *GapError) Vector {
	at := first.Offsets()
	if i := int(gap.Partition - l.c.Claim.Partition); i >= 0 && i < len(at) {
		at[i] = max(at[i], gap.Next)
	}
	return Vec(at...)
}

// take projects a chunk and hands its rows to the writer. halt: the cut must
// end at t.at. An event ends the reading altogether.
func (l *Lane) take(ctx context.Context, e *Effect, c *Chunk, until []int64, dead *DeadSet) (halt bool, _ *Event) {
	t := &l.cut
	if err := t.sit(); err != nil {
		ev := l.failure("read", e.Cut, err)
		return false, &ev
	}
	defer t.rise()
	first, next := t.at[c.Index], c.Next
	if until != nil {
		next = min(next, until[c.Index])
	}
	if t.opened.IsZero() {
		t.opened = time.Now()
	}
	known := e.Cut.Dead.of(c.Index)
	next, halt, event := l.bound(e, c, first, next, known, *dead)
	if event != nil {
		return false, event
	}
	filtered, err := l.project(c, first, next, known)
	if err == nil && len(t.rows.Bad) > 0 && l.c.Letters == nil && !e.Fixed {
		// on_bad_record: stop. Everything before it is committed first.
		bad := t.rows.Bad[0]
		if bad.Offset == first && l.nothing(e) {
			ev := l.badRecord(c.Index, bad)
			return false, &ev
		}
		next, halt = bad.Offset, true
		filtered, err = l.project(c, first, next, known)
	}
	if room := l.c.Batch.Rows - t.taken; err == nil && !e.Fixed && l.c.Batch.Rows > 0 && t.rows.Rows() > room {
		// The rest of the chunk is the next cut's.
		next, halt = t.rows.Offsets[room-1]+1, true
		filtered, err = l.project(c, first, next, known)
	}
	if err != nil {
		ev := l.failure("project", e.Cut, err)
		return false, &ev
	}
	l.gather(e, c, first, next, known, dead)
	if ev := l.flooded(e, c.Index, first, next); ev != nil {
		return false, ev
	}
	t.count(c, first, next, filtered, known)
	t.at[c.Index] = next
	if ev := l.hand(ctx, e); ev != nil {
		return false, ev
	}
	return halt, nil
}

// project fills t.rows with the rows of [first, next).
func (l *Lane) project(c *Chunk, first, next int64, known []int64) (filtered int, err error) {
	t := &l.cut
	t.rows.Reset()
	return t.projector.Project(t.rows, c.Chunk, first, next, func(o int64) bool { return listed(known, o) })
}

// listed says whether an offset is one of an ascending list.
func listed(known []int64, offset int64) bool {
	_, ok := slices.BinarySearch(known, offset)
	return ok
}

// bound looks at the records of a chunk that are listed in the dead set or
// could not be decoded, and ends the cut before one that must not be in it: the
// first bad one where on_bad_record is stop, the one too many for the dead set.
func (l *Lane) bound(e *Effect, c *Chunk, first, next int64, known []int64, dead DeadSet) (int64, bool, *Event) {
	inDead := dead.within(l.cut.at, e.Cut.First).Len()
	k, _ := slices.BinarySearch(known, first)
	for i := 0; i <= len(c.Bad); i++ {
		b := record.Bad{Offset: next} // ends the list
		if i < len(c.Bad) {
			b = c.Bad[i]
		}
		if b.Offset < first {
			continue
		}
		for ; k < len(known) && known[k] < min(b.Offset, next); k++ {
			if !e.Fixed && inDead == record.MaxDead {
				return known[k], true, nil
			}
			inDead++
		}
		switch {
		case b.Offset >= next:
			return next, false, nil
		case listed(known, b.Offset): // counted there
		case e.Fixed && b.Outside: // it was fine when the cut was fixed
			ev := l.badRecord(c.Index, b)
			return 0, false, &ev
		case e.Fixed:
		case l.c.Letters == nil && b.Offset == first && l.nothing(e):
			ev := l.badRecord(c.Index, b)
			return 0, false, &ev
		case l.c.Letters == nil, b.Outside && inDead == record.MaxDead:
			return b.Offset, true, nil
		case b.Outside:
			inDead++
		}
	}
	return next, false, nil
}

// gather notes the bad records of [first, next), once its end is known.
func (l *Lane) gather(e *Effect, c *Chunk, first, next int64, known []int64, dead *DeadSet) {
	t := &l.cut
	var reasons map[int64]string
	if len(known) > 0 {
		reasons = map[int64]string{}
	}
	for _, b := range c.Bad {
		switch {
		case b.Offset < first || b.Offset >= next:
		case listed(known, b.Offset):
			reasons[b.Offset] = b.Reason
		default:
			t.bad.add(c.Index, b)
			if b.Outside && !e.Fixed {
				*dead = dead.With(Deads(record.Dead{Partition: int32(c.Index), Offset: b.Offset}))
			}
		}
	}
	for _, b := range t.rows.Bad {
		t.bad.add(c.Index, b)
	}
	for _, o := range known {
		if o >= first && o < next {
			t.bad.add(c.Index, record.Bad{Offset: o, Reason: t.reasonOf(c.Partition, o, reasons[o])})
		}
	}
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
	if t.c.Plan.Grouped() {
		if t.grouper == nil {
			t.grouper = t.desks.grouper(t.c.Plan)
		}
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
	l.hold(l.memory())
	return nil
}

// memory is what the cut's rows take: not all that has been written is held.
func (l *Lane) memory() int64 {
	if h, ok := l.writer.(sink.Holder); ok && l.cut.grouper == nil {
		return h.Held()
	}
	return l.cut.held
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
		if err := t.sit(); err != nil {
			return l.failure("read", e.Cut, err)
		}
		defer t.rise()
		t.grouped.Reset()
		if err := t.grouper.Emit(t.grouped); err != nil {
			// A sum that does not fit is no record's fault.
			l.cause = fmt.Errorf("aggregate %s: %w", l.c.ID, err)
			return Event{Kind: Halted, Reason: BadRecord}
		}
		if t.grouped.Rows() > 0 {
			size, err := l.writer.Append(ctx, t.grouped)
			if err != nil {
				return l.failure("append", e.Cut, err)
			}
			l.hold(t.held + size) // the groups are there until the next cut
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

// reasonOf says why a listed record is one, as well as that is still known.
func (t *cutting) reasonOf(partition int32, offset int64, decoded string) string {
	if r := t.judged[record.Dead{Partition: partition, Offset: offset}]; r != "" {
		return r
	}
	if decoded != "" {
		return decoded
	}
	return "found bad when the batch was first committed"
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
	for _, o := range c.Passed {
		if o >= first && o < next && !listed(known, o) {
			t.filtered++
			t.read++
		}
	}
	for _, ms := range t.rows.Times {
		t.stamps.AddMillis(ms)
	}
	if t.timeCol < 0 {
		return
	}
	times := &c.Columns[t.timeCol]
	for i, o := range c.Offsets {
		if o >= first && o < next && !times.Null(i) {
			t.events.Add(times.Ints[i])
			t.newest = max(t.newest, times.Ints[i])
		}
	}
}
