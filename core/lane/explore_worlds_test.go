//go:build !race

package lane_test

import (
	"flag"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/sink"
)

var only = flag.String("world", "", "explore only the world of this name")

// limit is far above every world: one that reaches it is not exhausted, and
// fails.
const limit = 6_000_000

// world makes a world of one sink and one partition, with a kill, a lost
// answer, and late writes of both sorts.
func small(name string, d sink.Delivery, with ...func(*config)) config {
	c := config{name: name, sinks: []sinkConf{{delivery: d}}, parts: 1, offsets: 2, maxCut: 2, gens: 3, lateDest: 1, lateLedger: 1}
	c.budget[killFault], c.budget[lostFault] = 1, 1
	for _, f := range with {
		f(&c)
	}
	return c
}

func times(f fault, n uint8) func(*config) { return func(c *config) { c.budget[f] = n } }

func offsets(n, cut int) func(*config) { return func(c *config) { c.offsets, c.maxCut = n, cut } }

func generations(n uint8) func(*config) { return func(c *config) { c.gens = n } }

func parts(n, each int) func(*config) {
	return func(c *config) { c.parts, c.offsets, c.maxCut = n, each, n*each }
}

// records says what each record is, to every plan.
func records(kinds ...kind) func(*config) {
	return func(c *config) { copy(c.kinds[0][:], kinds); copy(c.kinds[1][:], kinds) }
}

// replanned says what each record is to the changed plan.
func replanned(kinds ...kind) func(*config) {
	return func(c *config) { copy(c.kinds[1][:], kinds); c.budget[planFault] = 1 }
}

func second(d sink.Delivery) func(*config) {
	return func(c *config) { c.sinks = append(c.sinks[:1:1], sinkConf{delivery: d}) }
}

func half(c *config) { c.half = true }

func resumes(c *config) { c.sinks[0].resumes = true }

func stops(c *config) { c.sinks[0].stops = true }

func skips(c *config) { c.sinks[0].skips = true }

func renews(c *config) { c.sinks[0].renews = true }

func noMark(c *config) { c.sinks[0].noMark, c.entered = true, true }

func latest(c *config) { c.latest = true }

// worlds are those of go test. Each has kills and lost answers beside what it
// is for.
func worlds() []config {
	const A, R, L = sink.Atomic, sink.Replay, sink.AtLeastOnce
	return []config{
		small("replay", R, offsets(3, 2)),
		small("two faults", R, times(killFault, 2), times(lostFault, 2), generations(2)),
		small("half applied", R, half),
		small("half applied, twice", R, half, times(lostFault, 2), generations(2)),
		small("refused", R, times(refuseFault, 1), times(silentFault, 1), generations(2)),
		small("ledger refuses", R, times(ledgerFault, 1)),
		small("window", R, times(windowFault, 1)),
		small("poison", R, records(good, refusable), times(refuseFault, 1)),
		small("poison, half", R, half, records(refusable, good), times(refuseFault, 1), generations(2)),
		small("hated", R, records(good, hated)),
		small("bad bytes", R, records(badBytes, good)),
		small("filtered", R, offsets(3, 2), records(filtered, good, badBytes), generations(2)),
		small("outside", R, records(outside, refusable), times(refuseFault, 1), generations(2)),
		small("outside, bad bytes", R, records(badBytes, outside)),
		small("stops", R, stops, records(good, badBytes), times(refuseFault, 1)),
		small("stops, outside", R, stops, records(outside, good)),
		small("too long", R, times(fullFault, 1)),
		small("two sinks", R, second(R), generations(2), offsets(1, 1)),
		small("plan", R, replanned(good, filtered)),
		small("plan, bad bytes", R, records(badBytes, good), replanned(good, badBytes), generations(2)),
		small("lost record", R, times(loseFault, 1), latest),
		small("lost record, no marks", R, times(loseFault, 1), noMark),
		small("lost record, two sinks", R, second(A), times(loseFault, 1), times(killFault, 2), offsets(1, 1), generations(2)),
		small("damaged record", R, times(damageFault, 1)),
		small("re-created topic", R, times(recreateFault, 1)),
		small("rows gone", R, times(emptyFault, 1)),
		small("retention", R, times(retainFault, 2), records(good, badBytes), generations(2)),
		small("retention, skipped", R, skips, times(retainFault, 2), records(good, badBytes), generations(2)),
		small("retention, skipped, poison", R, skips, half, times(retainFault, 2), times(refuseFault, 1), records(good, refusable), generations(2)),
		small("retention, skipped, two partitions", R, skips, parts(2, 1), times(retainFault, 1), generations(2)),
		small("atomic, retention, skipped", A, skips, times(retainFault, 2), records(badBytes, good), generations(2)),
		small("resume, retention, skipped", R, resumes, skips, times(retainFault, 2), records(badBytes, good), generations(2)),
		small("re-created, goes on", R, renews, times(recreateFault, 1)),
		small("re-created, goes on, three records", R, renews, times(recreateFault, 1), offsets(3, 2), generations(2)),
		small("re-created, goes on, no marks", R, renews, noMark, times(recreateFault, 1)),
		small("atomic, re-created, goes on", A, renews, times(recreateFault, 1)),
		small("re-created, one of two goes on", R, renews, second(A), times(recreateFault, 1), offsets(1, 1), generations(2)),
		small("settle", R, times(settleFault, 1), times(retainFault, 1), records(good, badBytes)),
		small("settle, lost record", R, times(settleFault, 1), times(loseFault, 1), latest),
		small("settle, rows gone", R, times(settleFault, 1), times(emptyFault, 1)),
		small("settle, damaged", R, times(settleFault, 1), times(damageFault, 1)),
		small("settle, re-created", R, times(settleFault, 1), times(recreateFault, 1)),
		small("settle, no marks", R, times(settleFault, 1), times(loseFault, 1), noMark),
		small("atomic, settle", A, times(settleFault, 1), times(retainFault, 1), records(badBytes, good), generations(2)),
		small("atomic, settle, restored", A, times(settleFault, 1), times(backupFault, 1), times(restoreFault, 1), generations(2)),
		small("atomic, settle, rows gone", A, times(settleFault, 1), times(emptyFault, 1)),
		small("atomic, settle, re-created", A, times(settleFault, 1), times(recreateFault, 1)),
		small("truncation", R, times(truncateFault, 1)),
		small("two partitions", R, parts(2, 1)),
		small("growth", R, parts(2, 1), times(growFault, 1)),
		small("resume", R, resumes),
		small("resume, poison", R, resumes, records(refusable, badBytes), times(refuseFault, 1), generations(2)),
		small("resume, outside", R, resumes, records(good, outside), generations(2)),
		small("resume, plan", R, resumes, records(good, badBytes), replanned(badBytes, good), generations(2)),
		small("resume, refused", R, resumes, times(refuseFault, 1), generations(2)),
		small("resume, retention", R, resumes, times(retainFault, 1), records(badBytes, good), generations(2)),
		small("atomic", A),
		small("atomic, three records", A, offsets(3, 2), generations(2)),
		small("atomic, poison", A, records(refusable, badBytes), times(refuseFault, 1), generations(2)),
		small("atomic, restored", A, offsets(3, 2), records(good, refusable, refusable), times(backupFault, 1), times(restoreFault, 1),
			times(refuseFault, 2), times(killFault, 0), times(lostFault, 2), generations(1)),
		small("atomic, restored, killed", A, records(refusable, good), times(backupFault, 1), times(restoreFault, 1), times(refuseFault, 1), generations(2)),
		small("atomic, lost record", A, times(loseFault, 1), latest, records(good, badBytes)),
		small("atomic, rows gone", A, times(emptyFault, 1)),
		small("atomic, re-created", A, times(recreateFault, 1)),
		small("atomic, growth", A, parts(2, 1), times(growFault, 1), generations(2)),
		small("atomic, plan", A, records(badBytes, good), replanned(good, badBytes)),
		small("renewed", R, times(renewFault, 1)),
		small("renewed, half", R, half, times(renewFault, 1), generations(3), offsets(1, 1)),
		small("renewed, poison", R, records(good, refusable), times(refuseFault, 1), times(renewFault, 1), times(killFault, 0)),
		small("renewed, bad bytes", R, records(badBytes, good), times(renewFault, 1), times(killFault, 0)),
		small("renewed, window", R, times(windowFault, 1), times(renewFault, 1), times(killFault, 0)),
		small("renewed, resume", R, resumes, times(renewFault, 1), times(killFault, 0)),
		small("renewed, two sinks", R, second(A), times(renewFault, 1), times(lostFault, 0), times(killFault, 0), offsets(1, 1)),
		small("renewed twice", R, times(renewFault, 2), times(killFault, 0), times(lostFault, 0), generations(4)),
		small("renewed, atomic", A, records(badBytes, good), times(renewFault, 1), times(killFault, 0)),
		small("at least once", L, records(badBytes, refusable), times(refuseFault, 1), generations(2)),
	}
}

