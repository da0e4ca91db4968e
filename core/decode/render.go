package decode

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
)

// renderer writes Avro values as JSON text; the package comment says how.
type renderer struct {
	out    []byte
	limits *Limits
}

func (r *renderer) value(n *node, b []byte, i, depth int) (int, fault) {
	if len(r.out) > r.limits.Record {
		return 0, faultLong
	}
	if depth >= r.limits.Depth && n.container() {
		return 0, faultDepth
	}
	switch n.kind {
	case avroNull:
		r.out = append(r.out, "null"...)
		return i, 0
	case avroBoolean, avroFloat, avroDouble, avroFixed:
		return r.fixed(n, b, i)
	case avroInt, avroLong, avroEnum, avroUnion:
		return r.integer(n, b, i, depth)
	case avroString, avroBytes:
		v, next, f := lengthed(b, i)
		if f == 0 {
			f = r.bytes(n, v)
		}
		return next, f
	case avroRecord:
		return r.record(n, b, i, depth)
	}
	return r.entries(n, b, i, depth)
}

func (r *renderer) fixed(n *node, b []byte, i int) (int, fault) {
	v, next, f := fixedBytes(b, i, n.fixed)
	if f != 0 {
		return 0, f
	}
	switch n.kind {
	case avroBoolean:
		if v[0] > 1 {
			return 0, faultBool
		}
		r.out = strconv.AppendBool(r.out, v[0] == 1)
	case avroFloat:
		r.float(float64(math.Float32frombits(binary.LittleEndian.Uint32(v))), 32)
	case avroDouble:
		r.float(math.Float64frombits(binary.LittleEndian.Uint64(v)), 64)
	default:
		return next, r.bytes(n, v)
	}
	return next, 0
}

// float writes the shortest text that reads back as the same number.
func (r *renderer) float(v float64, bits int) {
	switch {
	case math.IsNaN(v):
		r.out = append(r.out, `"NaN"`...)
	case math.IsInf(v, 1):
		r.out = append(r.out, `"Infinity"`...)
	case math.IsInf(v, -1):
		r.out = append(r.out, `"-Infinity"`...)
	default:
		format := byte('f')
		if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
			format = 'e'
		}
		r.out = strconv.AppendFloat(r.out, v, format, -1, bits)
	}
}

func (r *renderer) integer(n *node, b []byte, i, depth int) (int, fault) {
	u, next := varint(b, i)
	if next < 0 {
		return 0, varintFault(next)
	}
	v := zigzag(u)
	switch {
	case n.kind != avroLong && next-i > intBytes:
		return 0, faultVarint
	case n.kind == avroUnion:
		if v < 0 || v >= int64(len(n.branches)) {
			return 0, faultBranch
		}
		return r.value(n.branches[v], b, next, depth)
	case n.kind == avroEnum:
		if v < 0 || v >= int64(len(n.symbols)) {
			return 0, faultSymbol
		}
		r.quote([]byte(n.symbols[v]))
		return next, 0
	case n.kind == avroInt && v != int64(int32(v)):
		return 0, faultRange
	}
	var f fault
	switch n.logical {
	case dateType:
		f = r.time(v, "2006-01-02", 86_400, 1)
	case millisType:
		f = r.time(v, "2006-01-02T15:04:05.999999Z", 1, 1000)
	case microsType:
		f = r.time(v, "2006-01-02T15:04:05.999999Z", 1, 1_000_000)
	case nanosType:
		if v%1000 != 0 {
			return 0, faultNanos
		}
		f = r.time(v, "2006-01-02T15:04:05.999999Z", 1, 1_000_000_000)
	default:
		r.out = strconv.AppendInt(r.out, v, 10)
	}
	return next, f
}

// time writes v, which counts so many seconds, or so many parts of one.
func (r *renderer) time(v int64, layout string, seconds, parts int64) fault {
	whole, rest := v/parts, v%parts
	if rest < 0 {
		whole, rest = whole-1, rest+parts
	}
	t := time.Unix(whole*seconds, rest*(1_000_000_000/parts)).UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return faultYear
	}
	r.out = append(r.out, '"')
	r.out = t.AppendFormat(r.out, layout)
	r.out = append(r.out, '"')
	return 0
}

