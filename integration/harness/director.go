package harness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// director performs the faults, one after another; lost answers to COMMIT come
// beside them.
type director struct {
	rng       *rand.Rand
	instances []*instance
	kafka     *stack.KafkaServer
	store     *store
	gate      *gate // before Kafka
	observer  *observer
	timeline  *timeline
	rate      *pace
	rest      func(ctx context.Context) error
	patience  time.Duration  // how many times longer things may take than on a machine of one's own
	done      map[string]int // faults performed, by name
	cuts      atomic.Int64   // answers to COMMIT that were lost
}

// step is one kind of fault. It returns when its consequences may go on by
// themselves.
type step struct {
	name string
	run  func(ctx context.Context) error
}

// errMissed says that a step has not come to what it is there for: others were
// too slow, or the moment did not come. It is tried again at the end.
var errMissed = errors.New("missed the moment")

// script makes the steps of a run, in an order that the seed decides.
func (d *director) script(f Faults) []step {
	var all []step
	add := func(n int, name string, run func(ctx context.Context) error) {
		for range n {
			all = append(all, step{name, run})
		}
	}
	add(f.Kills, "kill", d.kill)
	add(f.Terms, "SIGTERM", d.term)
	add(f.Rolls, "rolling restart", d.roll)
	add(f.Rests, "rest", d.rest)
	add(f.Severs, "connections reset", d.sever)
	add(f.LateCommits, "kill with "+d.store.called+" under way", d.killWithCommit)
	add(f.LateLedger, "kill with ledger write under way", d.killWithLedger)
	add(f.Brokers, "broker kill", d.killBroker)
	add(f.BrokerStops, "broker stop", d.stopBroker)
	add(f.LedgerStops, "stop with ledger write held", d.stopAtLedger)
	add(f.WriteStops, "stop with first write held", d.stopAtWrite)
	add(f.CommitStops, "stop with COMMIT held", d.stopAtCommit)
	add(f.LedgerCuts, "ledger write unanswered", d.cutLedger)
	add(f.LedgerLate, "ledger write late", d.delayLedger)
	add(f.Servers, "database kill", d.killServer)
	add(f.BlockStops, "stop with block held", d.stopAtBlock)
	add(f.ForgetStops, "stop with block held until forgotten", d.stopUntilForgotten)
	add(f.BeatStops, "stop with INSERT open", d.stopAtBeat)
	d.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// play performs a script.
func (d *director) play(ctx context.Context, script []step) error {
	for n := 0; n < len(script); n++ {
		s := script[n]
		d.timeline.note("%d/%d %s", n+1, len(script), s.name)
		switch err := s.run(ctx); {
		case errors.Is(err, errMissed):
			d.timeline.note("%v", err)
			d.done["missed: "+s.name]++
			script = append(script, s) // the run's limit bounds it
		case err != nil:
			return fmt.Errorf("%s: %w", s.name, err)
		default:
			d.done[s.name]++
		}
		for _, i := range d.instances {
			if err := i.died(); err != nil {
				return err
			}
		}
		if err := d.pause(ctx, 300*time.Millisecond, 2200*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// lose cuts answers to COMMIT until it has cut n, or ctx ends.
func (d *director) lose(ctx context.Context, rng *rand.Rand, n int, every time.Duration) error {
	for int(d.cuts.Load()) < n {
		i := d.instances[rng.IntN(len(d.instances))]
		action := stack.CutAnswer
		switch rng.IntN(10) {
		case 0:
			action = stack.CutRequest // COMMIT never arrives: the other outcome
		case 1:
			action = stack.SwallowAnswer // found out by a timeout only
		}
		t := i.db.arm(action, d.store.commit)
		select {
		case <-t.hit:
			if action != stack.CutRequest {
				d.cuts.Add(1)
			}
			d.timeline.note("%s of %s: %s", d.store.called, i.name, [...]string{stack.CutAnswer: "answer cut", stack.CutRequest: "request cut", stack.SwallowAnswer: "answer swallowed"}[action])
		case <-time.After(2 * time.Second):
			i.db.disarm(t)
		case <-ctx.Done():
			i.db.disarm(t)
			return nil
		}
		select {
		case <-time.After(every/2 + time.Duration(rng.Int64N(int64(every)))):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// pause lets time pass.
func (d *director) pause(ctx context.Context, least, most time.Duration) error {
	select {
	case <-time.After(least + time.Duration(d.rng.Int64N(int64(most-least)))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kill crashes an instance at a random moment. Often another one goes on, and
// the dead one comes back after a while.
func (d *director) kill(ctx context.Context) error {
	alive := d.alive()
	victim := alive[d.rng.IntN(len(alive))]
	d.timeline.note("kill -9 %s", victim.name)
	if err := victim.kill(); err != nil {
		return err
	}
	return d.revive(ctx, victim)
}

// revive starts a killed instance again, now or later, and sometimes the other
// ones too, so that there are two for a part of the time.
func (d *director) revive(ctx context.Context, victim *instance) error {
	if len(d.alive()) > 0 && d.rng.IntN(3) == 0 {
		return nil // stays down until somebody needs it
	}
	if err := d.pause(ctx, time.Millisecond, 700*time.Millisecond); err != nil {
		return err
	}
	for _, i := range d.instances {
		if i != victim && (i.alive() || d.rng.IntN(2) == 0) {
			continue
		}
		d.timeline.note("start %s", i.name)
		if err := i.start(); err != nil {
			return err
		}
	}
	return nil
}

// alive are the instances that run; at least one does.
func (d *director) alive() []*instance {
	var out []*instance
	for _, i := range d.instances {
		if i.alive() {
			out = append(out, i)
		}
	}
	return out
}

// pair makes sure that two instances share the partitions, and picks one.
func (d *director) pair(ctx context.Context) (*instance, error) {
	ctx, cancel := context.WithTimeout(ctx, d.patience*time.Minute)
	defer cancel()
	for _, i := range d.instances {
		if i.alive() {
			continue
		}
		d.timeline.note("start %s", i.name)
		if err := i.start(); err != nil {
			return nil, err
		}
	}
	for _, i := range d.instances {
		// Only an owner of partitions writes to the ledger.
		t := d.gate.arm(stack.Forward, from(i.name, offsetCommit))
		if err := d.gate.await(ctx, t, i.name+" to own partitions"); err != nil {
			return nil, err
		}
	}
	return d.instances[d.rng.IntN(len(d.instances))], nil
}

// spring waits until a request is in a trap.
func (d *director) spring(ctx context.Context, g *gate, t *trap, what string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d.patience*30*time.Second, errors.New("none came in time"))
	defer cancel()
	return g.await(ctx, t, what)
}

// progress waits until every partition has got further in the database.
func (d *director) progress(ctx context.Context, patience time.Duration) error {
	return d.progressOf(ctx, d.store.main, patience)
}

func (d *director) progressOf(ctx context.Context, sink string, patience time.Duration) error {
	before, looks := d.observer.at(sink), d.observer.looks()
	for end := time.Now().Add(d.patience * patience); ; {
		behind := 0
		for p, now := range d.observer.at(sink) {
			if before != nil && now <= before[p] {
				behind++
			}
		}
		if behind == 0 {
			return nil
		}
		if time.Now().After(end) && d.observer.looks() >= looks+3 {
			return fmt.Errorf("%d partitions of sink %s have not moved for %s, from positions %v", behind, sink, d.patience*patience, before)
		}
		if err := d.pause(ctx, 50*time.Millisecond, 100*time.Millisecond); err != nil {
			return err
		}
	}
}
