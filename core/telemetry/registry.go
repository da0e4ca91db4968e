package telemetry

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Registry holds the numbers of one program.
type Registry struct {
	started time.Time

	mu      sync.Mutex
	lanes   map[LaneID]*Lane // by id without Partitions
	streams map[string]*Stream
	memory  func() Memory // nil: nobody has said
}

// Memory is how much of the program's budget is used, in bytes.
type Memory struct {
	Budget  int64 `json:"budget_bytes"`
	Reading int64 `json:"reading_bytes"` // by what is fetched and decoded
	Sinks   int64 `json:"sinks_bytes"`   // by what writers hold
}

// SetMemory says whom Snapshot asks for the use of memory. now must not block.
func (r *Registry) SetMemory(now func() Memory) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.memory = now
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry {
	return &Registry{started: time.Now(), lanes: map[LaneID]*Lane{}, streams: map[string]*Stream{}}
}

// Lane gives the lane of an id, the same one each time. A slot that has grown
// is the same slot: two would be exposed under equal labels, which Prometheus
// refuses.
func (r *Registry) Lane(id LaneID) *Lane {
	key := id
	key.Partitions = 0
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[key]
	if l == nil {
		l = &Lane{id: id, since: time.Now()}
		r.lanes[key] = l
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id.Partitions = id.Partitions
	return l
}

// Snapshot copies the numbers of all streams, by name, and of all lanes, sorted
// by sink, connection, topic and partition.
func (r *Registry) Snapshot() Snapshot {
	r.mu.Lock()
	lanes := make([]*Lane, 0, len(r.lanes))
	for _, l := range r.lanes {
		lanes = append(lanes, l)
	}
	streams, memory := r.memberships(), r.memory
	r.mu.Unlock()
	slices.SortFunc(lanes, func(a, b *Lane) int {
		return cmp.Or(cmp.Compare(a.id.Sink, b.id.Sink), cmp.Compare(a.id.Connection, b.id.Connection),
			cmp.Compare(a.id.Stream, b.id.Stream), cmp.Compare(a.id.Topic, b.id.Topic),
			cmp.Compare(a.id.Partition, b.id.Partition))
	})
	s := Snapshot{Started: r.started, Taken: time.Now(), Streams: streams, Lanes: make([]LaneSnapshot, len(lanes))}
	for i, l := range lanes {
		s.Lanes[i] = l.Snapshot()
	}
	if memory != nil {
		s.Memory = memory()
	}
	return s
}

// Snapshot is a copy of a registry's numbers at one moment.
type Snapshot struct {
	Started time.Time        `json:"started"`
	Taken   time.Time        `json:"taken"`
	Memory  Memory           `json:"memory"`
	Streams []StreamSnapshot `json:"streams"`
	Lanes   []LaneSnapshot   `json:"lanes"`
}
