package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of one document. They are far above what people write, and low enough
// that no file takes noticeable time or memory.
const (
	maxDepth   = 32
	maxValues  = 100_000
	maxAliased = 1 << 20 // bytes of the texts that aliases stand for, each time they do
)

// file is one file: its text, and the values of its documents.
type file struct {
	name  string // as messages show it
	dir   string // where relative paths start
	order int    // among the files
	lines []string

	nodes  []*yaml.Node        // every node in the order of the text
	public map[*yaml.Node]bool // may be shown: keys and values known to be no secrets
	shared map[*yaml.Node]bool // stands in several places by an alias: never shown, since one may be a secret
}

// parse reads all documents of a file. The documents returned obey the bounds
// and hold neither tags, merge keys, cycles nor odd keys; aliases are replaced
// by what they stand for.
func parse(name, dir string, order int, text []byte) (*file, []*yaml.Node, Problems) {
	s := &file{name: name, dir: dir, order: order, public: map[*yaml.Node]bool{}, shared: map[*yaml.Node]bool{}}
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	if !utf8.Valid(text) {
		return s, nil, Problems{s.whole("is not UTF-8 text")}
	}
	s.lines = strings.Split(breaks().Replace(string(text)), "\n")
	docs, err := documents(text)
	var problems Problems
	if err != nil {
		problems = append(problems, s.syntax(err))
	}
	var whole []*yaml.Node
	for _, d := range docs {
		if len(d.Content) == 0 || d.Content[0].Kind == yaml.ScalarNode && d.Content[0].Tag == "!!null" {
			continue
		}
		w := inspector{file: s, open: map[*yaml.Node]bool{}}
		w.collect(d.Content[0], 0)
		d.Content[0] = w.inspect(d.Content[0], 0)
		if problems = append(problems, w.problems...); len(w.problems) == 0 {
			whole = append(whole, d.Content[0])
		}
	}
	return s, whole, problems
}

// breaks are all that YAML ends a line with. The library counts lines by them:
// were one missed, places would be wrong, and with them what is masked.
func breaks() *strings.Replacer {
	return strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
}

// documents decodes until the end or the first error. The library panics where
// it finds a fault in itself; for a user that is a file that cannot be read.
func documents(text []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("yaml: cannot be read as YAML")
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		n := &yaml.Node{}
		if err := d.Decode(n); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return docs, err
		}
		if docs = append(docs, n); len(docs) > 1000 {
			return docs, errors.New("yaml: more than 1000 documents in one file")
		}
	}
}

// syntax is the library's error as a problem. No source line is shown, since
// nobody knows yet what in it is a secret.
func (f *file) syntax(err error) Problem {
	p := f.whole(strings.TrimPrefix(err.Error(), "yaml: "))
	p.Line, p.Message = f.syntaxLine(p.Message)
	if p.Line > 0 {
		p.Column = 1
	}
	if m := regexp.MustCompile(`^unknown anchor '(.+)' referenced$`).FindStringSubmatch(p.Message); m != nil {
		// Its name may be a secret that starts with *.
		p.Message, p.Hint = "an alias has no anchor before it", "quote the text if it starts with *"
		for i, line := range f.lines {
			if at := strings.Index(line, "*"+m[1]); at >= 0 {
				p.Line, p.Column = i+1, utf8.RuneCountInString(line[:at])+1
				break
			}
		}
	}
	// The scanner blames a tab on what follows it, often on the wrong line.
	for i, line := range f.lines {
		if indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; strings.Contains(indent, "\t") && (p.Line == 0 || i+1 >= p.Line-1 && i+1 <= p.Line+1) {
			p.Line, p.Column = i+1, strings.IndexByte(indent, '\t')+1
			p.Hint = "indent with spaces, not with tabs"
			break
		}
	}
	p.Message = "not valid YAML: " + p.Message
	return p
}

// syntaxLine is the line of a message of the library, 0 for none, and the rest of
// it. The library counts lines from 1 where its scanner complains, from 0 where
// its parser does, and leaves the first one out. An end of the file that comes
// too early is shown where the text ends.
func (f *file) syntaxLine(message string) (int, string) {
	line := 1
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
		if regexp.MustCompile(`^(did not find expected (<|node|'-'|key|',')|found (duplicate|incompatible|undefined))`).MatchString(message) {
			line++
		}
	} else if !regexp.MustCompile(`^(did not find|could not find|found|mapping|block|while) `).MatchString(message) {
		return 0, message
	}
	for line = min(line, len(f.lines)); line > 1 && strings.TrimSpace(f.lines[line-1]) == ""; line-- {
	}
	return line, message
}

