package sinktest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// lane drives a sink as core does, with a ledger in memory: it is the sequence
// of calls that a plugin meets in production.
//
//	Claim → [Resume] → Append … → Stage → (intent stored) → Commit → …
//
// After any error: Close, and Claim again. An Atomic sink goes on from what its
// destination has (Found.High). A Replay sink gets the pending cut again, with
// the same bounds and rows, before any other.
type lane struct {
	p     *place
	slot  sink.Claim
	r     *rand.Rand
	s     sink.Sink
	w     *writer // nil: claim next
	cut   record.Cut
	token string
	ready bool // cut is staged, its intent is stored, and Commit was not called

	// The ledger: what survives a crash.
	position []int64
	pending  *pending
	wrote    bool // rows have been committed

	before func(name string) error // may end the way before or after a call
	after  func(name string) error
	zombie []*zombie
}

// pending is a stored intent.
type pending struct {
	cut     record.Cut
	token   string
	unknown bool // an attempt may have been applied
}

// zombie is an owner that was replaced and does not know it.
type zombie struct {
	s     sink.Sink
	w     *writer
	cut   record.Cut
	token string
	ready bool
}

func newLane(p *place, slot sink.Claim, r *rand.Rand) *lane {
	return &lane{p: p, slot: slot, r: r, position: make([]int64, slot.Partitions)}
}

// errLost is the driver's own: the owner crashed here.
var errLost = errors.New("the owner is gone")

// step goes on as far as the next commit, or to the first error.
func (l *lane) step(ctx context.Context) error {
	if l.s == nil {
		if err := l.call("Open", func() (err error) { l.s, err = l.p.open(ctx); return err }); err != nil {
			return err
		}
	}
	if l.w == nil {
		if err := l.claim(ctx); err != nil {
			return err
		}
		if l.pending != nil && l.pending.unknown && l.pending.token != "" {
			if r, ok := l.w.w.(sink.Resumer); ok {
				if finished, err := l.resume(ctx, r); err != nil || finished {
					return err
				}
			}
		}
	}
	return l.carry(ctx)
}

// call makes one call, unless the owner crashes before or after it.
func (l *lane) call(name string, f func() error) error {
	if l.before != nil {
		if err := l.before(name); err != nil {
			return err
		}
	}
	err := f()
	if l.after != nil && err != errStuck {
		if lost := l.after(name); lost != nil {
			return lost
		}
	}
	return err
}

func (l *lane) claim(ctx context.Context) error {
	var found sink.Found
	err := l.call("Claim", func() (err error) {
		w, f, err := l.p.claim(ctx, l.s, l.slot)
		if err == nil {
			l.w, found = w, f
		}
		return err
	})
	if err != nil {
		return err
	}
	l.ready = false
	return l.judge(found)
}

// judge compares what a destination remembers with what happened.
func (l *lane) judge(f sink.Found) error {
	complain := func(format string, args ...any) error {
		return fmt.Errorf("%w: the claim of owner %d found %s", errWrong, l.w.owner, fmt.Sprintf(format, args...))
	}
	if f.OtherIncarnation != "" {
		return complain("traces of another incarnation (%s), and there is none", f.OtherIncarnation)
	}
	if l.wrote && f.State == sink.Empty {
		return complain("nothing, although rows were committed: core would stop, since they are gone")
	}
	switch l.p.history.delivery {
	case sink.AtLeastOnce:
		return nil
	case sink.Replay:
		return l.judgeMarks(f, complain)
	}
	return l.judgePosition(f, complain)
}

