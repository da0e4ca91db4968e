package clickhouse

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/clickhouse/native"
)

// block is the columns of an INSERT, and which field fills which.
type block struct {
	columns []*native.Column // as the INSERT has them
	fields  []*native.Column // per field of the schema; nil: it is ignored

	constants         []constant // filled when the batch ends
	partition, offset *native.Column
	partitions        record.Column // scratch
	offsets           record.Column
	identified        bool // rows can be found again by their provenance

	// nested are fields whose lists must be of equal length in each row: the
	// server takes arrays named a.b and a.c for one Nested, and refuses all rows
	// of a block for one that differs.
	nested []pair
}

// pair is two fields, by their places in the schema.
type pair struct{ first, other int }

// constant is a column with one value in all rows of a batch.
type constant struct {
	column *native.Column
	of     string // which one: sink, incarnation, topic or cut
}

// provenanceColumn is one of the columns that say where a row comes from.
type provenanceColumn struct {
	of, name string
	create   string // its type
}

// names are those of all columns that say where rows come from.
func (p *Provenance) names() []string {
	return []string{p.Sink, p.Incarnation, p.Topic, p.Partition, p.Offset, p.Cut}
}

// holders are the types that hold every partition, or every offset. In a smaller
// one rows would be refused one day, when there are so many.
func (p provenanceColumn) holders() []string {
	if p.of == "partition" {
		return []string{"Int32", "UInt16", "UInt32", "Int64", "UInt64"}
	}
	return []string{"Int64", "UInt64"}
}

// provenance lists the columns that the sink wants.
func (s *clickHouse) provenance(t *table) []provenanceColumn {
	p := s.options.Provenance
	if p.Off {
		return nil
	}
	const short = "LowCardinality(String)"
	all := []provenanceColumn{{"sink", p.Sink, short}, {"incarnation", p.Incarnation, short}, {"topic", p.Topic, short}}
	if s.config.Keys != nil {
		return append(all, provenanceColumn{"cut", p.Cut, "String"})
	}
	return append(all, provenanceColumn{"partition", p.Partition, "Int32"}, provenanceColumn{"offset", p.Offset, "Int64 CODEC(Delta, ZSTD)"})
}

