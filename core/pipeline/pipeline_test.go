package pipeline_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/core/deadletter"
	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/pipeline"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/source"
	"github.com/sluicekit/sluice/core/telemetry"
)

// shelf is a Replay destination in memory: a cut is one named set of rows.
type shelf struct {
	mu     sync.Mutex
	cuts   map[string][]string      // by incarnation and cut: the rows as text
	high   map[string]int64         // by incarnation and partition
	break_ func(c record.Cut) error // called before and after a commit is applied
	poison func(n int64) bool       // rows whose column n the destination refuses
}

func newShelf() *shelf { return &shelf{cuts: map[string][]string{}, high: map[string]int64{}} }

func (s *shelf) Claim(_ context.Context, c sink.Claim) (sink.Writer, sink.Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := sink.Found{State: sink.Empty, High: make([]int64, c.Partitions)}
	if len(s.cuts) > 0 {
		f.State = sink.Has
	}
	for name := range s.cuts {
		if incarnation, _, _ := strings.Cut(name, " "); incarnation != c.Incarnation {
			f.OtherIncarnation = incarnation
		}
	}
	for i := range f.High {
		f.High[i] = -1
		if h, ok := s.high[highOf(c.Incarnation, c.Partition+int32(i))]; ok {
			f.High[i] = h
		}
	}
	return &shelfWriter{shelf: s, incarnation: c.Incarnation, repeats: c.Repeats}, f, nil
}

func highOf(incarnation string, partition int32) string { return fmt.Sprint(incarnation, partition) }

func (s *shelf) Close() error { return nil }

type shelfWriter struct {
	shelf       *shelf
	incarnation string
	repeats     bool // as Claim was told of the first cut
	rows        []string
	attempt     time.Duration // as Stage was told
}

func (w *shelfWriter) Append(_ context.Context, rows *record.Chunk) (int64, error) {
	if err := w.shelf.refuse(rows); err != nil {
		return 0, err
	}
	for i := range rows.Rows() {
		var b strings.Builder
		for k := range rows.Columns {
			c := &rows.Columns[k]
			switch {
			case c.Null(i):
				b.WriteString("null,")
			case c.Type.Kind == record.Int, c.Type.Kind == record.Timestamp:
				fmt.Fprintf(&b, "%d,", c.Ints[i])
			default:
				fmt.Fprintf(&b, "%s,", c.Bytes(i))
			}
		}
		w.rows = append(w.rows, b.String())
	}
	return int64(len(w.rows)) * 20, nil
}

func (s *shelf) refuse(rows *record.Chunk) error {
	if s.poison == nil {
		return nil
	}
	var bad []sink.RowError
	n := rows.Columns[rows.Schema.Index("n")]
	for i, v := range n.Ints {
		if s.poison(v) {
			bad = append(bad, sink.RowError{Partition: rows.Partition, Offset: rows.Offsets[i], Reason: "column n: not today"})
		}
	}
	if len(bad) > 0 {
		return &sink.RowsError{Rows: bad}
	}
	return nil
}

func (w *shelfWriter) Stage(_ context.Context, c record.Cut) (string, error) {
	// A sink may keep more of a cut that it is told of than of others.
	if w.repeats == c.Since.IsZero() {
		panic(fmt.Sprintf("%s was first tried at %s, and Claim was told repeats: %t", c, c.Since, w.repeats))
	}
	w.attempt, w.repeats = c.Attempt, false
	return "", nil
}

func (w *shelfWriter) Commit(ctx context.Context, c record.Cut, _ string) error {
	// What Stage opened for so long must outlast the attempt, and not by much.
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > w.attempt || time.Until(end) < w.attempt/4 {
		panic(fmt.Sprintf("Stage was told that the attempt may take %s, and Commit's context ends at %s", w.attempt, end))
	}
	w.shelf.mu.Lock()
	defer w.shelf.mu.Unlock()
	if w.shelf.break_ != nil {
		if err := w.shelf.break_(c); err != nil {
			return err
		}
	}
	w.shelf.cuts[w.incarnation+" "+c.String()] = w.rows
	for i, r := range c.Ranges {
		if r.Next > r.First {
			key := highOf(w.incarnation, c.Partition+int32(i))
			w.shelf.high[key] = max(w.shelf.high[key], r.Next)
		}
	}
	w.rows = nil
	if w.shelf.break_ != nil {
		return w.shelf.break_(c)
	}
	return nil
}

func (w *shelfWriter) Close() error { return nil }

func (s *shelf) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, rows := range s.cuts {
		out = append(out, rows...)
	}
	slices.Sort(out)
	return out
}

// bench is a stream on an in-process cluster.
type bench struct {
	t       *testing.T
	cluster *kfake.Cluster
	client  *kgo.Client
	events  *decode.Stream
	grave   lane.DeadLetters // nil: the topic events.dead
	logs    logs
}

