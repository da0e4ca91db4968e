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
	limits  Limits
	cols    []*record.Column // as layout numbers them
	binding int64            // how often cols were found
	at      []int            // remembered positions
	base    []byte           // JSON being made, reused

	// Why the last run stopped, and at which step.
	fault  fault
	pc     int
	resume int // where a run that has met opStop goes on

	// The values of the record at hand that could not be read.
	row int // where the record goes
	top int // columns that are not nested in others
	bad []badValue
}

// fail notes a fault of the step before pc.
func (m *machine) fail(f fault, pc int) int {
	m.fault, m.pc = f, pc-1
	return -1
}

// exec runs the steps from pc on over b[i:], up to opEnd. It returns where the
// next value starts, or -1 with the fault noted. It is one long switch because
// it is the loop in which the time of a decoder goes; what is rare or long is
// in rare. Text and integers are read and appended in place: calls would take
// as long as the work.
func (m *machine) exec(b []byte, i, pc int) int {
	ops, limit := m.ops, m.limits.String
	for {
		o := &ops[pc]
		pc++
		switch o.code {
		case opString:
			var n int
			if uint(i) < uint(len(b)) && b[i]&0x81 == 0 {
				n = int(b[i] >> 1)
				i++
			} else if n, i = length(b, i); i < 0 {
				return m.fail(fault(-i), pc)
			}
			if n > len(b)-i {
				return m.fail(faultTruncated, pc)
			}
			if n > limit {
				if i = m.spoil(b, i, i+n, faultLong, pc); i < 0 {
					return -1
				}
				continue
			}
			c := o.dst
			at := len(c.Data)
			if next := at + n; cap(c.Data)-next >= 16 && len(b)-i-n >= 16 {
				// There is room to copy, and to look, sixteen bytes at a time.
				// What is copied beyond a text is written over by the next one.
				data := c.Data[:next+16]
				or := copy16(data, at, b, i)
				for k := 16; k < n; k += 16 {
					or |= copy16(data, at+k, b, i+k)
				}
				if or&topBits != 0 && !validText(b[i:i+n]) {
					if i = m.spoil(b, i, i+n, faultUTF8, pc); i < 0 {
						return -1
					}
					continue
				}
				c.Data = c.Data[:next]
			} else {
				v := b[i : i+n]
				if !validText(v) {
					if i = m.spoil(b, i, i+n, faultUTF8, pc); i < 0 {
						return -1
					}
					continue
				}
				c.Data = append(c.Data, v...)
			}
			if len(c.Data) > maxData {
				return m.fail(faultFull, pc)
			}
			i += n
			c.Offsets = append(c.Offsets, int32(len(c.Data)))
			if c.Nulls != 0 {
				setValid(c)
			}
			c.Len++
		case opLong:
			u, next := varint(b, i)
			if next < 0 {
				return m.fail(varintFault(next), pc)
			}
			i = next
			c := o.dst
			c.Ints = append(c.Ints, zigzag(u))
			if c.Nulls != 0 {
				setValid(c)
			}
			c.Len++
		case opInt, opMillis, opNanos, opDate:
			u, next := varint(b, i)
			if next < 0 {
				return m.fail(varintFault(next), pc)
			}
			v, f := convert(o.code, zigzag(u))
			if next-i > intBytes && (o.code == opInt || o.code == opDate) {
				f = faultVarint
			}
			if f != 0 {
				if i = m.spoil(b, i, next, f, pc); i < 0 {
					return -1
				}
				continue
			}
			i = next
			c := o.dst
			c.Ints = append(c.Ints, v)
			valid(c)
		case opDouble:
			if len(b)-i < 8 {
				return m.fail(faultTruncated, pc)
			}
			c := o.dst
			c.Floats = append(c.Floats, math.Float64frombits(binary.LittleEndian.Uint64(b[i:])))
			i += 8
			if c.Nulls != 0 {
				setValid(c)
			}
			c.Len++
		case opSkip:
			if int(o.n) > len(b)-i {
				return m.fail(faultTruncated, pc)
			}
			i += int(o.n)
		case opSkipInts:
			for k := o.n; k > 0; k-- {
				if uint(i) < uint(len(b)) && b[i] < 0x80 {
					i++
				} else if i = skipVarint(b, i); i < 0 {
					return m.fail(varintFault(i), pc)
				}
			}
		case opSkipTexts:
			for k := o.n; k > 0; k-- {
				var n int
				if uint(i) < uint(len(b)) && b[i]&0x81 == 0 {
					n = int(b[i] >> 1)
					i++
				} else if n, i = length(b, i); i < 0 {
					return m.fail(fault(-i), pc)
				}
				if n > len(b)-i {
					return m.fail(faultTruncated, pc)
				}
				i += n
			}
		case opNullable:
			if uint(i) >= uint(len(b)) {
				return m.fail(faultTruncated, pc)
			}
			branch := uint64(b[i])
			i++
			if branch&^2 != 0 {
				var f fault
				if branch, i, f = index(b, i-1, 2); f != 0 {
					return m.fail(f, pc)
				}
				branch <<= 1
			}
			if int32(branch>>1) == o.ref {
				pc = int(o.n)
			}
		case opUnion:
			table := m.tables[o.ref]
			u, next, f := index(b, i, len(table))
			if f != 0 {
				return m.fail(f, pc)
			}
			i, pc = next, int(table[u])
		case opNull:
			appendNull(o.dst)
		case opJump:
			pc = int(o.n)
		case opBool:
			if uint(i) >= uint(len(b)) {
				return m.fail(faultTruncated, pc)
			}
			if b[i] > 1 {
				if i = m.spoil(b, i, i+1, faultBool, pc); i < 0 {
					return -1
				}
				continue
			}
			appendBool(o.dst, uint64(b[i]))
			i++
		case opEnd:
			return i
		case opStop:
			m.resume = pc
			return i
		default:
			start := i
			if i = m.rare(o, b, i, pc); i < 0 {
				if i = m.mend(b, start, pc); i < 0 {
					return -1
				}
			}
		}
	}
}

// copy16 copies sixteen bytes, and returns them or-ed together.
func copy16(dst []byte, at int, src []byte, i int) uint64 {
	d, s := (*[16]byte)(dst[at:at+16:at+16]), (*[16]byte)(src[i:i+16:i+16])
	w, v := binary.LittleEndian.Uint64(s[:8]), binary.LittleEndian.Uint64(s[8:])
	binary.LittleEndian.PutUint64(d[:8], w)
	binary.LittleEndian.PutUint64(d[8:], v)
	return w | v
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
		const day = 86_400_000_000
		if v > math.MaxInt64/day || v < math.MinInt64/day {
			return 0, faultRange
		}
		v *= day
	}
	return v, 0
}

// appendNull is AppendNull without its switch, for the columns whose nulls are
// frequent.
func appendNull(c *record.Column) {
	if k := c.Type.Kind; c.Nulls == 0 || k != record.String && k != record.JSON {
		c.AppendNull()
		return
	}
	if c.Len>>6 == len(c.Valid) {
		c.Valid = append(c.Valid, 0)
	}
	c.Offsets = append(c.Offsets, int32(len(c.Data)))
	c.Nulls++
	c.Len++
}

func appendBool(c *record.Column, bit uint64) {
	if c.Len>>6 == len(c.Bits) {
		c.Bits = append(c.Bits, 0)
	}
	c.Bits[c.Len>>6] |= bit << (uint(c.Len) & 63)
	valid(c)
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

// appendBytes appends to a String, Bytes or JSON column, unless it is full. The
// column has its first offset: see bind.
func appendBytes(c *record.Column, v []byte) bool {
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
