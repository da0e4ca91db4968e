package sinktest_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/rpc"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// memory is a destination that keeps rows in memory and is reached over TCP, so
// that requests and answers can be lost. Its bug is what a mutant does wrong on
// the side of the server.
type memory struct {
	bug string

	mu       sync.Mutex
	areas    map[string]*area
	listener net.Listener
	conns    map[net.Conn]bool
	addr     string
	wg       sync.WaitGroup
}

// area is one destination.
type area struct {
	Rows   [][]cell            // of Atomic sinks
	Named  map[string][][]cell // of Replay sinks, by the name of the batch
	Slots  map[string]position // by sink, incarnation, topic and partition
	Staged map[string]stage
}

// cell is one value as it is stored.
type cell struct {
	Null bool
	Text []byte
}

type position struct {
	Sink, Incarnation, Topic string
	Partition                int32
	Next                     int64
	Last                     record.Cut // of the whole slot
}

type stage struct {
	Rows [][]cell
	Gone bool // fenced, or visible already
	Done bool
}

// startMemory starts a server that ends with the test.
func startMemory(t testing.TB, bug string) *memory {
	t.Helper()
	m := &memory{bug: bug, areas: map[string]*area{}, conns: map[net.Conn]bool{}, addr: "127.0.0.1:0"}
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Kill() })
	return m
}

// Start serves; what was stored before is still there.
func (m *memory) Start() error {
	l, err := net.Listen("tcp", m.addr)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.listener, m.addr = l, l.Addr().String()
	m.mu.Unlock()
	server := rpc.NewServer()
	if err := server.RegisterName("Memory", &methods{m}); err != nil {
		return err
	}
	m.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.conns[conn] = true
			m.mu.Unlock()
			m.wg.Go(func() {
				server.ServeConn(conn)
				m.mu.Lock()
				delete(m.conns, conn)
				m.mu.Unlock()
			})
		}
	})
	return nil
}

// Kill ends it.
func (m *memory) Kill() error {
	m.mu.Lock()
	m.listener.Close()
	for c := range m.conns {
		c.Close()
	}
	m.mu.Unlock()
	m.wg.Wait()
	return nil
}

// rows are what a user sees.
func (m *memory) rows(name string) [][]cell {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.area(name)
	all := slices.Clone(a.Rows)
	for _, n := range slices.Sorted(maps.Keys(a.Named)) {
		all = append(all, a.Named[n]...)
	}
	return all
}

func (m *memory) area(name string) *area {
	if m.areas[name] == nil {
		m.areas[name] = &area{Named: map[string][][]cell{}, Slots: map[string]position{}, Staged: map[string]stage{}}
	}
	return m.areas[name]
}

// methods are what the sink calls.
type methods struct{ m *memory }

// Request is every request.
type Request struct {
	Area, Sink string
	Claim      sink.Claim
	Cut        record.Cut
	Owner      string
	Token      string
	Rows       [][]cell
	Delivery   sink.Delivery
	Resumes    bool
	Only       string // "rows" or "position": a mutant's half of a commit
}

// Answer is every answer. Stale and Gone are refusals.
type Answer struct {
	Found   sink.Found
	Stale   string
	Gone    bool
	Outcome sink.Outcome
}

func key(q *Request, partition int32) string {
	return fmt.Sprintf("%s|%s|%s|%d", q.Sink, q.Claim.Incarnation, q.Claim.Topic, partition)
}

// Ping answers.
func (s *methods) Ping(*Request, *Answer) error { return nil }

// Claim finds what there is.
func (s *methods) Claim(q *Request, r *Answer) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	a, f := s.m.area(q.Area), &r.Found
	f.High = make([]int64, q.Claim.Partitions)
	for i := range f.High {
		f.High[i] = -1
		if p, ok := a.Slots[key(q, q.Claim.Partition+int32(i))]; ok {
			f.High[i] = p.Next
			if p.Last.Partition == q.Claim.Partition && q.Delivery == sink.Atomic {
				f.Last = p.Last
			}
		}
	}
	for _, p := range a.Slots {
		if p.Sink == q.Sink {
			f.State = sink.Has
			if p.Topic == q.Claim.Topic && p.Incarnation != q.Claim.Incarnation && s.m.bug != "forgets other incarnations" {
				f.OtherIncarnation = p.Incarnation
			}
		}
	}
	switch s.m.bug {
	case "forgets the position":
		f.High = slices.Repeat([]int64{-1}, q.Claim.Partitions)
	case "finds more than there is":
		for i := range f.High {
			f.High[i]++
		}
	case "finds no dead set":
		f.Last.Dead = nil
	case "forgets that it was there":
		f.State = sink.Empty
	}
	return nil
}

