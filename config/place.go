package config

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// place is where a document, or a part of it, was written down.
type place struct {
	file *file
	node *yaml.Node
	path string
	key  *yaml.Node // where there is one
}

// offset is the line and column of byte i of a scalar's text. It is exact for
// plain and quoted scalars of one line and for literal blocks (|); elsewhere it
// is the scalar's start.
func (f *file) offset(n *yaml.Node, i int) (line, column int) {
	line, column = n.Line, n.Column
	if n.Kind != yaml.ScalarNode || i < 0 || i > len(n.Value) {
		return line, column
	}
	if n.Style&yaml.LiteralStyle != 0 {
		return f.literalOffset(n, i)
	}
	raw, start := f.rawFrom(n)
	if end, ok := rawIndex(n, raw, i); ok {
		return line, start + utf8.RuneCountInString(raw[:end])
	}
	return line, column
}

// rawFrom is the rest of the source line from a scalar on, behind its anchor.
func (f *file) rawFrom(n *yaml.Node) (raw string, column int) {
	if n.Line < 1 || n.Line > len(f.lines) {
		return "", n.Column
	}
	runes := []rune(f.lines[n.Line-1])
	if n.Column-1 > len(runes) || n.Column < 1 {
		return "", n.Column
	}
	raw = string(runes[n.Column-1:])
	column = n.Column
	if n.Anchor != "" && strings.HasPrefix(raw, "&"+n.Anchor) {
		rest := strings.TrimLeft(raw[1+len(n.Anchor):], " ")
		column += utf8.RuneCountInString(raw) - utf8.RuneCountInString(rest)
		raw = rest
	}
	return raw, column
}

// rawIndex is the byte in raw, the source line from the scalar on, at which
// byte i of its value is written. ok is false where the scalar goes on in
// another line, or is written in a way that is not followed here.
func rawIndex(n *yaml.Node, raw string, i int) (int, bool) {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return doubleQuoted(n.Value, raw, i)
	case n.Style&yaml.SingleQuotedStyle != 0:
		at := 1
		for done := 0; done < i; done++ {
			if at >= len(raw) || raw[at] != n.Value[done] {
				return 0, false
			}
			if raw[at] == '\'' {
				at++
			}
			at++
		}
		return at, at <= len(raw)
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 0, false
	}
	return i, strings.HasPrefix(raw, n.Value) || i <= len(raw) && strings.HasPrefix(raw, n.Value[:i])
}

// doubleQuoted follows the escapes that stand for one character each.
func doubleQuoted(value, raw string, i int) (int, bool) {
	at, done := 1, 0
	for done < i {
		if at >= len(raw) || raw[at] == '"' {
			return 0, false
		}
		_, size := utf8.DecodeRuneInString(value[done:])
		if raw[at] != '\\' {
			at += size
			done += size
			continue
		}
		if at+1 >= len(raw) {
			return 0, false
		}
		at += escapeLen(raw[at+1])
		done += size
	}
	return at, at <= len(raw)
}

// escapeLen is the length of the escape that starts with \ and c.
func escapeLen(c byte) int {
	switch c {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}

// literalOffset counts lines below the header of a literal block.
func (f *file) literalOffset(n *yaml.Node, i int) (line, column int) {
	before := n.Value[:i]
	row := n.Line + 1 + strings.Count(before, "\n")
	tail := before[strings.LastIndexByte(before, '\n')+1:]
	content, _, _ := strings.Cut(n.Value[len(before)-len(tail):], "\n")
	if row > len(f.lines) || !strings.HasSuffix(f.lines[row-1], content) {
		return n.Line, n.Column
	}
	indent := len(f.lines[row-1]) - len(content)
	return row, indent + utf8.RuneCountInString(tail) + 1
}

// tokenWidth is how many characters of its first line a node takes: what the
// caret underlines. Mappings and lists have one.
func (f *file) tokenWidth(n *yaml.Node) int {
	raw, column := f.rawFrom(n)
	if n.Kind != yaml.ScalarNode || raw == "" {
		return 1
	}
	end, ok := rawIndex(n, raw, len(n.Value))
	if !ok {
		return 1
	}
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		end++
	}
	end = min(end, len(raw))
	return column - n.Column + max(1, utf8.RuneCountInString(raw[:end]))
}

// Bounds of lines, in bytes. Longer ones are no lines that people write.
const (
	maxShown   = 400     // of one that is shown
	maxCounted = 8 << 10 // of one in which the exact place is looked for
)

// show fills in the exact place and the source line of each problem of this
// file. It is done last, when it is known what is no secret, and only for what
// is printed, since it costs a walk over the file.
func (f *file) show(ps Problems) {
	for i := range ps {
		p := &ps[i]
		if n := p.node; n != nil && p.order == f.order {
			p.node = nil
			f.locate(p, n)
		}
	}
}

// locate finds the exact place of a problem in a node. Where in a masked value
// it is, and how long that is, is not shown.
func (f *file) locate(p *Problem, n *yaml.Node) {
	if n.Line < 1 || n.Line > len(f.lines) || len(f.lines[n.Line-1]) > maxCounted {
		return
	}
	p.width = f.tokenWidth(n)
	reach := n.Column - 1 + p.width
	line, column := f.offset(n, p.offset)
	switch {
	case f.hidden(n):
		p.width, reach = 0, 0
	case line != n.Line: // a literal block, of which the whole line is a part
		p.Line, p.Column, p.width, reach = line, column, p.length, len(f.lines[line-1])
	case p.offset > 0 && column != n.Column:
		p.Column, p.width = column, p.length
	}
	if len(f.lines[p.Line-1]) <= maxShown {
		f.mask(p, reach)
	}
}

// mask writes p.text: the line up to the column reach or the end of what is
// blamed, with every value masked that is not known to be public. Such a value
// is taken to reach up to where the next node starts, whatever stands between.
func (f *file) mask(p *Problem, reach int) {
	line := []rune(f.lines[p.Line-1])
	start := min(p.Column-1, len(line))
	end := min(max(start+p.width, reach), len(line))
	var shown []rune
	at, hidden := 0, f.hiddenBefore(p.Line)
	advance := func(to int) {
		part := line[at:max(to, at)]
		if hidden && strings.TrimSpace(string(part)) != "" {
			part = []rune("*** ")
		}
		shown = append(shown, part...)
		at = max(to, at)
	}
	for _, n := range f.nodes {
		if n.Line == p.Line && n.Column-1 <= start {
			advance(min(n.Column-1, len(line)))
			hidden = f.hidden(n)
		}
	}
	advance(start)
	p.shown = len(shown) + 1
	if p.width == 0 || hidden {
		p.text, p.width = string(shown)+"***", 3
		return
	}
	advance(end)
	p.text = string(shown)
}

// hiddenBefore says whether a masked value of an earlier line may reach into
// this one.
func (f *file) hiddenBefore(line int) bool {
	hidden := false
	for _, n := range f.nodes {
		if n.Line >= line {
			break
		}
		hidden = f.hidden(n)
	}
	return hidden
}
