package plan

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"

	"github.com/sluicekit/sluice/core/record"
)

// signBit makes the order of bytes that of signed numbers.
const signBit = 1 << 63

// appendKey appends row i so that keys are ordered as bytes as the values are,
// and no key is the beginning of another. readKey is its inverse.
func appendKey(dst []byte, c *record.Column, i int) []byte {
	switch c.Type.Kind {
	case record.Bool:
		return append(dst, byte(bit(c.Bool(i))))
	case record.Int, record.Timestamp:
		return binary.BigEndian.AppendUint64(dst, uint64(c.Ints[i])^signBit)
	case record.Uint:
		return binary.BigEndian.AppendUint64(dst, c.Uints[i])
	case record.Decimal:
		dst = binary.BigEndian.AppendUint64(dst, uint64(c.Decimals[i].Hi)^signBit)
		return binary.BigEndian.AppendUint64(dst, c.Decimals[i].Lo)
	}
	for text := c.Bytes(i); ; { // 0 is written as 0 255, the end as 0 1
		k := bytes.IndexByte(text, 0)
		if k < 0 {
			return append(append(dst, text...), 0, 1)
		}
		dst = append(append(dst, text[:k]...), 0, 255)
		text = text[k+1:]
	}
}

// readKey appends the first value of a key to c, and returns the rest.
func readKey(c *record.Column, key []byte) []byte {
	switch c.Type.Kind {
	case record.Bool:
		c.AppendBool(key[0] != 0)
		return key[1:]
	case record.Int, record.Timestamp:
		c.AppendInt(int64(binary.BigEndian.Uint64(key) ^ signBit))
		return key[8:]
	case record.Uint:
		c.AppendUint(binary.BigEndian.Uint64(key))
		return key[8:]
	case record.Decimal:
		c.AppendDec(record.Dec{Hi: int64(binary.BigEndian.Uint64(key) ^ signBit), Lo: binary.BigEndian.Uint64(key[8:])})
		return key[16:]
	}
	for {
		k := bytes.IndexByte(key, 0)
		c.Data = append(c.Data, key[:k]...)
		if end := key[k+1] == 1; end {
			c.AppendData()
			return key[k+2:]
		}
		c.Data = append(c.Data, 0)
		key = key[k+2:]
	}
}

// compareCells orders values of one type that are not null. Floats have a
// total order here: NaN is the largest, and -0 is less than 0.
func compareCells(a *record.Column, i int, b *record.Column, j int) int {
	switch a.Type.Kind {
	case record.Int, record.Timestamp:
		return cmp.Compare(a.Ints[i], b.Ints[j])
	case record.Uint:
		return cmp.Compare(a.Uints[i], b.Uints[j])
	case record.Float:
		return compareFloats(a.Floats[i], b.Floats[j])
	case record.Decimal:
		return a.Decimals[i].Cmp(b.Decimals[j])
	}
	return bytes.Compare(a.Bytes(i), b.Bytes(j))
}

func compareFloats(f, g float64) int {
	switch fNaN, gNaN := math.IsNaN(f), math.IsNaN(g); {
	case fNaN || gNaN:
		return int(bit(fNaN)) - int(bit(gNaN))
	case f == g:
		return int(bit(math.Signbit(g))) - int(bit(math.Signbit(f)))
	}
	return cmp.Compare(f, g)
}
