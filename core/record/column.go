package record

import (
	"fmt"
	"math/bits"
)

// Column is a run of values of one type. Which slices are used follows from
// Type.Kind (see Kind). The zero value with a Type set is an empty column.
//
// A null row holds the zero value in the fixed-width slices, and an empty
// range in the variable-width ones. The bitmap Valid is kept only once a null
// was appended: when Nulls is 0 every row is valid and Valid is not to be read.
type Column struct {
	Type  Type
	Len   int // rows
	Nulls int // rows that are null

	Valid    []uint64 // bit i%64 of word i/64 is set when row i is not null
	Bits     []uint64 // Bool, laid out as Valid is
	Ints     []int64
	Uints    []uint64
	Floats   []float64
	Decimals []Dec
	Offsets  []int32 // Len+1 of them once a row was appended
	Data     []byte
	Keys     *Column // Map
	Elems    *Column // List, Map
}

// NewColumn makes an empty column, with its nested columns.
func NewColumn(t Type) *Column {
	c := &Column{}
	c.Init(t)
	return c
}

// Init makes c an empty column of type t, keeping nothing.
func (c *Column) Init(t Type) {
	*c = Column{Type: t}
	switch t.Kind {
	case Map:
		c.Keys = NewColumn(Type{Kind: String})
		c.Elems = NewColumn(*t.Elem)
	case List:
		c.Elems = NewColumn(*t.Elem)
	}
}

// Reset empties the column and keeps its memory.
func (c *Column) Reset() { c.Truncate(0) }

// Null says whether row i is null.
func (c *Column) Null(i int) bool {
	return c.Nulls != 0 && c.Valid[i>>6]&(1<<(uint(i)&63)) == 0
}

// Bool is row i of a Bool column.
func (c *Column) Bool(i int) bool { return c.Bits[i>>6]&(1<<(uint(i)&63)) != 0 }

// Bytes is row i of a String, Bytes or JSON column. It points into the column.
func (c *Column) Bytes(i int) []byte { return c.Data[c.Offsets[i]:c.Offsets[i+1]] }

// Range is where the elements of row i of a List or Map column lie in Elems.
func (c *Column) Range(i int) (first, next int) { return int(c.Offsets[i]), int(c.Offsets[i+1]) }

// AppendNull appends a null of whatever type the column has.
func (c *Column) AppendNull() {
	if c.Nulls == 0 {
		c.fillValid()
	}
	c.growBit(&c.Valid)
	c.Nulls++
	c.appendZero()
}

// fillValid starts the bitmap: all rows so far are valid.
func (c *Column) fillValid() {
	words := (c.Len + 63) / 64
	c.Valid = c.Valid[:0]
	for range words {
		c.Valid = append(c.Valid, ^uint64(0))
	}
	if r := uint(c.Len) & 63; r != 0 {
		c.Valid[words-1] = 1<<r - 1
	}
}

// growBit makes room for the bit of row Len, which is left 0.
func (c *Column) growBit(m *[]uint64) {
	if c.Len>>6 == len(*m) {
		*m = append(*m, 0)
	}
}

func (c *Column) appendZero() {
	switch c.Type.Kind {
	case Bool:
		c.growBit(&c.Bits)
	case Int, Timestamp:
		c.Ints = append(c.Ints, 0)
	case Uint:
		c.Uints = append(c.Uints, 0)
	case Float:
		c.Floats = append(c.Floats, 0)
	case Decimal:
		c.Decimals = append(c.Decimals, Dec{})
	case String, Bytes, JSON:
		c.closeRow(len(c.Data))
	case List, Map:
		c.closeRow(c.Elems.Len)
	default:
		panic("record: append to a column of kind " + c.Type.Kind.String())
	}
	c.Len++
}

func (c *Column) closeRow(end int) {
	if len(c.Offsets) == 0 {
		c.Offsets = append(c.Offsets, 0)
	}
	c.Offsets = append(c.Offsets, int32(end))
}

func (c *Column) markValid() {
	if c.Nulls != 0 {
		c.growBit(&c.Valid)
		c.Valid[c.Len>>6] |= 1 << (uint(c.Len) & 63)
	}
	c.Len++
}

// AppendBool appends to a Bool column.
func (c *Column) AppendBool(v bool) {
	c.growBit(&c.Bits)
	if v {
		c.Bits[c.Len>>6] |= 1 << (uint(c.Len) & 63)
	}
	c.markValid()
}

// AppendInt appends to an Int or Timestamp column.
func (c *Column) AppendInt(v int64) { c.Ints = append(c.Ints, v); c.markValid() }

// AppendUint appends to a Uint column.
func (c *Column) AppendUint(v uint64) { c.Uints = append(c.Uints, v); c.markValid() }

// AppendFloat appends to a Float column.
func (c *Column) AppendFloat(v float64) { c.Floats = append(c.Floats, v); c.markValid() }

// AppendDec appends to a Decimal column. v must have the column's scale.
func (c *Column) AppendDec(v Dec) { c.Decimals = append(c.Decimals, v); c.markValid() }

// AppendBytes copies v into a String, Bytes or JSON column.
func (c *Column) AppendBytes(v []byte) {
	c.Data = append(c.Data, v...)
	c.closeRow(len(c.Data))
	c.markValid()
}

// AppendString copies v into a String, Bytes or JSON column.
func (c *Column) AppendString(v string) {
	c.Data = append(c.Data, v...)
	c.closeRow(len(c.Data))
	c.markValid()
}

// AppendData ends a row whose bytes were appended to Data directly.
func (c *Column) AppendData() { c.closeRow(len(c.Data)); c.markValid() }

// AppendElems ends a row of a List or Map column: it takes the elements that
// were appended to Elems (and Keys) since the last row.
func (c *Column) AppendElems() { c.closeRow(c.Elems.Len); c.markValid() }

