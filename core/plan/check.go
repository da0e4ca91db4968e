package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"

	"github.com/sluicekit/sluice/core/record"
)

// compiler gathers what the parts of one Spec have in common.
type compiler struct {
	events   Events
	syntax   *conf.Config
	problems []Problem
	wants    []record.Want
	indexes  map[string]int // path text and type: index into wants
}

// checker turns the syntax of one part into a typed expression. A method that
// has reported a problem returns nil, and a nil argument is passed over in
// silence: so all problems come out at once, and each only once.
type checker struct {
	*compiler
	part string
	text string
	deep bool // said so
}

// check parses and types the text of one part.
func (c *compiler) check(part, text string) *expr {
	node := c.parse(part, text)
	if node == nil {
		return nil
	}
	k := &checker{compiler: c, part: part, text: text}
	return k.node(node, 0)
}

// problem reports a mistake and returns nil.
func (k *checker) problem(at int, hint, format string, args ...any) *expr {
	k.problems = append(k.problems, Problem{Part: k.part, Offset: at, Message: fmt.Sprintf(format, args...), Hint: hint})
	return nil
}

// at is where a node begins in the text. Operators stand between their
// arguments, and know only their own place.
func (k *checker) at(n ast.Node) int {
	switch n := n.(type) {
	case *ast.BinaryNode:
		return k.at(n.Left)
	case *ast.ConditionalNode:
		return k.at(n.Cond)
	case *ast.MemberNode:
		return k.at(n.Node)
	case *ast.ChainNode:
		return k.at(n.Node)
	}
	return k.offset(n)
}

// offset is the place that the parser gives a node.
func (k *checker) offset(n ast.Node) int { return byteOffset(k.text, n.Location().From) }

// node types one node.
func (k *checker) node(n ast.Node, depth int) *expr {
	if depth > maxDepth {
		if !k.deep {
			k.deep = true
			k.problem(0, "", "the expression is nested deeper than %d", maxDepth)
		}
		return nil
	}
	switch n := n.(type) {
	case *ast.NilNode:
		return &expr{op: opNull, at: k.offset(n)}
	case *ast.BoolNode:
		return boolConst(n.Value, k.offset(n))
	case *ast.IntegerNode, *ast.FloatNode:
		return k.number(n)
	case *ast.StringNode:
		return textConst(record.String, n.Value, k.offset(n))
	case *ast.BytesNode:
		return textConst(record.Bytes, string(n.Value), k.offset(n))
	case *ast.IdentifierNode, *ast.MemberNode, *ast.ChainNode:
		return k.path(n, record.Type{})
	case *ast.UnaryNode:
		return k.unary(n, depth)
	case *ast.BinaryNode:
		return k.binary(n, depth)
	case *ast.ConditionalNode:
		return k.conditional(n, depth)
	case *ast.CallNode:
		return k.call(n, depth)
	}
	return k.problem(k.offset(n), "", "%s", foreign(n))
}

// foreign says what is wrong with syntax that the parser knows and we do not.
func foreign(n ast.Node) string {
	switch n.(type) {
	case *ast.ArrayNode:
		return "a list stands only on the right of in"
	case *ast.MapNode:
		return "there are no maps in the text of an expression"
	case *ast.SliceNode:
		return "there are no slices"
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		return "there are no variables and no sequences: one expression must do"
	}
	return "this has no meaning here"
}

// nodes types several nodes; nil if one of them has a problem.
func (k *checker) all(nodes []ast.Node, depth int) []*expr {
	out, ok := make([]*expr, len(nodes)), true
	for i, n := range nodes {
		out[i] = k.node(n, depth+1)
		ok = ok && out[i] != nil
	}
	if !ok {
		return nil
	}
	return out
}

// path resolves a path to a value of the event. as is what a cast around it
// declares, or of kind Invalid.
func (k *checker) path(n ast.Node, as record.Type) *expr {
	p, places, ok := k.steps(n, 0)
	if !ok {
		return nil
	}
	t, err := k.events.Field(p)
	var unknown *UnknownError
	var untyped *UntypedError
	switch {
	case errors.As(err, &unknown):
		return k.unknown(p, places, unknown)
	case errors.As(err, &untyped), err == nil && t.Kind == record.Invalid:
		if t = as; t.Kind == record.Invalid {
			return k.problem(places[0], k.declare(p), "the type of %s is not declared", p)
		}
	case err != nil:
		return k.problem(places[0], "", "%s: %s", p, err)
	}
	return &expr{op: opPath, typ: t, path: p.String(), want: k.want(p, t), at: places[0]}
}

// want notes that a path is read.
func (c *compiler) want(p record.Path, t record.Type) int {
	key := p.String() + " " + t.String()
	i, ok := c.indexes[key]
	if !ok {
		i = len(c.wants)
		c.indexes[key] = i
		c.wants = append(c.wants, record.Want{Path: p, Type: t})
	}
	return i
}

func (k *checker) unknown(p record.Path, places []int, e *UnknownError) *expr {
	last := 0
	for i := range p {
		if p[:i+1].String() == e.Name {
			last = i
		}
	}
	near := e.Near
	if len(near) == 0 {
		near = k.near(p, last)
	}
	hint := didYouMean(near)
	switch {
	case meansNil(e.Name):
		hint = "write nil"
	case hint == "" && len(p) == 1:
		hint = quoted(p)
	}
	return k.problem(places[last], hint, "no field %s", p[:last+1])
}

// quoted is for a text without its quotes, which is taken for the name of a
// field: type == click.
func quoted(p record.Path) string { return `a text has quotes: "` + p.String() + `"` }

