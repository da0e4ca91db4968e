//go:build !race

// The explorer of the commit protocol: it runs lane.Step, the very function
// that the program runs, in small worlds, along every way that members,
// coordinator, network and destination can take, and checks the invariants of
// core/doc.go in every state.
//
// It is left out under the race detector, which makes it ten times slower and
// finds nothing in it, since it is one goroutine: the Makefile runs this
// package once more without -race.
package lane_test

import (
	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/sink"
)

// Bounds of every world. A record of a slot is one bit of a mask.
const (
	maxBits   = 8 // records of all partitions of the slot
	maxSinks  = 2
	maxNames  = 6 // cuts that a destination knows
	maxTokens = 8 // stages of a destination whose token decides
	maxFlying = 2
)

// kind is what a record is, to a plan.
type kind uint8

const (
	good      kind = iota
	filtered       // where leaves it out
	badBytes       // bad by its bytes and the plan, alike on every repeat
	outside        // judged when read by something outside, today so and tomorrow so
	refusable      // the destination takes it, or refuses it
	hated          // the destination never takes it
)

// fault is something that a world does only so many times.
type fault uint8

const (
	killFault fault = iota
	lostFault       // an answer that does not come, or an error
	refuseFault
	silentFault
	ledgerFault // a ledger write that is refused, and the membership goes on
	fullFault
	planFault
	loseFault
	damageFault
	recreateFault
	retainFault
	truncateFault
	growFault
	backupFault
	restoreFault
	emptyFault  // the destination loses all rows
	windowFault // the destination forgets the names of settled cuts
	settleFault // a person decides: sluice settle
	renewFault  // a generation begins, and a member keeps the slot
	nFaults
)

// sinkConf is one sink of a world.
type sinkConf struct {
	delivery sink.Delivery
	resumes  bool
	noMark   bool // the destination keeps no marks
	stops    bool // on_bad_record: stop
	skips    bool // on_gap: skip_and_record
	renews   bool // on_topic_reset: new_incarnation
}

// config is one world.
type config struct {
	name    string
	sinks   []sinkConf
	parts   int // partitions of the slot
	offsets int // records per partition
	maxCut  int // records per cut, at most
	gens    uint8
	budget  [nFaults]uint8
	kinds   [2][maxBits]kind // by plan and record

	lateDest   int  // destination writes that may be on their way at a time
	lateLedger int  // ledger writes, likewise
	half       bool // destination writes go into two table parts, one by one
	entered    bool // the ledger starts with an entry at 0
	latest     bool // after a loss, a new start is the end of the log
	outcomes   bool // check what comes out only, and not how

	softWriter bool     // mutants only: an unanswered ledger write does not end the writer
	careless   careless // mutants only: a person decides as settle would not let them
	keeps      keeping  // mutants only: how it is broken that a slot is kept
}

// keeping is which rule of keeping a slot through a rebalance is broken; for
// mutants only.
type keeping uint8

const (
	keepsRightly keeping = iota
	keepsBlindly         // what the group holds is not compared with the writer's memory
	keepsPending         // lanes keep a pending cut after a generation that was missed
	keepsAnyway          // the writer goes on in a generation in which another member has the slot
)

// rec is a slot's record in the ledger.
type rec struct {
	present     bool
	incarnation uint8
	entries     [maxSinks]uint16
	of          [maxSinks]uint8 // the incarnation of each entry
}

// slotLane is a lane and what its writer and its loop hold.
type slotLane struct {
	state uint16 // 0: no lane
	ask   uint16 // the effect whose answer is awaited; 0: none
	held  uint8  // records that the writer was given
	bad   uint8  // records of the cut that was read, for the dead letters
	read  bool   // bad is that of the cut under way
	risky bool   // the ledger holds a cut that may have been committed
	open  bool   // it has a writer that is not dead
	rowed bool   // Atomic: the writer found a position row
	cut   bool   // its connection to the destination is gone
}

