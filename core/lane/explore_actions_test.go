//go:build !race

package lane_test

import (
	"github.com/sluicekit/sluice/core/lane"
)

// action is what a world can do. The tests count them: each must have been
// taken.
type action uint8

const (
	actKill action = iota
	actKillInFlight
	actJoin
	actRenew    // the next generation begins, and the slot stays with its member
	actRenewGap // likewise, after one that the member missed
	actRevoke
	actEnd // a member learns that its membership is over
	actLedger
	actLedgerLost    // stored, and not answered
	actLedgerDropped // neither
	actLedgerLate    // not answered, and still on its way
	actLedgerRefused // an answer, and the membership goes on
	actLedgerFenced  // the coordinator does not take this member any more
	actLedgerFull
	actLedgerApply // a late one is applied
	actClaim
	actClaimLost
	actResolve
	actResolveLost
	actRead
	actReadOutside // a record is judged bad by something outside
	actReadRefused // Append names a row
	actReadLost
	actReadHalt // gap, truncation, bad record
	actStage
	actStageRefused
	actStageLost
	actBeat
	actBeatLost
	actBeatFenced
	actCommit
	actCommitLost    // applied, and not answered
	actCommitHalf    // one table part of two applied, and not answered
	actCommitDropped // neither
	actCommitLate    // not answered, and still on its way
	actCommitRefused
	actCommitRows // some rows are refused
	actCommitStale
	actCommitGone // what was staged is not there any more
	actCommitApply
	actResumeDone
	actResumeNever
	actResumeUndecided
	actResumeLost // decided, and not answered
	actLetters
	actLettersLost
	actLettersHalt
	actWait
	actPlan
	actLoseAll  // the whole group's records
	actLoseSlot // this slot's record
	actDamage
	actRecreate // the topic; the ledger keeps its record
	actRecreateBare
	actRetain
	actTruncate
	actGrow
	actBackup
	actRestore
	actEmpty
	actWindow
	actCut // a writer meets a destination that was restored
	actRecreateShort
	actForget
	actKeep
	actStartAt
	nActions
)

var actionNames = [nActions]string{
	"is killed", "is killed, and what was in flight goes on", "joins",
	"keeps the slot in the next generation", "keeps the slot after a generation that it missed", "hears of a rebalance", "learns that its membership is over",
	"ledger write", "ledger write stored, answer lost", "ledger write lost", "ledger write late", "ledger write refused", "ledger write fenced",
	"ledger write too long", "late ledger write is applied",
	"claim", "claim fails", "resolve", "resolve fails", "read", "read, a record judged bad", "append refuses a row", "read fails", "read halts",
	"stage", "stage refuses a row", "stage fails", "heartbeat", "heartbeat lost", "heartbeat fenced",
	"commit", "commit applied, answer lost", "commit half applied, answer lost", "commit lost", "commit late", "commit refused", "commit refuses a row",
	"commit stale", "commit finds nothing staged", "late commit is applied",
	"resume: done", "resume: never", "resume: undecided", "resume decided, answer lost",
	"letters", "letters written, answer lost", "letters halt", "wait",
	"the plan changes", "the group's records are lost", "the slot's record is lost", "the record is damaged",
	"the topic is re-created", "the topic is re-created and its records are gone", "retention takes records", "the log is truncated",
	"the slot grows", "the destination is backed up", "the destination is restored", "the destination loses its rows",
	"the destination forgets settled cuts", "the writer's connection is gone",
	"the topic is re-created, shorter", "settle --forget", "settle --keep", "settle --start-at",
}

// emit takes a successor. fair: what happens next if nothing goes wrong. who
// and which say whose action it is.
type emit func(a action, fair bool, next *world)

// successors emits all worlds that one action away. Of those that are fair the
// first counts, so the order is that of a run without faults.
func (x *explorer) successors(w *world, out emit) {
	x.global(w, out)
	for m := range w.members {
		x.membership(w, m, out)
	}
	for m := range w.members {
		x.ledger(w, m, out)
	}
	for m := range w.members {
		for k := range x.sinks {
			if w.members[m].lanes[k].ask != 0 {
				x.perform(w, m, k, out)
			}
		}
	}
	for m := range w.members {
		x.join(w, m, out)
	}
	for m := range w.members {
		x.renew(w, m, out)
	}
}

func (x *explorer) current(w *world, m int) bool {
	return w.group.live && w.members[m].gen == w.group.gen
}

