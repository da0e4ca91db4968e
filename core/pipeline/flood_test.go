package pipeline_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/core/deadletter"
	"github.com/sluicekit/sluice/core/pipeline"
	"github.com/sluicekit/sluice/core/record"
)

// flooding produces n records at once to partition 0, of which every k-th is bad.
func (b *bench) flooding(n, k int) {
	b.t.Helper()
	var records []*kgo.Record
	for i := range n {
		v := fmt.Sprintf(`{"id":"f%d","type":"click","payload":{"n":%d}}`, i, i)
		if i%k == 0 {
			v = `{"type":"click","payload":{"n":"much"}}`
		}
		records = append(records, &kgo.Record{Topic: "events", Value: []byte(v)})
	}
	if err := b.client.ProduceSync(b.t.Context(), records...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// dead counts the dead letters.
func (b *bench) dead() int {
	b.t.Helper()
	n := 0
	if _, err := deadletter.NewTopic(b.open(), "events.dead").Each(b.t.Context(), time.Time{}, func(deadletter.Found) error { n++; return nil }); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// A share of bad records beyond max_bad stops the sink before the batch under
// way is committed or lettered, says which reasons it is, and does the same
// again after each restart, also where the bad records lie before the position.
func TestMaxBadStops(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	k := b.sink("clicks", s, ofClicks)
	k.MaxBad = 20 // 2%
	k.Batch.Rows = 50
	b.flooding(1000, 50) // 2%: as many as may be
	stop, metrics := b.run([]pipeline.Sink{k}, 0)
	b.wait("all good rows", func() bool { return len(s.all()) == 980 })
	b.flooding(10, 1)
	b.wantStop(metrics, "too many bad records: 21 of the last 1000 offsets of events[0] up to 1001 are bad, and max_bad is 2%: ", "21 × payload.n: ", "such as offset 50", "raise max_bad")
	for range 3 { // nothing gets past, however often it is started
		stop()
		stop, metrics = b.run([]pipeline.Sink{k}, 0)
		b.stopReason(metrics)
	}
	if n := len(s.all()); n != 980 {
		t.Errorf("%d rows, want 980", n)
	}
	if n := b.dead(); n != 20 {
		t.Errorf("%d dead letters, want 20", n)
	}
	stop()
	k.MaxBad = 100
	stop, metrics = b.run([]pipeline.Sink{k}, 0)
	defer stop()
	b.produce(5000, 5002, 1)
	b.wait("the row behind the flood", func() bool { return len(s.all()) == 981 })
	b.wait("rest", func() bool {
		l := metrics.Snapshot().Lanes[0]
		return l.AtRest() && l.Dead == 10
	})
	if n := b.dead(); n != 30 {
		t.Errorf("%d dead letters, want 30", n)
	}
}

// What is pending when the flood comes is committed, with its letters.
func TestMaxBadLeavesAPendingBatchAlone(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	k := b.sink("clicks", s, ofClicks)
	k.Batch.Rows = 10
	var met atomic.Bool
	s.break_ = func(record.Cut) error { met.Store(true); return errors.New("no answer") }
	b.flooding(40, 2)
	stop, _ := b.run([]pipeline.Sink{k}, 0) // without max_bad
	b.wait("a commit of unknown outcome", met.Load)
	stop()
	k.MaxBad, s.break_ = 1, nil
	stop, metrics := b.run([]pipeline.Sink{k}, 0)
	b.stopReason(metrics)
	if n := len(s.all()); n != 10 {
		t.Errorf("%d rows, want the 10 of the pending batch", n)
	}
	if n := b.dead(); n < 10 || n > 11 {
		t.Errorf("%d dead letters, want those of the pending batch", n)
	}
	stop()
}
