package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Problem is one mistake, or one doubtful thing, in the configuration.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`   // from 1; 0: the file as a whole
	Column  int    `json:"column,omitempty"` // from 1, in characters
	Path    string `json:"path,omitempty"`   // of the option: streams.events.kafka.brokers[0]
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do about it

	order  int        // of the file, as given
	node   *yaml.Node // what is blamed, until show has found the exact place; nil: no source line is shown
	offset int        // in the node's text, of which
	length int        // so many characters are blamed; 0: all of it

	text  string // the source line up to the end of what is blamed, secrets masked
	shown int    // the column in text, which masks make differ from Column
	width int    // of what is blamed
}

// String is the problem as a compiler writes it.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	if p.Path != "" {
		b.WriteString(": " + p.Path)
	}
	b.WriteString(": " + p.Message)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return printable(b.String())
}

// printable shows what a terminal would act on, such as an escape sequence in a
// key, as Go would write it.
func printable(text string) string {
	if strings.IndexFunc(text, acts) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if acts(r) {
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// acts says that a terminal does not just show a character: controls, and the
// marks that turn the direction of text.
func acts(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

// Snippet is the source line with a caret below the place, in two lines, or "".
// It ends with what is blamed and masks what may be a secret.
func (p Problem) Snippet() string {
	if p.text == "" {
		return ""
	}
	number := fmt.Sprintf("%5d | ", p.Line)
	var pad strings.Builder
	for i, r := range []rune(p.text) {
		if i == p.shown-1 {
			break
		}
		if r == '\t' { // a tab below a tab keeps the caret in its place
			pad.WriteByte('\t')
		} else {
			pad.WriteByte(' ')
		}
	}
	line := strings.Map(func(r rune) rune {
		if r != '\t' && acts(r) {
			return utf8.RuneError // as wide, so that the caret keeps its place
		}
		return r
	}, p.text)
	return number + line + "\n" + strings.Repeat(" ", len(number)-2) + "| " + pad.String() + strings.Repeat("^", max(p.width, 1)) + "\n"
}

// Problems is the error of Load and Compile: every mistake, sorted by file and
// place. It is never empty.
type Problems []Problem

// With adds the mistakes that err holds.
func (ps Problems) With(err error) Problems {
	var more Problems
	if !errors.As(err, &more) {
		return ps
	}
	return slices.Concat(ps, more).sorted()
}

// Error lists all mistakes, a line each.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Write prints each problem with its source line. kind, such as warning, is put
// before the message; "" puts nothing.
func (ps Problems) Write(w io.Writer, kind string) error {
	for _, p := range ps {
		if kind != "" {
			p.Message = kind + ": " + p.Message
		}
		if _, err := io.WriteString(w, p.String()+"\n"+p.Snippet()); err != nil {
			return err
		}
	}
	return nil
}

// maxProblems bounds the list: a file that is something else altogether would
// otherwise print a page per line.
const maxProblems = 200

// sorted orders problems by place and drops repeats.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.offset, b.offset))
	})
	ps = slices.CompactFunc(ps, func(a, b Problem) bool {
		return a.File == b.File && a.Line == b.Line && a.Column == b.Column && a.offset == b.offset && a.Path == b.Path && a.Message == b.Message
	})
	if len(ps) > maxProblems {
		rest := len(ps) - maxProblems
		last := ps[maxProblems]
		ps = append(ps[:maxProblems:maxProblems], Problem{File: last.File, order: last.order, Message: fmt.Sprintf("%d more mistakes are not shown", rest)})
	}
	return ps
}

// scrub replaces secrets in the texts of problems. The decoder never puts one
// there; a Validate of a plugin might.
func (ps Problems) scrub(secrets []string) {
	for _, s := range secrets {
		if len(s) < 4 {
			continue // would hide parts of ordinary words
		}
		for i := range ps {
			ps[i].Message = strings.ReplaceAll(ps[i].Message, s, "***")
			ps[i].Hint = strings.ReplaceAll(ps[i].Hint, s, "***")
		}
	}
}

// quote shows a text in a message, shortened and without control characters.
func quote(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
