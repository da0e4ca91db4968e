package record

import (
	"strconv"
	"strings"
)

// Step is one part of a path: a field's name, or when Name is empty an index
// into a list (negative: from its end).
type Step struct {
	Name  string
	Index int
}

// Path leads from an event to one value in it. Its text, payload.items[0].price,
// is its identity: two expressions that name one path share one column.
type Path []Step

// String is the path as an expression writes it.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.Name == "":
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(s.Index))
			b.WriteByte(']')
		case i > 0:
			b.WriteByte('.')
			b.WriteString(s.Name)
		default:
			b.WriteString(s.Name)
		}
	}
	return b.String()
}

// Want is one value of an event that some sink uses: what a decoder turns into
// a column of Type. A value that an event lacks is null.
type Want struct {
	Path Path
	Type Type
}
