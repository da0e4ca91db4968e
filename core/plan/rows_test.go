package plan_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

// fill appends n random rows of any type to a column, some of them null.
func fill(a author, c *record.Column, n int, nulls bool) {
	for range n {
		if nulls && a.IntN(4) == 0 {
			c.AppendNull()
			continue
		}
		switch c.Type.Kind {
		case record.Bool:
			c.AppendBool(a.IntN(2) == 0)
		case record.Int, record.Timestamp:
			c.AppendInt(a.Int64())
		case record.Uint:
			c.AppendUint(a.Uint64())
		case record.Float:
			c.AppendFloat(oneOf(a, edgeFloats...))
		case record.Decimal:
			c.AppendDec(record.DecFromInt(a.Int64N(2e9-1) - (1e9 - 1)))
		case record.List, record.Map:
			k := a.IntN(4)
			if c.Keys != nil {
				fill(a, c.Keys, k, false)
			}
			fill(a, c.Elems, k, nulls)
			c.AppendElems()
		default:
			c.AppendString(oneOf(a, edgeTexts...))
		}
	}
}

// Rows of every type, nested ones too, go through as they are: whichever are
// selected, at whatever place in the bitmaps' words, and appended to what is
// there.
func TestProjectCopiesEveryType(t *testing.T) {
	a := newAuthor(t)
	e := typed(t, "keep", "bool", "b", "bool", "i", "int", "u", "uint", "f", "float", "d", "decimal(9,3)", "t", "timestamp", "s", "string", "y", "bytes", "j", "json",
		"l", "list(list(string))", "m", "map(list(int))")
	p := mustCompile(t, plan.Spec{Where: "keep", All: true}, e)
	r, err := p.NewProjector(p.Wants())
	if err != nil {
		t.Fatal(err)
	}
	dst := record.NewChunk(p.Rows())
	for range 300 {
		want := record.NewChunk(p.Rows())
		dst.Reset() // what it held before must not show
		next := int64(0)
		for chunk := range 3 {
			n, nulls, dense := a.IntN(300), a.IntN(2) == 0, a.IntN(5)
			src := record.NewChunk(p.Rows()) // fields: all in the order of the wants
			src.Partition, src.First = 1, next
			for k := range src.Columns {
				if k == 0 {
					for range n {
						src.Columns[0].AppendBool(a.IntN(5) <= dense)
					}
				} else {
					fill(a, &src.Columns[k], n, nulls)
				}
			}
			for i := range n {
				src.Offsets, src.Times = append(src.Offsets, next+int64(i)), append(src.Times, int64(chunk))
				if src.Columns[0].Bool(i) {
					for k := range src.Columns {
						want.Columns[k].AppendFrom(&src.Columns[k], i)
					}
					want.Offsets = append(want.Offsets, next+int64(i))
				}
			}
			next += int64(n)
			src.Next = next
			if _, err := r.Project(dst, src, 0, 1<<62, nil); err != nil {
				t.Fatal(err)
			}
		}
		if dst.First != 0 || dst.Next != next || dst.Partition != 1 {
			t.Fatalf("covers [%d,%d) of partition %d instead of [0,%d)", dst.First, dst.Next, dst.Partition, next)
		}
		checkColumns(t, dst)
		for k := range dst.Columns {
			for i := range want.Columns[k].Len {
				if got, want := text(&dst.Columns[k], i), text(&want.Columns[k], i); got != want {
					t.Fatalf("column %s, row %d is %s instead of %s", p.Rows().Fields[k].Name, i, got, want)
				}
			}
			if dst.Columns[k].Len != want.Columns[k].Len {
				t.Fatalf("%d rows instead of %d", dst.Columns[k].Len, want.Columns[k].Len)
			}
		}
	}
}

// text shows a value of any type.
func text(c *record.Column, i int) string {
	if c.Null(i) || c.Type.Kind != record.List && c.Type.Kind != record.Map {
		return fmt.Sprintf("%v", load(c, i))
	}
	var b strings.Builder
	first, next := c.Range(i)
	for k := first; k < next; k++ {
		if c.Keys != nil {
			b.WriteString(string(c.Keys.Bytes(k)) + ":")
		}
		b.WriteString(text(c.Elems, k) + ",")
	}
	return "[" + b.String() + "]"
}

