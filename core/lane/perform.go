package lane

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// perform does what an effect asks, and gives the answer.
func (l *Lane) perform(ctx context.Context, e *Effect) Event {
	switch e.Kind {
	case Claim:
		return l.claim(ctx)
	case Resolve:
		return l.resolve(ctx)
	case Store:
		return l.store(ctx, e.Entry)
	case Resume:
		out, err := l.writer.(sink.Resumer).Resume(ctx, l.toCut(e.Cut), e.Token)
		if err != nil {
			return l.failure("resume", e.Cut, err)
		}
		return Event{Kind: Resumed, Outcome: out}
	case Read:
		return l.read(ctx, e)
	case Stage:
		return l.stage(ctx, e.Cut)
	case Heartbeat:
		if err := l.c.Member.Heartbeat(ctx); err != nil {
			l.cause = fmt.Errorf("heartbeat before a commit: %w", err)
			return Event{Kind: Silent}
		}
		return Event{Kind: Alive}
	case Commit:
		return l.commit(ctx, e.Cut, e.Token)
	case Letters:
		return l.letters(ctx, e.Cut)
	case Wait:
		return l.wait(ctx)
	}
	panic(fmt.Sprintf("lane: effect %d has no answer", e.Kind))
}

func (l *Lane) claim(ctx context.Context) Event {
	c := l.c.Claim
	c.Repeats = l.state.Open && !l.since.IsZero()
	w, found, err := l.c.Sink.Claim(ctx, c)
	if err != nil {
		return l.failure("claim", Cut{}, err)
	}
	l.writer = w
	l.cause, l.perm = nil, false // whatever it was is mended
	_, resumes := w.(sink.Resumer)
	l.cut.reset()
	high := found.High
	if len(high) == 0 {
		high = make([]int64, l.c.Claim.Partitions)
		for i := range high {
			high[i] = -1
		}
	}
	f := Found{High: Vec(high...), State: found.State, Other: found.OtherIncarnation != "", Resumes: resumes}
	if f.Other {
		f.Elsewhere = l.elsewhere(found.OtherIncarnation)
		l.cause = fmt.Errorf("the destination holds data of this sink from another incarnation of topic %s (%s; it is %s now)",
			l.c.Claim.Topic, found.OtherIncarnation, l.c.Claim.Incarnation)
	}
	if len(found.Last.Ranges) > 0 {
		f.Last = l.fromCut(found.Last)
	}
	l.found, l.traces = f.High, f.State == sink.Has
	l.judgeAnswer(f)
	l.judgeUnknown(f)
	return Event{Kind: Claimed, Found: f}
}

// judgeAnswer tells what became of a commit whose answer was lost.
func (l *Lane) judgeAnswer(f Found) {
	if l.c.Delivery != sink.Atomic {
		return
	}
	if l.tried != "" && f.High.Any() {
		l.c.Meter.LostAnswers.Add(1)
		l.c.Log.Info("lost answer resolved", "applied", f.High == l.tried, "position", f.High.String())
	}
	l.tried = ""
	if l.state.Position.Known() && f.High.Below(l.state.Position) {
		l.c.Log.Warn("the destination is behind the ledger, as after a restore from a backup: going on from the destination",
			"destination", f.High.String(), "ledger", l.state.Position.String())
	}
}

// judgeUnknown tells what the destination holds of a sink that the ledger does
// not know: the record is gone, since a sink that is new has written nothing.
func (l *Lane) judgeUnknown(f Found) {
	if l.state.Entered || f.Other || !f.High.Any() {
		return
	}
	if l.c.Delivery == sink.Atomic {
		l.c.Log.Warn("the group has no record of this sink (expired, deleted, or reset by another tool): going on from the destination",
			"destination", f.High.String(), "detail", l.c.Notice)
		return
	}
	var b strings.Builder
	if l.c.Notice != "" {
		b.WriteString(l.c.Notice + "; ")
	}
	b.WriteString("the destination has rows of this sink")
	between := ": "
	for i, next := range f.High.Offsets() {
		if next >= 0 {
			fmt.Fprintf(&b, "%s%s[%d] below offset %d", between, l.c.Claim.Topic, int(l.c.Claim.Partition)+i, next)
			between = ", "
		}
	}
	l.cause = errors.New(b.String())
}

func (l *Lane) resolve(ctx context.Context) Event {
	if event := l.orphaned(ctx); event != nil {
		return *event
	}
	record := l.c.Record
	if l.state.Entered || l.state.Renewed {
		record = Grown // what has no position yet in a known slot is new, and begins at its beginning
	}
	start, err := l.c.Feed.Start(ctx, record)
	if err != nil {
		return l.failure("resolve the start position", Cut{}, err)
	}
	l.c.Log.Info("starting position resolved", "position", Vec(start...).String())
	return Event{Kind: Resolved, Position: Vec(start...)}
}

