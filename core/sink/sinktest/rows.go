package sinktest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// topic is where the kit's records come from.
const topic = "events"

// unseen is part of every text that the kit writes. It must not be in an error
// or a log.
const unseen = "row-content-4711"

// at names one record.
type at struct {
	partition int32
	offset    int64
}

// idType is the type of the field id, which tells the kit's rows apart.
func idType(kinds []record.Kind) record.Type {
	for _, k := range []record.Kind{record.Int, record.String} {
		if slices.Contains(kinds, k) {
			return record.Type{Kind: k}
		}
	}
	return record.Type{}
}

func idOf(t record.Type, a at) any {
	if t.Kind == record.String {
		return fmt.Sprintf("%d/%d", a.partition, a.offset)
	}
	return int64(a.partition)*1_000_000_000 + a.offset
}

// parseID is the record whose id a row holds.
func parseID(t record.Type, got any) (a at, ok bool) {
	text, ok := digits(got)
	if !ok {
		return a, false
	}
	if t.Kind == record.String {
		n, err := fmt.Sscanf(text, "%d/%d", &a.partition, &a.offset)
		return a, n == 2 && err == nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return at{int32(n / 1_000_000_000), n % 1_000_000_000}, err == nil && n >= 0
}

// standard is the schema of most tests: an id, and what else the sink takes of
// the kinds that are easily spoiled.
func standard(spec sink.Spec) *record.Schema {
	s := &record.Schema{Fields: []record.Field{{Name: "id", Type: idType(spec.Kinds)}}}
	add := func(name string, t record.Type, nullable bool) {
		if slices.Contains(spec.Kinds, t.Kind) {
			s.Fields = append(s.Fields, record.Field{Name: name, Type: t, Nullable: nullable})
		}
	}
	add("text", record.Type{Kind: record.String}, true)
	add("amount", record.Type{Kind: record.Decimal, Precision: 18, Scale: 6}, true)
	add("at", record.Type{Kind: record.Timestamp}, false)
	return s
}

// narrow is id and text alone, for many rows.
func narrow(spec sink.Spec) *record.Schema {
	s := standard(spec)
	return &record.Schema{Fields: s.Fields[:min(2, len(s.Fields))]}
}

// hasRow says whether a record becomes a row: where leaves out some.
func hasRow(a at) bool { return a.offset%9 != 4 }

// rowOf is the row of a record, the same whenever it is asked for.
func rowOf(s *record.Schema, a at) []any {
	row := make([]any, len(s.Fields))
	for i, f := range s.Fields {
		switch f.Name {
		case "id":
			row[i] = idOf(f.Type, a)
		case "text":
			switch a.offset % 5 {
			case 0:
			case 1:
				row[i] = ""
			default:
				row[i] = fmt.Sprintf("%s ü\U0001F600 %d of %d", unseen, a.offset, a.partition)
			}
		case "amount":
			switch a.offset % 6 {
			case 2:
			case 3:
				row[i] = "0"
			default:
				row[i] = fmt.Sprintf("%d.%06d", a.offset-3, a.offset%1_000_000)
			}
		case "at":
			row[i] = 1_700_000_000_123_456 + a.offset*1_000_007
		}
	}
	return row
}

// feed makes chunks. One chunk is used for all, as core does.
type feed struct {
	schema *record.Schema
	chunk  *record.Chunk
}

func newFeed(s *record.Schema) *feed { return &feed{schema: s, chunk: record.NewChunk(s)} }

// begin empties the chunk for rows of [first, next) of a partition.
func (f *feed) begin(partition int32, first, next int64) {
	f.chunk.Reset()
	f.chunk.Partition, f.chunk.First, f.chunk.Next = partition, first, next
}

// add appends a row.
func (f *feed) add(offset int64, row []any) {
	for i := range row {
		put(&f.chunk.Columns[i], row[i])
	}
	f.chunk.Offsets = append(f.chunk.Offsets, offset)
	f.chunk.Times = append(f.chunk.Times, 1_700_000_000_000+offset)
}

// rows are the rows of [first, next) of a partition of a cut, its dead left out.
func (f *feed) rows(c record.Cut, partition int32, first, next int64) *record.Chunk {
	f.begin(partition, first, next)
	for o := first; o < next; o++ {
		if a := (at{partition, o}); hasRow(a) && !c.IsDead(partition, o) {
			f.add(o, rowOf(f.schema, a))
		}
	}
	return f.chunk
}

// scribble overwrites all memory of a chunk, as the next records will.
func scribble(c *record.Chunk) {
	for i := range c.Offsets {
		c.Offsets[i], c.Times[i] = -7777, -7777
	}
	for i := range c.Columns {
		scribbleColumn(&c.Columns[i])
	}
}

func scribbleColumn(c *record.Column) {
	for i := range c.Valid {
		c.Valid[i] = ^c.Valid[i]
	}
	for i := range c.Bits {
		c.Bits[i] = ^c.Bits[i]
	}
	for i := range c.Ints {
		c.Ints[i] = -4_444_444_444_444_444
	}
	for i := range c.Uints {
		c.Uints[i] = 4_444_444_444_444_444
	}
	for i := range c.Floats {
		c.Floats[i] = -4444.4444
	}
	for i := range c.Decimals {
		c.Decimals[i] = record.DecFromInt(-44444444)
	}
	for i := range c.Data {
		c.Data[i] = '#'
	}
	for i := range c.Offsets {
		c.Offsets[i] = 0 // whoever kept them reads nothing, and not past the end
	}
	for _, n := range []*record.Column{c.Keys, c.Elems} {
		if n != nil {
			scribbleColumn(n)
		}
	}
}

// slot claims partitions [first, first+n).
func slot(first int32, n int) sink.Claim {
	return sink.Claim{Topic: topic, Incarnation: "sinktest/one", Partition: first, Partitions: n}
}

// cutOf is a cut of a slot: bounds are first and next of each partition.
func cutOf(partition int32, bounds ...int64) record.Cut {
	c := record.Cut{Topic: topic, Partition: partition}
	for i := 0; i < len(bounds); i += 2 {
		c.Ranges = append(c.Ranges, record.Range{First: bounds[i], Next: bounds[i+1]})
	}
	return c
}

// ranges is a cut as sentences show it, without the topic: [1200,1800).
func ranges(c record.Cut) string {
	_, text, _ := strings.Cut(c.String(), "] ")
	return text
}
