package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a Spec.
type Problem struct {
	Part    string // where, fields.NAME, fields.NAME.as, aggregate.by[I] or aggregate.columns.NAME; fields or aggregate for the whole
	Offset  int    // byte in that text
	Message string
	Hint    string // "did you mean payload.price?", or what to write; may be empty
}

// Error is the problem in one line.
func (p Problem) Error() string {
	s := fmt.Sprintf("%s: byte %d: %s", p.Part, p.Offset, p.Message)
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// didYouMean is the hint that offers names; "" without any.
func didYouMean(names []string) string {
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return "did you mean " + names[0] + "?"
	default:
		names = slices.Clone(names)[:min(n, maxNear)]
		last := len(names) - 1
		return "did you mean " + strings.Join(names[:last], ", ") + " or " + names[last] + "?"
	}
}
