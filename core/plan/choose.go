package plan

import "github.com/sluicekit/sluice/core/record"

// choose takes b where the condition is true and c where it is false or null.
func (m *machine) choose(e *expr, v, cond, b, c *vec) {
	m.mask = resize(m.mask, words(v.Len))
	for w := range m.mask {
		m.mask[w] = cond.bitsAt(w)
	}
	m.blend(e, v, b, c)
	v.keepErrors(cond)
}

// coalesce takes b where a is null. A bad row is not null.
func (m *machine) coalesce(e *expr, v, a, b *vec) {
	m.mask = resize(m.mask, words(v.Len))
	for w := range m.mask {
		m.mask[w] = a.validAt(w)
	}
	if a.errs != nil {
		for i, c := range a.errs[:v.Len] {
			m.mask[i>>6] |= bit(c != 0) << (uint(i) & 63)
		}
	}
	m.blend(e, v, a, b)
}

// blend takes b where a bit of the mask is set, and else c. Values of fixed
// width without bad rows among them have loops of their own.
func (m *machine) blend(e *expr, v, b, c *vec) {
	if v.isText() || b.errs != nil || c.errs != nil {
		for i := range v.Len {
			from := c
			if m.mask[i>>6]&(1<<(uint(i)&63)) != 0 {
				from = b
			}
			v.put(i, e, from)
		}
		return
	}
	if b.Nulls != 0 || c.Nulls != 0 {
		v.allValid()
		for w, mask := range m.mask {
			v.Valid[w] = b.validAt(w)&mask | c.validAt(w)&^mask
		}
	}
	switch v.Type.Kind {
	case record.Bool:
		for w, mask := range m.mask {
			v.Bits[w] = b.bitsAt(w)&mask | c.bitsAt(w)&^mask
		}
	case record.Int, record.Timestamp:
		blendRows(v.Ints, m.mask, b.Ints, c.Ints, b.mask(), c.mask())
	case record.Uint:
		blendRows(v.Uints, m.mask, b.Uints, c.Uints, b.mask(), c.mask())
	case record.Float:
		blendRows(v.Floats, m.mask, b.Floats, c.Floats, b.mask(), c.mask())
	case record.Decimal:
		blendRows(v.Decimals, m.mask, b.Decimals, c.Decimals, b.mask(), c.mask())
	}
}

func blendRows[T any](out []T, mask []uint64, b, c []T, bm, cm int) {
	for i := range out {
		if mask[i>>6]&(1<<(uint(i)&63)) != 0 {
			out[i] = b[i&bm]
		} else {
			out[i] = c[i&cm]
		}
	}
}

// put sets row i of v, which has those before it, to row i of from.
func (v *vec) put(i int, e *expr, from *vec) {
	k := i & from.mask()
	bad := from.err(i)
	if bad != 0 || from.Column.Null(k) {
		v.setNull(i)
		if bad != 0 {
			v.errors()[i] = bad
		}
		if v.Type.Kind == record.Bool {
			v.Bits[i>>6] &^= 1 << (uint(i) & 63)
		}
		if v.isText() {
			v.endText(i, e)
		}
		return
	}
	switch v.Type.Kind {
	case record.Bool:
		v.Bits[i>>6] &^= 1 << (uint(i) & 63)
		v.Bits[i>>6] |= bit(from.Column.Bool(k)) << (uint(i) & 63)
	case record.Int, record.Timestamp:
		v.Ints[i] = from.Ints[k]
	case record.Uint:
		v.Uints[i] = from.Uints[k]
	case record.Float:
		v.Floats[i] = from.Floats[k]
	case record.Decimal:
		v.Decimals[i] = from.Decimals[k]
	default:
		v.Data = append(v.Data, from.Column.Bytes(k)...)
		v.endText(i, e)
	}
}

func (v *vec) isText() bool {
	return v.Type.Kind == record.String || v.Type.Kind == record.Bytes || v.Type.Kind == record.JSON
}
