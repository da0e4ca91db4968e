//go:build soak

package integration_test

import (
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/harness"
)

// TestStorm for two minutes, with slots of one partition and of three.
func TestStormSoak(t *testing.T) {
	for _, slots := range []int{0, 2} {
		runStorm(t, harness.Options{
			Partitions: 6, Slots: slots, Instances: 4, Events: 30_000, PerSecond: 1500, Limit: 6 * time.Minute,
			Storm: harness.Storm{Time: 2 * time.Minute, Every: 2 * time.Second},
		})
	}
}
