//go:build !race

package lane_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/sink"
)

// mutant is lane.Step with one guard broken, and the world that must show it.
type mutant struct {
	name  string
	world config
	step  step
}

// before makes a mutant that changes what Step is given.
func before(change func(*lane.State, *lane.Event)) step {
	return func(s lane.State, e lane.Event) (lane.State, []lane.Effect) {
		change(&s, &e)
		return lane.Step(s, e)
	}
}

// after makes a mutant that changes what Step says. was is the state that the
// event met.
func after(change func(was lane.State, e lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect) step {
	return func(s lane.State, e lane.Event) (lane.State, []lane.Effect) {
		next, effects := lane.Step(s, e)
		effects = change(s, e, &next, effects)
		return next, effects
	}
}

// ask is the last effect if it is of a kind, else nil: the one with an answer.
func ask(effects []lane.Effect, kind lane.EffectKind) *lane.Effect {
	if n := len(effects); n > 0 && effects[n-1].Kind == kind {
		return &effects[n-1]
	}
	return nil
}

func soft(c *config) { c.softWriter = true }

func mutants() []mutant {
	return slices.Concat(ledgerMutants(), repeatMutants(), recordMutants(), atomicMutants(), wayMutants(), settleMutants(), renewMutants())
}

func keeps(k keeping) func(*config) {
	return func(c *config) { c.keeps, c.budget[renewFault] = k, 1 }
}

// renewMutants break the rules by which a slot is kept through a rebalance.
// They are the pipeline's and the ledger writer's: Step knows no generations.
func renewMutants() []mutant {
	const R = sink.Replay
	return []mutant{
		{"keep the slot without looking at the record", small("", R, keeps(keepsBlindly)), lane.Step},
		{"keep a pending cut after a missed generation", small("", R, keeps(keepsPending), records(good, refusable), times(refuseFault, 2), times(killFault, 0)), lane.Step},
		{"write in a generation in which another has the slot", small("", R, keeps(keepsAnyway)), lane.Step},
	}
}

// ledgerMutants break the rules of intents and of the ledger's writer.
func ledgerMutants() []mutant {
	const R = sink.Replay
	return []mutant{
		{"go on after an unanswered ledger write", small("", R, soft, offsets(2, 2)),
			before(func(_ *lane.State, e *lane.Event) {
				if e.Kind == lane.LedgerEnded {
					*e = lane.Event{Kind: lane.Failed, Failure: lane.Failure{Refused: true}}
				}
			})},
		{"fetch the record again on a retry", small("", R, soft, offsets(2, 2)), refetch},
		{"take a refused ledger write for stored", small("", R, times(ledgerFault, 1)),
			before(func(s *lane.State, e *lane.Event) {
				if s.Phase == lane.Storing && e.Kind == lane.Failed {
					*e = lane.Event{Kind: lane.Saved}
				}
			})},
		{"skip the intent", small("", R), func(s lane.State, e lane.Event) (lane.State, []lane.Effect) {
			next, effects := lane.Step(s, e)
			if next.Phase == lane.Storing {
				return lane.Step(next, lane.Event{Kind: lane.Saved})
			}
			return next, effects
		}},
		{"commit before the intent's answer", small("", R), commitFirst},
		{"skip the heartbeat", small("", R, times(windowFault, 1)), func(s lane.State, e lane.Event) (lane.State, []lane.Effect) {
			next, effects := lane.Step(s, e)
			if next.Phase == lane.Beating {
				return lane.Step(next, lane.Event{Kind: lane.Alive})
			}
			return next, effects
		}},
		{"drop the dead set from the intent", small("", R, records(good, refusable), times(refuseFault, 1)),
			after(func(_ lane.State, _ lane.Event, _ *lane.State, effects []lane.Effect) []lane.Effect {
				if f := ask(effects, lane.Store); f != nil {
					f.Entry.Cut.Dead = ""
				}
				return effects
			})},
		{"note the position before the letters", small("", R, records(good, badBytes)),
			after(func(was lane.State, e lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect {
				if e.Kind == lane.CommittedOK && s.Phase == lane.Lettering {
					note := lane.Effect{Kind: lane.Note, Entry: lane.Entry{Exists: true, Position: s.Cut.Next, Wrote: true, Plan: s.Plan}}
					return append([]lane.Effect{note}, effects...)
				}
				return effects
			})},
		{"forget the letters", small("", R, records(good, badBytes)),
			before(func(s *lane.State, e *lane.Event) {
				if e.Kind == lane.CommittedOK {
					s.Cut.Letters = false
				}
			})},
		{"position off by one", small("", R, offsets(3, 2)),
			after(func(_ lane.State, e lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect {
				for i := range effects {
					if effects[i].Kind == lane.Note && s.Position.At(0) < 3 {
						s.Position = lane.Vec(s.Position.At(0) + 1)
						effects[i].Entry.Position = s.Position
						effects[len(effects)-1].Cut.First = s.Position
					}
				}
				return effects
			})},
	}
}

// refetch treats a claim after a failure like a new start, with what the
// coordinator holds at that moment, and a ledger write without an answer like
// any other failure.
func refetch(s lane.State, e lane.Event) (lane.State, []lane.Effect) {
	switch {
	case e.Kind == lane.LedgerEnded:
		return lane.Step(s, lane.Event{Kind: lane.Failed, Failure: lane.Failure{Refused: true}})
	case e.Kind == lane.Claimed && s.Entered && !s.Revoked:
		s, _ = lane.Step(lane.State{Delivery: s.Delivery, Plan: s.Plan, Letters: s.Letters}, lane.Event{Kind: lane.Loaded, Record: lane.Present, Entry: e.Entry})
	}
	return lane.Step(s, e)
}

// commitFirst commits, and stores the intent then.
func commitFirst(s lane.State, e lane.Event) (lane.State, []lane.Effect) {
	if s.Phase == lane.Committing && e.Kind == lane.CommittedOK && !s.Stored {
		s.Phase = lane.Staging
		return lane.Step(s, lane.Event{Kind: lane.StagedOK, Token: s.Staged})
	}
	if s.Phase == lane.Storing && e.Kind == lane.Saved {
		s, _ = lane.Step(s, e)
		s.Phase = lane.Committing
		return lane.Step(s, lane.Event{Kind: lane.CommittedOK})
	}
	next, effects := lane.Step(s, e)
	if s.Phase == lane.Staging && next.Phase == lane.Storing {
		next.Phase = lane.Committing
		effects = []lane.Effect{{Kind: lane.Commit, Cut: next.Cut, Token: next.Staged}}
	}
	return next, effects
}

// repeatMutants break the rules of pending cuts.
func repeatMutants() []mutant {
	const R = sink.Replay
	return []mutant{
		{"new bounds on a repeat", small("", R), after(func(_ lane.State, _ lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect {
			if f := ask(effects, lane.Read); f != nil && f.Fixed {
				s.Open, s.Stored, f.Fixed, f.Cut.Next = false, false, false, ""
			}
			return effects
		})},
		{"judge poison again on a repeat", small("", R, records(good, refusable), times(refuseFault, 1)),
			after(func(_ lane.State, _ lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect {
				if f := ask(effects, lane.Read); f != nil && f.Fixed {
					s.Cut.Dead, f.Cut.Dead = "", ""
				}
				return effects
			})},
		{"replace a cut after an unknown attempt", small("", R, records(good, refusable), times(refuseFault, 1)),
			after(func(was lane.State, e lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect {
				if was.Phase == lane.Committing && e.Kind == lane.Failed {
					s.Unknown = false
				}
				return effects
			})},
		{"take a loaded intent for one never tried", small("", R, records(good, refusable), times(refuseFault, 1)),
			after(func(_ lane.State, e lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect {
				if e.Kind == lane.Loaded {
					s.Unknown = false
				}
				return effects
			})},
		{"forget what was refused", small("", R, records(good, hated)),
			before(func(s *lane.State, _ *lane.Event) { s.Judged = "" })},
		{"repeat before claim", small("", R), after(func(was lane.State, e lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect {
			if e.Kind == lane.Waited && s.Phase == lane.Claiming && s.Open {
				s.Phase = lane.Reading
				return []lane.Effect{{Kind: lane.Read, Cut: s.Cut, Fixed: true}}
			}
			return effects
		})},
		{"ignore a changed plan", small("", R, replanned(good, badBytes)),
			before(func(s *lane.State, _ *lane.Event) { s.OldPlan = false })},
		{"no intent for a cut of letters only", small("", R, records(badBytes, good), replanned(good, badBytes)), func(s lane.State, e lane.Event) (lane.State, []lane.Effect) {
			if s.Phase == lane.Reading && e.Kind == lane.Filled && !s.Open && !e.Cut.Rows && e.Cut.Dead == "" && e.Cut.Letters {
				s.Cut, s.Open, s.Phase = e.Cut, true, lane.Lettering
				return s, []lane.Effect{{Kind: lane.Letters, Cut: s.Cut}}
			}
			return lane.Step(s, e)
		}},
		{"commit a new token before it is stored", small("", R, resumes),
			before(func(s *lane.State, e *lane.Event) {
				if s.Phase == lane.Staging && s.Stored {
					s.Resumes = false
				}
			})},
		{"take Never for Done", small("", R, resumes),
			before(func(_ *lane.State, e *lane.Event) {
				if e.Kind == lane.Resumed {
					e.Outcome = sink.Done
				}
			})},
		{"append again while a token is pending", small("", R, resumes),
			after(func(_ lane.State, _ lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect {
				if f := ask(effects, lane.Resume); f != nil {
					s.Phase = lane.Reading
					*f = lane.Effect{Kind: lane.Read, Cut: s.Cut, Fixed: true}
				}
				return effects
			})},
		{"take Done under another plan", small("", R, resumes, records(good, badBytes), replanned(badBytes, good)),
			before(func(s *lane.State, e *lane.Event) {
				if e.Kind == lane.Resumed {
					s.OldPlan = false
				}
			})},
		{"call a cut undecidable that was never tried", small("", R, records(outside, good), times(refuseFault, 1)),
			before(func(s *lane.State, e *lane.Event) {
				if e.Kind == lane.Halted && s.Open && s.Stored {
					s.Unknown = true
				}
			})},
	}
}

// recordMutants misread what the ledger or the destination says at the start.
func recordMutants() []mutant {
	const R = sink.Replay
	record := func(from, to lane.RecordState) step {
		return before(func(_ *lane.State, e *lane.Event) {
			if e.Kind == lane.Loaded && e.Record == from {
				e.Record = to
			}
			e.Found.Other = false
		})
	}
	return []mutant{
		{"take Lost for Fresh", small("", R, times(loseFault, 1), latest), record(lane.Lost, lane.Fresh)},
		{"take Damaged for Present", small("", R, times(damageFault, 1)), record(lane.Damaged, lane.Present)},
		{"ignore the incarnation of the record", small("", R, times(recreateFault, 1)), record(lane.Replaced, lane.Present)},
		{"ignore the incarnation at the destination", small("", sink.Atomic, times(recreateFault, 1)),
			before(func(_ *lane.State, e *lane.Event) { e.Found.Other = false })},
		{"take a mark for a start", small("", R, half, times(loseFault, 1), times(killFault, 2)),
			before(func(s *lane.State, e *lane.Event) {
				if e.Kind == lane.Claimed && !s.Entered && e.Found.High.Any() {
					s.Position, s.Record = e.Found.High, lane.Present
					e.Found.High, e.Found.State = "", sink.Empty
				}
			})},
		{"ignore that the rows are gone", small("", R, times(emptyFault, 1)),
			before(func(s *lane.State, _ *lane.Event) { s.Wrote = false })},
		{"read over a gap", small("", R, times(retainFault, 1)), before(func(s *lane.State, e *lane.Event) {
			if e.Kind == lane.Halted && e.Reason == lane.Gap {
				next := lane.Vec(s.Position.At(0) + 1)
				*e = lane.Event{Kind: lane.Filled, Cut: lane.Cut{First: s.Position, Next: next}}
			}
		})},
		{"read before the start is stored", small("", R, latest, times(loseFault, 1)), func(s lane.State, e lane.Event) (lane.State, []lane.Effect) {
			next, effects := lane.Step(s, e)
			if next.Phase == lane.Opening && s.Phase == lane.Resolving {
				return lane.Step(next, lane.Event{Kind: lane.Saved})
			}
			return next, effects
		}},
	}
}

// atomicMutants break the rules of destinations that keep the position.
func atomicMutants() []mutant {
	const A = sink.Atomic
	return []mutant{
		{"atomic: go on from memory instead of the row", small("", A),
			before(func(s *lane.State, e *lane.Event) {
				if e.Kind == lane.Claimed && s.Position.Known() && e.Found.High.Any() {
					e.Found.High = s.Position
				}
			})},
		{"atomic: run again after a lost COMMIT without claiming", small("", A, times(killFault, 0)), func(s lane.State, e lane.Event) (lane.State, []lane.Effect) {
			switch {
			case s.Phase == lane.Committing && e.Kind == lane.Failed && !e.Failure.Refused:
				return s, []lane.Effect{{Kind: lane.Commit, Cut: s.Cut, Token: s.Staged}}
			case s.Phase == lane.Committing && e.Kind == lane.Failed && e.Failure.Rows == "":
				e = lane.Event{Kind: lane.CommittedOK} // "stale: so it was in"
			}
			return lane.Step(s, e)
		}},
		{"atomic: no letters after a claim", small("", A, records(good, badBytes)),
			before(func(_ *lane.State, e *lane.Event) { e.Found.Last.Letters = false })},
		{"atomic: letters of another plan", small("", A, records(good, badBytes), replanned(badBytes, good)),
			before(func(s *lane.State, _ *lane.Event) { s.OldPlan = false })},
		{"atomic: letters are acknowledged by position", small("", A, records(refusable, good), times(refuseFault, 1), times(backupFault, 1),
			times(restoreFault, 1), generations(2)),
			before(func(s *lane.State, e *lane.Event) {
				if last := &e.Found.Last; e.Kind == lane.Claimed && last.Letters && s.Position.Known() && s.Position.At(0) >= last.Next.At(0) {
					last.Letters = false
				}
			})},
		{"atomic: a restored backup is not stored", small("", A, offsets(3, 2), records(good, refusable, good), times(backupFault, 1),
			times(restoreFault, 1), times(refuseFault, 1), times(killFault, 0), times(lostFault, 0), generations(2)),
			after(func(was lane.State, e lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect {
				if e.Kind == lane.Claimed && s.Phase == lane.Opening && was.Entered {
					s.Phase, s.Unsaved = lane.Reading, false
					return []lane.Effect{{Kind: lane.Read, Cut: lane.Cut{First: s.Position, Dead: s.Judged}}}
				}
				return effects
			})},
	}
}

// wayMutants break the rules of the ways on that the YAML allows.
func wayMutants() []mutant {
	const A, R = sink.Atomic, sink.Replay
	gap := func(change func(s *lane.State, e *lane.Event)) step {
		return before(func(s *lane.State, e *lane.Event) {
			if e.Kind == lane.Halted && e.Reason == lane.Gap {
				change(s, e)
			}
		})
	}
	return []mutant{
		{"skip a gap that may not be", small("", R, times(retainFault, 1)), gap(func(s *lane.State, _ *lane.Event) { s.SkipGaps = true })},
		{"skip more than is gone", small("", R, skips, times(retainFault, 1)), gap(func(_ *lane.State, e *lane.Event) {
			e.Cut.Next = lane.Vec(e.Cut.Next.At(0) + 1)
		})},
		{"go on within a pending batch that is gone in part", small("", R, skips, times(retainFault, 1)), gap(func(s *lane.State, _ *lane.Event) { s.Unknown = false })},
		{"give up a refused batch", small("", R, skips, half, times(retainFault, 1), times(silentFault, 1)), gap(func(s *lane.State, _ *lane.Event) { s.Unknown = s.Open })},
		{"keep the rows of a batch that is given up", small("", R, skips, parts(2, 1), times(retainFault, 1), times(silentFault, 1), generations(2)),
			after(func(_ lane.State, e lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect {
				if e.Kind == lane.Halted && e.Reason == lane.Gap && s.Phase == lane.Claiming {
					s.Phase, s.Unsaved = lane.Reading, false
					return []lane.Effect{{Kind: lane.Read, Cut: lane.Cut{First: s.Position}}}
				}
				return effects
			})},
		{"atomic: skip in memory only", small("", A, skips, times(retainFault, 2), offsets(3, 2), times(killFault, 0), generations(2)), after(func(was lane.State, e lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect {
			if e.Kind == lane.Halted && e.Reason == lane.Gap && s.Phase == lane.Staging {
				past := s.Cut.Next
				*s = was
				s.Position = past
				return []lane.Effect{{Kind: lane.Read, Cut: lane.Cut{First: past, Dead: s.Judged}}}
			}
			return effects
		})},
		{"new topic: go on from the old position", small("", R, renews, times(recreateFault, 1)), before(func(_ *lane.State, e *lane.Event) {
			if e.Kind == lane.Loaded && e.Record == lane.Replaced {
				e.Record = lane.Present
			}
		})},
		{"new topic: repeat what was pending", small("", R, renews, times(recreateFault, 1), offsets(3, 2)),
			after(func(_ lane.State, e lane.Event, s *lane.State, effects []lane.Effect) []lane.Effect {
				if e.Kind == lane.Loaded && e.Record == lane.Replaced && e.Entry.Pending {
					s.Cut, s.Open, s.Stored, s.Unknown, s.Entered = e.Entry.Cut, true, true, true, true
					s.Position, s.Cut.First = e.Entry.Position, e.Entry.Position
				}
				return effects
			})},
		{"new topic: without a decision", small("", R, times(recreateFault, 1)), before(func(s *lane.State, e *lane.Event) {
			s.NewTopic = true
		})},
		{"new topic: no marks are no traces, also of this one", small("", R, renews, noMark, times(recreateFault, 1), times(loseFault, 1)), before(func(s *lane.State, e *lane.Event) {
			if e.Kind == lane.Claimed && !s.Entered && e.Found.State == sink.NoMark {
				e.Found.State = sink.Empty
			}
		})},
	}
}

// settleMutants are decisions that settle refuses, or carries out by half.
func settleMutants() []mutant {
	const A, R = sink.Atomic, sink.Replay
	by := func(how careless, c config) config { c.careless = how; return c }
	return []mutant{
		{"settle: start anywhere", by(insisting, small("", R, times(settleFault, 1))), lane.Step},
		{"settle: atomic: start anywhere", by(insisting, small("", A, times(settleFault, 1))), lane.Step},
		{"settle: drop a pending batch", by(forgetful, small("", R, noMark, times(settleFault, 1))), lane.Step},
		{"settle: keep, and not the rows", by(keepsWriting, small("", R, times(settleFault, 1), times(emptyFault, 1))), lane.Step},
		{"settle: a decision that is not written down", by(undecided, small("", R, times(settleFault, 1), times(recreateFault, 1))), lane.Step},
	}
}

// TestMutants breaks one guard at a time: each must be caught. What comes out
// is tried first: a doubled or missing record, one that is in the table and in
// the letters, a lane that cannot move. Where that does not show within a small
// world, the rule that was broken must.
func TestMutants(t *testing.T) {
	t.Cleanup(sparingly())
	for _, m := range mutants() {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			c := m.world
			c.outcomes = true
			r, _ := explore(c, m.step, 600_000)
			shown := "outcome"
			if r.violation == "" {
				c.outcomes = false
				r, _ = explore(c, m.step, limit)
				shown = "rule"
			}
			if r.violation == "" {
				t.Fatalf("%s: survives %d states (cut off: %v)", m.name, r.states, r.cut)
			}
			t.Logf("%s: %s (%s, %d steps, %d states)", m.name, r.violation, shown, len(r.trace), r.states)
			for i, line := range r.trace {
				t.Logf("%3d %s", i+1, line)
			}
		})
	}
}