// member is one process.
type member struct {
	up      bool
	gen     uint8 // of its membership; 0: none
	revoked bool
	ended   bool // its ledger writer has ended
	plan    uint8
	parts   uint8 // of the slot, when it joined
	memory  rec   // what its ledger writer holds for the record
	notes   [maxSinks]uint16
	puts    [maxSinks]uint16
	lanes   [maxSinks]slotLane
}

func (m *member) idle() bool {
	for _, l := range m.lanes {
		if l.state != 0 {
			return false
		}
	}
	return true
}

// flyingWrite is an OffsetCommit that nobody waits for any more.
type flyingWrite struct {
	gen uint8
	rec rec
}

// group is the coordinator, the topic, and what the world may still do.
type group struct {
	gen         uint8
	live        bool // the members of gen are still in the group
	stored      rec
	missing     lane.RecordState // what it means that there is no record
	damaged     bool
	flying      [maxFlying]flyingWrite
	plan        uint8 // of processes that start now
	incarnation uint8
	parts       uint8
	logStart    uint8
	logEnd      uint8
	left        [nFaults]uint8
}

// applied is a cut that a destination knows by its name.
type applied struct {
	cut   uint16 // interned bounds
	rows  uint8  // its content
	parts uint8  // the table parts that have it
}

// staged is what a writer made durable and invisible under a token.
type staged struct {
	rows   uint8
	status stageStatus
}

type stageStatus uint8

const (
	unused stageStatus = iota
	invisible
	visible
	removed
)

// flyingRows is a destination write that may be applied at any later time.
type flyingRows struct {
	cut     uint16 // interned, whole
	rows    uint8
	parts   uint8 // still to be applied; 0: no write
	token   uint8
	letters bool
	rowed   bool // Atomic: it expects a position row
}

// table is what a restore of an Atomic destination brings back.
type table struct {
	once, twice uint8 // records that are there, and there more than once
	row         bool  // the position row exists
	last        uint16
	position    uint16 // interned vector
}

// dest is one sink's destination, with its dead letters.
type dest struct {
	table
	names   [maxNames]applied
	stages  [maxTokens]staged
	flying  [maxFlying]flyingRows
	backup  table
	saved   bool
	letters uint8
	excused uint8 // letters of before a decision or loss that makes them void
	gone    bool  // its rows were lost while the ledger said that there were some
	foreign bool  // it has traces of another incarnation
	decided bool  // somebody has decided that the sink goes on in this one
	kept    bool  // somebody has decided that it goes on without its rows
	skipped uint8 // records that are known to be left out: logged, or said to a person
}

// world is one state of the search.
type world struct {
	members [2]member
	dests   [maxSinks]dest
	group   group
}

// packed is a world by the numbers of its parts: small, and quick to compare.
type packed struct{ a, b, d0, d1, g uint32 }

// interner numbers values. The zero value has number 0.
type interner[T comparable] struct {
	ids  map[T]uint32
	list []T
}

func newInterner[T comparable]() *interner[T] {
	i := &interner[T]{ids: map[T]uint32{}}
	var zero T
	i.id(zero)
	return i
}

func (i *interner[T]) id(v T) uint32 {
	if n, ok := i.ids[v]; ok {
		return n
	}
	n := uint32(len(i.list))
	i.ids[v] = n
	i.list = append(i.list, v)
	return n
}

// short is id for parts that are kept as 16 bits.
func (i *interner[T]) short(v T) uint16 {
	n := i.id(v)
	if n > 0xffff {
		panic("explorer: more than 65536 values of one type")
	}
	return uint16(n)
}

// step is lane.Step, or a mutant of it.
type step func(lane.State, lane.Event) (lane.State, []lane.Effect)

// explorer searches one world.
type explorer struct {
	config
	step step

	states  *interner[lane.State]
	effects *interner[lane.Effect]
	entries *interner[lane.Entry]
	cuts    *interner[lane.Cut]
	vectors *interner[lane.Vector]
	members *interner[member]
	dests   *interner[dest]
	groups  *interner[group]

	problem string                   // found in the transition under way
	say     func(m int, text string) // while a counterexample is told
	taken   [nActions]int
}

