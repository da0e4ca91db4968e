package plan

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
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
	offset, message := byteOffset(text, e.From), syntaxMessage(e.Message)
	if message == tooEarly {
		return problem(len(text), message, "")
	}
	return problem(offset, message, syntaxHint(text, offset))
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

const tooEarly = "the expression ends too early"

// syntaxMessage puts the parser's words in ours.
func syntaxMessage(m string) string {
	token, isToken := strings.CutPrefix(m, "unexpected token ")
	switch {
	case strings.HasPrefix(token, "EOF"), strings.HasPrefix(m, "unexpected end"):
		return tooEarly
	case isToken:
		if _, quoted, ok := strings.Cut(token, "("); ok {
			token = strings.TrimSuffix(quoted, ")")
		}
		return "unexpected " + token
	case strings.HasPrefix(m, "invalid") && strings.Contains(m, "literal: strconv"):
		return "the number is out of range"
	case strings.Contains(m, "maximum allowed nodes"):
		return fmt.Sprintf("the expression has more than %d parts", maxNodes)
	case strings.Contains(m, "coalesce"):
		return "?? next to another operator needs parentheses"
	case m == "":
		return "the expression cannot be read"
	}
	return strings.ToLower(m[:1]) + m[1:]
}

// syntaxHint knows what people bring along from other languages; offset is
// where the parser stopped.
func syntaxHint(text string, offset int) string {
	rest := text[offset:]
	word := rest
	if i := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }); i >= 0 {
		word = rest[:i]
	}
	switch lower := strings.ToLower(word); {
	case strings.HasPrefix(rest, "=") && !strings.HasPrefix(rest, "=="):
		return "write == to compare"
	case offset > 0 && strings.HasPrefix(text[offset-1:], "<>"):
		return "write !="
	case lower == "is":
		return "write == nil or != nil"
	case lower == "like":
		return "write startsWith, endsWith or contains"
	case word != lower && (lower == "and" || lower == "or" || lower == "in" || lower == "not"):
		return "write " + lower
	}
	return ""
}
