package lane

import (
	"errors"
	"maps"
	"math/bits"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/telemetry"
)

// observe tells telemetry what an event meant. before is the state it met.
func (l *Lane) observe(before State, e Event) {
	m := l.c.Meter
	switch e.Kind {
	case Claimed:
		if l.state.Phase != Stopped {
			m.SetState(telemetry.Running, "")
			l.mark(l.state.Position)
		}
	case CommittedOK:
		m.Commits.Add(1)
		m.CommitTime.Observe(time.Since(l.cut.began))
		now := time.Now()
		m.Wrote(&l.cut.stamps, now)
		m.EventDelay.ObserveSince(&l.cut.events, now)
		l.hold(0)
	case Failed:
		if before.Phase != Starting {
			m.Retries.Add(1)
		}
		if l.c.Delivery == sink.Atomic {
			l.skipped = 0 // the destination's row has not moved: the gap is met again
		}
	case Halted:
		if e.Reason == Gap && before.SkipGaps && l.state.Phase != Stopped && l.state.Phase != Over {
			l.skipping(before)
		}
	case Saved:
		l.countSkipped()
		if before.Phase == Opening {
			l.mark(l.state.Position) // a new sink's, before it has read anything
		}
	}
}

// skipping says what is left out because it is gone.
func (l *Lane) skipping(before State) {
	cause := l.cause
	l.cause = nil
	past := l.state.Position
	if l.state.Open {
		past = l.state.Cut.Next
	}
	missing := Cut{First: before.Position, Next: past}
	l.skipped = 0
	for i := range missing.Next.Len() {
		l.skipped += int(missing.Next.At(i) - missing.First.At(i))
	}
	doubt := ""
	if before.Open && before.Unknown {
		doubt = l.toCut(before.Cut).String()
	}
	l.c.Log.Warn("gap: records are skipped", "reason", Gap.String(), "skipped", l.toCut(missing).String(), "offsets", l.skipped,
		"pending_given_up", doubt, "detail", cause)
}

// countSkipped counts what is skipped once that is durable.
func (l *Lane) countSkipped() {
	l.c.Meter.Read.Add(l.skipped)
	l.c.Meter.Skipped.Add(l.skipped)
	l.skipped = 0
}

// elsewhere says whether an incarnation is one of another cluster. A cluster
// that is moved to, or mirrored, may hold the same events: to begin anew there
// would double them.
func (l *Lane) elsewhere(incarnation string) bool {
	cluster, _, _ := strings.Cut(l.c.Claim.Incarnation, "/")
	l.moved = !strings.HasPrefix(incarnation, cluster+"/")
	return l.moved
}

// renewed says what becomes of the topic that was there before.
func (l *Lane) renewed() {
	e := l.c.Entry
	pending := ""
	if e.Pending != nil {
		pending = Vec(e.Pending.Next...).String()
	}
	l.c.Log.Warn("the topic was created again: going on at its beginning; what the old one held from the old position on was not read",
		"old_incarnation", e.Incarnation, "old_position", Vec(e.Position...).String(), "pending_up_to", pending, "incarnation", l.c.Claim.Incarnation)
}

// settled keeps the books when a position has moved.
func (l *Lane) settled(e Entry) {
	t, m := &l.cut, l.c.Meter
	if t.at != nil && !t.surveyed && Vec(t.at...).Or(e.Position) == e.Position {
		m.Read.Add(t.read)
		m.Committed.Add(t.taken)
		m.Filtered.Add(t.filtered)
		m.Dead.Add(t.bad.count())
		if t.newest > 0 {
			m.LastEventTime.Raise(t.newest)
		}
	}
	l.countSkipped()
	if l.attempt > 0 {
		// Or the log of a day ends with a warning that is over.
		l.c.Log.Info("going on", "after_attempts", l.attempt)
	}
	l.since, l.commits, l.attempt, l.perm = time.Time{}, 0, 0, false
	maps.DeleteFunc(t.judged, func(d record.Dead, _ string) bool {
		i := int(d.Partition - l.c.Claim.Partition)
		return i < e.Position.Len() && d.Offset < e.Position.At(i)
	})
	t.reset()
	l.mark(e.Position)
	m.SetState(telemetry.Running, "")
}

// mark shows how far the lane is.
func (l *Lane) mark(position Vector) {
	high := l.c.Feed.High()
	marks := make([]telemetry.Mark, 0, position.Len())
	for i, o := range position.Offsets() {
		mark := telemetry.Mark{Partition: l.c.Claim.Partition + int32(i), Position: o, HighWatermark: -1}
		if i < len(high) {
			mark.HighWatermark = high[i]
		}
		marks = append(marks, mark)
	}
	l.c.Meter.SetMarks(marks)
}

// judge says that rows are left out from now on. They are counted with the dead
// letters; a line at each doubling is enough to know that it happens, and why.
func (l *Lane) judge() {
	before := l.judged
	l.judged += l.judging
	l.judging = 0
	if bits.Len(uint(before)) != bits.Len(uint(l.judged)) {
		l.c.Log.Info("rows are refused, and go to the dead letters", "so_far", l.judged, "error", l.cause)
	}
}

// waiting says that the lane backs off.
func (l *Lane) waiting(d time.Duration) {
	state := telemetry.Retrying
	if l.perm {
		state = telemetry.Blocked
	}
	if wait := (*WaitError)(nil); errors.As(l.cause, &wait) {
		state = wait.State
	}
	reason := ""
	if l.cause != nil {
		reason = l.cause.Error()
	}
	l.c.Meter.SetState(state, reason)
	// The first failure of a row, then at each doubling: a destination that is
	// away for a day must not fill a disk with one line a second.
	if l.attempt&(l.attempt-1) == 0 {
		l.c.Log.Warn("trying again", "in", d.Round(time.Millisecond), "attempt", l.attempt, "needs_mending", l.perm, "error", reason)
	}
}