// TestExplore searches every world to its end. Each action must be taken in a
// world in which members are killed and answers are lost, too.
func TestExplore(t *testing.T) {
	t.Cleanup(sparingly())
	var together sync.Mutex
	var taken [nActions]int
	var lines []string
	states := 0
	t.Run("worlds", func(t *testing.T) {
		for _, c := range worlds() {
			if *only != "" && c.name != *only {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				r, x := explore(c, lane.Step, limit)
				report(t, c, r)
				together.Lock()
				defer together.Unlock()
				states += r.states
				lines = append(lines, fmt.Sprintf("%-26s %9d states %9d steps %5.1f s", c.name, r.states, r.steps, time.Since(began).Seconds()))
				if x.taken[actKill] > 0 && x.answersLost() {
					for a := range taken {
						taken[a] += x.taken[a]
					}
				}
			})
		}
	})
	slices.Sort(lines)
	t.Logf("%d worlds, %d states\n%s", len(lines), states, strings.Join(lines, "\n"))
	for a, n := range taken {
		if n == 0 && *only == "" {
			t.Errorf("no world with kills and lost answers takes the action %q", actionNames[a])
		}
	}
}

// answersLost says that commits, ledger writes and others went unanswered.
func (x *explorer) answersLost() bool {
	return x.taken[actCommitLost] > 0 && x.taken[actLedgerLost] > 0 && x.taken[actClaimLost] > 0
}

// sparingly collects garbage more rarely: a search makes a lot of it, and holds
// little. The function that it returns puts things back.
func sparingly() func() {
	percent := debug.SetGCPercent(400)
	return func() { debug.SetGCPercent(percent) }
}

func report(t *testing.T, c config, r result) {
	t.Helper()
	if r.cut {
		t.Errorf("%s: not exhausted after %d states", c.name, r.states)
	}
	if r.violation == "" {
		return
	}
	t.Errorf("%s: %s", c.name, r.violation)
	for i, line := range r.trace {
		t.Logf("%3d %s", i+1, line)
	}
}

func TestEveryActionHasAName(t *testing.T) {
	if i := slices.Index(actionNames[:], ""); i >= 0 {
		t.Errorf("action %d has no name", i)
	}
}
