package sinktest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sluicekit/sluice/core/sink"
)

// perStory is how many faults hit one destination: first commits are a case of
// their own, so there must be many destinations.
const perStory = 10

// recovery is how long errors may go on after the last fault.
const recovery = 2 * time.Minute

// arrival is how long a server may take for a request whose sender has gone.
const arrival = 20 * time.Millisecond

// kills is how many of all faults end the server.
const kills = 3

// crash brings about faults, one by one, at every call of the sequence and in
// the middle of each, and has the driver recover as core does. After each story
// every row is there once.
func crash(b *bench) {
	r := b.random(1)
	c := &crasher{bench: b, r: r, took: map[string]time.Duration{}, transfers: map[string]int{}}
	b.within = c.within
	defer func() { b.within = nil }()
	for story := 0; c.rounds < b.rounds && story < b.rounds; story++ {
		width := 1 + story%2
		p := b.place(standard(b.target.Spec))
		l := newLane(p, slot(int32(r.IntN(5)), width), r)
		l.before, l.after = c.beforeCall, c.afterCall
		c.tell(l, story)
		l.end()
		if b.proxy != nil {
			b.proxy.waitLate()
			time.Sleep(arrival)
		}
		p.check("at the end of story " + b.story(story))
	}
	b.Logf("%d faults: %v", c.rounds, c.counts)
}

// crasher arms one fault after the other.
type crasher struct {
	*bench
	r         *rand.Rand
	rounds    int
	counts    map[string]int
	took      map[string]time.Duration // what a call takes, by its name
	transfers map[string]int           // how many transfers it makes

	last   string // the fault before
	what   string // the fault that is armed, "" for none
	where  string // the call that it waits for
	fired  bool
	name   string // the call under way
	began  time.Time
	passed int
	undo   func() // ends what the fault of this call has begun
}

// story names a story for who wants to see it again.
func (b *bench) story(n int) string { return fmt.Sprintf("%d (seed %d)", n, b.printed) }

// calls are where faults strike; Commit more often than others.
var calls = []string{"Open", "Claim", "Append", "Append", "Stage", "Commit", "Commit", "Commit", "Commit", "Resume"}

// arm picks the next fault.
func (c *crasher) arm(l *lane) {
	kinds := []string{"cancelled before", "cancelled at a look", "cancelled in time", "owner lost before", "owner lost after"}
	if c.proxy != nil {
		kinds = append(kinds, "cut request", "cut within", "cut answer", "swallow", "late", "cut request", "cut answer", "late")
	}
	c.what, c.fired = kinds[c.r.IntN(len(kinds))], false
	c.where = calls[c.r.IntN(len(calls))]
	if c.target.Kill != nil && c.rounds*kills/max(1, c.bench.rounds) >= c.counts["server killed"] {
		c.what, c.where = "server killed", "Commit"
	}
	switch c.where { // what does not come by itself
	case "Open":
		l.drop()
		l.closeSink(l.s)
		l.s = nil
	case "Claim":
		l.drop()
	}
}

// tell runs one story.
func (c *crasher) tell(l *lane, story int) {
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	for range min(perStory, c.bench.rounds-c.rounds) {
		c.arm(l)
		for tries := 0; !c.fired && tries < 12; tries++ {
			c.way(l, story)
		}
		if c.fired {
			c.rounds++
			c.counts[c.what]++
		}
		c.last, c.what, c.fired = c.what+" at "+c.where, "", false
		if c.r.IntN(3) > 0 {
			c.recover(l, story)
		}
		if c.r.IntN(3) == 0 {
			l.wake(c.Context())
		}
	}
	c.recover(l, story)
	l.wake(c.Context())
	c.recover(l, story) // on behalf of what the old owners did
}

// way takes one step, and cleans up after an error.
func (c *crasher) way(l *lane, story int) error {
	err := l.step(c.Context())
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errStuck), errors.Is(err, errWrong):
		c.Fatalf("story %s, %s: %v", c.story(story), c.since(), err)
	case sink.IsPermanent(err) && !errors.Is(err, errLost):
		c.Errorf("story %s, %s: the error is marked Permanent, and there is nothing that a person could mend: %v", c.story(story), c.since(), err)
	}
	if errors.Is(err, errLost) {
		l.abandon()
		return err
	}
	l.drop()
	return err
}

// since says which faults struck last.
func (c *crasher) since() string {
	if c.fired {
		return fmt.Sprintf("after %s at %s", c.what, c.where)
	}
	return "after " + c.last
}

