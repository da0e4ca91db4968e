package folder

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sluicekit/sluice/core/source"
)

// Member is the one member of a stream of files. Its methods are not for
// concurrent use; those of a Generation are.
type Member struct {
	s    *Source
	gen  *Generation
	last int32
}

// Member makes the member. It does not start anything.
func (s *Source) Member() *Member { return &Member{s: s} }

// Join starts to look for files. After the end of a generation it first reads
// again what the state folder really holds, trying until that works.
func (m *Member) Join(ctx context.Context) (*Generation, error) {
	if m.gen != nil {
		m.finish()
		for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
			err := m.s.reopen()
			if err == nil {
				break
			}
			m.s.o.Log.Warn("the state folder cannot be used, trying again", "error", err)
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(pause):
			}
		}
	}
	m.last++
	g := &Generation{s: m.s, id: m.last, progress: m.s.progress, ended: make(chan struct{})}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g.cancel = cancel
	g.scanning.Go(func() { g.scan(run) })
	m.gen = g
	return g, nil
}

// Leave stops looking, and waits for that.
func (m *Member) Leave(context.Context) error {
	m.finish()
	return nil
}

func (m *Member) finish() {
	if m.gen == nil {
		return
	}
	m.gen.End(source.ErrLeft)
	m.gen.scanning.Wait()
	_ = m.s.cat.j.close()
	_ = m.s.progress.j.close()
	m.gen = nil
}

// Generation is the right to write the state folder, until a write fails.
type Generation struct {
	s        *Source
	id       int32
	progress *progress
	cancel   context.CancelFunc
	scanning sync.WaitGroup

	mu    sync.Mutex
	err   error
	ended chan struct{}
}

// scan looks for files until the generation ends; without Follow: once.
func (g *Generation) scan(ctx context.Context) {
	s := newScanner(&g.s.o, g.s.catalogue())
	for {
		began := time.Now()
		err := s.scan(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			g.End(err)
			return
		}
		if !g.s.o.Follow {
			g.s.finished(s.problems)
			return
		}
		// A look at very many files must not become all that is done.
		pause := time.NewTimer(max(g.s.o.Poll, 4*time.Since(began)))
		select {
		case <-ctx.Done():
		case <-pause.C:
		case <-g.s.poke:
		}
		pause.Stop()
	}
}

func (s *Source) finished(problems map[string]error) {
	var errs []error
	for _, err := range problems {
		errs = append(errs, err)
		if len(errs) == 20 {
			errs = append(errs, errors.New("and more"))
			break
		}
	}
	s.mu.Lock()
	s.complete, s.failure = true, errors.Join(errs...)
	s.mu.Unlock()
	s.cat.scanned() // wakes who waits for more
}

// ID counts the joins.
func (g *Generation) ID() int32 { return g.id }

// Slots are all there are.
func (g *Generation) Slots() []source.Slot {
	var out []source.Slot
	for i := range g.s.o.Parallel {
		out = append(out, source.Slot{Topic: g.s.o.Name, Index: int32(i)})
	}
	return out
}

// Layouts has one partition in each slot.
func (g *Generation) Layouts() []source.Layout {
	return []source.Layout{{Topic: g.s.o.Name, Partitions: int32(g.s.o.Parallel), Width: 1}}
}

// Rebalance is closed at the end: there is nobody to share with.
func (g *Generation) Rebalance() <-chan struct{} { return g.ended }

// Moved is never: a generation is followed by its end.
func (g *Generation) Moved() <-chan struct{} { return nil }

// Settle are none: there is nobody else.
func (g *Generation) Settle() []source.Slot { return nil }

// SettleBy is never.
func (g *Generation) SettleBy() time.Time { return time.Time{} }

// Heartbeat says whether the state folder is still ours.
func (g *Generation) Heartbeat(context.Context) error {
	if err := g.Err(); err != nil {
		return err
	}
	err := g.s.lock.held()
	if err != nil {
		g.End(err)
	}
	return err
}

// Commit stores records. After an error what is stored is not known before the
// next Join.
func (g *Generation) Commit(ctx context.Context, commits []source.OffsetCommit) error {
	if err := g.Heartbeat(ctx); err != nil {
		return &source.RefusedError{Group: g.s.o.Name, Err: err}
	}
	if err := g.progress.put(commits); err != nil {
		g.End(err)
		return err
	}
	return nil
}

// End gives the generation up.
func (g *Generation) End(reason error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return
	}
	if reason == nil {
		reason = errors.New("ended by its owner")
	}
	g.err = reason
	close(g.ended)
	g.cancel()
}

// Ended is closed when nothing can be stored any more. Err says why.
func (g *Generation) Ended() <-chan struct{} { return g.ended }

// Err is the reason of the end, nil before.
func (g *Generation) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
