package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Header is what all sinks of a slot share.
type Header struct {
	Incarnation string // cluster id and topic id, not empty
	Width       int32  // partitions per slot, fixed when the stream first started
	Partitions  int32  // of the topic, known to have a record; see State
}

// Create stores the first record of a slot that is Missing, with start
// positions that the caller resolved, before the first read. On a Present one
// it replaces Incarnation and Partitions (the topic has grown, or is another)
// and puts the entries. Errors as Put's.
func (w *Writer) Create(ctx context.Context, at Slot, h Header, entries []Entry) error {
	if h.Incarnation == "" {
		return fmt.Errorf("create record of slot %s: no incarnation", at)
	}
	c := &change{header: &h, done: make(chan error, 1)}
	for _, e := range entries {
		c.entries = append(c.entries, e.clone())
	}
	return w.do(ctx, at, c)
}

// Put stores an entry: it returns nil once the whole current record of its slot
// was acknowledged in one OffsetCommit, together with whatever else had changed.
// *EndedError: unknown outcome, write nothing more. *RefusedError, *TooLongError
// and an invalid entry: not stored, the membership goes on. ctx is heeded until
// the entry is sent; from then on Put waits for the answer (Options.Timeout), so
// that after its return Entry tells what the record says.
func (w *Writer) Put(ctx context.Context, at Slot, e Entry) error {
	return w.do(ctx, at, &change{entries: []Entry{e.clone()}, done: make(chan error, 1)})
}

// Note stores an entry with the next write of anything, or alone after
// Options.Delay: a committed cut must not look pending for long on an idle
// topic. Entry answers it at once. An entry that is invalid or does not fit, and
// one of a slot without a record, is reported in the log and dropped: what is
// stored then is older, and a restart repeats the cut.
func (w *Writer) Note(at Slot, e Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &change{entries: []Entry{e.clone()}, due: time.Now().Add(w.options.Delay)}
	if err := w.admit(at, c); err != nil {
		level := slog.LevelError
		if w.ended != nil { // nothing unusual: the next owner repeats the cut
			level = slog.LevelDebug
		}
		w.options.Log.Log(context.Background(), level, "position not stored", "slot", at, "error", err)
		return
	}
	// It takes the place of the sink's older note, also of one that is on its way.
	for _, o := range c.slot.changes {
		if o.done == nil && len(o.entries) == 1 && o.entries[0].Sink == e.Sink {
			if o.due.Before(c.due) && !o.sent {
				c.due = o.due
			}
			c.slot.remove(o)
			break
		}
	}
	w.queue(c)
}

// Flush returns once all that was noted before is stored. Errors as Put's,
// joined.
func (w *Writer) Flush(ctx context.Context) error {
	w.mu.Lock()
	if w.ended != nil {
		w.mu.Unlock()
		return w.ended
	}
	var waits []*change
	for _, s := range w.changed {
		c := &change{slot: s, done: make(chan error, 1)}
		w.queue(c)
		waits = append(waits, c)
	}
	w.mu.Unlock()
	var errs []error
	for _, c := range waits {
		errs = append(errs, w.wait(ctx, c))
	}
	return errors.Join(errs...)
}

// Entry is the newest that is known of a sink: what is stored, or what was
// noted since. The caller owns it. false: the sink has no entry in that slot.
func (w *Writer) Entry(at Slot, id ID) (Entry, bool) {
	for _, e := range w.Entries(at) {
		if e.Sink == id {
			return e, true
		}
	}
	return Entry{}, false
}

// Entries are all of a slot, as Entry answers them, also those of sinks that
// this member does not run.
func (w *Writer) Entries(at Slot) []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.slots[at]
	if s == nil {
		return nil
	}
	var entries []Entry
	for _, p := range s.entries {
		entries = append(entries, p.clone())
	}
	for _, c := range s.changes {
		if c.done != nil {
			continue
		}
		for _, e := range c.entries {
			e = e.clone()
			if i := slices.IndexFunc(entries, func(o Entry) bool { return o.Sink == e.Sink }); i >= 0 {
				entries[i] = e
			} else {
				entries = append(entries, e)
			}
		}
	}
	return entries
}

// do queues a change and waits for its outcome.
func (w *Writer) do(ctx context.Context, at Slot, c *change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	err := w.admit(at, c)
	if err == nil {
		w.queue(c)
	}
	w.mu.Unlock()
	if err != nil {
		return err
	}
	return w.wait(ctx, c)
}

// wait returns a queued change's outcome. Once it is sent the answer decides,
// not ctx: somebody who went on without it would not know what the record says.
func (w *Writer) wait(ctx context.Context, c *change) error {
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
	}
	for {
		w.mu.Lock()
		if !c.sent {
			c.slot.remove(c)
			w.sweep()
		}
		sent, again := c.sent, w.again
		w.mu.Unlock()
		if !sent {
			select {
			case err := <-c.done: // it was decided at the same time
				return err
			default:
				return ctx.Err()
			}
		}
		select {
		case err := <-c.done:
			return err
		case <-again: // it waits again
		}
	}
}

// admit says whether a change may be queued, and completes it.
func (w *Writer) admit(at Slot, c *change) error {
	if w.ended != nil {
		return w.ended
	}
	refuse := func(err error) error { return &RefusedError{Slot: at, Err: err} }
	s := w.slots[at]
	if s == nil {
		return refuse(errors.New("the slot was not loaded"))
	}
	switch {
	case s.presence == Partly:
		return refuse(errors.New(s.message))
	case s.presence == Missing && c.header == nil:
		return refuse(errors.New("it has none yet"))
	case s.presence == Present && c.header != nil && c.header.Width != s.want.Width:
		return refuse(fmt.Errorf("slots of %d partitions were asked for, the record has slots of %d", c.header.Width, s.want.Width))
	}
	for i := range c.entries {
		e := &c.entries[i]
		if e.Incarnation == "" && c.header == nil {
			e.Incarnation = s.want.Incarnation
		}
		if err := e.validate(s.at.First, int(s.at.Partitions)); err != nil {
			return refuse(fmt.Errorf("sink %s: %w", e.Sink, err))
		}
	}
	c.slot = s
	return nil
}