// Stage keeps rows that are not visible.
func (s *methods) Stage(q *Request, _ *Answer) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	a := s.m.area(q.Area)
	a.Staged[q.Token] = stage{Rows: q.Rows}
	if s.m.bug == "shows what is staged" {
		a.Named[batchName(q)] = q.Rows
	}
	return nil
}

// Resume finishes what was staged, or fences it.
func (s *methods) Resume(q *Request, r *Answer) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	a := s.m.area(q.Area)
	st := a.Staged[q.Token]
	r.Outcome = sink.Never
	if st.Done || s.m.bug == "resumes what is not there" {
		r.Outcome = sink.Done
	}
	if s.m.bug != "does not fence what it resumes" {
		st.Gone = true
	}
	a.Staged[q.Token] = st
	return nil
}

// Commit makes rows visible.
func (s *methods) Commit(q *Request, r *Answer) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	a := s.m.area(q.Area)
	if q.Resumes {
		st := a.Staged[q.Token]
		if st.Done {
			return nil
		}
		if st.Gone {
			r.Gone = true
			return nil
		}
		a.Staged[q.Token] = stage{Gone: true, Done: true}
		a.Named["token "+q.Token] = st.Rows
		s.move(a, q)
		return nil
	}
	if q.Delivery == sink.Atomic {
		return s.atomic(a, q, r)
	}
	name := batchName(q)
	switch s.m.bug {
	case "doubles on retry":
		name += fmt.Sprint(len(a.Named))
	case "names batches by their owner":
		name += q.Owner
	case "names batches by the order of their rows":
		name = fmt.Sprintf("%s%x", q.Sink, sha256.Sum256(fmt.Append(nil, q.Rows)))
	case "names batches by their first partition":
		name = strings.Split(name, ") ")[0]
	case "names batches by their first offset":
		name = strings.Split(name, ",")[0]
	}
	if !(s.m.bug == "fails on empty batches" && len(q.Rows) == 0) {
		a.Named[name] = q.Rows
		s.move(a, q)
		return nil
	}
	return errors.New("a batch without rows")
}

func batchName(q *Request) string { return q.Sink + q.Claim.Incarnation + q.Cut.String() }

// atomic compares the position, writes, and moves it.
func (s *methods) atomic(a *area, q *Request, r *Answer) error {
	if q.Only != "rows" {
		last, stored := record.Cut{}, ""
		moved := false
		for i, c := range q.Cut.Ranges {
			p, ok := a.Slots[key(q, q.Cut.Partition+int32(i))]
			last = p.Last
			switch {
			case !ok:
			case s.m.bug == "ignores the compare-and-set":
			case s.m.bug == "accepts a gap" && c.First >= p.Next:
			case s.m.bug == "compares the first partition only" && i > 0:
			case p.Next != c.First:
				moved = true
			}
			stored += fmt.Sprintf("[%d]", p.Next)
		}
		if moved {
			if !last.Equal(q.Cut) || s.m.bug == "takes a repeat for another batch" {
				r.Stale = stored
			}
			return nil
		}
	}
	if q.Only != "position" {
		a.Rows = append(a.Rows, q.Rows...)
	}
	if q.Only != "rows" && !(s.m.bug == "loses empty batches" && len(q.Rows) == 0) {
		s.move(a, q)
	}
	return nil
}

func (s *methods) move(a *area, q *Request) {
	for i, c := range q.Cut.Ranges {
		k := key(q, q.Cut.Partition+int32(i))
		next := c.Next
		if q.Delivery != sink.Atomic {
			next = max(next, a.Slots[k].Next)
		}
		a.Slots[k] = position{q.Sink, q.Claim.Incarnation, q.Claim.Topic, q.Cut.Partition + int32(i), next, q.Cut}
	}
}
