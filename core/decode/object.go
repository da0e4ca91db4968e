package decode

func (s *scanner) object(b []byte, i int, t *target, depth int) int {
	if depth > s.depth {
		return s.fail(faultDepth, t)
	}
	i = space(b, i)
	if uint(i) < uint(len(b)) && b[i] == '}' {
		return i + 1
	}
	deep := t != nil && t.deep
	for n := 0; ; n++ {
		var kid *target
		length := 0
		if deep {
			n, length = t.usual.guess(b, i, n)
		}
		if length > 0 {
			kid, i = t.usual[n].kid, i+length
		} else if kid, i = s.member(b, i, t, n); i < 0 {
			return -1
		}
		if i = s.value(b, space(b, i), kid, depth); i < 0 {
			return -1
		}
		i = space(b, i)
		switch {
		case uint(i) >= uint(len(b)):
			return s.fail(faultTruncated, t)
		case b[i] == ',':
			i = space(b, i+1)
		case b[i] == '}':
			return i + 1
		default:
			return s.fail(faultSyntax, t)
		}
	}
}

// member reads a key and its colon, where t's member n was looked for, and
// finds what is wanted of its value.
func (s *scanner) member(b []byte, i int, t *target, n int) (kid *target, next int) {
	if uint(i) >= uint(len(b)) {
		return nil, s.fail(faultTruncated, t)
	}
	if b[i] != '"' {
		return nil, s.fail(faultSyntax, t)
	}
	end, escaped := s.quoted(b, i+1, t)
	if end < 0 {
		return nil, -1
	}
	deep := t != nil && t.deep
	if deep {
		kid = s.lookup(b[i+1:end-1], escaped, t)
	}
	if uint(end) < uint(len(b)) && b[end] == ':' {
		if deep {
			t.usual.learn(n, b[i:end+1], kid)
		}
		return kid, end + 1
	}
	if i = space(b, end); i >= len(b) {
		return nil, s.fail(faultTruncated, t)
	}
	if b[i] != ':' {
		return nil, s.fail(faultSyntax, t)
	}
	return kid, i + 1
}

// lookup finds the wanted child of a key.
func (s *scanner) lookup(key []byte, escaped bool, t *target) *target {
	if escaped {
		s.key = unescape(s.key[:0], key)
		key = s.key
	}
	return t.child(key)
}

// enter prepares for a value at t. When the document had one there before, it
// gives way, with all that was found below it: of equal keys the last counts.
func (s *scanner) enter(t *target) {
	if t.seen == s.round {
		clear(s.spans[t.low:t.high])
	}
	t.seen = s.round
}

const (
	// usualMembers and usualText bound what a target remembers, since keys come
	// from events.
	usualMembers = 256
	usualText    = 64
)

// member is a key that an object held, and where its value goes.
type member struct {
	text []byte // as it stood: quotes, key and colon
	kid  *target
}

// usual is the order in which the last objects at a target held their keys.
// Events of one origin mostly have the same keys in the same order, and one
// comparison then takes the place of scanning, checking and looking up a key.
type usual []member

// guess compares what stands at b[i:] with member n and with the one behind it,
// since a member may be missing. It answers which it was and how long its text
// is; length 0: neither.
func (u usual) guess(b []byte, i, n int) (at, length int) {
	for at = n; at < len(u) && at < n+2; at++ {
		text := u[at].text
		if end := i + len(text); end <= len(b) && string(b[i:end]) == string(text) {
			return at, len(text)
		}
	}
	return n, 0
}

// learn notes the text that stood where member n was looked for.
func (u *usual) learn(n int, text []byte, kid *target) {
	switch {
	case len(text) > usualText || n >= usualMembers:
		return
	case n >= len(*u):
		n = len(*u)
		*u = append(*u, member{})
	}
	m := &(*u)[n]
	m.text, m.kid = append(m.text[:0], text...), kid
}
