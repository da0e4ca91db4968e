package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

// events describes the events of the tests: paths by their text, in order.
type events struct {
	types   []plan.Named
	untyped string // a path below which nothing is declared
}

func (e events) Field(p record.Path) (record.Type, error) {
	text := p.String()
	for _, n := range e.types {
		if n.Path.String() == text {
			return n.Type, nil
		}
	}
	if e.untyped != "" && strings.HasPrefix(text, e.untyped) {
		return record.Type{}, &plan.UntypedError{Path: p}
	}
	for i := range p { // the shortest prefix that nothing begins with
		if prefix := p[:i+1].String(); !e.has(prefix) {
			return record.Type{}, &plan.UnknownError{Name: prefix}
		}
	}
	return record.Type{}, &plan.UntypedError{Path: p}
}

func (e events) has(prefix string) bool {
	for _, n := range e.types {
		if t := n.Path.String(); t == prefix || strings.HasPrefix(t, prefix+".") || strings.HasPrefix(t, prefix+"[") {
			return true
		}
	}
	return false
}

func (e events) Names(p record.Path) []string {
	var names []string
	for _, n := range e.types {
		if len(n.Path) > len(p) && n.Path[:len(p)].String() == p.String() {
			names = append(names, n.Path[len(p)].Name)
		}
	}
	return names
}

func (e events) All() []plan.Named { return e.types }

// path reads a.b[0].c, well formed.
func path(text string) (p record.Path) {
	for _, part := range strings.Split(text, ".") {
		name, index, found := strings.Cut(part, "[")
		p = append(p, record.Step{Name: name})
		if found {
			i := 0
			for _, c := range strings.TrimSuffix(index, "]") {
				i = i*10 + int(c-'0')
			}
			p = append(p, record.Step{Index: i})
		}
	}
	return p
}

// typed makes events of path text and type text, alternating.
func typed(t testing.TB, pairs ...string) (e events) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		ty, _, err := plan.ParseType(pairs[i+1])
		if err != nil {
			t.Fatal(err)
		}
		e.types = append(e.types, plan.Named{Name: pairs[i], Path: path(pairs[i]), Type: ty})
	}
	return e
}

func adEvents(t testing.TB) events {
	return typed(t,
		"id", "string", "time", "timestamp", "type", "string", "server", "string",
		"payload.campaign_id", "int", "payload.cost", "decimal(18,6)", "payload.price", "float", "payload.country", "string",
		"payload.clicks", "uint", "payload.valid", "bool", "payload.raw", "json", "payload.key", "bytes",
		"payload.items[0].price", "decimal(10,2)", "payload.tags", "list(string)", "payload.labels", "map(int)")
}

func mustCompile(t testing.TB, s plan.Spec, e plan.Events) *plan.Plan {
	t.Helper()
	p, problems := plan.Compile(s, e)
	for _, x := range problems {
		t.Error(x.Error())
	}
	if p == nil {
		t.FailNow()
	}
	return p
}

// The balances of a stream of ad events: what a sink's YAML says, compiled,
// run over one decoded chunk, and grouped.
func Example() {
	e := events{types: []plan.Named{
		{Path: path("type"), Type: record.Type{Kind: record.String}},
		{Path: path("payload.campaign_id"), Type: record.Type{Kind: record.Int}},
		{Path: path("payload.amount"), Type: record.Type{Kind: record.Decimal, Precision: 18, Scale: 2}},
	}}
	p, problems := plan.Compile(plan.Spec{
		Where: `type in ["click", "deposit"]`,
		Fields: []plan.Field{
			{Name: "campaign_id", Expr: "payload.campaign_id"},
			{Name: "amount", Expr: `type == "deposit" ? payload.amount : -payload.amount`},
		},
		Aggregate: &plan.Aggregate{By: []string{"campaign_id"}, Columns: []plan.Column{{Name: "balance", Expr: "sum(amount)"}, {Name: "events", Expr: "count()"}}},
	}, e)
	if problems != nil {
		fmt.Println(problems)
		return
	}

	// A decoder makes chunks that have a column per want.
	wants := p.Wants()
	decoded := &record.Schema{}
	for _, w := range wants {
		decoded.Fields = append(decoded.Fields, record.Field{Name: w.Path.String(), Type: w.Type, Nullable: true})
	}
	src := record.NewChunk(decoded)
	for i, kind := range []string{"deposit", "click", "impression", "click", "deposit"} {
		src.Columns[0].AppendString(kind)
		src.Columns[1].AppendInt(int64(1 + i/3))
		src.Columns[2].AppendDec(record.DecFromInt(int64(1000 + i)))
		src.Offsets, src.Times = append(src.Offsets, int64(i)), append(src.Times, 0)
	}
	src.Next = 5

	r, err := p.NewProjector(wants)
	if err != nil {
		fmt.Println(err)
		return
	}
	rows := record.NewChunk(p.Rows())
	filtered, err := r.Project(rows, src, 0, 5, nil)
	fmt.Println(rows.Rows(), "rows,", filtered, "filtered,", len(rows.Bad), "bad,", err)

	g := p.NewGrouper()
	if err := g.Add(rows); err != nil {
		fmt.Println(err)
		return
	}
	out := record.NewChunk(p.Schema())
	if err := g.Emit(out); err != nil {
		fmt.Println(err)
		return
	}
	for i := range out.Rows() {
		fmt.Println("campaign", out.Columns[0].Ints[i], "balance", out.Columns[1].Decimals[i].String(2), "events", out.Columns[2].Ints[i])
	}
	// Output:
	// 4 rows, 1 filtered, 0 bad, <nil>
	// campaign 1 balance -0.01 events 2
	// campaign 2 balance 0.01 events 2
}
