package pipeline

import (
	"context"
	"sync"
)

// proof lets lanes prove, right before a commit, that this member was not
// replaced. It implements lane.Member.
type proof struct {
	mu   sync.Mutex
	gen  generation
	next chan struct{} // closed when gen is another one
}

func newProof(gen generation) *proof { return &proof{gen: gen, next: make(chan struct{})} }

// Heartbeat implements lane.Member. Between two generations it waits: only in
// the next one, and once the slot was found to be still this member's, can a
// heartbeat prove anything. A slot that is not has its lanes cancelled before.
func (p *proof) Heartbeat(ctx context.Context) error {
	for {
		p.mu.Lock()
		gen, next := p.gen, p.next
		p.mu.Unlock()
		err := gen.Heartbeat(ctx)
		if err == nil || !isClosed(gen.Moved()) {
			return err
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		case <-gen.Ended():
			return err
		}
	}
}

// advance goes on to the next generation.
func (p *proof) advance(gen generation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if gen == p.gen {
		return
	}
	p.gen = gen
	close(p.next)
	p.next = make(chan struct{})
}
