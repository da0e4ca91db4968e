package pipeline

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/folder"
	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/source"
	"github.com/sluicekit/sluice/core/telemetry"
)

// Options of one stream. All of it is the caller's and outlives Run.
type Options struct {
	Stream     string
	Cluster    *source.Cluster
	Files      *folder.Source // instead of Cluster; the stream is the only topic then
	Topics     []string
	Group      string
	InstanceID string
	Session    time.Duration // default 10 s
	Rebalance  time.Duration // default 60 s
	Slots      int           // per topic; 0: one partition each
	FetchBytes int32         // per fetch, compressed; default 4 MiB

	Events      *decode.Stream
	Sinks       []Sink
	DeadLetters lane.DeadLetters // nil: none, then every sink's on_bad_record is stop

	Budget  *Budget
	Metrics *telemetry.Registry
	Log     *slog.Logger
}

// Sink is one sink of a stream at one connection.
type Sink struct {
	Spec       sink.Spec
	Config     sink.Config
	Plan       *plan.Plan
	Batch      sink.Batch
	Start      Start
	DeadLetter bool // on_bad_record: dead_letter
	MaxBad     int  // of lane.FloodWindow offsets of a partition; 0: all
	SkipGaps   bool // on_gap: skip_and_record
	NewTopic   bool // on_topic_reset: new_incarnation
}

// drainTime is how long a stop waits for commits in flight. Abandoning them is
// harmless, only slower to come back from.
const drainTime = 10 * time.Second