// declare is the way on from a path whose type nobody declared. JSON may hold
// any name, so a misspelt one is such a path too.
func (k *checker) declare(p record.Path) string {
	if meansNil(p.String()) {
		return "write nil"
	}
	say := "say what it is, such as int(" + p.String() + ") or string(" + p.String() + "), or declare it for the stream"
	if len(p) == 1 {
		say += "; " + quoted(p)
	}
	for i := range p {
		names := k.events.Names(p[:i])
		if p[i].Name == "" || slices.Contains(names, p[i].Name) {
			continue
		}
		if hint := didYouMean(k.near(p, i)); hint != "" {
			return hint + " If not, " + say
		}
		break
	}
	return say
}

// near lists paths that differ from p in step i, up to there, and look like it.
func (k *checker) near(p record.Path, i int) (near []string) {
	for _, name := range Nearest(p[i].Name, k.events.Names(p[:i])) {
		near = append(near, append(p[:i:i], record.Step{Name: name}).String())
	}
	return near
}

// meansNil says whether somebody wrote another language's nil.
func meansNil(name string) bool {
	return strings.EqualFold(name, "null") || strings.EqualFold(name, "none")
}

// maxSteps bounds a path.
const maxSteps = 64

// steps takes a path apart; places are where its steps are in the text.
func (k *checker) steps(n ast.Node, depth int) (p record.Path, places []int, ok bool) {
	if depth > maxSteps {
		k.problem(k.offset(n), "", "a path of more than %d steps", maxSteps)
		return nil, nil, false
	}
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return record.Path{{Name: n.Value}}, []int{k.offset(n)}, true
	case *ast.ChainNode:
		return k.steps(n.Node, depth+1)
	case *ast.MemberNode:
		if p, places, ok = k.steps(n.Node, depth+1); !ok {
			return nil, nil, false
		}
		step, message := memberStep(n.Property)
		if message != "" {
			k.problem(k.offset(n.Property), "", "%s", message)
			return nil, nil, false
		}
		return append(p, step), append(places, k.offset(n.Property)), true
	}
	k.problem(k.at(n), "", "only a field of the event has fields or elements")
	return nil, nil, false
}

// memberStep reads what stands behind a point or in brackets.
func memberStep(n ast.Node) (step record.Step, problem string) {
	sign := 1
	if u, ok := n.(*ast.UnaryNode); ok && u.Operator == "-" {
		sign, n = -1, u.Node
	}
	switch n := n.(type) {
	case *ast.StringNode:
		switch {
		case sign < 0:
		case n.Value == "":
			return step, "the name is empty"
		case strings.ContainsAny(n.Value, ".[]"):
			return step, "a name with a point or a bracket in it cannot be part of a path"
		default:
			return record.Step{Name: n.Value}, ""
		}
	case *ast.IntegerNode:
		if n.Value > 1_000_000 {
			return step, "an index of more than 1000000"
		}
		return record.Step{Index: sign * n.Value}, ""
	}
	return step, "an index is a number or a name in quotes"
}

// unary is not, - and +.
func (k *checker) unary(n *ast.UnaryNode, depth int) *expr {
	a := k.node(n.Node, depth+1)
	if a == nil {
		return nil
	}
	at := k.offset(n)
	if n.Operator == "not" || n.Operator == "!" {
		if a.typ.Kind != record.Bool {
			return k.problem(at, "not binds closer than == and <: write not (…)", "not takes true or false, and this is %s", a.describe())
		}
		return k.fold(&expr{op: opNot, typ: a.typ, args: []*expr{a}, at: at})
	}
	if !a.isNumber() {
		return k.problem(at, castHint(a), "%s takes a number, and this is %s", n.Operator, a.describe())
	}
	if n.Operator == "+" {
		return a
	}
	if a.typ.Kind == record.Uint {
		if a = k.cast(a, record.Type{Kind: record.Int}, ""); a == nil { // a constant beyond an int
			return nil
		}
	}
	e := &expr{op: opNeg, typ: a.typ, args: []*expr{a}, at: at}
	return k.fold(e)
}

// conditional is c ? a : b.
func (k *checker) conditional(n *ast.ConditionalNode, depth int) *expr {
	if n.Exp1 == n.Cond { // the parser puts one node in two places
		return k.problem(k.at(n), "write a ?? b for a where it is not nil", "?: needs something in the middle")
	}
	cond := k.node(n.Cond, depth+1)
	a, b := k.node(n.Exp1, depth+1), k.node(n.Exp2, depth+1)
	if cond != nil && cond.typ.Kind != record.Bool {
		return k.problem(cond.at, "", "the condition of ?: must be true or false, and this is %s", cond.describe())
	}
	if cond == nil || a == nil || b == nil {
		return nil
	}
	a, b = k.common(a, b, k.at(n.Exp1), "?:")
	if a == nil {
		return nil
	}
	return k.fold(&expr{op: opIf, typ: a.typ, args: []*expr{cond, a, b}, at: k.at(n)})
}

// call is a function.
func (k *checker) call(n *ast.CallNode, depth int) *expr {
	name, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return k.problem(k.at(n.Callee), "", "a field cannot be called")
	}
	f := functions(name.Value)
	if f == nil {
		hint := didYouMean(Nearest(name.Value, functionNames))
		if hint == "" {
			hint = "there are " + strings.Join(functionNames, ", ")
		}
		return k.problem(k.offset(n), hint, "no function %s", name.Value)
	}
	return f(k, n, depth)
}
