package sinktest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// checkSpec: what a Spec says of itself.
func checkSpec(b *bench) {
	s := b.target.Spec
	if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(s.Type) {
		b.Errorf("type %q: it is a key in the YAML, so lower case letters, digits and _", s.Type)
	}
	if s.Summary == "" || strings.Contains(s.Summary, "\n") {
		b.Errorf("summary %q: want one line", s.Summary)
	}
	if s.Delivery < sink.Atomic || s.Delivery > sink.AtLeastOnce {
		b.Errorf("delivery %d is none", s.Delivery)
	}
	for i, k := range s.Kinds {
		if !slices.Contains(record.Kinds(), k) || slices.Contains(s.Kinds[:i], k) {
			b.Errorf("kind %s is listed twice, or is none", k)
		}
	}
	if s.Batch.Rows <= 0 || s.Batch.Bytes <= 0 || s.Batch.Age <= 0 {
		b.Errorf("batch %+v: rows, bytes and age need defaults", s.Batch)
	}
	if s.Options == nil || s.Open == nil || len(s.Example) == 0 {
		b.Fatal("Options, Open and Example are needed")
	}
	for what, f := range makers(s) {
		if one, two := f(), f(); one == two {
			b.Errorf("%s makes the same options twice: two sinks would share them", what)
		}
	}
}

// makers are the functions of a Spec that make options.
func makers(s sink.Spec) map[string]func() sink.Options {
	all := map[string]func() sink.Options{"Options": s.Options}
	if s.Connection != nil {
		all["Connection"] = s.Connection
	}
	return all
}

// word is an option that all sinks that have it name alike, and its type.
type word struct {
	types  []reflect.Type // any of them; nil: any
	others []string       // names that people give it elsewhere
}

// vocabulary is that of all sinks.
func vocabulary() map[string]word {
	text, list := reflect.TypeFor[string](), reflect.TypeFor[[]string]()
	return map[string]word{
		"connection": {nil, []string{"conn"}},
		"address":    {[]reflect.Type{text, list}, []string{"addr", "addrs", "addresses", "host", "hosts", "hostname", "server", "servers", "endpoint", "endpoints", "port", "dsn", "uri"}},
		"database":   {[]reflect.Type{text}, []string{"db", "dbname", "db_name", "database_name"}},
		"table":      {[]reflect.Type{text}, []string{"table_name", "tablename"}},
		"username":   {[]reflect.Type{text}, []string{"user", "login", "user_name"}},
		"password":   {[]reflect.Type{reflect.TypeFor[sink.Secret]()}, []string{"pass", "passwd", "pwd"}},
		"tls":        {nil, []string{"ssl", "use_tls", "tls_enabled", "secure"}},
		"timeout":    {[]reflect.Type{reflect.TypeFor[time.Duration]()}, []string{"timeout_ms", "timeout_s", "timeout_seconds", "deadline"}},
		"create":     {[]reflect.Type{reflect.TypeFor[bool]()}, []string{"auto_create", "create_table", "create_tables", "create_if_missing", "mkdir"}},
	}
}

// option is one exported field of options.
type option struct {
	path string
	typ  reflect.Type
}

// holds says whether a path is a key of a mapping whose keys are the user's.
func (o option) holds(path string) bool {
	return o.typ != nil && o.typ.Kind() == reflect.Map && strings.HasPrefix(path, o.path+".")
}

// optionsOf lists the options of a struct by their yaml paths.
func optionsOf(b *bench, prefix string, t reflect.Type) (all []option) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[sink.Secret]() || t == reflect.TypeFor[time.Time]() {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-":
		case name == "" && (f.Anonymous || strings.Contains(rest, "inline")):
			all = append(all, optionsOf(b, prefix, f.Type)...)
		case !f.IsExported():
		case name == "":
			b.Errorf("option %s%s of %s has no yaml tag", prefix, f.Name, t)
		default:
			all = append(all, option{prefix + name, f.Type})
			all = append(all, optionsOf(b, prefix+name+".", f.Type)...)
		}
	}
	return all
}

// checkVocabulary: options are named as those of all other sinks, and what is
// secret is a Secret.
func checkVocabulary(b *bench) {
	words := vocabulary()
	for what, f := range makers(b.target.Spec) {
		o := f()
		if t := reflect.TypeOf(o); t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
			b.Fatalf("%s makes a %s, want a pointer to a struct", what, t)
		}
		for _, opt := range optionsOf(b, "", reflect.TypeOf(o)) {
			b.checkWord(words, opt)
		}
		b.checkMistakes(what, o)
	}
}

func (b *bench) checkWord(words map[string]word, o option) {
	name := o.path[strings.LastIndex(o.path, ".")+1:]
	if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(name) {
		b.Errorf("option %s: want lower case letters, digits and _", o.path)
	}
	if w, ok := words[name]; ok && w.types != nil && !slices.Contains(w.types, o.typ) {
		b.Errorf("option %s is of type %s, want %s", o.path, o.typ, w.types[0])
	}
	for is, w := range words {
		if slices.Contains(w.others, name) {
			b.Errorf("option %s is called %s by every other sink", o.path, is)
		}
	}
	if o.typ.Kind() == reflect.String && regexp.MustCompile(`(^|_)(secret|token|password|passphrase|credentials)$`).MatchString(name) {
		b.Errorf("option %s is a plain %s: a sink.Secret never prints", o.path, o.typ)
	}
}

