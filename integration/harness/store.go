package harness

import (
	"context"
	"sync"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// store is the server that the sinks of a run write to, and what the harness
// must know of it.
type store struct {
	view       view
	server     server
	addr       string
	framing    stack.Framing
	connection string            // of the YAML, with %s for the address
	sinks      map[string]string // YAML by file
	main       string            // the sink whose positions tell progress
	blocks     bool              // gates look for the blocks of ClickHouse's inserts
	archived   bool              // the sink archive runs beside, which has files
	// commit matches the last that makes a batch visible, write the first of a
	// batch's rows. commit is what they call it.
	commit, write match
	called        string
	// repeats says that a batch may come to the store again; else a batch that
	// comes late is kept out by locks, and nobody can go on before it has ended.
	repeats bool
	// forgetful is a sink whose table forgets which batches it has: forget later at
	// most; forgets matches the last of what its batches are sent with.
	forgetful string
	forget    time.Duration
	forgets   match
	needs     func(e Evidence) []need

	// away is held for writing while the server is killed, for reading by whoever
	// asks it.
	away sync.RWMutex
	seen Evidence // by lives of the server that have ended
}

// server is a process that is killed and started.
type server interface {
	Kill() error
	Start(ctx context.Context) error
}

// view is what a store shows, past all proxies.
type view interface {
	// ready says whether the first instance has come to its first claim.
	ready(ctx context.Context) (bool, error)
	// look takes a snapshot.
	look(ctx context.Context) (*sight, error)
	// goal is where the positions of look must get to, for all of the topic below
	// ends, which the truth knows.
	goal(ends []int64) map[string][]int64
	// check compares all that there is at the end, row by row.
	check(ctx context.Context) error
	// tally is what the server has counted since its start.
	tally(ctx context.Context) (Evidence, error)
}

// sight is what a store shows at one moment.
type sight struct {
	// positions only grow, by sink: most often an offset for each partition, below
	// which all is there and above which nothing is.
	positions map[string][]int64
	// known is up to where the truth must know the topic for compare.
	known []int64
	// compare looks for what must not be.
	compare func() error
}

// match says whether a request is one that is meant.
type match func(r request) bool

// request is what a gate sees of one.
type request struct {
	conn  int
	b     []byte
	phase phase  // of an INSERT into ClickHouse
	query []byte // of that INSERT, its beginning
}

// counted is what the server has counted in all its lives so far.
func (s *store) counted(ctx context.Context) (Evidence, error) {
	e, err := s.view.tally(ctx)
	e.add(s.seen)
	return e, err
}

// count takes what the server has counted, before its life ends.
func (s *store) count(ctx context.Context) error {
	e, err := s.view.tally(ctx)
	s.seen.add(e)
	return err
}
