package pipeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicekit/sluice/core/pipeline"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/telemetry"
)

// stopReason waits until some lane has stopped, and says why.
func (b *bench) stopReason(m *telemetry.Registry) string {
	b.t.Helper()
	reason := ""
	b.wait("a lane that stops", func() bool {
		for _, l := range m.Snapshot().Lanes {
			if l.State == telemetry.Stopped {
				reason = l.Reason
			}
		}
		return reason != ""
	})
	return reason
}

func (b *bench) wantStop(m *telemetry.Registry, parts ...string) {
	b.t.Helper()
	got := b.stopReason(m)
	for _, p := range parts {
		if !strings.Contains(got, p) {
			b.t.Errorf("got reason %q, want it to say %q", got, p)
		}
	}
}

// A sink whose destination is away does not hold up another on the same
// partition, and catches up when it is back.
func TestADeadSinkDoesNotBlockAnother(t *testing.T) {
	b := newBench(t, 2)
	dead, well := newShelf(), newShelf()
	down := true
	dead.break_ = func(record.Cut) error {
		if down {
			return fmt.Errorf("no route to host")
		}
		return nil
	}
	b.produce(0, 2000, 2)
	stop, m := b.run([]pipeline.Sink{b.sink("dead", dead, ofClicks), b.sink("well", well, ofClicks)}, 0)
	defer stop()
	b.wait("the first rows of the one that is well", func() bool { return len(well.all()) == 1000 })
	b.produce(2000, 40000, 2)
	b.wait("all rows of the one that is well", func() bool { return len(well.all()) == 20000 })
	dead.mu.Lock()
	if n := len(dead.cuts); n != 0 {
		t.Errorf("the dead sink took %d batches", n)
	}
	for _, l := range m.Snapshot().Lanes {
		if l.Sink == "dead" && l.Partition == 0 && l.LagRecords != 20000 { // though its position does not move
			t.Errorf("the dead sink has a lag of %d at %+v, want 20000", l.LagRecords, l.Marks)
		}
	}
	down = false
	dead.mu.Unlock()
	b.wait("the other to catch up", func() bool { return len(dead.all()) >= 20000 })
	if got, want := dead.all(), clicks(40000); !slices.Equal(got, want) {
		t.Errorf("got %d rows, want %d", len(got), len(want))
	}
}

// Retention that overtook the position while the sink was down stops the lane,
// and the message names what is missing.
func TestAGapStops(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	b.produce(0, 100, 1)
	sinks := []pipeline.Sink{b.sink("clicks", s, ofClicks)}
	b.carry(s, 50, sinks...)
	b.produce(100, 300, 1)
	b.deleteRecords(200)
	stop, m := b.run(sinks, 0)
	defer stop()
	b.wantStop(m, "gap", "events[0] [100,200)")
	if n := len(s.all()); n != 50 {
		t.Errorf("got %d rows after the stop, want 50", n)
	}
}

func (b *bench) deleteRecords(before int64) {
	b.t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 5000
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = "events"
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Offset = before
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	res, err := req.RequestWith(b.t.Context(), b.client)
	if err != nil {
		b.t.Fatal(err)
	}
	if c := res.Topics[0].Partitions[0].ErrorCode; c != 0 {
		b.t.Fatalf("delete records: code %d", c)
	}
}

// Rows that the destination refuses go to the dead letters, each once, however
// many they are, and every other row is committed.
func TestPoisonRowsGoToTheDeadLetters(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	s.poison = func(n int64) bool { return n%10 == 0 }
	b.produce(0, 1000, 1)
	stop, m := b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	defer stop()
	want := slices.DeleteFunc(clicks(1000), func(row string) bool { return strings.HasSuffix(row, "0,") })
	b.wait("all rows but the poison", func() bool { return len(s.all()) >= len(want) })
	if got := s.all(); !slices.Equal(got, want) {
		t.Errorf("got %d rows, want %d", len(got), len(want))
	}
	b.wait("the books", func() bool { return m.Snapshot().Lanes[0].Dead == 100 })
	seen := map[string]int{}
	for _, l := range b.letters(100) {
		seen[string(l.Key)]++
		for _, h := range l.Headers {
			if h.Key == "sluice-reason" && string(h.Value) != "column n: not today" {
				t.Errorf("got reason %q", h.Value)
			}
		}
	}
	if len(seen) != 100 {
		t.Errorf("got letters for %d records, want 100", len(seen))
	}
	// What was asked for is no trouble: nobody is to wait for it, or to be woken.
	text := b.logs.String()
	if strings.Contains(text, "trying again") || strings.Contains(text, "level=WARN") {
		t.Errorf("rows that go to the dead letters are warned about:\n%s", text)
	}
	if !strings.Contains(text, "rows are refused, and go to the dead letters") || !strings.Contains(text, "column n: not today") {
		t.Errorf("the log does not say that rows are refused:\n%s", text)
	}
}

