package deadletter

import (
	"cmp"
	"slices"
	"time"

	"github.com/sluicekit/sluice/core/lane"
)

// Group is the letters of one sink that have one kind of reason.
type Group struct {
	Sink        string
	Reason      string // as lane.ReasonClass makes it
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
	key := groupKey{f.Sink, lane.ReasonClass(f.Reason)}
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
