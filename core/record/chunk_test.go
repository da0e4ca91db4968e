package record_test

import (
	"testing"

	"github.com/sluicekit/sluice/core/record"
)

// chunkOf makes an empty chunk with a column of every type.
func chunkOf() *record.Chunk {
	s := &record.Schema{}
	for _, typ := range types() {
		s.Fields = append(s.Fields, record.Field{Name: typ.String(), Type: typ, Nullable: true})
	}
	return record.NewChunk(s)
}

func sameChunk(t *testing.T, c *record.Chunk, rows [][]any) {
	t.Helper()
	if c.Rows() != len(rows) || len(c.Times) != len(rows) {
		t.Fatalf("%d rows, %d times instead of %d", c.Rows(), len(c.Times), len(rows))
	}
	for k := range c.Columns {
		var column []any
		for _, row := range rows {
			column = append(column, row[k])
		}
		if err := same(&c.Columns[k], column); err != nil {
			t.Fatalf("%s: %v", c.Schema.Fields[k].Name, err)
		}
	}
}

// A decoder appends a row column by column, and takes back what it has when a
// value in the middle is bad.
func TestChunkTakesBackBadRows(t *testing.T) {
	r := random(t)
	c := chunkOf()
	var rows [][]any
	for offset := range int64(2000) {
		n := c.Rows()
		bad := r.IntN(2 * len(c.Columns)) // the column that fails; none if there is no such
		var row []any
		for k := range c.Columns {
			if k == bad {
				halfway(r, &c.Columns[k])
				break
			}
			v := value(r, c.Schema.Fields[k].Type)
			row = append(row, v)
			appendValue(&c.Columns[k], v)
		}
		if bad < len(c.Columns) {
			c.Truncate(n)
		} else {
			rows = append(rows, row)
			c.Offsets, c.Times = append(c.Offsets, offset), append(c.Times, offset*10)
		}
		if offset%50 == 0 {
			sameChunk(t, c, rows)
		}
	}
	sameChunk(t, c, rows)
	half := len(rows) / 2
	offset := c.Offsets[half-1]
	c.Truncate(half)
	sameChunk(t, c, rows[:half])
	if c.Offsets[half-1] != offset || c.Times[half-1] != offset*10 {
		t.Errorf("the last row is at offset %d, time %d after a truncation", c.Offsets[half-1], c.Times[half-1])
	}
}

func TestChunkResetForgetsAll(t *testing.T) {
	r := random(t)
	c := chunkOf()
	for round := range 3 {
		for k := range c.Columns {
			appendValue(&c.Columns[k], value(r, c.Schema.Fields[k].Type))
			halfway(r, &c.Columns[k])
		}
		c.Offsets, c.Times = append(c.Offsets, 7), append(c.Times, 8)
		c.Bad = append(c.Bad, record.Bad{Offset: 3, Reason: "reason"})
		c.Partition, c.First, c.Next, c.Empty = 1, 2, 8, 4
		c.Reset()
		sameChunk(t, c, nil)
		if c.Partition != 0 || c.First != 0 || c.Next != 0 || c.Empty != 0 || len(c.Bad) != 0 || c.Rows() != 0 {
			t.Fatalf("round %d: %+v", round, c)
		}
		if bad := c.Bad[:1]; bad[0] != (record.Bad{}) {
			t.Fatalf("round %d: a reason is still held: %+v", round, bad)
		}
	}
}

// A chunk is made a copy of one row after another, and keeps nothing of the one
// before.
func TestChunkOfOneRow(t *testing.T) {
	r := random(t)
	from, one := chunkOf(), chunkOf()
	from.Partition = 3
	var rows [][]any
	for n := range int64(200) {
		var row []any
		for k := range from.Columns {
			v := value(r, from.Schema.Fields[k].Type)
			row = append(row, v)
			appendValue(&from.Columns[k], v)
		}
		rows = append(rows, row)
		from.Offsets, from.Times = append(from.Offsets, 2*n), append(from.Times, 10*n)
	}
	for _, n := range r.Perm(len(rows)) {
		one.SetRow(from, n)
		sameChunk(t, one, rows[n:n+1])
		if at := int64(2 * n); one.Partition != 3 || one.First != at || one.Next != at+1 || one.Offsets[0] != at || one.Times[0] != int64(10*n) {
			t.Fatalf("row %d: partition %d [%d,%d), offset %d, time %d", n, one.Partition, one.First, one.Next, one.Offsets[0], one.Times[0])
		}
	}
}

func TestChunkSizeGrowsWithRows(t *testing.T) {
	c := record.NewChunk(&record.Schema{Fields: []record.Field{{Name: "n", Type: record.Type{Kind: record.Int}}}})
	c.Columns[0].AppendInt(1)
	c.Offsets, c.Times = append(c.Offsets, 1), append(c.Times, 1)
	if c.Size() != 24 {
		t.Errorf("one int, offset and time are %d bytes", c.Size())
	}
}

func TestSchemaIndex(t *testing.T) {
	s := chunkOf().Schema
	for i, f := range s.Fields {
		if got := s.Index(f.Name); got != i {
			t.Errorf("%s is at %d instead of %d", f.Name, got, i)
		}
	}
	if s.Index("absent") != -1 {
		t.Error("a field that is not there has an index")
	}
}

// Types that print alike must be equal, and others not: plans match columns by
// both.
func TestTypesAreEqualAsTheyPrint(t *testing.T) {
	all := append(types(), types()...)
	all = append(all, record.Type{Kind: record.Decimal, Precision: 20, Scale: 5}, record.Type{Kind: record.List, Elem: &record.Type{Kind: record.Int}})
	for _, a := range all {
		for _, b := range all {
			if a.Equal(b) != (a.String() == b.String()) {
				t.Errorf("%s and %s: equal %v", a, b, a.Equal(b))
			}
		}
	}
}

func TestPathPrints(t *testing.T) {
	p := record.Path{{Name: "payload"}, {Name: "items"}, {Index: -1}, {Index: 0}, {Name: "price"}}
	if got := p.String(); got != "payload.items[-1][0].price" {
		t.Error(got)
	}
}