// judgePosition judges a destination that decides: its position must be where
// the last batch ends that is in, and say which that was.
func (l *lane) judgePosition(f sink.Found, complain func(string, ...any) error) error {
	h := l.p.history
	l.follow()
	if !slices.Equal(f.High, l.position) {
		if a := h.applied(l.position, f); a != nil { // the answer was lost, the batch was not
			h.settle(a)
			l.settle(a.cut)
		}
	}
	last := h.last(l.position)
	switch {
	case last == nil && !slices.ContainsFunc(f.High, func(n int64) bool { return n >= 0 }):
		return nil // nothing yet
	case !slices.Equal(f.High, l.position):
		return complain("position %v, and it is %v%s", f.High, l.position, l.ending(f.High))
	case last == nil:
		return complain("position %v, and nothing was committed", f.High)
	case !f.Last.Equal(last.cut) || f.Last.Letters != last.cut.Letters:
		return complain("%s with dead set %v and %d letters as the last batch; it is %s with dead set %v and %d letters",
			f.Last, f.Last.Dead, f.Last.Letters, last.cut, last.cut.Dead, last.cut.Letters)
	}
	return nil
}

// ending tells of the batches that end where a claim was told, and should not
// have been.
func (l *lane) ending(high []int64) string {
	l.p.history.mu.Lock()
	defer l.p.history.mu.Unlock()
	text := ""
	for i, next := range high {
		if i < len(l.position) && next != l.position[i] {
			text += l.p.history.ending(l.slot.Partition+int32(i), next)
		}
	}
	return text
}

// follow moves the position behind what others have committed.
func (l *lane) follow() {
	for a := l.p.history.moved(l.position); a != nil; a = l.p.history.moved(l.position) {
		l.settle(a.cut)
	}
}

// judgeMarks judges a destination that does not decide: it must not claim more
// than was ever sent.
func (l *lane) judgeMarks(f sink.Found, complain func(string, ...any) error) error {
	most := slices.Clone(l.position)
	if l.pending != nil {
		most = nexts(l.pending.cut)
	}
	for i, high := range f.High {
		if high > most[i] {
			return complain("High %v, and no batch reaches beyond %v%s", f.High, most, l.ending(f.High))
		}
	}
	return nil
}

// errWrong marks what ends a test.
var errWrong = errors.New("the destination is wrong")

// resume lets the writer finish the pending cut.
func (l *lane) resume(ctx context.Context, r sink.Resumer) (finished bool, err error) {
	c := l.pending.cut
	a := l.p.history.begin(l.w.owner, c)
	var out sink.Outcome
	token := l.pending.token
	err = l.call("Resume", func() (err error) {
		out, err = ask(ctx, l.p.bench, "Resume", func(ctx context.Context) (sink.Outcome, error) { return r.Resume(ctx, c, token) })
		return err
	})
	switch {
	case err != nil:
		return false, err
	case out == sink.Done:
		l.p.history.settle(a)
		l.settle(c)
		return true, nil
	case out == sink.Never:
		l.p.history.never(c)
		l.pending.unknown = false
		return false, nil
	}
	return false, fmt.Errorf("%w: Resume returned outcome %d", errWrong, out)
}

// carry makes a cut, or takes the pending one, and commits it.
func (l *lane) carry(ctx context.Context) error {
	l.cut = l.next()
	if err := l.fill(ctx); err != nil {
		return err
	}
	err := l.call("Stage", func() (err error) { l.token, err = l.w.stage(ctx, l.cut); return err })
	if err != nil {
		return err
	}
	if l.p.history.delivery == sink.Replay {
		unknown := l.pending != nil && l.pending.unknown
		l.pending = &pending{cut: l.cut, token: l.token, unknown: unknown}
	}
	l.ready = true
	err = l.call("Commit", func() error {
		l.ready = false
		return l.w.commit(ctx, l.cut, l.token)
	})
	if err == nil {
		l.settle(l.cut)
		return nil
	}
	return l.judgeCommit(err)
}

// fill appends the rows of the cut. How its partitions interleave and where
// chunks end is by chance, so it is another way each time.
func (l *lane) fill(ctx context.Context) error {
	left := slices.Clone(l.cut.Ranges)
	for {
		var some []int
		for i, r := range left {
			if r.First < r.Next {
				some = append(some, i)
			}
		}
		if some == nil {
			return nil
		}
		i := some[l.r.IntN(len(some))]
		first, next := left[i].First, min(left[i].Next, left[i].First+1+l.r.Int64N(20))
		left[i].First = next
		rows := l.w.feed.rows(l.cut, l.cut.Partition+int32(i), first, next)
		if rows.Rows() == 0 {
			continue
		}
		if err := l.call("Append", func() error { return l.w.append(ctx, rows) }); err != nil {
			return err
		}
	}
}

