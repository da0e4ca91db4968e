package decode

import (
	"fmt"
	"slices"

	"github.com/sluicekit/sluice/core/record"
)

// layout numbers the columns of a decoder: the wants, then the columns nested
// in them. The values of a map have the number before that of its keys.
type layout struct {
	types []record.Type
	elems []int32 // per want: the number of its elements' column, 0 if none
}

func newLayout(wants []record.Want) layout {
	l := layout{elems: make([]int32, len(wants))}
	for _, w := range wants {
		l.types = append(l.types, w.Type)
	}
	for i, w := range wants {
		if w.Type.Kind != record.List && w.Type.Kind != record.Map {
			continue
		}
		l.elems[i] = int32(len(l.types))
		l.types = append(l.types, *w.Type.Elem)
		if w.Type.Kind == record.Map {
			l.types = append(l.types, record.Type{Kind: record.String})
		}
	}
	return l
}

// compiler turns a writer's schema, the reader's and the wants into a program.
// Code for branches that are taken less often, and bodies that are called, go
// behind the main line: later.
type compiler struct {
	*program
	layout   layout
	show     func(record.Path) string
	newText  func(*tree) *extractor
	label    string // the field being compiled
	depth    int    // of arrays, maps and records around it
	barrier  int    // a step before it is not merged with one behind it
	stop     bool   // a prefilter's: the wanted value may decide
	nested   bool   // compiling what another step runs
	later    []func()
	limit    int               // of depth
	size     int               // steps, and bodies to come
	defaults map[*field][]byte // encoded; nil: it does not fit
}

// What a program may be. Names let a short schema have any number of ways to what
// is wanted: through a union of records that have unions of all of them, there are
// as many as the power of the path's length says.
const (
	maxSteps    = 1 << 20 // and bodies behind the main line
	inlineSteps = 1 << 14 // of a program that is to be fast: behind them, what is skipped is walked
)

func (c *compiler) compile(w, r *node, t *tree) *program {
	c.program, c.defaults = &program{}, map[*field][]byte{}
	c.value(w, r, t)
	c.emit(op{code: opEnd})
	for len(c.later) > 0 && c.size <= maxSteps {
		next := c.later[0]
		c.later = c.later[1:]
		next()
	}
	c.large = c.size > maxSteps
	return c.program
}

func (c *compiler) emit(o op) int {
	if c.size++; c.size > maxSteps && len(c.ops) > 0 {
		return len(c.ops) - 1 // nobody runs it
	}
	c.ops = append(c.ops, o)
	c.sites = append(c.sites, site{field: c.label})
	return len(c.ops) - 1
}

// bind makes the next step a target of jumps.
func (c *compiler) bind() int32 {
	c.barrier = len(c.ops)
	return int32(c.barrier)
}

// behind compiles body behind the main line, and tells where it starts.
func (c *compiler) behind(body func(), at func(pc int32)) {
	if c.size++; c.size > maxSteps {
		return
	}
	label, depth, nested := c.label, c.depth, c.nested
	c.later = append(c.later, func() {
		c.label, c.depth, c.nested = label, depth, nested
		at(c.bind())
		body()
	})
}

// value compiles one value of the writer's type w for everything that t wants
// of it. r is what the reader's schema has in its place, nil if nothing.
func (c *compiler) value(w, r *node, t *tree) {
	if w.kind == avroUnion {
		c.union(w, func(b *node) { c.value(b, r, t) }, func(b *node) { c.branch(b, r, t) })
		return
	}
	c.consume(w, counterpart(w, r), t, false)
}

// branch is value for a branch of a union, where other branches than the
// expected ones are no mistake.
func (c *compiler) branch(w, r *node, t *tree) { c.consume(w, counterpart(w, r), t, true) }

func (c *compiler) consume(w, r *node, t *tree, inUnion bool) {
	if c.stop && len(t.cols) > 0 && !c.nested {
		defer c.emit(op{code: opStop})
	}
	switch {
	case w.kind == avroNull:
		c.nulls(t)
		return
	case len(t.cols) == 0 && !t.deep():
		c.skip(w)
		return
	case t.text && (w.kind == avroString || w.kind == avroBytes):
		c.texts = append(c.texts, c.newText(t))
		at := c.emit(op{code: opText, ref: int32(len(c.texts) - 1)})
		c.sites[at].cols = t.columns()
		return
	}
	readers := len(t.cols)
	if t.deep() {
		readers++
	}
	mark := int32(c.marks)
	if readers > 1 {
		c.marks++
		c.emit(op{code: opMark, ref: mark})
	}
	for i, col := range t.cols {
		if i > 0 {
			c.emit(op{code: opReturn, ref: mark})
		}
		c.leaf(w, r, int32(col))
	}
	if t.deep() {
		if len(t.cols) > 0 {
			c.emit(op{code: opReturn, ref: mark})
		}
		c.inside(w, r, t, inUnion)
	}
}

