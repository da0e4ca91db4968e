package discard

import (
	"context"
	"sync/atomic"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

type discard struct{ rows *atomic.Int64 }

func (d *discard) Claim(_ context.Context, c sink.Claim) (sink.Writer, sink.Found, error) {
	high := make([]int64, c.Partitions)
	for i := range high {
		high[i] = -1
	}
	return &writer{rows: d.rows}, sink.Found{High: high, State: sink.NoMark}, nil
}

func (*discard) Close() error { return nil }

type writer struct {
	rows    *atomic.Int64
	pending int64 // rows since the last commit
	size    int64 // their bytes, as if they were held
}

// Append reports the bytes of the rows although it holds none, so that batches
// are cut by bytes as they would be elsewhere.
func (w *writer) Append(ctx context.Context, rows *record.Chunk) (int64, error) {
	w.pending += int64(rows.Rows())
	w.size += rows.Size()
	return w.size, ctx.Err()
}

// Held implements sink.Holder: no rows are held.
func (*writer) Held() int64 { return 0 }

func (w *writer) Stage(ctx context.Context, _ record.Cut) (string, error) { return "", ctx.Err() }

func (w *writer) Commit(ctx context.Context, _ record.Cut, _ string) error {
	if err := ctx.Err(); err != nil {
		return sink.Refused(err)
	}
	w.rows.Add(w.pending)
	w.pending, w.size = 0, 0
	return nil
}

func (*writer) Close() error { return nil }
