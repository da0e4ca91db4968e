package plan

import (
	"math/bits"

	"github.com/sluicekit/sluice/core/record"
)

// add takes rows whose groups are member; there are groups of them now.
func (a *accumulator) add(member []uint32, rows *record.Chunk, part, groups int) {
	switch a.acc {
	case accCount:
		a.counts = extended(a.counts, groups)
		if a.field < 0 {
			for _, m := range member {
				a.counts[m]++
			}
			return
		}
		c := &rows.Columns[a.field]
		for i, m := range member {
			a.counts[m] += int64(bit(!c.Null(i)))
		}
	case accSum:
		a.addSums(member, &rows.Columns[a.field], part, groups)
	case accLast:
		a.addLast(member, rows, groups)
	default:
		c := &rows.Columns[a.field]
		a.best.extend(groups)
		for i, m := range member {
			if !c.Null(i) && a.better(m, c, i) {
				a.best.set(m, c, i)
			}
		}
	}
}

// better says whether row i is less (min) or more (max) than what group m has.
func (a *accumulator) better(m uint32, c *record.Column, i int) bool {
	if a.best.at[m] < 0 {
		return true
	}
	order := a.best.compare(m, c, i)
	return a.acc == accMin && order > 0 || a.acc == accMax && order < 0
}

func (a *accumulator) addSums(member []uint32, c *record.Column, part, groups int) {
	if c.Type.Kind == record.Float {
		for len(a.floats) <= part {
			a.floats = append(a.floats, nil)
		}
		sums := extended(a.floats[part], groups)
		for i, m := range member {
			sums[m] += c.Floats[i] // 0 where it is null
		}
		a.floats[part] = sums
		return
	}
	a.sums = extended(a.sums, groups)
	for i, m := range member { // null rows are 0
		switch c.Type.Kind {
		case record.Int:
			a.sums[m].add(record.DecFromInt(c.Ints[i]))
		case record.Uint:
			a.sums[m].add(record.DecFromUint(c.Uints[i]))
		default:
			a.sums[m].add(c.Decimals[i])
		}
	}
}

// addLast keeps the value of the row that is largest by (order, partition,
// offset). A row whose order is null is passed over; a value may be null.
func (a *accumulator) addLast(member []uint32, rows *record.Chunk, groups int) {
	c, by := &rows.Columns[a.field], &rows.Columns[a.order]
	a.best.extend(groups)
	orders := &a.orders
	orders.extend(groups)
	a.part, a.offset = extended(a.part, groups), extended(a.offset, groups)
	for i, m := range member {
		if by.Null(i) {
			continue
		}
		switch order := orders.compare(m, by, i); {
		case order > 0:
			continue
		case order == 0 && (a.part[m] > rows.Partition || a.part[m] == rows.Partition && a.offset[m] > rows.Offsets[i]):
			continue
		case order < 0:
			orders.set(m, by, i)
		}
		a.best.set(m, c, i)
		a.part[m], a.offset[m] = rows.Partition, rows.Offsets[i]
	}
}

// extended makes s as long as there are groups; new ones are zero.
func extended[T any](s []T, groups int) []T {
	if n := len(s); n < groups {
		s = append(s, make([]T, groups-n)...)
	}
	return s
}

// wide is a sum of up to 2^63 decimals: 192 bits, two's complement, lowest
// word first. It cannot overflow, so that only the sum of all rows does and
// never one on the way to it, which would depend on their order.
type wide [3]uint64

func (w *wide) add(d record.Dec) {
	var c uint64
	w[0], c = bits.Add64(w[0], d.Lo, 0)
	w[1], c = bits.Add64(w[1], uint64(d.Hi), c)
	w[2] += uint64(d.Hi>>63) + c
}

// dec is the sum, if it has at most 38 digits.
func (w *wide) dec() (d record.Dec, ok bool) {
	d = record.Dec{Lo: w[0], Hi: int64(w[1])}
	return d, w[2] == uint64(d.Hi>>63) && d.Fits(record.MaxPrecision)
}

// cells holds a value of any type per group.
type cells struct {
	at     []int32 // per group: a row of values, or below
	values record.Column
	spare  record.Column
}

const (
	noCell   = -1
	nullCell = -2
)

func (c *cells) extend(groups int) {
	for len(c.at) < groups {
		c.at = append(c.at, noCell)
	}
}

// compare compares the value of group m with row i; no value is less than any.
func (c *cells) compare(m uint32, src *record.Column, i int) int {
	if c.at[m] < 0 {
		return -1
	}
	return compareCells(&c.values, int(c.at[m]), src, i)
}

// set makes row i the value of group m.
func (c *cells) set(m uint32, src *record.Column, i int) {
	if src.Null(i) {
		c.at[m] = nullCell
		return
	}
	if at := c.at[m]; at >= 0 && c.overwrite(int(at), src, i) {
		return
	}
	if c.values.Len > 2*len(c.at)+64 {
		c.compact()
	}
	c.at[m] = int32(c.values.Len)
	c.values.AppendFrom(src, i)
}

// overwrite stores a value of fixed width in place.
func (c *cells) overwrite(at int, src *record.Column, i int) bool {
	switch c.values.Type.Kind {
	case record.Bool:
		c.values.Bits[at>>6] &^= 1 << (uint(at) & 63)
		c.values.Bits[at>>6] |= bit(src.Bool(i)) << (uint(at) & 63)
	case record.Int, record.Timestamp:
		c.values.Ints[at] = src.Ints[i]
	case record.Uint:
		c.values.Uints[at] = src.Uints[i]
	case record.Float:
		c.values.Floats[at] = src.Floats[i]
	case record.Decimal:
		c.values.Decimals[at] = src.Decimals[i]
	default:
		return false
	}
	return true
}

// compact drops the values that were replaced.
func (c *cells) compact() {
	c.spare.Type = c.values.Type
	if c.spare.Elems == nil && c.values.Elems != nil {
		c.spare.Init(c.values.Type)
	}
	c.spare.Reset()
	for m, at := range c.at {
		if at >= 0 {
			c.at[m] = int32(c.spare.Len)
			c.spare.AppendFrom(&c.values, int(at))
		}
	}
	c.values, c.spare = c.spare, c.values
}

func (c *cells) size() int64 { return int64(len(c.at))*4 + c.values.Size() }

func (c *cells) reset() {
	c.at = c.at[:0]
	c.values.Reset()
}
