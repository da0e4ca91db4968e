package plan_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

// FuzzExpr compiles any text as where, as a field, as a cast and as an
// aggregate. It must never panic or take long, every problem must point into
// its text, and what compiles must run over events.
func FuzzExpr(f *testing.F) {
	for _, s := range []string{
		`type in ["impression", "click"] and payload.campaign_id > 0`, `type == "deposit" ? payload.items[0].price : -payload.cost`, `(payload.campaign_id ?? 0) % 7 != 3`,
		`decimal(payload.price, 18, 6) * 1.5e2 / payload.cost`, `truncate(time, "day") >= "2026-01-01T00:00:00Z"`, `not (lower(payload.country) startsWith 'é')`, `a ?: b ?: c`, `1 < 2 < 3`, `string(json(payload.tags))`,
		`round(abs(payload.cost), 2)`, `int(payload.raw) + 0x1F`, `sum(x) | abs()`, `payload?.labels["k"]`, "((((", `b"\xff" == payload.key`, "last(i, t)", `timestamp(payload.clicks, "ns")`, `payload.items[-1]`, "payload.tags ?? nil", "len(payload.valid ? nil : payload.labels)", `timestamp(payload.fine, "ns")`, "payload.whole / payload.fine", "5 in [payload.campaign_id, 5]",
	} {
		f.Add(s, "decimal(10,2)")
	}
	e := wideEvents(f)
	e.untyped = "payload.extra"
	a := author{rand.New(rand.NewPCG(1, 2))}
	events := make([]row, 70)
	for i := range events {
		events[i] = a.event()
	}
	a.spoil(events)
	f.Fuzz(func(t *testing.T, text, as string) {
		start := time.Now()
		spec := plan.Spec{
			Where:     text,
			Fields:    []plan.Field{{Name: "f", Expr: text}, {Name: "g", Expr: text, As: as}, {Name: "i", Expr: "payload.campaign_id"}, {Name: "t", Expr: "time"}},
			Aggregate: &plan.Aggregate{By: []string{"i"}, Columns: []plan.Column{{Name: "c", Expr: text}, {Name: "m", Expr: "max(t)"}}},
		}
		_, problems := plan.Compile(spec, e)
		for _, p := range problems {
			if p.Offset < 0 || p.Offset > max(len(text), len(as)) || p.Message == "" || !utf8.ValidString(p.Message) && utf8.ValidString(text) && utf8.ValidString(as) {
				t.Fatalf("%q: %+v", text, p)
			}
		}
		for _, s := range []plan.Spec{{Where: text, Fields: spec.Fields[2:]}, {Fields: spec.Fields[:1]}, {Fields: spec.Fields[1:2]}} {
			if p, problems := plan.Compile(s, e); p != nil {
				runOver(t, a, p, events)
			} else if len(problems) == 0 {
				t.Fatalf("%q: neither a plan nor a problem", text)
			}
		}
		if d := time.Since(start); d > time.Minute {
			t.Fatalf("%q took %v", text, d)
		}
	})
}

func runOver(t *testing.T, a author, p *plan.Plan, events []row) {
	r, err := p.NewProjector(p.Wants())
	if err != nil {
		t.Fatal(err)
	}
	src := a.decode(p.Wants(), events, 0)
	dst := record.NewChunk(p.Rows())
	filtered, err := r.Project(dst, src, src.First, src.Next, nil)
	if err != nil {
		t.Fatal(err)
	}
	if filtered+dst.Rows()+len(dst.Bad) != len(events) {
		t.Fatalf("%d filtered, %d rows, %d bad of %d", filtered, dst.Rows(), len(dst.Bad), len(events))
	}
	checkColumns(t, dst)
	oneByOne(t, p, src, dst, filtered)
}

// oneByOne projects each record as a chunk of its own: what becomes of it must
// not depend on the records beside it, nor on how many are selected.
func oneByOne(t *testing.T, p *plan.Plan, src, whole *record.Chunk, filtered int) {
	r, err := p.NewProjector(p.Wants())
	if err != nil {
		t.Fatal(err)
	}
	alone := record.NewChunk(p.Rows())
	skipped := 0
	for i := range src.Rows() {
		one := record.NewChunk(src.Schema)
		one.First, one.Next = src.Offsets[i], src.Offsets[i]+1
		one.Offsets, one.Times = append(one.Offsets, src.Offsets[i]), append(one.Times, src.Times[i])
		for k := range one.Columns {
			one.Columns[k].AppendFrom(&src.Columns[k], i)
		}
		for _, b := range src.BadValues {
			if b.Row == i {
				one.BadValues = append(one.BadValues, record.BadValue{Column: b.Column, Reason: b.Reason})
			}
		}
		n, err := r.Project(alone, one, one.First, one.Next, nil)
		if err != nil {
			t.Fatal(err)
		}
		skipped += n
	}
	if skipped != filtered || !slices.Equal(alone.Offsets, whole.Offsets) || !slices.Equal(alone.Bad, whole.Bad) {
		t.Fatalf("one by one %d filtered, rows %v, bad %v; together %d, %v, %v", skipped, alone.Offsets, alone.Bad, filtered, whole.Offsets, whole.Bad)
	}
	for k := range whole.Columns {
		for i := range whole.Rows() {
			if x, y := cell(&alone.Columns[k], i), cell(&whole.Columns[k], i); x != y {
				t.Fatalf("field %d, offset %d: one by one %s, together %s", k, whole.Offsets[i], x, y)
			}
		}
	}
}

// cell is a value as a text, of any type.
func cell(c *record.Column, i int) string {
	if c.Elems == nil || c.Null(i) {
		v := load(c, i)
		if f, ok := v.(float64); ok {
			return fmt.Sprintf("%x", math.Float64bits(f))
		}
		return show(v)
	}
	var parts []string
	first, next := c.Range(i)
	for k := first; k < next; k++ {
		if c.Keys != nil {
			parts = append(parts, cell(c.Keys, k))
		}
		parts = append(parts, cell(c.Elems, k))
	}
	return fmt.Sprintf("%q", parts)
}
