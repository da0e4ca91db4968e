package harness

import (
	"context"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// term ends an instance as an operator would, and starts it again.
func (d *director) term(ctx context.Context) error {
	alive := d.alive()
	one := alive[d.rng.IntN(len(alive))]
	d.timeline.note("SIGTERM %s", one.name)
	if err := one.stop(); err != nil {
		return err
	}
	d.timeline.note("start %s", one.name)
	return one.start()
}

// killWithCommit crashes an instance whose COMMIT is on its way. It arrives
// when the rows' next owner has come.
func (d *director) killWithCommit(ctx context.Context) error {
	victim, err := d.pair(ctx)
	if err != nil {
		return err
	}
	t := victim.db.arm(stack.HoldRequest, d.store.commit)
	if err := d.spring(ctx, victim.db, t, "a "+d.store.called); err != nil {
		return err
	}
	if err := victim.kill(); err != nil {
		return err
	}
	if err := d.pause(ctx, session, session+2*time.Second); err != nil {
		return err
	}
	d.timeline.note("the %s of %s arrives", d.store.called, victim.name)
	victim.db.Release()
	return d.revive(ctx, victim)
}

// killWithLedger does the same with a ledger write.
func (d *director) killWithLedger(ctx context.Context) error {
	victim, err := d.pair(ctx)
	if err != nil {
		return err
	}
	t := d.gate.arm(stack.HoldRequest, from(victim.name, offsetCommit))
	if err := d.spring(ctx, d.gate, t, "a ledger write"); err != nil {
		return err
	}
	if err := victim.kill(); err != nil {
		return err
	}
	// Before the session ends it is still a member's word, then it is not.
	if err := d.pause(ctx, session/2, 2*session); err != nil {
		return err
	}
	d.timeline.note("the ledger write of %s arrives", victim.name)
	d.gate.Release()
	return d.revive(ctx, victim)
}
