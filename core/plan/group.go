package plan

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/sluicekit/sluice/core/record"
)

// Grouper gathers rows into groups. One goroutine at a time.
//
// What it emits is a function of the rows, in whatever chunks and order of
// partitions they came: sums are kept with digits to spare, floats per
// partition, and ties are decided by partition and offset.
type Grouper struct {
	rows   *record.Schema
	groups *grouping

	seed   maphash.Seed
	table  []uint32 // open addressing: group+1, 0 is free; its length is a power of two
	hashes []uint64 // per group
	keys   []byte   // the keys of all groups, as appendKey writes them
	ends   []int    // per group: where its key ends
	lowest []int64  // per group: offset
	times  []int64  // per group: the earliest, milliseconds

	columns []accumulator
	parts   partitions

	key    []byte
	member []uint32 // per row of the chunk at hand: its group
	sorted []uint32
}

// accumulator is one aggregated column of all groups. The vectors that its
// kind does not need stay empty.
type accumulator struct {
	grouped
	counts []int64     // count
	sums   []wide      // sum of int, uint, decimal
	floats [][]float64 // sum of float: per partition and group
	best   cells       // min, max, last: the value
	orders cells       // last: the values that decide
	part   []int32     // last: where it comes from
	offset []int64
}

// partitions gives each partition that was seen an index.
type partitions struct {
	ids []int32
}

func (p *partitions) index(id int32) int {
	if i := slices.Index(p.ids, id); i >= 0 {
		return i
	}
	p.ids = append(p.ids, id)
	return len(p.ids) - 1
}

// NewGrouper makes an empty grouper; nil without an aggregate.
func (p *Plan) NewGrouper() *Grouper {
	if p.groups == nil {
		return nil
	}
	g := &Grouper{rows: p.rows, groups: p.groups, seed: maphash.MakeSeed(), table: make([]uint32, 64)}
	for _, c := range p.groups.columns {
		a := accumulator{grouped: c}
		if c.acc >= accMin {
			a.best.values.Init(p.rows.Fields[c.field].Type)
		}
		if c.acc == accLast {
			a.orders.values.Init(p.rows.Fields[c.order].Type)
		}
		g.columns = append(g.columns, a)
	}
	return g
}

// Add takes the rows of a chunk that a Projector filled. Chunks of several
// partitions may come in any order, those of one partition by ascending offset.
func (g *Grouper) Add(rows *record.Chunk) error {
	if err := g.check(rows); err != nil {
		return err
	}
	n := rows.Rows()
	g.member = resize(g.member, n)
	for i := range n {
		g.key = g.key[:0]
		for _, k := range g.groups.by {
			g.key = appendKey(g.key, &rows.Columns[k], i)
		}
		m := g.find()
		g.member[i] = m
		g.lowest[m] = min(g.lowest[m], rows.Offsets[i])
		g.times[m] = min(g.times[m], rows.Times[i])
	}
	part := g.parts.index(rows.Partition)
	for i := range g.columns {
		g.columns[i].add(g.member, rows, part, len(g.ends))
	}
	return nil
}

func (g *Grouper) check(rows *record.Chunk) error {
	if len(rows.Columns) != len(g.rows.Fields) {
		return fmt.Errorf("a chunk of %d columns for a grouping over %d", len(rows.Columns), len(g.rows.Fields))
	}
	for i := range rows.Columns {
		if f := g.rows.Fields[i]; !rows.Columns[i].Type.Equal(f.Type) {
			return fmt.Errorf("column %s of type %s in a chunk that has %s", f.Name, f.Type, rows.Columns[i].Type)
		}
	}
	for _, k := range g.groups.by {
		if rows.Columns[k].Nulls != 0 {
			return fmt.Errorf("a null in grouping column %s", g.rows.Fields[k].Name)
		}
	}
	return nil
}

// find is the group of g.key, made if it is new.
func (g *Grouper) find() uint32 {
	h := maphash.Bytes(g.seed, g.key)
	mask := uint64(len(g.table) - 1)
	for slot := h & mask; ; slot = (slot + 1) & mask {
		entry := g.table[slot]
		if entry == 0 {
			g.table[slot] = uint32(len(g.ends)) + 1
			return g.insert(h)
		}
		if m := entry - 1; g.hashes[m] == h && bytes.Equal(g.keyOf(m), g.key) {
			return m
		}
	}
}

// insert makes a group of g.key; the table has its entry.
func (g *Grouper) insert(h uint64) uint32 {
	m := uint32(len(g.ends))
	g.hashes = append(g.hashes, h)
	g.keys = append(g.keys, g.key...)
	g.ends = append(g.ends, len(g.keys))
	g.lowest, g.times = append(g.lowest, 1<<63-1), append(g.times, 1<<63-1)
	if len(g.ends)*4 > len(g.table)*3 {
		g.grow()
	}
	return m
}

func (g *Grouper) grow() {
	g.table = make([]uint32, 2*len(g.table))
	mask := uint64(len(g.table) - 1)
	for m, h := range g.hashes {
		slot := h & mask
		for g.table[slot] != 0 {
			slot = (slot + 1) & mask
		}
		g.table[slot] = uint32(m) + 1
	}
}

func (g *Grouper) keyOf(m uint32) []byte {
	first := 0
	if m > 0 {
		first = g.ends[m-1]
	}
	return g.keys[first:g.ends[m]]
}

// Size is the bytes that the groups take.
func (g *Grouper) Size() int64 {
	n := len(g.ends)
	size := int64(len(g.table))*4 + int64(n)*(8+8+8+8) + int64(len(g.keys))
	for i := range g.columns {
		a := &g.columns[i]
		size += int64(len(a.counts)+len(a.offset))*8 + int64(len(a.sums))*24 + int64(len(a.part))*4 + a.best.size() + a.orders.size()
		for _, f := range a.floats {
			size += int64(len(f)) * 8
		}
	}
	return size
}

// Groups is how many there are.
func (g *Grouper) Groups() int { return len(g.ends) }

// Reset drops all groups and keeps their memory.
func (g *Grouper) Reset() {
	clear(g.table)
	g.hashes, g.keys, g.ends, g.lowest, g.times = g.hashes[:0], g.keys[:0], g.ends[:0], g.lowest[:0], g.times[:0]
	g.parts.ids = g.parts.ids[:0]
	for i := range g.columns {
		a := &g.columns[i]
		a.counts, a.sums, a.part, a.offset = a.counts[:0], a.sums[:0], a.part[:0], a.offset[:0]
		for k := range a.floats {
			a.floats[k] = a.floats[k][:0]
		}
		a.best.reset()
		a.orders.reset()
	}
}
