package settle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/source"
)

// Origin is where a stream's records come from, and where its group keeps its
// progress. A *source.Cluster is one.
type Origin interface {
	Describe(ctx context.Context, topics ...string) (source.Description, error)
	Offsets(ctx context.Context, topic string, partition int32, at source.Position) (int64, error)
	FetchOffsets(ctx context.Context, group string, partitions map[string][]int32) ([]source.Stored, error)
	GroupMembers(ctx context.Context, group string) ([]source.GroupMember, error)
	CommitOutside(ctx context.Context, group string, commits []source.OffsetCommit) error
}

// Options of one stream.
type Options struct {
	Origin Origin
	Group  string
	Topics []string
	Slots  int // of the configuration; 0: one partition each
	Sinks  []Sink
}

// Sink is a sink of the configuration at one connection.
type Sink struct {
	ID       string // sink@connection
	Delivery sink.Delivery
	Start    string // where it starts without an entry, as the YAML writes it
	// Open opens the destination; nil: it cannot be, for the reason Closed.
	Open   func(ctx context.Context) (sink.Sink, error)
	Closed string
}

// View is what a stream's group holds, at one moment.
type View struct {
	Members []source.GroupMember
	Topics  []Topic

	o      Options
	stored map[string]map[int32]ledger.Stored
	opened map[string]sink.Sink
}

// Topic is a topic and the records of its slots.
type Topic struct {
	Name        string
	Incarnation string
	Partitions  int32
	Width       int32 // partitions per slot: the records', or else the configuration's
	Slots       []*Slot
}

// Slot is one slot: its record, the bounds of its log, and what each
// destination says of it.
type Slot struct {
	ledger.Inspected
	Topic      *Topic
	Start, End []int64 // of the log; what can be read is in between
	Found      map[string]Found
}

// Found is what a destination says of a slot. Err: it could not be asked.
type Found struct {
	sink.Found
	Err error
}