// logs is what a pipeline has logged.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newBench(t *testing.T, partitions int32, opts ...kfake.Opt) *bench {
	t.Helper()
	opts = append(opts, kfake.NumBrokers(1), kfake.SeedTopics(partitions, "events"), kfake.SeedTopics(1, "events.dead"))
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	events, err := decode.Open(t.Context(), decode.Options{Format: decode.JSON, Types: map[string]decode.Declared{
		"payload.n": {Type: record.Type{Kind: record.Int}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, cluster: c, events: events}
	b.client = b.newClient()
	return b
}

func (b *bench) newClient() *kgo.Client {
	b.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(16<<20))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(client.Close)
	return client
}

// produce produces the events [from, to), in turn to the first partitions.
func (b *bench) produce(from, to int, partitions int) {
	b.t.Helper()
	b.produceTo(func(i int) int32 { return int32(i % partitions) }, from, to)
}

func (b *bench) produceTo(partition func(i int) int32, from, to int) {
	b.t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		v := fmt.Sprintf(`{"id":"e%d","time":"2026-01-01T00:00:00Z","type":%q,"server":"s","payload":{"n":%d}}`, i, []string{"click", "view"}[i%2], i)
		records = append(records, &kgo.Record{Topic: "events", Partition: partition(i), Value: []byte(v)})
	}
	if err := b.client.ProduceSync(b.t.Context(), records...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// raw produces one record as it is, to partition 0.
func (b *bench) raw(value string) {
	b.t.Helper()
	if err := b.client.ProduceSync(b.t.Context(), &kgo.Record{Topic: "events", Key: []byte("k"), Value: []byte(value)}).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// letters reads as many dead letters.
func (b *bench) letters(n int) (out []*kgo.Record) {
	b.t.Helper()
	b.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{"events.dead": {0: kgo.NewOffset().AtStart()}})
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	for len(out) < n && ctx.Err() == nil {
		out = append(out, b.client.PollFetches(ctx).Records()...)
	}
	if len(out) != n {
		b.t.Fatalf("got %d dead letters, want %d", len(out), n)
	}
	return out
}

// run runs a pipeline until stop is called, which waits for its end.
func (b *bench) run(sinks []pipeline.Sink, slots int) (stop func(), metrics *telemetry.Registry) {
	b.t.Helper()
	cluster, err := source.Open(source.Options{Brokers: b.cluster.ListenAddrs()})
	if err != nil {
		b.t.Fatal(err)
	}
	metrics = telemetry.NewRegistry()
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	letters := b.grave
	if letters == nil {
		letters = deadletter.NewTopic(cluster, "events.dead")
	}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(b.t.Output(), &b.logs), &slog.HandlerOptions{Level: slog.LevelDebug}))
	go func() {
		done <- pipeline.Run(ctx, pipeline.Options{
			Stream: "test", Cluster: cluster, Topics: []string{"events"}, Group: "g", Session: 6 * time.Second, Slots: slots,
			Events: b.events, Sinks: sinks, DeadLetters: letters, Metrics: metrics, Log: log,
		})
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				b.t.Error(err)
			}
			cluster.Close()
		})
	}
	b.t.Cleanup(stop)
	return stop, metrics
}

func (b *bench) sink(name string, s sink.Sink, p plan.Spec) pipeline.Sink {
	b.t.Helper()
	compiled, problems := plan.Compile(p, b.events)
	if len(problems) > 0 {
		b.t.Fatal(problems)
	}
	spec := sink.Spec{Type: "shelf", Delivery: sink.Replay, Open: func(context.Context, sink.Config) (sink.Sink, error) { return s, nil }}
	return pipeline.Sink{
		Spec: spec, Plan: compiled, Batch: sink.Batch{Rows: 500, Age: 50 * time.Millisecond}, DeadLetter: true,
		Config: sink.Config{Name: name, Connection: "shelf", Schema: compiled.Schema(), Delivery: sink.Replay, Timeout: 10 * time.Second},
	}
}

// patience ends a wait that would never end. What is waited for takes far less,
// also on a machine that is busy with other things: nothing is measured by it.
const patience = 5 * time.Minute

func (b *bench) wait(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatal("waited in vain for " + what)
		}
	}
}

// carry runs a stream until a shelf has so many rows, and stops it.
func (b *bench) carry(s *shelf, rows int, sinks ...pipeline.Sink) {
	b.t.Helper()
	stop, _ := b.run(sinks, 0)
	b.wait(fmt.Sprintf("%d rows", rows), func() bool { return len(s.all()) == rows })
	stop()
}

// waitForRepeat waits until the only lane tries a batch again.
func (b *bench) waitForRepeat(m *telemetry.Registry) {
	b.t.Helper()
	b.wait("a batch that is tried again", func() bool {
		lanes := m.Snapshot().Lanes
		return len(lanes) == 1 && lanes[0].Repeats > 0
	})
}

