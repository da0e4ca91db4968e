package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// node is one type of an Avro schema. Named types are shared, so a recursive
// schema is a graph with cycles: whoever walks it needs a bound of his own.
type node struct {
	kind      avroKind
	logical   logical
	name      string // record, enum, fixed: with its namespace
	aliases   []string
	fields    []field  // record
	symbols   []string // enum
	items     *node    // array, map
	branches  []*node  // union
	size      int      // fixed
	precision int      // decimal
	scale     int

	// Set by measure once the schema is whole.
	measured bool
	fixed    int    // bytes that every value takes, -1 if they differ
	weight   int    // steps that skipping it takes, at most maxWeight
	parts    []part // record: how to skip it
}

// part is so many bytes of a record, and then a value that is not of one size;
// nil behind the last. Fields of one size are not visited one by one, so that
// many without any bytes do not take time for each record of a few.
type part struct {
	fixed int
	typ   *node
}

type field struct {
	name    string
	aliases []string
	typ     *node
	def     any // as encoding/json gives it, numbers as json.Number
	hasDef  bool
}

type avroKind uint8

const (
	avroNull avroKind = iota
	avroBoolean
	avroInt
	avroLong
	avroFloat
	avroDouble
	avroBytes
	avroString
	avroRecord
	avroEnum
	avroArray
	avroMap
	avroUnion
	avroFixed
)

var avroNames = [...]string{"null", "boolean", "int", "long", "float", "double", "bytes", "string", "record", "enum", "array", "map", "union", "fixed"}

func (k avroKind) String() string { return avroNames[k] }

type logical uint8

const (
	plain logical = iota
	decimalType
	uuidType
	dateType
	millisType // timestamp or local timestamp
	microsType
	nanosType
	timeType
)

// schemaDepth bounds the nesting of a schema's text.
const schemaDepth = 128

// parseSchema parses a schema whose references are given as the texts of the
// schemas they name, dependencies first.
func parseSchema(text []byte, references ...[]byte) (*node, error) {
	p := &schemaParser{names: map[string]*node{}}
	for _, r := range references {
		if _, err := p.parse(r); err != nil {
			return nil, fmt.Errorf("referenced schema: %w", err)
		}
	}
	return p.parse(text)
}

type schemaParser struct {
	names map[string]*node
}

func (p *schemaParser) parse(text []byte) (*node, error) {
	v, err := parseJSON(text)
	if err != nil {
		// A schema may be the bare name of a primitive type.
		return nil, fmt.Errorf("avro schema: %w", err)
	}
	n, err := p.node(v, "", 0)
	if err != nil {
		return nil, fmt.Errorf("avro schema: %w", err)
	}
	n.measure()
	return n, nil
}

// parseJSON reads exactly one JSON value and keeps its numbers as written.
func parseJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more text behind it")
	}
	return v, nil
}

func (p *schemaParser) node(v any, space string, depth int) (*node, error) {
	if depth > schemaDepth {
		return nil, errors.New("nested too deep")
	}
	switch v := v.(type) {
	case string:
		return p.named(v, space)
	case []any:
		return p.union(v, space, depth)
	case map[string]any:
		return p.object(v, space, depth)
	}
	return nil, errors.New("a type is a name, a list or an object")
}

func (p *schemaParser) named(name, space string) (*node, error) {
	if i := slices.Index(avroNames[:], name); i >= 0 && avroKind(i) < avroRecord {
		return &node{kind: avroKind(i)}, nil
	}
	if n := p.names[fullName(name, space)]; n != nil {
		return n, nil
	}
	if n := p.names[name]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("unknown type %q", name)
}

func (p *schemaParser) union(v []any, space string, depth int) (*node, error) {
	if len(v) == 0 {
		return nil, errors.New("a union without branches")
	}
	n := &node{kind: avroUnion}
	for _, b := range v {
		k, err := p.node(b, space, depth+1)
		if err != nil {
			return nil, err
		}
		if k.kind == avroUnion {
			return nil, errors.New("a union directly in a union")
		}
		n.branches = append(n.branches, k)
	}
	return n, nil
}

func (p *schemaParser) object(v map[string]any, space string, depth int) (*node, error) {
	t, ok := v["type"].(string)
	if !ok {
		return p.node(v["type"], space, depth+1)
	}
	switch t {
	case "record", "error", "enum", "fixed":
		return p.define(t, v, space, depth)
	case "array", "map":
		key := map[string]string{"array": "items", "map": "values"}[t]
		items, err := p.node(v[key], space, depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t, err)
		}
		n := &node{kind: avroArray, items: items}
		if t == "map" {
			n.kind = avroMap
		}
		return n, nil
	}
	n, err := p.named(t, space)
	if err == nil && n.kind < avroRecord {
		n.setLogical(v)
	}
	return n, err
}

