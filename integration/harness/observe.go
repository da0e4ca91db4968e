package harness

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// observer polls the store past all proxies, and compares what it holds with
// what the topic says that it must hold at the very positions it has.
type observer struct {
	store *store
	truth *truth
	watch *watch

	turn sync.Mutex // held by a poll

	mu        sync.Mutex
	polls     int
	moved     int // polls that found a position further on
	positions map[string][]int64
}

func newObserver(s *store, t *truth, w *watch) *observer {
	return &observer{store: s, truth: t, watch: w, positions: map[string][]int64{}}
}

// run polls until ctx ends. An error is a fault that was found.
func (o *observer) run(ctx context.Context) error {
	for {
		began := time.Now()
		if err := o.poll(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		// The bigger the tables, the longer it takes: it must not be all that the
		// machine does.
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(250*time.Millisecond, 4*time.Since(began))):
		}
	}
}

// poll compares once.
func (o *observer) poll(ctx context.Context) error {
	o.turn.Lock()
	defer o.turn.Unlock()
	s, err := o.look(ctx)
	if err != nil {
		return fmt.Errorf("read the database: %w", err)
	}
	if err := o.note(s); err != nil {
		return err
	}
	if err := o.truth.await(ctx, s.known); err != nil {
		return err
	}
	return s.compare()
}

func (o *observer) look(ctx context.Context) (*sight, error) {
	o.store.away.RLock()
	defer o.store.away.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return o.store.view.look(ctx)
}

// note keeps the positions: they never go back.
func (o *observer) note(s *sight) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.polls++
	moved := false
	for id, now := range s.positions {
		for i, before := range o.positions[id] {
			if now[i] > before {
				o.watch.moved(fmt.Sprintf("%s partition %d", id, i))
			}
			if now[i] < before {
				return fmt.Errorf("position of %s went back: partition %d from %d to %d", id, i, before, now[i])
			}
		}
		moved = moved || !slices.Equal(now, o.positions[id])
		o.positions[id] = now
	}
	if moved {
		o.moved++
	}
	return nil
}

// looks is how many snapshots were taken so far. On a busy machine they come
// seldom: what has not been looked at again does not stand still.
func (o *observer) looks() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.polls
}

// at are the newest positions seen of a sink; nil before there are some.
func (o *observer) at(id string) []int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.positions[id])
}
