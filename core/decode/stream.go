package decode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

// Formats and framings.
const (
	JSON = "json"
	Avro = "avro"

	// Confluent: a zero byte, the schema's id in four bytes, and the value.
	// Without a registry the id says nothing: every value is the file's schema.
	Confluent = "confluent"
	// Bare: the value alone, of the schema in the file.
	Bare = "bare"
)

// Options say how the events of a stream are written.
type Options struct {
	Format   string // Avro or JSON
	Framing  string // Avro: Confluent (the default) or Bare
	Envelope Envelope
	// Types declares what JSON does not say, by the text of a path as an
	// expression writes it: of a JSON event, or below an Avro payload that is a
	// string or bytes with JSON in it.
	Types    map[string]Declared
	Registry *Registry // nil: Schema is every writer's
	Writers  Writers   // instead of Registry; Schema is the reader's then
	Subject  string    // whose latest version is the reader's schema, without Schema
	Schema   []byte    // Avro: a schema file
	Limits   Limits
	// Grace is how long an unknown schema id may become known, from when the
	// record was written or the id first seen, whichever is earlier, but two
	// seconds from first sight at least: one minute if zero.
	Grace time.Duration
	Clock func() time.Time // time.Now if nil
}

// Writers knows the schemas that values were written with, by the number in front
// of each: those of the files that they are from.
type Writers interface {
	// Schema is called from several goroutines. An error is final: the values of
	// that number are bad.
	Schema(ctx context.Context, id uint32) ([]byte, error)
}

// Envelope says where in the raw event each role lies, as a path. Empty: the
// top-level field of that name, if there is one. None: there is no such role,
// and a field of its name is a field like others.
type Envelope struct {
	ID, Time, Type, Server, Payload string
}

// None is the Envelope's path of a role that a stream does not have.
const None = "-"

// Declared is the type of a JSON value. Unit is that of a timestamp written as
// a number: s, ms, us or ns; empty: only RFC 3339 is taken.
type Declared struct {
	Type record.Type
	Unit string
}

// Stream is what is known of a stream's events. It does not change, and may be
// shared.
type Stream struct {
	options Options
	roles   []role
	types   map[string]Declared // by the text of the raw path
	reader  *node               // Avro
	text    bool                // the payload may be text that holds JSON
	schemas *schemas            // nil without a registry
}

// role is one that the stream has.
type role struct {
	name string
	raw  record.Path
	typ  record.Type // unless the schema or Types say it
}

