//go:build !race

package lane_test

import (
	"fmt"
	"math/bits"
	"strings"
)

// result is what a search found.
type result struct {
	states, steps int
	cut           bool   // not exhausted
	violation     string // "" if every invariant holds
	trace         []string
}

const none = ^uint32(0)

// search visits every world that can be reached, nearest first, so that the
// way to a violation is a shortest one.
type search struct {
	*explorer
	ids    map[packed]uint32
	list   []packed
	parent []uint32
	way    []uint16 // the how manieth successor of its parent
	fair   []uint32 // what comes next if nothing goes wrong
}

// explore searches a world to the end, or to a violation, or up to limit
// states.
func explore(c config, s step, limit int) (result, *explorer) {
	x := newExplorer(c, s)
	q := &search{explorer: x, ids: map[packed]uint32{}}
	w := x.first()
	p, _ := x.pack(&w)
	q.add(p, none, 0)
	r := result{}
	for at := uint32(0); int(at) < len(q.list); at++ {
		if len(q.list) > limit {
			r.cut = true
			break
		}
		if text, way := q.expand(at, &r.steps); text != "" {
			r.violation, r.trace = text, q.tellWay(at, way)
			break
		}
	}
	r.states = len(q.list)
	if r.violation == "" && !r.cut {
		q.live(&r)
	}
	return r, x
}

func (q *search) add(p packed, parent uint32, way uint16) uint32 {
	if id, ok := q.ids[p]; ok {
		return id
	}
	id := uint32(len(q.list))
	q.ids[p] = id
	q.list = append(q.list, p)
	q.parent, q.way, q.fair = append(q.parent, parent), append(q.way, way), append(q.fair, none)
	return id
}

// expand visits the successors of one state. way is that to the violation.
func (q *search) expand(at uint32, steps *int) (violation string, way uint16) {
	w := q.unpack(q.list[at])
	n := uint16(0)
	q.problem = ""
	q.successors(&w, func(a action, fair bool, next *world) {
		if violation != "" {
			return
		}
		*steps++
		q.taken[a]++
		violation = q.problem
		if violation == "" {
			id := q.add(q.packNext(&w, q.list[at], next), at, n)
			if int(id) == len(q.list)-1 && q.parent[id] == at && q.way[id] == n {
				violation = q.check(next)
			}
			if fair && q.fair[at] == none {
				q.fair[at] = id
			}
		}
		if violation != "" {
			way = n
		}
		n++
	})
	return violation, way
}

// live follows, from every state, what happens if nothing goes wrong any more:
// it must come to an end, and to one that is all right.
func (q *search) live(r *result) {
	const unseen, walking, fine = 0, 1, 2
	mark := make([]uint8, len(q.list))
	for start := range q.list {
		at := uint32(start)
		for at != none && mark[at] == unseen {
			mark[at] = walking
			if q.fair[at] == none {
				w := q.unpack(q.list[at])
				if q.ended(&w) == "" {
					r.violation, r.trace = "a lane can never move again", q.tellWay(at, 0xffff)
					return
				}
			}
			at = q.fair[at]
		}
		if at != none && mark[at] == walking {
			r.violation, r.trace = "a lane goes round for ever", q.tellWay(at, 0xffff)
			return
		}
		for at = uint32(start); at != none && mark[at] == walking; at = q.fair[at] {
			mark[at] = fine
		}
	}
}

// tellWay tells the way to a state, and the successor where it goes wrong.
func (q *search) tellWay(at uint32, way uint16) []string {
	var ways []uint16
	if way != 0xffff {
		ways = append(ways, way)
	}
	for ; q.parent[at] != none; at = q.parent[at] {
		ways = append(ways, q.way[at])
	}
	names := [2]string{"A", "B"}
	var lines []string
	w := q.first()
	if _, swapped := q.pack(&w); swapped {
		panic("explorer: the first world is not sorted")
	}
	w = q.unpack(q.list[0])
	for i := range ways {
		line, next := q.tellStep(&w, ways[len(ways)-1-i], &names)
		lines = append(lines, line)
		w = next
	}
	return lines
}

// tellStep takes one successor again and puts it into words.
func (q *search) tellStep(w *world, way uint16, names *[2]string) (string, world) {
	var said []string
	q.say = func(m int, text string) { said = append(said, strings.ReplaceAll(text, "member", "member "+names[m])) }
	defer func() { q.say = nil }()
	n := uint16(0)
	var line string
	var next world
	q.successors(w, func(a action, _ bool, c *world) {
		if n == way {
			line = actionNames[a]
			if len(said) > 0 {
				line += ": " + strings.Join(said, "; ")
			} else if who := q.whose(w, c); who >= 0 {
				line = "member " + names[who] + " " + line
			}
			next = *c
		}
		said = said[:0]
		n++
	})
	p, swapped := q.pack(&next)
	if swapped {
		names[0], names[1] = names[1], names[0]
	}
	return line, q.unpack(p)
}

// whose says which member an action changed; -1: none, or both.
func (q *search) whose(before, after *world) int {
	a, b := before.members[0] != after.members[0], before.members[1] != after.members[1]
	switch {
	case a && !b:
		return 0
	case b && !a:
		return 1
	}
	return -1
}

// listed names the records of a mask.
func (x *explorer) listed(mask uint8) string {
	var names []string
	for ; mask != 0; mask &= mask - 1 {
		b := bits.TrailingZeros8(mask)
		name := fmt.Sprintf("record %d", b%x.offsets)
		if x.parts > 1 {
			name += fmt.Sprintf(" of partition %d", b/x.offsets)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
