package decode

import (
	"encoding/binary"
	"math"

	"github.com/sluicekit/sluice/core/record"
)

// rare runs the steps that are not in exec.
func (m *machine) rare(o *op, b []byte, i, pc int) int {
	switch o.code {
	case opMark:
		m.at[o.ref] = i
		return i
	case opReturn:
		return m.at[o.ref]
	case opFloat:
		if len(b)-i < 4 {
			return m.fail(faultTruncated, pc)
		}
		o.dst.AppendFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i:]))))
		return i + 4
	case opIntFloat, opLongFloat:
		u, next := varint(b, i)
		if next < 0 {
			return m.fail(varintFault(next), pc)
		}
		v := zigzag(u)
		switch {
		case o.code == opLongFloat:
		case next-i > intBytes:
			return m.fail(faultVarint, pc)
		case v != int64(int32(v)):
			return m.fail(faultRange, pc)
		}
		o.dst.AppendFloat(float64(v))
		return next
	case opBytes:
		v, next, f := lengthed(b, i)
		if f == 0 && len(v) > m.limits.String {
			f = faultLong
		}
		if f != 0 {
			return m.fail(f, pc)
		}
		return m.bytes(o, v, next, pc)
	case opFixed:
		if int(o.n) > len(b)-i {
			return m.fail(faultTruncated, pc)
		}
		return m.bytes(o, b[i:i+int(o.n)], i+int(o.n), pc)
	case opUUID:
		if len(b)-i < 16 {
			return m.fail(faultTruncated, pc)
		}
		m.base = appendUUID(m.base[:0], b[i:i+16])
		return m.bytes(o, m.base, i+16, pc)
	case opEnum:
		symbols := m.nodes[o.ref].symbols
		u, next, f := index(b, i, len(symbols))
		if f == faultBranch {
			f = faultSymbol
		}
		if f != 0 {
			return m.fail(f, pc)
		}
		return m.text(o, symbols[u], next, pc)
	case opDecimal, opDecimalFixed:
		return m.decimal(o, b, i, pc)
	case opConst:
		if m.exec(m.consts[o.ref], 0, int(o.n)) < 0 {
			if m.fault == faultFull {
				return -1
			}
			m.spoilAll(pc, m.sites[m.pc].field, m.cause())
		}
		return i
	case opMismatch:
		return m.spoil(b, i, i, faultMismatch, pc)
	case opDeep:
		return m.fail(faultDepth, pc)
	case opSkipNode:
		next, f := skipNode(m.nodes[o.ref], b, i, int(o.n), &m.limits)
		if f != 0 {
			return m.fail(f, pc)
		}
		return next
	}
	return m.nested(o, b, i, pc)
}

// nested runs the steps that hold others.
func (m *machine) nested(o *op, b []byte, i, pc int) int {
	switch o.code {
	case opJSON:
		j := renderer{out: m.base[:0], limits: &m.limits}
		next, f := j.value(m.nodes[o.ref], b, i, int(o.n))
		m.base = j.out
		if f != 0 {
			return m.fail(f, pc)
		}
		if len(j.out) > m.limits.String {
			return m.fail(faultLong, pc)
		}
		return m.bytes(o, j.out, next, pc)
	case opText:
		v, next, f := lengthed(b, i)
		if f != 0 {
			return m.fail(f, pc)
		}
		x := m.texts[o.ref]
		if _, f := x.find(v); f != 0 {
			m.spoilAll(pc, m.sites[pc-1].field, faultTexts[f])
			return next
		}
		if m.bad, f = x.store(v, m.cols, m.bad); f != 0 {
			return m.fail(f, pc)
		}
		return next
	case opPick:
		return m.pick(&m.picks[o.ref], b, i, pc)
	}
	return m.list(o, b, i, pc)
}

func (m *machine) bytes(o *op, v []byte, next, pc int) int {
	if !appendBytes(o.dst, v) {
		return m.fail(faultFull, pc)
	}
	return next
}

func (m *machine) text(o *op, v string, next, pc int) int {
	c := o.dst
	if len(c.Data)+len(v) > maxData {
		return m.fail(faultFull, pc)
	}
	c.AppendString(v)
	return next
}

