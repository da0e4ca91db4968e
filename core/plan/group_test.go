package plan_test

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

// groupSpec has every aggregate over every kind that it takes.
func groupSpec(by ...string) plan.Spec {
	s := plan.Spec{
		Fields: []plan.Field{
			{Name: "i", Expr: "payload.campaign_id % 1000"}, {Name: "u", Expr: "payload.clicks % 1000"}, {Name: "d", Expr: "payload.cost"}, {Name: "f", Expr: "payload.price"},
			{Name: "s", Expr: "payload.country"}, {Name: "b", Expr: "payload.valid"}, {Name: "t", Expr: "time"}, {Name: "y", Expr: "payload.key"}, {Name: "l", Expr: "payload.tags"}, {Name: "w", Expr: "payload.fine"}, {Name: "n", Expr: "payload.campaign_id"}, {Name: "v", Expr: "payload.clicks"}},
		Aggregate: &plan.Aggregate{By: by, Columns: []plan.Column{{Name: "rows", Expr: "count()"}, {Name: "count_s", Expr: "count(s)"}}},
	}
	for _, x := range []string{"i", "u", "d", "f"} {
		s.Aggregate.Columns = append(s.Aggregate.Columns, plan.Column{Name: "sum_" + x, Expr: "sum(" + x + ")"})
	}
	for _, x := range []string{"i", "u", "d", "f", "s", "t", "y", "w", "n", "v"} {
		s.Aggregate.Columns = append(s.Aggregate.Columns, plan.Column{Name: "min_" + x, Expr: "min(" + x + ")"}, plan.Column{Name: "max_" + x, Expr: "max(" + x + ")"})
	}
	for _, x := range []string{"i", "s", "b", "f", "l"} {
		for _, order := range []string{"t", "s", "f"} {
			s.Aggregate.Columns = append(s.Aggregate.Columns, plan.Column{Name: "last_" + x + "_" + order, Expr: "last(" + x + ", " + order + ")"})
		}
	}
	return s
}

// partitionsOf makes the events of some partitions, projected, in chunks of
// random size.
func partitionsOf(t *testing.T, a author, p *plan.Plan, partitions, rows int) [][]*record.Chunk {
	t.Helper()
	r, err := p.NewProjector(p.Wants())
	if err != nil {
		t.Fatal(err)
	}
	var all [][]*record.Chunk
	for k := range partitions {
		var chunks []*record.Chunk
		offset := int64(a.IntN(50))
		for left := rows; left > 0; {
			n := min(left, 1+a.IntN(rows))
			left -= n
			events := make([]row, n)
			for i := range events {
				events[i] = a.event()
				if a.IntN(4) > 0 {
					events[i]["payload.key"] = string([]byte{byte(a.IntN(2)), byte(a.IntN(3)), 0, 255}[:a.IntN(5)])
				}
			}
			src := a.decode(p.Wants(), events, offset)
			src.Partition, offset = int32(k), src.Next
			dst := record.NewChunk(p.Rows())
			if _, err := r.Project(dst, src, src.First, src.Next, nil); err != nil {
				t.Fatal(err)
			}
			chunks = append(chunks, dst)
		}
		all = append(all, chunks)
	}
	return all
}

