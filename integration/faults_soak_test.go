//go:build soak

package integration_test

import (
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/harness"
)

// TestFaults for half an hour, on more partitions and with every fault many
// times over.
func TestFaultsSoak(t *testing.T) {
	runFaults(t, harness.Options{
		Partitions: 6, Events: 2_000_000, PerSecond: 1500, Evidence: 20, Limit: 50 * time.Minute,
		Faults: harness.Faults{Kills: 170, LateCommits: 30, LateLedger: 30, Brokers: 15, LedgerStops: 50, WriteStops: 50, CommitStops: 25, LedgerCuts: 40, CommitCuts: 250},
	})
}
