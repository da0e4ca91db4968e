//go:build !race

package lane_test

import (
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/sink"
)

func replayWorld() config {
	return config{name: "replay", sinks: []sinkConf{{delivery: sink.Replay}}, parts: 1, offsets: 3, maxCut: 2, gens: 3,
		budget: [nFaults]uint8{killFault: 1, lostFault: 1}, lateDest: 1, lateLedger: 1}
}

func TestExploreReplay(t *testing.T) {
	for _, c := range []config{replayWorld()} {
		began := time.Now()
		r, _ := explore(c, lane.Step, 3_000_000)
		t.Logf("%-20s %9d states %9d steps %5.1f s", c.name, r.states, r.steps, time.Since(began).Seconds())
		if r.violation != "" || r.cut {
			t.Errorf("%s: %s", r.violation, "")
			for i, line := range r.trace {
				t.Logf("%2d %s", i+1, line)
			}
		}
	}
}
