package lane

import (
	"slices"

	"github.com/sluicekit/sluice/core/record"
)

// badList gathers the records of a cut that go to the dead letters.
type badList struct {
	byPart map[int][]record.Bad
	n      int
}

func (b *badList) reset() {
	clear(b.byPart)
	b.n = 0
}

func (b *badList) count() int { return b.n }

// add takes one record; index is its partition's in the slot. Reason is copied
// by being a string; a record added twice counts once.
func (b *badList) add(index int, r record.Bad) {
	if b.byPart == nil {
		b.byPart = map[int][]record.Bad{}
	}
	list := b.byPart[index]
	i, found := slices.BinarySearchFunc(list, r.Offset, func(x record.Bad, o int64) int {
		switch {
		case x.Offset < o:
			return -1
		case x.Offset > o:
			return 1
		}
		return 0
	})
	if found {
		return
	}
	b.byPart[index] = slices.Insert(list, i, r)
	b.n++
}

// of lists the offsets of one partition, ascending.
func (d DeadSet) of(index int) []int64 {
	var out []int64
	for _, r := range d.List() {
		if int(r.Partition) == index {
			out = append(out, r.Offset)
		}
	}
	return out
}

// within keeps the records between first and the offsets of next.
func (d DeadSet) within(next []int64, first Vector) DeadSet {
	keep := slices.DeleteFunc(d.List(), func(r record.Dead) bool {
		i := int(r.Partition)
		return i >= len(next) || r.Offset < first.At(i) || r.Offset >= next[i]
	})
	return Deads(keep...)
}
