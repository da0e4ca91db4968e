package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/source"
)

// holding is what runs in one generation of the group: from the assignment to
// the next rebalance.
type holding struct {
	*pipeline
	gen    generation
	writer *ledger.Writer
	topics map[string]*heldTopic
	epochs atomic.Pointer[map[string][]int32] // leader epochs, for the ledger's goroutine
	slots  []heldSlot
	look   chan struct{} // a reader says that its topic may be another one now
	log    *slog.Logger
}

type heldTopic struct {
	id          [16]byte // all readers of this generation read this one, or none
	incarnation string
	layout      source.Layout
	known       known
	prefix      atomic.Int32 // known.prefix, brought up to date while lanes run
}

// heldSlot is a slot that this member owns.
type heldSlot struct {
	slot       ledger.Slot
	first      int32
	partitions int32
	topic      *heldTopic
	record     lane.RecordState
	notice     string
	parts      []*partition
	book       sync.Mutex // creating the slot's first record
}

// hold runs the lanes of one generation. It returns when it is time to join
// again: all that it started has ended.
func (p *pipeline) hold(ctx context.Context, gen generation) {
	h := &holding{pipeline: p, gen: gen, topics: map[string]*heldTopic{}, look: make(chan struct{}, 1), log: p.o.Log}
	h.writer = ledger.NewWriter(&group{origin: p.origin, gen: gen, name: p.o.Group}, ledger.Options{Sinks: p.ids, Epoch: h.epoch, Log: h.log})

	// Lanes outlive a stop of the program by the time that commits in flight
	// may take; what ends them at once is the end of the membership.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var background sync.WaitGroup
	background.Go(func() {
		select {
		case <-gen.Ended():
			cancel()
		case <-run.Done():
		}
	})
	write, stopWriter := context.WithCancel(context.WithoutCancel(ctx))
	background.Go(func() {
		if err := h.writer.Run(write); err != nil {
			h.log.Warn("ledger", "error", err)
		}
		cancel()
	})
	defer background.Wait()
	defer stopWriter()

	if !h.prepare(ctx) {
		return
	}
	h.tellTopics()
	h.tellStrangers()
	h.log.Info("carrying", "generation", gen.ID(), "slots", len(h.slots), "sinks", len(h.o.Sinks))
	revoke := make(chan struct{})
	lanes := h.start(run, revoke, &background)
	h.await(ctx, run)
	close(revoke)
	h.drain(ctx, run, cancel, lanes)
	flush, done := context.WithTimeout(write, 2*time.Second)
	h.countLast(flush, run)
	if err := h.writer.Flush(flush); err != nil {
		h.log.Debug("flush the ledger", "error", err)
	}
	done()
	cancel()
	lanes.Wait()
}

