package integration_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/harness"
)

// The promise of the whole program (I1 to I5 and I10 of core/doc.go): with two
// instances that are killed and stopped at the worst moments, a broker that
// dies, and answers that are lost, every committed event is in every sink once,
// no aborted one is anywhere, and at every moment the tables hold just the
// events below the positions stored with them.
func TestFaults(t *testing.T) {
	runFaults(t, harness.Options{
		Partitions: 5, Events: 200_000, PerSecond: 1500, Evidence: 3, Limit: 25 * time.Minute,
		Faults: harness.Faults{
			Kills: 15, LateCommits: 3, LateLedger: 3, Terms: 2, Rests: 4, Severs: 2, Brokers: 2, BrokerStops: 1,
			LedgerStops: 5, WriteStops: 5, CommitStops: 2, LedgerCuts: 4, LedgerLate: 1, CommitCuts: 22,
		},
	})
}

// The same with slots of two partitions, the last one of one: cuts are vectors.
func TestFaultsWidth2(t *testing.T) {
	runFaults(t, harness.Options{
		Partitions: 5, Slots: 3, Events: 30_000, PerSecond: 1500, Limit: 20 * time.Minute,
		Faults: harness.Faults{Kills: 3, Rests: 2, LateCommits: 1, LateLedger: 1, LedgerStops: 1, WriteStops: 1, LedgerCuts: 1, CommitCuts: 3},
	})
}

func runFaults(t *testing.T, o harness.Options) {
	t.Helper()
	if r := runHarness(t, o); r.Aborted*10 < r.Events {
		t.Errorf("only %d of %d events were aborted", r.Aborted, r.Events)
	}
}

// runHarness runs the built program, and says what happened to it.
func runHarness(t *testing.T, o harness.Options) harness.Report {
	t.Helper()
	o.Seed, o.Binary = faultSeed(t), harness.Build(t)
	r := harness.Run(t, o)
	t.Logf("seed %d: %d events (%d aborted, %d transactions unclear) in %.0f s, %.0f s in all; %d lives of instances; %d snapshots compared, %d of them further on; %d files; probe %.1f s",
		r.Seed, r.Events, r.Aborted, r.Unclear, r.Producing.Seconds(), r.Whole.Seconds(), r.Lives, r.Polls, r.Moved, r.Files, r.Probe.Seconds())
	t.Logf("faults: %v", r.Faults)
	t.Logf("evidence: %+v", r.Evidence)
	t.Logf("left out by the end of a transaction: %d partitions %q", len(r.LeftOut), r.LeftOut)
	return r
}

// faultSeed is SLUICE_FAULTS_SEED, or a new one.
func faultSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("SLUICE_FAULTS_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano()) % 1_000_000
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("SLUICE_FAULTS_SEED: %v", err)
	}
	return n
}