// spare says that another generation can come: no world may end for lack of
// one.
func (x *explorer) spare(w *world) bool { return w.group.gen < x.gens }

// try makes a copy of a world, if a fault is left for it.
func try(w *world, f fault) (world, bool) {
	if w.group.left[f] == 0 {
		return *w, false
	}
	c := *w
	c.group.left[f]--
	return c, true
}

func (x *explorer) membership(w *world, m int, out emit) {
	mem := &w.members[m]
	if mem.idle() {
		return
	}
	current := x.current(w, m)
	if !current || mem.ended {
		c := *w
		for k := range x.sinks {
			x.deliver(&c, m, k, lane.Event{Kind: lane.Ended})
		}
		out(actEnd, true, &c)
	}
	if current && !mem.revoked && x.spare(w) {
		c := *w
		c.members[m].revoked = true
		for k := range x.sinks {
			x.deliver(&c, m, k, lane.Event{Kind: lane.Revoke})
		}
		out(actRevoke, mem.parts < w.group.parts, &c)
	}
	if !current || x.spare(w) {
		x.kill(w, m, out)
	}
}

// kill ends a process. What it had sent may still be applied.
func (x *explorer) kill(w *world, m int, out emit) {
	c, ok := try(w, killFault)
	if !ok {
		return
	}
	mem := w.members[m]
	c.members[m] = member{}
	out(actKill, false, &c)
	flew := false
	for k := range x.sinks {
		if l := mem.lanes[k]; l.ask != 0 && x.effects.list[l.ask].Kind == lane.Commit {
			flew = x.fly(&c, k, l, x.effects.list[l.ask]) || flew
		}
	}
	if mem.puts != [maxSinks]uint16{} && !mem.ended && x.current(w, m) {
		flew = x.flyLedger(&c, mem) || flew
	}
	if flew {
		out(actKillInFlight, false, &c)
	}
}

// join makes a member the owner of the slot in a new generation.
func (x *explorer) join(w *world, m int, out emit) {
	if !w.members[m].idle() || !x.spare(w) {
		return
	}
	c := *w
	g, mem := &c.group, &c.members[m]
	if !mem.up {
		*mem = member{up: true, plan: g.plan}
	}
	g.gen++
	g.live = true
	*mem = member{up: true, plan: mem.plan, parts: g.parts, gen: g.gen, memory: g.stored}
	for k := range x.sinks {
		x.start(&c, m, k)
	}
	other := w.members[1-m]
	fair := other.idle() || !x.current(w, 1-m)
	out(actJoin, fair, &c)
}

// renew lets a member go on in another generation with its lanes and its ledger
// writer as they are. Somebody else may have had the slot in one that it
// missed: then only if what the group holds is what the writer remembers, and
// nothing is pending.
func (x *explorer) renew(w *world, m int, out emit) {
	mem := &w.members[m]
	if mem.idle() || mem.ended || !w.group.live || mem.revoked && w.group.gen+2 > x.gens {
		return // who is to give the slot up leaves a generation for the next owner
	}
	current := x.current(w, m)
	if x.keeps == keepsAnyway && !current {
		if c, ok := try(w, renewFault); ok {
			c.members[m].gen = c.group.gen
			out(actRenew, false, &c)
		}
		return
	}
	if !x.spare(w) || !current && x.keeps != keepsBlindly && mem.memory != w.group.stored {
		return
	}
	if !current && x.keeps != keepsPending && x.pending(mem) {
		return
	}
	c, ok := try(w, renewFault)
	if !ok {
		return
	}
	c.group.gen++
	c.members[m].gen = c.group.gen
	if current {
		out(actRenew, false, &c)
	} else {
		out(actRenewGap, false, &c)
	}
}

// pending says that the record that a member remembers has a pending cut.
func (x *explorer) pending(mem *member) bool {
	for k := range x.sinks {
		if x.entries.list[mem.memory.entries[k]].Pending {
			return true
		}
	}
	return false
}

