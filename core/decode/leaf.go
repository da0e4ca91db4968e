package decode

import (
	"fmt"

	"github.com/sluicekit/sluice/core/record"
)

// leaf compiles a value that becomes a row of a column. r is the reader's type
// of it, or nil.
func (c *compiler) leaf(w, r *node, col int32) {
	t := c.layout.types[col]
	switch {
	case w.kind == avroNull:
		c.emit(op{code: opNull, col: col})
	case w.kind == avroUnion:
		one := func(b *node) { c.leaf(b, counterpart(b, r), col) }
		c.union(w, one, one)
	case t.Kind == record.JSON:
		c.nest(w)
		c.at(w, op{code: opJSON, col: col, ref: c.node(w), n: int32(c.depth)})
	case t.Kind == record.List && w.kind == avroArray, t.Kind == record.Map && w.kind == avroMap:
		c.list(w, r, col)
	default:
		o, ok := c.scalar(w, r, t)
		if !ok {
			c.mismatch(fmt.Sprintf("written as %s, wanted as %s", w.describe(), t), []int{int(col)})
			c.skip(w)
			return
		}
		o.col = col
		c.at(w, o)
	}
}

// at emits a step that reads a value of type w.
func (c *compiler) at(w *node, o op) int {
	i := c.emit(o)
	c.sites[i].node, c.sites[i].depth = w, c.depth
	return i
}

func (c *compiler) list(w, r *node, col int32) {
	var items *node
	if r != nil && r.kind == w.kind {
		items = r.items
	}
	code := opList
	if w.kind == avroMap {
		code = opMap
	}
	elems := c.layout.elems[col]
	c.nest(w)
	at := c.at(w, op{code: code, col: col, ref: elems})
	c.depth++
	c.behind(func() {
		c.leaf(w.items, items, elems)
		c.emit(op{code: opEnd})
	}, func(pc int32) { c.ops[at].n = pc })
	c.depth--
}

// scalar is the step that reads a value of type w into a column of type t.
func (c *compiler) scalar(w, r *node, t record.Type) (op, bool) {
	switch t.Kind {
	case record.Bool:
		return op{code: opBool}, w.kind == avroBoolean
	case record.Int:
		return integer(w, opInt, opLong)
	case record.Float:
		switch w.kind {
		case avroFloat:
			return op{code: opFloat}, true
		case avroDouble:
			return op{code: opDouble}, true
		}
		return integer(w, opIntFloat, opLongFloat)
	case record.Timestamp:
		return timestamp(w, r)
	case record.Decimal:
		return c.decimal(w)
	case record.String:
		switch {
		case w.kind == avroString, w.kind == avroBytes && w.logical != decimalType:
			return op{code: opString}, true
		case w.kind == avroEnum:
			return op{code: opEnum, ref: c.node(w)}, true
		case w.kind == avroFixed && w.logical == uuidType:
			return op{code: opUUID}, true
		}
	case record.Bytes:
		switch {
		case w.kind == avroString, w.kind == avroBytes:
			return op{code: opBytes}, true
		case w.kind == avroFixed:
			return op{code: opFixed, n: int32(w.size)}, true
		}
	}
	return op{}, false
}

func integer(w *node, narrow, wide opcode) (op, bool) {
	if w.kind == avroInt {
		return op{code: narrow}, true
	}
	return op{code: wide}, w.kind == avroLong
}

// timestamp converts by the writer's unit. A plain long has the reader's.
func timestamp(w, r *node) (op, bool) {
	unit := w.logical
	if unit == plain && r != nil && r.kind == avroLong && w.kind <= avroLong {
		unit = r.logical
	}
	switch {
	case w.kind == avroInt && unit == dateType:
		return op{code: opDate}, true
	case w.kind != avroLong && w.kind != avroInt:
		return op{}, false
	case unit == millisType:
		return op{code: opMillis}, true
	case unit == microsType:
		return op{code: opLong}, true
	case unit == nanosType:
		return op{code: opNanos}, true
	}
	return op{}, false
}

func (c *compiler) decimal(w *node) (op, bool) {
	if w.logical != decimalType {
		return op{}, false
	}
	if w.scale > record.MaxPrecision {
		return op{}, false
	}
	o := op{code: opDecimal, ref: c.node(w), n: int32(w.scale)}
	if w.kind == avroFixed {
		o.code = opDecimalFixed
	}
	return o, true
}

func (n *node) describe() string {
	if n.name != "" {
		return fmt.Sprintf("%s %s", n.kind, n.name)
	}
	if t, ok := n.valueType(); ok && n.logical != plain {
		return t.String()
	}
	return n.kind.String()
}
