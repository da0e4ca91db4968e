package clickhouse

import (
	"context"
	"time"

	"github.com/sluicekit/sluice/core/sink"
)

// Ask has the sink ask a server a question of the test's.
func Ask(ctx context.Context, c *Connection, query string, row func(scan func(...any) error) error) error {
	d, err := newDialer(c)
	if err != nil {
		return err
	}
	return d.ask(ctx, func(ctx context.Context, q *session) error { return q.rows(ctx, query, row) })
}

// Age has a writer's connection be dialled so much earlier.
func Age(w sink.Writer, by time.Duration) {
	c := w.(*writer).conn
	c.Born = c.Born.Add(-by)
}
