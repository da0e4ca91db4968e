package harness

import (
	"context"
	"errors"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// killBroker takes Kafka away for a while.
func (d *director) killBroker(ctx context.Context) error {
	if err := d.kafka.Kill(); err != nil {
		return err
	}
	if err := d.pause(ctx, 100*time.Millisecond, 3*time.Second); err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := d.kafka.Start(starting); err != nil {
		return err
	}
	d.timeline.note("the broker is back")
	return d.progress(ctx, 60*time.Second)
}

// cutLedger lets a ledger write happen and its answer be lost.
func (d *director) cutLedger(ctx context.Context) error {
	victim, err := d.pair(ctx)
	if err != nil {
		return err
	}
	t := d.gate.arm(stack.CutAnswer, from(victim.name, offsetCommit))
	if err := d.spring(ctx, d.gate, t, "a ledger write"); err != nil {
		return err
	}
	d.timeline.note("answer to the ledger write of %s cut", victim.name)
	return d.progress(ctx, 30*time.Second)
}

// delayLedger keeps a ledger write until its writer has given it up and is
// another member.
func (d *director) delayLedger(ctx context.Context) error {
	victim, err := d.pair(ctx)
	if err != nil {
		return err
	}
	t := d.gate.arm(stack.HoldRequest, from(victim.name, offsetCommit))
	defer d.gate.Release()
	if err := d.spring(ctx, d.gate, t, "a ledger write"); err != nil {
		return err
	}
	// The next one comes from the member that follows.
	next := d.gate.arm(stack.Forward, from(victim.name, offsetCommit))
	if err := d.spring(ctx, d.gate, next, "the next member's ledger write"); err != nil {
		return err
	}
	d.timeline.note("the ledger write of %s arrives", victim.name)
	return nil
}

// stopBroker freezes Kafka past the session of all members, between two
// transactions of the producers. One that ends right behind it may get no marker
// where the controller has just given the broker up; see judge, which knows that
// again.
func (d *director) stopBroker(ctx context.Context) error {
	if err := d.freezeBroker(ctx); err != nil {
		return err
	}
	d.timeline.note("the broker goes on")
	return d.progress(ctx, time.Minute)
}

func (d *director) freezeBroker(ctx context.Context) error {
	d.rate.quiet.Lock()
	defer d.rate.quiet.Unlock()
	if err := d.kafka.Pause(); err != nil {
		return err
	}
	paused := d.pause(ctx, session, session+2*time.Second)
	return errors.Join(d.kafka.Resume(), paused)
}

// sever resets all connections to Kafka, or those of all instances to the
// database.
func (d *director) sever(context.Context) error {
	if d.rng.IntN(2) == 0 {
		d.gate.Sever()
		return nil
	}
	for _, i := range d.instances {
		i.db.Sever()
	}
	return nil
}

// killServer takes the database away for a while; every other time while it
// takes a batch.
func (d *director) killServer(ctx context.Context) error {
	if err := d.crashServer(ctx); err != nil {
		return err
	}
	d.timeline.note("the database is back")
	return d.progress(ctx, time.Minute)
}

func (d *director) crashServer(ctx context.Context) error {
	alive := d.alive()
	if one := alive[d.rng.IntN(len(alive))]; d.rng.IntN(2) == 0 {
		t := one.db.arm(stack.Forward, d.store.commit)
		select {
		case <-t.hit:
			time.Sleep(time.Duration(d.rng.Int64N(int64(15 * time.Millisecond))))
		case <-time.After(3 * time.Second):
			one.db.disarm(t)
		}
	}
	d.store.away.Lock()
	defer d.store.away.Unlock()
	if err := errors.Join(d.store.count(ctx), d.store.server.Kill()); err != nil {
		return err
	}
	if err := d.pause(ctx, 50*time.Millisecond, 2*time.Second); err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	return d.store.server.Start(starting)
}
