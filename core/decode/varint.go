package decode

import (
	"encoding/binary"
	"unicode/utf8"
)

// varint reads an unsigned base-128 integer at b[i] and tells where the next
// value starts: -1 if the data end within it, -2 if it has more than 64 bits.
//
// Up to eight bytes are read at once. Their number is found by asking for each,
// not by counting zeros: the processor then guesses it, mostly right, and goes
// on with the next value before this one is there.
func varint(b []byte, i int) (uint64, int) {
	if uint(i)+8 <= uint(len(b)) {
		w := binary.LittleEndian.Uint64(b[i:])
		switch {
		case w&0x80 == 0:
			return w & 0x7f, i + 1
		case w&0x8000 == 0:
			return w&0x7f | w>>1&0x3f80, i + 2
		case w&0x80_0000 == 0:
			return squeeze(w & 0x7f_7f7f), i + 3
		case w&0x8000_0000 == 0:
			return squeeze(w & 0x7f7f_7f7f), i + 4
		case w&0x80_0000_0000 == 0:
			return squeeze(w & 0x7f_7f7f_7f7f), i + 5
		case w&0x8000_0000_0000 == 0:
			return squeeze(w & 0x7f7f_7f7f_7f7f), i + 6
		case w&0x80_0000_0000_0000 == 0:
			return squeeze(w & 0x7f_7f7f_7f7f_7f7f), i + 7
		case w&0x8000_0000_0000_0000 == 0:
			return squeeze(w), i + 8
		}
	}
	var v uint64
	for s := uint(0); s < 70; s += 7 {
		if uint(i) >= uint(len(b)) {
			return 0, -1
		}
		c := b[i]
		i++
		if c < 0x80 {
			if s == 63 && c > 1 {
				return 0, -2
			}
			return v | uint64(c)<<s, i
		}
		v |= uint64(c&0x7f) << s
	}
	return 0, -2
}

// squeeze pushes the lower seven bits of the bytes together, in pairs.
func squeeze(w uint64) uint64 {
	w = w&0x007f007f007f007f | w>>1&0x3f803f803f803f80
	w = w&0x00003fff00003fff | w>>2&0x0fffc0000fffc000
	return w&0x000000000fffffff | w>>4&0x00fffffff0000000
}

// intBytes is how many bytes an int has at most, and with it the index of a
// union's branch and of an enum's symbol: the readers of other languages refuse
// a longer one, and whether a record is bad must not hang on who reads it.
const intBytes = 5

// index reads which of n branches or symbols is meant; faultBranch says that
// there is no such one.
func index(b []byte, i, n int) (u uint64, next int, f fault) {
	u, next = varint(b, i)
	switch {
	case next < 0:
		return 0, 0, varintFault(next)
	case next-i > intBytes:
		return 0, 0, faultVarint
	case u&1 != 0 || u>>1 >= uint64(n):
		return 0, 0, faultBranch
	}
	return u >> 1, next, 0
}

// length reads the length of a text. next is the negative fault if there is
// none; whether the text is whole is for the caller to see.
func length(b []byte, i int) (n, next int) {
	u, next := varint(b, i)
	switch {
	case next < 0:
		return 0, -int(varintFault(next))
	case u&1 != 0:
		return 0, -int(faultLength)
	case u>>1 > uint64(len(b)):
		return 0, -int(faultTruncated)
	}
	return int(u >> 1), next
}

// skipVarint is varint without the value.
func skipVarint(b []byte, i int) int {
	for k := range b[min(i, len(b)):min(i+9, len(b))] {
		if b[i+k] < 0x80 {
			return i + k + 1
		}
	}
	_, i = varint(b, i)
	return i
}

// zigzag is the signed integer that Avro writes as u.
func zigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// varintFault names what varint reports as next < 0.
func varintFault(next int) fault {
	if next == -2 {
		return faultVarint
	}
	return faultTruncated
}

const topBits = 0x8080808080808080

// validText says whether v is UTF-8. Text is mostly short and ASCII.
func validText(v []byte) bool {
	n := len(v)
	if n >= 8 {
		w := binary.LittleEndian.Uint64(v[n-8:])
		for i := 0; i+8 <= n; i += 8 {
			w |= binary.LittleEndian.Uint64(v[i:])
		}
		return w&topBits == 0 || utf8.Valid(v)
	}
	var or byte
	for _, c := range v {
		or |= c
	}
	return or < 0x80 || utf8.Valid(v)
}