// start makes a lane, as the pipeline does with what the ledger loaded.
func (x *explorer) start(w *world, m, k int) {
	g, mem := &w.group, &w.members[m]
	s := lane.State{Delivery: x.sinks[k].delivery, Plan: fingerprint(mem.plan), Letters: !x.sinks[k].stops,
		SkipGaps: x.sinks[k].skips, NewTopic: x.sinks[k].renews}
	e := lane.Event{Kind: lane.Loaded, Record: lane.Present}
	switch {
	case g.damaged:
		e.Record = lane.Damaged
	case !mem.memory.present:
		e.Record = g.missing
	case mem.memory.entries[k] != 0 && mem.memory.of[k] != g.incarnation, mem.memory.entries[k] == 0 && mem.memory.incarnation != g.incarnation:
		e.Record = lane.Replaced
	}
	if mem.memory.present {
		e.Entry = x.loaded(mem.memory.entries[k], int(g.parts))
	}
	mem.lanes[k] = slotLane{state: x.states.short(s), risky: e.Entry.Pending}
	x.deliver(w, m, k, e)
}

// loaded is an entry as a lane gets it: a partition that is new to the slot
// has no position.
func (x *explorer) loaded(id uint16, parts int) lane.Entry {
	e := x.entries.list[id]
	if e.Exists && e.Position.Len() < parts {
		more := make([]int64, parts)
		for i := range more {
			more[i] = -1
		}
		e.Position = e.Position.Or(lane.Vec(more...))
	}
	return e
}

func fingerprint(plan uint8) [8]byte { return [8]byte{0: plan + 1} }

// ledger is the one writer of a member: one OffsetCommit at a time, which
// carries everything that has changed.
func (x *explorer) ledger(w *world, m int, out emit) {
	mem := &w.members[m]
	if mem.ended || mem.notes == [maxSinks]uint16{} && mem.puts == [maxSinks]uint16{} {
		return
	}
	if !x.current(w, m) {
		c := *w
		x.endWriter(&c, m)
		out(actLedgerFenced, true, &c)
		return
	}
	merged := x.merged(w, mem)
	c := *w
	c.group.stored, c.members[m].memory = merged, merged
	c.members[m].notes = [maxSinks]uint16{}
	x.answerPuts(&c, m, lane.Event{Kind: lane.Saved})
	out(actLedger, true, &c)
	if x.spare(w) {
		x.unanswered(w, m, merged, out)
	}
	if c, ok := try(w, ledgerFault); ok {
		x.answerPuts(&c, m, lane.Event{Kind: lane.Failed, Failure: lane.Failure{Refused: true}})
		out(actLedgerRefused, false, &c)
	}
	if c, ok := try(w, fullFault); ok && mem.puts != [maxSinks]uint16{} {
		x.answerPuts(&c, m, lane.Event{Kind: lane.LedgerFull})
		out(actLedgerFull, false, &c)
	}
}

// unanswered are the three fates of a ledger write without an answer. Each
// ends the writer.
func (x *explorer) unanswered(w *world, m int, merged rec, out emit) {
	if c, ok := try(w, lostFault); ok {
		c.group.stored = merged
		x.endWriter(&c, m)
		out(actLedgerLost, false, &c)
	}
	if c, ok := try(w, lostFault); ok {
		x.endWriter(&c, m)
		out(actLedgerDropped, false, &c)
	}
	if c, ok := try(w, lostFault); ok && x.flyLedger(&c, w.members[m]) {
		x.endWriter(&c, m)
		out(actLedgerLate, false, &c)
	}
}

func (x *explorer) flyLedger(w *world, mem member) bool {
	for i := range x.lateLedger {
		if w.group.flying[i].gen == 0 {
			w.group.flying[i] = flyingWrite{gen: mem.gen, rec: x.merged(w, &mem)}
			return true
		}
	}
	return false
}

// merged is the record with all that has changed.
func (x *explorer) merged(w *world, mem *member) rec {
	r := mem.memory
	if !r.present {
		r = rec{present: true, incarnation: w.group.incarnation}
	}
	for k := range x.sinks {
		for _, id := range []uint16{mem.notes[k], mem.puts[k]} {
			if id != 0 {
				r.entries[k], r.of[k], r.incarnation = id, w.group.incarnation, w.group.incarnation
			}
		}
	}
	return r
}

// endWriter ends a ledger writer: nothing is sent any more.
func (x *explorer) endWriter(w *world, m int) {
	mem := &w.members[m]
	mem.ended = !x.softWriter || !x.current(w, m)
	mem.notes = [maxSinks]uint16{}
	x.answerPuts(w, m, lane.Event{Kind: lane.LedgerEnded})
}

func (x *explorer) answerPuts(w *world, m int, e lane.Event) {
	puts := w.members[m].puts
	w.members[m].puts = [maxSinks]uint16{}
	for k := range x.sinks {
		if puts[k] != 0 {
			x.deliver(w, m, k, e)
		}
	}
}
