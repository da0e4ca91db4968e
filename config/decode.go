package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluicekit/sluice/core/sink"
)

// decoder fills Go values from the nodes of one file. It never stops at a
// mistake: what cannot be decoded keeps its default, and the walk goes on.
type decoder struct {
	file     *file
	env      func(string) (string, bool)
	problems Problems
	warnings Problems
	secrets  []string        // values that must not be printed
	blamed   map[string]bool // paths with a problem, and the names suggested for unknown keys

	referenced *int // bytes of the texts with references, of the whole configuration
}

// special is implemented by options of this package with a shape of their own.
type special interface {
	decode(d *decoder, n *yaml.Node, path string)
}

func (d *decoder) add(p Problem) {
	d.problems = append(d.problems, p)
	d.blamed[p.Path] = true
}

func (d *decoder) fail(n *yaml.Node, path, message, hint string) {
	d.add(d.file.at(n, path, message, hint))
}

// pair is one entry of a mapping.
type pair struct {
	key, value *yaml.Node
}

// pairs are the entries of a mapping, its keys checked.
func (d *decoder) pairs(n *yaml.Node, path string) ([]pair, bool) {
	if n.Kind != yaml.MappingNode {
		d.wrongShape(n, path, "a mapping")
		return nil, false
	}
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	out := make([]pair, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if i > 0 && cutByComma(n, i) {
			d.fail(k, join(path, n.Content[i-2].Value), "the comma ends the text before it", `quote the whole text, as in "decimal(18,6)"`)
			continue
		}
		d.file.public[k] = true
		if first := seen[k.Value]; first != nil {
			d.fail(k, join(path, k.Value), fmt.Sprintf("given twice: first in line %d, column %d", first.Line, first.Column), "")
			continue
		}
		seen[k.Value] = k
		out = append(out, pair{k, n.Content[i+1]})
	}
	return out, true
}

// cutByComma says whether entry i is the tail of the text before it: in
// {as: decimal(18,6)} YAML sees a text decimal(18 and a key 6).
func cutByComma(n *yaml.Node, i int) bool {
	head, tail := n.Content[i-1], n.Content[i]
	return n.Style&yaml.FlowStyle != 0 && isNull(n.Content[i+1]) && head.Kind == yaml.ScalarNode && head.Style == 0 && tail.Style == 0 &&
		strings.Count(head.Value, "(") > strings.Count(head.Value, ")") && strings.HasSuffix(tail.Value, ")")
}

