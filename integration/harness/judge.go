package harness

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// judge compares three memories of one topic: the log itself, the ledger of
// those who wrote it, and what the truth, an ordinary reader of committed
// records, was given. The log decides, by its markers (see rule); the two others
// must agree with it, record by record.
//
// There is one excuse, and the log has to prove it. Kafka 4.4 takes a partition
// that has no leader at the moment for one that was deleted, and writes no marker
// into it: the end of a transaction is answered well, and what lies there stays
// open, and becomes part of the producer's next transaction in that partition.
// With an abort of that one, acknowledged and committed records are gone for
// every reader. The only broker of a run has no leaders while the controller has
// given it up, which it does after a few seconds without a heartbeat: after a freeze
// (the broker's log then names the very partitions, as likely deleted, and as
// skipped), and, it seems, under load alone: in half an hour
// (seed 861290) one of 27,056 transactions, committed for its producer, got no
// marker in any of its six partitions. In five of them the next one was
// committed, and nothing showed; in the sixth it was aborted, and 21
// acknowledged records of the one before with it. Sluice can but do what the log
// says.
//
// So: where a transaction has no marker of its own in a partition, since the next
// of the same producer begins before any marker, there the verdict of the marker
// that does follow replaces the ledger's. Each is named in the report, and many
// of them are no accident.
type judge struct {
	log    topicLog
	ledger *ledger
	given  []truthPart
	found  []finding         // of each event
	homes  map[int64]string  // which producer has an id
	out    map[abode]leftOut // transactions without a marker of their own
	wrong  []error
}

// finding is what the log has of an event.
type finding struct {
	there     bool
	committed bool
	excused   bool // its transaction has no marker of its own there
}

// abode is a part of a transaction.
type abode struct {
	tx        int32
	partition int
}

// leftOut is a partition that a transaction's end has left out.
type leftOut struct {
	abode
	first, next int64 // offsets of its records; others may lie between them
	records     int
	marker      int64 // the offset of the next transaction's, which has ended them
}

// excuses is how many transactions of a run may have left partitions out.
func excuses(transactions int) int { return max(3, transactions/1000) }

// judgeTopic answers the partitions that were left out, and everything that is
// wrong, or the first of it. The ledger must be locked.
func judgeTopic(log topicLog, l *ledger, given []truthPart) ([]leftOut, error) {
	j := &judge{log: log, ledger: l, given: given, found: make([]finding, len(l.fates)), homes: map[int64]string{}, out: map[abode]leftOut{}}
	for p := range log {
		rulings := log.rule(p, l.tx)
		j.records(p, rulings)
		j.reader(p, rulings)
	}
	j.events()
	var out []leftOut
	for _, o := range j.out {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b leftOut) int { return cmp.Or(cmp.Compare(a.tx, b.tx), cmp.Compare(a.partition, b.partition)) })
	left := map[int32]bool{}
	for _, o := range out {
		left[o.tx] = true
	}
	if n := excuses(len(l.writers)); len(left) > n {
		j.say("%d of %d transactions have no marker of their own in %d partitions, and no more than %d are taken for accidents", len(left), len(l.writers), len(out), n)
	}
	return out, errors.Join(j.wrong...)
}

// say notes what is wrong, the first few of it.
func (j *judge) say(format string, args ...any) {
	if len(j.wrong) < 8 {
		j.wrong = append(j.wrong, fmt.Errorf("topic: "+format, args...))
	}
}

// records compares a partition with the ledger.
func (j *judge) records(partition int, rulings []ruling) {
	last := map[int64]int32{} // transaction of each producer
	for i, e := range j.log[partition] {
		if e.kind != eventKind {
			continue
		}
		if e.id < 0 || e.id >= int64(len(j.found)) {
			j.say("event %d at %d:%d was never produced", e.id, partition, i)
			continue
		}
		tx := j.ledger.tx[e.id]
		if before, ok := last[e.producer]; ok && before > tx {
			j.say("transaction %d at %d:%d comes after %d of the same producer", tx, partition, i, before)
		}
		last[e.producer] = tx
		writer := j.ledger.writers[tx]
		if home, ok := j.homes[e.producer]; ok && home != writer {
			j.say("event %d at %d:%d was written by %s, and producer id %d is that of %s", e.id, partition, i, writer, e.producer, home)
		}
		j.homes[e.producer] = writer
		j.record(place{int32(partition), int64(i)}, e, rulings[i])
	}
}

