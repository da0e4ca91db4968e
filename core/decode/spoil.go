package decode

import "github.com/sluicekit/sluice/core/record"

// badValue is a value of the record at hand that cannot be read, or does not
// fit its column.
type badValue struct {
	col   int32
	field string // of the event
	cause string
}

// maxBadValues bounds those of one chunk.
const maxBadValues = 1 << 20

// mend decides what the failure of the step before pc, at b[start:], means:
// either its value alone is bad, or the record. That must not depend on who
// wants what. So the judge is the walk that skips a value which nobody wants:
// what it passes over is sound in structure, and where it ends the next value
// starts.
func (m *machine) mend(b []byte, start, pc int) int {
	if m.fault == 0 || m.fault == faultFull || m.sites[pc-1].node == nil {
		return -1
	}
	return m.spoil(b, start, -1, m.fault, pc)
}

// spoil makes the value that the step before pc reads bad: null in its column,
// and noted. The next value starts at next, or behind the value if that is -1.
// An entry of a list makes all of the list bad, which is for list to see.
func (m *machine) spoil(b []byte, start, next int, f fault, pc int) int {
	if m.fault == 0 {
		m.fail(f, pc)
	}
	o, at := &m.ops[pc-1], &m.sites[pc-1]
	if int(o.col) >= m.top {
		return -1
	}
	cause := m.cause()
	m.fault = 0
	if next < 0 {
		var sound fault
		if next, sound = skipNode(at.node, b, start, at.depth, &m.limits); sound != 0 {
			return m.fail(sound, pc)
		}
	}
	o.dst.Settle()
	o.dst.AppendNull()
	m.bad = append(m.bad, badValue{col: o.col, field: at.field, cause: cause})
	return next
}

// spoilAll makes all values bad that are read by the step before pc, some of
// which may be in their columns already.
func (m *machine) spoilAll(pc int, field, cause string) {
	m.fault = 0
	for _, col := range m.sites[pc-1].cols {
		c := m.cols[col]
		c.Settle()
		c.Truncate(m.row)
		c.AppendNull()
		m.bad = append(m.bad, badValue{col: int32(col), field: field, cause: cause})
	}
}

// cause is why the last step failed.
func (m *machine) cause() string {
	if m.fault == faultMismatch {
		return m.notes[m.ops[m.pc].ref]
	}
	return faultTexts[m.fault]
}

// noteValues adds the record's bad values to a chunk.
func (d *Decoder) noteValues(dst *record.Chunk, row int) {
	for _, b := range d.m.bad {
		dst.BadValues = append(dst.BadValues, record.BadValue{Row: row, Column: int(b.col), Reason: d.reason(b.field, b.cause)})
	}
	d.m.bad = d.m.bad[:0]
}

// reason keeps the texts: a million bad values of a field are one text.
func (d *Decoder) reason(field, cause string) string {
	k := [2]string{field, cause}
	text, ok := d.reasons[k]
	if !ok {
		if len(d.reasons) >= 10_000 || d.reasons == nil {
			d.reasons = map[[2]string]string{}
		}
		text = field + ": " + cause
		d.reasons[k] = text
	}
	return text
}
