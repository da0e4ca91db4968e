package record

import "slices"

// Footprint is the number of bytes of memory that the chunk keeps, used or
// not: what a chunk that is held has to be charged for. Size counts only what
// is in it.
func (c *Chunk) Footprint() int64 {
	n := int64(cap(c.Offsets)+cap(c.Times)+cap(c.Passed))*8 + int64(cap(c.Bad))*48 + int64(cap(c.BadValues))*32
	for _, b := range c.Bad {
		n += int64(len(b.Reason))
	}
	for _, b := range c.BadValues {
		n += int64(len(b.Reason))
	}
	for i := range c.Columns {
		n += c.Columns[i].Footprint()
	}
	return n
}

// Clone copies the chunk into memory that is no larger than it must be.
func (c *Chunk) Clone() *Chunk {
	out := *c
	out.Columns = make([]Column, len(c.Columns))
	for i := range c.Columns {
		out.Columns[i] = *c.Columns[i].clone()
	}
	out.Offsets, out.Times, out.Bad = slices.Clone(c.Offsets), slices.Clone(c.Times), slices.Clone(c.Bad)
	out.Passed = slices.Clone(c.Passed)
	out.BadValues = slices.Clone(c.BadValues)
	return &out
}

// Footprint is the number of bytes of memory that the column keeps, used or
// not.
func (c *Column) Footprint() int64 {
	n := int64(cap(c.Valid)+cap(c.Bits)+cap(c.Ints)+cap(c.Uints)+cap(c.Floats))*8 + int64(cap(c.Decimals))*16 + int64(cap(c.Offsets))*4 + int64(cap(c.Data))
	if c.Elems != nil {
		n += c.Elems.Footprint()
	}
	if c.Keys != nil {
		n += c.Keys.Footprint()
	}
	return n
}

func (c *Column) clone() *Column {
	out := &Column{
		Type: c.Type, Len: c.Len, Nulls: c.Nulls,
		Valid: slices.Clone(c.Valid), Bits: slices.Clone(c.Bits), Ints: slices.Clone(c.Ints), Uints: slices.Clone(c.Uints),
		Floats: slices.Clone(c.Floats), Decimals: slices.Clone(c.Decimals), Offsets: slices.Clone(c.Offsets), Data: slices.Clone(c.Data),
	}
	if c.Keys != nil {
		out.Keys = c.Keys.clone()
	}
	if c.Elems != nil {
		out.Elems = c.Elems.clone()
	}
	return out
}
