package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unicode/utf16"

	"github.com/sluicekit/sluice/core/ledger"
)

// Coordinator keeps the offsets of one group. The zero value is an empty one.
type Coordinator struct {
	mu         sync.Mutex
	stored     map[ledger.Place]ledger.Stored
	generation int
	late       []late
}

type late struct {
	generation int
	commits    []ledger.Commit
}

// Fault is what happens to one commit.
type Fault uint8

// The faults.
const (
	None    Fault = iota
	Refuse        // definitely not stored; the member stays
	Lost          // stored, but the answer is lost
	Dropped       // not stored, and no answer
	Delayed       // no answer; Deliver applies it later
	Unsure        // stored, and the answer does not say so
	Partial       // the last partition has an error of its own, the others are stored
	Moved         // not stored: the group is in its next generation, and so is the member
)

// Limits of Kafka, as it was measured.
const (
	maxUnits   = 4096
	maxRequest = 251 * 4096
)

// Member is one membership of a group, at one generation. It implements
// ledger.Group.
type Member struct {
	of         *Coordinator
	generation int

	mu      sync.Mutex
	decide  func([]ledger.Commit) Fault
	flying  int
	commits int
	overlap bool
	late    bool
	ended   []error
}

// Join makes the next generation, with one member; older ones are fenced.
func (c *Coordinator) Join() *Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	return &Member{of: c, generation: c.generation}
}

// Decide sets what happens to the commits from now on; nil: no fault. The
// function may block, which holds the commit.
func (m *Member) Decide(f func(commits []ledger.Commit) Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.decide = f
}

// Commit is ledger.Group's.
func (m *Member) Commit(ctx context.Context, commits []ledger.Commit) error {
	m.mu.Lock()
	decide := m.decide
	m.commits++
	m.flying++
	m.overlap = m.overlap || m.flying > 1
	m.late = m.late || len(m.ended) > 0
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.flying--
		m.mu.Unlock()
	}()
	fault := None
	if decide != nil {
		fault = decide(commits)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	return m.of.commit(m.generation, commits, fault)
}

// Fetch is ledger.Group's.
func (m *Member) Fetch(ctx context.Context, topic string, partitions []int32) ([]ledger.Stored, error) {
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	var all []ledger.Stored
	for _, p := range partitions {
		s, ok := m.of.stored[ledger.Place{Topic: topic, Partition: p}]
		if !ok {
			s = ledger.Stored{Partition: p, Offset: -1, LeaderEpoch: -1}
		}
		all = append(all, s)
	}
	return all, ctx.Err()
}

// End is ledger.Group's.
func (m *Member) End(reason error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = append(m.ended, reason)
}

// Commits is how many commits were sent.
func (m *Member) Commits() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commits
}

// Ended are the reasons given to End.
func (m *Member) Ended() []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]error(nil), m.ended...)
}

// Misused says what a Writer must never do and did: two commits at a time, or
// one after End.
func (m *Member) Misused() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.overlap:
		return errors.New("two commits at a time")
	case m.late:
		return errors.New("a commit after the end of the membership")
	}
	return nil
}

// Set stores something as another program would; Delete forgets it.
func (c *Coordinator) Set(topic string, s ledger.Stored) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(ledger.Place{Topic: topic, Partition: s.Partition}, s)
}

// Delete forgets a partition, as expiry does.
func (c *Coordinator) Delete(topic string, partition int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.stored, ledger.Place{Topic: topic, Partition: partition})
}

// Stored is what a partition holds.
func (c *Coordinator) Stored(topic string, partition int32) (ledger.Stored, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.stored[ledger.Place{Topic: topic, Partition: partition}]
	return s, ok
}

// Deliver applies the delayed commits of the current generation, and returns
// how many there were. Those of older ones are refused, as Kafka does.
func (c *Coordinator) Deliver() (applied int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.late {
		if l.generation == c.generation {
			c.store(l.commits)
			applied++
		}
	}
	c.late = nil
	return applied
}

func (c *Coordinator) commit(generation int, commits []ledger.Commit, fault Fault) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if fault == Moved {
		return &ledger.Refused{Moved: true, Err: errors.New("illegal generation")}
	}
	switch {
	case fault == Dropped:
		return errors.New("no answer")
	case fault == Delayed:
		c.late = append(c.late, late{generation, append([]ledger.Commit(nil), commits...)})
		return errors.New("no answer")
	case generation != c.generation:
		return &ledger.Refused{Membership: true, Err: errors.New("illegal generation")}
	case fault == Refuse:
		return &ledger.Refused{Err: errors.New("coordinator is loading")}
	}
	size := 0
	for _, p := range commits {
		size += len(p.Metadata)
	}
	if size > maxRequest {
		return &ledger.Refused{Err: errors.New("request too large")}
	}
	var good []ledger.Commit
	for i, p := range commits {
		if len(utf16.Encode([]rune(p.Metadata))) > maxUnits || fault == Partial && i == len(commits)-1 {
			continue
		}
		good = append(good, p)
	}
	stored := c.store(good)
	switch {
	case fault == Unsure:
		return &ledger.Refused{Unsure: true, Err: errors.New("not enough replicas after append")}
	case fault == Lost:
		return errors.New("no answer")
	case len(good) < len(commits):
		return &ledger.Refused{Stored: stored, Err: errors.New("a partition has an error")}
	}
	return nil
}

func (c *Coordinator) store(commits []ledger.Commit) (places []ledger.Place) {
	for _, p := range commits {
		at := ledger.Place{Topic: p.Topic, Partition: p.Partition}
		c.put(at, ledger.Stored{Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: p.Metadata})
		places = append(places, at)
	}
	return places
}

func (c *Coordinator) put(at ledger.Place, s ledger.Stored) {
	if c.stored == nil {
		c.stored = map[ledger.Place]ledger.Stored{}
	}
	c.stored[at] = s
}
