package sinktest

import (
	"context"
	"sync/atomic"
)

// tripContext ends when it is looked at for the n-th time: whatever place of a
// sink looks at its context finds it ended in some round.
type tripContext struct {
	context.Context
	cancel context.CancelFunc
	left   atomic.Int64
}

func newTrip(ctx context.Context, looks int) *tripContext {
	ctx, cancel := context.WithCancel(ctx)
	t := &tripContext{Context: ctx, cancel: cancel}
	t.left.Store(int64(looks))
	return t
}

func (t *tripContext) look() {
	if t.left.Add(-1) == 0 {
		t.cancel()
	}
}

// Err looks.
func (t *tripContext) Err() error { t.look(); return t.Context.Err() }

// Done looks.
func (t *tripContext) Done() <-chan struct{} { t.look(); return t.Context.Done() }
