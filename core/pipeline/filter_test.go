package pipeline_test

import (
	"slices"
	"testing"

	"github.com/sluicekit/sluice/core/pipeline"
	"github.com/sluicekit/sluice/core/plan"
)

// Where all sinks ask for certain types, the others are passed over before
// they are decoded: they are counted as filtered all the same (I6), and each
// sink gets what its own where selects.
func TestEventsThatNoSinkWants(t *testing.T) {
	ofBig := plan.Spec{Where: `type in ["click", "buy"] and payload.n >= 100`, Fields: []plan.Field{{Name: "id", Expr: "id"}, {Name: "n", Expr: "payload.n"}}}
	for _, slots := range []int{0, 1} {
		b := newBench(t, 2)
		one, two := newShelf(), newShelf()
		b.produce(0, 2000, 2)
		stop, metrics := b.run([]pipeline.Sink{b.sink("clicks", one, ofClicks), b.sink("big", two, ofBig)}, slots)
		settled := func() bool {
			n := int64(0)
			for _, l := range metrics.Snapshot().Lanes {
				n += l.Read
			}
			return n == 4000
		}
		b.wait("2000 records of each sink", settled)
		stop()
		if got, want := one.all(), clicks(2000); !slices.Equal(got, want) {
			t.Errorf("clicks: got %d rows, want %d", len(got), len(want))
		}
		if got := len(two.all()); got != 950 {
			t.Errorf("big: got %d rows, want 950", got)
		}
		filtered := map[string]int64{}
		for _, l := range metrics.Snapshot().Lanes {
			filtered[l.Sink] += l.Filtered
			if !l.AtRest() {
				t.Errorf("%s[%d]: read %d, committed %d, filtered %d, dead %d", l.Sink, l.Partition, l.Read, l.Committed, l.Filtered, l.Dead)
			}
		}
		if filtered["clicks"] != 1000 || filtered["big"] != 1050 {
			t.Errorf("filtered %v, want 1000 and 1050", filtered)
		}
	}
}
