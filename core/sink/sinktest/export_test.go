package sinktest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// Failures runs the cases whose names begin with one of only (all without
// any), and returns what each has reported.
func Failures(t *testing.T, target Target, rounds int, only ...string) map[string][]string {
	t.Helper()
	s := settings{printed: uint64(time.Now().UnixNano()), rounds: rounds}
	t.Logf("seed %d", s.printed)
	all := map[string][]string{}
	for _, c := range cases() {
		if c.wanted != nil && !c.wanted(target) || !named(c.name, only) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			r := &recorder{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.run(newBench(r, target, s.of(c.name)))
			}()
			<-done
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.said != nil {
				all[c.name] = r.said
			}
		})
	}
	return all
}

func named(name string, only []string) bool {
	for _, o := range only {
		if strings.HasPrefix(name, o) {
			return true
		}
	}
	return only == nil
}

// recorder is a test whose failures are wanted.
type recorder struct {
	testing.TB
	mu   sync.Mutex
	said []string
}

func (r *recorder) say(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, text)
}

func (r *recorder) Errorf(format string, args ...any) { r.say(fmt.Sprintf(format, args...)) }
func (r *recorder) Error(args ...any)                 { r.say(fmt.Sprint(args...)) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.say(fmt.Sprintf(format, args...))
	runtime.Goexit()
}
func (r *recorder) Fatal(args ...any) { r.say(fmt.Sprint(args...)); runtime.Goexit() }
func (r *recorder) FailNow()          { r.say("failed"); runtime.Goexit() }
func (r *recorder) Logf(string, ...any) {
}

// What the tests of this package look at.
type (
	// Story is a history that is told by hand.
	Story struct{ h history }
	// Proxy is the kit's proxy.
	Proxy = proxy
)

// Same compares as the kit does.
func Same(t record.Type, want, got any) bool { return same(t, want, got) }

// Commit notes a commit and its answer.
func (s *Story) Commit(owner int, c record.Cut, err error) { s.h.end(s.h.begin(owner, c), err) }

// Judge judges rows of a partition, by their offsets.
func (s *Story) Judge(d sink.Delivery, partition int32, offsets ...int64) []string {
	s.h.delivery = d
	var rows []seen
	for _, o := range offsets {
		rows = append(rows, seen{at: at{partition, o}})
	}
	return s.h.judge(rows)
}

// Lines are the keys of an example, with an asterisk where there is a comment.
func Lines(text string) (all []string) {
	for _, l := range lines(text) {
		if l.commented {
			l.path += "*"
		}
		all = append(all, l.path)
	}
	return all
}

// NewProxy makes the kit's proxy.
func NewProxy(target string) (*Proxy, error) { return newProxy(target) }

// Addr is where it listens.
func (p *proxy) Addr() string { return p.addr() }

// Close ends it.
func (p *proxy) Close() { p.close() }

// Next has a fault happen to the transfer after some, and returns when it has.
func (p *proxy) Next(what string, after int, delay time.Duration) (hit chan struct{}) {
	hit = make(chan struct{})
	kinds := map[string]fault{"cut request": cutRequest, "cut within": cutWithin, "cut answer": cutAnswer, "swallow": swallow, "late": late}
	p.arm(&armed{after: after, what: kinds[what], delay: delay, fired: sync.OnceFunc(func() { close(hit) })})
	return hit
}

// Trip is a context that ends when it is looked at for the n-th time.
func Trip(ctx context.Context, n int) context.Context { return newTrip(ctx, n) }