// AppendFrom appends row i of a column of the same type.
func (c *Column) AppendFrom(src *Column, i int) {
	if src.Null(i) {
		c.AppendNull()
		return
	}
	switch c.Type.Kind {
	case Bool:
		c.AppendBool(src.Bool(i))
	case Int, Timestamp:
		c.AppendInt(src.Ints[i])
	case Uint:
		c.AppendUint(src.Uints[i])
	case Float:
		c.AppendFloat(src.Floats[i])
	case Decimal:
		c.AppendDec(src.Decimals[i])
	case String, Bytes, JSON:
		c.AppendBytes(src.Bytes(i))
	case List, Map:
		first, next := src.Range(i)
		for k := first; k < next; k++ {
			if c.Keys != nil {
				c.Keys.AppendFrom(src.Keys, k)
			}
			c.Elems.AppendFrom(src.Elems, k)
		}
		c.AppendElems()
	default:
		panic("record: copy of a column of kind " + c.Type.Kind.String())
	}
}

// Truncate drops all rows from n on. A decoder that meets a bad record half
// way takes back what it has appended with it.
func (c *Column) Truncate(n int) {
	if n >= c.Len {
		return
	}
	if c.Nulls != 0 {
		c.Valid = cutBits(c.Valid, n)
		c.Nulls = n
		for _, w := range c.Valid {
			c.Nulls -= bits.OnesCount64(w)
		}
	}
	switch c.Type.Kind {
	case Bool:
		c.Bits = cutBits(c.Bits, n)
	case Int, Timestamp:
		c.Ints = c.Ints[:n]
	case Uint:
		c.Uints = c.Uints[:n]
	case Float:
		c.Floats = c.Floats[:n]
	case Decimal:
		c.Decimals = c.Decimals[:n]
	case String, Bytes, JSON:
		c.Data = c.Data[:c.Offsets[n]]
		c.Offsets = c.Offsets[:n+1]
	case List, Map:
		end := int(c.Offsets[n])
		c.Offsets = c.Offsets[:n+1]
		c.Elems.Truncate(end)
		if c.Keys != nil {
			c.Keys.Truncate(end)
		}
	}
	c.Len = n
}

// cutBits keeps n bits, and leaves those behind them 0 as growBit expects.
func cutBits(m []uint64, n int) []uint64 {
	m = m[:(n+63)/64]
	if r := uint(n) & 63; r != 0 {
		m[len(m)-1] &= 1<<r - 1
	}
	return m
}

// Settle drops what was appended to Data, Elems or Keys for a row that was not
// ended: the bytes of a half-decoded value.
func (c *Column) Settle() {
	end := 0
	if len(c.Offsets) > 0 {
		end = int(c.Offsets[len(c.Offsets)-1])
	}
	switch c.Type.Kind {
	case String, Bytes, JSON:
		c.Data = c.Data[:end]
	case List, Map:
		c.Elems.Settle()
		c.Elems.Truncate(end)
		if c.Keys != nil {
			c.Keys.Settle()
			c.Keys.Truncate(end)
		}
	}
}

// Size is the number of bytes of values that the column holds (not its
// capacity).
func (c *Column) Size() int64 {
	n := int64(len(c.Bits)+len(c.Ints)+len(c.Uints)+len(c.Floats))*8 + int64(len(c.Decimals))*16 + int64(len(c.Offsets))*4 + int64(len(c.Data))
	if c.Nulls != 0 {
		n += int64(len(c.Valid)) * 8
	}
	if c.Elems != nil {
		n += c.Elems.Size()
	}
	if c.Keys != nil {
		n += c.Keys.Size()
	}
	return n
}

// Check reports a column whose slices do not fit its length. Decoders and
// sinks are tested with it; it is not called on the way of the data.
func (c *Column) Check() error {
	bad := func(what string, got, want int) error {
		return fmt.Errorf("column of %s: %s has %d entries for %d rows (want %d)", c.Type, what, got, c.Len, want)
	}
	words := (c.Len + 63) / 64
	if c.Nulls != 0 && len(c.Valid) != words {
		return bad("valid", len(c.Valid), words)
	}
	switch c.Type.Kind {
	case Bool:
		if len(c.Bits) != words {
			return bad("bits", len(c.Bits), words)
		}
	case Int, Timestamp:
		if len(c.Ints) != c.Len {
			return bad("ints", len(c.Ints), c.Len)
		}
	case Uint:
		if len(c.Uints) != c.Len {
			return bad("uints", len(c.Uints), c.Len)
		}
	case Float:
		if len(c.Floats) != c.Len {
			return bad("floats", len(c.Floats), c.Len)
		}
	case Decimal:
		if len(c.Decimals) != c.Len {
			return bad("decimals", len(c.Decimals), c.Len)
		}
	default:
		return c.checkOffsets(bad)
	}
	return nil
}

func (c *Column) checkOffsets(bad func(string, int, int) error) error {
	if c.Len == 0 {
		return nil
	}
	if len(c.Offsets) != c.Len+1 {
		return bad("offsets", len(c.Offsets), c.Len+1)
	}
	end := len(c.Data)
	if c.Elems != nil {
		end = c.Elems.Len
	}
	for i := range c.Len {
		if c.Offsets[i] > c.Offsets[i+1] {
			return fmt.Errorf("column of %s: row %d ends before it starts", c.Type, i)
		}
	}
	if int(c.Offsets[c.Len]) != end {
		return bad("data", end, int(c.Offsets[c.Len]))
	}
	for _, n := range []*Column{c.Keys, c.Elems} {
		if n != nil {
			if err := n.Check(); err != nil {
				return err
			}
		}
	}
	return nil
}
