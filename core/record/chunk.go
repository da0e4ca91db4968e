package record

// Chunk is a run of records of one partition, in columns.
//
// First and Next bound the offsets that the chunk covers: everything in
// [First, Next) is either a row here, or was dropped for a reason that the
// counts below name. Rows of a grouped chunk (aggregate) belong to no single
// record: Partition is -1 then and Offsets hold the lowest offset of each
// group.
type Chunk struct {
	Partition   int32
	First, Next int64
	Schema      *Schema
	Columns     []Column   // as Schema.Fields
	Offsets     []int64    // per row, ascending
	Times       []int64    // per row: the record's timestamp in Kafka, milliseconds since 1970
	Bad         []Bad      // records of [First, Next) that could not be decoded, ascending
	BadValues   []BadValue // values of rows that could not be read, rows ascending
	Passed      []int64    // offsets of [First, Next) that no sink of the stream selects, which is known from their type; ascending
	Empty       int        // offsets of [First, Next) that hold no record (compacted, control, aborted)
}

// Bad is one record that cannot be written, and why. Reason names field and
// cause and never holds the value.
type Bad struct {
	Offset int64
	Reason string
	// Outside: judged by something other than the record's bytes and the plan
	// (a schema id that the registry does not know). Such a record is listed in
	// the cut's dead set; the others are judged alike on every repeat.
	Outside bool
}

// BadValue is one value of a row that could not be read: it is null in its
// column, and the record is bad for whoever looks at it there, and for nobody
// else. So what a sink gets does not depend on what others want.
type BadValue struct {
	Row    int
	Column int
	Reason string // path and cause, never the value
}

// NewChunk makes an empty chunk of a schema.
func NewChunk(s *Schema) *Chunk {
	c := &Chunk{Schema: s, Columns: make([]Column, len(s.Fields))}
	for i := range s.Fields {
		c.Columns[i].Init(s.Fields[i].Type)
	}
	return c
}

// Rows is the number of rows.
func (c *Chunk) Rows() int { return len(c.Offsets) }

// Reset empties the chunk and keeps its memory.
func (c *Chunk) Reset() {
	for i := range c.Columns {
		c.Columns[i].Settle()
		c.Columns[i].Reset()
	}
	clear(c.Bad)
	clear(c.BadValues)
	c.Partition, c.First, c.Next, c.Empty = 0, 0, 0, 0
	c.Passed = c.Passed[:0]
	c.Offsets, c.Times, c.Bad, c.BadValues = c.Offsets[:0], c.Times[:0], c.Bad[:0], c.BadValues[:0]
}

// SetRow makes the chunk a copy of one row of another one of its schema.
func (c *Chunk) SetRow(from *Chunk, row int) {
	c.Reset()
	at := from.Offsets[row]
	c.Partition, c.First, c.Next = from.Partition, at, at+1
	c.Offsets, c.Times = append(c.Offsets, at), append(c.Times, from.Times[row])
	for i := range c.Columns {
		c.Columns[i].AppendFrom(&from.Columns[i], row)
	}
}

// Truncate drops all rows from n on, in every column, and what a half-decoded
// row has left behind.
func (c *Chunk) Truncate(n int) {
	for i := range c.Columns {
		c.Columns[i].Settle()
		c.Columns[i].Truncate(n)
	}
	for k := len(c.BadValues); k > 0 && c.BadValues[k-1].Row >= n; k-- {
		c.BadValues[k-1] = BadValue{}
		c.BadValues = c.BadValues[:k-1]
	}
	if n < len(c.Offsets) {
		c.Offsets, c.Times = c.Offsets[:n], c.Times[:n]
	}
}

// Size is the number of bytes that the rows, the bad records and the bad
// values take.
func (c *Chunk) Size() int64 {
	n := int64(len(c.Offsets)+len(c.Times)+len(c.Passed)) * 8
	for _, b := range c.Bad {
		n += 32 + int64(len(b.Reason))
	}
	// Reasons of values are shared between rows.
	n += 32 * int64(len(c.BadValues))
	for i := range c.Columns {
		n += c.Columns[i].Size()
	}
	return n
}
