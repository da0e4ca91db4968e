package pipeline_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync/atomic"
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
	if d := time.Since(since); d > time.Minute {
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

// damage answers fetches from an offset on with a batch whose checksum is
// wrong, as often as times.
func (b *bench) damage(from int64, times int) (left func() int) {
	var n atomic.Int64
	n.Store(int64(times))
	b.cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		req := r.(*kmsg.FetchRequest)
		if len(req.Topics) != 1 || len(req.Topics[0].Partitions) != 1 || req.Topics[0].Partitions[0].FetchOffset < from || n.Load() <= 0 {
			return nil, nil, false
		}
		n.Add(-1)
		res := req.ResponseKind().(*kmsg.FetchResponse)
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.HighWatermark, rp.LastStableOffset, rp.LogStartOffset = from+100, from+100, 0
		rp.RecordBatches = make([]byte, 80)
		binary.BigEndian.PutUint64(rp.RecordBatches, uint64(req.Topics[0].Partitions[0].FetchOffset))
		binary.BigEndian.PutUint32(rp.RecordBatches[8:], 80-12)
		rp.RecordBatches[16] = 2
		rt.Partitions = append(rt.Partitions, rp)
		res.Topics = append(res.Topics, rt)
		return res, nil, true
	})
	return func() int { return int(n.Load()) }
}

// A batch that is damaged on the broker's disk stays so: the lane stops, and
// says where.
func TestADamagedBatchStops(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	b.produce(0, 100, 1)
	left := b.damage(100, 1_000_000)
	stop, m := b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	defer stop()
	b.wantStop(m, "unreadable", "events[0]", "offset 100", "checksum")
	if rows := s.all(); !slices.Equal(rows, clicks(100)) {
		t.Errorf("got %d rows, want the 50 before the batch", len(rows))
	}
	if tries := 1_000_000 - left(); tries < 5 || tries > 20 {
		t.Errorf("it was tried %d times", tries)
	}
}

// One that was damaged on its way is read at the next attempt.
func TestADamagedAnswerPasses(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	b.produce(0, 100, 1)
	left := b.damage(0, 4)
	stop, _ := b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	defer stop()
	b.wait("50 rows", func() bool { return len(s.all()) == 50 })
	if left() != 0 {
		t.Error("no answer was damaged: the test proved nothing")
	}
}
