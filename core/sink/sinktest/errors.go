package sinktest

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// asRows is errors.As.
func asRows(err error, rows **sink.RowsError) bool { return errors.As(err, rows) }

// ways makes each call of the sequence once, under a context that differs, and
// hands its error to see. The calls before it are undisturbed.
func (p *place) ways(first int64, under func(name string) (context.Context, func()), see func(name string, err error)) int64 {
	p.Helper()
	for _, name := range []string{"Open", "Claim", "Append", "Stage", "Commit"} {
		s, open := p.tryOpenUnder(name, under, see)
		if !open {
			continue
		}
		c := cutOf(0, first, first+60)
		if p.way(s, name, c, under, see) {
			first += 60
		}
		s.Close()
	}
	return first
}

func (p *place) tryOpenUnder(name string, under func(string) (context.Context, func()), see func(string, error)) (sink.Sink, bool) {
	p.Helper()
	if name != "Open" {
		s, err := p.open(p.Context())
		if err != nil {
			p.Fatalf("open: %v", err)
		}
		return s, true
	}
	ctx, end := under(name)
	defer end()
	s, err := p.open(ctx)
	see(name, err)
	if err == nil {
		s.Close()
	}
	return nil, false
}

// way makes the calls as far as the named one, and the rest as core does after
// an error. It returns whether the cut is in, which is always so in the end.
func (p *place) way(s sink.Sink, name string, c record.Cut, under func(string) (context.Context, func()), see func(string, error)) bool {
	p.Helper()
	call := func(this string, f func(ctx context.Context) error) error {
		if this != name {
			return f(p.Context())
		}
		ctx, end := under(this)
		defer end()
		err := f(ctx)
		if errors.Is(err, errStuck) {
			p.FailNow()
		}
		see(this, err)
		return err
	}
	l := newLane(p, slot(0, 1), nil)
	l.position = firsts(c)
	var token string
	err := call("Claim", func(ctx context.Context) (err error) { l.w, _, err = p.claim(ctx, s, l.slot); return err })
	if err == nil {
		err = call("Append", func(ctx context.Context) error { return l.w.fill(ctx, c) })
	}
	if err == nil {
		err = call("Stage", func(ctx context.Context) (err error) { token, err = l.w.stage(ctx, c); return err })
	}
	if err == nil {
		err = call("Commit", func(ctx context.Context) error { return l.w.commit(ctx, c, token) })
	}
	if l.w != nil {
		l.drop()
	}
	if err == nil {
		return true
	}
	p.again(s, c, token, "after "+name+" has ended in an error")
	return true
}

// tries is how often the kit does a thing again whose error may pass.
const tries = 10

// again repeats a cut as core does, and again where that ends in an error that
// may pass: a connection that broke before may be noticed only now.
func (p *place) again(s sink.Sink, c record.Cut, token, when string) {
	p.Helper()
	var err error
	for n := range tries {
		time.Sleep(time.Duration(n*n) * 10 * time.Millisecond)
		if err = p.once(s, c, token); err == nil {
			return
		}
		if sink.IsPermanent(err) || errors.Is(err, errStuck) {
			break
		}
	}
	p.Fatalf("%s once more, %s: %v", c, when, err)
}

func (p *place) once(s sink.Sink, c record.Cut, token string) error {
	w, _, err := p.claim(p.Context(), s, slot(c.Partition, len(c.Ranges)))
	if err != nil {
		return err
	}
	defer w.close()
	if finished, err := w.resume(p.Context(), c, token); err != nil || finished {
		return err
	}
	if err := w.fill(p.Context(), c); err != nil {
		return err
	}
	return w.put(p.Context(), c)
}

// cancelled: with a context that has ended, a call returns at once; and one
// that ends within it ends the call.
func cancelled(b *bench) {
	p := b.place(standard(b.target.Spec))
	next := p.ways(0, func(string) (context.Context, func()) {
		ctx, cancel := context.WithCancel(p.Context())
		cancel()
		return ctx, cancel
	}, func(string, error) {})
	p.check("after every call had a context that had ended")
	p.ways(next, func(string) (context.Context, func()) {
		ctx, cancel := context.WithTimeout(p.Context(), time.Millisecond)
		return ctx, cancel
	}, func(string, error) {})
	p.check("after every call had a context that ended within it")
}

// noAnswer: the server takes what it is sent and says nothing. The end of the
// context must end the call (the bench watches that), and its error is nothing
// that a person could mend.
func noAnswer(b *bench) {
	p := b.place(standard(b.target.Spec))
	p.ways(0, func(string) (context.Context, func()) {
		b.proxy.setMute(true)
		ctx, cancel := context.WithTimeout(p.Context(), 200*time.Millisecond)
		return ctx, func() {
			cancel()
			b.proxy.setMute(false)
		}
	}, p.mustPass)
	p.check("after the server had not answered to any call")
}