// orphaned looks whether the sink is known to the group at all, where the
// destination has traces of it, but none that tell of this slot. While a stream
// starts for the first time other slots have an entry before they have a row. If
// none has, all records are gone, and this is no new sink: its aggregates would
// be doubled from the beginning on, or what came meanwhile be left out.
func (l *Lane) orphaned(ctx context.Context) *Event {
	if l.c.Delivery != sink.Replay || !l.traces || l.state.Entered || l.state.Renewed {
		return nil
	}
	known, err := l.c.Book.Known(ctx)
	switch {
	case err != nil:
		e := l.failure("look for this sink in the group's records", Cut{}, err)
		return &e
	case known:
		return nil
	}
	l.cause = errors.New("the destination has data of this sink, and nothing says how far it is in this slot")
	if l.c.Notice != "" {
		l.cause = fmt.Errorf("%s; %w", l.c.Notice, l.cause)
	}
	return &Event{Kind: Halted, Reason: LostRecord}
}

func (l *Lane) store(ctx context.Context, e Entry) Event {
	if e.Pending && l.since.IsZero() {
		l.since = time.Now()
	}
	err := l.c.Book.Put(ctx, l.toLedger(e))
	var ended *ledger.EndedError
	var long *ledger.TooLongError
	switch {
	case err == nil:
		return Event{Kind: Saved}
	case errors.As(err, &long):
		l.cause = err
		return Event{Kind: LedgerFull}
	case errors.As(err, &ended):
		l.c.Meter.LedgerEnded.Add(1)
		l.c.Log.Warn("membership ended by a ledger write", "error", err)
		l.cause = err
		return Event{Kind: LedgerEnded}
	case ctx.Err() != nil:
		return Event{Kind: Ended}
	}
	// Definitely not stored, and nothing was committed: the next attempt is a
	// new one.
	l.c.Meter.LedgerRefused.Add(1)
	l.c.Log.Warn("ledger write refused", "error", err)
	l.cause = err
	return Event{Kind: Failed, Failure: Failure{Refused: true}}
}

func (l *Lane) stage(ctx context.Context, c Cut) Event {
	// Nothing of a Stage is visible, so it may take the sink's whole timeout.
	ctx, cancel := context.WithTimeout(ctx, l.c.Timeout)
	defer cancel()
	l.cut.began = time.Now()
	cut := l.toCut(c)
	cut.Attempt = l.deadline()
	token, err := l.writer.Stage(ctx, cut)
	if err == nil && len(token) > sink.MaxToken {
		err = sink.Permanent(fmt.Errorf("stage token of %d bytes, at most %d fit", len(token), sink.MaxToken))
	}
	if err != nil {
		return l.failure("stage", c, err)
	}
	return Event{Kind: StagedOK, Token: token}
}

func (l *Lane) commit(ctx context.Context, c Cut, token string) Event {
	ctx, cancel := context.WithTimeout(ctx, l.deadline())
	defer cancel()
	l.commits++
	err := l.writer.Commit(ctx, l.toCut(c), token)
	if err == nil {
		return Event{Kind: CommittedOK}
	}
	if errors.Is(err, sink.ErrStale) {
		l.c.Meter.Stale.Add(1)
		l.c.Log.Warn("position has moved at the destination", "batch", l.toCut(c).String(), "error", err)
	} else if l.c.Delivery == sink.Atomic && !sink.IsRefused(err) {
		l.tried = c.Next
	}
	return l.failure("commit", c, err)
}

// deadline of one attempt: below the session timeout at first, so that a
// member that hangs is not replaced while it commits; each attempt that hits
// it doubles it, up to the sink's timeout.
func (l *Lane) deadline() time.Duration {
	d := l.c.Timeout
	if l.c.Delivery == sink.Replay && l.c.Session > 0 {
		d = min(d, (l.c.Session*3/4)<<min(l.commits, 16))
	}
	return d
}

// failure makes an error the answer. Which class it has the plugin said.
func (l *Lane) failure(doing string, c Cut, err error) Event {
	what := l.c.Claim.Topic
	if c.Next != "" {
		what = l.toCut(c).String()
	}
	l.cause = fmt.Errorf("%s %s: %w", doing, what, err)
	l.perm = sink.IsPermanent(err)
	l.judging = 0
	f := Failure{Refused: sink.IsRefused(err)}
	var rows *sink.RowsError
	if errors.As(err, &rows) {
		var list []record.Dead
		for _, r := range rows.Rows {
			if r.Partition < 0 {
				// A group is the sum of many records: none of them is to blame.
				return Event{Kind: Halted, Reason: BadRecord}
			}
			list = append(list, record.Dead{Partition: r.Partition - l.c.Claim.Partition, Offset: r.Offset})
			if l.cut.blame(r) {
				l.judging++
			}
		}
		f.Rows = Deads(list...)
	}
	return Event{Kind: Failed, Failure: f}
}

// wait backs off: 100 ms doubling to 10 s, or up to 5 min where a person must
// mend something; half of it is chance, so that lanes do not come in step.
//
// Where rows were refused that were taken for good before, the next attempt is
// another one, without them: nothing is waited for. Of a batch with bad rows in
// each of its chunks there is an attempt for each chunk.
func (l *Lane) wait(ctx context.Context) Event {
	if l.judging > 0 {
		l.judge()
		return Event{Kind: Waited}
	}
	l.attempt++
	d, most := 100*time.Millisecond<<min(l.attempt-1, 12), 10*time.Second
	if l.perm {
		d, most = time.Second<<min(l.attempt-1, 9), 5*time.Minute
	}
	d = min(d, most)
	d = d/2 + rand.N(d/2+1)
	l.waiting(d)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
	return Event{Kind: Waited}
}
