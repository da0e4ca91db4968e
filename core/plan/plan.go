package plan

import (
	"fmt"
	"slices"

	"github.com/sluicekit/sluice/core/record"
)

// Spec is what one sink asks of a stream, as its YAML says it.
type Spec struct {
	Where     string     // which events; "" takes all
	All       bool       // fields: all; Fields, if any, come after them
	Fields    []Field    // in the order of the columns
	Aggregate *Aggregate // nil: every selected event is a row
}

// Field is one column of a sink: an expression over the event, and the type it
// is brought to.
type Field struct {
	Name string
	Expr string
	As   string // "": as it is; or a type as ParseType reads it
}

// Aggregate groups the rows that the fields make.
type Aggregate struct {
	By      []string // names of fields; a row in which one of them is null is bad
	Columns []Column
}

// Column is one aggregated column: sum(x), count(), count(x), min(x), max(x)
// or last(x, by), whose arguments are names of fields.
type Column struct {
	Name string
	Expr string
}

// Plan is a compiled Spec. It does not change, and any number of goroutines
// may use it.
type Plan struct {
	wants  []record.Want
	where  *expr   // nil takes all
	fields []*expr // as rows
	rows   *record.Schema
	nodes  int // ids of all expressions are below
	by     []int
	groups *grouping // nil without an aggregate
	print  [8]byte
}