// A row in which a grouping field is null is bad: a destination could not add
// to it later.
func TestNullKeysAreBad(t *testing.T) {
	e := adEvents(t)
	for _, key := range []string{"payload.campaign_id", "payload.campaign_id + 0", "payload.campaign_id ?? 7"} {
		p := mustCompile(t, plan.Spec{
			Fields:    []plan.Field{{Name: "k", Expr: key}, {Name: "i", Expr: "id"}},
			Aggregate: &plan.Aggregate{By: []string{"k"}, Columns: []plan.Column{{Name: "n", Expr: "count()"}}},
		}, e)
		r, _ := p.NewProjector(p.Wants())
		a := author{rand.New(rand.NewPCG(1, 1))}
		src := a.decode(p.Wants(), []row{{"payload.campaign_id": int64(1)}, {}, {"payload.campaign_id": int64(3)}, {}}, 10)
		dst := record.NewChunk(p.Rows())
		if _, err := r.Project(dst, src, src.First, src.Next, nil); err != nil {
			t.Fatal(err)
		}
		bad, rows := 2, 2
		if strings.Contains(key, "??") {
			bad, rows = 0, 4
		}
		if len(dst.Bad) != bad || dst.Rows() != rows {
			t.Errorf("%s: %d rows, bad %v", key, dst.Rows(), dst.Bad)
		}
		for _, b := range dst.Bad {
			if b.Reason != "field k: a grouping field is null" && b.Reason != "field k: "+key+": a grouping field is null" {
				t.Errorf("reason %q", b.Reason)
			}
		}
	}
}

// Constants, of every kind that has literals, stand in every row.
func TestConstantFields(t *testing.T) {
	p := mustCompile(t, plan.Spec{Fields: []plan.Field{
		{Name: "a", Expr: "1 + 2"}, {Name: "b", Expr: "1.50"}, {Name: "c", Expr: "'x' + 'y'"}, {Name: "d", Expr: "true"}, {Name: "e", Expr: "nil", As: "list(int)"},
		{Name: "f", Expr: `"2026-01-01T00:00:00Z"`, As: "timestamp"}, {Name: "g", Expr: "0.5", As: "float"}, {Name: "h", Expr: "nil", As: "int"}, {Name: "i", Expr: "7", As: "uint"}, {Name: "id", Expr: "id"}}}, adEvents(t))
	r, _ := p.NewProjector(p.Wants())
	a := author{rand.New(rand.NewPCG(1, 1))}
	src := a.decode(p.Wants(), []row{{"id": "p"}, {}, {"id": "q"}}, 0)
	dst := record.NewChunk(p.Rows())
	if _, err := r.Project(dst, src, 0, 3, nil); err != nil {
		t.Fatal(err)
	}
	checkColumns(t, dst)
	for i := range 3 {
		var got []string
		for k := range 9 {
			got = append(got, show(load(&dst.Columns[k], i)))
		}
		if want := "3|3/2|xy|true|<nil>|2026-01-01 00:00:00 +0000 UTC|0.5|<nil>|7"; strings.Join(got, "|") != want {
			t.Errorf("row %d: %s", i, strings.Join(got, "|"))
		}
	}
	for k, nullable := range []bool{false, false, false, false, true, false, false, true, false, true} {
		if f := p.Schema().Fields[k]; f.Nullable != nullable {
			t.Errorf("%s: nullable is %v", f.Name, f.Nullable)
		}
	}
	for where, rows := range map[string]int{"true": 3, "false": 0, "1 > 2 or true": 3, "nil == 1": 0, "id == nil": 1, "bool(nil)": 0} {
		p := mustCompile(t, plan.Spec{Where: where, Fields: []plan.Field{{Name: "id", Expr: "id"}}}, adEvents(t))
		r, _ := p.NewProjector(p.Wants())
		dst := record.NewChunk(p.Rows())
		if filtered, err := r.Project(dst, src, 0, 3, nil); err != nil || dst.Rows() != rows || filtered != 3-rows {
			t.Errorf("where %s: %d rows, %d filtered, %v", where, dst.Rows(), filtered, err)
		}
	}
}