// record compares one record with the ledger.
func (j *judge) record(at place, e logEntry, r ruling) {
	if j.found[e.id].there {
		j.say("event %d is there twice, the second time at %d:%d", e.id, at.partition, at.offset)
	}
	if acked := j.ledger.places[e.id]; acked.offset >= 0 && acked != at {
		j.say("event %d lies at %d:%d, acknowledged was %d:%d", e.id, at.partition, at.offset, acked.partition, acked.offset)
	}
	f := &j.found[e.id]
	f.there = true
	if r.marker < 0 {
		j.say("event %d at %d:%d is in a transaction that no marker ends", e.id, at.partition, at.offset)
		return
	}
	end := j.log[at.partition][r.marker].kind
	f.committed, f.excused = end == commitKind, !r.own
	if f.excused {
		j.leave(at, j.ledger.tx[e.id], r.marker)
		return
	}
	if fate := j.ledger.fates[e.id]; fate == committed && end != commitKind || fate == aborted && end != abortKind {
		j.say("event %d at %d:%d is %s for its producer, and what ends it in the log, at %d, is a marker of %s", e.id, at.partition, at.offset, fate, r.marker, end)
	}
}

// leave notes a record whose transaction has no marker of its own there.
func (j *judge) leave(at place, tx int32, marker int64) {
	key := abode{tx, int(at.partition)}
	o, ok := j.out[key]
	if !ok {
		o = leftOut{abode: key, first: at.offset, marker: marker}
	}
	o.next, o.records = at.offset+1, o.records+1
	j.out[key] = o
}

// reader compares a partition with what the truth was given of it: that must be
// all committed records, and nothing else.
func (j *judge) reader(partition int, rulings []ruling) {
	g := j.given[partition]
	k := 0
	// A given record that lies nowhere is beyond the end, or at a marker.
	extra := func(until int64) {
		for ; k < len(g.offsets) && g.offsets[k] < until; k++ {
			j.say("the reader was given event %d at %d:%d, which the log does not have as committed", g.ids[k], partition, g.offsets[k])
		}
	}
	for i, e := range j.log[partition] {
		r := rulings[i]
		if e.kind != eventKind || r.marker < 0 || j.log[partition][r.marker].kind != commitKind {
			continue
		}
		extra(int64(i))
		switch {
		case k == len(g.offsets) || g.offsets[k] != int64(i):
			j.say("the reader was not given event %d at %d:%d, which is committed", e.id, partition, i)
			continue
		case g.ids[k] != e.id:
			j.say("the reader was given event %d at %d:%d, where %d lies", g.ids[k], partition, i, e.id)
		}
		k++
	}
	extra(1 << 62)
}

// events compares the ledger with what was found: nothing may be missing, and a
// transaction whose end is not known has one.
func (j *judge) events() {
	outcome := map[int32]bool{}
	for id, f := range j.found {
		at, tx := j.ledger.places[id], j.ledger.tx[id]
		if !f.there && at.offset >= 0 {
			j.say("event %d was acknowledged at %d:%d, and is not in the log", id, at.partition, at.offset)
		}
		switch j.ledger.fates[id] {
		case committed:
			if !f.there {
				j.say("event %d is committed for its producer, and is not in the log", id)
			}
		case unknown:
			if f.excused {
				continue
			}
			if before, ok := outcome[tx]; ok && before != f.committed {
				j.say("transaction %d, whose end is not known, is committed in part: event %d is %t", tx, id, f.committed)
			}
			outcome[tx] = f.committed
		}
	}
}