func (r *renderer) bytes(n *node, v []byte) fault {
	switch {
	case n.kind == avroString:
		if !validText(v) {
			return faultUTF8
		}
		r.quote(v)
	case n.logical == uuidType:
		r.out = append(r.out, '"')
		r.out = appendUUID(r.out, v)
		r.out = append(r.out, '"')
	case n.logical == decimalType:
		return r.decimal(v, n.precision, n.scale)
	default:
		r.out = append(r.out, '"')
		r.out = base64.StdEncoding.AppendEncode(r.out, v)
		r.out = append(r.out, '"')
	}
	return 0
}

// maxDecimalBytes bounds the time that a decimal's digits take, which grows
// faster than their number.
const maxDecimalBytes = 1024

func (r *renderer) decimal(v []byte, precision, scale int) fault {
	if len(v) > maxDecimalBytes || scale > 4*maxDecimalBytes {
		return faultLong
	}
	if precision <= record.MaxPrecision {
		d, f := decimalOf(v)
		if f == 0 && !d.Fits(precision) {
			f = faultDigits
		}
		r.out = d.Append(r.out, scale)
		return f
	}
	x := new(big.Int).SetBytes(v)
	neg := len(v) > 0 && v[0]&0x80 != 0
	if neg {
		x.Sub(new(big.Int).Lsh(big.NewInt(1), uint(8*len(v))), x)
	}
	digits := x.Append(nil, 10)
	if len(digits) > precision {
		return faultDigits
	}
	if neg {
		r.out = append(r.out, '-')
	}
	point := len(digits) - scale
	if point <= 0 {
		r.out = append(r.out, '0', '.')
		for range -point {
			r.out = append(r.out, '0')
		}
		r.out = append(r.out, digits...)
		return 0
	}
	r.out = append(r.out, digits[:point]...)
	if scale > 0 {
		r.out = append(r.out, '.')
		r.out = append(r.out, digits[point:]...)
	}
	return 0
}

// quote writes text, which is UTF-8, as a JSON string.
func (r *renderer) quote(v []byte) {
	const hex = "0123456789abcdef"
	out := append(r.out, '"')
	start := 0
	for i, c := range v {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		out = append(out, v[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		case '\r':
			out = append(out, '\\', 'r')
		case '\t':
			out = append(out, '\\', 't')
		default:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	out = append(out, v[start:]...)
	r.out = append(out, '"')
}

func (r *renderer) record(n *node, b []byte, i, depth int) (int, fault) {
	r.out = append(r.out, '{')
	for k := range n.fields {
		if k > 0 {
			r.out = append(r.out, ',')
		}
		r.name(n.fields[k].name)
		var f fault
		if i, f = r.value(n.fields[k].typ, b, i, depth+1); f != 0 {
			return 0, f
		}
	}
	r.out = append(r.out, '}')
	return i, 0
}

func (r *renderer) name(s string) {
	r.quote([]byte(s))
	r.out = append(r.out, ':')
}

func (r *renderer) entries(n *node, b []byte, i, depth int) (int, fault) {
	open, shut := byte('['), byte(']')
	if n.kind == avroMap {
		open, shut = '{', '}'
	}
	r.out = append(r.out, open)
	first := true
	k := blocks{limit: r.limits.Items}
	for {
		count, next, f := k.next(b, i)
		if f != 0 {
			return 0, f
		}
		i = next
		if count == 0 {
			r.out = append(r.out, shut)
			return i, 0
		}
		for range count {
			if !first {
				r.out = append(r.out, ',')
			}
			first = false
			if n.kind == avroMap {
				v, next, f := lengthed(b, i)
				if f != 0 {
					return 0, f
				}
				if !utf8.Valid(v) {
					return 0, faultUTF8
				}
				r.quote(v)
				r.out = append(r.out, ':')
				i = next
			}
			if i, f = r.value(n.items, b, i, depth+1); f != 0 {
				return 0, f
			}
		}
		if f := k.end(i); f != 0 {
			return 0, f
		}
	}
}
