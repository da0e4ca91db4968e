package integration_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/harness"
)

// seed is SLUICE_FAULTS_SEED, or a new one.
func seed(t *testing.T) uint64 {
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

// The promise of the whole program (I1 to I5 and I10 of core/doc.go): with two
// instances that are killed and stopped at the worst moments, a broker that
// dies, and answers that are lost, every committed event is in every sink once,
// no aborted one is anywhere, and at every moment the balances are the sum of
// the events below the positions stored with them.
func TestFaults(t *testing.T) {
	r := harness.Run(t, harness.Options{
		Seed: seed(t), Binary: harness.Build(t), Partitions: 5, Events: 200_000, PerSecond: 1500, Evidence: 3, Limit: 6 * time.Minute,
		Faults: harness.Faults{Kills: 16, LateCommits: 3, LateLedger: 3, Brokers: 2, LedgerStops: 4, WriteStops: 5, CommitStops: 2, LedgerCuts: 4, CommitCuts: 22},
	})
	print(t, r)
}

func print(t *testing.T, r harness.Report) {
	t.Helper()
	t.Logf("seed %d: %d events (%d aborted, %d transactions unclear) in %.0f s, %.0f s in all; %d lives of instances; %d snapshots, %d of them further on; %d files; probe %.1f s",
		r.Seed, r.Events, r.Aborted, r.Unclear, r.Producing.Seconds(), r.Whole.Seconds(), r.Lives, r.Polls, r.Moved, r.Files, r.Probe.Seconds())
	t.Logf("faults: %v", r.Faults)
	t.Logf("evidence: %+v", r.Evidence)
	if r.Aborted*100 < r.Events*8 {
		t.Error(fmt.Errorf("only %d of %d events were aborted", r.Aborted, r.Events))
	}
}
