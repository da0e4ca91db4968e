package mariadb_test

import (
	"testing"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/sink/sinktest"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/mariadb"
)

func TestConformance(t *testing.T) { sinktest.Run(t, conformance(servers.MariaDB(t))) }

// conformance is the sink on a database of each test's own.
func conformance(m *stack.MariaDBServer) sinktest.Target {
	return sinktest.Target{
		Spec:   mariadb.Spec(),
		Server: m.Addr(), Kill: m.Kill, Start: m.Start,
		Load: func(paths []string) error {
			_, err := config.Load(paths, []sink.Spec{mariadb.Spec()}, func(string) (string, bool) { return "x", true })
			return err
		},
		New: func(t testing.TB, need sinktest.Need) sinktest.Destination {
			return on(m, need.Address).Destination(t, need)
		},
	}
}
