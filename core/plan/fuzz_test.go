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
	f.Fuzz(func(t *testing.T, text, as string) { anyText(t, a, e, events, text, as) })
}

// anyText compiles a text as each part of a plan, and runs what compiles.
func anyText(t *testing.T, a author, e events, rows []row, text, as string) (compiled int) {
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
			runOver(t, a, p, rows)
			compiled++
		} else if len(problems) == 0 {
			t.Fatalf("%q: neither a plan nor a problem", text)
		}
	}
	if d := time.Since(start); d > time.Minute {
		t.Fatalf("%q took %v", text, d)
	}
	return compiled
}

// Expressions that mix what does not belong together, null and constants of
// every kind among it: a problem or rows, and never the end of the process.
func TestWildExpressions(t *testing.T) {
	a, e := newAuthor(t), wideEvents(t)
	compiled := 0
	for range 1500 {
		text, as := a.wild(1+a.IntN(3)), oneOf(a, "string", "json", "int", "uint", "float", "decimal(38,38)", "decimal(38,0)", "timestamp", "timestamp(ns)", "bool", "bytes", "list(string)", "map(int)")
		events := make([]row, oneOf(a, 1, 3, 66))
		for i := range events {
			events[i] = a.event()
		}
		func() {
			defer func() {
				if r := recover(); r != nil || t.Failed() {
					t.Fatalf("%s as %s: %v", text, as, r)
				}
			}()
			compiled += anyText(t, a, e, events, text, as)
		}()
	}
	if compiled < 100 {
		t.Errorf("only %d plans", compiled)
	}
}

// wild writes an expression without a look at types.
func (a author) wild(depth int) string {
	if depth == 0 {
		if a.IntN(3) > 0 {
			return oneOf(a, "id", "time", "type", "payload.campaign_id", "payload.cost", "payload.price", "payload.country", "payload.clicks", "payload.valid", "payload.raw", "payload.key", "payload.tags", "payload.labels", "payload.whole", "payload.middle", "payload.fine")
		}
		return oneOf(a, "nil", "true", "0", "1", "-1", "9223372036854775807", "1.5", "0.00000000000000000000000000000000000001", "1e37", "'a'", "'5'", "b'\\xff'", "'2024-02-29T12:00:00Z'", "int(nil)", "string(nil)", "timestamp(nil)", "bool(nil)", "decimal(nil, 38, 38)", "float(nil)", "uint('18446744073709551615')",
			"int('-9223372036854775808')", "float('1e308')", "json(nil)", "bytes(nil)", "json('x')", "timestamp('-9223372036854775808', 'us')")
	}
	x, y := a.wild(depth-1), a.wild(a.IntN(depth))
	switch a.IntN(8) {
	case 0:
		return "(" + x + " ? " + y + " : " + a.wild(a.IntN(depth)) + ")"
	case 1:
		return "(" + x + oneOf(a, " in [", " not in [") + y + ", " + a.wild(a.IntN(depth)) + ", " + a.wild(0) + "])"
	case 2:
		return oneOf(a, "-", "not ", "+") + x
	case 3:
		return oneOf(a, "lower", "upper", "trim", "len", "abs", "bool", "int", "uint", "float", "string", "bytes", "json", "timestamp", "year", "second") + "(" + x + ")"
	case 4:
		return oneOf(a, "round("+x+", 0)", "round("+x+", 37)", "truncate("+x+", 'month')", "truncate("+x+", 'day')", "decimal("+x+", 38, 38)", "decimal("+x+", 38, 0)", "timestamp("+x+", 'ns')", "timestamp("+x+", 's')")
	}
	return "(" + x + " " + oneOf(a, "+", "-", "*", "/", "%", "==", "!=", "<", ">=", "and", "or", "??", "startsWith", "contains", "== nil or nil !=") + " " + y + ")"
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
