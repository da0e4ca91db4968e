package integration_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/harness"
	"github.com/sluicekit/sluice/integration/stack"
)

// gapServers is what the tests of TestGaps share.
type gapServers struct {
	kafka  *stack.KafkaServer
	db     *stack.MariaDBServer
	binary string
}

// gapsAtOnce is how many of the tests run at the same time: they wait more than
// they compute.
const gapsAtOnce = 5

// TestGaps shows, with the built program on a real Kafka and MariaDB, what
// happens when records that a sink has not seen are gone, when positions do not
// mean any more what they did, and when the record of them is lost: it is found,
// the message says which offsets and what can be done, no event is left out or
// written twice by that, sinks that it does not concern go on, and what the
// message advises works.
func TestGaps(t *testing.T) {
	s := &gapServers{kafka: stack.Kafka(t), db: stack.MariaDB(t), binary: harness.Build(t)}
	tests := []struct {
		name string
		run  func(*gapRun)
	}{
		{"registry down", gapRegistryDown}, // the longest first
		{"retention while down", gapRetentionDown},
		{"retention while running", gapRetentionRunning},
		{"topic created again while down, new end below", gapRecreatedDownBelow},
		{"topic created again while down, new end above", gapRecreatedDownAbove},
		{"topic created again while running, new end below", gapRecreatedRunningBelow},
		{"topic created again while running, new end above", gapRecreatedRunningAbove},
		{"group deleted", gapGroupDeleted},
		{"offsets reset", gapOffsetsReset},
		{"offsets of one partition reset", gapOnePartitionReset},
		{"mariadb restored", gapMariaDBRestored},
		{"sqlite restored", gapSQLiteRestored},
		{"backup older than the log", gapBackupOlderThanLog},
		{"partitions added while down", gapGrownDown},
		{"partitions added while running", gapGrownRunning},
		{"slots changed", gapSlotsChanged},
		{"sink renamed", gapSinkRenamed},
		{"sink removed and added again", gapSinkRemoved},
		{"one group, two deployments with other sinks", gapOtherSinks},
		{"one group, two deployments with other topics", gapOtherTopics},
		{"topic missing", gapTopicMissing},
		{"table dropped", gapTableDropped},
		{"table altered", gapTableAltered},
		{"two groups, one destination", gapTwoGroups},
		{"time zones", gapTimeZones},
		{"compacted topic", gapCompacted},
		{"hanging transaction", gapHangingTransaction},
	}
	// Not t.Parallel: its limit is the number of processors, and counts for the
	// whole package.
	places := make(chan struct{}, gapsAtOnce)
	var all sync.WaitGroup
	for _, test := range tests {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			t.Run(test.name, func(t *testing.T) { test.run(newGapRun(t, s)) })
		})
	}
	all.Wait()
	// These take the broker away, so they are alone.
	t.Run("log truncated while down", func(t *testing.T) { gapTruncatedDown(newGapRun(t, s)) })
	t.Run("log truncated while running", func(t *testing.T) { gapTruncatedRunning(newGapRun(t, s)) })
}

// gapLimit bounds one call to a server.
func gapLimit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// gapName makes a test's name one for topics and databases.
func gapName(t *testing.T) string {
	_, name, _ := strings.Cut(t.Name(), "/")
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, name)
}
