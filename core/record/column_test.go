package record_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/sluicekit/sluice/core/record"
)

// A row in plain Go: nil, bool, int64, uint64, float64, record.Dec, string (of
// String, Bytes and JSON), []any of a List, []pair of a Map.
type pair struct {
	key   string
	value any
}

// random is a source of random rows whose seed a failure prints.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// types are one of each kind, and nested ones.
func types() []record.Type {
	var all []record.Type
	for _, k := range record.Kinds() {
		t := record.Type{Kind: k}
		switch k {
		case record.Decimal:
			t.Precision, t.Scale = 20, 4
		case record.List:
			t.Elem = &record.Type{Kind: record.String}
		case record.Map:
			t.Elem = &record.Type{Kind: record.List, Elem: &record.Type{Kind: record.Bool}}
		}
		all = append(all, t)
	}
	return append(all, record.Type{Kind: record.List, Elem: &record.Type{Kind: record.Map, Elem: &record.Type{Kind: record.Int}}})
}

// value makes a random row, a third of them null.
func value(r *rand.Rand, t record.Type) any {
	if r.IntN(3) == 0 {
		return nil
	}
	switch t.Kind {
	case record.Bool:
		return r.IntN(2) == 0
	case record.Int, record.Timestamp:
		return r.Int64() - r.Int64()
	case record.Uint:
		return r.Uint64()
	case record.Float:
		return r.NormFloat64()
	case record.Decimal:
		return record.DecFromInt(r.Int64() - r.Int64())
	case record.List:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = value(r, *t.Elem)
		}
		return list
	case record.Map:
		pairs := make([]pair, r.IntN(4))
		for i := range pairs {
			pairs[i] = pair{text(r), value(r, *t.Elem)}
		}
		return pairs
	}
	return text(r)
}

func text(r *rand.Rand) string {
	b := make([]byte, r.IntN(9))
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return string(b)
}

func appendValue(c *record.Column, v any) {
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
	case record.Dec:
		c.AppendDec(v)
	case string:
		switch len(v) % 3 { // three ways that must not differ
		case 0:
			c.AppendString(v)
		case 1:
			c.AppendBytes([]byte(v))
		default:
			c.Data = append(c.Data, v...)
			c.AppendData()
		}
	case []any:
		for _, e := range v {
			appendValue(c.Elems, e)
		}
		c.AppendElems()
	case []pair:
		for _, p := range v {
			c.Keys.AppendString(p.key)
			appendValue(c.Elems, p.value)
		}
		c.AppendElems()
	}
}

// row reads a row back.
func row(c *record.Column, i int) any {
	if c.Null(i) {
		return nil
	}
	switch c.Type.Kind {
	case record.Bool:
		return c.Bool(i)
	case record.Int, record.Timestamp:
		return c.Ints[i]
	case record.Uint:
		return c.Uints[i]
	case record.Float:
		return c.Floats[i]
	case record.Decimal:
		return c.Decimals[i]
	case record.List:
		first, next := c.Range(i)
		list := make([]any, 0, next-first)
		for k := first; k < next; k++ {
			list = append(list, row(c.Elems, k))
		}
		return list
	case record.Map:
		first, next := c.Range(i)
		pairs := make([]pair, 0, next-first)
		for k := first; k < next; k++ {
			pairs = append(pairs, pair{string(c.Keys.Bytes(k)), row(c.Elems, k)})
		}
		return pairs
	}
	return string(c.Bytes(i))
}

// same says where a column is not what the rows are.
func same(c *record.Column, rows []any) error {
	if err := c.Check(); err != nil {
		return err
	}
	if c.Len != len(rows) {
		return fmt.Errorf("%d rows instead of %d", c.Len, len(rows))
	}
	nulls := 0
	for i, want := range rows {
		if want == nil {
			nulls++
			if !zero(c, i) {
				return fmt.Errorf("null row %d holds a value", i)
			}
		}
		if got := row(c, i); !reflect.DeepEqual(got, want) {
			return fmt.Errorf("row %d is %v instead of %v", i, got, want)
		}
	}
	if c.Nulls != nulls {
		return fmt.Errorf("%d nulls instead of %d", c.Nulls, nulls)
	}
	return nil
}

// zero says whether a null row holds what sinks that copy whole slices expect.
func zero(c *record.Column, i int) bool {
	switch c.Type.Kind {
	case record.Bool:
		return !c.Bool(i)
	case record.Int, record.Timestamp:
		return c.Ints[i] == 0
	case record.Uint:
		return c.Uints[i] == 0
	case record.Float:
		return c.Floats[i] == 0
	case record.Decimal:
		return c.Decimals[i] == record.Dec{}
	}
	first, next := c.Range(i)
	return first == next
}

// halfway leaves behind what a decoder has appended of a row when it fails.
func halfway(r *rand.Rand, c *record.Column) {
	switch c.Type.Kind {
	case record.String, record.Bytes, record.JSON:
		c.Data = append(c.Data, "half"...)
	case record.List, record.Map:
		if c.Keys != nil {
			c.Keys.AppendString("key")
		}
		appendValue(c.Elems, value(r, c.Elems.Type))
		halfway(r, c.Elems)
	}
}

