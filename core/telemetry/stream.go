package telemetry

import (
	"cmp"
	"slices"
)

// Stream holds the numbers of one stream's membership in its consumer group.
type Stream struct {
	Rebalances Counter // generations of the group that this program has taken part in
	Kept       Counter // slots that went on through a rebalance
	Gained     Counter // slots that came with one
	Lost       Counter // slots that went with one, settled or cut off

	Slots Gauge // that it has now
}

// StreamSnapshot is a copy of a Stream's numbers.
type StreamSnapshot struct {
	Stream     string `json:"stream"`
	Rebalances int64  `json:"rebalances"`
	Kept       int64  `json:"slots_kept"`
	Gained     int64  `json:"slots_gained"`
	Lost       int64  `json:"slots_lost"`
	Slots      int64  `json:"slots"`
}

// Stream gives the numbers of a stream, the same ones each time.
func (r *Registry) Stream(name string) *Stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.streams[name]
	if s == nil {
		s = &Stream{}
		r.streams[name] = s
	}
	return s
}

// memberships copies the numbers of all streams, by name. r.mu is held.
func (r *Registry) memberships() []StreamSnapshot {
	all := make([]StreamSnapshot, 0, len(r.streams))
	for name, s := range r.streams {
		all = append(all, StreamSnapshot{Stream: name, Rebalances: s.Rebalances.Value(), Kept: s.Kept.Value(),
			Gained: s.Gained.Value(), Lost: s.Lost.Value(), Slots: s.Slots.Value()})
	}
	slices.SortFunc(all, func(a, b StreamSnapshot) int { return cmp.Compare(a.Stream, b.Stream) })
	return all
}
