package telemetry

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Stream holds the numbers of one stream's membership in its consumer group.
type Stream struct {
	Rebalances Counter // generations of the group that this program has taken part in
	Kept       Counter // slots that went on through a rebalance
	Gained     Counter // slots that came with one
	Lost       Counter // slots that went with one, settled or cut off

	Slots Gauge // that it has now

	state condition
}

// condition is how something is, and since when.
type condition struct {
	mu     sync.Mutex
	state  State
	reason string
	since  time.Time
}

// SetState says how the stream is, apart from its lanes: Idle before it is
// opened, NoRegistry and NoBroker while it waits for those to begin or to join
// its group, Running as a member. reason is for people, and empty when all is
// well.
func (s *Stream) SetState(state State, reason string) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if s.state.state != state || s.state.reason != reason {
		s.state.state, s.state.reason, s.state.since = state, reason, time.Now()
	}
}

// StreamSnapshot is a copy of a Stream's numbers.
type StreamSnapshot struct {
	Stream     string `json:"stream"`
	State      State  `json:"state"`
	Reason     string `json:"reason,omitempty"`
	Rebalances int64  `json:"rebalances"`
	Kept       int64  `json:"slots_kept"`
	Gained     int64  `json:"slots_gained"`
	Lost       int64  `json:"slots_lost"`
	Slots      int64  `json:"slots"`

	Since time.Time `json:"since"` // that it is in the state
}

// Stream gives the numbers of a stream, the same ones each time.
func (r *Registry) Stream(name string) *Stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.streams[name]
	if s == nil {
		s = &Stream{state: condition{since: time.Now()}}
		r.streams[name] = s
	}
	return s
}

// memberships copies the numbers of all streams, by name. r.mu is held.
func (r *Registry) memberships() []StreamSnapshot {
	all := make([]StreamSnapshot, 0, len(r.streams))
	for name, s := range r.streams {
		s.state.mu.Lock()
		state, reason, since := s.state.state, s.state.reason, s.state.since
		s.state.mu.Unlock()
		all = append(all, StreamSnapshot{Stream: name, State: state, Reason: reason, Since: since, Rebalances: s.Rebalances.Value(), Kept: s.Kept.Value(),
			Gained: s.Gained.Value(), Lost: s.Lost.Value(), Slots: s.Slots.Value()})
	}
	slices.SortFunc(all, func(a, b StreamSnapshot) int { return cmp.Compare(a.Stream, b.Stream) })
	return all
}
