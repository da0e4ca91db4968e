package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// carried is what an instance says when it has begun in a generation.
type carried struct {
	Message    string `json:"msg"`
	Generation int    `json:"generation"`
	Slots      int    `json:"slots"`
}

// generations are those that an instance has begun in its current life.
func (i *instance) generations() (all []carried, err error) {
	i.mu.Lock()
	path := filepath.Join(i.logs, fmt.Sprintf("%s-%03d.log", i.name, i.lives))
	i.mu.Unlock()
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(text) {
		var c carried
		if json.Unmarshal(line, &c) == nil && c.Message == "carrying" {
			all = append(all, c)
		}
	}
	return all, nil
}

// roll restarts every instance, one after another, as a new release comes into
// service. With static members nobody else may notice, and each must come back
// to what it had.
func (d *director) roll(ctx context.Context) error {
	if _, err := d.pair(ctx); err != nil {
		return err
	}
	before, err := d.quiet(ctx)
	if err != nil {
		return err
	}
	for _, one := range d.instances {
		had := before[one][len(before[one])-1]
		d.timeline.note("SIGTERM and start %s, which has %d slots in generation %d", one.name, had.Slots, had.Generation)
		if err := one.stop(); err != nil {
			return err
		}
		if err := one.start(); err != nil {
			return err
		}
		now, err := d.carries(ctx, one)
		if err != nil {
			return err
		}
		if now != had {
			return fmt.Errorf("%s had %d slots in generation %d, and after its restart has %d in generation %d", one.name, had.Slots, had.Generation, now.Slots, now.Generation)
		}
		before[one] = []carried{now}
	}
	for _, i := range d.instances {
		all, err := i.generations()
		if err != nil {
			return err
		}
		if len(all) != len(before[i]) {
			return fmt.Errorf("%s was disturbed by the restart of others: it was in %v, then in %v", i.name, before[i], all)
		}
	}
	return d.progress(ctx, 20*time.Second)
}

// quiet waits until all instances are in one generation and stay there: the
// group's second round may be under way when the first one has just begun.
func (d *director) quiet(ctx context.Context) (map[*instance][]carried, error) {
	const calm = 3 * time.Second
	var since time.Time
	last := -1
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); {
		now, one := map[*instance][]carried{}, 0
		for k, i := range d.instances {
			all, err := i.generations()
			if err != nil {
				return nil, err
			}
			now[i] = all
			switch {
			case len(all) == 0:
				one = -1
			case k == 0:
				one = all[len(all)-1].Generation
			case all[len(all)-1].Generation != one:
				one = -1
			}
		}
		if one < 0 || one != last {
			last, since = one, time.Now()
		}
		if one >= 0 && time.Since(since) >= calm {
			return now, nil
		}
		if err := d.pause(ctx, 100*time.Millisecond, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the instances have not come to rest in one generation within three minutes")
}

// carries waits until an instance has begun.
func (d *director) carries(ctx context.Context, i *instance) (carried, error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		all, err := i.generations()
		if err != nil {
			return carried{}, err
		}
		if len(all) > 0 {
			return all[0], nil
		}
		if err := d.pause(ctx, 50*time.Millisecond, 100*time.Millisecond); err != nil {
			return carried{}, err
		}
	}
	return carried{}, fmt.Errorf("%s has not begun within a minute", i.name)
}
