package integration_test

import (
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/harness"
)

// The promise of the whole program for ClickHouse, which has no transactions:
// two instances and the server are killed, answers to blocks are lost, and blocks
// of owners that were paused come when others have repeated their batches. Every
// committed event is there once, and at no moment is one there twice. Slots are
// two partitions wide.
func TestClickHouseFaults(t *testing.T) {
	runClickHouseFaults(t, harness.Options{
		Events: 200_000, PerSecond: 2000, Evidence: 1, Limit: 25 * time.Minute,
		Faults: harness.Faults{
			Kills: 4, Servers: 5, LateCommits: 1, LateLedger: 1, Terms: 1, Rests: 2, Severs: 1,
			LedgerStops: 1, BlockStops: 2, ForgetStops: 1, BeatStops: 1, LedgerCuts: 1, CommitCuts: 12,
		},
	})
}

func runClickHouseFaults(t *testing.T, o harness.Options) harness.Report {
	t.Helper()
	o.ClickHouse, o.Partitions, o.Slots, o.Patience = true, 8, 4, max(2, o.Patience)
	r := runHarness(t, o)
	kills := r.Faults["kill"] + r.Faults["database kill"] + r.Faults["kill with block under way"] + r.Faults["kill with ledger write under way"]
	late := r.Faults["stop with block held"] + r.Faults["stop with block held until forgotten"] + r.Faults["stop with INSERT open"]
	t.Logf("%d times kill -9, %d answers to blocks cut, %d late writes of a paused owner", kills, r.Faults["lost answer to block"], late)
	f := o.Faults
	if kills < f.Kills+f.Servers+f.LateCommits+f.LateLedger || r.Faults["lost answer to block"] < f.CommitCuts || late < f.BlockStops+f.ForgetStops+f.BeatStops ||
		r.Events < o.Events || r.Aborted*10 < r.Events {
		t.Error("fewer than were asked for")
	}
	return r
}
