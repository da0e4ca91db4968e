package settle_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/settle"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/source"
)

// store is a topic of some partitions, and a group's offsets.
type store struct {
	partitions int32
	start, end int64
	members    []source.GroupMember
	stored     map[int32]source.Stored
	refuse     error
	commits    int
	moving     int // answers that the coordinator is another one
}

func (s *store) Describe(context.Context, ...string) (source.Description, error) {
	return source.Description{ClusterID: "c", Topics: map[string]source.TopicDescription{
		"events": {ID: [16]byte{1}, Partitions: make([]source.PartitionDescription, s.partitions)}}}, nil
}

func (s *store) Offsets(_ context.Context, _ string, _ int32, at source.Position) (int64, error) {
	if at == source.Earliest {
		return s.start, nil
	}
	return s.end, nil
}

func (s *store) FetchOffsets(_ context.Context, _ string, parts map[string][]int32) (out []source.Stored, err error) {
	for _, p := range parts["events"] {
		o, ok := s.stored[p]
		if !ok {
			o = source.Stored{Topic: "events", Partition: p, Offset: -1, LeaderEpoch: -1}
		}
		out = append(out, o)
	}
	return out, nil
}

func (s *store) GroupMembers(context.Context, string) ([]source.GroupMember, error) {
	if s.moving > 0 {
		s.moving--
		return nil, &source.KafkaError{Code: 16, Request: "DescribeGroups"}
	}
	return s.members, nil
}

func (s *store) CommitOutside(_ context.Context, _ string, commits []source.OffsetCommit) error {
	if s.refuse != nil {
		return s.refuse
	}
	s.commits++
	for _, c := range commits {
		s.stored[c.Partition] = source.Stored{Topic: c.Topic, Partition: c.Partition, Offset: c.Offset, LeaderEpoch: -1, Metadata: c.Metadata}
	}
	return nil
}

// incarnation is that of the store's topic.
func (s *store) incarnation() string {
	d, _ := s.Describe(context.Background())
	return d.Incarnation("events")
}

// write puts a record of a slot of one partition.
func (s *store) write(t *testing.T, partition int32, write uint64, entries ...ledger.Entry) {
	t.Helper()
	at := ledger.SlotLayout{Slot: ledger.Slot{Topic: "events", Index: partition}, First: partition, Partitions: 1}
	commits, err := ledger.Rewrite(at, ledger.Header{Incarnation: s.incarnation(), Width: 1, Partitions: s.partitions}, write, entries, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commits {
		s.stored[c.Partition] = source.Stored{Topic: c.Topic, Partition: c.Partition, Offset: c.Offset, LeaderEpoch: -1, Metadata: c.Metadata}
	}
}

func (s *store) entry(name string, position int64) ledger.Entry {
	return ledger.Entry{Sink: ledger.SinkID(name), Incarnation: s.incarnation(), Position: []int64{position}, Wrote: true}
}

func newStore(partitions int32) *store {
	return &store{partitions: partitions, end: 100, stored: map[int32]source.Stored{}}
}

// shelf is a destination that says what it is told to.
type shelf struct {
	found sink.Found
	err   error
}

func (s *shelf) Claim(_ context.Context, c sink.Claim) (sink.Writer, sink.Found, error) {
	f := s.found
	f.High = slices.Repeat([]int64{-1}, c.Partitions)
	copy(f.High, s.found.High)
	return idle{}, f, s.err
}
func (*shelf) Close() error { return nil }

type idle struct{}

func (idle) Append(context.Context, *record.Chunk) (int64, error) { panic("append") }
func (idle) Stage(context.Context, record.Cut) (string, error)    { panic("stage") }
func (idle) Commit(context.Context, record.Cut, string) error     { panic("commit") }
func (idle) Close() error                                         { return nil }
func (s *shelf) open(context.Context) (sink.Sink, error)          { return s, nil }
func options(s *store, slots int, sinks ...settle.Sink) settle.Options {
	return settle.Options{Origin: s, Group: "g", Topics: []string{"events"}, Slots: slots, Sinks: sinks}
}

func read(t *testing.T, o settle.Options) *settle.View {
	t.Helper()
	v, err := settle.Read(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// says checks that one of some lines holds a text.
func says(t *testing.T, lines []string, text string) {
	t.Helper()
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, text) }) {
		t.Errorf("want %q in\n%s", text, strings.Join(lines, "\n"))
	}
}

func TestCompare(t *testing.T) {
	r := func(first, next int64) record.Range { return record.Range{First: first, Next: next} }
	for _, c := range []struct {
		have, next, start, end int64
		want                   settle.Effect
	}{
		{-1, 7, 0, 10, settle.Effect{}},
		{5, 5, 0, 10, settle.Effect{}},
		{5, 8, 0, 10, settle.Effect{Lost: r(5, 8)}},
		{5, 8, 8, 10, settle.Effect{Gone: r(5, 8)}},
		{5, 9, 7, 10, settle.Effect{Gone: r(5, 7), Lost: r(7, 9)}},
		{5, 2, 0, 10, settle.Effect{Doubled: r(2, 5)}},
		{5, 3, 3, 4, settle.Effect{Doubled: r(3, 4), Reused: r(4, 5)}},
		{5, 4, 0, 4, settle.Effect{Reused: r(4, 5)}},
	} {
		if got := settle.Compare(c.have, c.next, c.start, c.end); got != c.want {
			t.Errorf("from %d to %d in [%d,%d): got %+v, want %+v", c.have, c.next, c.start, c.end, got, c.want)
		}
	}
}