// define parses a named type. Its name is known before its body, since the
// body may refer to it.
func (p *schemaParser) define(t string, v map[string]any, space string, depth int) (*node, error) {
	name, _ := v["name"].(string)
	if s, ok := v["namespace"].(string); ok && !strings.Contains(name, ".") {
		space = s
	}
	n := &node{name: fullName(name, space)}
	if i := strings.LastIndexByte(n.name, '.'); i >= 0 {
		space = n.name[:i]
	} else {
		space = ""
	}
	if name == "" || p.names[n.name] != nil {
		return nil, fmt.Errorf("%s %q has no name of its own", t, n.name)
	}
	for _, a := range texts(v["aliases"]) {
		n.aliases = append(n.aliases, fullName(a, space))
	}
	p.names[n.name] = n
	var err error
	switch t {
	case "enum":
		n.kind, n.symbols = avroEnum, texts(v["symbols"])
		if len(n.symbols) == 0 {
			err = errors.New("no symbols")
		}
	case "fixed":
		n.kind = avroFixed
		if n.size, err = size(v["size"]); err == nil {
			n.setLogical(v)
		}
	default:
		n.kind = avroRecord
		err = p.fields(n, v["fields"], space, depth)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", t, n.name, err)
	}
	return n, nil
}

func (p *schemaParser) fields(n *node, v any, space string, depth int) error {
	list, ok := v.([]any)
	if !ok {
		return errors.New("no list of fields")
	}
	seen := map[string]bool{}
	for _, e := range list {
		m, _ := e.(map[string]any)
		f := field{aliases: texts(m["aliases"])}
		f.name, _ = m["name"].(string)
		if f.name == "" || seen[f.name] || strings.ContainsAny(f.name, ".[]") {
			return fmt.Errorf("a field cannot be called %q, or is there twice", f.name)
		}
		seen[f.name] = true
		f.def, f.hasDef = m["default"]
		var err error
		if f.typ, err = p.node(m["type"], space, depth+1); err != nil {
			return fmt.Errorf("field %s: %w", f.name, err)
		}
		n.fields = append(n.fields, f)
	}
	return nil
}

// setLogical notes a logical type that fits the type below it; Avro says that
// any other is ignored.
func (n *node) setLogical(v map[string]any) {
	name, _ := v["logicalType"].(string)
	switch {
	case name == "decimal" && (n.kind == avroBytes || n.kind == avroFixed):
		n.setDecimal(v)
	case name == "uuid" && (n.kind == avroString || n.kind == avroFixed && n.size == 16):
		n.logical = uuidType
	case n.kind == avroInt && name == "date":
		n.logical = dateType
	case n.kind == avroInt && name == "time-millis", n.kind == avroLong && name == "time-micros":
		n.logical = timeType
	case n.kind == avroLong:
		switch strings.TrimPrefix(name, "local-") {
		case "timestamp-millis":
			n.logical = millisType
		case "timestamp-micros":
			n.logical = microsType
		case "timestamp-nanos":
			n.logical = nanosType
		}
	}
}

func (n *node) setDecimal(v map[string]any) {
	precision, err := size(v["precision"])
	if err != nil || precision == 0 {
		return
	}
	scale := 0
	if s, ok := v["scale"]; ok {
		if scale, err = size(s); err != nil || scale > precision {
			return
		}
	}
	n.logical, n.precision, n.scale = decimalType, precision, scale
}

// size is a small count in a schema.
func size(v any) (int, error) {
	num, _ := v.(json.Number)
	n, err := num.Int64()
	if err != nil || n < 0 || n > 1<<30 {
		return 0, errors.New("not a size")
	}
	return int(n), nil
}

func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func fullName(name, space string) string {
	if space == "" || strings.Contains(name, ".") {
		return strings.TrimPrefix(name, ".")
	}
	return space + "." + name
}

func shortName(full string) string { return full[strings.LastIndexByte(full, '.')+1:] }

const (
	maxWeight = 1000
	maxFixed  = 1 << 30
)

// measure sets fixed and weight of a schema, each node once: names let a short
// schema describe an exponentially large value. A recursive type is measured
// while it is being measured; it counts as large then.
func (n *node) measure() {
	if n.measured {
		return
	}
	n.measured, n.fixed, n.weight = true, -1, maxWeight
	fixed, weight := -1, 1
	switch n.kind {
	case avroNull:
		fixed, weight = 0, 0
	case avroBoolean:
		fixed = 1
	case avroFloat:
		fixed = 4
	case avroDouble:
		fixed = 8
	case avroFixed:
		fixed = n.size
	case avroRecord:
		fixed, weight = n.measureFields()
	case avroArray, avroMap:
		n.items.measure()
	case avroUnion:
		for _, b := range n.branches {
			b.measure()
			weight += b.weight + 1
		}
	}
	n.fixed, n.weight = fixed, min(weight, maxWeight)
}

func (n *node) measureFields() (fixed, weight int) {
	before := 0
	for _, f := range n.fields {
		f.typ.measure()
		weight += f.typ.weight
		if f.typ.fixed < 0 || before+f.typ.fixed > maxFixed {
			n.parts = append(n.parts, part{before, f.typ})
			before = 0
		} else {
			before += f.typ.fixed
		}
		if f.typ.fixed < 0 || fixed < 0 || fixed+f.typ.fixed > maxFixed {
			fixed = -1
		} else {
			fixed += f.typ.fixed
		}
	}
	n.parts = append(n.parts, part{fixed: before})
	return fixed, weight
}
