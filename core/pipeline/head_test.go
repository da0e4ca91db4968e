package pipeline_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicekit/sluice/core/pipeline"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/sink"
)

// lateShelf is claimed only when told.
type lateShelf struct {
	*shelf
	claim <-chan struct{}
}

func (s *lateShelf) Claim(ctx context.Context, c sink.Claim) (sink.Writer, sink.Found, error) {
	select {
	case <-s.claim:
	case <-ctx.Done():
		return nil, sink.Found{}, ctx.Err()
	}
	return s.shelf.Claim(ctx, c)
}

// A sink that waits for the first records while another one, further on, moves
// the shared reader past them, has to read for itself, also on a topic where
// nothing new comes: after a kill sinks are rarely at one position.
func TestALaneLeftBehindWhileItWaits(t *testing.T) {
	b := newBench(t, 1)
	ahead, behind := newShelf(), newShelf()
	everything := plan.Spec{Fields: []plan.Field{{Name: "n", Expr: "payload.n"}}}
	b.produce(0, 1000, 1)
	stop, _ := b.run([]pipeline.Sink{b.sink("ahead", ahead, everything)}, 0)
	b.wait("the sink that is ahead", func() bool { return len(ahead.all()) == 1000 })
	stop()

	asked, claim, answer := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	b.cluster.ControlKey(kmsg.Fetch.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if first.CompareAndSwap(false, true) {
			close(asked)
			b.cluster.SleepControl(func() { <-answer })
		}
		return nil, nil, false
	})
	stop, _ = b.run([]pipeline.Sink{b.sink("ahead", &lateShelf{ahead, claim}, everything), b.sink("behind", behind, everything)}, 0)
	defer stop()
	select {
	case <-asked: // behind waits for offset 0
	case <-time.After(patience):
		t.Fatal("nothing was fetched")
	}
	close(claim)
	time.Sleep(300 * time.Millisecond) // ahead asks for offset 1000
	close(answer)
	b.wait("the sink that is behind", func() bool { return len(behind.all()) == 1000 })
}