// wrongShape says what is there instead of what is wanted.
func (d *decoder) wrongShape(n *yaml.Node, path, want string) {
	switch {
	case isNull(n):
		d.fail(n, path, "has no value; must be "+want, "")
	case n.Kind == yaml.MappingNode:
		d.fail(n, path, "must be "+want+", not a mapping", "")
	case n.Kind == yaml.SequenceNode:
		d.fail(n, path, "must be "+want+", not a list", "")
	default:
		d.fail(n, path, "must be "+want+", not a single value", "")
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// value decodes n into v, which is settable.
func (d *decoder) value(n *yaml.Node, path string, v reflect.Value) {
	if v.CanAddr() {
		switch to := v.Addr().Interface().(type) {
		case special:
			to.decode(d, n, path)
			return
		case *sink.Secret:
			d.secret(n, path, to)
			return
		case *sink.Size, *time.Duration:
			d.scalar(n, path, v)
			return
		case encoding.TextUnmarshaler:
			d.scalar(n, path, v)
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, path, v.Elem())
	case reflect.Struct:
		d.structure(n, path, v, nil)
	case reflect.Slice:
		d.list(n, path, v)
	case reflect.Map:
		d.mapping(n, path, v)
	default:
		d.scalar(n, path, v)
	}
}

// option is one field of an options struct.
type option struct {
	name  string
	one   bool // a list that may be written as a single value
	index []int
}

// options lists the fields of a struct by their yaml tags; embedded structs
// count as part of it. A field without a tag, or with "-", is none.
func options(t reflect.Type) []option {
	var out []option
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		inline := slices.Contains(strings.Split(rest, ","), "inline") || f.Anonymous && name == ""
		if inline && f.Type.Kind() == reflect.Struct {
			for _, o := range options(f.Type) {
				o.index = append([]int{i}, o.index...)
				out = append(out, o)
			}
			continue
		}
		if f.IsExported() && name != "" && name != "-" {
			out = append(out, option{name, rest == "one", []int{i}})
		}
	}
	return out
}

// structure decodes a mapping into a struct. other, where given, is asked for
// keys that the struct lacks: it returns false and more known names.
func (d *decoder) structure(n *yaml.Node, path string, v reflect.Value, other func(p pair) (known bool, names []string)) {
	entries, ok := d.pairs(n, path)
	if !ok {
		return
	}
	fields := options(v.Type())
	before := ""
	for at, e := range entries {
		if i := slices.IndexFunc(fields, func(o option) bool { return o.name == e.key.Value }); i >= 0 {
			to, value := v.FieldByIndex(fields[i].index), e.value
			if fields[i].one {
				value = oneOrMore(value)
			}
			d.value(value, join(path, e.key.Value), to)
			before = ""
			continue
		}
		names := make([]string, len(fields))
		for j, o := range fields {
			names[j] = o.name
		}
		if other != nil {
			known, more := other(e)
			if known {
				before = ""
				continue
			}
			names = append(names, more...)
		}
		ok := false
		if before, ok = d.torn(n, entries[:at+1], path, before, names); !ok {
			d.unknown(e.key, path, "unknown option", names)
		}
	}
}

// torn reports a last entry, unknown by its name, that is probably no key but
// what YAML has made of a value, often a secret's, which is therefore not shown:
// in {password: x,y} the tail of the value before it, in {password:x} a key and
// its value in one. It returns the option whose value that is, if it is known.
// before is what it returned of the entry before.
func (d *decoder) torn(n *yaml.Node, entries []pair, path, before string, names []string) (option string, ok bool) {
	last := entries[len(entries)-1]
	key := last.key.Value
	if n.Style&yaml.FlowStyle == 0 || !isNull(last.value) {
		if consistsOf(key, letters+"0123456789_.-", len(key)) {
			return "", false
		}
		return d.tornAt(last.key, path, "", "unknown option", "a name consists of letters, digits and _")
	}
	if head := entries[max(0, len(entries)-2)]; len(entries) > 1 && before == "" && head.value.Kind == yaml.ScalarNode &&
		head.value.Style == 0 && !isNull(head.value) && !d.file.public[head.value] {
		before = head.key.Value
	}
	if before != "" {
		return d.tornAt(last.key, path, before, "the comma ends the text before it", "quote the whole text if the comma is a part of it")
	}
	word := key[:len(key)-len(strings.TrimLeft(key, letters+"0123456789_"))]
	name := word
	if !slices.Contains(names, word) {
		if name = Near(word, names); len(word) > len(name)+2 {
			name = "" // {passwordx}: what is near to it is only how it starts
		}
	}
	switch {
	case name != "" && word == key:
		return "", false
	case name != "":
		return d.tornAt(last.key, path, name, "has no value", "write "+name+": and a space before the value")
	}
	return d.tornAt(last.key, path, "", "unknown option without a value", "quote a text that has a comma or a colon in it")
}

// tornAt reports what is not shown, at an option or at none.
func (d *decoder) tornAt(key *yaml.Node, path, option, message, hint string) (string, bool) {
	d.conceal(key)
	if option != "" {
		d.fail(key, join(path, option), message, hint)
	} else { // no option is to blame for it
		d.problems = append(d.problems, d.file.at(key, path, message, hint))
	}
	return option, true
}

// oneOrMore makes a list of a single value.
func oneOrMore(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		return n
	}
	return &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line, Column: n.Column, Content: []*yaml.Node{n}}
}

// addressable is what a pointer points at.
func addressable(to any) reflect.Value { return reflect.ValueOf(to).Elem() }

// unknown reports a key that does not exist. The name that was probably meant
// is not reported as missing as well.
func (d *decoder) unknown(key *yaml.Node, path, message string, names []string) {
	near := Near(key.Value, names)
	hint := ""
	switch {
	case near != "":
		hint = "did you mean " + near + "?"
		d.blamed[join(path, near)] = true
	case len(names) > 0 && len(names) <= 12:
		slices.Sort(names)
		hint = "known are " + strings.Join(names, ", ")
	}
	d.fail(key, join(path, key.Value), message, hint)
}

func (d *decoder) list(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		if n.Kind == yaml.ScalarNode && !isNull(n) {
			d.fail(n, path, "must be a list, not a single value", "put it in brackets: [ ]")
			return
		}
		d.wrongShape(n, path, "a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		d.value(c, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
	}
}

func (d *decoder) mapping(n *yaml.Node, path string, v reflect.Value) {
	if v.Type().Key().Kind() != reflect.String {
		panic(fmt.Sprintf("config: options with a %s", v.Type()))
	}
	entries, ok := d.pairs(n, path)
	if !ok {
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(entries)))
	for _, e := range entries {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(e.value, join(path, e.key.Value), elem)
		v.SetMapIndex(reflect.ValueOf(e.key.Value).Convert(v.Type().Key()), elem)
	}
}

// secret decodes what must not be shown; a mapping that stands there by
// mistake must not be shown either, since {x} is one.
func (d *decoder) secret(n *yaml.Node, path string, to *sink.Secret) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, path, "must be a text", "quote the value if it starts with { or [")
		return
	}
	if isNull(n) {
		d.fail(n, path, "has no value", "")
		return
	}
	t, ok := d.resolve(n, path)
	if !ok {
		return
	}
	d.secrets = append(d.secrets, t.value)
	*to = sink.NewSecret(t.value)
	if !strings.Contains(n.Value, "${") && t.value != "" {
		d.warnings = append(d.warnings, d.file.at(n, path, "the secret itself stands in the file", "write ${env:NAME} or ${file:PATH}"))
	}
}