func newExplorer(c config, s step) *explorer {
	return &explorer{config: c, step: s,
		states: newInterner[lane.State](), effects: newInterner[lane.Effect](), entries: newInterner[lane.Entry](),
		cuts: newInterner[lane.Cut](), vectors: newInterner[lane.Vector](),
		members: newInterner[member](), dests: newInterner[dest](), groups: newInterner[group]()}
}

// first is the world at its start.
func (x *explorer) first() world {
	var w world
	w.group.left = x.budget
	w.group.parts = uint8(x.parts)
	if x.budget[growFault] > 0 {
		w.group.parts--
	}
	w.group.logEnd = uint8(x.offsets)
	w.group.missing = lane.Fresh
	if x.entered {
		w.group.stored.present = true
		for k := range x.sinks {
			w.group.stored.entries[k] = x.entries.short(lane.Entry{Exists: true, Position: x.zeros(int(w.group.parts))})
		}
	}
	return w
}

func (x *explorer) zeros(n int) lane.Vector { return lane.Vec(make([]int64, n)...) }

// pack numbers a world. The two members are alike, so it sorts them; swapped
// says that it did.
func (x *explorer) pack(w *world) (p packed, swapped bool) {
	x.tidy(w)
	return sorted(packed{a: x.members.id(w.members[0]), b: x.members.id(w.members[1]),
		d0: x.dests.id(w.dests[0]), d1: x.dests.id(w.dests[1]), g: x.groups.id(w.group)})
}

// packNext is pack for a successor of w, whose numbers are known: most parts
// are as they were, and to compare is cheaper than to look up.
func (x *explorer) packNext(w *world, p packed, next *world) packed {
	x.tidy(next)
	if next.members[0] != w.members[0] {
		p.a = x.members.id(next.members[0])
	}
	if next.members[1] != w.members[1] {
		p.b = x.members.id(next.members[1])
	}
	if next.dests[0] != w.dests[0] {
		p.d0 = x.dests.id(next.dests[0])
	}
	if next.dests[1] != w.dests[1] {
		p.d1 = x.dests.id(next.dests[1])
	}
	if next.group != w.group {
		p.g = x.groups.id(next.group)
	}
	p, _ = sorted(p)
	return p
}

func sorted(p packed) (_ packed, swapped bool) {
	if p.a > p.b {
		p.a, p.b, swapped = p.b, p.a, true
	}
	return p, swapped
}

func (x *explorer) unpack(p packed) world {
	return world{members: [2]member{x.members.list[p.a], x.members.list[p.b]},
		dests: [maxSinks]dest{x.dests.list[p.d0], x.dests.list[p.d1]}, group: x.groups.list[p.g]}
}

// tidy drops what can have no effect any more.
func (x *explorer) tidy(w *world) {
	g := &w.group
	for i := range g.flying {
		if g.flying[i].gen != g.gen || !g.live {
			g.flying[i] = flyingWrite{}
		}
	}
	if g.flying[0].gen == 0 {
		g.flying[0], g.flying[1] = g.flying[1], g.flying[0]
	}
	for m := range w.members {
		mem := &w.members[m]
		if mem.idle() && (mem.ended || mem.gen != g.gen || mem.notes == [maxSinks]uint16{}) {
			*mem = member{up: mem.up, plan: mem.plan}
		}
	}
	for k := range x.sinks {
		x.tidyDest(&w.dests[k], x.sinks[k])
	}
}

func (x *explorer) tidyDest(d *dest, c sinkConf) {
	for i := range d.flying {
		f := &d.flying[i]
		switch {
		case f.parts == 0:
		case c.resumes:
			if d.stages[f.token-1].status != invisible {
				*f = flyingRows{}
			}
		case c.delivery == sink.Replay:
			if n := d.find(x.bounds(f.cut)); n >= 0 {
				f.parts &^= d.names[n].parts
			}
			if f.parts == 0 {
				*f = flyingRows{}
			}
		}
	}
	if d.flying[0].parts == 0 {
		d.flying[0], d.flying[1] = d.flying[1], d.flying[0]
	}
}
