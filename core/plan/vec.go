package plan

import (
	"math"

	"github.com/sluicekit/sluice/core/record"
)

// vec is the value of an expression for a run of rows. It is laid out as a
// column is, with these differences: Nulls only says whether Valid is to be
// read; bits behind the last row are anything; and the row that konst has
// stands for all.
//
// A row that is bad has a code in errs, and is null for all kernels that do
// not care.
type vec struct {
	record.Column
	konst  bool
	errs   []code // nil: no row is bad
	errbuf []code // memory of errs
}

// code says which expression made a row bad, and why; 0: none did. Of a value
// that could not be read it says which of the chunk's BadValues it is.
type code uint32

func codeOf(e *expr, c cause) code { return code(e.id)<<8 | code(c) }

func (c code) id() int      { return int(c >> 8) }
func (c code) cause() cause { return cause(c) }

// cause is why a row is bad.
type cause uint8

const (
	fine cause = iota
	isNull
	overflow
	divisionByZero
	notInteger
	notUint
	notNumber
	notBool
	notTimestamp
	outOfRange
	losesDigits
	notFinite
	notUTF8
	notScalar
	tooLong
	nullKey
	unreadable
)

var causes = [...]string{
	fine:           "",
	isNull:         "is null",
	overflow:       "overflow",
	divisionByZero: "division by zero",
	notInteger:     "not an integer",
	notUint:        "not an integer of 0 or more",
	notNumber:      "not a number",
	notBool:        "not true or false",
	notTimestamp:   "not an RFC 3339 time",
	outOfRange:     "out of range",
	losesDigits:    "digits would be lost",
	notFinite:      "not a finite number",
	notUTF8:        "not UTF-8",
	notScalar:      "not a single value",
	tooLong:        "text too long",
	nullKey:        "a grouping field is null",
	unreadable:     "cannot be read",
}

// mask makes an index into a vec: row i is at i&mask.
func (v *vec) mask() int {
	if v.konst {
		return 0
	}
	return -1
}

// null says whether row i is null or bad.
func (v *vec) null(i int) bool { return v.Column.Null(i & v.mask()) }

// err is the code of row i.
func (v *vec) err(i int) code {
	if v.errs == nil {
		return 0
	}
	return v.errs[i]
}

// bytes is row i of a text.
func (v *vec) bytes(i int) []byte { return v.Column.Bytes(i & v.mask()) }

// word is 64 rows of a bitmap of v.
func (v *vec) word(bitmap []uint64, w int) uint64 {
	if v.konst {
		return -(bitmap[0] & 1)
	}
	return bitmap[w]
}

// bitsAt is 64 rows of a Bool.
func (v *vec) bitsAt(w int) uint64 { return v.word(v.Bits, w) }

// validAt says which of 64 rows are not null.
func (v *vec) validAt(w int) uint64 {
	if v.Nulls == 0 {
		return ^uint64(0)
	}
	return v.word(v.Valid, w)
}

// begin makes v n rows of type t, whose fixed-width values are to be
// overwritten and whose texts are to be appended.
func (v *vec) begin(t record.Type, n int) {
	v.Type, v.Len, v.Nulls, v.errs, v.konst = t, n, 0, nil, false
	switch t.Kind {
	case record.Bool:
		v.Bits = resize(v.Bits, words(n))
	case record.Int, record.Timestamp:
		v.Ints = resize(v.Ints, n)
	case record.Uint:
		v.Uints = resize(v.Uints, n)
	case record.Float:
		v.Floats = resize(v.Floats, n)
	case record.Decimal:
		v.Decimals = resize(v.Decimals, n)
	case record.String, record.Bytes, record.JSON:
		v.Offsets, v.Data = append(v.Offsets[:0], 0), v.Data[:0]
	}
}

// maxData is how much a column of texts can hold: its offsets have 32 bits.
const maxData = math.MaxInt32

// endText ends row i of a text, unless there is no room for it.
func (v *vec) endText(i int, e *expr) {
	if len(v.Data) > maxData {
		v.Data = v.Data[:v.Offsets[i]]
		v.fail(i, codeOf(e, tooLong))
	}
	v.Offsets = append(v.Offsets, int32(len(v.Data)))
}

// strict makes v null wherever one of its arguments is, and bad where one is:
// the first that is bad says why.
func (v *vec) strict(args ...*vec) {
	for _, a := range args {
		if a.Nulls == 0 {
			continue
		}
		if v.Nulls == 0 {
			v.allValid()
		}
		for w := range v.Valid {
			v.Valid[w] &= a.word(a.Valid, w)
		}
	}
	for _, a := range args {
		if a.errs == nil {
			continue
		}
		errs := v.errors()
		for i, c := range a.errs[:v.Len] {
			if errs[i] == 0 {
				errs[i] = c
			}
		}
	}
}

// allValid starts the bitmap of nulls.
func (v *vec) allValid() {
	v.Valid = resize(v.Valid, words(v.Len))
	for w := range v.Valid {
		v.Valid[w] = ^uint64(0)
	}
	v.Nulls = 1
}

// errors starts the list of bad rows.
func (v *vec) errors() []code {
	if v.errs == nil {
		v.errbuf = resize(v.errbuf, v.Len)
		clear(v.errbuf)
		v.errs = v.errbuf
	}
	return v.errs
}

// setNull makes row i null. Its value must be zero, and is for the caller to
// set.
func (v *vec) setNull(i int) {
	if v.Nulls == 0 {
		v.allValid()
	}
	v.Valid[i>>6] &^= 1 << (uint(i) & 63)
}

// fail makes row i bad, unless it is null or bad already.
func (v *vec) fail(i int, c code) {
	if v.Nulls != 0 && v.Valid[i>>6]&(1<<(uint(i)&63)) == 0 {
		return
	}
	v.setNull(i)
	v.errors()[i] = c
}

// settle ends a row whose value is what cause says.
func (v *vec) settle(i int, e *expr, c cause) {
	switch c {
	case fine:
	case isNull:
		v.setNull(i)
	default:
		v.fail(i, codeOf(e, c))
	}
}

// view is rows [first, first+n) of a column, without a copy; first is a
// multiple of 64.
func view(c *record.Column, first, n int) record.Column {
	v := record.Column{Type: c.Type, Len: n, Nulls: c.Nulls, Data: c.Data, Keys: c.Keys, Elems: c.Elems}
	if n == 0 {
		v.Nulls = 0
		return v
	}
	if c.Nulls != 0 {
		v.Valid = c.Valid[first/64:]
	}
	switch c.Type.Kind {
	case record.Bool:
		v.Bits = c.Bits[first/64:]
	case record.Int, record.Timestamp:
		v.Ints = c.Ints[first : first+n]
	case record.Uint:
		v.Uints = c.Uints[first : first+n]
	case record.Float:
		v.Floats = c.Floats[first : first+n]
	case record.Decimal:
		v.Decimals = c.Decimals[first : first+n]
	default:
		v.Offsets = c.Offsets[first : first+n+1]
	}
	return v
}

func words(n int) int { return (n + 63) / 64 }

// resize makes s n long; what it holds is anything.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
