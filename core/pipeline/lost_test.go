package pipeline_test

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicekit/sluice/core/pipeline"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/telemetry"
)

// closedShelf is one that knows that the sink has written, and not how far: an
// aggregate's rows are of many partitions.
type closedShelf struct{ *shelf }

func (s closedShelf) Claim(ctx context.Context, c sink.Claim) (sink.Writer, sink.Found, error) {
	w, f, err := s.shelf.Claim(ctx, c)
	for i := range f.High {
		f.High[i] = -1
	}
	return w, f, err
}

// forgetGroup deletes the group, as its expiry does.
func (b *bench) forgetGroup() {
	b.t.Helper()
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{"g"}
	if _, err := req.RequestWith(b.t.Context(), b.client); err != nil {
		b.t.Fatal(err)
	}
}

// stoppedLanes are how many lanes wait for a person's decision.
func stoppedLanes(m *telemetry.Registry) (n int) {
	for _, l := range m.Snapshot().Lanes {
		if l.State == telemetry.Stopped {
			n++
		}
	}
	return n
}

// The group is deleted, and the destination has rows without offsets: to begin
// anew would write them twice. Nor at the next start, when another sink has made
// records.
func TestALostRecordStopsASinkWithoutOffsets(t *testing.T) {
	b := newBench(t, 2)
	s, other := newShelf(), newShelf()
	b.produce(0, 100, 2)
	sinks := []pipeline.Sink{b.sink("clicks", closedShelf{s}, ofClicks)}
	b.carry(s, 50, sinks...)
	b.forgetGroup()
	sinks = append(sinks, b.sink("new", other, ofClicks))
	for range 2 {
		stop, m := b.run(sinks, 0)
		b.wait("both slots to stop", func() bool { return stoppedLanes(m) == 2 })
		b.wantStop(m, "lost record", "--start-at clicks@shelf=")
		b.wait("the new sink's rows", func() bool { return len(other.all()) == 50 })
		stop()
		if n := len(s.all()); n != 50 {
			t.Errorf("got %d rows, want the 50 from before", n)
		}
	}
}

// The group is deleted, and nothing of a partition was ever selected: where the
// others have rows it is no new one, that might begin with what comes next.
func TestALostRecordStopsAPartitionWithoutRows(t *testing.T) {
	b := newBench(t, 2)
	s := newShelf()
	b.produce(0, 100, 2) // clicks are in partition 0 alone
	late := b.sink("clicks", s, ofClicks)
	sinks := []pipeline.Sink{late}
	b.carry(s, 50, sinks...)
	b.forgetGroup()
	sinks[0].Start = pipeline.Start{Latest: true}
	_, m := b.run(sinks, 0)
	b.wait("both slots to stop", func() bool { return stoppedLanes(m) == 2 })
}