// bind matches fields and columns. The error names all that does not fit.
func (s *clickHouse) bind(t *table) (*block, error) {
	b := &block{fields: make([]*native.Column, len(s.config.Schema.Fields))}
	var errs []error
	filled := map[string]bool{}
	for i := range s.config.Schema.Fields {
		if err := s.bindField(t, b, i, filled); err != nil {
			errs = append(errs, err)
		}
	}
	b.nested = nestedPairs(t, s.config.Schema)
	if err := bindTuples(t, b, filled); err != nil {
		errs = append(errs, err)
	}
	if err := s.bindProvenance(t, b, filled); err != nil {
		errs = append(errs, err)
	}
	for _, name := range s.options.Provenance.names() {
		filled[name] = true // of other sinks that write to the table: in the rows of this one they are empty
	}
	for i := range t.columns {
		if c := &t.columns[i]; !filled[c.name] {
			errs = append(errs, t.unfilled(c, filled))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, sink.Permanent(fmt.Errorf("table %s does not fit: %w", t.path(), err))
	}
	return b, nil
}

func (s *clickHouse) bindField(t *table, b *block, i int, filled map[string]bool) error {
	f := s.config.Schema.Fields[i]
	c := t.column(f.Name)
	if c == nil {
		if of := t.tupleOf(f.Name); of != nil {
			elem, err := tupleElement(of, f, s.options.NullAsDefault)
			b.fields[i] = elem
			return err
		}
		if s.options.OnNewField == onNewIgnore {
			return nil
		}
		return fmt.Errorf("field %s has no column%s; add it, leave out the field, or say on_new_field: add_column or ignore", f.Name, t.suggest(f.Name))
	}
	filled[c.name] = true // or it would be said of it besides that it has no field
	if c.defaults == "MATERIALIZED" || c.defaults == "ALIAS" {
		return fmt.Errorf("column %s is %s: the server computes it, and field %s cannot be written to it", c.name, c.defaults, f.Name)
	}
	if c.typErr != nil {
		return fmt.Errorf("column %s: %w", c.name, c.typErr)
	}
	col, err := native.NewColumn(c.name, c.typ, f.Type, s.options.NullAsDefault)
	if err != nil {
		return fmt.Errorf("field %s: %w", f.Name, err)
	}
	b.fields[i] = col
	b.columns = append(b.columns, col)
	return nil
}

// nestedPairs finds the fields of columns that the server takes for one Nested.
func nestedPairs(t *table, schema *record.Schema) (pairs []pair) {
	first := map[string]int{}
	for i, f := range schema.Fields {
		name, _, dotted := strings.Cut(f.Name, ".")
		if c := t.column(f.Name); !dotted || c == nil || c.typ.Name != "Array" || f.Type.Kind != record.List {
			continue
		}
		if k, ok := first[name]; ok {
			pairs = append(pairs, pair{k, i})
		} else {
			first[name] = i
		}
	}
	return pairs
}

// even complains about rows whose lists are of different length.
func (p pair) even(rows *record.Chunk, bad *native.Complaints) {
	a, b := &rows.Columns[p.first], &rows.Columns[p.other]
	for i := range rows.Rows() {
		if a.Offsets[i+1]-a.Offsets[i] != b.Offsets[i+1]-b.Offsets[i] {
			bad.List = append(bad.List, native.Complaint{Row: i, Reason: "column " + rows.Schema.Fields[p.other].Name + " of type Array: it has not as many elements as " +
				rows.Schema.Fields[p.first].Name + ", and the server takes both for one Nested"})
		}
	}
}

// tupleOf is the column of type Tuple that a.b is an element of.
func (t *table) tupleOf(field string) *tableColumn {
	name, _, ok := strings.Cut(field, ".")
	if !ok {
		return nil
	}
	if c := t.column(name); c != nil && c.typ.Name == "Tuple" {
		return c
	}
	return nil
}

func tupleElement(c *tableColumn, f record.Field, nulls bool) (*native.Column, error) {
	_, name, _ := strings.Cut(f.Name, ".")
	for i, n := range c.typ.Names {
		if n == name {
			col, err := native.NewColumn(f.Name, c.typ.Args[i], f.Type, nulls)
			if err != nil {
				return nil, fmt.Errorf("field %s: %w", f.Name, err)
			}
			return col, nil
		}
	}
	return nil, fmt.Errorf("field %s: column %s of type %s has no element %s", f.Name, c.name, c.text, name)
}

// bindTuples puts elements together that were bound one by one.
func bindTuples(t *table, b *block, filled map[string]bool) error {
	for i := range t.columns {
		c := &t.columns[i]
		if c.typ.Name != "Tuple" || filled[c.name] {
			continue
		}
		elems := make([]*native.Column, len(c.typ.Args))
		missing := ""
		some := false
		for k, name := range c.typ.Names {
			for _, f := range b.fields {
				if f != nil && f.Name == c.name+"."+name {
					elems[k], some = f, true
				}
			}
			if elems[k] == nil {
				missing = name
			}
		}
		switch {
		case !some:
		case missing != "":
			filled[c.name] = true
			return fmt.Errorf("column %s of type %s: its element %s has no field %s.%s", c.name, c.text, missing, c.name, missing)
		default:
			filled[c.name] = true
			b.columns = append(b.columns, native.NewTuple(c.name, c.typ, elems))
		}
	}
	return nil
}

// bindProvenance adds the columns that say where rows come from.
func (s *clickHouse) bindProvenance(t *table, b *block, filled map[string]bool) error {
	want := s.provenance(t)
	var missing, fix []string
	for _, p := range want {
		if t.column(p.name) == nil {
			missing, fix = append(missing, p.name), append(fix, "ADD COLUMN "+quote(p.name)+" "+p.create)
		}
	}
	switch {
	case len(want) == 0 || t.merging() && len(missing) > 0:
		return nil
	case len(missing) > 0:
		return fmt.Errorf("it lacks %s, by which a batch is found again that the table may have forgotten; mend it with: ALTER TABLE %s %s; or do without, see provenance",
			strings.Join(missing, ", "), t.path(), strings.Join(fix, ", "))
	}
	var errs []error
	for _, p := range want {
		if filled[p.name] {
			errs = append(errs, fmt.Errorf("field %s has the name of a provenance column; give either another name, see provenance.%s", p.name, p.of))
			continue
		}
		if err := b.bindOne(t.column(p.name), p); err != nil {
			errs = append(errs, err)
		}
		filled[p.name] = true
	}
	b.identified = !t.merging()
	return errors.Join(errs...)
}

func (b *block) bindOne(c *tableColumn, p provenanceColumn) error {
	if c.typErr != nil {
		return fmt.Errorf("column %s: %w", c.name, c.typErr)
	}
	switch c.defaults {
	case "MATERIALIZED", "ALIAS", "EPHEMERAL":
		return fmt.Errorf("column %s is %s, and must be one that is stored as the sink writes it, see provenance.%s", c.name, c.defaults, p.of)
	}
	kind := record.String
	if p.of == "partition" || p.of == "offset" {
		kind = record.Int
	}
	col, err := native.NewColumn(c.name, c.typ, record.Type{Kind: kind}, false)
	if of, _ := c.typ.Nullable(); err == nil && kind == record.Int && !slices.Contains(p.holders(), of.Name) {
		err = fmt.Errorf("column %s is of type %s, which does not hold every %s; want %s", c.name, c.text, p.of, p.holders()[0])
	}
	if err == nil && kind == record.String && !col.Repeats() {
		err = fmt.Errorf("column %s is of type %s, want String or LowCardinality(String)", c.name, c.text)
	}
	if err != nil {
		return err
	}
	b.columns = append(b.columns, col)
	switch p.of {
	case "partition":
		b.partition = col
	case "offset":
		b.offset = col
	default:
		b.constants = append(b.constants, constant{col, p.of})
	}
	return nil
}

// names lists the columns as the INSERT has them.
func (b *block) names() []string {
	all := make([]string, len(b.columns))
	for i, c := range b.columns {
		all[i] = c.Name
	}
	return all
}

// size is how many bytes the rows take.
func (b *block) size() (n int64) {
	for _, c := range b.columns {
		n += c.Size()
	}
	return n
}

// reset empties all columns and keeps their memory.
func (b *block) reset() {
	for _, c := range b.columns {
		c.Reset()
	}
}

// fits says whether the INSERT that the server has opened expects these columns.
func (b *block) fits(header []native.Header) error {
	types := make(map[string]string, len(header))
	for _, h := range header {
		types[h.Name] = h.Type
	}
	for _, c := range b.columns {
		if got, ok := types[c.Name]; !ok || got != c.Type.Text {
			return fmt.Errorf("the table was altered: column %s is of type %s now, and was of type %s", c.Name, got, c.Type.Text)
		}
	}
	return nil
}
