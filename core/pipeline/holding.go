package pipeline

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/source"
	"github.com/sluicekit/sluice/core/telemetry"
)

// holding is what runs in one membership of the group. Generations come and go
// meanwhile: slots that stay with this member are not disturbed by them.
type holding struct {
	*pipeline
	member  member
	gen     generation  // the latest; lanes and ledger follow when its slots were looked at
	next    chan joined // not nil: a rejoin is under way
	writer  *ledger.Writer
	proof   *proof
	topics  map[string]*heldTopic
	epochs  atomic.Pointer[map[string][]int32] // leader epochs, for the ledger's goroutine
	slots   map[ledger.Slot]*heldSlot          // those of which something still runs
	over    chan struct{}                      // holds one: a slot has come to its end
	look    chan struct{}                      // holds one: a reader says that its topic may be another one now
	counted *telemetry.Stream
	log     *slog.Logger

	background sync.WaitGroup
}

type heldTopic struct {
	id          [16]byte // all readers of a slot read this one, or none
	incarnation string
	layout      source.Layout
	known       known
	prefix      atomic.Int32 // known.prefix, brought up to date while lanes run
}

// joined is the outcome of a rejoin.
type joined struct {
	gen generation
	err error
}

// hold runs lanes from the first generation of a membership on. It returns when
// the membership or the program ends: all that it started has ended.
func (p *pipeline) hold(ctx context.Context, m member, gen generation) {
	h := &holding{pipeline: p, member: m, gen: gen, topics: map[string]*heldTopic{}, slots: map[ledger.Slot]*heldSlot{},
		over: make(chan struct{}, 1), look: make(chan struct{}, 1), counted: p.o.Metrics.Stream(p.o.Stream), log: p.o.Log}
	h.proof = newProof(gen)
	h.writer = ledger.NewWriter(h.group(gen), ledger.Options{Sinks: p.ids, Epoch: h.epoch, Log: h.log})

	// Lanes outlive a stop of the program by the time that commits in flight
	// may take; what ends them at once is the end of the membership.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	write, stopWriter := context.WithCancel(context.WithoutCancel(ctx))
	h.background.Go(func() {
		if err := h.writer.Run(write); err != nil {
			h.log.Warn("ledger", "error", err)
		}
		cancel()
	})
	h.background.Go(func() { h.intake.sweep(run) })
	defer h.background.Wait()
	defer stopWriter()

	h.carry(ctx, run, cancel)
	h.drain(run, cancel)
	h.countLast(write, run)
	h.flush(write)
	cancel()
	for _, s := range h.slots {
		<-s.done
	}
	h.counted.Slots.Set(0)
}

// carry goes from generation to generation, until the program or the membership
// ends.
func (h *holding) carry(ctx, run context.Context, cancel context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	defer h.unjoin(stop)
	forget := h.watch(run, cancel)
	defer func() { forget() }()
	h.begin(ctx, run)
	watch := time.NewTicker(10 * time.Second)
	defer watch.Stop()
	// Soon after the start, so that the records know all partitions early.
	soon := time.NewTimer(time.Second)
	defer soon.Stop()
	end, stopLooking := h.ending()
	defer stopLooking()
	for ctx.Err() == nil && run.Err() == nil {
		if h.settled() {
			h.flush(run)
			h.rejoin(ctx)
		}
		select {
		case <-ctx.Done():
		case <-run.Done():
		case <-h.rebalance():
			h.rejoin(ctx)
		case n := <-h.next:
			h.next = nil
			if n.err != nil {
				h.log.Debug("the membership has ended", "error", n.err)
				return
			}
			forget()
			h.arrived()
			h.gen = n.gen
			forget = h.watch(run, cancel)
			h.begin(ctx, run)
		case <-h.late():
			h.abandon()
		case <-h.over:
			h.reap(ctx, run)
		case <-end:
			if h.complete() {
				return
			}
		case <-soon.C:
			h.inspect(ctx, run, false, true)
		case <-h.look:
			h.inspect(ctx, run, true, false)
		case <-watch.C:
			h.inspect(ctx, run, true, true)
		}
	}
}

// watch cancels when the generation's membership ends. The answer ends that.
func (h *holding) watch(run context.Context, cancel context.CancelFunc) (forget context.CancelFunc) {
	gen := h.gen
	until, forget := context.WithCancel(run)
	h.background.Go(func() {
		select {
		case <-gen.Ended():
			cancel()
		case <-until.Done():
		}
	})
	return forget
}

