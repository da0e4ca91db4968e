package harness

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Storm is a time in which members come and go all the while.
type Storm struct {
	Time    time.Duration // at least
	Every   time.Duration // an instance is started, stopped or killed
	Least   int           // comings and goings, however long they take
	Brokers int           // times that Kafka is killed right behind that, in the middle of a rebalance
}

// StormReport is what a storm came to.
type StormReport struct {
	Starts, Stops, Kills, Brokers int
	// Worst is the longest time that some sink stood still in some partition, and
	// Where which; while Kafka is down and comes back nothing is measured.
	Worst time.Duration
	Where string
}

// storm starts, stops and kills instances, never the last one.
func (d *director) storm(ctx context.Context, s Storm, w *watch, r *StormReport) error {
	begin := time.Now()
	brokers := 0
	w.start()
	for time.Since(begin) < s.Time || r.Starts+r.Stops+r.Kills < s.Least || brokers < s.Brokers {
		if err := d.gust(r); err != nil {
			return err
		}
		if brokers < s.Brokers && time.Since(begin) > s.Time*time.Duration(2*brokers+1)/time.Duration(2*s.Brokers) {
			brokers++
			w.stop()
			// The instance that has just come needs some time to the group.
			if err := d.pause(ctx, 50*time.Millisecond, 600*time.Millisecond); err != nil {
				return err
			}
			if err := d.killBroker(ctx); err != nil {
				return err
			}
			r.Brokers++
			w.start()
		}
		if err := d.pause(ctx, s.Every/2, s.Every*3/2); err != nil {
			return err
		}
		for _, i := range d.instances {
			if err := i.died(); err != nil {
				return err
			}
		}
	}
	w.stop()
	r.Worst, r.Where = w.worst, w.where
	return nil
}

// gust is one coming or going.
func (d *director) gust(r *StormReport) error {
	alive := d.alive()
	one := d.instances[d.rng.IntN(len(d.instances))]
	if one.alive() && len(alive) == 1 {
		for one.alive() {
			one = d.instances[d.rng.IntN(len(d.instances))]
		}
	}
	switch {
	case !one.alive():
		r.Starts++
		d.timeline.note("start %s", one.name)
		return one.start()
	case d.rng.IntN(3) == 0:
		r.Kills++
		d.timeline.note("kill -9 %s", one.name)
		return one.kill()
	}
	r.Stops++
	d.timeline.note("SIGTERM %s", one.name)
	return one.stop()
}

// watch measures how long something stands still.
type watch struct {
	mu    sync.Mutex
	on    bool
	begin time.Time
	last  map[string]time.Time // when each was seen to move
	worst time.Duration
	where string
}

func newWatch() *watch { return &watch{last: map[string]time.Time{}} }

// start begins to measure, all of what has ever moved from now on.
func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on, w.begin = true, time.Now()
	for what := range w.last {
		w.last[what] = w.begin
	}
}

// moved notes that something has.
func (w *watch) moved(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	before, ok := w.last[what]
	if !ok {
		before = w.begin
	}
	w.last[what] = now
	w.measure(what, now.Sub(before))
}

// measure keeps the longest. w.mu is held.
func (w *watch) measure(what string, still time.Duration) {
	if w.on && still > w.worst {
		w.worst, w.where = still, fmt.Sprintf("%s until %s", what, time.Now().UTC().Format("15:04:05.000"))
	}
}

// stop ends the measuring; what stands still now counts.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for what, before := range w.last {
		w.measure(what, time.Since(before))
	}
	w.on = false
}
