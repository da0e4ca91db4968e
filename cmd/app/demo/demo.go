package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Options of a demo.
type Options struct {
	Binary string    // the program to run as a child: os.Executable
	Events int       // how many to produce
	Dir    string    // the folder; "" makes one below the system's for temporary files
	Out    io.Writer // progress and files, for people
	Live   bool      // Out is a terminal: progress overwrites itself
}

// Report is what came out.
type Report struct {
	OK            bool         `json:"ok"`
	Events        int          `json:"events"`
	Kills         int          `json:"kills"`
	Sinks         []SinkResult `json:"sinks"`
	BalancesEqual bool         `json:"balances_equal"`
	Seconds       float64      `json:"seconds"`

	Dir string `json:"dir"`
}

// kills is how often the program is killed on the way.
const kills = 2

// Run runs the demo. The error is one of the demo itself; a Report that is not
// OK is Sluice's.
func Run(ctx context.Context, o Options) (Report, error) {
	begin := time.Now()
	r := Report{Events: o.Events, Dir: o.Dir}
	if r.Dir == "" {
		dir, err := os.MkdirTemp("", "sluice-demo-")
		if err != nil {
			return r, err
		}
		r.Dir = dir
	}
	d := &demo{o: o, l: layout{r.Dir}, p: &producer{events: o.Events}}
	d.w = newWatch(d.l)
	if err := d.story(ctx); err != nil {
		return r, err
	}
	r.Kills = d.killed
	err := d.verify(ctx, &r)
	r.Seconds = time.Since(begin).Seconds()
	return r, err
}

type demo struct {
	o      Options
	l      layout
	p      *producer
	w      *watch
	killed int
}

// story produces, runs, kills and waits until everything has arrived.
func (d *demo) story(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	s, err := startServers(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	files, err := d.l.write(s.broker(), s.registry.URL())
	if err != nil {
		return err
	}
	d.show(files)
	c, err := startChild(d.o.Binary, d.l)
	if err != nil {
		return err
	}
	defer func() { c.kill() }() //nolint:errcheck // already stopped unless something else went wrong
	var produced sync.WaitGroup
	failed := make(chan error, 1)
	produced.Go(func() {
		if err := d.p.run(ctx, s, spread(d.o.Events)); err != nil {
			failed <- err
		}
	})
	defer produced.Wait()
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d events had arrived: %w; see %s", d.w.least(), d.o.Events, ctx.Err(), d.l.log())
		case err := <-failed:
			return err
		case <-time.After(25 * time.Millisecond):
		}
		d.w.look(ctx, d.p)
		arrived := d.w.least()
		d.progress(arrived)
		switch {
		case c.gone():
			return fmt.Errorf("sluice run has ended by itself: %w; see %s", errors.Join(c.err), d.l.log())
		case d.killed < kills && arrived >= int64(d.o.Events)*int64(d.killed+1)/(kills+1):
			if err := c.kill(); err != nil {
				return err
			}
			d.killed++
			d.say("killed the program with SIGKILL at %d of %d events (%d of %d), starting it again", arrived, d.o.Events, d.killed, kills)
			if c, err = startChild(d.o.Binary, d.l); err != nil {
				return err
			}
		case d.p.progress() == d.o.Events && arrived >= int64(d.o.Events):
			d.say("all %d events have arrived in every sink (lag 0), stopping the program", d.o.Events)
			return c.stop(ctx)
		}
	}
}

// spread is over what time the events are produced: long enough for kills to
// come in the middle of things.
func spread(events int) time.Duration {
	return min(max(time.Duration(events)*40*time.Microsecond, 3*time.Second), 15*time.Second)
}

// verify compares every row with what was produced.
func (d *demo) verify(ctx context.Context, r *Report) error {
	d.say("comparing every row with what was produced")
	events, err := verifyEvents(d.l.archive(), d.o.Events)
	if err != nil {
		return fmt.Errorf("read %s: %w", d.l.archive(), err)
	}
	stats, err := verifyStats(ctx, d.l.stats(), d.o.Events)
	if err != nil {
		return fmt.Errorf("read %s: %w", d.l.stats(), err)
	}
	balances, equal, err := verifyBalances(ctx, d.l.billing(), d.o.Events)
	if err != nil {
		return fmt.Errorf("read %s: %w", d.l.billing(), err)
	}
	r.Sinks, r.BalancesEqual = []SinkResult{events, stats, balances}, equal
	r.OK = equal
	for i := range r.Sinks {
		s := &r.Sinks[i]
		s.P50, s.P99 = d.w.sinks[i].delays.quantile(0.5).Seconds(), d.w.sinks[i].delays.quantile(0.99).Seconds()
		r.OK = r.OK && s.ok()
	}
	return nil
}
