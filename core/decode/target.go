package decode

// target is a place in a JSON document at which or below which something is
// wanted.
type target struct {
	path  string
	spans []int // that the value here goes to
	deep  bool  // something below is wanted
	text  bool  // a string here holds JSON
	// The spans of this value and of everything below it are [low, high).
	low, high int
	seen      uint64 // the round in which it was last entered
	usual     usual

	names []string
	kids  []*target
	table []uint8 // hash of a name → its number + 1; a power of two long

	index   []int
	items   []*target
	fromEnd bool // an index is negative
}

// newTarget mirrors a tree. Span i belongs to the i-th of the columns that it
// returns.
func newTarget(t *tree, show func(*tree) string) (*target, []int32) {
	var cols []int32
	var build func(t *tree) *target
	build = func(t *tree) *target {
		n := &target{path: show(t), deep: t.deep(), text: t.text, low: len(cols), names: t.names, index: t.index}
		for _, c := range t.cols {
			n.spans = append(n.spans, len(cols))
			cols = append(cols, int32(c))
		}
		for _, k := range t.kids {
			n.kids = append(n.kids, build(k))
		}
		for i, k := range t.items {
			n.items = append(n.items, build(k))
			n.fromEnd = n.fromEnd || t.index[i] < 0
		}
		n.high = len(cols)
		n.hash()
		return n
	}
	return build(t), cols
}

// hash fills the table. Up to 255 names are hashed; of more, none.
func (t *target) hash() {
	if len(t.names) == 0 || len(t.names) > 255 {
		return
	}
	size := 8
	for size < 4*len(t.names) {
		size *= 2
	}
	t.table = make([]uint8, size)
	for i, name := range t.names {
		h := hashName([]byte(name))
		for ; t.table[h&uint32(size-1)] != 0; h++ {
		}
		t.table[h&uint32(size-1)] = uint8(i + 1)
	}
}

// hashName mixes length, first, middle and last byte: enough to tell apart the
// names of one object, mostly.
func hashName(k []byte) uint32 {
	n := len(k)
	if n == 0 {
		return 0
	}
	h := uint32(n) | uint32(k[0])<<8 | uint32(k[n-1])<<16 | uint32(k[n>>1])<<24
	h *= 0x9e3779b1
	return h >> 16
}

// child is the target behind a name, or nil.
func (t *target) child(key []byte) *target {
	if t.table == nil {
		for i, n := range t.names {
			if n == string(key) {
				return t.kids[i]
			}
		}
		return nil
	}
	mask := uint32(len(t.table) - 1)
	for h := hashName(key); ; h++ {
		k := t.table[h&mask]
		if k == 0 {
			return nil
		}
		if t.names[k-1] == string(key) {
			return t.kids[k-1]
		}
	}
}