// Whatever changes between the look and the deed is found, and nothing is done.
func TestApplyFindsChanges(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *store)
		want   any
	}{
		{"nothing", func(*store) {}, nil},
		{"the record", func(s *store) { s.write(t, 0, 9, s.entry("a@b", 60)) }, new(*settle.ChangedError)},
		{"the other partition's record", func(s *store) { delete(s.stored, 1) }, new(*settle.ChangedError)},
		{"a member", func(s *store) { s.members = []source.GroupMember{{ID: "m", Host: "/h"}} }, new(*settle.BusyError)},
		{"the topic", func(s *store) { s.partitions = 3 }, new(*settle.ChangedError)},
		{"the coordinator says no", func(s *store) { s.refuse = &source.RefusedError{Group: "g", Err: errors.New("no")} }, new(*source.RefusedError)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(2)
			s.write(t, 0, 3, s.entry("a@b", 50))
			s.write(t, 1, 3, s.entry("a@b", 50))
			k := settle.Sink{ID: "a@b", Delivery: sink.Replay, Open: (&shelf{found: sink.Found{State: sink.Has, High: []int64{50}}}).open}
			p, err := read(t, options(s, 0, k)).StartAt(t.Context(), "a@b", "0:50")
			if err != nil || len(p.Harm) > 0 {
				t.Fatal(err, p)
			}
			c.change(s)
			err = p.Apply(t.Context())
			if c.want == nil {
				if err != nil || s.commits != 1 {
					t.Errorf("got %v, %d commits", err, s.commits)
				}
				return
			}
			if !errors.As(err, c.want) || s.commits != 0 {
				t.Errorf("got %v, want a %T; %d commits", err, c.want, s.commits)
			}
		})
	}
}

// A pending batch may be at the destination or not: nothing drops it unasked.
func TestPendingBatches(t *testing.T) {
	s := newStore(2)
	e := s.entry("a@b", 50)
	e.Pending = &ledger.Pending{Next: []int64{70}, Since: time.Unix(1000, 0)}
	s.write(t, 0, 3, e)
	s.write(t, 1, 3, s.entry("a@b", 50))
	k := settle.Sink{ID: "a@b", Delivery: sink.Replay, Open: (&shelf{found: sink.Found{State: sink.Has}}).open}
	v := read(t, options(s, 0, k))
	for _, at := range []string{"0:50", "0:60", "0:70", "0:latest"} {
		p, err := v.StartAt(t.Context(), "a@b", at)
		if err != nil {
			t.Fatal(err)
		}
		says(t, p.Harm, "the batch events[0] [50,70) is pending since 1970-01-01T00:16:40Z")
	}
	p, err := v.Forget(t.Context(), "a@b")
	if err != nil {
		t.Fatal(err)
	}
	says(t, p.Harm, "is pending")
	if _, err := v.Resize(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "has a pending batch, events[0] [50,70)") {
		t.Errorf("got %v", err)
	}
}

// What of a damaged record can be read is kept, whoever is settled.
func TestADamagedRecordIsMended(t *testing.T) {
	s := newStore(1)
	s.write(t, 0, 3, s.entry("a@b", 50), s.entry("old@b", 20))
	o := s.stored[0]
	o.Offset = 7 // another program has committed, and kept the metadata
	s.stored[0] = o
	k := settle.Sink{ID: "a@b", Delivery: sink.Replay, Open: (&shelf{found: sink.Found{State: sink.Has, High: []int64{50}}}).open}
	v := read(t, options(s, 0, k))
	if st := v.Slots()[0].State; st.Presence != ledger.Partly {
		t.Fatalf("got %+v", st)
	}
	p, err := v.Keep(t.Context(), "a@b")
	if err != nil || len(p.Harm) > 0 {
		t.Fatal(err, p)
	}
	says(t, p.Notes, "its record is damaged")
	if err := p.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	slot := read(t, options(s, 0, k)).Slots()[0]
	if slot.State.Presence != ledger.Present || len(slot.Entries) != 2 || slot.Write <= 3 {
		t.Errorf("got %+v", slot.Inspected)
	}
	if e := slot.Entry(ledger.SinkID("old@b")); e == nil || e.Position[0] != 20 || s.stored[0].Offset != 50 {
		t.Errorf("got %+v, offset %d", e, s.stored[0].Offset)
	}
}

