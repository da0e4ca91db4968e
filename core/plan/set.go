package plan

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/sluicekit/sluice/core/record"
)

// fewValues is up to how many values of a set are compared with one by one; a
// set of Bools has no more.
const fewValues = 8

// set is the list on the right of `in`: constants of the left side's type, in
// order, each once.
type set struct {
	values record.Column
	consts []vec               // of at most fewValues values
	texts  map[string]struct{} // of more than fewValues texts
}

// newSet sorts the values, which are of one type and not null.
func newSet(t record.Type, values []*record.Column) *set {
	slices.SortFunc(values, compareConstants)
	s := &set{values: record.Column{Type: t}}
	for i, v := range values {
		if i > 0 && compareConstants(values[i-1], v) == 0 {
			continue
		}
		if t.Kind == record.Float && math.IsNaN(v.Floats[0]) { // a binary search would find it, and it equals nothing
			continue
		}
		s.values.AppendFrom(v, 0)
	}
	switch {
	case s.values.Len <= fewValues:
		for i := range s.values.Len {
			c := record.NewColumn(t)
			c.AppendFrom(&s.values, i)
			s.consts = append(s.consts, vec{Column: *c, konst: true})
		}
	case len(s.values.Offsets) > 0:
		s.texts = make(map[string]struct{}, s.values.Len)
		for i := range s.values.Len {
			s.texts[string(s.values.Bytes(i))] = struct{}{}
		}
	}
	return s
}

func compareConstants(a, b *record.Column) int {
	switch a.Type.Kind {
	case record.Bool:
		return int(a.Bits[0]&1) - int(b.Bits[0]&1)
	case record.Int, record.Timestamp:
		return cmp.Compare(a.Ints[0], b.Ints[0])
	case record.Uint:
		return cmp.Compare(a.Uints[0], b.Uints[0])
	case record.Float:
		return cmp.Compare(a.Floats[0], b.Floats[0])
	case record.Decimal:
		return a.Decimals[0].Cmp(b.Decimals[0])
	}
	return bytes.Compare(a.Bytes(0), b.Bytes(0))
}

// has sets the bits of the rows that are in the set. A small one is compared
// with value by value, a whole run of rows at a time; one is scratch memory.
func (s *set) has(v, a, one *vec) {
	switch {
	case s.texts != nil:
		inRows(v, a, func(i int) bool {
			_, found := s.texts[string(a.Column.Bytes(i))]
			return found
		})
	case s.consts != nil:
		s.each(v, a, one)
	case a.Type.Kind == record.Uint:
		inOrdered(v, a, a.Uints, s.values.Uints)
	case a.Type.Kind == record.Float:
		inOrdered(v, a, a.Floats, s.values.Floats)
	case a.Type.Kind == record.Decimal:
		inRows(v, a, func(i int) bool {
			_, found := slices.BinarySearchFunc(s.values.Decimals, a.Decimals[i], record.Dec.Cmp)
			return found
		})
	default:
		inOrdered(v, a, a.Ints, s.values.Ints)
	}
}

// each joins the comparisons with one value after the other.
func (s *set) each(v, a, one *vec) {
	one.begin(v.Type, v.Len)
	clear(v.Bits)
	for k := range s.consts {
		compareKinds(one, opEq, a, &s.consts[k])
		for w, x := range one.Bits {
			v.Bits[w] |= x
		}
	}
}

func inOrdered[T int64 | uint64 | float64](v, a *vec, rows, values []T) {
	inRows(v, a, func(i int) bool {
		_, found := slices.BinarySearch(values, rows[i])
		return found
	})
}

// inRows asks row by row; in gets an index into a's values.
func inRows(v, a *vec, in func(i int) bool) {
	m := a.mask()
	for w := range v.Bits {
		x := uint64(0)
		for i := w * 64; i < min(v.Len, w*64+64); i++ {
			x |= bit(in(i&m)) << (uint(i) & 63)
		}
		v.Bits[w] = x
	}
}
