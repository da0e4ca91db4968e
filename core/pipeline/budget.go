package pipeline

import (
	"context"
	"slices"
	"sync"
)

// Budget bounds the memory of a whole program. One half is for reading:
// fetched answers, what they unpack to, and decoded chunks. The other half is
// for the sinks: the rows of a chunk while they are projected, and what writers
// hold until they commit; see portion. The zero Budget has no bound.
//
// It is the source.Memory of a Fetcher. A reader that finds its half used up first
// takes back what others can do without (see keeper), and then waits for its turn.
type Budget struct {
	Bytes int64

	mu       sync.Mutex
	reading  int64
	waiting  []*waiter // readers, in the order in which they came
	keepers  map[keeper]struct{}
	held     int64      // by all portions
	portions []*portion // those whose lanes wait for room
}

// NewBudget makes a budget of so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{Bytes: bytes} }

// waiter is a reader that waits for n bytes.
type waiter struct {
	n     int64
	ready chan struct{} // closed when it has them
}

// keeper holds memory that it can do without.
type keeper interface {
	// spare gives back what a need asks for, if that does not take long, and
	// returns how many bytes came free.
	spare(n need) int64
}

// need says how badly memory is wanted.
type need int

const (
	idle    need = iota // nobody waits: what has not been used since the last time it was asked for
	unread              // what no lane waits for
	refetch             // what has to be fetched again
	urgent              // what a slow lane is about to take
)

// Reserve waits until there are n bytes for reading. One reader is always let
// in, however much it wants: a record may be larger than the budget.
func (b *Budget) Reserve(ctx context.Context, n int64) error {
	if b.enter(n) {
		return nil
	}
	for need := unread; need <= urgent; need++ {
		if b.reclaim(need, n); b.enter(n) {
			return nil
		}
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, w)
	b.admit()
	b.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, w); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	} else {
		b.reading -= n // it was let in just now
	}
	b.admit()
	return ctx.Err()
}

// enter takes n bytes for reading if there are as many and nobody is before us.
func (b *Budget) enter(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) > 0 || !b.fits(n) {
		return false
	}
	b.reading += n
	return true
}

// fits says whether a reader may have n bytes. b.mu is held.
func (b *Budget) fits(n int64) bool {
	return b.Bytes <= 0 || b.reading == 0 || b.reading+n <= b.Bytes/2
}

// admit lets readers in that wait. b.mu is held.
func (b *Budget) admit() {
	for len(b.waiting) > 0 && b.fits(b.waiting[0].n) {
		w := b.waiting[0]
		b.waiting = slices.Delete(b.waiting, 0, 1)
		b.reading += w.n
		close(w.ready)
	}
}

// Charge counts bytes for reading that are there already, or gives them back.
func (b *Budget) Charge(n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading += n
	if n < 0 {
		b.admit()
	}
}

// short says that the readers' half is used up.
func (b *Budget) short() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Bytes > 0 && (b.reading >= b.Bytes/2 || len(b.waiting) > 0)
}

// Used is how many bytes are charged now: for reading, and held by sinks.
func (b *Budget) Used() (reading, held int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reading, b.held
}

// keep notes that k holds memory.
func (b *Budget) keep(k keeper) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.keepers == nil {
		b.keepers = map[keeper]struct{}{}
	}
	b.keepers[k] = struct{}{}
}

// forget notes that k holds none.
func (b *Budget) forget(k keeper) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.keepers, k)
}

// reclaim asks keepers, in no particular order, until n bytes came free.
func (b *Budget) reclaim(need need, n int64) {
	b.mu.Lock()
	all := make([]keeper, 0, len(b.keepers))
	for k := range b.keepers {
		all = append(all, k)
	}
	b.mu.Unlock()
	for _, k := range all {
		if n -= k.spare(need); n <= 0 {
			return
		}
	}
}
