package decode

// blocks reads the block headers of an array or map. A block's count below
// zero is followed by its size in bytes, which must be right.
type blocks struct {
	limit int // entries left
	until int // where the block has to end, 0 if its size is not given
}

// next is the number of entries in the next block, 0 behind the last.
func (k *blocks) next(b []byte, i int) (n, next int, f fault) {
	u, i := varint(b, i)
	if i < 0 {
		return 0, 0, varintFault(i)
	}
	count := zigzag(u)
	k.until = 0
	if count < 0 {
		u, i = varint(b, i)
		if i < 0 {
			return 0, 0, varintFault(i)
		}
		if u&1 != 0 || u>>1 > uint64(len(b)-i) {
			return 0, 0, faultCount
		}
		k.until = i + int(u>>1)
		// The smallest integer stays below zero, and is refused below.
		count = -count
	}
	if count < 0 || count > int64(k.limit) {
		return 0, 0, faultCount
	}
	k.limit -= int(count)
	return int(count), i, 0
}

// end checks that a block ends at i.
func (k *blocks) end(i int) fault {
	if k.until != 0 && k.until != i {
		return faultCount
	}
	return 0
}

// skipNode walks over a value. Values of one size are not visited one by one,
// so that the time is bounded by the bytes: entries without any would be free
// otherwise.
func skipNode(n *node, b []byte, i, depth int, l *Limits) (int, fault) {
	if n.fixed >= 0 {
		if n.fixed > len(b)-i {
			return 0, faultTruncated
		}
		return i + n.fixed, 0
	}
	if depth >= l.Depth && n.container() {
		return 0, faultDepth
	}
	switch n.kind {
	case avroString, avroBytes:
		_, next, f := lengthed(b, i)
		return next, f
	case avroRecord:
		for _, p := range n.parts {
			if p.fixed > len(b)-i {
				return 0, faultTruncated
			}
			i += p.fixed
			if p.typ == nil {
				break
			}
			var f fault
			if i, f = skipNode(p.typ, b, i, depth+1, l); f != 0 {
				return 0, f
			}
		}
		return i, 0
	case avroUnion:
		u, next, f := index(b, i, len(n.branches))
		if f != 0 {
			return 0, f
		}
		return skipNode(n.branches[u], b, next, depth, l)
	case avroArray, avroMap:
		return skipEntries(n, b, i, depth, l)
	}
	if i = skipVarint(b, i); i < 0 {
		return 0, varintFault(i)
	}
	return i, 0
}

func skipEntries(n *node, b []byte, i, depth int, l *Limits) (int, fault) {
	k := blocks{limit: l.Items}
	for {
		count, next, f := k.next(b, i)
		if f != 0 || count == 0 {
			return next, f
		}
		i = next
		if n.kind == avroArray && n.items.fixed >= 0 {
			if int64(count)*int64(n.items.fixed) > int64(len(b)-i) {
				return 0, faultTruncated
			}
			i, count = i+count*n.items.fixed, 0
		}
		for range count {
			if n.kind == avroMap {
				if _, i, f = lengthed(b, i); f != 0 {
					return 0, f
				}
			}
			if i, f = skipNode(n.items, b, i, depth+1, l); f != 0 {
				return 0, f
			}
		}
		if f := k.end(i); f != 0 {
			return 0, f
		}
	}
}

// find is where the wanted entry of an array or map starts, -1 if it has none.
// The value has been walked over before, so it is sound. Of equal keys the
// last counts.
func find(n *node, e *entry, b []byte, i, depth int, l *Limits) (int, fault) {
	index := e.index
	if n.kind == avroArray && index < 0 {
		count, f := countEntries(n, b, i, depth, l)
		if index += count; f != 0 || index < 0 {
			return -1, f
		}
	}
	found := -1
	k := blocks{limit: l.Items}
	for seen := 0; ; {
		count, next, f := k.next(b, i)
		if f != 0 || count == 0 {
			return found, f
		}
		i = next
		for range count {
			if n.kind == avroMap {
				var key []byte
				if key, i, f = lengthed(b, i); f != 0 {
					return 0, f
				}
				if string(key) == e.name {
					found = i
				}
			} else if seen == index {
				return i, 0
			}
			seen++
			if i, f = skipNode(n.items, b, i, depth+1, l); f != 0 {
				return 0, f
			}
		}
	}
}

func countEntries(n *node, b []byte, i, depth int, l *Limits) (int, fault) {
	total := 0
	k := blocks{limit: l.Items}
	for {
		count, next, f := k.next(b, i)
		if f != 0 || count == 0 {
			return total, f
		}
		total += count
		i = next
		for range count {
			if i, f = skipNode(n.items, b, i, depth+1, l); f != 0 {
				return 0, f
			}
		}
	}
}

// container says whether a type nests values: those count as depth.
func (n *node) container() bool {
	return n.kind == avroRecord || n.kind == avroArray || n.kind == avroMap
}
