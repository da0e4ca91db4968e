package sqlite_test

import (
	"testing"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/sink/sinktest"
	"github.com/sluicekit/sluice/sinks/sqlite"
)

func TestConformance(t *testing.T) { sinktest.Run(t, conformance()) }

// conformance is the sink on a file of each test's own.
func conformance() sinktest.Target {
	return sinktest.Target{
		Spec: sqlite.Spec(),
		Load: func(paths []string) error {
			_, err := config.Load(paths, []sink.Spec{sqlite.Spec()}, func(string) (string, bool) { return "x", true })
			return err
		},
		New: target().Destination,
	}
}