func (m *machine) decimal(o *op, b []byte, i, pc int) int {
	w, next := m.nodes[o.ref], 0
	var v []byte
	var f fault
	if o.code == opDecimalFixed {
		v, next, f = fixedBytes(b, i, w.size)
	} else {
		v, next, f = lengthed(b, i)
	}
	if f != 0 {
		return m.fail(f, pc)
	}
	d, f := decimalOf(v)
	if f != 0 {
		return m.fail(f, pc)
	}
	c := o.dst
	if int(o.n) != int(c.Type.Scale) {
		var err error
		if d, err = d.Rescale(int(o.n), int(c.Type.Scale)); err != nil {
			return m.fail(decimalFault(err), pc)
		}
	}
	if !d.Fits(int(c.Type.Precision)) {
		return m.fail(faultDigits, pc)
	}
	c.AppendDec(d)
	return next
}

// decimalOf reads an unscaled decimal; no bytes at all are zero, as Java's
// writers of the empty number have it.
func decimalOf(v []byte) (record.Dec, fault) {
	if len(v) == 0 {
		return record.Dec{}, 0
	}
	d, ok := record.DecFromBytes(v)
	if !ok {
		return d, faultDigits
	}
	return d, 0
}

func decimalFault(err error) fault {
	if err == record.ErrDecScale {
		return faultScale
	}
	return faultDigits
}

// list reads an array or map into a List or Map column.
func (m *machine) list(o *op, b []byte, i, pc int) int {
	c, elems := o.dst, m.cols[o.ref]
	total, data := 0, len(elems.Data)
	k := blocks{limit: m.limits.Items}
	for {
		n, next, f := k.next(b, i)
		if f != 0 {
			return m.fail(f, pc)
		}
		i = next
		if n == 0 {
			break
		}
		for range n {
			if o.code == opMap {
				v, next, f := lengthed(b, i)
				if f == 0 && !validText(v) {
					f = faultUTF8
				}
				if f != 0 {
					return m.fail(f, pc)
				}
				keys := m.cols[o.ref+1]
				if len(keys.Data)+len(v) > maxData {
					return m.fail(faultFull, pc)
				}
				keys.AppendBytes(v)
				i = next
			}
			if i = m.exec(b, i, int(o.n)); i < 0 {
				return -1
			}
			// An enum's symbol is longer than the byte that names it.
			if len(elems.Data)-data > m.limits.Record {
				return m.fail(faultLong, pc)
			}
		}
		total += n
		if f := k.end(i); f != 0 {
			return m.fail(f, pc)
		}
	}
	if elems.Len > maxData {
		return m.fail(faultFull, pc)
	}
	c.AppendElems()
	return i
}

// pick finds the wanted entries of an array or map in a first pass that walks
// over all of it, and reads them in a second one.
func (m *machine) pick(p *pick, b []byte, i, pc int) int {
	end, f := skipNode(p.node, b, i, p.depth, &m.limits)
	if f != 0 {
		return m.fail(f, pc)
	}
	for k := range p.entries {
		e := &p.entries[k]
		next := int(e.absent)
		at, f := find(p.node, e, b, i, p.depth, &m.limits)
		if f != 0 {
			return m.fail(f, pc)
		}
		if at >= 0 {
			next = int(e.found)
		}
		if m.exec(b, at, next) < 0 && m.fault != 0 {
			return -1
		}
	}
	return end
}

// lengthed reads a value that starts with its length.
func lengthed(b []byte, i int) (v []byte, next int, f fault) {
	n, next := varint(b, i)
	switch {
	case next < 0:
		return nil, 0, varintFault(next)
	case n&1 != 0:
		return nil, 0, faultLength
	case n>>1 > uint64(len(b)-next):
		return nil, 0, faultTruncated
	}
	end := next + int(n>>1)
	return b[next:end], end, 0
}

func fixedBytes(b []byte, i, n int) ([]byte, int, fault) {
	if n > len(b)-i {
		return nil, 0, faultTruncated
	}
	return b[i : i+n], i + n, 0
}

func appendUUID(out, v []byte) []byte {
	const hex = "0123456789abcdef"
	for i, c := range v {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, hex[c>>4], hex[c&15])
	}
	return out
}
