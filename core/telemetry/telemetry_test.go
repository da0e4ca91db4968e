package telemetry_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/telemetry"
)

func laneID(sink string, partition int32) telemetry.LaneID {
	return telemetry.LaneID{Sink: sink, Connection: "billing", Stream: "events", Topic: "ad.events", Partition: partition, Partitions: 1}
}

func TestLaneOfAnIDIsTheSame(t *testing.T) {
	r := telemetry.NewRegistry()
	r.Lane(laneID("balances", 1)).Read.Add(3)
	again := r.Lane(laneID("balances", 1))
	again.Read.Add(4)
	r.Lane(laneID("balances", 0)).Read.Add(1)
	if again.ID() != laneID("balances", 1) {
		t.Errorf("id %+v", again.ID())
	}
	s := r.Snapshot()
	if len(s.Lanes) != 2 || s.Lanes[0].Partition != 0 || s.Lanes[1].Read != 7 {
		t.Errorf("lanes %+v, want partition 0 and then partition 1 with 7 read", s.Lanes)
	}
	if other := telemetry.NewRegistry().Snapshot(); len(other.Lanes) != 0 {
		t.Errorf("another registry has %d lanes", len(other.Lanes))
	}
}

// TestEveryCounterReachesTheSnapshot sets each field of a Lane to another
// number: one that is forgotten or mixed up on the way shows.
func TestEveryCounterReachesTheSnapshot(t *testing.T) {
	r := telemetry.NewRegistry()
	lane := r.Lane(laneID("balances", 0))
	v := reflect.ValueOf(lane).Elem()
	want := map[string]int64{}
	for i := range v.NumField() {
		name, n := v.Type().Field(i).Name, int64(1000+i)
		if !v.Type().Field(i).IsExported() {
			continue
		}
		switch f := v.Field(i).Addr().Interface().(type) {
		case *telemetry.Counter:
			f.Add(int(n))
		case *telemetry.Gauge:
			f.Set(n)
		case *telemetry.Histogram:
			f.ObserveN(time.Second, int(n))
		default:
			t.Fatalf("field %s is neither counter, gauge nor histogram", name)
		}
		want[name] = n
	}
	if len(want) != 19 {
		t.Errorf("%d fields", len(want))
	}
	for _, from := range []telemetry.LaneSnapshot{r.Snapshot().Lanes[0], held(r).Sinks()[0]} {
		s := reflect.ValueOf(from)
		for name, n := range want {
			f := s.FieldByName(name)
			var got int64
			switch x := f.Interface().(type) {
			case int64:
				got = x
			case telemetry.HistogramSnapshot:
				got = x.Count
			case *time.Time:
				got = x.UnixMicro()
			default:
				t.Fatalf("snapshot has no %s", name)
			}
			if got != n {
				t.Errorf("%s is %d, want %d", name, got, n)
			}
		}
	}
}

// held is a snapshot in which every lane is running.
func held(r *telemetry.Registry) telemetry.Snapshot {
	s := r.Snapshot()
	for i := range s.Lanes {
		s.Lanes[i].State = telemetry.Running
	}
	return s
}

func TestSlotThatGrowsStaysOne(t *testing.T) {
	r := telemetry.NewRegistry()
	r.Lane(laneID("balances", 0)).Commits.Add(1)
	wider := laneID("balances", 0)
	wider.Partitions = 4
	r.Lane(wider).Commits.Add(1)
	if s := r.Snapshot(); len(s.Lanes) != 1 || s.Lanes[0].Commits != 2 || s.Lanes[0].Partitions != 4 {
		t.Errorf("lanes %+v, want one of 4 partitions with 2 commits", s.Lanes)
	}
}

