package pipeline

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/source"
	"github.com/sluicekit/sluice/core/telemetry"
)

// heldSlot is a slot in which lanes run.
type heldSlot struct {
	slot        ledger.Slot
	first       int32
	partitions  int32
	topicID     [16]byte
	incarnation string
	topic       atomic.Pointer[heldTopic] // as it was looked at last
	record      lane.RecordState
	notice      string
	parts       []*partition
	book        sync.Mutex // creating the slot's first record

	seen   int32 // the latest generation in which the slot is this member's
	gap    bool  // one between was missed, and the record was not looked at since
	lost   bool  // cut was called
	revoke chan struct{}
	cancel context.CancelFunc
	gone   <-chan struct{} // cut off, or over
	done   chan struct{}   // nothing runs any more
}

func newSlot(at ledger.Slot, first, partitions int32, t *heldTopic, seen int32) *heldSlot {
	s := &heldSlot{slot: at, first: first, partitions: partitions, topicID: t.id, incarnation: t.incarnation, seen: seen,
		revoke: make(chan struct{}), done: make(chan struct{})}
	s.topic.Store(t)
	return s
}

// leave lets the lanes finish what they have begun, and begin nothing else.
func (s *heldSlot) leave() {
	if !isClosed(s.revoke) {
		close(s.revoke)
	}
}

// cut ends the lanes: nothing can be stored in this slot any more. A commit in
// flight is harmless, since whoever has the slot then repeats it.
func (s *heldSlot) cut() {
	s.lost = true
	s.cancel()
}

// start runs the partitions and the lanes of a slot.
func (h *holding) start(run context.Context, s *heldSlot) {
	ctx, cancel := context.WithCancel(run)
	s.cancel, s.gone = cancel, ctx.Done()
	limit := h.window()
	for _, o := range h.slots {
		for _, p := range o.parts {
			p.resize(limit)
		}
	}
	for k := range s.partitions {
		s.parts = append(s.parts, h.partition(s, s.first+k, limit))
	}
	reading, stop := context.WithCancel(ctx)
	var readers, lanes sync.WaitGroup
	for _, part := range s.parts {
		readers.Go(func() { part.run(reading) })
	}
	for n := range h.o.Sinks {
		lanes.Go(func() { h.lane(ctx, s, n) })
	}
	h.background.Go(func() {
		lanes.Wait()
		stop()
		readers.Wait()
		cancel()
		close(s.done)
		select {
		case h.over <- struct{}{}:
		default:
		}
	})
}

// window is how many bytes one partition keeps for its lanes.
func (h *holding) window() int64 {
	total := int32(0)
	for _, s := range h.slots {
		total += s.partitions
	}
	limit := int64(16 << 20)
	if h.o.Budget.Bytes > 0 && total > 0 {
		limit = min(limit, max(h.o.Budget.Bytes/int64(2*total), 64<<10))
	}
	return limit
}

// partition makes the shared reader of one partition.
func (h *holding) partition(s *heldSlot, id int32, limit int64) *partition {
	return newPartition(h.loader(s, id), func() *loader { return h.loader(s, id) }, limit, h.log)
}

func (h *holding) loader(s *heldSlot, id int32) *loader {
	c := h.origin.cursor(cursorOptions{topic: s.slot.Topic, topicID: s.topicID, partition: id, changed: h.suspect,
		maxBytes: h.fetchBytes(), maxWait: 500 * time.Millisecond, budget: h.o.Budget})
	return &loader{intake: h.intake, topic: s.slot.Topic, partition: id, cursor: c}
}

// fetchBytes is how much one fetch asks for: some of them must fit into the budget.
func (h *holding) fetchBytes() int32 {
	if most := h.o.Budget.Bytes / 64; most > 0 && most < int64(h.o.FetchBytes) {
		return int32(max(most, 64<<10))
	}
	return h.o.FetchBytes
}

