package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/lane"
)

// partition reads one partition for all lanes of this member.
type partition struct {
	shared *loader
	lone   func() *loader // for a lane that is behind
	log    *slog.Logger
	limit  int64 // bytes of the window

	mu      sync.Mutex
	window  []*chunk // contiguous, ascending
	bytes   int64
	head    int64 // the offset behind the window; -1: nobody has asked yet
	readers map[*feed]reading
	err     error // what the log says at head: a gap, or a truncation
	high    int64
	kept    bool          // the budget knows of the window
	touched bool          // since the last sweep
	trouble *trouble      // what holds up the shared reader; nil: nothing
	wake    chan struct{} // somebody has asked, or dropped something
}

// reading is how far one lane is.
type reading struct {
	at   int64
	when time.Time
	wait chan struct{} // the lane's; told when a chunk has come
}

// patience is how long a full window waits for a lane that is slower than the
// others, before that lane has to read for itself.
const patience = 2 * time.Second

func newPartition(shared *loader, lone func() *loader, limit int64, log *slog.Logger) *partition {
	return &partition{shared: shared, lone: lone, log: log, limit: limit, head: -1, high: -1, readers: map[*feed]reading{}, wake: make(chan struct{}, 1)}
}

// resize changes how many bytes the window may have.
func (p *partition) resize(limit int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = limit
}

// run loads what comes next while somebody wants it, until ctx ends.
func (p *partition) run(ctx context.Context) {
	defer p.drop()
	defer p.shared.close()
	failures := 0
	for {
		at, ok := p.demand(ctx)
		if !ok {
			return
		}
		c, err := p.shared.load(ctx, at)
		var gap *lane.GapError
		var cut *lane.TruncatedError
		var bad *lane.UnreadableError
		switch {
		case ctx.Err() != nil:
			if c != nil {
				c.release()
			}
			return
		case errors.As(err, &gap), errors.As(err, &cut), errors.As(err, &bad):
			p.fail(at, err)
		case err != nil:
			failures++
			if failures > 1 || errors.As(err, new(*decode.RegistryError)) || errors.As(err, new(*decode.UnknownIDError)) {
				p.setTrouble(err) // one answer of a broker that does not come is everyday
			}
			p.pause(ctx, failures, err)
		default:
			failures = 0
			p.setTrouble(nil)
			p.publish(at, c)
		}
	}
}

// demand waits until some lane wants the chunk at head, and there is room.
func (p *partition) demand(ctx context.Context) (at int64, ok bool) {
	for {
		p.mu.Lock()
		wanted := false
		for _, r := range p.readers {
			wanted = wanted || r.at == p.head
		}
		at, wanted = p.head, wanted && p.err == nil && p.head >= 0
		var again <-chan time.Time
		short := false
		if wanted {
			short = p.shared.budget.short()
			if !short && p.bytes < p.limit || len(p.window) == 0 {
				p.mu.Unlock()
				return at, true
			}
			if p.evict(false) {
				p.mu.Unlock()
				continue
			}
			again = time.After(patience / 8)
		}
		p.mu.Unlock()
		if short {
			p.shared.budget.reclaim(refetch, chunkBytes)
		}
		select {
		case <-ctx.Done():
			return 0, false
		case <-p.wake:
		case <-again:
		}
	}
}

// evict drops the oldest chunk if no lane that is still going needs it. With
// hurry it is dropped in any case: the memory is wanted elsewhere. p.mu is held.
func (p *partition) evict(hurry bool) bool {
	old := p.window[0]
	for _, r := range p.readers {
		if !hurry && r.at >= old.First && r.at < old.Next && time.Since(r.when) < patience {
			return false
		}
	}
	p.window[0] = nil
	p.window = p.window[1:]
	p.bytes -= old.size
	old.release()
	p.note()
	return true
}

// trim drops what all lanes of the partition have taken: one that comes back to
// it, after an error, reads for itself. p.mu is held.
func (p *partition) trim() {
	for len(p.window) > 0 {
		for _, r := range p.readers {
			if r.at < p.window[0].Next {
				return
			}
		}
		if !p.evict(false) {
			return
		}
	}
}

