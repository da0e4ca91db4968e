package lane

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicekit/sluice/core/record"
)

// Vector is one offset per partition of a slot. It is immutable and
// comparable, so that states of the protocol are. An offset of -1 is one that
// is not known. The zero Vector has no partitions: nothing is known.
type Vector string

// Vec makes a Vector of offsets.
func Vec(offsets ...int64) Vector {
	b := make([]byte, 0, 8*len(offsets))
	for _, o := range offsets {
		b = binary.BigEndian.AppendUint64(b, uint64(o))
	}
	return Vector(b)
}

// Len is the number of partitions.
func (v Vector) Len() int { return len(v) / 8 }

// At is the offset of the i-th partition of the slot.
func (v Vector) At(i int) int64 {
	return int64(binary.BigEndian.Uint64([]byte(v[8*i : 8*i+8])))
}

// Offsets is the vector as a new slice.
func (v Vector) Offsets() []int64 {
	o := make([]int64, v.Len())
	for i := range o {
		o[i] = v.At(i)
	}
	return o
}

// Known says that the vector has partitions, and an offset for every one.
func (v Vector) Known() bool {
	return v != "" && !slices.Contains(v.Offsets(), -1)
}

// Any says that at least one offset is known.
func (v Vector) Any() bool {
	return slices.ContainsFunc(v.Offsets(), func(o int64) bool { return o >= 0 })
}

// Or fills what v does not know from o. A partition that only o has is taken
// from there: a slot can grow.
func (v Vector) Or(o Vector) Vector {
	out := make([]int64, max(v.Len(), o.Len()))
	for i := range out {
		out[i] = -1
		if i < v.Len() {
			out[i] = v.At(i)
		}
		if out[i] < 0 && i < o.Len() {
			out[i] = o.At(i)
		}
	}
	return Vec(out...)
}

// Below says that some offset of v is known and lower than o's.
func (v Vector) Below(o Vector) bool {
	for i := range min(v.Len(), o.Len()) {
		if v.At(i) >= 0 && v.At(i) < o.At(i) {
			return true
		}
	}
	return false
}

// above is the higher offset of each partition; one that only v has is v's.
func (v Vector) above(o Vector) Vector {
	out := v.Offsets()
	for i := range min(v.Len(), o.Len()) {
		out[i] = max(out[i], o.At(i))
	}
	return Vec(out...)
}

// covers says that every offset of o is known to v, and not above v's.
func (v Vector) covers(o Vector) bool {
	for i := range o.Len() {
		if i >= v.Len() || v.At(i) < o.At(i) {
			return false
		}
	}
	return true
}

// String is the vector as messages show it: 1200, or for a wider slot 10,20,30.
func (v Vector) String() string {
	parts := make([]string, v.Len())
	for i := range parts {
		parts[i] = strconv.FormatInt(v.At(i), 10)
	}
	return strings.Join(parts, ",")
}

// DeadSet is a set of records of a slot, ordered by partition and offset. It is
// immutable and comparable.
type DeadSet string

const deadWidth = 12

// Deads makes a set. Partition is the index in the slot.
func Deads(list ...record.Dead) DeadSet {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b record.Dead) int {
		if a.Partition != b.Partition {
			return int(a.Partition) - int(b.Partition)
		}
		switch {
		case a.Offset < b.Offset:
			return -1
		case a.Offset > b.Offset:
			return 1
		}
		return 0
	})
	list = slices.Compact(list)
	b := make([]byte, 0, deadWidth*len(list))
	for _, d := range list {
		b = binary.BigEndian.AppendUint32(b, uint32(d.Partition))
		b = binary.BigEndian.AppendUint64(b, uint64(d.Offset))
	}
	return DeadSet(b)
}

// Len is the number of records.
func (d DeadSet) Len() int { return len(d) / deadWidth }

// List is the set as a new slice; Partition is the index in the slot.
func (d DeadSet) List() []record.Dead {
	out := make([]record.Dead, d.Len())
	for i := range out {
		b := []byte(d[i*deadWidth : (i+1)*deadWidth])
		out[i] = record.Dead{Partition: int32(binary.BigEndian.Uint32(b)), Offset: int64(binary.BigEndian.Uint64(b[4:]))}
	}
	return out
}

// With is the union of two sets.
func (d DeadSet) With(o DeadSet) DeadSet {
	if o == "" {
		return d
	}
	return Deads(append(d.List(), o.List()...)...)
}

// From drops the records below a position.
func (d DeadSet) From(position Vector) DeadSet {
	keep := slices.DeleteFunc(d.List(), func(r record.Dead) bool {
		return int(r.Partition) < position.Len() && r.Offset < position.At(int(r.Partition))
	})
	return Deads(keep...)
}
