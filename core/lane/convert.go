package lane

import (
	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/record"
)

// toCut makes the cut that plugins see. First counts from the position.
func (l *Lane) toCut(c Cut) record.Cut {
	out := record.Cut{Topic: l.c.Claim.Topic, Partition: l.c.Claim.Partition, Ranges: make([]record.Range, c.Next.Len()), Since: l.since, Letters: l.cut.bad.count()}
	for i := range out.Ranges {
		out.Ranges[i] = record.Range{First: c.First.At(i), Next: c.Next.At(i)}
	}
	for _, d := range c.Dead.List() {
		out.Dead = append(out.Dead, record.Dead{Partition: d.Partition + l.c.Claim.Partition, Offset: d.Offset})
	}
	return out
}

func (l *Lane) fromCut(c record.Cut) Cut {
	first, next := make([]int64, len(c.Ranges)), make([]int64, len(c.Ranges))
	for i, r := range c.Ranges {
		first[i], next[i] = r.First, r.Next
	}
	return Cut{First: Vec(first...), Next: Vec(next...), Dead: l.deads(c.Dead), Letters: c.Letters > 0 || len(c.Dead) > 0}
}

func (l *Lane) deads(list []record.Dead) DeadSet {
	var own []record.Dead
	for _, d := range list {
		own = append(own, record.Dead{Partition: d.Partition - l.c.Claim.Partition, Offset: d.Offset})
	}
	return Deads(own...)
}

func (l *Lane) toLedger(e Entry) ledger.Entry {
	out := ledger.Entry{Sink: ledger.SinkID(l.c.ID), Incarnation: l.c.Claim.Incarnation, Plan: e.Plan, Position: e.Position.Offsets(), Wrote: e.Wrote, Renewed: e.Renewed}
	if e.Pending {
		out.Pending = &ledger.Pending{Next: e.Cut.Next.Offsets(), Since: l.since, Token: e.Token}
		for _, d := range e.Cut.Dead.List() {
			out.Pending.Dead = append(out.Pending.Dead, record.Dead{Partition: d.Partition + l.c.Claim.Partition, Offset: d.Offset})
		}
	}
	return out
}

func (l *Lane) fromLedger(e *ledger.Entry) Entry {
	if e == nil {
		return Entry{}
	}
	out := Entry{Exists: true, Position: Vec(e.Position...), Wrote: e.Wrote, Renewed: e.Renewed, Plan: e.Plan}
	// A slot that has grown since: what is new has no position yet.
	if n := l.c.Claim.Partitions; out.Position.Len() < n {
		more := make([]int64, n)
		for i := range more {
			more[i] = -1
		}
		out.Position = out.Position.Or(Vec(more...))
	}
	if e.Pending != nil {
		out.Pending, out.Token = true, e.Pending.Token
		out.Cut = Cut{First: Vec(e.Position...), Next: Vec(e.Pending.Next...), Dead: l.deads(e.Pending.Dead)}
	}
	return out
}
