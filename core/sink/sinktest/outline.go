package sinktest

import (
	"regexp"
	"strings"
)

// line is one key of an example.
type line struct {
	path      string // its own and those it stands under, with dots
	commented bool   // beside it or directly above, or what it stands under is
}

// keyLine is a key of a block mapping: examples are written for people, with
// one key a line, so that a reader of all YAML is not needed.
var keyLine = regexp.MustCompile(`^( *)("?)([A-Za-z_][A-Za-z0-9_]*)"?:( .*)?$`)

// flowKey is a key of a flow mapping.
var flowKey = regexp.MustCompile(`[{,]\s*([A-Za-z_][A-Za-z0-9_]*):\s`)

// lines lists the keys of an example's part. Those of a flow mapping share the
// comment of its line.
func lines(text string) (all []line) {
	type step struct {
		indent    int
		name      string
		commented bool
	}
	var stack []step
	above := false
	for _, raw := range strings.Split(text, "\n") {
		code, beside := cutComment(raw)
		if strings.TrimSpace(code) == "" {
			above = above && strings.TrimSpace(raw) != "" || beside
			continue
		}
		m := keyLine.FindStringSubmatch(code)
		if m == nil {
			above = false
			continue
		}
		indent := len(m[1])
		for len(stack) > 0 && stack[len(stack)-1].indent >= indent {
			stack = stack[:len(stack)-1]
		}
		commented := beside || above || len(stack) > 2 && stack[len(stack)-1].commented
		stack = append(stack, step{indent, m[3], commented})
		names := make([]string, len(stack))
		for i, s := range stack {
			names[i] = s.name
		}
		l := line{strings.Join(names, "."), commented}
		all = append(all, l)
		if value := strings.TrimSpace(m[4]); strings.HasPrefix(value, "{") {
			for _, k := range flowKey.FindAllStringSubmatch(value, -1) {
				all = append(all, line{l.path + "." + k[1], l.commented})
			}
		}
		above = false
	}
	return all
}

// cutComment parts a line of YAML from its comment.
func cutComment(raw string) (code string, commented bool) {
	quote := byte(0)
	for i := range len(raw) {
		c := raw[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#' && (i == 0 || raw[i-1] == ' '):
			return strings.TrimRight(raw[:i], " "), true
		}
	}
	return strings.TrimRight(raw, " "), false
}