// What does not fit together is an error, and leaves dst as it was.
func TestProjectRefuses(t *testing.T) {
	e := adEvents(t)
	p := mustCompile(t, plan.Spec{Where: `type == "a"`, Fields: []plan.Field{{Name: "id", Expr: "id"}}}, e)
	if _, err := p.NewProjector(p.Wants()[:1]); err == nil || !strings.Contains(err.Error(), "id of type string") {
		t.Errorf("a missing column: %v", err)
	}
	wrong := p.Wants()
	wrong[1].Type = record.Type{Kind: record.Int}
	if _, err := p.NewProjector(wrong); err == nil {
		t.Error("a column of another type is taken")
	}
	r, err := p.NewProjector(p.Wants())
	if err != nil {
		t.Fatal(err)
	}
	a := author{rand.New(rand.NewPCG(1, 1))}
	src := a.decode(p.Wants(), []row{{"id": "p", "type": "a"}}, 5)
	for name, dst := range map[string]*record.Chunk{
		"too many columns": record.NewChunk(&record.Schema{Fields: make([]record.Field, 2)}),
		"another type":     record.NewChunk(&record.Schema{Fields: []record.Field{{Name: "id", Type: record.Type{Kind: record.Int}}}}),
	} {
		if _, err := r.Project(dst, src, 0, 10, nil); err == nil || dst.Rows() != 0 || dst.Next != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	src.Columns = src.Columns[:1]
	if _, err := r.Project(record.NewChunk(p.Rows()), src, 0, 10, nil); err == nil {
		t.Error("a chunk with a column less is taken")
	}
}

// Ranges that touch no row still widen what dst covers, within src.
func TestProjectCovers(t *testing.T) {
	p := mustCompile(t, plan.Spec{Fields: []plan.Field{{Name: "id", Expr: "id"}}}, adEvents(t))
	r, _ := p.NewProjector(p.Wants())
	a := author{rand.New(rand.NewPCG(1, 1))}
	src := a.decode(p.Wants(), []row{{"id": "p"}}, 5)
	src.First, src.Next = 3, 9
	for _, c := range []struct{ first, next, wantFirst, wantNext int64 }{{0, 100, 3, 9}, {4, 5, 4, 5}, {6, 8, 6, 8}, {9, 12, 0, 0}, {7, 4, 0, 0}, {0, 3, 0, 0}} {
		dst := record.NewChunk(p.Rows())
		if _, err := r.Project(dst, src, c.first, c.next, nil); err != nil || dst.First != c.wantFirst || dst.Next != c.wantNext {
			t.Errorf("[%d,%d): covers [%d,%d), %v", c.first, c.next, dst.First, dst.Next, err)
		}
	}
}

// Steady state allocates nothing, however the rows are selected.
func TestProjectAllocatesNothing(t *testing.T) {
	fields := []plan.Field{{Name: "id", Expr: "id"}, {Name: "amount", Expr: `type == "deposit" ? payload.items[0].price : -payload.cost`}, {Name: "day", Expr: `truncate(time, "day")`},
		{Name: "text", Expr: `lower(payload.country) + string(payload.cost)`}, {Name: "cost", Expr: "payload.cost", As: "decimal(20,8)"}, {Name: "at", Expr: "string(time)"}}
	for _, where := range []string{"", `type == "click"`, `type in ["click", "deposit", "a", "b", "c", "d", "e", "f", "g", "h"] and payload.campaign_id in [1,2,3,4,5,6,7,8,9,10]`, `payload.price < 0.9 or payload.cost > 2.5 and payload.clicks > -1`} {
		p := mustCompile(t, plan.Spec{Where: where, Fields: fields}, adEvents(t))
		src := adChunk(p.Wants(), 5000, true)
		r, err := p.NewProjector(p.Wants())
		if err != nil {
			t.Fatal(err)
		}
		dst := record.NewChunk(p.Rows())
		step := func() {
			dst.Reset()
			if _, err := r.Project(dst, src, src.First, src.Next, nil); err != nil {
				t.Fatal(err)
			}
		}
		step()
		if dst.Rows() == 0 {
			t.Fatalf("where %s selects nothing", where)
		}
		if n := testing.AllocsPerRun(10, step); n != 0 {
			t.Errorf("where %s: %v allocations for %d rows", where, n, dst.Rows())
		}
	}
}