func TestStateMarksAndRelease(t *testing.T) {
	r := telemetry.NewRegistry()
	lane := r.Lane(laneID("balances", 4))
	lane.SetState(telemetry.Retrying, "connection refused")
	state, reason, since := lane.State()
	if state != telemetry.Retrying || reason != "connection refused" || time.Since(since) > time.Minute {
		t.Errorf("state %s, %q since %s", state, reason, since)
	}
	lane.SetState(telemetry.Retrying, "connection refused")
	if _, _, again := lane.State(); !again.Equal(since) {
		t.Error("the same state said again counts as a new one")
	}
	marks := []telemetry.Mark{{Partition: 4, Position: 10, HighWatermark: 25}, {Partition: 5, Position: 7, HighWatermark: 7}, {Partition: 6, Position: -1, HighWatermark: 99}}
	lane.SetMarks(marks)
	marks[0].Position = 0 // the lane has its own copy
	lane.HeldBytes.Set(100)
	s := r.Snapshot().Lanes[0]
	if s.LagRecords != 15 || len(s.Marks) != 3 || s.Marks[0].Position != 10 {
		t.Errorf("lag %d, marks %+v; want 15", s.LagRecords, s.Marks)
	}
	// What has come since is lag, though the position has not moved.
	lane.Watch(func() []int64 { return []int64{30, -1, 100} })
	if s = r.Snapshot().Lanes[0]; s.LagRecords != 20 || s.Marks[0].HighWatermark != 30 || s.Marks[1].HighWatermark != 7 {
		t.Errorf("watched: lag %d, marks %+v; want 20", s.LagRecords, s.Marks)
	}
	lane.Commits.Add(2)
	lane.Release()
	s = r.Snapshot().Lanes[0]
	if s.State != telemetry.Idle || s.Reason != "" || s.LagRecords != 0 || s.HeldBytes != 0 || len(s.Marks) != 0 || s.Commits != 2 {
		t.Errorf("released: %+v; want counters only", s)
	}
}

func TestSinksAddUpLanes(t *testing.T) {
	r := telemetry.NewRegistry()
	for p := range int32(4) {
		l := r.Lane(laneID("balances", p))
		l.Read.Add(10)
		l.Committed.Add(7)
		l.Filtered.Add(2)
		l.Dead.Add(1)
		l.EventDelay.ObserveN(time.Duration(p+1)*time.Second, 100)
		l.LastEventTime.Raise(int64(1000 + p))
		l.LastEventTime.Raise(500)
		l.SetMarks([]telemetry.Mark{{Partition: p, Position: 0, HighWatermark: 5}})
		l.SetState(telemetry.Running, "")
	}
	r.Lane(laneID("balances", 2)).SetState(telemetry.Blocked, "no such table")
	r.Lane(laneID("balances", 3)).Release()
	r.Lane(laneID("other", 0)).Read.Add(1)
	sinks := r.Snapshot().Sinks()
	if len(sinks) != 2 || sinks[1].Sink != "other" {
		t.Fatalf("sinks %+v", sinks)
	}
	s := sinks[0]
	if s.Read != 40 || !s.AtRest() || s.LagRecords != 15 || s.Partitions != 3 || s.State != telemetry.Blocked || s.Reason != "no such table" {
		t.Errorf("sum %+v", s)
	}
	if s.LastEventTime == nil || s.LastEventTime.UnixMicro() != 1003 {
		t.Errorf("newest event %v, want 1003 µs", s.LastEventTime)
	}
	if s.EventDelay.Count != 400 || s.EventDelay.Sum != 1000 {
		t.Errorf("delays %d with sum %v, want 400 and 1000", s.EventDelay.Count, s.EventDelay.Sum)
	}
	if sinks[1].AtRest() {
		t.Error("a record that was read and has not left is at rest")
	}
}

func TestStatesHaveNames(t *testing.T) {
	for _, s := range telemetry.States() {
		text, err := json.Marshal(s)
		var back telemetry.State
		if err != nil || json.Unmarshal(text, &back) != nil || back != s {
			t.Errorf("%s: %s reads back as %s", s, text, back)
		}
	}
	var s telemetry.State
	if err := json.Unmarshal([]byte(`"asleep"`), &s); err == nil {
		t.Error("an unknown state was read")
	}
}

