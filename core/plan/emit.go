package plan

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/sluicekit/sluice/core/record"
)

// Emit appends one row per group to dst, a chunk of Schema, sorted by key. Its
// offset and time are the lowest of the group, its Partition is -1. It fails,
// naming the column, if a sum does not fit its type; dst is unchanged then.
// The groups stay until Reset.
func (g *Grouper) Emit(dst *record.Chunk) error {
	if err := g.checkSums(); err != nil {
		return err
	}
	g.sorted = resize(g.sorted, len(g.ends))
	for i := range g.sorted {
		g.sorted[i] = uint32(i)
	}
	slices.SortFunc(g.sorted, func(a, b uint32) int { return bytes.Compare(g.keyOf(a), g.keyOf(b)) })
	dst.Partition = -1
	for _, m := range g.sorted {
		key := g.keyOf(m)
		for k := range g.groups.by {
			key = readKey(&dst.Columns[k], key)
		}
		dst.Offsets, dst.Times = append(dst.Offsets, g.lowest[m]), append(dst.Times, g.times[m])
	}
	partitions := g.byPartition()
	for i := range g.columns {
		g.columns[i].emit(&dst.Columns[len(g.groups.by)+i], g.sorted, partitions)
	}
	return nil
}

// checkSums looks at all sums before one is emitted.
func (g *Grouper) checkSums() error {
	for i := range g.columns {
		a := &g.columns[i]
		for m := range a.sums {
			if _, ok := a.sum(uint32(m)); !ok {
				return fmt.Errorf("column %s: a sum does not fit %s; make its field a decimal of more digits", a.name, a.typ)
			}
		}
	}
	return nil
}

// sum is the exact sum of a group, if it fits the column.
func (a *accumulator) sum(m uint32) (d record.Dec, ok bool) {
	d, ok = a.sums[m].dec()
	fits := true
	switch a.typ.Kind {
	case record.Int:
		_, fits = d.Int()
	case record.Uint:
		_, fits = d.Uint()
	}
	return d, ok && fits
}

// byPartition lists the indexes of partitions, lowest partition first.
func (g *Grouper) byPartition() []int {
	order := make([]int, len(g.parts.ids))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(g.parts.ids[a]) - int(g.parts.ids[b]) })
	return order
}

// emit appends the column's value of every group.
func (a *accumulator) emit(dst *record.Column, groups []uint32, byPartition []int) {
	for _, m := range groups {
		switch {
		case a.acc == accCount:
			dst.AppendInt(a.counts[m])
		case a.acc == accSum && a.typ.Kind == record.Float:
			dst.AppendFloat(a.floatSum(m, byPartition))
		case a.acc == accSum:
			d, _ := a.sum(m)
			appendNumber(dst, d)
		case a.best.at[m] < 0:
			dst.AppendNull()
		default:
			at := int(a.best.at[m])
			if a.typ.Kind == record.Float && math.IsNaN(a.best.values.Floats[at]) {
				dst.AppendFloat(math.NaN()) // one of the many
			} else {
				dst.AppendFrom(&a.best.values, at)
			}
		}
	}
}

// floatSum adds what the partitions have in the order of their numbers: the
// sum of floats depends on the order, and the rows of a batch must not.
func (a *accumulator) floatSum(m uint32, byPartition []int) (sum float64) {
	for _, part := range byPartition {
		if part < len(a.floats) && int(m) < len(a.floats[part]) {
			sum += a.floats[part][m]
		}
	}
	if math.IsNaN(sum) {
		return math.NaN()
	}
	return sum
}

func appendNumber(dst *record.Column, d record.Dec) {
	switch dst.Type.Kind {
	case record.Int:
		v, _ := d.Int()
		dst.AppendInt(v)
	case record.Uint:
		v, _ := d.Uint()
		dst.AppendUint(v)
	default:
		dst.AppendDec(d)
	}
}
