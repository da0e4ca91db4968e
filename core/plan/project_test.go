package plan_test

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

// newAuthor makes a source of random expressions whose seed a failure prints.
func newAuthor(t *testing.T) author {
	t.Helper()
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return author{rand.New(rand.NewPCG(seed, 0))}
}

// decimalPaths are the decimals of wideEvents.
var decimalPaths = []struct {
	name string
	typ  record.Type
}{{"payload.cost", dec(18, 6)}, {"payload.items[0].price", dec(10, 2)}, {"payload.whole", dec(38, 0)}, {"payload.middle", dec(38, 19)}, {"payload.fine", dec(38, 38)}}

// event makes the values of one event, many of them null or at an edge.
func (a author) event() row {
	r := row{}
	put := func(name string, v any) {
		if a.IntN(5) > 0 {
			r[name] = v
		}
	}
	put("payload.campaign_id", oneOf(a, edgeInts...))
	put("payload.clicks", oneOf(a, edgeUints...))
	put("payload.price", oneOf(a, edgeFloats...))
	put("payload.country", oneOf(a, edgeTexts...))
	put("type", oneOf(a, edgeTexts...))
	put("payload.valid", a.IntN(2) == 0)
	for _, p := range decimalPaths {
		put(p.name, new(big.Rat).SetFrac(a.edgeDecimal(int(p.typ.Precision)), pow10(int(p.typ.Scale))))
	}
	put("payload.raw", oneOf(a, "1", ` "5" `, "-0", "1e400", "true", "null", `[1, "a"]`, `{"a": null}`, `"\ud83d\ude00\ud800"`, `"\ud800\u0041"`, `"2024-02-29T12:00:00Z"`, `"`, "", "\xff", `"\u00"`))
	put("payload.key", oneOf(a, edgeTexts...))
	put("payload.tags", oneOf(a, nil, []string{}, []string{"a", "\xff\x00"}, []string{"", "b", "\""}))
	put("time", oneOf(a, edgeTimes...).UTC())
	return r
}

// spoil makes some values ones that the decoder could not read.
func (a author) spoil(events []row) {
	for _, e := range events {
		for _, name := range slices.Sorted(maps.Keys(e)) { // in one order, so that a seed says it all
			if a.IntN(12) == 0 {
				e[name] = bad{}
			}
		}
	}
}

// decode makes a chunk of events as a decoder does, with a gap in the offsets
// now and then.
func (a author) decode(wants []record.Want, events []row, first int64) *record.Chunk {
	s := &record.Schema{}
	for _, w := range wants {
		s.Fields = append(s.Fields, record.Field{Name: w.Path.String(), Type: w.Type, Nullable: true})
	}
	c := record.NewChunk(s)
	c.Partition, c.First = 3, first
	offset := first
	for _, e := range events {
		offset += int64(a.IntN(8) / 7)
		for i, w := range wants {
			v := e[w.Path.String()]
			if v == (bad{}) {
				v = nil
				c.BadValues = append(c.BadValues, record.BadValue{Row: c.Rows(), Column: i, Reason: w.Path.String() + ": bad here"})
			}
			store(&c.Columns[i], v)
		}
		c.Offsets, c.Times = append(c.Offsets, offset), append(c.Times, 1000+offset)
		offset++
	}
	c.Next = offset
	return c
}

// store appends a value of the reference.
func store(c *record.Column, v any) {
	switch v := v.(type) {
	case nil:
		c.AppendNull()
	case bool:
		c.AppendBool(v)
	case int64:
		c.AppendInt(v)
	case uint64:
		c.AppendUint(v)
	case float64:
		c.AppendFloat(v)
	case string:
		c.AppendString(v)
	case time.Time:
		c.AppendInt(v.UnixMicro())
	case []string:
		for _, text := range v {
			c.Elems.AppendString(text)
		}
		c.AppendElems()
	case *big.Rat:
		d, err := record.ParseDec([]byte(v.FloatString(int(c.Type.Scale))), 38, int(c.Type.Scale))
		if err != nil {
			panic(err)
		}
		c.AppendDec(d)
	default:
		panic(fmt.Sprintf("%T", v))
	}
}

