package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// truth is the topic as another client reads it: per partition the committed
// events with their offsets.
type truth struct {
	client *kgo.Client
	topic  string

	mu      sync.Mutex
	parts   []truthPart
	wanted  int64 // events that are no noise
	changed chan struct{}
}

type truthPart struct {
	offsets []int64
	ids     []int64
	next    int64 // everything below it is known
}

func newTruth(broker, topic string, partitions int) (*truth, error) {
	at := map[int32]kgo.Offset{}
	for i := range partitions {
		at[int32(i)] = kgo.NewOffset().AtStart()
	}
	// Control records are kept: they say how far the reader is where what lies
	// there was aborted.
	c, err := kgo.NewClient(kgo.SeedBrokers(broker), past(broker), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: at}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		return nil, err
	}
	return &truth{client: c, topic: topic, parts: make([]truthPart, partitions), changed: make(chan struct{})}, nil
}

// run reads until ctx ends.
func (t *truth) run(ctx context.Context) error {
	defer t.client.Close()
	for ctx.Err() == nil {
		f := t.client.PollFetches(ctx)
		var err error
		f.EachRecord(func(r *kgo.Record) { err = errors.Join(err, t.add(r)) })
		if err != nil {
			return fmt.Errorf("read the topic back: %w", err)
		}
		t.mu.Lock()
		close(t.changed)
		t.changed = make(chan struct{})
		t.mu.Unlock()
	}
	return nil
}

func (t *truth) add(r *kgo.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &t.parts[r.Partition]
	if r.Offset < p.next {
		return fmt.Errorf("partition %d: offset %d after %d", r.Partition, r.Offset, p.next)
	}
	p.next = r.Offset + 1
	if r.Attrs.IsControl() {
		return nil
	}
	id, err := eventID(r.Value)
	if err != nil {
		return fmt.Errorf("partition %d offset %d: %w", r.Partition, r.Offset, err)
	}
	p.offsets, p.ids = append(p.offsets, r.Offset), append(p.ids, id)
	if !makeEvent(id).noise() {
		t.wanted++
	}
	return nil
}

// await returns when everything below the positions is known.
func (t *truth) await(ctx context.Context, positions []int64) error {
	for {
		t.mu.Lock()
		behind := false
		for i, next := range positions {
			behind = behind || t.parts[i].next < next
		}
		changed := t.changed
		t.mu.Unlock()
		if !behind {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until the topic is read back up to %v: %w", positions, ctx.Err())
		case <-changed:
		}
	}
}

// each calls f with the events of a partition in [first, next).
func (t *truth) each(partition int, first, next int64, f func(offset, id int64)) {
	t.mu.Lock()
	p := t.parts[partition]
	t.mu.Unlock()
	i, _ := slices.BinarySearch(p.offsets, first)
	for ; i < len(p.offsets) && p.offsets[i] < next; i++ {
		f(p.offsets[i], p.ids[i])
	}
}

// all is what is known of each partition.
func (t *truth) all() []truthPart {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.parts)
}

// wantedEvents is how many are known that are no noise.
func (t *truth) wantedEvents() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wanted
}

// events is how many are known.
func (t *truth) events() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.parts {
		n += len(t.parts[i].ids)
	}
	return n
}
