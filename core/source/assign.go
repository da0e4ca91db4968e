package source

import (
	"cmp"
	"slices"
	"strings"
)

// candidate is a member as the assignor sees it.
type candidate struct {
	id         string
	topics     []string // it can only own slots of these
	generation int32
	owned      []Slot
}

// assign distributes the slots of layouts. Where all members take all topics, the largest and the smallest share differ by at most one.
// What a member owned it keeps as far as that allows; of two that claim a slot the one with the newer generation has it, since the
// other was not there when it was given away. The result depends on nothing but the arguments, and not on their order.
func assign(layouts []Layout, members []candidate) map[string][]Slot {
	a := newAssignment(layouts, members)
	a.keep()
	a.fill()
	a.level()
	out := make(map[string][]Slot, len(members))
	for i, m := range a.members {
		slices.SortFunc(a.shares[i], compareSlots)
		out[m.id] = a.shares[i]
	}
	return out
}

// withhold makes a step towards a target that takes nothing from anybody: a slot whose newest owner is another member than the target says
// is with nobody in this generation. Its owner settles it, and gives it up by joining again. So no slot has two members in one generation,
// whatever they believe. A slot that nobody is to have is not settled either: there is nobody who could give the word for it.
func withhold(target map[string][]Slot, members []candidate) (slots, settle map[string][]Slot) {
	owners := make(map[Slot]candidate)
	for _, m := range members {
		for _, s := range m.owned {
			o, ok := owners[s]
			if !ok || o.generation < m.generation || o.generation == m.generation && m.id < o.id {
				owners[s] = m
			}
		}
	}
	slots, settle = make(map[string][]Slot, len(target)), make(map[string][]Slot)
	for id, list := range target {
		for _, s := range list {
			if o, ok := owners[s]; ok && o.id != id {
				settle[o.id] = append(settle[o.id], s)
				continue
			}
			slots[id] = append(slots[id], s)
		}
	}
	for _, list := range settle {
		slices.SortFunc(list, compareSlots)
	}
	return slots, settle
}

type assignment struct {
	slots   []Slot
	members []candidate // by id
	takes   []map[string]bool
	shares  [][]Slot // by member
	owner   map[Slot]int
}

func newAssignment(layouts []Layout, members []candidate) *assignment {
	a := &assignment{members: slices.Clone(members), owner: make(map[Slot]int)}
	slices.SortFunc(a.members, func(x, y candidate) int { return strings.Compare(x.id, y.id) })
	a.shares = make([][]Slot, len(a.members))
	for _, m := range a.members {
		t := make(map[string]bool, len(m.topics))
		for _, topic := range m.topics {
			t[topic] = true
		}
		a.takes = append(a.takes, t)
	}
	for _, l := range layouts {
		for i := range l.Slots() {
			a.slots = append(a.slots, Slot{l.Topic, i})
		}
	}
	slices.SortFunc(a.slots, compareSlots)
	return a
}

// keep gives every slot back to the newest of its owners.
func (a *assignment) keep() {
	exists := make(map[Slot]bool, len(a.slots))
	for _, s := range a.slots {
		exists[s] = true
	}
	for i, m := range a.members {
		for _, s := range m.owned {
			if !exists[s] || !a.takes[i][s.Topic] {
				continue
			}
			if other, ok := a.owner[s]; !ok || a.members[other].generation < m.generation {
				a.owner[s] = i
			}
		}
	}
	for _, s := range a.slots {
		if i, ok := a.owner[s]; ok {
			a.shares[i] = append(a.shares[i], s)
		}
	}
}

// fill gives the slots without an owner to whoever has least.
func (a *assignment) fill() {
	for _, s := range a.slots {
		if _, ok := a.owner[s]; ok {
			continue
		}
		best := -1
		for i := range a.members {
			if a.takes[i][s.Topic] && (best < 0 || len(a.shares[i]) < len(a.shares[best])) {
				best = i
			}
		}
		if best >= 0 {
			a.owner[s] = best
			a.shares[best] = append(a.shares[best], s)
		}
	}
}

// level moves one slot at a time from a large share to one smaller by two or more, until there is no such pair. Every step makes the sum of
// squares smaller, so it ends.
func (a *assignment) level() {
	order := make([]int, len(a.members))
	for i := range order {
		order[i] = i
	}
	for a.move(order) {
	}
}

func (a *assignment) move(order []int) bool {
	slices.SortFunc(order, func(x, y int) int {
		return cmp.Or(cmp.Compare(len(a.shares[x]), len(a.shares[y])), cmp.Compare(x, y))
	})
	for h := len(order) - 1; h > 0; h-- {
		from := order[h]
		for _, to := range order[:h] {
			if len(a.shares[from])-len(a.shares[to]) < 2 {
				break
			}
			for i := len(a.shares[from]) - 1; i >= 0; i-- {
				if s := a.shares[from][i]; a.takes[to][s.Topic] {
					a.shares[from] = slices.Delete(a.shares[from], i, i+1)
					a.shares[to] = append(a.shares[to], s)
					return true
				}
			}
		}
	}
	return false
}
