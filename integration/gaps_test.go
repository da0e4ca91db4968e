package integration_test

import (
	"strings"
	"testing"

	"github.com/sluicekit/sluice/integration/harness"
	"github.com/sluicekit/sluice/integration/stack"
)

// gapServers is what the tests of TestGaps share.
type gapServers struct {
	kafka  *stack.KafkaServer
	db     *stack.MariaDBServer
	binary string
}

// TestGaps shows, with the built program on a real Kafka and MariaDB, what
// happens when records that a sink has not seen are gone, when positions do not
// mean any more what they did, and when the record of them is lost: it is found,
// the message says which offsets and what can be done, no event is left out or
// written twice by that, sinks that it does not concern go on, and what the
// message advises works.
func TestGaps(t *testing.T) {
	t.Parallel()
	s := &gapServers{kafka: stack.Kafka(t), db: stack.MariaDB(t), binary: harness.Build(t)}
	sideBySide(t, []part[*gapRun]{
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
	}, func(t *testing.T) *gapRun { return newGapRun(t, s) })
	// These take the broker away, so they are alone.
	t.Run("log truncated while down", func(t *testing.T) { gapTruncatedDown(newGapRun(t, s)) })
	t.Run("log truncated while running", func(t *testing.T) { gapTruncatedRunning(newGapRun(t, s)) })
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
