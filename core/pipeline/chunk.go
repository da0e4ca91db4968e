package pipeline

import (
	"sync"
	"sync/atomic"

	"github.com/sluicekit/sluice/core/record"
)

// chunk is a decoded chunk and who still uses it.
type chunk struct {
	*record.Chunk
	uses atomic.Int32
	size int64
	home *pool
}

// release gives up one use; the last one gives the memory back.
func (c *chunk) release() {
	if c.uses.Add(-1) == 0 {
		c.home.put(c)
	}
}

// pool keeps chunks of one schema for use again, and charges the budget.
type pool struct {
	schema *record.Schema
	budget *Budget

	mu   sync.Mutex
	free []*chunk
}

// maxFree bounds what a pool keeps: a burst must not stay in memory for ever.
const maxFree = 8

func (p *pool) get() *chunk {
	p.mu.Lock()
	defer p.mu.Unlock()
	var c *chunk
	if n := len(p.free); n > 0 {
		c, p.free = p.free[n-1], p.free[:n-1]
	} else {
		c = &chunk{Chunk: record.NewChunk(p.schema), home: p}
	}
	c.uses.Store(1)
	return c
}

// charge takes the chunk's bytes from the budget, once they are known.
func (p *pool) charge(c *chunk) {
	c.size = c.Size()
	p.budget.take(c.size)
}

func (p *pool) put(c *chunk) {
	p.budget.give(c.size)
	c.size = 0
	c.Reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < maxFree {
		p.free = append(p.free, c)
	}
}

// Budget bounds the bytes of decoded chunks, and of what writers hold, of a whole
// program. The zero Budget has no bound.
type Budget struct {
	Bytes int64

	mu   sync.Mutex
	used int64
	wake chan struct{}
}

// NewBudget makes a budget of so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{Bytes: bytes, wake: make(chan struct{})} }

// Hold implements lane.Budget.
func (b *Budget) Hold(n int64) {
	if n > 0 {
		b.take(n)
		return
	}
	b.give(-n)
}

// Full implements lane.Budget.
func (b *Budget) Full() bool { return b.full() != nil }

func (b *Budget) take(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += n
}

func (b *Budget) give(n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.wake != nil && b.used < b.Bytes {
		close(b.wake)
		b.wake = make(chan struct{})
	}
}

// full returns nil while there is room, else a channel that is closed when
// there may be.
func (b *Budget) full() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Bytes <= 0 || b.used < b.Bytes {
		return nil
	}
	if b.wake == nil {
		b.wake = make(chan struct{})
	}
	return b.wake
}
