//go:build soak

package integration_test

import (
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/harness"
)

// TestClickHouseFaults for half an hour and five million events.
func TestClickHouseFaultsSoak(t *testing.T) {
	runClickHouseFaults(t, harness.Options{
		Events: 5_000_000, PerSecond: 2800, Evidence: 10, Patience: 4, Limit: 70 * time.Minute,
		Faults: harness.Faults{
			Kills: 70, Servers: 45, LateCommits: 20, LateLedger: 10, Terms: 10, Rests: 15, Severs: 10, Brokers: 2, BrokerStops: 2,
			LedgerStops: 10, BlockStops: 25, ForgetStops: 10, BeatStops: 15, LedgerCuts: 15, LedgerLate: 5, CommitCuts: 210,
		},
	})
}
