package decode

import (
	"fmt"
	"slices"

	"github.com/sluicekit/sluice/core/record"
)

// valueType is the type of column that a value of an Avro type becomes. ok is
// false for null, which has none of its own.
func (n *node) valueType() (t record.Type, ok bool) {
	switch n.kind {
	case avroNull:
		return t, false
	case avroBoolean:
		return record.Type{Kind: record.Bool}, true
	case avroInt, avroLong:
		switch n.logical {
		case dateType, millisType, microsType, nanosType:
			return record.Type{Kind: record.Timestamp}, true
		}
		return record.Type{Kind: record.Int}, true
	case avroFloat, avroDouble:
		return record.Type{Kind: record.Float}, true
	case avroString, avroEnum:
		return record.Type{Kind: record.String}, true
	case avroBytes, avroFixed:
		return n.bytesType(), true
	case avroArray, avroMap:
		return n.listType(), true
	case avroUnion:
		if b := n.only(); b != nil {
			return b.valueType()
		}
		return record.Type{Kind: record.JSON}, slices.ContainsFunc(n.branches, func(b *node) bool { return b.kind != avroNull })
	}
	return record.Type{Kind: record.JSON}, true
}

// bytesType: a decimal with more digits than a column holds is JSON, which
// keeps all of them.
func (n *node) bytesType() record.Type {
	switch {
	case n.logical == uuidType:
		return record.Type{Kind: record.String}
	case n.logical == decimalType && n.precision > 38:
		return record.Type{Kind: record.JSON}
	case n.logical == decimalType:
		return record.Type{Kind: record.Decimal, Precision: uint8(n.precision), Scale: uint8(n.scale)}
	}
	return record.Type{Kind: record.Bytes}
}

// listType: lists and maps of scalars are columns, of anything else JSON.
func (n *node) listType() record.Type {
	elem, ok := n.items.valueType()
	if !ok || elem.Kind == record.JSON || elem.Kind == record.List || elem.Kind == record.Map {
		return record.Type{Kind: record.JSON}
	}
	if n.kind == avroArray {
		return record.Type{Kind: record.List, Elem: &elem}
	}
	return record.Type{Kind: record.Map, Elem: &elem}
}

// only is the single branch of a union beside null, or nil.
func (n *node) only() *node {
	var found *node
	for _, b := range n.branches {
		if b.kind != avroNull {
			if found != nil {
				return nil
			}
			found = b
		}
	}
	return found
}

// spread replaces unions by their branches, without null.
func spread(nodes []*node) []*node {
	var out []*node
	for _, n := range nodes {
		if n.kind == avroUnion {
			out = append(out, spread(n.branches)...)
		} else if n.kind != avroNull && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// step lists the types behind one step of a path, over all branches that have
// it.
func step(nodes []*node, s record.Step) []*node {
	var out []*node
	for _, n := range spread(nodes) {
		switch {
		case n.kind == avroRecord && s.Name != "":
			if f := n.field(s.Name); f != nil {
				out = append(out, f.typ)
			}
		case n.kind == avroMap && s.Name != "", n.kind == avroArray && s.Name == "":
			out = append(out, n.items)
		}
	}
	return out
}

func (n *node) field(name string) *field {
	for i := range n.fields {
		if n.fields[i].name == name {
			return &n.fields[i]
		}
	}
	return nil
}

// typeOf is the type of a field of the reader's, nil if it has none.
func (n *node) typeOf(name string) *node {
	if n == nil {
		return nil
	}
	if f := n.field(name); f != nil {
		return f.typ
	}
	return nil
}

// joinTypes is the one type that fits the same path in several branches of a
// union. Numbers widen: int and float to float, decimals to enough digits on
// both sides of the point.
func joinTypes(nodes []*node) (record.Type, error) {
	var t record.Type
	var have bool
	for _, n := range nodes {
		u, ok := n.valueType()
		switch {
		case !ok:
		case !have:
			t, have = u, true
		default:
			w, ok := widen(t, u)
			if !ok {
				return t, fmt.Errorf("%s in one branch of the union and %s in another", t, u)
			}
			t = w
		}
	}
	if !have {
		t.Kind = record.JSON
	}
	return t, nil
}

func widen(a, b record.Type) (record.Type, bool) {
	if a.Equal(b) {
		return a, true
	}
	number := func(t record.Type) bool { return t.Kind == record.Int || t.Kind == record.Float }
	switch {
	case number(a) && number(b):
		return record.Type{Kind: record.Float}, true
	case a.Kind == record.Decimal && b.Kind == record.Decimal:
		scale := max(a.Scale, b.Scale)
		precision := max(a.Precision-a.Scale, b.Precision-b.Scale) + scale
		return record.Type{Kind: record.Decimal, Precision: precision, Scale: scale}, precision <= 38
	}
	return a, false
}