// serverAway: connections break, and new ones cannot be had for a while.
func serverAway(b *bench) {
	p := b.place(standard(b.target.Spec))
	p.ways(0, func(string) (context.Context, func()) {
		b.proxy.setDown(true)
		ctx, cancel := context.WithTimeout(p.Context(), 3*time.Second)
		return ctx, func() {
			cancel()
			b.proxy.setDown(false)
		}
	}, p.mustPass)
	p.check("after the server had been away at every call")
}

// mustPass wants an error that core answers by trying again soon.
func (p *place) mustPass(name string, err error) {
	p.Helper()
	if sink.IsPermanent(err) {
		p.Errorf("%s without a server: the error is marked Permanent, and core would wait minutes for a person: %v", name, err)
	}
	if err == nil && name == "Open" {
		return // it may connect later
	}
	var rows *sink.RowsError
	if errors.As(err, &rows) {
		p.Errorf("%s without a server: rows are blamed for it: %v", name, err)
	}
}

// serverKilled: the server crashes between the calls, and what was committed
// before is still there.
func serverKilled(b *bench) {
	p := b.place(standard(b.target.Spec))
	s := p.mustOpen()
	w, _ := p.mustClaim(s, slot(0, 1))
	w.mustWrite(cutOf(0, 0, 100))
	c := cutOf(0, 100, 200)
	w.mustFill(c)
	token := w.mustStage(c)
	if err := b.target.Kill(); err != nil {
		p.Fatalf("kill the server: %v", err)
	}
	ctx, cancel := context.WithTimeout(p.Context(), 3*time.Second)
	err := w.commit(ctx, c, token)
	cancel()
	p.mustPass("Commit", err)
	if err == nil {
		p.Errorf("Commit without a server returned nil")
	}
	ctx, cancel = context.WithTimeout(p.Context(), longest)
	defer cancel()
	if err := b.target.Start(ctx); err != nil {
		p.Fatalf("start the server again: %v", err)
	}
	w.close()
	p.again(s, c, token, "after the server was killed")
	p.check("after the server was killed and started again")
}

// goroutines: what a sink has started has ended when its Close has returned,
// however its calls ended.
func goroutines(b *bench) {
	p := b.place(standard(b.target.Spec))
	next := p.round(0, nil)
	p.read() // what a target keeps open for that is its own
	if b.proxy != nil {
		b.proxy.sever()
	}
	before := stacks()
	for i := range 8 {
		cause := func() {}
		if b.proxy != nil && i%2 == 1 {
			cause = b.proxy.sever
		}
		next = p.round(next, cause)
	}
	if b.proxy != nil {
		b.proxy.sever() // its own goroutines are not the sink's
	}
	var left []string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if left = more(before, stacks()); left == nil {
			break
		}
	}
	if left != nil {
		p.Errorf("%d goroutines are left 5 s after writers and sinks were closed:\n%s", len(left), strings.Join(left[:min(len(left), 3)], "\n\n"))
	}
	p.check("after rounds of open and close")
}

// round opens the sink, commits, breaks something while a batch is under way,
// and closes all.
func (p *place) round(first int64, breakIt func()) int64 {
	p.Helper()
	s, err := p.open(p.Context())
	if err != nil {
		p.Fatalf("open: %v", err)
	}
	w, _, err := p.claim(p.Context(), s, slot(0, 1))
	if err != nil {
		p.Fatalf("claim: %v", err)
	}
	w.mustWrite(cutOf(0, first, first+10))
	half, _, err := p.claim(p.Context(), s, slot(1, 1))
	if err == nil && breakIt != nil {
		err = half.fill(p.Context(), cutOf(1, 0, 10))
		breakIt()
		ctx, cancel := context.WithCancel(p.Context())
		cancel()
		if err == nil {
			_, _ = half.stage(ctx, cutOf(1, 0, 10)) // whatever it says
		}
	}
	if half != nil {
		half.close()
	}
	w.close()
	if err := s.Close(); err != nil && breakIt == nil {
		p.Errorf("close of the sink: %v", err)
	}
	return first + 10
}

// stacks are the goroutines that run now, by their number.
func stacks() map[string]string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	all := map[string]string{}
	for _, g := range strings.Split(string(buf), "\n\n") {
		number, _, _ := strings.Cut(strings.TrimPrefix(g, "goroutine "), " ")
		all[number] = g
	}
	return all
}

// more are the goroutines that were not there before, the kit's own left out.
func more(before, now map[string]string) (left []string) {
	for number, g := range now {
		if _, ok := before[number]; !ok && !strings.Contains(g, "sinktest.(*proxy)") && !strings.Contains(g, "sinktest.stacks") {
			left = append(left, g)
		}
	}
	return left
}
