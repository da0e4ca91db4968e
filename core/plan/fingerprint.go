package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"

	"github.com/sluicekit/sluice/core/record"
)

// printVersion is changed when the meaning of an expression changes, so that a
// batch that is pending over the upgrade is seen to have another plan.
const printVersion = "plan 1"

// fingerprint hashes the typed expressions, not their text. Every part is
// written with its length, so that no two plans write the same bytes.
func fingerprint(p *Plan) (out [8]byte) {
	h := printer{sha256.New()}
	h.text(printVersion)
	h.expr(p.where, p.wants)
	h.number(len(p.fields))
	for i, f := range p.fields {
		h.text(p.rows.Fields[i].Name)
		h.expr(f, p.wants)
	}
	h.number(len(p.by))
	for _, i := range p.by {
		h.number(i)
	}
	if g := p.groups; g != nil {
		for _, c := range g.columns {
			h.text(c.name)
			h.text(accNames[c.acc])
			h.number(c.field)
			h.number(c.order)
		}
	}
	copy(out[:], h.Sum(nil))
	return out
}

type printer struct{ hash.Hash }

func (h printer) number(n int) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}

func (h printer) text(s string) {
	h.number(len(s))
	h.Write([]byte(s))
}

func (h printer) expr(e *expr, wants []record.Want) {
	if e == nil {
		h.number(-1)
		return
	}
	h.text(opNames[e.op])
	h.text(e.typ.String())
	h.text(e.unit)
	switch e.op {
	case opPath:
		h.text(wants[e.want].Path.String())
	case opConst:
		h.value(e.value)
	case opIn:
		h.value(&e.set.values)
	}
	h.number(len(e.args))
	for _, a := range e.args {
		h.expr(a, wants)
	}
}

// value writes the rows of a column of constants.
func (h printer) value(c *record.Column) {
	h.number(c.Len)
	for i := range c.Len {
		if c.Null(i) {
			h.number(-1)
			continue
		}
		switch c.Type.Kind {
		case record.Bool:
			h.number(int(bit(c.Bool(i))))
		case record.Int, record.Timestamp:
			h.number(int(c.Ints[i]))
		case record.Uint:
			h.number(int(c.Uints[i]))
		case record.Float:
			h.number(int(math.Float64bits(c.Floats[i])))
		case record.Decimal:
			h.number(int(c.Decimals[i].Lo))
			h.number(int(c.Decimals[i].Hi))
		default:
			h.text(string(c.Bytes(i)))
		}
	}
}
