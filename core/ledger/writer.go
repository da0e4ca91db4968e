package ledger

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Options of a Writer. The zero value is usable.
type Options struct {
	// Sinks that this member runs: the offset committed to Kafka is the lowest
	// of their positions. nil: of all entries.
	Sinks []ID
	// Epoch is the leader epoch to commit with a partition's offset; nil, or a
	// negative answer: unknown (-1).
	Epoch func(topic string, partition int32) int32
	// Delay is how long a Note may wait for another write to go with; 0: one
	// second.
	Delay time.Duration
	// Timeout of one OffsetCommit. Without an answer by then the membership
	// ends; 0: ten seconds.
	Timeout time.Duration
	// Log gets what no caller is told: a Note that was not stored. nil: discarded.
	Log *slog.Logger
}

// Writer is the one writer of a membership's records. Make it with NewWriter.
type Writer struct {
	group   Group
	options Options
	wake    chan struct{} // holds one: something changed since Run last looked

	sending sync.Mutex // held while a commit is under way, and by Renew

	mu    sync.Mutex
	slots map[Slot]*slot
	// changed are the slots that have changes, in the order of their oldest.
	changed []*slot
	ended   *EndedError // set once; from then on nothing is queued or sent
	// held: the group has gone on to another generation. Nothing is sent before Renew.
	held  bool
	again chan struct{} // closed, and made anew, when what was sent waits again
}

// NewWriter makes the writer of one membership. Nothing is sent before Run.
func NewWriter(g Group, o Options) *Writer {
	if o.Delay == 0 {
		o.Delay = time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Writer{group: g, options: o, wake: make(chan struct{}, 1), slots: map[Slot]*slot{}, again: make(chan struct{})}
}

// Run sends what Put, Note and Create bring, one OffsetCommit at a time, until
// ctx ends (nil) or the membership does (*EndedError). Nothing is sent after it
// returned, and all that waits or comes later gets an *EndedError. If ctx ends
// while a commit is under way, and it gets no answer, the membership is ended
// too. Run is called once.
func (w *Writer) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		wait, err := w.send(ctx)
		if err != nil {
			return err
		}
		if wait > 0 {
			w.pause(ctx, wait)
		}
	}
	w.end(&EndedError{Reason: context.Cause(ctx)})
	return nil
}

// send sends what is due, and takes in the answer. wait: nothing was due, and
// this is when the next is. An error is the end of the membership.
func (w *Writer) send(ctx context.Context) (wait time.Duration, err error) {
	w.sending.Lock()
	defer w.sending.Unlock()
	request, wait := w.next()
	if len(request) == 0 {
		return wait, nil
	}
	answer := w.commit(ctx, request)
	if reason := w.settle(request, answer); reason != nil {
		ended := &EndedError{Reason: reason}
		w.group.End(ended) // before anybody who waits learns of it
		w.end(ended)
		return 0, ended
	}
	return 0, nil
}

// pause waits for a change, or for the oldest note to be due.
func (w *Writer) pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-timer.C:
	}
}

// next collects what the next OffsetCommit carries: nothing unless somebody
// waits for a change or a note is due; then everything that has changed, those
// first, up to what Kafka takes in one request.
func (w *Writer) next() (request []*revision, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	wait = time.Hour
	if w.held {
		return nil, wait
	}
	var due, rest []*slot
	for _, s := range w.changed {
		if d := s.due(now); d <= 0 {
			due = append(due, s)
		} else {
			rest = append(rest, s)
			wait = min(wait, d)
		}
	}
	size := 0
	for _, s := range append(due, rest...) {
		if len(due) == 0 {
			break
		}
		r := w.revise(s)
		if len(r.taken) == 0 {
			continue // none of its changes fits; they have been told
		}
		if size+r.size > maxRequest {
			break
		}
		for _, c := range r.taken {
			c.sent = true
		}
		// To the end of the line: a busy slot must not keep others waiting when not
		// all fit one request.
		w.changed = append(slices.DeleteFunc(w.changed, func(o *slot) bool { return o == s }), s)
		size += r.size
		request = append(request, r)
	}
	w.sweep()
	if len(due) > 0 && len(request) == 0 {
		wait = 1 // look again at once
	}
	return request, wait
}