// on_bad_record: stop commits everything before the bad record, and then stops.
func TestABadRecordStops(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	b.produce(0, 20, 1)
	b.raw(`{"id":"broken"`)
	b.produce(20, 40, 1)
	k := b.sink("clicks", s, ofClicks)
	k.DeadLetter = false
	stop, m := b.run([]pipeline.Sink{k}, 0)
	defer stop()
	b.wantStop(m, "bad record", "offset 20", "on_bad_record")
	if got, want := s.all(), clicks(20); !slices.Equal(got, want) {
		t.Errorf("got %d rows, want the %d before the bad record", len(got), len(want))
	}
}

// The group's offsets deleted: the destination has rows, so nothing starts anew
// by itself, also not at the next start, when another sink has made a record.
func TestALostRecordStops(t *testing.T) {
	b := newBench(t, 1)
	s, other := newShelf(), newShelf()
	b.produce(0, 100, 1)
	sinks := []pipeline.Sink{b.sink("clicks", s, ofClicks)}
	b.carry(s, 50, sinks...)
	b.forgetGroup()
	sinks = append(sinks, b.sink("new", other, ofClicks))
	for range 2 {
		stop, m := b.run(sinks, 0)
		b.wantStop(m, "lost record")
		b.wait("the new sink's rows", func() bool { return len(other.all()) == 50 })
		stop()
		if n := len(s.all()); n != 50 {
			t.Errorf("got %d rows, want the 50 from before", n)
		}
	}
}

// slots: changed while records of the old width exist.
func TestChangedSlotsStop(t *testing.T) {
	b := newBench(t, 4)
	s := newShelf()
	b.produce(0, 100, 4)
	sinks := []pipeline.Sink{b.sink("clicks", s, ofClicks)}
	b.carry(s, 50, sinks...)
	stop, m := b.run(sinks, 2)
	defer stop()
	b.wantStop(m, "slots changed", "slots: 2")
}

// The plan changed while a batch is pending.
func TestAChangedPlanStops(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	s.break_ = func(record.Cut) error { return fmt.Errorf("no answer") }
	b.produce(0, 100, 1)
	stop, m := b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	b.waitForRepeat(m)
	stop()
	changed := plan.Spec{Where: `type == "view"`, Fields: ofClicks.Fields}
	stop, m = b.run([]pipeline.Sink{b.sink("clicks", s, changed)}, 0)
	b.wantStop(m, "plan changed", "put the old YAML back")
	stop()
	s.break_ = nil
	stop, _ = b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	defer stop()
	b.wait("50 rows under the old plan", func() bool { return len(s.all()) == 50 })
}

// A topic that was deleted and created again is another one: offsets that start
// at 0 again are neither taken for work done nor skipped.
func TestARecreatedTopicStops(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	b.produce(0, 100, 1)
	sinks := []pipeline.Sink{b.sink("clicks", s, ofClicks)}
	b.carry(s, 50, sinks...)
	b.recreate()
	b.produce(0, 200, 1)
	stop, m := b.run(sinks, 0)
	defer stop()
	// kfake keeps a group's offsets when the topic goes, Kafka deletes them:
	// either way the sink does not go on.
	got := b.stopReason(m)
	if !strings.Contains(got, "other incarnation") && !strings.Contains(got, "lost record") {
		t.Errorf("got reason %q", got)
	}
	if n := len(s.all()); n != 50 {
		t.Errorf("got %d rows, want 50", n)
	}
}