// Run carries the stream until ctx ends, or all files are read that there are,
// and then returns nil; an error is one that trying again would not mend.
func Run(ctx context.Context, o Options) error {
	p, err := assemble(o)
	if err != nil {
		return err
	}
	defer p.closeSinks()
	if c, ok := p.origin.(closer); ok {
		defer c.close()
	}
	m := p.origin.member(source.MemberOptions{
		Group: o.Group, InstanceID: o.InstanceID, Session: p.o.Session, Rebalance: p.o.Rebalance, Topics: p.o.Topics,
		Layout: p.layout, Info: p.info(), OnInfo: p.differ, OnAway: p.away, Log: p.o.Log,
	})
	p.tellJoining()
	for {
		gen, err := m.join(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return fmt.Errorf("stream %s: join group %s: %w", o.Stream, o.Group, err)
		}
		p.arrived()
		p.hold(ctx, m, gen)
		if ctx.Err() != nil || p.finished {
			break
		}
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := m.Leave(bye); err != nil {
		p.o.Log.Debug("leave the group", "error", err)
	}
	if p.failure != nil {
		return fmt.Errorf("stream %s: %w", o.Stream, p.failure)
	}
	return nil
}

// away shows that the group's coordinator does not answer.
func (p *pipeline) away(err error) {
	if p.awaySince.IsZero() {
		p.awaySince = time.Now()
		p.o.Metrics.Stream(p.o.Stream).SetState(telemetry.NoBroker, fmt.Sprintf("the group cannot be joined since %s: %s", p.awaySince.UTC().Format(time.RFC3339), err))
	}
}

// arrived shows that the stream is a member of its group.
func (p *pipeline) arrived() {
	p.awaySince = time.Time{}
	p.o.Metrics.Stream(p.o.Stream).SetState(telemetry.Running, "")
}

// pipeline is a stream that runs.
type pipeline struct {
	o      Options
	origin origin
	wants  []record.Want // the union over the sinks
	sinks  []*lazySink
	ids    []ledger.ID

	intake   *intake
	portions []*portion    // per sink
	desks    []*lane.Desks // per sink

	finished bool  // nothing will come any more, and all of it is settled
	failure  error // what was not read, or not written, then

	strangers  bool      // it was said that the group knows sinks that are not run here
	awaySince  time.Time // that the group cannot be joined; zero: it can
	complained bool      // layout has, since it last had an answer; it is never called twice at a time
}

func assemble(o Options) (*pipeline, error) {
	if o.Session <= 0 {
		o.Session = 10 * time.Second
	}
	if o.Rebalance <= 0 {
		o.Rebalance = time.Minute
	}
	if o.FetchBytes <= 0 {
		o.FetchBytes = 4 << 20
	}
	if o.Budget == nil {
		o.Budget = NewBudget(512 << 20)
	}
	o.Log = o.Log.With("stream", o.Stream)
	p := &pipeline{o: o}
	if o.Files != nil {
		p.origin = files{o.Files}
		p.o.Topics = []string{o.Stream}
	} else {
		p.origin = newKafka(o.Cluster, o.Budget)
	}
	seen := map[string]bool{}
	for _, s := range o.Sinks {
		for _, w := range s.Plan.Wants() {
			key := w.Path.String() + " " + w.Type.String()
			if !seen[key] {
				seen[key] = true
				p.wants = append(p.wants, w)
			}
		}
		p.sinks = append(p.sinks, newLazySink(s.Spec, s.Config))
		p.ids = append(p.ids, ledger.SinkID(s.Config.ID()))
		p.portions = append(p.portions, newPortion(o.Budget))
		p.desks = append(p.desks, &lane.Desks{})
	}
	var err error
	if p.intake, err = newIntake(o.Events, p.wants, commonFilter(o.Sinks), o.Budget); err != nil {
		return nil, fmt.Errorf("stream %s: %w", o.Stream, err)
	}
	return p, nil
}

func (p *pipeline) closeSinks() {
	for i, s := range p.sinks {
		if err := s.Close(); err != nil {
			p.o.Log.Warn("close", "sink", p.o.Sinks[i].Config.ID(), "error", err)
		}
	}
}

// layout is the slots of the topics. The leader of the group asks for it: the
// width that the records say rules, so that all members agree whatever their
// YAML says.
func (p *pipeline) layout(ctx context.Context) ([]source.Layout, error) {
	out, err := p.layouts(ctx)
	if err != nil && !p.complained {
		// The group tries again for ever, and says nothing of what may pass by
		// itself; a topic that is missing should be known of.
		p.o.Log.Warn("no slots can be given out yet, trying again", "error", err)
	}
	p.complained = err != nil
	return out, err
}

func (p *pipeline) layouts(ctx context.Context) ([]source.Layout, error) {
	d, err := p.origin.Describe(ctx, p.o.Topics...)
	if err != nil {
		return nil, err
	}
	var out []source.Layout
	for _, name := range p.o.Topics {
		t, err := topicOf(d, name)
		if err != nil {
			return nil, err
		}
		n := int32(len(t.Partitions))
		known, err := p.records(ctx, name, d.Incarnation(name), n)
		if err != nil {
			return nil, err
		}
		width := known.width
		if width <= 0 {
			width = source.WidthOf(n, p.o.Slots)
		}
		out = append(out, source.Layout{Topic: name, Partitions: n, Width: width})
	}
	return out, nil
}

func topicOf(d source.Description, name string) (source.TopicDescription, error) {
	if t, ok := d.Topics[name]; ok && len(t.Partitions) > 0 {
		return t, nil
	}
	return source.TopicDescription{}, fmt.Errorf("topic %s: no such topic", name)
}

// known is what the group's records say of a topic.
type known struct {
	any        bool // some record is of this incarnation
	width      int32
	partitions int32 // that some record says had a record each; one at or above it may be new
	prefix     int32 // that have a record each, counted from partition 0, as seen now
}

// records reads the headers of all partitions' records. Those of another
// incarnation count for the width alone: Kafka has deleted the others of their
// kind with the topic, so that one is missing proves nothing.
func (p *pipeline) records(ctx context.Context, topic, incarnation string, partitions int32) (known, error) {
	stored, err := p.stored(ctx, topic, partitions)
	if err != nil {
		return known{}, err
	}
	var k known
	has := make([]bool, partitions)
	for _, s := range stored {
		if s.Metadata == "" || s.Partition < 0 || s.Partition >= partitions {
			continue
		}
		r, err := ledger.Decode(topic, s.Partition, s.Metadata)
		if err != nil {
			continue // the slot's own lanes will say so
		}
		k.width = r.Width
		if r.Incarnation == incarnation {
			has[s.Partition] = true
			k.any, k.partitions = true, max(k.partitions, r.Partitions)
		}
	}
	for k.prefix < partitions && has[k.prefix] {
		k.prefix++
	}
	return k, nil
}

// stored reads what the group has for all partitions of a topic.
func (p *pipeline) stored(ctx context.Context, topic string, partitions int32) ([]source.Stored, error) {
	all := make([]int32, partitions)
	for i := range all {
		all[i] = int32(i)
	}
	return p.origin.FetchOffsets(ctx, p.o.Group, map[string][]int32{topic: all})
}

// info is what members of one group should agree on.
func (p *pipeline) info() string {
	var ids []string
	for _, s := range p.o.Sinks {
		print := s.Plan.Fingerprint()
		ids = append(ids, s.Config.ID()+" "+hex.EncodeToString(print[:]))
	}
	ids = append(ids, p.o.Topics...)
	slices.Sort(ids)
	h := fnv.New64a()
	h.Write([]byte(strings.Join(ids, "\n")))
	return hex.EncodeToString(h.Sum(nil))
}

func (p *pipeline) differ(infos map[string]string) {
	p.o.Log.Warn("members of the group run different sinks, fields or topics, and each partition gets those of its member alone; normal while a change rolls out, else two deployments have one group", "members", len(infos))
}

// lazySink opens a sink when it is first claimed, so that a destination that
// is away at the start is retried by its own lanes and no other's.
type lazySink struct {
	spec   sink.Spec
	config sink.Config

	turn chan struct{} // holds one token: who has it may look at open
	open sink.Sink
}

func newLazySink(s sink.Spec, c sink.Config) *lazySink {
	l := &lazySink{spec: s, config: c, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

// Claim implements sink.Sink.
func (s *lazySink) Claim(ctx context.Context, c sink.Claim) (sink.Writer, sink.Found, error) {
	open, err := s.get(ctx)
	if err != nil {
		return nil, sink.Found{}, err
	}
	return open.Claim(ctx, c)
}

// get opens the sink, or waits for the lane that does. An Open that hangs must
// not hold up a stop: whoever waits goes when its context ends.
func (s *lazySink) get(ctx context.Context) (sink.Sink, error) {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { s.turn <- struct{}{} }()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.open == nil {
		open, err := s.spec.Open(ctx, s.config)
		if err != nil {
			return nil, fmt.Errorf("open: %w", err)
		}
		s.open = open
	}
	return s.open, nil
}

// Close implements sink.Sink. No lane is left by then.
func (s *lazySink) Close() error {
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	if s.open == nil {
		return nil
	}
	err := s.open.Close()
	s.open = nil
	return err
}

// deadLetters is where a sink's bad records go; nil where on_bad_record is stop.
func (p *pipeline) deadLetters(s Sink) lane.DeadLetters {
	if !s.DeadLetter {
		return nil
	}
	return p.o.DeadLetters
}