// note tells the budget whether there is a window. p.mu is held.
func (p *partition) note() {
	if has := len(p.window) > 0; has != p.kept {
		p.kept = has
		if has {
			p.shared.budget.keep(p)
		} else {
			p.shared.budget.forget(p)
		}
	}
}

// spare implements keeper: a chunk that no lane of the partition waits for may
// go, and if it must be, one that a lane is slow to take.
func (p *partition) spare(n need) (freed int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.touched
	p.touched = p.touched && n != idle
	if n == idle && was || n == refetch {
		return 0
	}
	for len(p.window) > 0 {
		size := p.window[0].size
		if !p.evict(n == urgent) {
			break
		}
		if freed += size; n == urgent {
			break // one at a time: it costs a lane a fetch
		}
	}
	return freed
}

// publish appends what was loaded at head; nil if nothing has come.
func (p *partition) publish(at int64, c *chunk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.high = max(p.high, p.shared.cursor.high())
	if c == nil {
		return
	}
	if at != p.head { // the anchor has moved meanwhile
		c.release()
		return
	}
	p.window = append(p.window, c)
	p.bytes += c.size
	p.head = c.Next
	p.touched = true
	p.note()
	p.tell()
}

// tell wakes all lanes. p.mu is held.
func (p *partition) tell() {
	for _, r := range p.readers {
		select {
		case r.wait <- struct{}{}:
		default:
		}
	}
}

func (p *partition) fail(at int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at == p.head {
		p.err = err
		p.tell()
	}
}

// pause waits after a failure that may pass: a broker or the registry is away.
// For lanes that is nothing to act upon; they wait for records, and show it.
func (p *partition) pause(ctx context.Context, failures int, err error) {
	if failures&(failures-1) == 0 && failures > 1 {
		p.log.Warn("reading is held up, trying again", "topic", p.shared.topic, "partition", p.shared.partition, "attempt", failures, "error", err)
	}
	t := time.NewTimer(min(50*time.Millisecond<<min(failures, 8), 5*time.Second))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// take looks for the chunk at an offset. wait: it will come, or there will be
// room for it, f is told. Neither a chunk nor wait: the lane must load it for
// itself. must: see account.borrow.
func (p *partition) take(f *feed, at int64, must bool) (c *chunk, wait bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.poke()
	defer p.trim()
	if at > p.head {
		// The lane that is furthest decides where the window is: those behind
		// it have to catch up for themselves.
		p.clear()
		p.head = at
		p.tell() // those that waited at the old head ask again
	}
	r := reading{at: at, when: time.Now(), wait: f.wait}
	switch {
	case at == p.head:
		p.readers[f] = r
		if err = p.err; err != nil {
			p.retreat(f)
		}
		return nil, err == nil, err
	case len(p.window) > 0 && at >= p.window[0].First:
		for _, c := range p.window {
			if at < c.Next {
				if !f.account.borrow(2*c.size, must) {
					// It comes back when there is room, and reads for itself if that
					// takes too long.
					if was, ok := p.readers[f]; ok && was.at == at {
						r.when = was.when
					}
					p.readers[f] = r
					return nil, true, nil
				}
				p.readers[f] = r // it may take a part only, and come back for the rest
				p.touched = true
				c.uses.Add(1)
				return c, false, nil
			}
		}
	}
	delete(p.readers, f)
	return nil, false, nil
}

// retreat gives up a head that the log does not hold: the window goes to the
// furthest of the other lanes. p.mu is held.
func (p *partition) retreat(f *feed) {
	delete(p.readers, f)
	p.clear()
	p.head = -1
	for _, r := range p.readers {
		p.head = max(p.head, r.at)
	}
	p.tell()
}

// leave forgets a lane.
func (p *partition) leave(f *feed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.readers, f)
	p.poke()
}

func (p *partition) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// clear empties the window. p.mu is held.
func (p *partition) clear() {
	for _, c := range p.window {
		c.release()
	}
	p.window, p.bytes, p.err = nil, 0, nil
	p.note()
}

func (p *partition) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *partition) seen(high int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.high = max(p.high, high)
}

func (p *partition) highWatermark() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.high
}