// lane runs one sink in one slot until it is over.
func (h *holding) lane(ctx context.Context, s *heldSlot, n int) {
	k := h.o.Sinks[n]
	meter := h.meter(s, n)
	defer meter.Release()
	f := newFeed(h.origin, s.slot.Topic, s.first, s.parts, k.Start, h.portions[n], meter)
	defer f.close()
	meter.Watch(f.High)
	log := h.log.With("sink", k.Config.ID(), "topic", s.slot.Topic, "partition", s.first)
	c := lane.Config{
		ID: k.Config.ID(), Sink: h.sinks[n], Delivery: k.Config.Delivery, Plan: k.Plan, Have: h.wants, Batch: k.Batch,
		Claim:   sink.Claim{Topic: s.slot.Topic, Incarnation: s.incarnation, Partition: s.first, Partitions: int(s.partitions)},
		Timeout: k.Config.Timeout, Session: h.o.Session, Letters: h.deadLetters(k), MaxBad: k.MaxBad,
		Feed: f, Book: &book{holding: h, slot: s, sink: h.ids[n]}, Member: h.proof, Budget: f.account, Desks: h.desks[n], Record: s.record, Notice: s.notice, Meter: meter, Log: log,
		SkipGaps: k.SkipGaps, NewTopic: k.NewTopic, Resize: fmt.Sprintf("sluice settle --slots %d", h.o.Slots),
	}
	if e, ok := h.writer.Entry(s.slot, h.ids[n]); ok {
		c.Entry = &e
		c.Record, c.Notice = ofEntry(s, e)
	}
	if err := lane.Run(ctx, c, s.revoke); err != nil {
		log.Debug("lane ended", "error", err)
	}
}

// meter is that of a lane.
func (h *holding) meter(s *heldSlot, n int) *telemetry.Lane {
	k := h.o.Sinks[n]
	return h.o.Metrics.Lane(telemetry.LaneID{Sink: k.Config.Name, Connection: k.Config.Connection, Stream: h.o.Stream,
		Topic: s.slot.Topic, Partition: s.first, Partitions: int(s.partitions)})
}

// ofEntry is what the slot's record means to a sink that has an entry in it: of
// several sinks in one record some may have gone on in a new incarnation already.
func ofEntry(s *heldSlot, e ledger.Entry) (lane.RecordState, string) {
	switch {
	case s.record != lane.Present && s.record != lane.Replaced:
		return s.record, s.notice
	case e.Incarnation != s.incarnation:
		return lane.Replaced, otherTopic(s, e.Incarnation)
	}
	return lane.Present, ""
}

func otherTopic(s *heldSlot, recorded string) string {
	return fmt.Sprintf("the group's record is of incarnation %s of topic %s, which is %s now", recorded, s.slot.Topic, s.incarnation)
}

// judge says what the state of a slot's record means.
func (h *holding) judge(s *heldSlot) {
	st := h.writer.State(s.slot)
	s.notice = st.Message
	switch {
	case st.Presence == ledger.Partly:
		s.record = lane.Damaged
	case st.Presence == ledger.Missing && s.topic.Load().known.partitions == 0 && st.Message == "":
		// No record at all, or only some of the very first ones: a stream that
		// starts, or was killed while it did.
		s.record = lane.Fresh
	case st.Presence == ledger.Missing && s.topic.Load().known.any && s.first >= s.topic.Load().known.partitions:
		s.record = lane.Grown
	case st.Presence == ledger.Missing:
		s.record = lane.Lost
	case st.Incarnation != s.incarnation:
		s.record = lane.Replaced
		s.notice = otherTopic(s, st.Incarnation)
	case h.resized(s, st):
		s.record = lane.Resized
		s.notice = fmt.Sprintf("slots: %d would make slots of %d partitions, the records have %d", h.o.Slots, source.WidthOf(s.topic.Load().layout.Partitions, h.o.Slots), st.Width)
	default:
		s.record = lane.Present
	}
}

// resized says that the YAML's slots differ from the records'. While the topic
// has the partitions that the records know this is exact; after growth a
// smaller width may be the old one, and stays in force.
func (h *holding) resized(s *heldSlot, st ledger.State) bool {
	want := source.WidthOf(s.topic.Load().layout.Partitions, h.o.Slots)
	if max(st.Partitions, s.topic.Load().known.prefix) == s.topic.Load().layout.Partitions {
		return want != st.Width
	}
	return want < st.Width
}

// grow raises the number of partitions that a record promises to have records.
// It counts only those that were seen with one: while a stream starts for the
// first time, a slot whose record is not made yet must not look lost.
func (h *holding) grow(ctx context.Context, s *heldSlot) error {
	st := h.writer.State(s.slot)
	if st.Presence != ledger.Present || s.record != lane.Present && s.record != lane.Fresh && s.record != lane.Grown || st.Partitions >= s.topic.Load().prefix.Load() {
		return nil
	}
	return h.writer.Create(ctx, s.slot, h.header(s), nil)
}

func (h *holding) header(s *heldSlot) ledger.Header {
	return ledger.Header{Incarnation: s.incarnation, Width: s.topic.Load().layout.Width, Partitions: s.topic.Load().prefix.Load()}
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