// checkMistakes: Validate blames options that exist.
func (b *bench) checkMistakes(what string, o sink.Options) {
	var known []string
	for _, opt := range optionsOf(b, "", reflect.TypeOf(o)) {
		known = append(known, opt.path)
	}
	for _, e := range flatten(o.Validate()) {
		var f *sink.FieldError
		if !errors.As(e, &f) {
			b.Errorf("%s with defaults alone: %v is no FieldError, so nobody is told the line", what, e)
			continue
		}
		path, _, _ := strings.Cut(f.Path, "[")
		if !slices.Contains(known, path) {
			b.Errorf("%s with defaults alone: %q is blamed, which is no option", what, f.Path)
		}
	}
}

func flatten(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range many.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// stream is what an example leaves to its user.
const stream = "streams:\n  events:\n    kafka: {brokers: [\"kafka:9092\"], topics: [events], group: g}\n    format: json\n"

// checkExample: the example shows every option, with a comment, and no other;
// and the program reads it as it is.
func checkExample(b *bench) {
	s := b.target.Spec
	connections, file, two := strings.Cut(string(s.Example), "\n---\n")
	if !two {
		connections, file = "", connections
	}
	if two != (s.Connection != nil) {
		b.Errorf("the example has a part for the connection, behind which stands a line of ---: %t; the Spec has a Connection: %t", two, s.Connection != nil)
		return
	}
	if two {
		b.shows("connection", lines(connections), "connections.*."+s.Type+".", optionsOf(b, "", reflect.TypeOf(s.Connection())))
	}
	options := optionsOf(b, "", reflect.TypeOf(s.Options()))
	if two {
		options = append(options, option{path: "connection"})
	}
	b.shows("sink", lines(file), s.Type+".", options)

	if b.target.Load == nil {
		b.Fatal("the target has no Load, so nobody knows whether the example is true")
	}
	dir, paths := b.TempDir(), []string(nil)
	for i, text := range []string{stream, connections, file} {
		if text == "" {
			continue
		}
		name := filepath.Join(dir, fmt.Sprintf("%d.yaml", i))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		paths = append(paths, name)
	}
	if err := b.target.Load(paths); err != nil {
		b.Errorf("the example is not true: %v", err)
	}
}

// shows compares the keys of a part of the example with the options.
func (b *bench) shows(part string, text []line, under string, options []option) {
	shown := map[string]bool{}
	for _, l := range text {
		path, ok := below(l.path, under)
		if !ok {
			continue
		}
		shown[path] = true
		if !slices.ContainsFunc(options, func(o option) bool { return o.path == path || o.holds(path) }) {
			b.Errorf("the example's %s shows %s, which is no option", part, path)
		}
		if !l.commented && path != "connection" {
			b.obvious(part, path)
		}
	}
	for _, o := range options {
		if !shown[o.path] {
			b.Errorf("the example's %s does not show the option %s", part, o.path)
		}
	}
}

// obvious reports an option without a comment, unless its name says all that
// there is to say.
func (b *bench) obvious(part, path string) {
	if !slices.Contains([]string{"address", "database", "table", "username", "password", "tls"}, path) {
		b.Errorf("the example's %s shows %s without a comment, beside it or above", part, path)
	}
}

// below is a path without what it stands under, where * is any one step.
func below(path, under string) (string, bool) {
	steps, want := strings.Split(path, "."), strings.Split(strings.TrimSuffix(under, "."), ".")
	if len(steps) <= len(want) {
		return "", false
	}
	for i := range want {
		if want[i] != "*" && want[i] != steps[i] {
			return "", false
		}
	}
	return strings.Join(steps[len(want):], "."), true
}

// secret is what every secret is set to.
const secret = "canary-7f3a-never-shown"

// checkSecrets: secrets are in no text that comes from options, from a sink
// that cannot log in, or from its log.
func checkSecrets(b *bench) {
	p := b.place(standard(b.target.Spec))
	b.shown = append(b.shown, secret)
	all := []sink.Options{b.target.Spec.Options(), p.Options}
	if p.Conn != nil {
		all = append(all, b.target.Spec.Connection(), p.Conn)
	}
	n := 0
	for _, o := range all {
		n += setSecrets(reflect.ValueOf(o))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			b.mustNotShow("options printed with "+verb, fmt.Sprintf(verb, o))
		}
		if err := o.Validate(); err != nil {
			b.mustNotShow("the error of Validate", err.Error())
		}
		b.journal.logger().Info("options", "options", o)
	}
	if n == 0 {
		return
	}
	// The bench watches every error and every line of the log.
	try := func() {
		if s, err := p.open(p.Context()); err == nil {
			if w, _, err := p.claim(p.Context(), s, slot(0, 1)); err == nil {
				w.close()
			}
			s.Close()
		}
	}
	try()
	if b.proxy != nil {
		b.proxy.setDown(true)
		try()
		b.proxy.setDown(false)
	}
}

// setSecrets sets every Secret that can be reached, and counts them.
func setSecrets(v reflect.Value) (n int) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			if v.Type().Elem().Kind() != reflect.Struct || !v.CanSet() {
				return 0
			}
			fresh := reflect.New(v.Type().Elem())
			if n = setSecrets(fresh); n > 0 {
				v.Set(fresh)
			}
			return n
		}
		return setSecrets(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[sink.Secret]() {
			if !v.CanSet() {
				return 0
			}
			v.Set(reflect.ValueOf(sink.NewSecret(secret)))
			return 1
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				n += setSecrets(v.Field(i))
			}
		}
	}
	return n
}