// load reads row i as a value of the reference.
func load(c *record.Column, i int) any {
	if c.Null(i) {
		return nil
	}
	switch c.Type.Kind {
	case record.Bool:
		return c.Bool(i)
	case record.Int:
		return c.Ints[i]
	case record.Timestamp:
		return time.UnixMicro(c.Ints[i]).UTC()
	case record.Uint:
		return c.Uints[i]
	case record.Float:
		return c.Floats[i]
	case record.Decimal:
		v, _ := new(big.Rat).SetString(c.Decimals[i].String(int(c.Type.Scale)))
		return v
	}
	return string(c.Bytes(i))
}

// identical is equality that tells -0 from 0 and knows NaN.
func identical(x, y any) bool {
	switch x := x.(type) {
	case *big.Rat:
		y, ok := y.(*big.Rat)
		return ok && x.Cmp(y) == 0
	case float64:
		y, ok := y.(float64)
		return ok && (math.Float64bits(x) == math.Float64bits(y) || math.IsNaN(x) && math.IsNaN(y))
	}
	return x == y
}

// show is a value for a message.
func show(v any) string {
	if r, ok := v.(*big.Rat); ok {
		return r.RatString()
	}
	return fmt.Sprintf("%v", v)
}

// Random expressions as where and as fields, over random ranges of random
// chunks with random dead records, must do what the reference says for every
// row: select it, drop it, make it bad, or give these values.
func TestProjectAgainstReference(t *testing.T) {
	a, e := newAuthor(t), wideEvents(t)
	seen := map[string]int{}
	for range 1600 {
		where := a.truth(a.IntN(4))
		if a.IntN(4) == 0 {
			where = constant("true", kind(record.Bool), true)
		}
		fields := []term{a.anything(a.IntN(5)), a.anything(a.IntN(4)), pathTerm("payload.country", kind(record.String))}
		spec := plan.Spec{Where: where.text}
		for i, f := range fields {
			spec.Fields = append(spec.Fields, plan.Field{Name: fmt.Sprint("f", i), Expr: f.text})
		}
		p, problems := plan.Compile(spec, e)
		if len(problems) > 0 && (strings.HasSuffix(problems[0].Message, ": out of range") || strings.HasSuffix(problems[0].Message, ": digits would be lost") || problems[0].Message == "division by zero") {
			seen["constant"]++ // 2e3 next to a decimal(38,36), x % 0
			continue
		}
		if p == nil {
			t.Fatalf("%v in where %s, fields %s and %s", problems, where.text, fields[0].text, fields[1].text)
		}
		for i, f := range fields {
			if got := p.Schema().Fields[i].Type; !got.Equal(f.typ) {
				t.Fatalf("%s is %s instead of %s", f.text, got, f.typ)
			}
		}
		events := make([]row, a.rows())
		for i := range events {
			events[i] = a.event()
		}
		if a.IntN(3) > 0 {
			a.spoil(events)
		}
		checkProject(t, a, p, where, fields, events, seen)
	}
	for _, what := range []string{"dead", "filtered", "bad", "row", "null"} {
		if seen[what] < 1000 {
			t.Errorf("only %d of %s", seen[what], what)
		}
	}
	if seen["constant"] > 200 {
		t.Errorf("%d expressions were refused for their constants", seen["constant"])
	}
}

func checkProject(t *testing.T, a author, p *plan.Plan, where term, fields []term, events []row, seen map[string]int) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("where %s\nfields %s\nand %s", where.text, fields[0].text, fields[1].text)
		}
	}()
	wants := p.Wants()
	a.Shuffle(len(wants), func(i, j int) { wants[i], wants[j] = wants[j], wants[i] })
	r, err := p.NewProjector(wants)
	if err != nil {
		t.Fatal(err)
	}
	dst := record.NewChunk(p.Rows())
	for first := int64(a.IntN(100)); ; { // in two chunks now and then, so that the second finds what the first has left
		n := len(events)
		if a.IntN(3) == 0 {
			n = a.IntN(n + 1)
		}
		src := a.decode(wants, events[:n], first)
		checkChunk(t, a, r, dst, src, where, fields, events[:n], seen)
		if events, first = events[n:], src.Next; len(events) == 0 {
			return
		}
		dst.Reset()
	}
}

