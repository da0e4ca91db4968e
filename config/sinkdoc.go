package config

import (
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sluicekit/sluice/core/sink"
)

// rawSink is a sink's document without its type key.
type rawSink struct {
	Name      string        `yaml:"sink"`
	From      string        `yaml:"from"`
	Where     string        `yaml:"where"`
	Fields    fields        `yaml:"fields"`
	Aggregate *rawAggregate `yaml:"aggregate"`
	Delivery  delivery      `yaml:"delivery"`
	settings  `yaml:",inline"`
}

type rawAggregate struct {
	By      []string `yaml:"by,one"`
	Columns columns  `yaml:"columns"`
}

// sinkDoc is a sink with what only the loader needs.
type sinkDoc struct {
	Sink
	settings settings
	decoder  *decoder
	doc      *yaml.Node
	typeAt   pair
	broken   bool // there are mistakes where its expressions are
}

// fields is `all`, or names with expressions in their order.
type fields struct {
	all  bool
	list []Field
}

func (f *fields) decode(d *decoder, n *yaml.Node, path string) {
	if n.Kind == yaml.ScalarNode && n.Value == "all" {
		d.file.public[n] = true
		f.all = true
		return
	}
	if n.Kind != yaml.MappingNode {
		d.wrongShape(n, path, "all, or a mapping of names to expressions")
		return
	}
	pairs, _ := d.pairs(n, path)
	if len(pairs) == 0 {
		d.fail(n, path, "has no entries", "write fields: all to keep everything")
	}
	for _, p := range pairs {
		at := join(path, p.key.Value)
		field := Field{Name: p.key.Value}
		d.columnName(p.key, at)
		if p.value.Kind == yaml.MappingNode {
			var raw struct {
				From string `yaml:"from"`
				As   string `yaml:"as"`
			}
			d.into(p.value, at, &raw)
			if raw.From == "" {
				d.missing(p, at, "from", "the expression that the field takes")
			}
			field.Expr, field.As = raw.From, raw.As
		} else if t, ok := d.text(p.value, at, "an expression, or {from: …, as: …}"); ok {
			field.Expr = t.value
		}
		f.list = append(f.list, field)
	}
}

// columns are names with aggregate functions in their order.
type columns []Column

func (c *columns) decode(d *decoder, n *yaml.Node, path string) {
	pairs, ok := d.pairs(n, path)
	if ok && len(pairs) == 0 {
		d.fail(n, path, "has no entries", "")
	}
	for _, p := range pairs {
		at := join(path, p.key.Value)
		d.columnName(p.key, at)
		if t, ok := d.text(p.value, at, "an aggregate such as sum(amount)"); ok {
			*c = append(*c, Column{p.key.Value, t.value})
		}
	}
}

// columnName checks the name of a column: what every destination takes without
// quoting, and what a path in a message can hold.
func (d *decoder) columnName(k *yaml.Node, path string) {
	if !consistsOf(k.Value, letters+"0123456789_", 127) || k.Value[0] >= '0' && k.Value[0] <= '9' {
		d.fail(k, path, "a field's name has up to 127 characters of A-Z, a-z, 0-9 and _, the first no digit", "")
	}
}

// sinkDocument decodes one sink and checks what it says by itself.
func (l *loader) sinkDocument(d *decoder, doc *yaml.Node) {
	s := &sinkDoc{decoder: d, doc: doc}
	raw := rawSink{}
	var types []pair
	d.structure(doc, "", addressable(&raw), func(p pair) (bool, []string) {
		if l.spec(p.key.Value) == nil {
			return false, l.types()
		}
		types = append(types, p)
		return true, nil
	})
	d.checkSettings(doc, "", &raw.settings)
	whole := pairAt(doc, "sink")
	if !d.isBlamed("sink") && !consistsOf(raw.Name, "abcdefghijklmnopqrstuvwxyz0123456789_", 64) {
		d.failAt(doc, "", "sink", "a sink's name has up to 64 characters of a-z, 0-9 and _", "")
	}
	if raw.From == "" {
		d.missing(whole, "", "from", "the stream that the sink reads")
	}
	if !raw.Fields.all && raw.Fields.list == nil {
		d.missing(whole, "", "fields", "write fields: all to keep everything")
	}
	s.Sink = Sink{
		Name: raw.Name, File: d.file.name, From: raw.From, Where: raw.Where,
		All: raw.Fields.all, Fields: raw.Fields.list,
	}
	s.settings = raw.settings
	if a := raw.Aggregate; a != nil {
		s.Aggregate = &Aggregate{By: a.By, Columns: a.Columns}
		in := pairAt(doc, "aggregate")
		if len(a.By) == 0 {
			d.missing(in, "aggregate", "by", "the fields whose values make a group")
		}
		if len(a.Columns) == 0 {
			d.missing(in, "aggregate", "columns", "")
		}
	}
	l.sinkType(s, types, raw.Delivery)
	s.broken = slices.ContainsFunc(d.problems, func(p Problem) bool { return startsWith(p.Path, "from", "where", "fields", "aggregate") })
	l.sinks = append(l.sinks, s)
}

