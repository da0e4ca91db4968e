//go:build soak && !race

package lane_test

import (
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/sink"
)

// soakLimit is above what any pair needs; one world of that size takes some
// gigabytes, so soak runs one at a time.
const soakLimit = 40_000_000

// trait is what a world can be about.
type trait struct {
	name string
	with func(*config)
	only []sink.Delivery // nil: every one
}

// next makes the next good record one of a kind.
func next(k kind) func(*config) {
	return func(c *config) {
		for b := range c.parts * c.offsets {
			if c.kinds[0][b] == good && c.kinds[1][b] == good {
				c.kinds[0][b], c.kinds[1][b] = k, k
				return
			}
		}
	}
}

// turns makes the next good record one that is bad to the changed plan.
func turns(c *config) {
	c.budget[planFault] = 1
	for b := range c.parts * c.offsets {
		if c.kinds[0][b] == good && c.kinds[1][b] == good {
			c.kinds[1][b] = badBytes
			return
		}
	}
}

func traits() []trait {
	replay := []sink.Delivery{sink.Replay}
	atomic := []sink.Delivery{sink.Atomic}
	both := func(fs ...func(*config)) func(*config) {
		return func(c *config) {
			for _, f := range fs {
				f(c)
			}
		}
	}
	return []trait{
		{"killed twice", times(killFault, 2), nil},
		{"lost twice", times(lostFault, 2), nil},
		{"half", half, replay},
		{"resumes", resumes, replay},
		{"refused", times(refuseFault, 1), nil},
		{"silent", times(silentFault, 1), replay},
		{"ledger refuses", times(ledgerFault, 1), nil},
		{"too long", times(fullFault, 1), nil},
		{"window", times(windowFault, 1), replay},
		{"poison", both(next(refusable), times(refuseFault, 1)), nil},
		{"hated", next(hated), nil},
		{"bad bytes", next(badBytes), nil},
		{"filtered", next(filtered), nil},
		{"outside", next(outside), nil},
		{"stops", both(stops, next(badBytes)), nil},
		{"plan", turns, nil},
		{"lost record", times(loseFault, 1), nil},
		{"damaged", times(damageFault, 1), nil},
		{"re-created", times(recreateFault, 1), nil},
		{"rows gone", times(emptyFault, 1), []sink.Delivery{sink.Replay, sink.Atomic}},
		{"retention", times(retainFault, 1), nil},
		{"truncation", times(truncateFault, 1), nil},
		{"two partitions", parts(2, 1), nil},
		{"growth", both(parts(2, 1), times(growFault, 1)), nil},
		{"two sinks", both(second(sink.Replay), offsets(1, 1)), nil},
		{"restored", both(times(backupFault, 1), times(restoreFault, 1)), atomic},
	}
}

// TestExplorePairs searches a world for every two things that worlds are
// about, with kills, lost answers and late writes, for every delivery.
func TestExplorePairs(t *testing.T) {
	t.Cleanup(sparingly())
	var pairs [nActions][nActions]bool
	all := traits()
	for _, d := range []sink.Delivery{sink.Replay, sink.Atomic, sink.AtLeastOnce} {
		for i, a := range all {
			for _, b := range all[i:] {
				if !a.fits(d) || !b.fits(d) {
					continue
				}
				c := small(d.String()+": "+a.name+" + "+b.name, d, generations(2), b.with, a.with)
				if len(c.sinks) > 1 && c.parts*c.offsets > 1 {
					c.lateDest = 0 // it would take days; late commits meet two sinks of one record
				}
				t.Run(c.name, func(t *testing.T) {
					x := soak(t, c)
					for a := range nActions {
						for b := range nActions {
							pairs[a][b] = pairs[a][b] || x.taken[a] > 0 && x.taken[b] > 0
						}
					}
				})
			}
		}
	}
	for a := range nActions {
		for b := a + 1; b < nActions; b++ {
			if !pairs[a][b] {
				t.Logf("never in one world: %q and %q", actionNames[a], actionNames[b])
			}
		}
	}
}

func (r trait) fits(d sink.Delivery) bool {
	for _, o := range r.only {
		if o == d {
			return true
		}
	}
	return r.only == nil
}

// TestExploreWide searches some worlds with more of everything.
func TestExploreWide(t *testing.T) {
	t.Cleanup(sparingly())
	const A, R = sink.Atomic, sink.Replay
	for _, c := range []config{
		small("replay, 3 records, 2 kills", R, offsets(3, 2), times(killFault, 2)),
		small("half applied, 3 generations", R, half, times(lostFault, 2)),
		small("poison, 3 generations", R, records(good, refusable), times(refuseFault, 2)),
		small("resume, poison, 3 generations", R, resumes, records(refusable, badBytes), times(refuseFault, 1)),
		small("resume, plan, 3 generations", R, resumes, records(good, badBytes), replanned(badBytes, good)),
		small("two sinks, two cuts", R, second(R), generations(2), times(killFault, 0)),
		small("atomic, poison, 3 generations", A, records(refusable, badBytes), times(refuseFault, 1)),
	} {
		t.Run(c.name, func(t *testing.T) { soak(t, c) })
	}
}

// soak searches one world and says how large it was.
func soak(t *testing.T, c config) *explorer {
	t.Helper()
	began := time.Now()
	r, x := explore(c, lane.Step, soakLimit)
	t.Logf("%-40s %9d states %10d steps %6.1f s", c.name, r.states, r.steps, time.Since(began).Seconds())
	report(t, c, r)
	return x
}
