package harness

import (
	"context"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// stopAtLedger freezes an instance while its ledger write is on its way, until
// somebody else owns its partitions. The write arrives then.
func (d *director) stopAtLedger(ctx context.Context) error {
	victim, err := d.pair(ctx)
	if err != nil {
		return err
	}
	t := d.gate.arm(stack.HoldRequest, from(victim.name, offsetCommit))
	if err := d.spring(ctx, d.gate, t, "a ledger write"); err != nil {
		return err
	}
	if _, err := d.freeze(ctx, victim); err != nil {
		return err
	}
	d.timeline.note("the ledger write of %s arrives", victim.name)
	d.gate.Release()
	if err := d.pause(ctx, 100*time.Millisecond, 400*time.Millisecond); err != nil {
		return err
	}
	return d.thaw(ctx, victim)
}

// stopAtWrite freezes an instance while the first rows of a transaction are on
// their way. They arrive when somebody else has committed the same, and the
// instance does not learn yet that it was replaced: what the coordinator could
// tell it by is slow.
func (d *director) stopAtWrite(ctx context.Context) error {
	victim, err := d.pair(ctx)
	if err != nil {
		return err
	}
	t := victim.db.arm(stack.HoldRequest, d.store.write)
	if err := d.spring(ctx, victim.db, t, "a transaction's first write"); err != nil {
		return err
	}
	beats, writes := d.gate.hold(from(victim.name, heartbeat)), d.gate.hold(from(victim.name, offsetCommit))
	defer func() {
		d.gate.disarm(beats)
		d.gate.disarm(writes)
		d.gate.Release()
	}()
	if _, err := d.freeze(ctx, victim); err != nil {
		return err
	}
	d.timeline.note("the first write of %s arrives", victim.name)
	victim.db.Release()
	if err := d.thaw(ctx, victim); err != nil {
		return err
	}
	return d.pause(ctx, 700*time.Millisecond, 1200*time.Millisecond)
}

// stopAtCommit freezes an instance while its COMMIT is on its way, so that the
// next owner meets its locks.
func (d *director) stopAtCommit(ctx context.Context) error {
	victim, err := d.pair(ctx)
	if err != nil {
		return err
	}
	t := victim.db.arm(stack.HoldRequest, d.store.commit)
	if err := d.spring(ctx, victim.db, t, "a "+d.store.called); err != nil {
		return err
	}
	d.timeline.note("stop %s", victim.name)
	if err := victim.freeze(); err != nil {
		return err
	}
	if err := d.pause(ctx, session+500*time.Millisecond, session+3*time.Second); err != nil {
		return err
	}
	d.timeline.note("the %s of %s arrives", d.store.called, victim.name)
	victim.db.Release()
	return d.thaw(ctx, victim)
}

// freeze stops an instance past its session, until others have moved all
// positions, or have had the time for it. It answers whether they have.
func (d *director) freeze(ctx context.Context, victim *instance) (overtaken bool, err error) {
	d.timeline.note("stop %s", victim.name)
	if err := victim.freeze(); err != nil {
		return false, err
	}
	return d.outlast(ctx, victim)
}

// outlast lets the session of an instance end that is stopped.
func (d *director) outlast(ctx context.Context, victim *instance) (overtaken bool, err error) {
	if err := d.pause(ctx, session+200*time.Millisecond, session+700*time.Millisecond); err != nil {
		return false, err
	}
	patience := 5 * time.Second // locks that the frozen one holds may keep the others waiting: not an error
	if d.store.repeats {
		patience = 10 * time.Second
	}
	if err := d.progress(ctx, patience); err != nil {
		d.timeline.note("while %s is stopped: %v", victim.name, err)
		return false, ctx.Err()
	}
	return true, nil
}

func (d *director) thaw(_ context.Context, victim *instance) error {
	d.timeline.note("continue %s", victim.name)
	return victim.thaw()
}