// sinkType decodes the body of the type key.
func (l *loader) sinkType(s *sinkDoc, types []pair, weaker delivery) {
	d := s.decoder
	if len(types) == 0 {
		if !slices.ContainsFunc(l.types(), d.isBlamed) {
			d.fail(pairAt(s.doc, "sink").key, "", "the sink does not say where it writes to", "add one of "+strings.Join(l.types(), ":, ")+":")
		}
		return
	}
	for _, t := range types[1:] {
		d.fail(t.key, t.key.Value, "a sink has one destination, and this one has "+types[0].key.Value+" already", "write a second sink")
	}
	s.typeAt = types[0]
	s.Spec = *l.spec(types[0].key.Value)
	s.Delivery = s.Spec.Delivery
	if weaker != "" {
		s.Delivery = sink.AtLeastOnce
	}
	if s.Aggregate != nil && !s.Spec.Grouped {
		d.fail(pairAt(s.doc, "aggregate").key, "aggregate", s.Spec.Type+" does not take the rows of an aggregate", "")
	}
	s.Options = s.Spec.Options()
	body, path := types[0].value, s.Spec.Type
	if isNull(body) { // `stdout:` says all there is to say
		body = &yaml.Node{Kind: yaml.MappingNode, Line: types[0].key.Line, Column: types[0].key.Column}
	}
	var names struct {
		Connection []string `yaml:"connection,one"`
	}
	d.structure(body, path, addressable(s.Options), func(p pair) (bool, []string) {
		if s.Spec.Connection == nil || p.key.Value != "connection" {
			return false, connectionName(s.Spec)
		}
		d.value(oneOrMore(p.value), path+".connection", addressable(&names.Connection))
		return true, nil
	})
	d.validate(body, types[0].key, path, s.Options)
	s.Targets = []Target{{Connection: s.Spec.Type}}
	if s.Spec.Connection != nil {
		s.Targets = nil
		for _, name := range names.Connection {
			s.Targets = append(s.Targets, Target{Connection: name})
		}
		if len(names.Connection) == 0 {
			d.missing(types[0], path, "connection", "the name of one of connections:, or a list of names")
		}
	}
}

// connectionName is what a sink's body may hold besides its options.
func connectionName(s sink.Spec) []string {
	if s.Connection == nil {
		return nil
	}
	return []string{"connection"}
}

// connection decodes connections.NAME.
func (l *loader) connection(d *decoder, e pair, path string) {
	at := place{d.file, e.key, path, nil}
	if l.twice(d, l.connections[e.key.Value], at) {
		return
	}
	if l.connections == nil {
		l.connections = map[string]place{}
	}
	l.connections[e.key.Value] = at
	pairs, ok := d.pairs(e.value, path)
	if ok && len(pairs) != 1 {
		d.fail(e.key, path, "must have one entry: the type with its options", "such as "+e.key.Value+": {mariadb: {address: […]}}")
	}
	if len(pairs) != 1 {
		return
	}
	p := pairs[0]
	path = join(path, p.key.Value)
	spec := l.spec(p.key.Value)
	switch {
	case spec == nil:
		d.fail(p.key, path, "unknown type of connection", didYouMean(p.key.Value, l.types()))
		return
	case spec.Connection == nil:
		d.fail(p.key, path, spec.Type+" needs no connection", "say its options in the sink")
		return
	}
	c := Connection{Name: e.key.Value, Type: spec.Type, Options: spec.Connection()}
	d.into(p.value, path, c.Options)
	d.validate(p.value, p.key, path, c.Options)
	l.config.Connections = append(l.config.Connections, c)
}

// validate asks the options themselves, and finds the places of what they say.
// What follows from a mistake that was reported already is left out.
func (d *decoder) validate(body, key *yaml.Node, path string, o sink.Options) {
	for _, err := range flatten(o.Validate()) {
		var f *sink.FieldError
		if !errors.As(err, &f) {
			if len(d.problems) == 0 {
				d.fail(key, path, err.Error(), "")
			}
			continue
		}
		if d.blamedBelow(join(path, f.Path)) || d.isBlamed(path) {
			continue
		}
		at := nearest(body, f.Path)
		if at == body {
			at = key
		}
		d.fail(at, join(path, f.Path), f.Message, "")
	}
}

// blamedBelow says whether an option, one above or one below it was blamed.
func (d *decoder) blamedBelow(path string) bool {
	for b := range d.blamed {
		if startsWith(b, path) {
			return true
		}
	}
	return false
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range many.Unwrap() {
			out = append(out, flatten(e)...)
		}
		return out
	}
	return []error{err}
}

func (l *loader) spec(name string) *sink.Spec {
	for i := range l.specs {
		if l.specs[i].Type == name {
			return &l.specs[i]
		}
	}
	return nil
}

// types lists the types of sinks that the program knows.
func (l *loader) types() []string {
	out := make([]string, len(l.specs))
	for i, s := range l.specs {
		out[i] = s.Type
	}
	slices.Sort(out)
	return out
}