// checkChunk projects one chunk to an empty one.
func checkChunk(t *testing.T, a author, r *plan.Projector, dst, src *record.Chunk, where term, fields []term, events []row, seen map[string]int) {
	t.Helper()
	bounds, dead := a.bounds(src)
	filtered, err := r.Project(dst, src, bounds[0], bounds[1], dead)
	if err != nil {
		t.Fatal(err)
	}
	wantFiltered, next, nextBad := 0, 0, 0
	for i, event := range events {
		offset := src.Offsets[i]
		if offset < bounds[0] || offset >= bounds[1] {
			continue
		}
		if dead != nil && dead(offset) {
			seen["dead"]++
			continue
		}
		values, verdict := expected(where, fields, event)
		seen[verdict]++
		switch verdict {
		case "filtered":
			wantFiltered++
		case "bad":
			if nextBad >= len(dst.Bad) || dst.Bad[nextBad].Offset != offset {
				t.Fatalf("offset %d should be bad: %v", offset, event)
			}
			nextBad++
		default:
			if next >= dst.Rows() || dst.Offsets[next] != offset || dst.Times[next] != 1000+offset {
				t.Fatalf("offset %d should be row %d: %v; bad are %v", offset, next, event, dst.Bad)
			}
			for k, want := range values {
				if want == nil {
					seen["null"]++
				}
				if got := load(&dst.Columns[k], next); !identical(got, want) {
					t.Fatalf("%s is %s instead of %s for %v", fields[k].text, show(got), show(want), event)
				}
			}
			next++
		}
	}
	if filtered != wantFiltered || next != dst.Rows() || nextBad != len(dst.Bad) {
		t.Fatalf("%d filtered, %d rows, %d bad instead of %d, %d, %d", filtered, dst.Rows(), len(dst.Bad), wantFiltered, next, nextBad)
	}
	checkColumns(t, dst)
}

// bounds are a range of offsets around and within a chunk, and which of them
// are dead.
func (a author) bounds(src *record.Chunk) (bounds []int64, dead func(int64) bool) {
	bounds = []int64{src.First + a.Int64N(src.Next-src.First+2) - 1, src.First + a.Int64N(src.Next-src.First+2) - 1}
	if a.IntN(2) == 0 {
		bounds = []int64{src.First, src.Next}
	}
	slices.Sort(bounds)
	switch a.IntN(12) {
	case 0, 1, 2, 3, 4:
		dead = func(offset int64) bool { return offset%7 == 3 }
	case 5:
		dead = func(offset int64) bool { return true }
	}
	return bounds, dead
}

// expected is what the reference makes of an event.
func expected(where term, fields []term, event row) (values []any, verdict string) {
	switch where.eval(event) {
	case bad{}:
		return nil, "bad"
	case true:
	default:
		return nil, "filtered"
	}
	for _, f := range fields {
		v := f.eval(event)
		if v == (bad{}) {
			return nil, "bad"
		}
		values = append(values, v)
	}
	return values, "row"
}

// checkColumns checks the layout that sinks rely on, null rows included.
func checkColumns(t *testing.T, c *record.Chunk) {
	t.Helper()
	for i := range c.Columns {
		column := &c.Columns[i]
		if err := column.Check(); err != nil {
			t.Fatal(err)
		}
		if column.Len != c.Rows() {
			t.Fatalf("column %d has %d rows of %d", i, column.Len, c.Rows())
		}
		nulls, again := 0, record.NewColumn(column.Type)
		for k := range column.Len {
			nulls += map[bool]int{true: 1}[column.Null(k)]
			again.AppendFrom(column, k)
		}
		if nulls != column.Nulls {
			t.Fatalf("column %d has %d nulls, and says %d", i, nulls, column.Nulls)
		}
		if column.Nulls == 0 {
			again.Valid, column.Valid = nil, nil
		}
		for k := range column.Len { // what a column that was appended to row by row holds
			if column.Null(k) && !identical(zeroOf(column, k), zeroOf(again, k)) {
				t.Fatalf("column %d, null row %d: holds %v", i, k, zeroOf(column, k))
			}
		}
	}
}

// zeroOf is what lies in a row whether it is null or not.
func zeroOf(c *record.Column, k int) any {
	if c.Elems != nil {
		first, next := c.Range(k)
		return next - first
	}
	plain := *c
	plain.Nulls = 0
	return load(&plain, k)
}
