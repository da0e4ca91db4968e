package decode

import (
	"encoding/binary"
	"math"

	"github.com/sluicekit/sluice/core/record"
)

// machine runs programs over records and appends to columns. It keeps what a
// run needs between records, so that a record costs no allocation.
type machine struct {
	*program
	limits Limits
	cols   []*record.Column // as layout numbers them
	at     []int            // remembered positions
	base   []byte           // JSON being made, reused

	// Why the last run stopped, and at which step.
	fault fault
	pc    int
}

// fail notes a fault of the step before pc.
func (m *machine) fail(f fault, pc int) int {
	m.fault, m.pc = f, pc-1
	return -1
}

// exec runs the steps from pc on over b[i:], up to opEnd. It returns where the
// next value starts, or -1 with the fault noted. It is one long switch because
// it is the loop in which the time of a decoder goes; what is rare or long is
// in rare.
func (m *machine) exec(b []byte, i, pc int) int {
	ops, cols := m.ops, m.cols
	for {
		o := &ops[pc]
		pc++
		if o.code >= opString {
			if o.code > opBytes {
				if i = m.rare(o, b, i, pc); i < 0 {
					return -1
				}
				continue
			}
			n := uint64(0)
			if uint(i) < uint(len(b)) && b[i] < 0x80 {
				n = uint64(b[i])
				i++
			} else if n, i = varint(b, i); i < 0 {
				return m.fail(varintFault(i), pc)
			}
			if n&1 != 0 {
				return m.fail(faultLength, pc)
			}
			n >>= 1
			if n > uint64(len(b)-i) {
				return m.fail(faultTruncated, pc)
			}
			v := b[i : i+int(n)]
			if len(v) > m.limits.String {
				return m.fail(faultLong, pc)
			}
			if o.code == opString && !validText(v) {
				return m.fail(faultUTF8, pc)
			}
			i += int(n)
			if !appendBytes(cols[o.col], v) {
				return m.fail(faultFull, pc)
			}
			continue
		}
		switch o.code {
		case opLong, opInt, opMillis, opLongFloat, opIntFloat, opNanos, opDate:
			u := uint64(0)
			if uint(i) < uint(len(b)) && b[i] < 0x80 {
				u = uint64(b[i])
				i++
			} else if u, i = varint(b, i); i < 0 {
				return m.fail(varintFault(i), pc)
			}
			v := zigzag(u)
			c := cols[o.col]
			if o.code != opLong {
				if o.code == opLongFloat || o.code == opIntFloat {
					if o.code == opIntFloat && v != int64(int32(v)) {
						return m.fail(faultRange, pc)
					}
					c.Floats = append(c.Floats, float64(v))
					valid(c)
					continue
				}
				var f fault
				if v, f = convert(o.code, v); f != 0 {
					return m.fail(f, pc)
				}
			}
			c.Ints = append(c.Ints, v)
			valid(c)
		case opDouble:
			if len(b)-i < 8 {
				return m.fail(faultTruncated, pc)
			}
			c := cols[o.col]
			c.Floats = append(c.Floats, math.Float64frombits(binary.LittleEndian.Uint64(b[i:])))
			i += 8
			valid(c)
		case opSkip:
			if int(o.n) > len(b)-i {
				return m.fail(faultTruncated, pc)
			}
			i += int(o.n)
		case opSkipInts:
			for k := o.n; k > 0; k-- {
				if i = skipVarint(b, i); i < 0 {
					return m.fail(varintFault(i), pc)
				}
			}
		case opSkipTexts:
			for k := o.n; k > 0; k-- {
				n := uint64(0)
				if uint(i) < uint(len(b)) && b[i] < 0x80 {
					n = uint64(b[i])
					i++
				} else if n, i = varint(b, i); i < 0 {
					return m.fail(varintFault(i), pc)
				}
				if n&1 != 0 {
					return m.fail(faultLength, pc)
				}
				if n>>1 > uint64(len(b)-i) {
					return m.fail(faultTruncated, pc)
				}
				i += int(n >> 1)
			}
		case opNullable:
			if uint(i) >= uint(len(b)) {
				return m.fail(faultTruncated, pc)
			}
			branch := uint64(b[i])
			i++
			if branch&^2 != 0 {
				if branch, i = varint(b, i-1); i < 0 {
					return m.fail(varintFault(i), pc)
				}
				if branch&^2 != 0 {
					return m.fail(faultBranch, pc)
				}
			}
			if int32(branch>>1) == o.ref {
				pc = int(o.n)
			}
		case opUnion:
			u, next := varint(b, i)
			if next < 0 {
				return m.fail(varintFault(next), pc)
			}
			table := m.tables[o.ref]
			if u&1 != 0 || u>>1 >= uint64(len(table)) {
				return m.fail(faultBranch, pc)
			}
			i, pc = next, int(table[u>>1])
		case opNull:
			cols[o.col].AppendNull()
		case opJump:
			pc = int(o.n)
		case opBool:
			if uint(i) >= uint(len(b)) {
				return m.fail(faultTruncated, pc)
			}
			if b[i] > 1 {
				return m.fail(faultBool, pc)
			}
			cols[o.col].AppendBool(b[i] == 1)
			i++
		case opEnd:
			return i
		default:
			if i = m.rare(o, b, i, pc); i < 0 {
				return -1
			}
		}
	}
}

// convert brings an integer to the unit of its column.
func convert(code opcode, v int64) (int64, fault) {
	switch code {
	case opMillis:
		if r := v * 1000; r/1000 == v {
			return r, 0
		}
		return 0, faultRange
	case opNanos:
		if v%1000 == 0 {
			return v / 1000, 0
		}
		return 0, faultNanos
	}
	if v != int64(int32(v)) {
		return 0, faultRange
	}
	if code == opDate {
		v *= 86_400_000_000
	}
	return v, 0
}

// valid ends a row of a fixed-width column that is not null.
func valid(c *record.Column) {
	if c.Nulls != 0 {
		setValid(c)
	}
	c.Len++
}

func setValid(c *record.Column) {
	if c.Len>>6 == len(c.Valid) {
		c.Valid = append(c.Valid, 0)
	}
	c.Valid[c.Len>>6] |= 1 << (uint(c.Len) & 63)
}

// maxData is how far the 32-bit offsets of a column reach.
const maxData = math.MaxInt32

// appendBytes appends to a String, Bytes or JSON column, unless it is full.
func appendBytes(c *record.Column, v []byte) bool {
	if len(c.Offsets) == 0 {
		c.Offsets = append(c.Offsets, 0)
	}
	c.Data = append(c.Data, v...)
	if len(c.Data) > maxData {
		return false
	}
	c.Offsets = append(c.Offsets, int32(len(c.Data)))
	if c.Nulls != 0 {
		setValid(c)
	}
	c.Len++
	return true
}
