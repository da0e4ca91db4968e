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
		Faults: harness.Faults{
			Kills: 160, LateCommits: 30, LateLedger: 30, Terms: 25, Rests: 40, Severs: 25, Brokers: 14, BrokerStops: 10,
			LedgerStops: 45, WriteStops: 45, CommitStops: 20, LedgerCuts: 35, LedgerLate: 10, CommitCuts: 250,
		},
	})
}