func TestSnapshotSurvivesJSON(t *testing.T) {
	r := telemetry.NewRegistry()
	l := r.Lane(laneID("balances", 0))
	l.EventDelay.ObserveN(3*time.Second, 10)
	l.LastEventTime.Set(1_700_000_000_000_000)
	l.SetState(telemetry.Stopped, "gap")
	before := r.Snapshot()
	text, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	var after telemetry.Snapshot
	if err := json.Unmarshal(text, &after); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(after)
	if err != nil || string(again) != string(text) {
		t.Errorf("got  %s\nwant %s\n%v", again, text, err)
	}
	var loose struct {
		Lanes []struct {
			EventDelay map[string]any `json:"event_delay"`
		} `json:"lanes"`
	}
	if err := json.Unmarshal(text, &loose); err != nil {
		t.Fatal(err)
	}
	if p, ok := loose.Lanes[0].EventDelay["p99_seconds"].(float64); !ok || p < 2.6 || p > 3.6 {
		t.Errorf("p99 %v, want about 3 s", loose.Lanes[0].EventDelay["p99_seconds"])
	}
}

func TestQuantilesAgainstSorting(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 50 {
		var whole telemetry.Histogram
		var parts [3]telemetry.Histogram
		all := make([]time.Duration, 1+r.IntN(2000))
		for i := range all {
			all[i] = time.Duration(1+r.Int64N(1<<(8+r.IntN(33)))) * time.Microsecond
			whole.Observe(all[i])
			parts[r.IntN(3)].Observe(all[i])
		}
		slices.Sort(all)
		merged := parts[0].Snapshot()
		merged.Merge(parts[1].Snapshot())
		merged.Merge(parts[2].Snapshot())
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 1} {
			want := all[min(max(int(q*float64(len(all))+0.9999)-1, 0), len(all)-1)]
			got := whole.Snapshot().Quantile(q)
			// A bucket is at most a quarter as wide as it is high; the
			// lowest ends at 64 µs.
			if slack := want/4 + 64*time.Microsecond; got < want-slack || got > want+slack {
				t.Errorf("quantile %v of %d: got %s, want %s", q, len(all), got, want)
			}
			if m := merged.Quantile(q); m != got {
				t.Errorf("quantile %v merged of parts is %s, of the whole %s", q, m, got)
			}
		}
	}
}

func TestHistogramTakesAnything(t *testing.T) {
	var h telemetry.Histogram
	if q := h.Snapshot().Quantile(0.5); q != 0 {
		t.Errorf("empty: %s", q)
	}
	h.Observe(-time.Hour)
	h.Observe(1<<63 - 1)
	h.ObserveN(100*365*24*time.Hour, 1_000_000)
	s := h.Snapshot()
	if s.Count != 1_000_002 || s.Sum < 3e15 {
		t.Errorf("count %d, sum %v", s.Count, s.Sum)
	}
	if q := s.Quantile(0.99); q < 50*24*time.Hour {
		t.Errorf("p99 %s, want the last bucket", q)
	}
}

func TestStampsStayClose(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	now := time.UnixMicro(1_760_000_000_000_000)
	for _, span := range []int64{0, 1000, 5_000_000, 3_600_000_000} {
		var stamps telemetry.Stamps
		var exact, close telemetry.Histogram
		const n = 20_000
		for i := range int64(n) {
			micros := now.UnixMicro() - 60_000_000 - span + span*i/n + r.Int64N(1000)
			stamps.Add(micros)
			exact.Observe(now.Sub(time.UnixMicro(micros)))
		}
		close.ObserveSince(&stamps, now)
		a, b := exact.Snapshot(), close.Snapshot()
		if a.Count != b.Count {
			t.Fatalf("span %d: %d times, want %d", span, b.Count, a.Count)
		}
		for _, q := range []float64{0.01, 0.5, 0.99} {
			d := a.Quantile(q) - b.Quantile(q)
			if limit := time.Duration(span/16)*time.Microsecond + 5*time.Second; d > limit || d < -limit {
				t.Errorf("span %d µs, quantile %v: %s, want %s", span, q, b.Quantile(q), a.Quantile(q))
			}
		}
		stamps.Reset()
		var none telemetry.Histogram
		none.ObserveSince(&stamps, now)
		if none.Snapshot().Count != 0 {
			t.Error("times were left after Reset")
		}
	}
}

func TestStampsTakeAnything(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	var stamps telemetry.Stamps
	for range 10_000 {
		stamps.Add(int64(r.Uint64()))
	}
	var h telemetry.Histogram
	h.ObserveSince(&stamps, time.Now())
	if n := h.Snapshot().Count; n != 10_000 {
		t.Errorf("%d times, want 10000", n)
	}
}

