package decode

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicekit/sluice/core/record"
)

// parsePath reads the text of a path: header.ids[0]. It is the inverse of
// record.Path.String.
func parsePath(text string) (record.Path, error) {
	var p record.Path
	rest := text
	for rest != "" {
		if rest[0] == '[' {
			end := strings.IndexByte(rest, ']')
			if end < 0 || len(p) == 0 {
				return nil, fmt.Errorf("path %q: an index is [0] or [-1], behind a name", text)
			}
			i, err := strconv.ParseInt(rest[1:end], 10, 32)
			if err != nil {
				return nil, fmt.Errorf("path %q: an index is a whole number", text)
			}
			p, rest = append(p, record.Step{Index: int(i)}), rest[end+1:]
			continue
		}
		if len(p) > 0 {
			if rest[0] != '.' {
				return nil, fmt.Errorf("path %q: a dot goes between names", text)
			}
			rest = rest[1:]
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return nil, fmt.Errorf("path %q: an empty name", text)
		}
		p, rest = append(p, record.Step{Name: rest[:end]}), rest[end:]
	}
	if len(p) == 0 {
		return nil, fmt.Errorf("an empty path")
	}
	return p, nil
}

// tree is the wanted values in the shape of the event.
type tree struct {
	path  record.Path // in the raw event
	cols  []int       // columns that take the value here
	names []string    // children by name, and
	kids  []*tree
	index []int // by index into a list
	items []*tree
	text  bool // a string here holds JSON, in which the children lie
}

// newTree builds the tree of paths; path i belongs to column i.
func newTree(paths []record.Path) *tree {
	root := &tree{}
	for col, p := range paths {
		t := root
		for i, s := range p {
			t = t.child(s, p[:i+1])
		}
		t.cols = append(t.cols, col)
	}
	return root
}

// child finds or makes the subtree behind one step.
func (t *tree) child(s record.Step, path record.Path) *tree {
	if s.Name == "" {
		for i, x := range t.index {
			if x == s.Index {
				return t.items[i]
			}
		}
		t.index = append(t.index, s.Index)
		t.items = append(t.items, &tree{path: path})
		return t.items[len(t.items)-1]
	}
	if k := t.byName(s.Name); k != nil {
		return k
	}
	t.names = append(t.names, s.Name)
	t.kids = append(t.kids, &tree{path: path})
	return t.kids[len(t.kids)-1]
}

func (t *tree) byName(name string) *tree {
	for i, n := range t.names {
		if n == name {
			return t.kids[i]
		}
	}
	return nil
}

// deep says whether something below the value is wanted.
func (t *tree) deep() bool { return len(t.kids)+len(t.items) > 0 }

// at is the subtree at a path, or nil.
func (t *tree) at(p record.Path) *tree {
	for _, s := range p {
		if s.Name == "" || t == nil {
			return nil
		}
		t = t.byName(s.Name)
	}
	return t
}

// columns lists every column of the subtree.
func (t *tree) columns() []int {
	out := append([]int(nil), t.cols...)
	for _, k := range t.kids {
		out = append(out, k.columns()...)
	}
	for _, k := range t.items {
		out = append(out, k.columns()...)
	}
	return out
}