// Compile checks a Spec against the events of a stream. It reports all
// problems at once, in the order of the Spec; the Plan is nil if there is one.
func Compile(s Spec, e Events) (*Plan, []Problem) {
	c := &compiler{events: e, syntax: syntax(), indexes: map[string]int{}}
	p := &Plan{rows: &record.Schema{}}
	if s.Where != "" {
		p.where = c.where(s.Where)
	}
	if s.All {
		for _, n := range e.All() {
			c.namedField(p, n)
		}
	}
	for _, f := range s.Fields {
		c.field(p, f)
	}
	if len(p.rows.Fields) == 0 && len(c.problems) == 0 {
		c.problems = append(c.problems, Problem{Part: "fields", Message: "there are no fields"})
	}
	if s.Aggregate != nil {
		c.aggregate(p, s.Aggregate)
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	p.wants = c.wants
	p.number()
	p.print = fingerprint(p)
	return p, nil
}

// where is an expression that is true or false.
func (c *compiler) where(text string) *expr {
	e := c.check("where", text)
	if e != nil && e.typ.Kind != record.Bool {
		k := &checker{compiler: c, part: "where"}
		return k.problem(e.at, castHint(e), "where must be true or false, and this is %s", e.describe())
	}
	return e
}

// maxFields bounds a sink's columns, and with them what a chunk of rows costs.
const maxFields = 4096

// add appends a field; e may be nil after a problem, so that an aggregate
// still finds the name.
func (c *compiler) add(p *Plan, name string, e *expr) {
	part := "fields." + name
	switch {
	case name == "" || len(name) > 255:
		c.problems = append(c.problems, Problem{Part: part, Message: "the name of a field has 1 to 255 bytes"})
		return
	case p.rows.Index(name) >= 0:
		c.problems = append(c.problems, Problem{Part: part, Message: fmt.Sprintf("there is already a field %s", name)})
		return
	case len(p.fields) == maxFields:
		c.problems = append(c.problems, Problem{Part: part, Message: fmt.Sprintf("more than %d fields", maxFields)})
	case len(p.fields) > maxFields: // said so
		return
	}
	field := record.Field{Name: name, Nullable: true}
	if e != nil {
		field.Type = e.typ
		field.Nullable = !e.isConst() || e.value.Null(0)
	}
	p.fields = append(p.fields, e)
	p.rows.Fields = append(p.rows.Fields, field)
}

// namedField is one of `fields: all`.
func (c *compiler) namedField(p *Plan, n Named) {
	if n.Type.Kind == record.Invalid {
		c.problems = append(c.problems, Problem{Part: "fields." + n.Name, Message: "the type of " + n.Path.String() + " is not declared"})
		return
	}
	c.add(p, n.Name, &expr{op: opPath, typ: n.Type, path: n.Path.String(), want: c.want(n.Path, n.Type)})
}

// field is one of the YAML.
func (c *compiler) field(p *Plan, f Field) {
	part := "fields." + f.Name
	var as record.Type
	var unit string
	if f.As != "" {
		var err error
		if as, unit, err = ParseType(f.As); err != nil {
			c.problems = append(c.problems, Problem{Part: part + ".as", Message: err.Error()})
			c.check(part, f.Expr)
			c.add(p, f.Name, nil)
			return
		}
	}
	c.add(p, f.Name, c.fieldExpr(part, f.Expr, as, unit))
}

func (c *compiler) fieldExpr(part, text string, as record.Type, unit string) *expr {
	node := c.parse(part, text)
	if node == nil {
		return nil
	}
	k := &checker{compiler: c, part: part, text: text}
	if as.Kind == record.Invalid {
		e := k.node(node, 0)
		if e != nil && e.op == opNull {
			return k.problem(e.at, "give it one with as", "nil has no type")
		}
		return e
	}
	e := k.source(node, as, unit, 0)
	if e == nil {
		return nil
	}
	k.part = part + ".as"
	return k.castTo(e, as, unit, 0)
}

// number gives every node its own id, which is where a machine keeps its
// value.
func (p *Plan) number() {
	next := func(e *expr) {
		e.id = p.nodes
		p.nodes++
	}
	if p.where != nil {
		p.where.walk(next)
	}
	for _, f := range p.fields {
		f.walk(next)
	}
}

// Wants lists the values of an event that the plan reads, each path and type
// once.
func (p *Plan) Wants() []record.Want { return slices.Clone(p.wants) }

// Schema is the rows as the sink gets them: the fields, or with an aggregate
// its keys and columns.
func (p *Plan) Schema() *record.Schema {
	if p.groups != nil {
		return p.groups.schema
	}
	return p.rows
}

// Rows is the schema of what a Projector appends: the fields, grouped or not.
func (p *Plan) Rows() *record.Schema { return p.rows }

// Keys names the grouping columns, in order; nil without an aggregate.
func (p *Plan) Keys() []string {
	var keys []string
	for _, i := range p.by {
		keys = append(keys, p.rows.Fields[i].Name)
	}
	return keys
}

// Grouped says whether the plan has an aggregate.
func (p *Plan) Grouped() bool { return p.groups != nil }

// Fingerprint is a hash over all that decides the rows: equal for texts that
// mean the same, and stable over runs and versions of Go.
func (p *Plan) Fingerprint() [8]byte { return p.print }

// TypeFilter reports a String path that is one of values in every event that
// where selects, so that a decoder can stop early at any other event: it
// counts as filtered. A path named type is preferred. Not ok: nothing is known.
func (p *Plan) TypeFilter() (path record.Path, values []string, ok bool) {
	if p.where == nil {
		return nil, nil, false
	}
	terms := []*expr{p.where}
	if p.where.op == opAnd {
		terms = p.where.args
	}
	for _, t := range terms {
		want, texts := t.oneOf()
		if texts == nil {
			continue
		}
		found := p.wants[want].Path
		if !ok || found.String() == "type" {
			path, values, ok = found, texts, true
		}
	}
	return path, values, ok
}

// oneOf takes x == "a" or x in ["a", "b"] apart; values is nil for all else.
func (e *expr) oneOf() (want int, values []string) {
	switch {
	case e.op == opEq && e.args[0].op == opPath && e.args[1].isText():
		return e.args[0].want, []string{e.args[1].text()}
	case e.op == opEq && e.args[1].op == opPath && e.args[0].isText():
		return e.args[1].want, []string{e.args[0].text()}
	case e.op == opIn && e.args[0].op == opPath && e.args[0].typ.Kind == record.String:
		for i := range e.set.values.Len {
			values = append(values, string(e.set.values.Bytes(i)))
		}
		return e.args[0].want, values
	}
	return 0, nil
}