// TestUseFromSeveralGoroutines is for the race detector, and for the rule that
// a snapshot under way never shows more leaving than was read.
func TestUseFromSeveralGoroutines(t *testing.T) {
	r := telemetry.NewRegistry()
	var working sync.WaitGroup
	for p := range int32(4) {
		working.Go(func() {
			for i := range 2000 {
				l := r.Lane(laneID("balances", p%2))
				l.Read.Add(3)
				l.Committed.Add(1)
				l.Filtered.Add(1)
				l.Dead.Add(1)
				l.CommitTime.Observe(time.Duration(i))
				l.SetState(telemetry.States()[i%5], fmt.Sprint(i))
				l.SetMarks([]telemetry.Mark{{Partition: p, Position: int64(i), HighWatermark: 2000}})
			}
		})
	}
	for range 100 {
		for _, l := range r.Snapshot().Lanes {
			if l.Read < l.Committed+l.Filtered+l.Dead {
				t.Errorf("read %d of which %d left", l.Read, l.Committed+l.Filtered+l.Dead)
			}
		}
	}
	working.Wait()
	for _, l := range r.Snapshot().Lanes {
		if l.Read != 12000 || !l.AtRest() {
			t.Errorf("at rest: %+v", l)
		}
	}
}

func BenchmarkCommit(b *testing.B) {
	l := telemetry.NewRegistry().Lane(laneID("balances", 0))
	var stamps telemetry.Stamps
	now := time.Now()
	marks := []telemetry.Mark{{Partition: 0, Position: 1, HighWatermark: 2}}
	b.ReportAllocs()
	for b.Loop() { // what a lane does for a batch of 1000 records
		l.Read.Add(1000)
		for i := range int64(1000) {
			stamps.Add(now.UnixMicro() - 1_000_000 + i*1000)
		}
		l.Committed.Add(1000)
		l.Commits.Add(1)
		l.CommitTime.Observe(time.Millisecond)
		l.RecordDelay.ObserveSince(&stamps, now)
		l.SetMarks(marks)
		l.SetState(telemetry.Running, "")
		stamps.Reset()
	}
}

// Lag in seconds is since the newest record that was written, or since there
// was no lag, whichever is later.
func TestLagSeconds(t *testing.T) {
	r := telemetry.NewRegistry()
	l := r.Lane(laneID("balances", 0))
	mark := func(position, high int64) {
		l.SetMarks([]telemetry.Mark{{Partition: 0, Position: position, HighWatermark: high}})
	}
	mark(0, 100)
	if s := l.Snapshot().LagSeconds; s != nil {
		t.Errorf("never level and nothing written: %v s, want unknown", *s)
	}
	l.NewestRecord.Raise(time.Now().Add(-time.Hour).UnixMicro())
	if s := l.Snapshot().LagSeconds; s == nil || *s < 3599 || *s > 3700 {
		t.Errorf("an hour behind: %v", s)
	}
	mark(100, 100)
	if s := l.Snapshot().LagSeconds; s == nil || *s != 0 {
		t.Errorf("level: %v", s)
	}
	mark(100, 101) // after a quiet hour
	if s := l.Snapshot().LagSeconds; s == nil || *s > 60 {
		t.Errorf("just behind: %v", s)
	}
	var stamps telemetry.Stamps // one record of which its producer says that it is of the end of time does not hide the lag for ever
	for _, ms := range []int64{-1, math.MinInt64, math.MaxInt64, math.MaxInt64/1000 + 1, time.Now().UnixMilli()} {
		stamps.AddMillis(ms)
	}
	began := time.Now()
	l.Wrote(&stamps, began)
	if us := l.NewestRecord.Value(); us != began.UnixMicro() {
		t.Errorf("the newest record is of %v, and it is %v", time.UnixMicro(us), began)
	}
	if d := l.Snapshot().RecordDelay; d.Count != 3 || d.Sum > 1 { // those without a time are left out
		t.Errorf("%d delays, in all %v s", d.Count, d.Sum)
	}
	l.NewestRecord.Raise(time.Now().Add(time.Hour).UnixMicro()) // a clock that is ahead
	if s := l.Snapshot().LagSeconds; s == nil || *s != 0 {
		t.Errorf("a record from the future: %v", s)
	}
}