// inside compiles a value of which parts are wanted.
func (c *compiler) inside(w, r *node, t *tree, inUnion bool) {
	switch {
	case w.kind == avroRecord:
		c.record(w, r, t)
	case w.kind == avroArray && len(t.items) > 0, w.kind == avroMap && len(t.kids) > 0:
		c.pick(w, r, t)
	case inUnion:
		c.skip(w)
		c.below(t)
	default:
		why := fmt.Sprintf("written as %s, which has no parts", w.kind)
		for _, kid := range append(t.kids[:len(t.kids):len(t.kids)], t.items...) {
			c.mismatch(why, kid.columns())
		}
		c.skip(w)
	}
}

// nest emits a check where a value that nests others lies too deep. It is
// where walk has it, so that a record is as deep whatever is wanted of it.
func (c *compiler) nest(w *node) {
	if w.container() && w.fixed < 0 && c.depth >= c.limit {
		c.emit(op{code: opDeep})
	}
}

func (c *compiler) record(w, r *node, t *tree) {
	c.nest(w)
	label := c.label
	c.depth++
	taken := make([]bool, len(t.kids))
	wanted := t.match(w, r)
	for i := range w.fields {
		f := &w.fields[i]
		k, ok := wanted[f.name]
		if !ok {
			c.label = join(label, f.name)
			c.skip(f.typ)
			continue
		}
		taken[k] = true
		c.label = c.show(t.kids[k].path)
		c.value(f.typ, r.typeOf(t.names[k]), t.kids[k])
	}
	for k, kid := range t.kids {
		if !taken[k] {
			c.label = c.show(kid.path)
			c.missing(kid, r, t.names[k])
		}
	}
	for _, kid := range t.items {
		c.nulls(kid)
	}
	c.depth--
	c.label = label
}

// match finds the wanted children that the writer's fields are, by the names of
// those. A field is one child at most and a child one field, and neither may
// depend on what else is wanted.
func (t *tree) match(w, r *node) map[string]int {
	fields := sources(w, r)
	used, wanted := map[string]bool{}, map[string]int{}
	for _, from := range fields {
		used[from] = true
	}
	for k, name := range t.names {
		from, ok := fields[name]
		if !ok && !used[name] { // a name that the reader's schema does not have
			from = name
		}
		if from != "" {
			wanted[from] = k
		}
	}
	return wanted
}

// sources tells, for each field of the reader's, which of the writer's it is: that
// of its name, or else of the first of its aliases that is no other's; "" if the
// writer has none.
func sources(w, r *node) map[string]string {
	from := map[string]string{}
	if r == nil {
		return from
	}
	free := map[string]bool{}
	for i := range w.fields {
		free[w.fields[i].name] = true
	}
	for i := range r.fields {
		name := r.fields[i].name
		from[name] = ""
		if free[name] {
			from[name], free[name] = name, false
		}
	}
	for i := range r.fields {
		f := &r.fields[i]
		for _, a := range f.aliases {
			if from[f.name] == "" && free[a] {
				from[f.name], free[a] = a, false
			}
		}
	}
	return from
}

// missing compiles a field that the writer did not write.
func (c *compiler) missing(t *tree, r *node, name string) {
	var f *field
	if r != nil {
		f = r.field(name)
	}
	if f == nil || !f.hasDef {
		c.nulls(t)
		return
	}
	data, have := c.defaults[f]
	if !have {
		var err error
		if data, err = encodeDefault(f); err != nil {
			data = nil
		} else if data == nil {
			data = []byte{}
		}
		c.defaults[f] = data
	}
	if data == nil {
		c.mismatch("the default of the reader's schema does not fit its type", t.columns())
		return
	}
	c.consts = append(c.consts, data)
	at := c.emit(op{code: opConst, ref: int32(len(c.consts) - 1)})
	c.sites[at].cols = t.columns()
	c.behind(func() {
		c.nested = true
		c.value(f.typ, f.typ, t)
		c.emit(op{code: opEnd})
	}, func(pc int32) { c.ops[at].n = pc })
}

func (c *compiler) pick(w, r *node, t *tree) {
	var items *node
	if r != nil && r.kind == w.kind {
		items = r.items
	}
	p := pick{node: w, depth: c.depth}
	ref := len(c.picks)
	add := func(e entry, kid *tree) {
		i := len(p.entries)
		p.entries = append(p.entries, e)
		label := c.label
		c.label = c.show(kid.path)
		c.behind(func() { c.nested = true; c.value(w.items, items, kid); c.emit(op{code: opEnd}) }, func(pc int32) { c.picks[ref].entries[i].found = pc })
		c.behind(func() { c.nulls(kid); c.emit(op{code: opEnd}) }, func(pc int32) { c.picks[ref].entries[i].absent = pc })
		c.label = label
	}
	c.depth++
	if w.kind == avroMap {
		for i, kid := range t.kids {
			add(entry{name: t.names[i]}, kid)
		}
	} else {
		for i, kid := range t.items {
			add(entry{index: t.index[i]}, kid)
		}
	}
	c.depth--
	c.picks = append(c.picks, p)
	c.emit(op{code: opPick, ref: int32(ref)})
	if w.kind == avroMap {
		for _, kid := range t.items {
			c.nulls(kid)
		}
		return
	}
	for _, kid := range t.kids {
		c.nulls(kid)
	}
}