// Open checks the options and, for Avro with a registry and without Schema,
// asks for the latest schema of the subject.
func Open(ctx context.Context, o Options) (*Stream, error) {
	o.Limits = o.Limits.withDefaults()
	if o.Grace == 0 {
		o.Grace = time.Minute
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	s := &Stream{options: o}
	switch {
	case o.Format == JSON && o.Registry == nil && o.Schema == nil && o.Framing == "":
	case o.Format == JSON:
		return nil, errors.New("a JSON stream has no registry, schema or framing")
	case o.Format != Avro:
		return nil, fmt.Errorf("format %q: avro or json", o.Format)
	default:
		if err := s.openAvro(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.setRoles(); err != nil {
		return nil, err
	}
	return s, s.setTypes()
}

func (s *Stream) openAvro(ctx context.Context) error {
	o := &s.options
	switch o.Framing {
	case "":
		o.Framing = Confluent
	case Confluent:
	case Bare:
		if o.Registry != nil {
			return errors.New("bare framing has no schema ids for a registry")
		}
	default:
		return fmt.Errorf("framing %q: confluent or bare", o.Framing)
	}
	if o.Registry != nil || o.Writers != nil {
		s.schemas = newSchemas(o)
	}
	var err error
	switch {
	case o.Schema != nil:
		s.reader, err = parseSchema(o.Schema)
	case o.Registry == nil:
		err = errors.New("an Avro stream needs a registry or a schema")
	case o.Subject == "":
		err = errors.New("a registry without a schema needs a subject")
	default:
		s.reader, err = s.schemas.latest(ctx, o.Subject)
	}
	return err
}

// setRoles finds where the roles lie.
func (s *Stream) setRoles() error {
	e := &s.options.Envelope
	for _, r := range []struct{ name, path string }{{"id", e.ID}, {"time", e.Time}, {"type", e.Type}, {"server", e.Server}, {"payload", e.Payload}} {
		if r.path == None {
			continue
		}
		raw := record.Path{{Name: r.name}}
		if r.path != "" {
			var err error
			if raw, err = parsePath(r.path); err != nil {
				return fmt.Errorf("envelope %s: %w", r.name, err)
			}
		}
		if s.reader != nil {
			if nodes, _ := s.walk(raw); nodes == nil {
				if r.path != "" {
					return fmt.Errorf("envelope %s: the schema has no field %s", r.name, r.path)
				}
				continue
			}
			own := record.Path{{Name: r.name}}
			if nodes, _ := s.walk(own); nodes != nil && raw[0].Name != r.name {
				return fmt.Errorf("envelope %s: %s hides the field that is called %s; map that to another role, or set %s to %q", r.name, r.path, r.name, r.name, None)
			}
		}
		s.roles = append(s.roles, role{r.name, raw, roleType(r.name)})
	}
	return nil
}

func roleType(name string) record.Type {
	switch name {
	case "time":
		return record.Type{Kind: record.Timestamp}
	case "payload":
		return record.Type{Kind: record.JSON}
	}
	return record.Type{Kind: record.String}
}

// setTypes brings the declared types under their raw paths.
func (s *Stream) setTypes() error {
	s.types = map[string]Declared{}
	payload := s.payload()
	for text, d := range s.options.Types {
		p, err := parsePath(text)
		if err != nil {
			return fmt.Errorf("types: %w", err)
		}
		switch {
		case d.Type.Kind == record.Invalid:
			return fmt.Errorf("types: %s has no type", text)
		case !slices.Contains([]string{"", "s", "ms", "us", "ns"}, d.Unit):
			return fmt.Errorf("types: %s: unit %q: s, ms, us or ns", text, d.Unit)
		case (d.Type.Kind == record.List || d.Type.Kind == record.Map) && !isScalar(d.Type.Elem):
			return fmt.Errorf("types: %s: the elements of a %s are scalars; declare it as json", text, d.Type.Kind)
		}
		raw := s.raw(p)
		if payload != nil && hasPrefix(raw, payload) && (len(raw) > len(payload) || d.Type.Kind == record.JSON) {
			s.text = true
		} else if s.reader != nil {
			return fmt.Errorf("types: %s: the schema gives the types of an Avro event, but below a payload of JSON text", text)
		}
		s.types[raw.String()] = d
	}
	return nil
}

func isScalar(t *record.Type) bool {
	return t != nil && t.Kind != record.Invalid && t.Kind < record.List
}

// payload is the raw path of the payload, nil if there is none.
func (s *Stream) payload() record.Path {
	for _, r := range s.roles {
		if r.name == "payload" {
			return r.raw
		}
	}
	return nil
}

// raw is where in the event a path leads.
func (s *Stream) raw(p record.Path) record.Path {
	for _, r := range s.roles {
		if len(p) > 0 && p[0].Name == r.name {
			return append(slices.Clone(r.raw), p[1:]...)
		}
	}
	return p
}

// show is the text of a raw path as an expression writes it.
func (s *Stream) show(raw record.Path) string {
	for _, r := range s.roles {
		if hasPrefix(raw, r.raw) {
			return append(record.Path{{Name: r.name}}, raw[len(r.raw):]...).String()
		}
	}
	return raw.String()
}

func hasPrefix(p, prefix record.Path) bool {
	return len(p) >= len(prefix) && slices.Equal(p[:len(prefix)], prefix)
}

// walk lists the types of the reader's schema at a raw path, nil if it leads
// nowhere; known is how many steps do lead somewhere. Behind text that holds
// JSON the list is that text.
func (s *Stream) walk(raw record.Path) (nodes []*node, known int) {
	nodes = []*node{s.reader}
	for i, st := range raw {
		if s.inText(nodes, raw[:i]) {
			return nodes, i
		}
		next := step(nodes, st)
		if next == nil {
			return nil, i
		}
		nodes = next
	}
	return nodes, len(raw)
}

// inText says whether a value is a payload of JSON text.
func (s *Stream) inText(nodes []*node, raw record.Path) bool {
	return s.text && slices.Equal(raw, s.payload()) &&
		slices.ContainsFunc(spread(nodes), func(n *node) bool { return n.kind == avroString || n.kind == avroBytes })
}

// Field is the type of the value at p. The error is *plan.UnknownError if the
// schema has no such field, *plan.UntypedError for JSON whose type nobody
// declared; another error names types that do not go together.
func (s *Stream) Field(p record.Path) (record.Type, error) {
	raw := s.raw(p)
	if s.reader == nil {
		return s.declared(raw, p)
	}
	nodes, known := s.walk(raw)
	switch {
	case nodes == nil:
		return record.Type{}, s.unknown(p, known-(len(raw)-len(p)))
	case known < len(raw) || s.inText(nodes, raw):
		return s.declared(raw, p)
	}
	t, err := joinTypes(nodes)
	if err != nil {
		return t, fmt.Errorf("%s is %w", p, err)
	}
	return t, nil
}

// declared is the type of a JSON value: as declared, as an entry of a declared
// list, or as the role it is.
func (s *Stream) declared(raw, p record.Path) (record.Type, error) {
	if d, ok := s.types[raw.String()]; ok {
		return d.Type, nil
	}
	if last := len(raw) - 1; last > 0 {
		kind := record.Map
		if raw[last].Name == "" {
			kind = record.List
		}
		if d := s.types[raw[:last].String()]; d.Type.Kind == kind {
			return *d.Type.Elem, nil
		}
	}
	for _, r := range s.roles {
		if slices.Equal(raw, r.raw) {
			return r.typ, nil
		}
	}
	return record.Type{}, &plan.UntypedError{Path: p}
}

func (s *Stream) unit(raw record.Path) string {
	if d, ok := s.types[raw.String()]; ok {
		return d.Unit
	}
	return s.types[raw[:max(0, len(raw)-1)].String()].Unit
}

// unknown describes the first step of p that leads nowhere.
func (s *Stream) unknown(p record.Path, at int) error {
	at = min(max(at, 0), len(p)-1)
	e := &plan.UnknownError{Name: p[:at+1].String()}
	var among []string
	for _, n := range s.Names(p[:at]) {
		among = append(among, join(p[:at].String(), n))
	}
	e.Near = plan.Nearest(e.Name, among)
	return e
}

// Names lists the names below p, as far as they are known.
func (s *Stream) Names(p record.Path) []string {
	var names []string
	add := func(n string) {
		if n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if len(p) == 0 {
		for _, r := range s.roles {
			add(r.name)
		}
	}
	if s.reader != nil {
		nodes, known := s.walk(s.raw(p))
		if known == len(s.raw(p)) {
			for _, n := range spread(nodes) {
				for _, f := range n.fields {
					if len(p) > 0 || !s.isRole(f.name) {
						add(f.name)
					}
				}
			}
		}
	}
	var declared []string
	prefix := s.show(s.raw(p))
	for text := range s.types {
		q, _ := parsePath(text)
		if q, _ = parsePath(s.show(q)); len(q) > len(p) && (len(p) == 0 || strings.HasPrefix(q.String(), prefix) && hasPrefix(q, p)) {
			declared = append(declared, q[len(p)].Name)
		}
	}
	slices.Sort(declared)
	for _, n := range declared {
		add(n)
	}
	return names
}

// isRole says whether a top-level field as a whole is a role.
func (s *Stream) isRole(name string) bool {
	return slices.ContainsFunc(s.roles, func(r role) bool { return len(r.raw) == 1 && r.raw[0].Name == name })
}

// All lists what `fields: all` stands for: the roles that exist, the other
// top-level fields (of JSON: those declared), and the payload as one JSON
// value.
func (s *Stream) All() []plan.Named {
	var all []plan.Named
	add := func(name string) {
		p := record.Path{{Name: name}}
		t, err := s.Field(p)
		if err != nil || name == "payload" {
			// A field whose branches differ is JSON text, which every value fits.
			t = record.Type{Kind: record.JSON}
		}
		all = append(all, plan.Named{Name: name, Path: p, Type: t})
	}
	payload := false
	for _, r := range s.roles {
		if r.name == "payload" {
			payload = true
			continue
		}
		add(r.name)
	}
	for _, n := range s.Names(nil) {
		if !slices.ContainsFunc(s.roles, func(r role) bool { return r.name == n }) {
			add(n)
		}
	}
	if payload {
		add("payload")
	}
	return all
}