func TestColumnIsItsRows(t *testing.T) {
	r := random(t)
	for _, typ := range types() {
		c, other := record.NewColumn(typ), record.NewColumn(typ)
		var rows, others []any
		for range 200 {
			v := value(r, typ)
			others = append(others, v)
			appendValue(other, v)
		}
		for step := range 3000 {
			did := ""
			switch k := r.IntN(100); {
			case k < 60:
				did = "append"
				v := value(r, typ)
				rows = append(rows, v)
				appendValue(c, v)
			case k < 90:
				did = "append from"
				i := r.IntN(len(others))
				rows = append(rows, others[i])
				c.AppendFrom(other, i)
			case k < 96:
				did = "settle"
				halfway(r, c)
				c.Settle()
			case k < 99:
				did = "truncate"
				n := r.IntN(len(rows) + 2)
				c.Truncate(n)
				rows = rows[:min(n, len(rows))]
			default:
				did = "reset"
				c.Reset()
				rows = rows[:0]
			}
			if err := same(c, rows); err != nil {
				t.Fatalf("%s: step %d, %s: %v", typ, step, did, err)
			}
		}
		if err := same(other, others); err != nil {
			t.Fatalf("%s: the column that was copied from: %v", typ, err)
		}
	}
}

// A run without nulls followed by one, and the other way round, at every place
// of the bitmap's words.
func TestColumnNullsAtWordBounds(t *testing.T) {
	for _, typ := range types() {
		r := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int{0, 1, 63, 64, 65, 127, 128, 129} {
			c := record.NewColumn(typ)
			var rows []any
			add := func(v any) {
				rows = append(rows, v)
				appendValue(c, v)
			}
			for len(rows) < n {
				if v := value(r, typ); v != nil {
					add(v)
				}
			}
			add(nil)
			for len(rows) < 2*n {
				if v := value(r, typ); v != nil {
					add(v)
				}
			}
			if err := same(c, rows); err != nil {
				t.Fatalf("%s, null at %d: %v", typ, n, err)
			}
			c.Truncate(n)
			if err := same(c, rows[:n]); err != nil {
				t.Fatalf("%s, cut back to %d: %v", typ, n, err)
			}
			c.AppendNull()
			if err := same(c, rows[:n+1]); err != nil {
				t.Fatalf("%s, null again at %d: %v", typ, n, err)
			}
		}
	}
}

// Check must see what a broken decoder does to a column.
func TestColumnCheckSees(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, typ := range types() {
		breakers := map[string]func(c *record.Column){
			"a row more":  func(c *record.Column) { c.Len += 64 },
			"a null more": func(c *record.Column) { c.Nulls, c.Valid = 1, nil },
		}
		switch typ.Kind {
		case record.String, record.Bytes, record.JSON:
			breakers["data behind the last row"] = func(c *record.Column) { c.Data = append(c.Data, 'x') }
			breakers["a row that ends before it starts"] = func(c *record.Column) { c.Offsets[1] = c.Offsets[2] + 1 }
		case record.Map:
			breakers["a broken key"] = func(c *record.Column) { c.Keys.Data = append(c.Keys.Data, 'x') }
			fallthrough
		case record.List:
			breakers["elements behind the last row"] = func(c *record.Column) { c.Elems.AppendNull() }
		}
		for name, breaks := range breakers {
			c := record.NewColumn(typ)
			for range 10 {
				appendValue(c, value(r, typ))
			}
			if typ.Kind == record.Map {
				appendValue(c, []pair{{"k", nil}})
			}
			if err := c.Check(); err != nil {
				t.Fatalf("%s: %v", typ, err)
			}
			breaks(c)
			if c.Check() == nil {
				t.Errorf("%s: %s is not seen", typ, name)
			}
		}
	}
}

// A chunk that is used again must not allocate: the decoder's figures rest on
// it.
func TestColumnKeepsItsMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, typ := range types() {
		c, other := record.NewColumn(typ), record.NewColumn(typ)
		for range 300 {
			appendValue(other, value(r, typ))
		}
		fill := func() {
			c.Reset()
			for i := range other.Len {
				c.AppendFrom(other, i)
			}
		}
		fill()
		if n := testing.AllocsPerRun(10, fill); n != 0 {
			t.Errorf("%s: %v allocations for 300 rows", typ, n)
		}
	}
}

func TestColumnSizeIsItsBytes(t *testing.T) {
	c := record.NewColumn(record.Type{Kind: record.List, Elem: &record.Type{Kind: record.String}})
	if c.Size() != 0 {
		t.Errorf("an empty column has %d bytes", c.Size())
	}
	appendValue(c, []any{"ab", "c"})
	appendValue(c, nil)
	// 3 offsets of the rows, 1 word of their bitmap, 3 offsets and 3 bytes of the elements
	if want := int64(3*4 + 8 + 3*4 + 3); c.Size() != want {
		t.Errorf("size %d instead of %d", c.Size(), want)
	}
}
