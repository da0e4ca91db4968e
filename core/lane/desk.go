package lane

import (
	"fmt"
	"sync"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

// Desks are where the lanes of one sink project chunks. A lane needs one only
// while it has a chunk in its hands: a sink with hundreds of lanes has as many
// as lanes that work at the same time. The zero value is ready; those that
// nobody has used for a while are the garbage collector's.
type Desks struct {
	free     sync.Pool // of *desk
	groupers sync.Pool // of *plan.Grouper
}

// desk is what it takes to project a chunk.
type desk struct {
	projector *plan.Projector
	rows      *record.Chunk // of one chunk, projected
	grouped   *record.Chunk // nil without an aggregate
}

// largeBytes is more than the rows of an ordinary chunk take: that much is not
// kept for the next one.
const largeBytes = 4 << 20

// sit takes a desk. Its error is a mistake of ours.
func (t *cutting) sit() error {
	if d, ok := t.desks.free.Get().(*desk); ok {
		t.desk = d
		return nil
	}
	p, err := t.c.Plan.NewProjector(t.c.Have)
	if err != nil {
		return fmt.Errorf("bind the fields of %s: %w", t.c.ID, err)
	}
	t.desk = &desk{projector: p, rows: record.NewChunk(t.c.Plan.Rows())}
	if t.c.Plan.Grouped() {
		t.grouped = record.NewChunk(t.c.Plan.Schema())
	}
	return nil
}

// rise gives the desk back.
func (t *cutting) rise() {
	d := t.desk
	t.desk = nil
	size := d.rows.Footprint()
	if d.grouped != nil {
		size += d.grouped.Footprint()
	}
	if size <= largeBytes {
		t.desks.free.Put(d)
	}
}

func (d *Desks) grouper(p *plan.Plan) *plan.Grouper {
	if g, ok := d.groupers.Get().(*plan.Grouper); ok {
		return g
	}
	return p.NewGrouper()
}

func (d *Desks) keepGrouper(g *plan.Grouper) {
	if g.Size() > largeBytes {
		return
	}
	g.Reset()
	d.groupers.Put(g)
}