// prepare learns all about the slots, trying again until it is time to join
// anew. false: it is.
func (h *holding) prepare(ctx context.Context) bool {
	for attempt := 0; ; attempt++ {
		err := h.learn(ctx)
		if err == nil {
			return true
		}
		h.log.Warn("reading the group's records, trying again", "error", err)
		t := time.NewTimer(min(100*time.Millisecond<<min(attempt, 6), 5*time.Second))
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-h.gen.Rebalance():
		}
		t.Stop()
		if ctx.Err() != nil || isClosed(h.gen.Rebalance()) {
			return false
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (h *holding) learn(ctx context.Context) error {
	d, err := h.origin.Describe(ctx, h.o.Topics...)
	if err != nil {
		return err
	}
	layouts := map[string]source.Layout{}
	for _, l := range h.gen.Layouts() {
		layouts[l.Topic] = l
	}
	topics, epochs := map[string]*heldTopic{}, map[string][]int32{}
	for _, name := range h.o.Topics {
		t, err := topicOf(d, name)
		if err != nil {
			return err
		}
		incarnation := d.Incarnation(name)
		k, err := h.records(ctx, name, incarnation, int32(len(t.Partitions)))
		if err != nil {
			return err
		}
		ht := &heldTopic{id: t.ID, incarnation: incarnation, layout: layouts[name], known: k}
		ht.prefix.Store(k.prefix)
		for _, part := range t.Partitions {
			epochs[name] = append(epochs[name], part.LeaderEpoch)
		}
		topics[name] = ht
	}
	h.topics = topics
	h.epochs.Store(&epochs)
	return h.load(ctx)
}

// load reads the records of the slots, and says what they mean.
func (h *holding) load(ctx context.Context) error {
	h.slots = nil
	var want []ledger.SlotLayout
	for _, s := range h.gen.Slots() {
		t := h.topics[s.Topic]
		if t == nil || t.layout.Width <= 0 {
			return fmt.Errorf("slot %s/%d: the leader's assignment does not name its topic", s.Topic, s.Index)
		}
		first := s.Index * t.layout.Width
		n := min(t.layout.Width, t.layout.Partitions-first)
		if n <= 0 {
			continue
		}
		slot := ledger.Slot{Topic: s.Topic, Index: s.Index}
		want = append(want, ledger.SlotLayout{Slot: slot, First: first, Partitions: n})
		h.slots = append(h.slots, heldSlot{slot: slot, first: first, partitions: n, topic: t})
	}
	if err := h.writer.Load(ctx, want); err != nil {
		return err
	}
	for i := range h.slots {
		h.judge(&h.slots[i])
		if err := h.grow(ctx, &h.slots[i]); err != nil {
			return err
		}
	}
	return nil
}

// judge says what the state of a slot's record means.
func (h *holding) judge(s *heldSlot) {
	st := h.writer.State(s.slot)
	s.notice = st.Message
	switch {
	case st.Presence == ledger.Partly:
		s.record = lane.Damaged
	case st.Presence == ledger.Missing && s.topic.known.partitions == 0 && st.Message == "":
		// No record at all, or only some of the very first ones: a stream that
		// starts, or was killed while it did.
		s.record = lane.Fresh
	case st.Presence == ledger.Missing && s.topic.known.any && s.first >= s.topic.known.partitions:
		s.record = lane.Grown
	case st.Presence == ledger.Missing:
		s.record = lane.Lost
	case st.Incarnation != s.topic.incarnation:
		s.record = lane.Replaced
		s.notice = otherTopic(s, st.Incarnation)
	case h.resized(s, st):
		s.record = lane.Resized
		s.notice = fmt.Sprintf("slots: %d would make slots of %d partitions, the records have %d", h.o.Slots, widthOf(s.topic.layout.Partitions, h.o.Slots), st.Width)
	default:
		s.record = lane.Present
	}
}

// resized says that the YAML's slots differ from the records'. While the topic
// has the partitions that the records know this is exact; after growth a
// smaller width may be the old one, and stays in force.
func (h *holding) resized(s *heldSlot, st ledger.State) bool {
	want := widthOf(s.topic.layout.Partitions, h.o.Slots)
	if max(st.Partitions, s.topic.known.prefix) == s.topic.layout.Partitions {
		return want != st.Width
	}
	return want < st.Width
}

// grow raises the number of partitions that a record promises to have records.
// It counts only those that were seen with one: while a stream starts for the
// first time, a slot whose record is not made yet must not look lost.
func (h *holding) grow(ctx context.Context, s *heldSlot) error {
	st := h.writer.State(s.slot)
	if st.Presence != ledger.Present || s.record != lane.Present && s.record != lane.Fresh && s.record != lane.Grown || st.Partitions >= s.topic.prefix.Load() {
		return nil
	}
	return h.writer.Create(ctx, s.slot, h.header(s), nil)
}

func (h *holding) header(s *heldSlot) ledger.Header {
	return ledger.Header{Incarnation: s.topic.incarnation, Width: s.topic.layout.Width, Partitions: s.topic.prefix.Load()}
}

// epoch is what the ledger commits with an offset.
func (h *holding) epoch(topic string, partition int32) int32 {
	if all := h.epochs.Load(); all != nil {
		if e := (*all)[topic]; int(partition) < len(e) {
			return e[partition]
		}
	}
	return -1
}

// start runs the partitions and the lanes. The returned group ends with the
// lanes; partitions end with ctx.
func (h *holding) start(ctx context.Context, revoke <-chan struct{}, background *sync.WaitGroup) *sync.WaitGroup {
	var total int32
	for i := range h.slots {
		total += h.slots[i].partitions
	}
	background.Go(func() { h.intake.sweep(ctx) })
	lanes := &sync.WaitGroup{}
	for i := range h.slots {
		s := &h.slots[i]
		for k := range s.partitions {
			part := h.partition(s.slot.Topic, s.first+k, total)
			s.parts = append(s.parts, part)
			background.Go(func() { part.run(ctx) })
		}
		for n := range h.o.Sinks {
			lanes.Go(func() { h.lane(ctx, s, n, revoke) })
		}
	}
	return lanes
}

// partition makes the shared reader of one partition.
func (h *holding) partition(topic string, id, total int32) *partition {
	limit := int64(16 << 20)
	if h.o.Budget.Bytes > 0 {
		limit = min(limit, max(h.o.Budget.Bytes/int64(2*total), 64<<10))
	}
	return newPartition(h.loader(topic, id), func() *loader { return h.loader(topic, id) }, limit, h.log)
}

func (h *holding) loader(topic string, id int32) *loader {
	c := h.origin.cursor(cursorOptions{topic: topic, topicID: h.topics[topic].id, partition: id, changed: h.suspect,
		maxBytes: h.fetchBytes(), maxWait: 500 * time.Millisecond, budget: h.o.Budget})
	return &loader{intake: h.intake, topic: topic, partition: id, cursor: c}
}

// fetchBytes is how much one fetch asks for: some of them must fit into the budget.
func (h *holding) fetchBytes() int32 {
	if most := h.o.Budget.Bytes / 16; most > 0 && most < int64(h.o.FetchBytes) {
		return int32(max(most, 64<<10))
	}
	return h.o.FetchBytes
}

// lane runs one sink in one slot until it is over.
func (h *holding) lane(ctx context.Context, s *heldSlot, n int, revoke <-chan struct{}) {
	k := h.o.Sinks[n]
	f := newFeed(h.origin, s.slot.Topic, s.first, s.parts, k.Start, h.portions[n])
	defer f.close()
	meter := h.meter(s, n)
	defer meter.Release()
	log := h.log.With("sink", k.Config.ID(), "topic", s.slot.Topic, "partition", s.first)
	c := lane.Config{
		ID: k.Config.ID(), Sink: h.sinks[n], Delivery: k.Config.Delivery, Plan: k.Plan, Have: h.wants, Batch: k.Batch,
		Claim:   sink.Claim{Topic: s.slot.Topic, Incarnation: s.topic.incarnation, Partition: s.first, Partitions: int(s.partitions)},
		Timeout: k.Config.Timeout, Session: h.o.Session, Letters: h.deadLetters(k), MaxBad: k.MaxBad,
		Feed: f, Book: &book{holding: h, slot: s}, Member: h.gen, Budget: f.account, Desks: h.desks[n], Record: s.record, Notice: s.notice, Meter: meter, Log: log,
		SkipGaps: k.SkipGaps, NewTopic: k.NewTopic, Resize: fmt.Sprintf("sluice settle --slots %d", h.o.Slots),
	}
	if e, ok := h.writer.Entry(s.slot, h.ids[n]); ok {
		c.Entry = &e
		c.Record, c.Notice = ofEntry(s, e)
	}
	if err := lane.Run(ctx, c, revoke); err != nil {
		log.Debug("lane ended", "error", err)
	}
}

// ofEntry is what the slot's record means to a sink that has an entry in it: of
// several sinks in one record some may have gone on in a new incarnation already.
func ofEntry(s *heldSlot, e ledger.Entry) (lane.RecordState, string) {
	switch {
	case s.record != lane.Present && s.record != lane.Replaced:
		return s.record, s.notice
	case e.Incarnation != s.topic.incarnation:
		return lane.Replaced, otherTopic(s, e.Incarnation)
	}
	return lane.Present, ""
}

func otherTopic(s *heldSlot, recorded string) string {
	return fmt.Sprintf("the group's record is of incarnation %s of topic %s, which is %s now", recorded, s.slot.Topic, s.topic.incarnation)
}

// await returns when it is time to give the slots up.
func (h *holding) await(ctx, run context.Context) {
	watch := time.NewTicker(10 * time.Second)
	defer watch.Stop()
	// Soon after the start, so that the records know all partitions early.
	soon := time.NewTimer(time.Second)
	defer soon.Stop()
	end, stopLooking := h.ending()
	defer stopLooking()
	for {
		changed, count := false, false // what to look at
		select {
		case <-ctx.Done():
			return
		case <-run.Done():
			return
		case <-h.gen.Rebalance():
			return
		case <-end:
			if h.complete() {
				return
			}
			continue
		case <-soon.C:
			count = true
		case <-h.look:
			changed = true
		case <-watch.C:
			changed, count = true, true
		}
		if h.inspect(run, changed, count) {
			return
		}
	}
}

// inspect looks at the cluster, for a short time at most: a Kafka that hangs must
// not delay the notice of a rebalance. True: a topic has changed.
func (h *holding) inspect(run context.Context, changed, count bool) bool {
	ctx, done := context.WithTimeout(run, 3*time.Second)
	defer done()
	changed = changed && h.changed(ctx)
	if count {
		if err := h.count(ctx); err != nil {
			h.log.Debug("count the partitions that have a record", "error", err)
		}
	}
	return changed
}

// suspect makes await look at the topics now.
func (h *holding) suspect() {
	select {
	case h.look <- struct{}{}:
	default:
	}
}

// changed looks whether a topic has grown or is another one: then the group
// must share out anew.
func (h *holding) changed(ctx context.Context) bool {
	d, err := h.origin.Describe(ctx, h.o.Topics...)
	if err != nil {
		return false // the readers notice a cluster that is away
	}
	for _, name := range h.o.Topics {
		t, err := topicOf(d, name)
		if err != nil {
			continue
		}
		held := h.topics[name]
		if held.layout.Width == 0 {
			continue // the leader does not run this topic: a rolling change, or a mistake that OnInfo reports
		}
		if int32(len(t.Partitions)) != held.layout.Partitions || d.Incarnation(name) != held.incarnation {
			h.log.Info("topic has changed, joining again", "topic", name, "partitions", len(t.Partitions))
			return true
		}
	}
	return false
}

// countLast counts once more, unless all is counted: a stream that ends in its
// first second would not know, the next time, which partitions are new.
func (h *holding) countLast(ctx, run context.Context) {
	for _, t := range h.topics {
		if run.Err() == nil && t.prefix.Load() < t.layout.Partitions {
			if err := h.count(ctx); err != nil {
				h.log.Debug("count the partitions that have a record", "error", err)
			}
			return
		}
	}
}

// count brings the records' partition counts up to date.
func (h *holding) count(ctx context.Context) error {
	for name, t := range h.topics {
		k, err := h.records(ctx, name, t.incarnation, t.layout.Partitions)
		if err != nil {
			return err
		}
		t.prefix.Store(k.prefix)
	}
	for i := range h.slots {
		if err := h.grow(ctx, &h.slots[i]); err != nil {
			return err
		}
	}
	return nil
}

// drain waits for the lanes, until the group or the program cannot wait any
// longer.
func (h *holding) drain(ctx, run context.Context, cancel context.CancelFunc, lanes *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { lanes.Wait(); close(done) }() // hold waits for the same lanes
	limit := time.Now().Add(drainTime)
	if ctx.Err() == nil {
		if d := h.gen.DrainDeadline(); !d.IsZero() {
			limit = d
		}
	}
	t := time.NewTimer(time.Until(limit))
	defer t.Stop()
	select {
	case <-done:
	case <-run.Done():
	case <-t.C:
		h.log.Warn("commits in flight are abandoned; they will be repeated")
		cancel()
	}
	<-done
}
