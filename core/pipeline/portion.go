package pipeline

import "slices"

// portion is what one sink holds of the sinks' half of the budget. A sink may
// hold twice as much as it leaves free: one alone two thirds of the half, and
// one that holds all it can, because its destination is away, leaves the others
// a third. So a dead sink never stops the others. Its own lanes wait for each
// other; the lane that is let in when a sink holds nothing may hold as much as
// it must.
type portion struct {
	budget *Budget // whose mutex guards all of this

	used    int64
	holding map[*account]struct{}
	queue   []*account // lanes that wait for room, in the order in which they came
}

// account is what one lane holds. It implements lane.Budget.
type account struct {
	portion *portion
	wake    chan struct{} // told when there may be room, or when room is wanted

	held   int64 // by the writer
	lent   int64 // for the chunk that the lane looks at
	queued bool
}

func newPortion(b *Budget) *portion { return &portion{budget: b, holding: map[*account]struct{}{}} }

func (s *portion) account(wake chan struct{}) *account { return &account{portion: s, wake: wake} }

// fits says whether the sink may hold n bytes more. The mutex is held.
func (s *portion) fits(n int64) bool {
	b := s.budget
	return b.Bytes <= 0 || s.used == 0 || s.used+n <= 2*(b.Bytes/2-b.held-n)
}

// add counts what the lane holds more, or less. The mutex is held.
func (a *account) add(n int64) {
	s := a.portion
	s.used += n
	s.budget.held += n
	if a.held+a.lent > 0 {
		s.holding[a] = struct{}{}
	} else {
		delete(s.holding, a)
	}
	if n < 0 {
		s.budget.call()
	}
}

// call wakes the first lane of each sink for which there is room now. b.mu is held.
func (b *Budget) call() {
	for _, s := range b.portions {
		if s.fits(0) {
			s.queue[0].poke()
		}
	}
}

func (a *account) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Hold implements lane.Budget.
func (a *account) Hold(n int64) {
	b := a.portion.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	a.held += n
	a.add(n)
}

// Full implements lane.Budget: a lane that holds rows while others of its sink
// wait for room cuts now.
func (a *account) Full() bool {
	b := a.portion.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(a.portion.queue) > 0 || !a.portion.fits(1)
}

// pressed says that the lane holds rows, and others wait for the memory.
func (a *account) pressed() bool {
	b := a.portion.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return a.held > 0 && len(a.portion.queue) > 0
}

// holds says that the lane holds rows.
func (a *account) holds() bool {
	b := a.portion.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return a.held > 0
}

// borrow takes n bytes for looking at a chunk, until repay. False: there is no
// room, and the lane is woken when there may be. must: the lane repeats a batch,
// and gives nothing back before it has all of it.
func (a *account) borrow(n int64, must bool) bool {
	s := a.portion
	b := s.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	first := len(s.queue) == 0 || s.queue[0] == a
	if !(must && a.held > 0) && !(first && s.fits(n)) {
		a.enqueue()
		return false
	}
	a.dequeue()
	a.lent += n
	a.add(n)
	return true
}

// repay gives back what was borrowed.
func (a *account) repay() {
	b := a.portion.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	n := a.lent
	a.lent = 0
	a.add(-n)
}

// enqueue makes the lane wait, and those that hold something hurry. A lane that
// itself holds something has to commit instead. The mutex is held.
func (a *account) enqueue() {
	s := a.portion
	if a.queued || a.held > 0 {
		return
	}
	a.queued = true
	if s.queue = append(s.queue, a); len(s.queue) > 1 {
		return // they know
	}
	s.budget.portions = append(s.budget.portions, s)
	for h := range s.holding {
		h.poke()
	}
}

// dequeue ends the lane's waiting. The mutex is held.
func (a *account) dequeue() {
	s := a.portion
	if !a.queued {
		return
	}
	a.queued = false
	if i := slices.Index(s.queue, a); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
	if len(s.queue) > 0 {
		s.queue[0].poke()
		return
	}
	if i := slices.Index(s.budget.portions, s); i >= 0 {
		s.budget.portions = slices.Delete(s.budget.portions, i, i+1)
	}
}

// leave ends the lane's waiting, if it does.
func (a *account) leave() {
	b := a.portion.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	a.dequeue()
}
