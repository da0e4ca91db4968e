package plan

import (
	"fmt"

	"github.com/expr-lang/expr/ast"

	"github.com/sluicekit/sluice/core/record"
)

// acc is how a column is aggregated.
type acc uint8

const (
	accSum acc = iota
	accCount
	accMin
	accMax
	accLast
)

// accNames are part of the fingerprint.
var accNames = [...]string{"sum", "count", "min", "max", "last"}

// grouping is a compiled Aggregate.
type grouping struct {
	by      []int // fields of rows
	columns []grouped
	schema  *record.Schema // the keys, then the columns
}

// grouped is one aggregated column.
type grouped struct {
	name  string
	acc   acc
	field int // of rows; -1: count()
	order int // of rows, for last; -1
	typ   record.Type
}

// aggregate compiles the aggregate over the fields of p, whose types are known
// as far as they had no problems.
func (c *compiler) aggregate(p *Plan, a *Aggregate) {
	g := &grouping{schema: &record.Schema{}}
	if len(a.By) == 0 {
		c.problems = append(c.problems, Problem{Part: "aggregate.by", Message: "by names no field"})
	}
	for i, name := range a.By {
		c.key(p, g, fmt.Sprintf("aggregate.by[%d]", i), name)
	}
	for _, column := range a.Columns {
		k := &checker{compiler: c, part: "aggregate.columns." + column.Name, text: column.Expr}
		out, ok := k.aggregated(p, column)
		if !ok {
			continue
		}
		if g.schema.Index(column.Name) >= 0 || column.Name == "" || len(column.Name) > 255 {
			k.problem(0, "", "the name must be new, of 1 to 255 bytes")
			continue
		}
		if len(g.columns) == maxFields {
			k.problem(0, "", "more than %d columns", maxFields)
			break
		}
		g.columns = append(g.columns, out)
		g.schema.Fields = append(g.schema.Fields, out.schemaField())
	}
	c.orders(p, g)
	p.by, p.groups = g.by, g
}

// key adds a grouping field.
func (c *compiler) key(p *Plan, g *grouping, part, name string) {
	k := &checker{compiler: c, part: part}
	i := k.fieldOf(p, name, 0)
	if i < 0 {
		return
	}
	f := p.rows.Fields[i]
	switch f.Type.Kind {
	case record.Invalid: // has its own problem
		return
	case record.Float, record.List, record.Map, record.JSON:
		k.problem(0, "cast it to a string or a decimal", "%s of type %s cannot be grouped by", name, f.Type)
		return
	}
	if g.schema.Index(name) >= 0 {
		k.problem(0, "", "%s is there twice", name)
		return
	}
	g.by = append(g.by, i)
	g.schema.Fields = append(g.schema.Fields, record.Field{Name: name, Type: f.Type, Merge: record.MergeKey})
	if p.fields[i] != nil && p.fields[i].isConst() && p.fields[i].value.Null(0) {
		k.problem(0, "", "%s is always nil", name)
	}
	p.rows.Fields[i].Nullable = false
}

// fieldOf finds a field by name; -1 after a problem.
func (k *checker) fieldOf(p *Plan, name string, at int) int {
	if i := p.rows.Index(name); i >= 0 {
		return i
	}
	var names []string
	for _, f := range p.rows.Fields {
		names = append(names, f.Name)
	}
	k.problem(at, didYouMean(Nearest(name, names)), "no field %s among the sink's fields", name)
	return -1
}

const aggregateUsage = "write sum(x), count(), min(x), max(x) or last(x, by), with names of fields"