// A destination that cannot be asked, and one that keeps no marks, are no reason
// to guess.
func TestWhatTheDestinationDoesNotSay(t *testing.T) {
	s := newStore(1)
	start := func(found sink.Found, fails error, at string) (*settle.Plan, error) {
		k := settle.Sink{ID: "a@b", Delivery: sink.Replay, Open: (&shelf{found: found, err: fails}).open}
		return read(t, options(s, 0, k)).StartAt(t.Context(), "a@b", at)
	}
	if p, err := start(sink.Found{State: sink.Empty}, nil, "earliest"); err != nil || len(p.Harm) > 0 {
		t.Errorf("empty: got %v, %+v", err, p)
	}
	for _, c := range []struct {
		found sink.Found
		err   error
		want  string
	}{
		{sink.Found{State: sink.NoMark}, nil, "doubled, if it is there"},
		{sink.Found{State: sink.Has}, nil, "doubled, if it is there"},
		{sink.Found{}, errors.New("away"), "could not be asked (away)"},
	} {
		p, err := start(c.found, c.err, "earliest")
		if err != nil {
			t.Fatal(err)
		}
		says(t, p.Harm, c.want)
		if _, err := start(c.found, c.err, "mark"); err == nil {
			t.Errorf("%+v: mark is taken for a start", c.found)
		}
	}
	if p, err := start(sink.Found{State: sink.NoMark}, nil, "latest"); err != nil || len(p.Harm) > 0 {
		t.Errorf("latest: got %v, %+v", err, p)
	}
}

// The coordinator may move while one looks.
func TestReadWaitsForTheCoordinator(t *testing.T) {
	s := newStore(1)
	s.moving = 2
	read(t, options(s, 0))
	if s.moving != 0 {
		t.Errorf("%d answers are left", s.moving)
	}
}

// Slots are laid out anew with every position where it was.
func TestResize(t *testing.T) {
	s := newStore(5)
	for p := range int32(5) {
		s.write(t, p, uint64(p), s.entry("a@b", int64(10*p)), s.entry("old@b", int64(p)))
	}
	k := settle.Sink{ID: "a@b", Delivery: sink.Replay, Open: (&shelf{found: sink.Found{State: sink.Has}}).open}
	p, err := read(t, options(s, 2, k)).Resize(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	slots := read(t, options(s, 2, k)).Slots()
	if len(slots) != 2 || s.commits != 1 {
		t.Fatalf("got %d slots after %d commits", len(slots), s.commits)
	}
	for _, slot := range slots {
		for i, at := range slot.Entry(ledger.SinkID("a@b")).Position {
			if at != 10*int64(int(slot.At.First)+i) || slot.State.Presence != ledger.Present {
				t.Errorf("%s: got %+v", slot.At.Slot, slot.Inspected)
			}
		}
		if slot.Entry(ledger.SinkID("old@b")) == nil {
			t.Errorf("%s: the entry of a sink that is not configured is lost", slot.At.Slot)
		}
	}
	s.stored[3] = source.Stored{Topic: "events", Partition: 3, Offset: 5, LeaderEpoch: -1}
	if _, err := read(t, options(s, 2, k)).Resize(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged record: got %v", err)
	}
}

// A slot of which a sink has written nothing must not look as if its rows were
// gone, once it is laid out anew: a database has no position of it.
func TestResizeKnowsWhereRowsAre(t *testing.T) {
	s := newStore(6)
	for p := range int32(6) {
		e := s.entry("a@b", 10)
		e.Wrote = p == 1
		s.write(t, p, uint64(p), e)
	}
	k := settle.Sink{ID: "a@b", Delivery: sink.Atomic, Open: (&shelf{found: sink.Found{State: sink.Has}}).open}
	p, err := read(t, options(s, 3, k)).Resize(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, slot := range read(t, options(s, 3, k)).Slots() {
		if got := slot.Entry(ledger.SinkID("a@b")).Wrote; got != (i == 0) {
			t.Errorf("%s: wrote %v", slot.At.Slot, got)
		}
	}
}

// A start that is said for some slots only leaves the others to begin as if they
// were new, where nothing tells how far they are.
func TestStartAtNamesTheSlotsThatAreLeftOut(t *testing.T) {
	for state, harm := range map[sink.State]int{sink.Has: 1, sink.Empty: 0} {
		k := settle.Sink{ID: "a@b", Delivery: sink.Replay, Start: "earliest", Open: (&shelf{found: sink.Found{State: state}}).open}
		v := read(t, options(newStore(2), 0, k))
		some, err := v.StartAt(t.Context(), "a@b", "events/0:earliest")
		if err != nil {
			t.Fatal(err)
		}
		all, err := v.StartAt(t.Context(), "a@b", "earliest")
		if err != nil {
			t.Fatal(err)
		}
		named := 0
		for _, line := range append(some.Harm, all.Harm...) {
			if strings.Contains(line, "events/1: a@b has no position") {
				named++
			}
		}
		if named != harm {
			t.Errorf("state %d: got %q and %q", state, some.Harm, all.Harm)
		}
	}
}
