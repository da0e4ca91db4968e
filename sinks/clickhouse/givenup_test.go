package clickhouse_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sluicekit/sluice/sinks/clickhouse"
)

// A question that is given up while more of its answer comes than is looked at
// ends with that, and not the whole program with it.
func TestAQuestionIsGivenUp(t *testing.T) {
	conn := connection(servers.ClickHouse(t).Addr(), "default")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows := 0
	err := clickhouse.Ask(ctx, conn, "SELECT number FROM numbers(10000000)", func(func(...any) error) error {
		if rows++; rows == 1 {
			time.Sleep(300 * time.Millisecond) // more blocks come than are kept
			cancel()
			time.Sleep(300 * time.Millisecond)
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || rows == 10_000_000 {
		t.Errorf("%v after %d rows, want it to be given up", err, rows)
	}
}