// commit sends one OffsetCommit and waits for its answer.
func (w *Writer) commit(ctx context.Context, request []*revision) error {
	var all []Commit
	for _, r := range request {
		all = append(all, r.commits...)
	}
	ctx, cancel := context.WithTimeout(ctx, w.options.Timeout)
	defer cancel()
	return w.group.Commit(ctx, all)
}

// settle brings memory to what the answer says and tells those who wait. A
// reason means that the membership must end, because what is stored is not known
// or because it is over: then nobody was told yet.
func (w *Writer) settle(request []*revision, err error) (reason error) {
	var refused *Refused
	if err != nil && (!errors.As(err, &refused) || refused.Membership) {
		return err
	}
	if refused != nil && refused.Moved {
		w.hold(request)
		return nil
	}
	stored := func(r *revision) (n int) {
		for _, c := range r.commits {
			if refused == nil || slices.Contains(refused.Stored, Place{c.Topic, c.Partition}) {
				n++
			}
		}
		return n
	}
	// A slot of which a part was stored is neither what memory says nor what was
	// sent. Only a new membership, which reads it, may go on from there.
	unsure := refused != nil && refused.Unsure
	for _, r := range request {
		if n := stored(r); n != 0 && n != len(r.commits) && !unsure {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range request {
		if stored(r) == len(r.commits) {
			w.accept(r)
			continue
		}
		w.reject(r, err)
		if unsure && r.slot.presence == Present && !r.slot.gone {
			// Whatever is stored now, what memory says comes after it.
			w.queue(&change{slot: r.slot, due: time.Now().Add(w.options.Delay)})
		}
	}
	w.sweep()
	return nil
}

// hold keeps all that was sent for the next generation.
func (w *Writer) hold(request []*revision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = true
	for _, r := range request {
		for _, c := range r.taken {
			c.sent = false
		}
	}
	close(w.again)
	w.again = make(chan struct{})
}

// accept makes a revision the record.
func (w *Writer) accept(r *revision) {
	s := r.slot
	s.presence, s.message = Present, ""
	s.header, s.want = r.header, r.want
	s.write, s.entries, s.bare = r.write, r.entries, false
	for i, c := range r.commits {
		s.stored[i] = Stored{Partition: c.Partition, Offset: c.Offset, Metadata: c.Metadata}
	}
	for _, c := range r.taken {
		s.remove(c)
		c.finish(nil)
	}
	if s.header != s.want && !s.gone {
		w.queue(&change{slot: s, due: time.Now().Add(w.options.Delay)})
	}
}

// reject leaves the record as it was. Notes stay queued: their positions are
// true whatever becomes of this request.
func (w *Writer) reject(r *revision, err error) {
	notes := 0
	for _, c := range r.taken {
		c.sent = false
		if c.done == nil {
			c.due = time.Now().Add(w.options.Delay)
			notes++
			continue
		}
		r.slot.remove(c)
		c.finish(&RefusedError{Slot: r.slot.at.Slot, Err: err})
	}
	if notes > 0 {
		w.options.Log.Warn("positions not stored yet", "slot", r.slot.at.Slot, "error", err)
	}
}

// end tells everybody that nothing is written any more.
func (w *Writer) end(ended *EndedError) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = ended
	for _, s := range w.changed {
		for _, c := range s.changes {
			c.finish(w.ended)
		}
		s.changes = nil
	}
	w.changed = nil
}

// queue adds a change to its slot.
func (w *Writer) queue(c *change) {
	if len(c.slot.changes) == 0 && !slices.Contains(w.changed, c.slot) {
		w.changed = append(w.changed, c.slot)
	}
	c.slot.changes = append(c.slot.changes, c)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// sweep drops the slots without changes from changed.
func (w *Writer) sweep() {
	w.changed = slices.DeleteFunc(w.changed, func(s *slot) bool { return len(s.changes) == 0 })
}