// aggregated reads sum(x) and the like.
func (k *checker) aggregated(p *Plan, column Column) (out grouped, ok bool) {
	node := k.parse(k.part, column.Expr)
	if node == nil {
		return out, false
	}
	call, isCall := node.(*ast.CallNode)
	var callee *ast.IdentifierNode
	if isCall {
		callee, isCall = call.Callee.(*ast.IdentifierNode)
	}
	if !isCall {
		k.problem(0, aggregateUsage, "not an aggregate")
		return out, false
	}
	out = grouped{name: column.Name, field: -1, order: -1}
	fields, ok := k.fieldArguments(p, call)
	if !ok {
		return out, false
	}
	least, most := 1, 1
	switch callee.Value {
	case "sum":
		out.acc = accSum
	case "count":
		out.acc, least = accCount, 0
	case "min":
		out.acc = accMin
	case "max":
		out.acc = accMax
	case "last":
		out.acc, least, most = accLast, 2, 2
	default:
		hint := didYouMean(Nearest(callee.Value, accNames[:]))
		if hint == "" {
			hint = aggregateUsage
		}
		k.problem(k.offset(call), hint, "no aggregate %s", callee.Value)
		return out, false
	}
	if len(fields) < least || len(fields) > most {
		k.problem(k.offset(call), aggregateUsage, "%s with %d arguments", callee.Value, len(fields))
		return out, false
	}
	if len(fields) > 0 {
		out.field = fields[0]
	}
	if len(fields) > 1 {
		out.order = fields[1]
	}
	return k.accumulated(p, out, k.offset(call))
}

// fieldArguments are names of fields.
func (k *checker) fieldArguments(p *Plan, call *ast.CallNode) (fields []int, ok bool) {
	ok = true
	for _, a := range call.Arguments {
		id, isName := a.(*ast.IdentifierNode)
		if !isName {
			k.problem(k.at(a), "make it a field and name that", "an aggregate takes the name of a field")
			ok = false
			continue
		}
		i := k.fieldOf(p, id.Value, k.offset(a))
		fields, ok = append(fields, i), ok && i >= 0
	}
	return fields, ok
}

// accumulated checks the types and says what comes out.
func (k *checker) accumulated(p *Plan, out grouped, at int) (grouped, bool) {
	if out.field < 0 {
		out.typ = record.Type{Kind: record.Int}
		return out, true
	}
	t := p.rows.Fields[out.field].Type
	name := p.rows.Fields[out.field].Name
	if t.Kind == record.Invalid { // has its own problem
		return out, false
	}
	switch out.acc {
	case accSum:
		e := &expr{typ: t}
		if !e.isNumber() {
			k.problem(at, "", "%s of type %s cannot be summed up", name, t)
			return out, false
		}
		if t.Kind == record.Decimal {
			t.Precision = record.MaxPrecision
		}
	case accCount:
		t = record.Type{Kind: record.Int}
	case accMin, accMax:
		if !ordered(t) {
			k.problem(at, "", "%s of type %s has no order", name, t)
			return out, false
		}
	case accLast:
		if o := p.rows.Fields[out.order]; o.Type.Kind != record.Invalid && !ordered(o.Type) {
			k.problem(at, "", "%s of type %s has no order", o.Name, o.Type)
			return out, false
		}
	}
	out.typ = t
	return out, true
}

// ordered says whether min, max and last can compare values of t.
func ordered(t record.Type) bool {
	switch t.Kind {
	case record.List, record.Map, record.JSON, record.Bool:
		return false
	}
	return true
}

func (g grouped) schemaField() record.Field {
	merges := [...]record.Merge{accSum: record.MergeAdd, accCount: record.MergeAdd, accMin: record.MergeMin, accMax: record.MergeMax, accLast: record.MergeLast}
	return record.Field{Name: g.name, Type: g.typ, Nullable: g.acc != accSum && g.acc != accCount, Merge: merges[g.acc]}
}

// orders finds for each last(x, by) the column max(by) that decides between
// its value and what the destination has.
func (c *compiler) orders(p *Plan, g *grouping) {
	for i, column := range g.columns {
		if column.acc != accLast {
			continue
		}
		field := &g.schema.Fields[len(g.by)+i]
		for _, other := range g.columns {
			if other.acc == accMax && other.field == column.order && field.Order == "" {
				field.Order = other.name
			}
		}
		if field.Order == "" {
			by := p.rows.Fields[column.order].Name
			c.problems = append(c.problems, Problem{
				Part:    "aggregate.columns." + column.name,
				Message: "last(…, " + by + ") needs a column max(" + by + ") beside it, to know later which value is newer",
				Hint:    "add last_" + by + ": max(" + by + ")",
			})
		}
	}
}