var ofClicks = plan.Spec{Where: `type == "click"`, Fields: []plan.Field{{Name: "id", Expr: "id"}, {Name: "n", Expr: "payload.n"}}}

func clicks(n int) []string {
	var out []string
	for i := 0; i < n; i += 2 {
		out = append(out, fmt.Sprintf("e%d,%d,", i, i))
	}
	slices.Sort(out)
	return out
}

// A stream with two sinks, stopped and started: every row once, and the books
// balance (I6).
func TestCarriesOnAfterAStop(t *testing.T) {
	for _, slots := range []int{0, 2} {
		t.Run(fmt.Sprintf("slots %d", slots), func(t *testing.T) {
			b := newBench(t, 4)
			one, two := newShelf(), newShelf()
			everything := plan.Spec{Fields: []plan.Field{{Name: "n", Expr: "payload.n"}, {Name: "at", Expr: "time"}}}
			b.produce(0, 5000, 4)
			sinks := []pipeline.Sink{b.sink("clicks", one, ofClicks), b.sink("all", two, everything)}
			stop, metrics := b.run(sinks, slots)
			b.wait("5000 rows", func() bool { return len(two.all()) == 5000 && len(one.all()) == 2500 })
			stop()
			for _, l := range metrics.Snapshot().Lanes {
				if l.Sink == "all" && (l.LastEventTime == nil || l.LastEventTime.Year() != 2026 || l.EventDelay.Count == 0) {
					t.Errorf("%s[%d]: newest event %v, %d delays", l.Sink, l.Partition, l.LastEventTime, l.EventDelay.Count)
				}
				if l.Sink == "clicks" && l.LagRecords != 0 {
					t.Errorf("%s[%d]: lag %d", l.Sink, l.Partition, l.LagRecords)
				}
				if !l.AtRest() {
					t.Errorf("%s[%d]: read %d, committed %d, filtered %d, dead %d", l.Sink, l.Partition, l.Read, l.Committed, l.Filtered, l.Dead)
				}
			}
			b.produce(5000, 8000, 4)
			stop, _ = b.run(sinks, slots)
			b.wait("8000 rows", func() bool { return len(two.all()) >= 8000 && len(one.all()) >= 4000 })
			stop()
			if got, want := one.all(), clicks(8000); !slices.Equal(got, want) {
				t.Errorf("got %d rows, want %d", len(got), len(want))
			}
		})
	}
}

// Commits that fail before and after they were applied are repeated with the
// same bounds (I3).
func TestRepeatsACutOfUnknownOutcome(t *testing.T) {
	b := newBench(t, 2)
	s := newShelf()
	calls := 0
	s.break_ = func(record.Cut) error {
		if calls++; calls%3 == 0 {
			return fmt.Errorf("answer %d lost", calls)
		}
		return nil
	}
	b.produce(0, 6000, 2)
	stop, metrics := b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	b.wait("3000 rows", func() bool { return len(s.all()) >= 3000 })
	stop()
	if got, want := s.all(), clicks(6000); !slices.Equal(got, want) {
		t.Errorf("got %d rows, want %d", len(got), len(want))
	}
	repeats := int64(0)
	for _, l := range metrics.Snapshot().Lanes {
		repeats += l.Repeats
	}
	if repeats == 0 {
		t.Error("no batch was repeated: the test proved nothing")
	}
	b.wait("the log says that it is over", func() bool {
		_, after, warned := strings.Cut(b.logs.String(), "trying again")
		return warned && strings.Contains(after, `msg="going on"`) && strings.Contains(after, "after_attempts=1")
	})
}

// A record that cannot be decoded goes to the dead letters with its bytes and
// the reason, and the rest goes on.
func TestBadRecordsGoToTheDeadLetters(t *testing.T) {
	b := newBench(t, 1)
	b.produce(0, 10, 1)
	bad := []string{`{"id":"broken"`, `{"id":"x","time":"2026-01-01T00:00:00Z","type":"click","payload":{"n":"many"}}`}
	for _, v := range bad {
		b.raw(v)
	}
	b.produce(10, 20, 1)
	s := newShelf()
	stop, _ := b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	defer stop()
	b.wait("10 rows", func() bool { return len(s.all()) == 10 })

	letters := b.letters(2)
	for i, l := range letters {
		if string(l.Value) != bad[i] {
			t.Errorf("letter %d: got value %s, want %s", i, l.Value, bad[i])
		}
		h := map[string]string{}
		for _, x := range l.Headers {
			h[x.Key] = string(x.Value)
		}
		if h["sluice-offset"] != fmt.Sprint(10+i) || h["sluice-sink"] != "clicks@shelf" || h["sluice-reason"] == "" || h["sluice-key"] != "k" {
			got, _ := json.Marshal(h)
			t.Errorf("letter %d: headers %s", i, got)
		}
	}
}
