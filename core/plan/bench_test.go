package plan_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

// adChunk is n ad events as a decoder leaves them, without nulls unless asked
// for.
func adChunk(wants []record.Want, n int, nulls bool) *record.Chunk {
	a := author{rand.New(rand.NewPCG(1, 2))}
	types := []string{"impression", "impression", "impression", "click", "conversion", "deposit"}
	countries := []string{"de", "fr", "us", "br", "in", "jp", "gb"}
	events := make([]row, n)
	for i := range events {
		events[i] = row{
			"id": fmt.Sprintf("%016x", a.Uint64()), "time": time.UnixMicro(1_700_000_000_000_000 + int64(i)*977), "type": types[a.IntN(len(types))], "server": "eu-1",
			"payload.campaign_id": int64(a.IntN(1000)), "payload.cost": big.NewRat(a.Int64N(5_000_000), 1_000_000), "payload.price": a.Float64(),
			"payload.country": countries[a.IntN(len(countries))], "payload.clicks": a.Uint64N(10), "payload.valid": a.IntN(10) > 0, "payload.items[0].price": big.NewRat(a.Int64N(10000), 100),
		}
		if nulls && a.IntN(10) == 0 {
			delete(events[i], "payload.campaign_id")
		}
	}
	return a.decode(wants, events, 0)
}

const benchRows = 10_000

// project runs one plan over a chunk, again and again.
func project(b *testing.B, s plan.Spec, nulls bool) {
	p := mustCompile(b, s, adEvents(b))
	src := adChunk(p.Wants(), benchRows, nulls)
	r, err := p.NewProjector(p.Wants())
	if err != nil {
		b.Fatal(err)
	}
	dst := record.NewChunk(p.Rows())
	b.ReportAllocs()
	for b.Loop() {
		dst.Reset()
		if _, err := r.Project(dst, src, src.First, src.Next, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
	b.ReportMetric(float64(dst.Rows()), "rows")
}

// BenchmarkWhere selects little or nothing, so that it measures the condition.
func BenchmarkWhere(b *testing.B) {
	for _, c := range []struct {
		name, where string
		nulls       bool
	}{
		{"int", `payload.campaign_id > 5000`, false},
		{"int_nulls", `payload.campaign_id > 5000`, true},
		{"text", `type == "refund"`, false},
		{"text_in", `type in ["click", "conversion"] and payload.campaign_id < 0`, false},
		{"decimal", `payload.cost > 1000.5`, false},
		{"float", `payload.price > 2.5`, false},
		{"prefix", `id startsWith "zz"`, false},
		{"and_or", `(type == "click" or payload.country == "de") and payload.valid and payload.campaign_id > 5000`, false},
		{"arithmetic", `payload.campaign_id * 2 + 1 > 5000`, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			project(b, plan.Spec{Where: c.where, Fields: []plan.Field{{Name: "id", Expr: "id"}}}, c.nulls)
		})
	}
}

func BenchmarkProject(b *testing.B) {
	six := []plan.Field{{Name: "id", Expr: "id"}, {Name: "time", Expr: "time"}, {Name: "type", Expr: "type"}, {Name: "campaign_id", Expr: "payload.campaign_id"}, {Name: "cost", Expr: "payload.cost"}, {Name: "country", Expr: "payload.country"}}
	computed := []plan.Field{{Name: "id", Expr: "id"}, {Name: "amount", Expr: `type == "deposit" ? payload.items[0].price : -payload.cost`}, {Name: "day", Expr: `truncate(time, "day")`}, {Name: "cost", Expr: "payload.cost", As: "decimal(20,8)"}}
	for _, c := range []struct {
		name, where string
		fields      []plan.Field
	}{
		{"all_rows", "", six},
		{"half", `type == "impression"`, six},
		{"sixth", `type == "click"`, six},
		{"computed_all", "", computed},
		{"computed_sixth", `type == "click"`, computed},
	} {
		b.Run(c.name, func(b *testing.B) { project(b, plan.Spec{Where: c.where, Fields: c.fields}, false) })
	}
}

func BenchmarkGroup(b *testing.B) {
	for _, c := range []struct {
		name string
		by   []string
	}{{"int", []string{"campaign_id"}}, {"int_text", []string{"campaign_id", "country"}}} {
		b.Run(c.name, func(b *testing.B) {
			p := mustCompile(b, plan.Spec{
				Fields: []plan.Field{{Name: "campaign_id", Expr: "payload.campaign_id"}, {Name: "country", Expr: "payload.country"}, {Name: "cost", Expr: "payload.cost"}, {Name: "at", Expr: "time"}},
				Aggregate: &plan.Aggregate{By: c.by, Columns: []plan.Column{
					{Name: "cost", Expr: "sum(cost)"}, {Name: "events", Expr: "count()"}, {Name: "last_at", Expr: "max(at)"}}},
			}, adEvents(b))
			src := adChunk(p.Wants(), benchRows, false)
			r, err := p.NewProjector(p.Wants())
			if err != nil {
				b.Fatal(err)
			}
			rows := record.NewChunk(p.Rows())
			if _, err := r.Project(rows, src, src.First, src.Next, nil); err != nil {
				b.Fatal(err)
			}
			g := p.NewGrouper()
			b.ReportAllocs()
			for b.Loop() {
				if err := g.Add(rows); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
		})
	}
}