// groupAll adds the chunks of partitions in a random interleaving, each cut in
// pieces, and emits.
func groupAll(t *testing.T, a author, p *plan.Plan, g *plan.Grouper, all [][]*record.Chunk) *record.Chunk {
	t.Helper()
	next := make([]int, len(all)) // rows of a partition that were added
	for {
		var open []int
		for k, chunks := range all {
			if next[k] < total(chunks) {
				open = append(open, k)
			}
		}
		if len(open) == 0 {
			break
		}
		k := open[a.IntN(len(open))]
		piece := slice(p.Rows(), all[k], next[k], 1+a.IntN(total(all[k])-next[k]))
		next[k] += piece.Rows()
		if err := g.Add(piece); err != nil {
			t.Fatal(err)
		}
	}
	out := record.NewChunk(p.Schema())
	if err := g.Emit(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func total(chunks []*record.Chunk) (n int) {
	for _, c := range chunks {
		n += c.Rows()
	}
	return n
}

// slice copies n rows from row first on.
func slice(s *record.Schema, chunks []*record.Chunk, first, n int) *record.Chunk {
	out := record.NewChunk(s)
	for _, c := range chunks {
		for i := range c.Rows() {
			if first--; first >= 0 || out.Rows() == n {
				continue
			}
			for k := range c.Columns {
				out.Columns[k].AppendFrom(&c.Columns[k], i)
			}
			out.Partition, out.Offsets, out.Times = c.Partition, append(out.Offsets, c.Offsets[i]), append(out.Times, c.Times[i])
		}
	}
	return out
}

// printChunk shows a chunk exactly, floats by their bits.
func printChunk(c *record.Chunk) string {
	var b strings.Builder
	for i := range c.Rows() {
		fmt.Fprintf(&b, "%d %d", c.Offsets[i], c.Times[i])
		for k := range c.Columns {
			column := &c.Columns[k]
			switch {
			case column.Null(i):
				b.WriteString(" nil")
			case column.Type.Kind == record.Float:
				fmt.Fprintf(&b, " %x", math.Float64bits(column.Floats[i]))
			case column.Type.Kind == record.List:
				first, next := column.Range(i)
				fmt.Fprintf(&b, " %d", next-first)
			default:
				b.WriteString(" " + show(load(column, i)))
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// The rows of a batch must be a function of its records and the plan: however
// the chunks were cut and the partitions interleaved, bit by bit.
func TestGrouperIsDeterministic(t *testing.T) {
	a := newAuthor(t)
	for range 20 {
		for _, by := range [][]string{{"b"}, {"s"}, {"i", "y"}, {"u", "d", "t"}, {"y", "s"}, {"w", "n"}, {"v"}} {
			p := mustCompile(t, groupSpec(by...), wideEvents(t))
			all := partitionsOf(t, a, p, 1+a.IntN(3), 1+a.IntN(120))
			g := p.NewGrouper()
			var first string
			for round := range 3 {
				out := groupAll(t, a, p, g, all)
				checkColumns(t, out)
				got := printChunk(out)
				if round == 0 {
					first = got
				}
				if got != first {
					t.Fatalf("by %v, round %d:\n%s\ninstead of\n%s", by, round, got, first)
				}
				if g.Groups() != out.Rows() || g.Size() <= 0 || out.Partition != -1 {
					t.Fatalf("%d groups of %d bytes for %d rows, partition %d", g.Groups(), g.Size(), out.Rows(), out.Partition)
				}
				g.Reset()
				if g.Groups() != 0 {
					t.Fatal("a grouper that was reset has groups")
				}
			}
			compareWithReference(t, p, all, first, by)
		}
	}
}

// compareWithReference groups row by row in plain Go.
func compareWithReference(t *testing.T, p *plan.Plan, all [][]*record.Chunk, got string, by []string) {
	t.Helper()
	groups := map[string][]place{}
	var keys []string
	for _, chunks := range all {
		for _, c := range chunks {
			for i := range c.Rows() {
				var key strings.Builder
				for _, name := range by {
					fmt.Fprintf(&key, "%q ", show(load(&c.Columns[p.Rows().Index(name)], i)))
				}
				if groups[key.String()] == nil {
					keys = append(keys, key.String())
				}
				groups[key.String()] = append(groups[key.String()], place{c, i})
			}
		}
	}
	slices.SortFunc(keys, func(x, y string) int {
		for _, name := range by {
			k := p.Rows().Index(name)
			u, v := groups[x][0], groups[y][0]
			if c := orderValues(load(&u.c.Columns[k], u.i), load(&v.c.Columns[k], v.i)); c != 0 {
				return c
			}
		}
		return 0
	})
	want := record.NewChunk(p.Schema())
	for _, key := range keys {
		rows := groups[key]
		for k, name := range by {
			want.Columns[k].AppendFrom(&rows[0].c.Columns[p.Rows().Index(name)], rows[0].i)
		}
		for k, f := range p.Schema().Fields[len(by):] {
			reference(&want.Columns[len(by)+k], p, f.Name, rows)
		}
		lowest, time := rows[0].c.Offsets[rows[0].i], rows[0].c.Times[rows[0].i]
		for _, r := range rows {
			lowest, time = min(lowest, r.c.Offsets[r.i]), min(time, r.c.Times[r.i])
		}
		want.Offsets, want.Times = append(want.Offsets, lowest), append(want.Times, time)
	}
	if text := printChunk(want); text != got {
		t.Fatalf("by %v:\n%s\ninstead of\n%s", by, got, text)
	}
}

type place struct {
	c *record.Chunk
	i int
}

// orderValues is a total order: false first, NaN last, -0 before 0.
func orderValues(x, y any) int {
	switch x := x.(type) {
	case bool:
		return map[bool]int{true: 1}[x] - map[bool]int{true: 1}[y.(bool)]
	case float64:
		y := y.(float64)
		switch {
		case math.IsNaN(x) || math.IsNaN(y):
			return map[bool]int{true: 1}[math.IsNaN(x)] - map[bool]int{true: 1}[math.IsNaN(y)]
		case x == y:
			return cmp.Compare(math.Copysign(1, x), math.Copysign(1, y))
		}
	}
	c, _ := order(x, y)
	return c
}

// reference appends what an aggregate named sum_x, last_x_by, … gives.
func reference(dst *record.Column, p *plan.Plan, name string, rows []place) {
	what, fields, _ := strings.Cut(name, "_")
	x, by, _ := strings.Cut(fields, "_")
	value := func(r place, field string) any { return load(&r.c.Columns[p.Rows().Index(field)], r.i) }
	switch what {
	case "rows":
		dst.AppendInt(int64(len(rows)))
	case "count":
		n := int64(0)
		for _, r := range rows {
			if value(r, x) != nil {
				n++
			}
		}
		dst.AppendInt(n)
	case "sum":
		referenceSum(dst, rows, func(r place) any { return value(r, x) })
	case "min", "max":
		var best any
		for _, r := range rows {
			v := value(r, x)
			if v != nil && (best == nil || (orderValues(v, best) < 0) == (what == "min") && orderValues(v, best) != 0) {
				best = v
			}
		}
		if f, ok := best.(float64); ok && math.IsNaN(f) {
			best = math.NaN()
		}
		store(dst, best)
	case "last":
		var best *place
		for _, r := range rows {
			v := value(r, by)
			if v == nil {
				continue
			}
			if best != nil {
				c := orderValues(v, value(*best, by))
				if c == 0 {
					c = cmp.Or(cmp.Compare(r.c.Partition, best.c.Partition), cmp.Compare(r.c.Offsets[r.i], best.c.Offsets[best.i]))
				}
				if c < 0 {
					continue
				}
			}
			best = &place{r.c, r.i}
		}
		if best == nil {
			dst.AppendNull()
		} else {
			dst.AppendFrom(&best.c.Columns[p.Rows().Index(x)], best.i)
		}
	}
}

// referenceSum adds floats partition by partition, as promised.
func referenceSum(dst *record.Column, rows []place, value func(place) any) {
	if dst.Type.Kind != record.Float {
		sum := new(big.Rat)
		for _, r := range rows {
			if v := value(r); v != nil {
				sum.Add(sum, ratOf(v))
			}
		}
		switch dst.Type.Kind {
		case record.Int:
			store(dst, sum.Num().Int64())
		case record.Uint:
			store(dst, sum.Num().Uint64())
		default:
			store(dst, sum)
		}
		return
	}
	perPartition := map[int32]float64{}
	var order []int32
	for _, r := range rows { // already by partition and offset
		if _, ok := perPartition[r.c.Partition]; !ok {
			order = append(order, r.c.Partition)
		}
		if v := value(r); v != nil {
			perPartition[r.c.Partition] += v.(float64)
		} else {
			perPartition[r.c.Partition] += 0
		}
	}
	sum := 0.0
	for _, k := range order {
		sum += perPartition[k]
	}
	if math.IsNaN(sum) {
		sum = math.NaN()
	}
	dst.AppendFloat(sum)
}

// A sum that leaves its type on the way and comes back is fine in every order,
// and one that ends outside fails in every order and emits nothing.
func TestGrouperOverflow(t *testing.T) {
	e := typed(t, "k", "int", "v", "int", "u", "uint", "d", "decimal(38,0)")
	p := mustCompile(t, plan.Spec{
		Fields:    []plan.Field{{Name: "k", Expr: "k"}, {Name: "v", Expr: "v"}, {Name: "u", Expr: "u"}, {Name: "d", Expr: "d"}},
		Aggregate: &plan.Aggregate{By: []string{"k"}, Columns: []plan.Column{{Name: "v", Expr: "sum(v)"}, {Name: "u", Expr: "sum(u)"}, {Name: "d", Expr: "sum(d)"}}},
	}, e)
	huge, _ := record.ParseDec([]byte(strings.Repeat("9", 38)), 38, 0)
	add := func(g *plan.Grouper, v int64, u uint64, d record.Dec) {
		c := record.NewChunk(p.Rows())
		c.Columns[0].AppendInt(1)
		c.Columns[1].AppendInt(v)
		c.Columns[2].AppendUint(u)
		c.Columns[3].AppendDec(d)
		c.Offsets, c.Times = []int64{1}, []int64{1}
		if err := g.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	g := p.NewGrouper()
	for range 5 {
		add(g, math.MaxInt64, 0, huge)
	}
	for range 4 {
		add(g, -math.MaxInt64, 0, huge.Neg())
	}
	out := record.NewChunk(p.Schema())
	if err := g.Emit(out); err != nil || out.Columns[1].Ints[0] != math.MaxInt64 || out.Columns[3].Decimals[0] != huge {
		t.Fatalf("%v, %s", err, printChunk(out))
	}
	for name, last := range map[string]func(g *plan.Grouper){
		"v": func(g *plan.Grouper) { add(g, 1, 0, record.Dec{}) },
		"u": func(g *plan.Grouper) { add(g, 0, math.MaxUint64, record.Dec{}); add(g, 0, 1, record.Dec{}) },
		"d": func(g *plan.Grouper) { add(g, 0, 0, record.DecFromInt(1)) },
	} {
		g := p.NewGrouper()
		add(g, math.MaxInt64, 0, huge)
		last(g)
		out := record.NewChunk(p.Schema())
		if err := g.Emit(out); err == nil || !strings.HasPrefix(err.Error(), "column "+name+":") || out.Rows() != 0 || out.Columns[0].Len != 0 {
			t.Errorf("%s: %v, %d rows", name, err, out.Rows())
		}
	}
}

func TestGrouperRefusesOtherChunks(t *testing.T) {
	p := mustCompile(t, groupSpec("i"), wideEvents(t))
	g := p.NewGrouper()
	if err := g.Add(record.NewChunk(p.Schema())); err == nil {
		t.Error("a chunk of another schema is grouped")
	}
	c := record.NewChunk(p.Rows())
	for k := range c.Columns {
		c.Columns[k].AppendNull()
	}
	c.Offsets, c.Times = []int64{1}, []int64{1}
	if err := g.Add(c); err == nil {
		t.Error("a null key is grouped")
	}
	if g.Groups() != 0 {
		t.Error("a chunk that was refused left groups")
	}
}

// Many keys make the table grow; keys that begin alike must stay apart, and
// the memory of a reset grouper is used again.
func TestGrouperManyKeys(t *testing.T) {
	e := typed(t, "a", "string", "b", "string", "n", "int")
	p := mustCompile(t, plan.Spec{
		Fields:    []plan.Field{{Name: "a", Expr: "a"}, {Name: "b", Expr: "b"}, {Name: "n", Expr: "n"}},
		Aggregate: &plan.Aggregate{By: []string{"a", "b"}, Columns: []plan.Column{{Name: "n", Expr: "sum(n)"}}},
	}, e)
	c, want := record.NewChunk(p.Rows()), map[[2]string]int64{}
	for i := range int64(20_000) {
		key := [2]string{strings.Repeat("\x00", int(i%7)) + fmt.Sprint(i%1000), strings.Repeat("a", int(i%5)) + strings.Repeat("\x01", int(i%3))}
		want[key] += i
		c.Columns[0].AppendString(key[0])
		c.Columns[1].AppendString(key[1])
		c.Columns[2].AppendInt(i)
		c.Offsets, c.Times = append(c.Offsets, i), append(c.Times, i)
	}
	g, out := p.NewGrouper(), record.NewChunk(p.Schema())
	group := func() {
		g.Reset()
		if err := g.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	group()
	size := g.Size()
	if err := g.Emit(out); err != nil || out.Rows() != len(want) {
		t.Fatalf("%v: %d groups instead of %d", err, out.Rows(), len(want))
	}
	for i := range out.Rows() {
		key := [2]string{string(out.Columns[0].Bytes(i)), string(out.Columns[1].Bytes(i))}
		if out.Columns[2].Ints[i] != want[key] {
			t.Fatalf("%q has %d instead of %d", key, out.Columns[2].Ints[i], want[key])
		}
	}
	if n := testing.AllocsPerRun(5, group); n > 1 {
		t.Errorf("%v allocations for %d rows", n, c.Rows())
	}
	if g.Size() != size {
		t.Errorf("size %d, and %d before the reset", g.Size(), size)
	}
}
