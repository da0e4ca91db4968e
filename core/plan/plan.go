package plan

import "github.com/sluicekit/sluice/core/record"

// Spec is what one sink asks of a stream, as its YAML says it.
type Spec struct {
	Where     string     // which events; "" takes all
	All       bool       // fields: all; Fields, if any, come after them
	Fields    []Field    // in the order of the columns
	Aggregate *Aggregate // nil: every selected event is a row
}

// Field is one column of a sink: an expression over the event, and the type it
// is brought to.
type Field struct {
	Name string
	Expr string
	As   string // "": as it is; or a type as ParseType reads it
}

// Aggregate groups the rows that the fields make.
type Aggregate struct {
	By      []string // names of fields; a row in which one of them is null is bad
	Columns []Column
}

// Column is one aggregated column: sum(x), count(), count(x), min(x), max(x)
// or last(x, by), whose arguments are names of fields.
type Column struct {
	Name string
	Expr string
}

// Problem is one mistake in a Spec.
type Problem struct {
	Part    string // where, fields.NAME, fields.NAME.as, aggregate.by[I] or aggregate.columns.NAME; fields or aggregate for the whole
	Offset  int    // byte in that text
	Message string
	Hint    string // "did you mean payload.price?", or what to write; may be empty
}

// Plan is a compiled Spec. It does not change, and any number of goroutines
// may use it.
type Plan struct {
	wants []record.Want
}

// Compile checks a Spec against the events of a stream. It reports all
// problems at once, in the order of the Spec; the Plan is nil if there is one.
func Compile(s Spec, e Events) (*Plan, []Problem) {
	return nil, []Problem{{Part: "where", Message: "not implemented"}}
}

// Wants lists the values of an event that the plan reads, each path and type
// once.
func (p *Plan) Wants() []record.Want { return p.wants }

// Schema is the rows as the sink gets them: the fields, or with an aggregate
// its keys and columns.
func (p *Plan) Schema() *record.Schema { return nil }

// Rows is the schema of what a Projector appends: the fields, grouped or not.
func (p *Plan) Rows() *record.Schema { return nil }

// Keys names the grouping columns, in order; nil without an aggregate.
func (p *Plan) Keys() []string { return nil }

// Grouped says whether the plan has an aggregate.
func (p *Plan) Grouped() bool { return false }

// Fingerprint is a hash over all that decides the rows: equal for texts that
// mean the same, and stable over runs and versions of Go.
func (p *Plan) Fingerprint() [8]byte { return [8]byte{} }

// TypeFilter reports a String path that must be one of values in every event
// that where selects, so that a decoder can stop early at any other. Not ok:
// nothing is known.
func (p *Plan) TypeFilter() (path record.Path, values []string, ok bool) { return nil, nil, false }

// NewProjector makes a projector for chunks whose columns are have, matched by
// path text and type. It is an error if a column that the plan wants is not
// there.
func (p *Plan) NewProjector(have []record.Want) (*Projector, error) { return nil, nil }

// NewGrouper makes an empty grouper; nil without an aggregate.
func (p *Plan) NewGrouper() *Grouper { return nil }

// Projector turns decoded chunks into rows. It keeps scratch memory: one
// goroutine at a time.
type Projector struct{}

// Project appends to dst, a chunk of Rows, the rows of src with an offset in
// [first, next) that are not dead and that where selects. Rows whose where,
// field or cast fails go to dst.Bad. It sets dst.Partition, and widens
// dst.First and dst.Next by the part of [first, next) that src covers, so that
// chunks that follow each other can be appended to one dst. dead may be nil.
// filtered counts the rows that where did not select. src.Bad and src.Empty
// are the caller's.
func (p *Projector) Project(dst, src *record.Chunk, first, next int64, dead func(offset int64) bool) (filtered int, err error) {
	return 0, nil
}

// Grouper gathers rows into groups. One goroutine at a time.
type Grouper struct{}

// Add takes the rows of a chunk that a Projector filled. Chunks of several
// partitions may come in any order, those of one partition by ascending offset.
func (g *Grouper) Add(rows *record.Chunk) error { return nil }

// Size is the bytes that the groups take.
func (g *Grouper) Size() int64 { return 0 }

// Groups is how many there are.
func (g *Grouper) Groups() int { return 0 }

// Emit appends one row per group to dst, a chunk of Schema, sorted by key.
// It fails, naming the column, if a sum does not fit its type; dst is
// unchanged then. The groups stay until Reset.
func (g *Grouper) Emit(dst *record.Chunk) error { return nil }

// Reset drops all groups and keeps their memory.
func (g *Grouper) Reset() {}
