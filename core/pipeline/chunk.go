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
	size int64 // charged to the budget
	home *pool
}

// release gives up one use; the last one gives the memory back.
func (c *chunk) release() {
	if c.uses.Add(-1) == 0 {
		c.home.put(c)
	}
}

// pool makes chunks of one schema, for all readers of a stream, and charges
// them. Chunks that nobody has used for a while are the garbage collector's.
type pool struct {
	schema *record.Schema
	budget *Budget
	free   sync.Pool // of *record.Chunk
}

const (
	// chunkRows is how many rows a chunk has at most: enough for the kernels to
	// run at full speed, few enough to stay in the processor's cache.
	chunkRows = 4096
	// chunkBytes of events end a chunk too. It has the event that passes it.
	chunkBytes = 1 << 20
	// largeBytes is more than a chunk, or a buffer, of ordinary events has: it is
	// not kept for the next ones.
	largeBytes = 4 << 20
	// smallBytes are not worth copying to save a part of them.
	smallBytes = 64 << 10
)

// get makes an empty chunk with one use.
func (p *pool) get() *chunk {
	c := &chunk{home: p}
	if free, ok := p.free.Get().(*record.Chunk); ok {
		c.Chunk = free
	} else {
		c.Chunk = record.NewChunk(p.schema)
	}
	c.uses.Store(1)
	return c
}

// charge takes the chunk's bytes from the budget, once they are known. A chunk
// that is nearly empty is copied into less memory: there may be one for each of
// many partitions.
func (p *pool) charge(c *chunk) {
	foot := c.Footprint()
	if foot > smallBytes && c.Size() < foot/4 {
		full := c.Chunk
		c.Chunk = full.Clone()
		p.keep(full)
		foot = c.Footprint()
	}
	c.size = foot
	p.budget.Charge(foot)
}

func (p *pool) put(c *chunk) {
	p.budget.Charge(-c.size)
	c.size = 0
	p.keep(c.Chunk)
	c.Chunk = nil
}

// keep takes memory for the next chunk.
func (p *pool) keep(c *record.Chunk) {
	if foot := c.Footprint(); foot > largeBytes || foot < smallBytes {
		return
	}
	c.Reset()
	p.free.Put(c)
}