// nulls appends a null to every column of a subtree.
func (c *compiler) nulls(t *tree) {
	for _, col := range t.columns() {
		c.emit(op{code: opNull, col: int32(col)})
	}
}

// below is nulls without the columns of the value itself.
func (c *compiler) below(t *tree) {
	for _, k := range t.kids {
		c.nulls(k)
	}
	for _, k := range t.items {
		c.nulls(k)
	}
}

// union compiles the choice of a branch: one for every branch but null, which
// in the common union with null stays on the main line.
func (c *compiler) union(w *node, null, one func(b *node)) {
	body := func(b *node) {
		if b.kind == avroNull {
			null(b)
		} else {
			one(b)
		}
	}
	if len(w.branches) == 2 && (w.branches[0].kind == avroNull) != (w.branches[1].kind == avroNull) {
		none := 0
		if w.branches[1].kind == avroNull {
			none = 1
		}
		at := c.emit(op{code: opNullable, ref: int32(none)})
		body(w.branches[1-none])
		end := c.bind()
		c.aside(func() { body(w.branches[none]) }, end, func(pc int32) { c.ops[at].n = pc })
		return
	}
	table := make([]int32, len(w.branches))
	c.tables = append(c.tables, table)
	c.emit(op{code: opUnion, ref: int32(len(c.tables) - 1)})
	end := c.bind()
	for i, b := range w.branches {
		c.aside(func() { body(b) }, end, func(pc int32) { table[i] = pc })
	}
}

// aside compiles a body behind the main line that goes on at end. Where it has
// no steps, the way leads to end at once.
func (c *compiler) aside(body func(), end int32, at func(pc int32)) {
	var start int32
	c.behind(func() {
		body()
		if int(start) == len(c.ops) {
			at(end)
			return
		}
		at(start)
		c.emit(op{code: opJump, n: end})
	}, func(pc int32) { start = pc })
}

// mismatch compiles a value that cannot become what columns want of it. Its
// bytes are still to be walked over.
func (c *compiler) mismatch(why string, cols []int) {
	c.notes = append(c.notes, why)
	for _, col := range cols {
		c.emit(op{code: opMismatch, col: int32(col), ref: int32(len(c.notes) - 1)})
	}
}

func (c *compiler) node(n *node) int32 {
	c.nodes = append(c.nodes, n)
	return int32(len(c.nodes) - 1)
}

// inlineWeight is up to how many steps a skipped value is taken apart in the
// program; a larger one is walked by its schema.
const inlineWeight = 64

func (c *compiler) skip(w *node) {
	switch {
	case w.fixed >= 0:
		c.merge(opSkip, w.fixed)
	case w.kind == avroInt || w.kind == avroLong || w.kind == avroEnum:
		c.merge(opSkipInts, 1)
	case w.kind == avroString || w.kind == avroBytes:
		c.merge(opSkipTexts, 1)
	case w.weight > inlineWeight || len(c.ops) > inlineSteps || w.kind == avroArray || w.kind == avroMap:
		c.emit(op{code: opSkipNode, ref: c.node(w), n: int32(c.depth)})
	case w.kind == avroUnion:
		c.union(w, c.skip, c.skip)
	default:
		c.nest(w)
		c.depth++
		for i := range w.fields {
			c.skip(w.fields[i].typ)
		}
		c.depth--
	}
}

// merge adds to the step before if that is of the same kind and not one that
// ends a branch.
func (c *compiler) merge(code opcode, n int) {
	if n == 0 {
		return
	}
	if last := len(c.ops) - 1; last >= c.barrier && c.ops[last].code == code && int(c.ops[last].n)+n < maxFixed {
		c.ops[last].n += int32(n)
		return
	}
	c.emit(op{code: code, n: int32(n)})
}

// counterpart is the type of the reader's schema that a writer's type, not a
// union, is resolved against.
func counterpart(w, r *node) *node {
	if r == nil || r.kind != avroUnion {
		return r
	}
	named := w.name != ""
	for _, b := range r.branches {
		if b.kind == w.kind && (!named || b.name == w.name) {
			return b
		}
	}
	for _, b := range r.branches {
		if b.kind == w.kind && named && (slices.Contains(b.aliases, w.name) || shortName(b.name) == shortName(w.name)) {
			return b
		}
	}
	// One branch beside null is meant, whatever it is called.
	return r.only()
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
