package pipeline_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicekit/sluice/core/pipeline"
)

// A topic that is deleted, created again and filled while the stream runs: not
// one record of the new one is taken for a later one of the old, and the lanes
// are told at once.
func TestATopicRecreatedWhileRunningStops(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	b.produce(0, 100, 1)
	stop, m := b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	defer stop()
	b.wait("50 rows", func() bool { return len(s.all()) == 50 })
	b.recreate()
	b.produce(1000, 1200, 1) // the position, 100, is in the middle of them
	since := time.Now()
	got := b.stopReason(m)
	if !strings.Contains(got, "other incarnation") && !strings.Contains(got, "lost record") {
		t.Errorf("got reason %q", got)
	}
	if d := time.Since(since); d > 7*time.Second {
		t.Errorf("it took %s", d)
	}
	if rows := s.all(); !slices.Equal(rows, clicks(100)) {
		t.Errorf("got %d rows, want the 50 of the old topic: %v", len(rows), rows)
	}
}

// What was read is cut off and written anew, as an unclean election does it:
// the broker knows by the epoch of the last record.
func TestARewrittenLogStops(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	b.produce(0, 100, 1)
	stop, m := b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	defer stop()
	b.wait("50 rows", func() bool { return len(s.all()) == 50 })
	b.cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		req := r.(*kmsg.FetchRequest)
		if len(req.Topics) != 1 || req.Topics[0].Partitions[0].LastFetchedEpoch < 0 {
			return nil, nil, false
		}
		res := req.ResponseKind().(*kmsg.FetchResponse)
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.HighWatermark, rp.LastStableOffset, rp.LogStartOffset = 200, 200, 0
		rp.DivergingEpoch.Epoch, rp.DivergingEpoch.EndOffset = 0, 40
		rt.Partitions = append(rt.Partitions, rp)
		res.Topics = append(res.Topics, rt)
		return res, nil, true
	})
	b.wantStop(m, "truncated", "events[0]", "40", "100")
	if rows := s.all(); len(rows) != 50 {
		t.Errorf("got %d rows, want 50", len(rows))
	}
}