// next is the cut to commit: the pending one, unless every attempt at it was
// refused, and then now and then another one.
func (l *lane) next() record.Cut {
	if p := l.pending; p != nil && (p.unknown || l.r.IntN(2) == 0) {
		return p.cut
	}
	l.pending = nil
	c := record.Cut{Topic: l.slot.Topic, Partition: l.slot.Partition}
	for _, first := range l.position {
		next := first
		if len(l.position) == 1 || l.r.IntN(3) > 0 { // else this partition is idle
			next += l.r.Int64N(40)
		}
		c.Ranges = append(c.Ranges, record.Range{First: first, Next: next})
	}
	if c.Empty() {
		c.Ranges[l.r.IntN(len(c.Ranges))].Next++
	}
	for i, r := range c.Ranges {
		if r.Next > r.First && l.r.IntN(3) == 0 {
			c.Dead = append(c.Dead, record.Dead{Partition: c.Partition + int32(i), Offset: r.First + l.r.Int64N(r.Next-r.First)})
		}
	}
	c.Letters = len(c.Dead)
	return c
}

// judgeCommit draws the conclusions from a failed commit.
func (l *lane) judgeCommit(err error) error {
	var rows *sink.RowsError
	if errors.As(err, &rows) {
		return fmt.Errorf("%w: rows of %s are refused, which are fine: %w", errWrong, l.cut, err)
	}
	if errors.Is(err, sink.ErrStale) && l.p.history.delivery == sink.Atomic && len(l.p.history.open(l.position)) == 0 && l.p.history.moved(l.position) == nil {
		return fmt.Errorf("%w: %s is stale to owner %d, and nobody else went on: %w", errWrong, l.cut, l.w.owner, err)
	}
	if l.pending != nil && !sink.IsRefused(err) {
		l.pending.unknown = true
	}
	return err
}

// settle moves the ledger's position behind a cut.
func (l *lane) settle(c record.Cut) {
	l.position, l.pending = nexts(c), nil
	for i, r := range c.Ranges {
		for o := r.First; o < r.Next; o++ {
			if a := (at{c.Partition + int32(i), o}); hasRow(a) && !c.IsDead(a.partition, o) {
				l.wrote = true
			}
		}
	}
}

// drop closes the writer after an error: it is dead.
func (l *lane) drop() {
	if l.w != nil {
		l.w.close()
		l.w = nil
	}
}

// abandon leaves writer and sink as a process does that hangs: the next owner
// is another one, and this one may still commit what it had staged.
func (l *lane) abandon() {
	if l.w == nil && l.s == nil {
		return
	}
	l.zombie = append(l.zombie, &zombie{s: l.s, w: l.w, cut: l.cut, token: l.token, ready: l.ready})
	if l.pending != nil {
		l.pending.unknown = true // it may have been tried
	}
	l.s, l.w, l.ready = nil, nil, false
}

// wake lets all old owners commit what they had staged, and end.
func (l *lane) wake(ctx context.Context) {
	for _, z := range l.zombie {
		if z.w != nil {
			if z.ready {
				_ = z.w.commit(ctx, z.cut, z.token) // whatever it says, the rows are judged
			}
			z.w.close()
		}
		l.closeSink(z.s)
	}
	l.zombie = nil
}

func (l *lane) closeSink(s sink.Sink) {
	if s != nil {
		_ = l.p.call(context.WithoutCancel(l.p.Context()), "Close of the sink", func(context.Context) error { return s.Close() })
	}
}

// end closes everything.
func (l *lane) end() {
	l.drop()
	l.wake(l.p.Context())
	l.closeSink(l.s)
	l.s = nil
}