func (b *bench) recreate() {
	b.t.Helper()
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.TopicNames = []string{"events"}
	dt := kmsg.NewDeleteTopicsRequestTopic()
	dt.Topic = kmsg.StringPtr("events")
	del.Topics = append(del.Topics, dt)
	del.TimeoutMillis = 5000
	if _, err := del.RequestWith(b.t.Context(), b.client); err != nil {
		b.t.Fatal(err)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	ct := kmsg.NewCreateTopicsRequestTopic()
	ct.Topic, ct.NumPartitions, ct.ReplicationFactor = "events", 1, 1
	create.Topics = append(create.Topics, ct)
	create.TimeoutMillis = 5000
	res, err := create.RequestWith(b.t.Context(), b.client)
	if err != nil {
		b.t.Fatal(err)
	}
	if c := res.Topics[0].ErrorCode; c != 0 {
		b.t.Fatalf("create: code %d", c)
	}
	b.client = b.newClient() // the old one knows the old topic's id
}

// on_gap: skip_and_record goes on behind what retention took, says and counts
// what that was, once, and not again at the next start.
func TestAGapIsSkippedAndRecorded(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	b.produce(0, 100, 1)
	k := b.sink("clicks", s, ofClicks)
	k.SkipGaps = true
	sinks := []pipeline.Sink{k}
	b.carry(s, 50, sinks...)
	b.produce(100, 300, 1)
	b.deleteRecords(200)
	stop, m := b.run(sinks, 0)
	b.wait("the rows behind the gap", func() bool { return len(s.all()) == 100 })
	b.wait("the books", func() bool {
		l := m.Snapshot().Lanes[0]
		return l.Skipped == 100 && l.Read == 200 && l.AtRest()
	})
	stop()
	b.produce(300, 400, 1)
	stop, m = b.run(sinks, 0)
	defer stop()
	b.wait("all rows", func() bool { return len(s.all()) == 150 })
	if l := m.Snapshot().Lanes[0]; l.Skipped != 0 {
		t.Errorf("the next start skips %d more", l.Skipped)
	}
}

// on_topic_reset: new_incarnation goes on at the beginning of the new topic,
// whether that is shorter or longer than the position in the old one.
func TestARecreatedTopicGoesOn(t *testing.T) {
	for _, n := range []int{40, 400} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := newBench(t, 1)
			s, other := newShelf(), newShelf()
			b.produce(0, 100, 1)
			k := b.sink("clicks", s, ofClicks)
			k.NewTopic = true
			sinks := []pipeline.Sink{k, b.sink("stays", other, ofClicks)}
			stop, _ := b.run(sinks, 0)
			b.wait("50 rows each", func() bool { return len(s.all()) == 50 && len(other.all()) == 50 })
			stop()
			b.recreate()
			b.produce(1000, 1000+n, 1)
			for range 2 {
				stop, m := b.run(sinks, 0)
				b.wantStop(m, "other incarnation")
				b.wait("the rows of the new topic", func() bool { return len(s.all()) == 50+n/2 })
				stop()
			}
			if got := len(other.all()); got != 50 {
				t.Errorf("the sink that stops has %d rows, want 50", got)
			}
		})
	}
}

// A batch that may have been committed and is gone in part cannot be repeated,
// and what is left of it may be at the destination: all of it is given up.
func TestAPendingBatchThatIsGoneInPartIsGivenUp(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	s.break_ = func(record.Cut) error { return fmt.Errorf("no answer") }
	b.produce(0, 100, 1)
	k := b.sink("clicks", s, ofClicks)
	k.SkipGaps = true
	stop, m := b.run([]pipeline.Sink{k}, 0)
	b.waitForRepeat(m)
	stop()
	b.produce(100, 300, 1)
	b.deleteRecords(50)
	s.break_ = nil
	stop, m = b.run([]pipeline.Sink{k}, 0)
	defer stop()
	b.wait("what comes behind it", func() bool { return len(s.all()) == 100 })
	b.wait("the books", func() bool {
		l := m.Snapshot().Lanes[0]
		return l.Skipped == 100 && l.AtRest()
	})
	if got, want := s.all(), clicks(300)[50:]; len(got) != len(want) {
		t.Errorf("got %d rows, want %d", len(got), len(want))
	}
}
