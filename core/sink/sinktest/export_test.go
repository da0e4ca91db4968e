package sinktest

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Failures runs the cases whose names begin with one of only (all without
// any), and returns what each has reported.
func Failures(t *testing.T, target Target, rounds int, only ...string) map[string][]string {
	t.Helper()
	s := settings{seed: uint64(time.Now().UnixNano()), rounds: rounds}
	t.Logf("seed %d", s.seed)
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