// hidden says whether a value must not be shown.
func (f *file) hidden(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (!f.public[n] || f.shared[n] || holdsLogin(n.Value)) && (!isNull(n) || n.Anchor != "")
}

// holdsLogin says that a value has the form user:password@host, wherever one
// was written: an address is public, and somebody may put a password into it.
func holdsLogin(value string) bool {
	front, _, found := strings.Cut(value, "@")
	_, password, colon := strings.Cut(front, ":")
	return found && colon && password != "" && !strings.ContainsAny(password, " \t\n")
}

func (f *file) whole(message string) Problem {
	return Problem{File: f.name, Message: message, order: f.order}
}

// at is a problem at a node.
func (f *file) at(n *yaml.Node, path, message, hint string) Problem {
	return Problem{File: f.name, Line: n.Line, Column: n.Column, Path: path, Message: message, Hint: hint, order: f.order, node: n}
}

// within is a problem at byte offset of a scalar's text, length characters long.
func (f *file) within(n *yaml.Node, offset, length int, path, message, hint string) Problem {
	p := f.at(n, path, message, hint)
	p.offset, p.length = offset, length
	return p
}

// inspector checks the shape of one document.
type inspector struct {
	file     *file
	problems Problems
	open     map[*yaml.Node]bool // being inspected: an alias to one of them is a cycle
	alias    *yaml.Node          // the outermost alias that is being followed: the place to blame
	values   int
	aliased  int // bytes
	stopped  bool
}

// collect lists the nodes as they stand in the text.
func (w *inspector) collect(n *yaml.Node, depth int) {
	w.file.nodes = append(w.file.nodes, n)
	if depth <= maxDepth {
		for _, c := range n.Content {
			w.collect(c, depth+1)
		}
	}
}

// inspect returns what stands for n with aliases replaced, and notes what is
// refused. It walks the expanded document, so that its bounds hold for
// everything that walks it later.
func (w *inspector) inspect(n *yaml.Node, depth int) *yaml.Node {
	if w.stopped {
		return n
	}
	if w.values++; w.values > maxValues {
		w.refuse(n, fmt.Sprintf("more than %d values in one document, with its aliases expanded", maxValues), "")
		w.stopped = true
		return n
	}
	if n.Kind == yaml.AliasNode {
		if w.open[n.Alias] {
			w.refuse(n, "an alias inside of what it stands for", "")
			w.stopped = true
			return n
		}
		if w.alias == nil {
			w.alias = n
			defer func() { w.alias = nil }()
		}
		return w.inspect(n.Alias, depth)
	}
	if depth > maxDepth {
		w.refuse(n, fmt.Sprintf("nested deeper than %d levels", maxDepth), "")
		w.stopped = true
		return n
	}
	if n.Style&yaml.TaggedStyle != 0 {
		w.refuse(n, "tags are not supported", "leave it out: a value is taken by the type of its option")
	}
	if w.alias != nil && n.Kind == yaml.ScalarNode {
		w.file.shared[n] = true
		if w.aliased += len(n.Value); w.aliased > maxAliased {
			w.refuse(n, fmt.Sprintf("more than %d KiB of text in one document's aliases, expanded", maxAliased>>10), "")
			w.stopped = true
			return n
		}
	}
	w.open[n] = true
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			w.key(c)
		}
		n.Content[i] = w.inspect(c, depth+1)
	}
	delete(w.open, n)
	return n
}

// key refuses what is no plain key.
func (w *inspector) key(k *yaml.Node) {
	switch {
	case k.Kind == yaml.AliasNode || k.Kind != yaml.ScalarNode:
		w.refuse(k, "a key must be a plain text", "quote the value if it starts with { or [")
	case k.Tag == "!!merge":
		w.refuse(k, "merge keys are not supported", "use defaults: for what sinks have in common")
	}
}

// refuse notes a problem, without its source line: until a document is decoded
// nobody knows what in it is a secret.
func (w *inspector) refuse(n *yaml.Node, message, hint string) {
	if w.alias != nil {
		n = w.alias
	}
	p := w.file.at(n, "", message, hint)
	p.node = nil
	w.problems = append(w.problems, p)
}
