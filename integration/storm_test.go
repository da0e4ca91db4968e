package integration_test

import (
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/harness"
)

// stall is how long a sink may stand still in a partition while members come
// and go and events flow. It was below 3 s also on a machine with a load of 60, and once 9 s on a slower one.
const stall = 30 * time.Second

// Four instances come and go every two seconds, stopped or killed: nothing is
// lost or doubled, and no sink stands still. Slots are two partitions wide, the
// last one, and at times there are more instances than slots.
func TestStorm(t *testing.T) {
	runStorm(t, harness.Options{
		Partitions: 5, Slots: 3, Instances: 4, Events: 10_000, PerSecond: 1000, Limit: 20 * time.Minute,
		Storm: harness.Storm{Time: 36 * time.Second, Every: 2 * time.Second},
	})
}

// The coordinator is killed in the middle of rebalances, and with it whatever is
// being committed.
func TestStormBroker(t *testing.T) {
	runStorm(t, harness.Options{
		Partitions: 6, Instances: 3, Events: 10_000, PerSecond: 1000, Limit: 20 * time.Minute,
		Storm: harness.Storm{Time: 30 * time.Second, Every: 2 * time.Second, Brokers: 2},
	})
}

func runStorm(t *testing.T, o harness.Options) {
	t.Helper()
	o.Storm.Least = int(o.Storm.Time/o.Storm.Every) * 3 / 5
	if o.Storm.Brokers > 0 {
		o.Storm.Least = 2 * o.Storm.Brokers // Kafka takes its time to come back
	}
	r := runHarness(t, o)
	t.Logf("storm: %+v", r.Storm)
	if r.Storm.Worst > stall {
		t.Errorf("%s stood still for %s", r.Storm.Where, r.Storm.Worst)
	}
	if n := r.Storm.Starts + r.Storm.Stops + r.Storm.Kills; n < o.Storm.Least || r.Storm.Brokers != o.Storm.Brokers {
		t.Errorf("only %d comings and goings, and %d kills of Kafka in %s", n, r.Storm.Brokers, o.Storm.Time)
	}
}

// A rolling restart of static members moves nothing: each comes back to the
// slots that it had, in the same generation, and the others do not notice. Nor do
// they when a ledger write gets no answer: it joins again under its id.
func TestRollingRestart(t *testing.T) {
	runFaults(t, harness.Options{
		Partitions: 5, Slots: 3, Instances: 3, Static: true, Events: 5_000, PerSecond: 500, Limit: 15 * time.Minute,
		Faults: harness.Faults{Rolls: 2, LedgerCuts: 1, LedgerLate: 1},
	})
}
