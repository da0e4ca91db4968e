package native

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"github.com/sluicekit/sluice/core/record"
)

// lowCardinality is a dictionary of the block and a number per row.
type lowCardinality struct {
	leaf
	nullable bool    // number 0 is null
	of       encoder // lays out the values of one append, for types other than text
	width    int     // of such a value; 0 for text
	dict     dictionary
	keys     []uint32
	packed   []byte // the keys as they are sent
}

func newLowCardinality(t Type, from record.Type, at leaf) (encoder, error) {
	c := &lowCardinality{}
	if t.Name == "Nullable" {
		c.nullable, at.nullable = true, true
		t = t.Args[0]
	}
	of, err := newEncoder(t, from, at)
	if err != nil {
		return nil, err
	}
	c.leaf = at
	switch f := of.(type) {
	case *fixed:
		c.of = f
	case *text:
	default:
		return nil, at.refuse(from)
	}
	c.reset()
	return c, nil
}

func (c *lowCardinality) append(src *record.Column, bad *Complaints) {
	first := len(c.keys)
	if c.of == nil {
		c.checkNulls(src, bad)
		for i := range src.Len {
			c.keys = append(c.keys, c.dict.number(src.Data[src.Offsets[i]:src.Offsets[i+1]]))
		}
	} else if src.Len > 0 {
		f := c.of.(*fixed)
		f.reset()
		f.append(src, bad)
		c.width = len(f.buf) / src.Len
		for at := 0; at < len(f.buf); at += c.width {
			c.keys = append(c.keys, c.dict.number(f.buf[at:at+c.width]))
		}
	}
	if c.nullable && src.Nulls > 0 {
		for i, row := 0, c.keys[first:]; i < src.Len; i++ {
			if src.Null(i) {
				row[i] = 0
			}
		}
	}
}

func (c *lowCardinality) repeat(value string, n int) {
	k := c.dict.number([]byte(value))
	for range n {
		c.keys = append(c.keys, k)
	}
}

func (c *lowCardinality) reset() {
	c.keys = c.keys[:0]
	c.dict.reset()
	if c.nullable {
		c.dict.first() // the place of null; its value is never read
	}
}

func (c *lowCardinality) size() int64 {
	return int64(len(c.keys))*4 + int64(len(c.dict.data)) + int64(len(c.dict.ends))*4
}

// The version of the layout, and the bits of a block that brings its whole
// dictionary with it.
const (
	lowCardinalityVersion = 1
	hasOwnKeys            = 1 << 9
	newDictionary         = 1 << 10
)

func (c *lowCardinality) prefix(out *frames) { out.uint64(lowCardinalityVersion) }

func (c *lowCardinality) data(out *frames) {
	if len(c.keys) == 0 {
		return
	}
	n := len(c.dict.ends)
	kind := uint64(0)
	if n > 1<<16 {
		kind = 2
	} else if n > 1<<8 {
		kind = 1
	}
	out.uint64(kind | hasOwnKeys | newDictionary)
	out.uint64(uint64(n))
	start := uint32(0)
	for i, end := range c.dict.ends {
		v := c.dict.data[start:end]
		switch {
		case c.of == nil:
			out.uvarint(uint64(len(v)))
			out.Write(v)
		case i == 0 && len(v) == 0:
			out.zeros(c.width) // of null
		default:
			out.Write(v)
		}
		start = end
	}
	out.uint64(uint64(len(c.keys)))
	c.packed = c.packed[:0]
	switch kind {
	case 0:
		for _, k := range c.keys {
			c.packed = append(c.packed, byte(k))
		}
	case 1:
		for _, k := range c.keys {
			c.packed = binary.LittleEndian.AppendUint16(c.packed, uint16(k))
		}
	default:
		for _, k := range c.keys {
			c.packed = binary.LittleEndian.AppendUint32(c.packed, k)
		}
	}
	out.Write(c.packed)
}

// dictionary numbers texts. It keeps its memory.
type dictionary struct {
	seed  maphash.Seed
	data  []byte
	ends  []uint32 // of the texts in data
	slots []uint32 // number of a text plus one; 0 is free
	hide  uint32   // texts that are not found: the place of null
}

func (d *dictionary) reset() {
	if d.slots == nil {
		d.seed, d.slots = maphash.MakeSeed(), make([]uint32, 64)
	}
	clear(d.slots)
	d.data, d.ends, d.hide = d.data[:0], d.ends[:0], 0
}

// first takes number 0 for an empty text that is not found again.
func (d *dictionary) first() { d.ends, d.hide = append(d.ends, 0), 1 }

func (d *dictionary) text(n uint32) []byte {
	start := uint32(0)
	if n > 0 {
		start = d.ends[n-1]
	}
	return d.data[start:d.ends[n]]
}

// number is that of a text, which may be new.
func (d *dictionary) number(v []byte) uint32 {
	mask := uint64(len(d.slots) - 1)
	for h := maphash.Bytes(d.seed, v) & mask; ; h = (h + 1) & mask {
		slot := d.slots[h]
		if slot == 0 {
			return d.add(v, h)
		}
		if bytes.Equal(d.text(slot-1), v) {
			return slot - 1
		}
	}
}

func (d *dictionary) add(v []byte, at uint64) uint32 {
	n := uint32(len(d.ends))
	d.data = append(d.data, v...)
	d.ends = append(d.ends, uint32(len(d.data)))
	d.slots[at] = n + 1
	if 2*len(d.ends) > len(d.slots) {
		d.grow()
	}
	return n
}

func (d *dictionary) grow() {
	d.slots = make([]uint32, 4*len(d.slots))
	mask := uint64(len(d.slots) - 1)
	for n := d.hide; n < uint32(len(d.ends)); n++ {
		h := maphash.Bytes(d.seed, d.text(n)) & mask
		for d.slots[h] != 0 {
			h = (h + 1) & mask
		}
		d.slots[h] = n + 1
	}
}
