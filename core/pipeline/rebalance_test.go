package pipeline_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/sluicekit/sluice/core/pipeline"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/telemetry"
)

// claims counts how often each slot of a destination is claimed.
type claims struct {
	*shelf
	mu    sync.Mutex
	count map[int32]int
}

func newClaims() *claims { return &claims{shelf: newShelf(), count: map[int32]int{}} }

func (c *claims) Claim(ctx context.Context, k sink.Claim) (sink.Writer, sink.Found, error) {
	c.mu.Lock()
	c.count[k.Partition]++
	c.mu.Unlock()
	return c.shelf.Claim(ctx, k)
}

func (c *claims) sum() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.count {
		n += k
	}
	return n
}

func membership(m *telemetry.Registry) telemetry.StreamSnapshot {
	for _, s := range m.Snapshot().Streams {
		return s
	}
	return telemetry.StreamSnapshot{}
}

// A member that comes, and one that goes, while records flow: the slots that
// stay are not claimed again, and every row is there once. More members than
// slots are no harm: what is left over takes over when another one goes.
func TestMembersComeAndGo(t *testing.T) {
	for _, slots := range []int{0, 3} {
		t.Run(fmt.Sprintf("slots %d", slots), func(t *testing.T) {
			b := newBench(t, 5)
			s := newClaims()
			sinks := []pipeline.Sink{b.sink("clicks", s, ofClicks)}
			all := 5
			if slots > 0 {
				all = slots
			}
			produced := 0
			flow := func(n int) {
				b.produce(produced, produced+n, 5)
				produced += n
				b.wait(fmt.Sprintf("%d rows", produced/2), func() bool { return len(s.all()) >= produced/2 })
			}
			share := func(ms ...*telemetry.Registry) func() bool {
				return func() bool {
					low, high, sum := int64(99), int64(0), int64(0)
					for _, m := range ms {
						n := membership(m).Slots
						low, high, sum = min(low, n), max(high, n), sum+n
					}
					return sum == int64(all) && high-low <= 1
				}
			}
			stopA, a := b.run(sinks, slots)
			flow(1000)
			stopB, second := b.run(sinks, slots)
			b.wait("an even share", share(a, second))
			flow(1000)
			if lost := membership(second).Gained; s.sum() != all+int(lost) || membership(a).Lost != lost {
				t.Errorf("%d claims of %d slots, of which %d moved; %+v", s.sum(), all, lost, membership(a))
			}
			if m := membership(a); m.Kept < int64(all)/2 || m.Rebalances < 3 {
				t.Errorf("the first member's numbers: %+v", m)
			}
			var more []*telemetry.Registry
			for range all - 1 {
				_, m := b.run(sinks, slots)
				more = append(more, m)
			}
			b.wait("one member too many", share(append(more, a, second)...))
			flow(1000)
			stopA()
			b.wait("the surplus to take over", share(append(more, second)...))
			flow(1000)
			stopB()
			flow(1000)
			if got, want := s.all(), clicks(produced); !slices.Equal(got, want) {
				t.Errorf("got %d rows, want %d", len(got), len(want))
			}
		})
	}
}
