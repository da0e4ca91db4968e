package harness

import (
	"context"
	"errors"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// stopAtBlock freezes an instance while the end of an INSERT's block is under
// way. It arrives when another instance has repeated the batch and gone on.
func (d *director) stopAtBlock(ctx context.Context) error {
	return d.deliverLate(ctx, d.store.commit, func() error { return nil })
}

// stopUntilForgotten does the same with a table that has forgotten the batch when
// its block arrives: nothing but the server's time limit is left to keep it out.
func (d *director) stopUntilForgotten(ctx context.Context) error {
	return d.deliverLate(ctx, d.store.forgets, func() error {
		if err := d.progressOf(ctx, d.store.forgetful, 20*time.Second); err != nil {
			return errors.Join(errMissed, err)
		}
		return d.pause(ctx, d.store.forget, d.store.forget+time.Second)
	})
}

// deliverLate holds a block of an instance that is frozen, until others have gone
// on and wait is over.
func (d *director) deliverLate(ctx context.Context, block match, wait func() error) error {
	victim, err := d.pair(ctx)
	if err != nil {
		return err
	}
	t := victim.db.arm(stack.HoldRequest, block)
	if err := d.spring(ctx, victim.db, t, "a "+d.store.called); err != nil {
		return err
	}
	overtaken, err := d.freeze(ctx, victim)
	if err != nil {
		return err
	}
	waited := wait()
	d.timeline.note("the %s of %s arrives", d.store.called, victim.name)
	victim.db.Release()
	if err := d.pause(ctx, 50*time.Millisecond, 300*time.Millisecond); err != nil {
		return err
	}
	if err := d.thaw(ctx, victim); err != nil {
		return err
	}
	if !overtaken {
		return errMissed
	}
	return waited
}

// stopAtBeat freezes an instance that has opened an INSERT, stored the batch, and
// just asked whether it is a member still. It is; when it goes on and sends the
// block, another instance has long repeated the batch.
func (d *director) stopAtBeat(ctx context.Context) error {
	victim, err := d.pair(ctx)
	if err != nil {
		return err
	}
	var stored time.Time
	var open map[int]bool
	var frozen error
	t := &trap{action: stack.Forward, hit: make(chan struct{}), then: func() { frozen = victim.freeze() }}
	t.match = func(r request) bool {
		if from(victim.name, offsetCommit)(r) {
			stored = time.Now()
			return false
		}
		if stored.IsZero() || !from(victim.name, heartbeat)(r) {
			return false
		}
		open = victim.db.waiting(stored)
		return len(open) > 0
	}
	if err := d.spring(ctx, d.gate, d.gate.set(t), "the heartbeat before a block"); err != nil {
		return errors.Join(errMissed, err)
	}
	d.timeline.note("stop %s with %d INSERTs open", victim.name, len(open))
	if frozen != nil {
		return frozen
	}
	overtaken, err := d.outlast(ctx, victim)
	if err != nil {
		return err
	}
	late := victim.db.arm(stack.Forward, func(r request) bool { return open[r.conn] && begun(r) })
	beats, writes := d.gate.hold(from(victim.name, heartbeat)), d.gate.hold(from(victim.name, offsetCommit))
	defer func() {
		d.gate.disarm(beats)
		d.gate.disarm(writes)
		d.gate.Release()
	}()
	if err := d.thaw(ctx, victim); err != nil {
		return err
	}
	if err := d.pause(ctx, 700*time.Millisecond, 1200*time.Millisecond); err != nil {
		return err
	}
	if !victim.db.disarm(late) || !overtaken {
		return errMissed
	}
	d.timeline.note("%s has sent a block late", victim.name)
	return nil
}
