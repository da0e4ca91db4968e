package deadletter

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Group is the letters of one sink that have one kind of reason.
type Group struct {
	Sink        string
	Reason      string // as Class makes it
	Letters     int64
	First, Last Place // by the time of writing
}

// Place is where and when a letter of a group is.
type Place struct {
	Written   time.Time
	Topic     string
	Partition int32
	Offset    int64
}

// Summary counts letters by sink and kind of reason. Its zero value is ready.
type Summary struct {
	groups map[groupKey]*Group
}

type groupKey struct{ sink, reason string }

// maxGroups bounds what a summary holds: reasons come from elsewhere, too, and
// one that never repeats would fill the memory.
const maxGroups = 10_000

// otherReasons is the group of what is beyond.
const otherReasons = "other reasons"

// Add counts one letter.
func (s *Summary) Add(f *Found) {
	if s.groups == nil {
		s.groups = map[groupKey]*Group{}
	}
	key := groupKey{f.Sink, Class(f.Reason)}
	g := s.groups[key]
	if g == nil && len(s.groups) >= maxGroups {
		key = groupKey{reason: otherReasons}
		g = s.groups[key]
	}
	at := Place{Written: f.Written, Topic: f.Topic, Partition: f.Partition, Offset: f.Offset}
	if g == nil {
		g = &Group{Sink: key.sink, Reason: key.reason, First: at, Last: at}
		s.groups[key] = g
	}
	g.Letters++
	if at.before(g.First) {
		g.First = at
	}
	if g.Last.before(at) {
		g.Last = at
	}
}

// before orders by time of writing; what was written at once by place.
func (p Place) before(o Place) bool {
	return cmp.Or(p.Written.Compare(o.Written), cmp.Compare(p.Topic, o.Topic), cmp.Compare(p.Partition, o.Partition), cmp.Compare(p.Offset, o.Offset)) < 0
}

// Groups lists them by sink, those with the most letters first.
func (s *Summary) Groups() []Group {
	out := make([]Group, 0, len(s.groups))
	for _, g := range s.groups {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Sink, b.Sink), -cmp.Compare(a.Letters, b.Letters), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// longestClass bounds a kind of reason, in bytes.
const longestClass = 300

// Class is the kind of a reason: the reason, with # for each number that stands
// by itself, since "schema id 17" and "schema id 18" are one trouble. A number
// that is a part of a name stays, as in payload.cost2.
func Class(reason string) string {
	var b strings.Builder
	name := false // the character before belongs to a word
	for i := 0; i < len(reason) && b.Len() < longestClass; {
		c := reason[i]
		if digit(c) && !name {
			for i < len(reason) && digit(reason[i]) {
				i++
			}
			if i < len(reason) && letter(reason[i]) {
				// 0x1f and 1e5, and ids that begin with a digit
				for i < len(reason) && (letter(reason[i]) || digit(reason[i])) {
					i++
				}
			}
			b.WriteByte('#')
			continue
		}
		name = letter(c) || name && digit(c)
		_, n := utf8.DecodeRuneInString(reason[i:])
		b.WriteString(reason[i : i+n])
		i += n
	}
	return b.String()
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}