// rebalance is closed when it is time to join again.
func (h *holding) rebalance() <-chan struct{} {
	if h.next != nil {
		return nil
	}
	return h.gen.Rebalance()
}

// rejoin asks for the next generation, with what runs here. Lanes go on.
func (h *holding) rejoin(ctx context.Context) {
	if h.next != nil {
		return
	}
	var owned []source.Slot
	for at := range h.slots {
		owned = append(owned, source.Slot(at))
	}
	next := make(chan joined, 1)
	h.next = next
	h.background.Go(func() {
		gen, err := h.member.rejoin(ctx, owned)
		next <- joined{gen, err}
	})
}

// unjoin ends a rejoin that is under way.
func (h *holding) unjoin(stop context.CancelFunc) {
	stop()
	if h.next != nil {
		<-h.next
	}
}

// settled says that what had to be settled in this generation is, so that it can
// be given up by joining again.
func (h *holding) settled() bool {
	return h.next == nil && len(h.gen.Settle()) > 0 && !h.settling()
}

// settling says whether something still runs in a slot that is to be given up.
func (h *holding) settling() bool {
	for _, at := range h.gen.Settle() {
		if h.slots[ledger.Slot(at)] != nil {
			return true
		}
	}
	return false
}

// late comes when others cannot wait any longer for what is being settled.
func (h *holding) late() <-chan time.Time {
	if !h.settling() {
		return nil
	}
	return time.After(time.Until(h.gen.SettleBy()))
}

// abandon cuts off what was not settled in time.
func (h *holding) abandon() {
	for _, at := range h.gen.Settle() {
		if s := h.slots[ledger.Slot(at)]; s != nil && !s.lost {
			h.log.Warn("commits in flight are abandoned; they will be repeated", "slot", s.slot)
			s.cut()
		}
	}
}

// reap takes in that slots have come to their end. One that this member is to
// have all the same is begun anew.
func (h *holding) reap(ctx, run context.Context) {
	for at, s := range h.slots {
		if isClosed(s.done) {
			delete(h.slots, at)
		}
	}
	h.counted.Slots.Set(int64(len(h.slots)))
	if h.missing() && h.next == nil && !isClosed(h.gen.Rebalance()) {
		h.flush(run)
		h.renew(ctx, run)
	}
}

// missing says that nothing runs yet in some slot of the latest generation.
func (h *holding) missing() bool {
	return slices.ContainsFunc(h.gen.Slots(), func(at source.Slot) bool { return h.slots[ledger.Slot(at)] == nil })
}

// flush stores the positions that are only noted yet.
func (h *holding) flush(ctx context.Context) {
	ctx, done := context.WithTimeout(ctx, 2*time.Second)
	defer done()
	if err := h.writer.Flush(ctx); err != nil {
		h.log.Debug("flush the ledger", "error", err)
	}
}

// inspect looks at the cluster, for a short time at most: a Kafka that hangs must
// not delay the notice of a rebalance. A topic that has changed is shared out
// anew.
func (h *holding) inspect(ctx, run context.Context, changed, count bool) {
	if h.next != nil {
		return // the next generation looks at everything
	}
	own, done := context.WithTimeout(run, 3*time.Second)
	defer done()
	changed = changed && h.changed(own)
	if count {
		if err := h.count(own); err != nil {
			h.log.Debug("count the partitions that have a record", "error", err)
		}
	}
	if changed {
		h.rejoin(ctx)
	}
}

// suspect makes carry look at the topics now.
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
	ctx, done := context.WithTimeout(ctx, 2*time.Second)
	defer done()
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
	for _, s := range h.slots {
		if err := h.grow(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// drain lets all lanes finish what they have begun, until the program cannot
// wait any longer.
func (h *holding) drain(run context.Context, cancel context.CancelFunc) {
	for _, s := range h.slots {
		s.leave()
	}
	limit := time.NewTimer(drainTime)
	defer limit.Stop()
	moved := h.gen.Moved()
	for _, s := range h.slots {
		select {
		case <-s.done:
			continue
		case <-run.Done():
		case <-limit.C:
			h.log.Warn("commits in flight are abandoned; they will be repeated")
		case <-moved: // the group has gone on, and nothing can be stored any more
		}
		cancel()
		<-s.done
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
