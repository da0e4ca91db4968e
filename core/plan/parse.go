package plan

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

// Bounds of one expression. The parser recurses, so the length of the text is
// what bounds its stack.
const (
	maxText  = 32 << 10
	maxNodes = 5000
	maxDepth = 500
)

// syntax makes the parser leave every call as it stands: which functions there
// are is for the checker to say. Functions that take predicates have a grammar
// of their own unless a function of the same name overrides them; the other
// builtins are disabled.
func syntax() *conf.Config {
	c := conf.CreateNew()
	c.MaxNodes = maxNodes
	c.DisableIfOperator = true
	for _, name := range builtin.Names {
		c.Disabled[name] = true
		c.Functions[name] = nil
	}
	return c
}

// parse reads the text of one part; nil after a problem.
func (c *compiler) parse(part, text string) ast.Node {
	problem := func(offset int, message, hint string) ast.Node {
		c.problems = append(c.problems, Problem{Part: part, Offset: offset, Message: message, Hint: hint})
		return nil
	}
	switch {
	case strings.TrimSpace(text) == "":
		return problem(0, "the expression is empty", "")
	case len(text) > maxText:
		return problem(maxText, fmt.Sprintf("the expression has %d bytes: at most %d", len(text), maxText), "")
	case !utf8.ValidString(text):
		return problem(0, "the expression is not UTF-8", "")
	}
	tree, err := parser.ParseWithConfig(text, c.syntax)
	if err == nil {
		return tree.Node
	}
	var e *file.Error
	if !errors.As(err, &e) {
		return problem(0, err.Error(), "")
	}
	offset := byteOffset(text, e.From)
	return problem(offset, syntaxMessage(e.Message), syntaxHint(text[offset:]))
}

// byteOffset turns the parser's count of runes into one of bytes.
func byteOffset(text string, runes int) int {
	for i := range text {
		if runes <= 0 {
			return i
		}
		runes--
	}
	return len(text)
}

func syntaxMessage(m string) string {
	if strings.HasPrefix(m, "unexpected token EOF") {
		return "the expression ends too early"
	}
	m = strings.TrimPrefix(m, "compilation failed: ")
	if m == "" {
		return "the expression cannot be read"
	}
	return strings.ToLower(m[:1]) + m[1:]
}

// syntaxHint knows what people bring along from other languages.
func syntaxHint(rest string) string {
	lower := strings.ToLower(rest)
	switch {
	case strings.HasPrefix(rest, "="):
		return "write == to compare"
	case strings.HasPrefix(lower, "is null"), strings.HasPrefix(lower, "is not null"):
		return "write == nil or != nil"
	case strings.HasPrefix(rest, "AND"), strings.HasPrefix(rest, "OR"), strings.HasPrefix(rest, "IN"), strings.HasPrefix(rest, "NOT"):
		return "write and, or, in, not in small letters"
	case strings.HasPrefix(lower, "like"):
		return "write startsWith, endsWith or contains"
	case strings.HasPrefix(rest, "<>"):
		return "write !="
	}
	return ""
}
