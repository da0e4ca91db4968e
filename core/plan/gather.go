package plan

import (
	"math/bits"

	"github.com/sluicekit/sluice/core/record"
)

// span is a half-open run of rows.
type span struct {
	first, next int
}

// bitSpans appends the runs of set bits within [first, next).
func bitSpans(spans []span, bitmap []uint64, first, next int) []span {
	for i := first; i < next; {
		i = nextBit(bitmap, i, next, 0)
		if i == next {
			break
		}
		end := nextBit(bitmap, i, next, ^uint64(0))
		spans = append(spans, span{i, end})
		i = end
	}
	return spans
}

// nextBit is the first bit from i on that differs from flip's, or next.
func nextBit(bitmap []uint64, i, next int, flip uint64) int {
	for i < next {
		if w := (bitmap[i>>6] ^ flip) >> (uint(i) & 63); w != 0 {
			return min(next, i+bits.TrailingZeros64(w))
		}
		i = (i | 63) + 1
	}
	return next
}

// count is the number of rows in spans.
func count(spans []span) (n int) {
	for _, s := range spans {
		n += s.next - s.first
	}
	return n
}

// appendSpans appends runs of rows of src, which may be a view, to dst, which
// has the same type and is a column by all its rules.
func appendSpans(dst, src *record.Column, spans []span) {
	n, before := count(spans), dst.Len
	if n == 0 {
		return
	}
	switch dst.Type.Kind {
	case record.Bool:
		dst.Bits = appendBits(dst.Bits, before, src.Bits, spans)
	case record.Int, record.Timestamp:
		dst.Ints = appendRuns(dst.Ints, src.Ints, spans)
	case record.Uint:
		dst.Uints = appendRuns(dst.Uints, src.Uints, spans)
	case record.Float:
		dst.Floats = appendRuns(dst.Floats, src.Floats, spans)
	case record.Decimal:
		dst.Decimals = appendRuns(dst.Decimals, src.Decimals, spans)
	case record.String, record.Bytes, record.JSON:
		appendTexts(dst, src, spans)
	case record.List, record.Map:
		appendLists(dst, src, spans)
	}
	dst.Len = before + n
	appendValid(dst, src, spans, before)
}

// appendRuns copies whole runs; a row on its own, which is common where few
// are selected, without the cost of copying memory.
func appendRuns[T any](dst, src []T, spans []span) []T {
	for _, s := range spans {
		if s.next-s.first == 1 {
			dst = append(dst, src[s.first])
			continue
		}
		dst = append(dst, src[s.first:s.next]...)
	}
	return dst
}

// appendTexts copies the bytes of a run at once.
func appendTexts(dst, src *record.Column, spans []span) {
	if len(dst.Offsets) == 0 {
		dst.Offsets = append(dst.Offsets, 0)
	}
	for _, s := range spans {
		shift := int32(len(dst.Data)) - src.Offsets[s.first]
		dst.Data = append(dst.Data, src.Data[src.Offsets[s.first]:src.Offsets[s.next]]...)
		for _, end := range src.Offsets[s.first+1 : s.next+1] {
			dst.Offsets = append(dst.Offsets, end+shift)
		}
	}
}

func appendLists(dst, src *record.Column, spans []span) {
	if len(dst.Offsets) == 0 {
		dst.Offsets = append(dst.Offsets, 0)
	}
	for _, s := range spans {
		elems := [1]span{{int(src.Offsets[s.first]), int(src.Offsets[s.next])}}
		shift := int32(dst.Elems.Len) - src.Offsets[s.first]
		appendSpans(dst.Elems, src.Elems, elems[:])
		if dst.Keys != nil {
			appendSpans(dst.Keys, src.Keys, elems[:])
		}
		for _, end := range src.Offsets[s.first+1 : s.next+1] {
			dst.Offsets = append(dst.Offsets, end+shift)
		}
	}
}

// appendBits appends runs of bits to a bitmap of n bits; what is behind the
// last one is 0, as columns have it.
func appendBits(dst []uint64, n int, src []uint64, spans []span) []uint64 {
	for _, s := range spans {
		for i := s.first; i < s.next; {
			k := min(64, s.next-i) // bits of this step
			x := src[i>>6] >> (uint(i) & 63)
			if over := i&63 + k - 64; over > 0 {
				x |= src[i>>6+1] << (64 - uint(i)&63)
			}
			if k < 64 {
				x &= 1<<uint(k) - 1
			}
			dst = putBits(dst, n, x, k)
			i, n = i+k, n+k
		}
	}
	return dst
}

// putBits appends the k low bits of x; the others are 0.
func putBits(dst []uint64, n int, x uint64, k int) []uint64 {
	at := uint(n) & 63
	if at == 0 {
		return append(dst, x)
	}
	dst[n>>6] |= x << at
	if int(at)+k > 64 {
		dst = append(dst, x>>(64-at))
	}
	return dst
}

// appendValid brings the bitmap of nulls up to date: dst has its new length,
// and had before rows.
func appendValid(dst, src *record.Column, spans []span, before int) {
	if src.Nulls == 0 {
		if dst.Nulls != 0 {
			dst.Valid = fillBits(dst.Valid, before, dst.Len)
		}
		return
	}
	if dst.Nulls == 0 {
		dst.Valid = fillBits(dst.Valid[:0], 0, before)
	}
	dst.Valid = appendBits(dst.Valid, before, src.Valid, spans)
	dst.Nulls += dst.Len - before - countBits(dst.Valid, before, dst.Len)
}

// fillBits appends set bits until there are next.
func fillBits(dst []uint64, n, next int) []uint64 {
	for n < next {
		k := min(64-n&63, next-n)
		dst = putBits(dst, n, ^uint64(0)>>(64-uint(k)), k)
		n += k
	}
	return dst
}

// countBits counts the set bits of [first, next).
func countBits(bitmap []uint64, first, next int) (n int) {
	for i := first; i < next; {
		k := min(64-i&63, next-i)
		n += bits.OnesCount64(bitmap[i>>6] >> (uint(i) & 63) << (64 - uint(k)))
		i += k
	}
	return n
}

// zeroNulls gives null rows from before on the value that columns have there.
// Kernels leave anything in them.
func zeroNulls(c *record.Column, before int) {
	if c.Nulls == 0 {
		return
	}
	for i := before; i < c.Len; i++ {
		if !c.Null(i) {
			continue
		}
		switch c.Type.Kind {
		case record.Int, record.Timestamp:
			c.Ints[i] = 0
		case record.Uint:
			c.Uints[i] = 0
		case record.Float:
			c.Floats[i] = 0
		case record.Decimal:
			c.Decimals[i] = record.Dec{}
		}
	}
}

// repeat appends a constant n times.
func repeat(dst *record.Column, value *record.Column, n int) {
	for range n {
		dst.AppendFrom(value, 0)
	}
}