// recover goes on without faults until a batch is in.
func (c *crasher) recover(l *lane, story int) {
	last := slices.Clone(l.position)
	deadline := time.Now().Add(recovery)
	for wait := time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := c.way(l, story)
		if err == nil && !slices.Equal(last, l.position) {
			return
		}
		if err != nil && time.Now().After(deadline) {
			c.Fatalf("story %s: nothing goes on %v after %s: %v", c.story(story), recovery, c.last, err)
		}
		if err != nil {
			time.Sleep(wait)
		}
	}
}

// beforeCall is where an owner can be lost.
func (c *crasher) beforeCall(name string) error {
	c.name = name
	if c.what == "owner lost before" && c.where == name && !c.fired {
		c.name, c.fired = "", true
		return errLost
	}
	return nil
}

func (c *crasher) afterCall(name string) error {
	if c.undo != nil {
		c.undo()
		c.undo = nil
	}
	if c.what == "" && name != "" {
		c.took[name] = (c.took[name]*3 + time.Since(c.began)) / 4
		if c.proxy != nil {
			c.transfers[name] = max(1, c.proxy.passed()-c.passed)
		}
	}
	c.name = ""
	if c.what == "owner lost after" && c.where == name && !c.fired {
		c.fired = true
		return errLost
	}
	return nil
}

// within puts the armed fault into the call that it waits for.
func (c *crasher) within(ctx context.Context) (inner, watched context.Context) {
	c.began = time.Now()
	if c.proxy != nil {
		c.passed = c.proxy.passed()
	}
	if c.what == "" || c.where != c.name || c.name == "" || c.fired {
		return ctx, ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	c.undo = cancel
	switch c.what {
	case "owner lost before", "owner lost after":
		return ctx, ctx
	case "cancelled before":
		cancel()
	case "cancelled at a look":
		t := newTrip(ctx, 1+c.r.IntN(8)*c.r.IntN(4))
		c.undo = func() { t.cancel(); cancel() }
		c.fired = true
		return t, t.Context
	case "cancelled in time":
		c.later(time.Duration(c.r.Int64N(int64(c.took[c.name])+1)), cancel)
	case "server killed":
		c.killLater(cancel)
	default:
		c.armNetwork(cancel)
	}
	c.fired = true
	return ctx, ctx
}

// later does something after a time, at the end of the call at the latest.
func (c *crasher) later(d time.Duration, f func()) {
	undo, quit, over := c.undo, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-time.After(d):
			f()
		case <-quit:
		}
	}()
	c.undo = func() { close(quit); <-over; undo() }
}

// killLater kills the server within the call, and starts it when the call has
// returned.
func (c *crasher) killLater(cancel func()) {
	killed := make(chan error, 1)
	undo, quit := c.undo, make(chan struct{})
	d := time.Duration(c.r.Int64N(int64(c.took[c.name]) + 1))
	go func() {
		select {
		case <-time.After(d):
		case <-quit:
		}
		killed <- c.target.Kill()
		select {
		case <-time.After(patience): // long enough to notice
			cancel()
		case <-quit:
		}
	}()
	c.undo = func() {
		close(quit)
		if err := <-killed; err != nil {
			c.Fatalf("kill the server: %v", err)
		}
		ctx, cancel := context.WithTimeout(c.Context(), longest)
		defer cancel()
		if err := c.target.Start(ctx); err != nil {
			c.Fatalf("start the server again: %v", err)
		}
		undo()
	}
}

// armNetwork arms a fault of the proxy at one of the call's transfers. Faults
// that nobody would notice end the call's context soon after.
func (c *crasher) armNetwork(cancel func()) {
	what := map[string]fault{"cut request": cutRequest, "cut within": cutWithin, "cut answer": cutAnswer, "swallow": swallow, "late": late}[c.what]
	hit := make(chan struct{}, 1)
	a := &armed{what: what, after: c.r.IntN(c.transfers[c.name] + 1), delay: time.Duration(c.r.Int64N(int64(150 * time.Millisecond)))}
	a.fired = func() {
		select {
		case hit <- struct{}{}:
		default:
		}
	}
	pause := time.Duration(c.r.Int64N(int64(20 * time.Millisecond)))
	undo, quit, over := c.undo, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-hit:
		case <-quit:
			return
		}
		if what != swallow && what != late {
			return
		}
		select {
		case <-time.After(pause):
			cancel()
		case <-quit:
		}
	}()
	c.proxy.arm(a)
	c.undo = func() {
		close(quit)
		<-over
		c.proxy.arm(nil)
		undo()
	}
}
