package plan_test

import (
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
		t.Fatal("no plan")
	}
	return p
}

func TestSmoke(t *testing.T) {
	e := adEvents(t)
	p := mustCompile(t, plan.Spec{
		Where: `type in ["impression", "click"] and payload.campaign_id > 0`,
		Fields: []plan.Field{
			{Name: "campaign_id", Expr: "payload.campaign_id"},
			{Name: "cost", Expr: `type == "click" ? payload.cost : -payload.cost`, As: "decimal(20,6)"},
			{Name: "at", Expr: "time"},
		},
		Aggregate: &plan.Aggregate{By: []string{"campaign_id"}, Columns: []plan.Column{{Name: "balance", Expr: "sum(cost)"}, {Name: "events", Expr: "count()"}, {Name: "last_at", Expr: "max(at)"}, {Name: "c", Expr: "last(cost, at)"}}},
	}, e)
	r, err := p.NewProjector(p.Wants())
	if err != nil {
		t.Fatal(err)
	}
	s := &record.Schema{}
	for _, w := range p.Wants() {
		s.Fields = append(s.Fields, record.Field{Name: w.Path.String(), Type: w.Type})
	}
	src := record.NewChunk(s)
	for i := range 100 {
		for c := range src.Columns {
			switch col := &src.Columns[c]; col.Type.Kind {
			case record.String:
				col.AppendString([]string{"impression", "click", "deposit"}[i%3])
			case record.Int, record.Timestamp:
				col.AppendInt(int64(i % 7))
			case record.Decimal:
				col.AppendDec(record.DecFromInt(int64(i)))
			}
		}
		src.Offsets = append(src.Offsets, int64(i))
		src.Times = append(src.Times, int64(i))
	}
	src.Next = 100
	dst := record.NewChunk(p.Rows())
	n, err := r.Project(dst, src, 10, 90, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(n, dst.Rows(), dst.Bad)
	g := p.NewGrouper()
	if err := g.Add(dst); err != nil {
		t.Fatal(err)
	}
	out := record.NewChunk(p.Schema())
	if err := g.Emit(out); err != nil {
		t.Fatal(err)
	}
	for i := range out.Rows() {
		t.Log(out.Columns[0].Ints[i], out.Columns[1].Decimals[i].String(6), out.Columns[2].Ints[i], out.Columns[3].Ints[i], out.Columns[4].Decimals[i].String(6))
	}
	t.Log(p.TypeFilter())
	_, problems := plan.Compile(plan.Spec{Where: `typ == 1 and payload.pricee > 1.5 or payload.price > payload.cost`, Fields: []plan.Field{{Name: "a", Expr: "payload.price + payload.cost"}, {Name: "b", Expr: "now()"}, {Name: "c", Expr: "lowr(id)"}}}, e)
	for _, x := range problems {
		t.Log(x.Error())
	}
}