// Read looks at the group and the topics. Destinations are asked by Look.
func Read(ctx context.Context, o Options) (*View, error) {
	v := &View{o: o, stored: map[string]map[int32]ledger.Stored{}, opened: map[string]sink.Sink{}}
	var d source.Description
	err := patiently(ctx, func() (err error) {
		if v.Members, err = o.Origin.GroupMembers(ctx, o.Group); err != nil {
			return fmt.Errorf("who is in group %s: %w", o.Group, err)
		}
		d, err = o.Origin.Describe(ctx, o.Topics...)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range o.Topics {
		t := Topic{Name: name, Incarnation: d.Incarnation(name), Partitions: int32(len(d.Topics[name].Partitions))}
		if t.Partitions == 0 {
			return nil, fmt.Errorf("topic %s: no such topic", name)
		}
		v.Topics = append(v.Topics, t)
	}
	for i := range v.Topics {
		if err := v.readTopic(ctx, &v.Topics[i]); err != nil {
			return nil, fmt.Errorf("topic %s: %w", v.Topics[i].Name, err)
		}
	}
	return v, nil
}

func (v *View) readTopic(ctx context.Context, t *Topic) error {
	var stored map[int32]ledger.Stored
	err := patiently(ctx, func() (err error) {
		stored, err = fetch(ctx, v.o, t.Name, t.Partitions)
		return err
	})
	if err != nil {
		return err
	}
	v.stored[t.Name] = stored
	t.Width = source.WidthOf(t.Partitions, v.o.Slots)
	for _, p := range slices.Sorted(maps.Keys(stored)) {
		if r, err := ledger.Decode(t.Name, p, stored[p].Metadata); err == nil && r.Width > 0 {
			t.Width = r.Width
		}
	}
	for _, at := range layouts(t.layout(t.Width)) {
		s := &Slot{Inspected: ledger.Inspect(at, stored), Topic: t, Found: map[string]Found{}}
		for i := range at.Partitions {
			for _, b := range []struct {
				at source.Position
				to *[]int64
			}{{source.Earliest, &s.Start}, {source.Latest, &s.End}} {
				o, err := v.o.Origin.Offsets(ctx, t.Name, at.First+i, b.at)
				if err != nil {
					return err
				}
				*b.to = append(*b.to, o)
			}
		}
		t.Slots = append(t.Slots, s)
	}
	return nil
}

// patience is how long a coordinator may move, or be made.
const patience = 15 * time.Second

// patiently asks again while the answer is that it may be another one soon.
func patiently(ctx context.Context, ask func() error) error {
	for until := time.Now().Add(patience); ; {
		err := ask()
		var e *source.KafkaError
		if err == nil || !errors.As(err, &e) || !e.Retriable() || time.Now().After(until) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func fetch(ctx context.Context, o Options, topic string, partitions int32) (map[int32]ledger.Stored, error) {
	all := make([]int32, partitions)
	for i := range all {
		all[i] = int32(i)
	}
	answer, err := o.Origin.FetchOffsets(ctx, o.Group, map[string][]int32{topic: all})
	if err != nil {
		return nil, err
	}
	out := make(map[int32]ledger.Stored, len(answer))
	for _, s := range answer {
		out[s.Partition] = ledger.Stored{Partition: s.Partition, Offset: s.Offset, LeaderEpoch: s.LeaderEpoch, Metadata: s.Metadata}
	}
	return out, nil
}

func layouts(l source.Layout) (all []ledger.SlotLayout) {
	for i := range l.Slots() {
		first, next := l.Range(i)
		all = append(all, ledger.SlotLayout{Slot: ledger.Slot{Topic: l.Topic, Index: i}, First: first, Partitions: next - first})
	}
	return all
}

// Look asks the destinations of the given sinks (none: of all) about every slot.
// It must not be called while somebody is in the group: a claim removes what
// another owner has under way. Close is called when the view is done with.
func (v *View) Look(ctx context.Context, ids ...string) {
	for i := range v.o.Sinks {
		s := &v.o.Sinks[i]
		if len(ids) > 0 && !slices.Contains(ids, s.ID) {
			continue
		}
		err := v.open(ctx, s)
		for _, slot := range v.Slots() {
			f := Found{Err: err}
			if err == nil {
				f.Found, f.Err = claim(ctx, v.opened[s.ID], slot)
			}
			slot.Found[s.ID] = f
		}
	}
}

func (v *View) open(ctx context.Context, s *Sink) (err error) {
	if v.opened[s.ID] != nil {
		return nil
	}
	if s.Open == nil {
		return fmt.Errorf("it was not asked: %s", s.Closed)
	}
	opened, err := s.Open(ctx)
	if err == nil {
		v.opened[s.ID] = opened
	}
	return err
}

func claim(ctx context.Context, s sink.Sink, slot *Slot) (sink.Found, error) {
	w, f, err := s.Claim(ctx, slot.claim())
	if err != nil {
		return f, err
	}
	for len(f.High) < int(slot.At.Partitions) {
		f.High = append(f.High, -1)
	}
	return f, w.Close()
}

func (s *Slot) claim() sink.Claim {
	return sink.Claim{Topic: s.Topic.Name, Incarnation: s.Topic.Incarnation, Partition: s.At.First, Partitions: int(s.At.Partitions)}
}

// Close closes the destinations that Look has opened.
func (v *View) Close() {
	for _, s := range v.opened {
		s.Close() //nolint:errcheck // nothing was left in it
	}
	clear(v.opened)
}

// layout is the topic's with so many partitions a slot.
func (t *Topic) layout(width int32) source.Layout {
	return source.Layout{Topic: t.Name, Partitions: t.Partitions, Width: width}
}

// Slots of all topics.
func (v *View) Slots() (all []*Slot) {
	for i := range v.Topics {
		all = append(all, v.Topics[i].Slots...)
	}
	return all
}

// Name is the sink of an entry: sink@connection, or its hash where no sink of
// the configuration has it.
func (v *View) Name(id ledger.ID) (name string, configured bool) {
	for _, s := range v.o.Sinks {
		if ledger.SinkID(s.ID) == id {
			return s.ID, true
		}
	}
	return id.String(), false
}

// Entry of a sink in a slot; nil: it has none.
func (s *Slot) Entry(id ledger.ID) *ledger.Entry {
	for i := range s.Entries {
		if s.Entries[i].Sink == id {
			return &s.Entries[i]
		}
	}
	return nil
}

// Of says whether an entry counts in the topic as it is now.
func (s *Slot) Of(e *ledger.Entry) bool { return e != nil && e.Incarnation == s.Topic.Incarnation }

// span is a run of offsets as messages show it.
func (s *Slot) span(i int, first, next int64) string {
	return fmt.Sprintf("%s[%d] [%d,%d)", s.Topic.Name, int(s.At.First)+i, first, next)
}

// Sinks of the configuration.
func (v *View) Sinks() []Sink { return v.o.Sinks }

// Has says whether a name is that of a sink of the configuration, or of an entry.
func (v *View) Has(name string) bool {
	_, _, err := v.find(name)
	return err == nil
}
