package settle

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/sink"
)

// UnknownError says that no entry and no sink of the configuration has a name.
type UnknownError struct {
	Name  string
	Known []string // of sinks, and ids of entries of others
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("no sink of the configuration is called %s, and no record has an entry of it; known are %v", e.Name, e.Known)
}

// find is the id of a name: sink@connection, or the id of an entry whose name
// nobody knows any more.
func (v *View) find(name string) (ledger.ID, *Sink, error) {
	id := ledger.SinkID(name)
	if b, err := hex.DecodeString(name); err == nil && len(b) == len(id) {
		id = ledger.ID(b)
	}
	for i := range v.o.Sinks {
		if ledger.SinkID(v.o.Sinks[i].ID) == id {
			return id, &v.o.Sinks[i], nil
		}
	}
	known := map[string]bool{}
	for _, s := range v.o.Sinks {
		known[s.ID] = true
	}
	for _, s := range v.Slots() {
		if s.Entry(id) != nil {
			return id, nil, nil
		}
		for _, e := range s.Entries {
			n, _ := v.Name(e.Sink)
			known[n] = true
		}
	}
	err := &UnknownError{Name: name}
	for n := range known {
		err.Known = append(err.Known, n)
	}
	slices.Sort(err.Known)
	return id, nil, err
}

// free is find, for a decision: nobody may be in the group.
func (v *View) free(name string) (ledger.ID, *Sink, error) {
	id, k, err := v.find(name)
	if err == nil {
		err = v.unused()
	}
	return id, k, err
}

func (v *View) plan() *Plan {
	return &Plan{v: v, Lines: []string{}, Harm: []string{}, Notes: []string{}}
}

// Forget drops the entries of a sink. At an Atomic destination its positions
// are removed too: else it would go on from there.
func (v *View) Forget(ctx context.Context, name string) (*Plan, error) {
	id, k, err := v.free(name)
	if err != nil {
		return nil, err
	}
	if k != nil {
		v.Look(ctx, k.ID)
	}
	p := v.plan()
	for _, s := range v.Slots() {
		if k != nil {
			if err := p.forgetAt(s, k); err != nil {
				return nil, err
			}
		}
		e := s.Entry(id)
		if e == nil {
			continue
		}
		p.line("%s: the entry of %s is dropped: %s", s.At.Slot, name, s.describe(e))
		p.inDoubt(s, e, "is forgotten")
		rest := slices.DeleteFunc(slices.Clone(s.Entries), func(o ledger.Entry) bool { return o.Sink == id })
		if err := p.rewrite(s, rest); err != nil {
			return nil, err
		}
	}
	switch {
	case p.Empty():
	case k == nil:
		p.note("%s is not a sink of the configuration; what it has written stays where it is", name)
	default:
		p.note("%s is a sink of the configuration: at the next start it begins anew, at %s", k.ID, k.Start)
	}
	return p, nil
}

// forgetAt is what forgetting means at the destination.
func (p *Plan) forgetAt(s *Slot, k *Sink) error {
	f, e := s.Found[k.ID], s.Entry(ledger.SinkID(k.ID))
	switch {
	case f.Err != nil && e != nil:
		p.harm("%s: the destination of %s could not be asked (%s): what it holds of this sink may be doubled, or stop the sink", s.At.Slot, k.ID, f.Err)
	case f.Err != nil:
	case k.Delivery == sink.Atomic && slices.ContainsFunc(f.High, known):
		next := slices.Repeat([]int64{-1}, len(f.High))
		if err := p.move(k, s, f.High, next); err != nil {
			return err
		}
		p.line("%s: the destination's position of %s is removed: %s", s.At.Slot, k.ID, s.offsets(f.High))
		for i, high := range f.High {
			if n := min(high, s.End[i]); n > s.Start[i] {
				p.harm("%s: rows of %s are in the table; they stay there, and are written again where the sink starts before them", k.ID, s.span(i, s.Start[i], n))
			}
		}
	case k.Delivery == sink.Atomic && f.OtherIncarnation != "":
		if err := p.move(k, s, f.High, f.High); err != nil {
			return err
		}
		p.line("%s: the destination's positions of %s in another incarnation of the topic are removed", s.At.Slot, k.ID)
	case k.Delivery == sink.Replay && (f.State != sink.Empty || slices.ContainsFunc(f.High, known) || f.OtherIncarnation != ""):
		p.note("%s: the destination holds data of it, or cannot tell: the sink stops at its start until that is removed, or until --start-at says where it begins", k.ID)
	case k.Delivery == sink.AtLeastOnce && e != nil:
		p.harm("%s: rows of %s may be there; they are written again where the sink starts before them", k.ID, s.At.Slot)
	}
	return nil
}

func known(o int64) bool { return o >= 0 }

// inDoubt says what becomes of a pending batch.
func (p *Plan) inDoubt(s *Slot, e *ledger.Entry, becomes string) {
	if e == nil || e.Pending == nil {
		return
	}
	p.harm("%s: the batch %s is pending%s: it may be at the destination, in part or as a whole, or not; it %s", s.At.Slot, s.pending(e), since(e.Pending), becomes)
}

func since(p *ledger.Pending) string {
	if p.Since.IsZero() {
		return ""
	}
	return " since " + p.Since.UTC().Format(time.RFC3339)
}

// Keep lets a sink go on from its entry, although the destination is empty or
// behind it.
func (v *View) Keep(ctx context.Context, name string) (*Plan, error) {
	id, k, err := v.free(name)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, fmt.Errorf("%s is not a sink of the configuration: there is no destination to go on with", name)
	}
	v.Look(ctx, k.ID)
	p := v.plan()
	for _, s := range v.Slots() {
		e, f := s.Entry(id), s.Found[k.ID]
		switch {
		case e == nil:
			p.note("%s: %s has no entry", s.At.Slot, k.ID)
			continue
		case !s.Of(e):
			p.note("%s: the entry of %s is of another incarnation of the topic; --start-at says where it begins in this one", s.At.Slot, k.ID)
			continue
		case f.Err != nil:
			return nil, fmt.Errorf("%s: the destination of %s cannot be asked: %w", s.At.Slot, k.ID, f.Err)
		}
		if err := p.keepAt(s, k, *e, f); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// keepAt decides for one slot.
func (p *Plan) keepAt(s *Slot, k *Sink, e ledger.Entry, f Found) error {
	changed := s.State.Presence == ledger.Partly
	lost := slices.Clone(f.High)
	switch {
	case k.Delivery == sink.Atomic:
		next := slices.Clone(f.High)
		for i, at := range e.Position {
			if i < len(next) && next[i] >= 0 && next[i] < at {
				next[i] = at
			}
		}
		if !slices.Equal(next, f.High) {
			if err := p.move(k, s, f.High, next); err != nil {
				return err
			}
			p.line("%s: the destination's position of %s is moved from %s to %s", s.At.Slot, k.ID, s.offsets(f.High), s.offsets(next))
		} else if e.Wrote && !slices.ContainsFunc(f.High, known) {
			e.Wrote, changed = false, true
		}
	case k.Delivery == sink.Replay && e.Wrote && f.State == sink.Empty:
		e.Wrote, changed = false, true
	}
	if f.OtherIncarnation != "" && !e.Renewed {
		e.Renewed, changed = true, true
	}
	for i, at := range e.Position {
		if from := max(lost[i], 0); k.Delivery != sink.AtLeastOnce && at > from && (lost[i] >= 0 || f.State == sink.Empty || k.Delivery == sink.Atomic) && (changed || len(p.moves) > 0) {
			p.note("%s: what the destination lacks of %s is not written again", k.ID, s.span(i, from, at))
		}
	}
	if !changed {
		return nil
	}
	p.line("%s: %s goes on from its entry: %s", s.At.Slot, k.ID, s.describe(&e))
	return p.rewrite(s, with(s.Entries, e))
}

// with is a record's entries with one put in place.
func with(entries []ledger.Entry, e ledger.Entry) []ledger.Entry {
	out := slices.Clone(entries)
	for i := range out {
		if out[i].Sink == e.Sink {
			out[i] = e
			return out
		}
	}
	return append(out, e)
}

// describe is an entry in a few words.
func (s *Slot) describe(e *ledger.Entry) string {
	text := "position " + s.offsets(e.Position)
	if e.Pending != nil {
		text += ", pending " + s.pending(e)
	}
	if !s.Of(e) {
		text += ", of another incarnation of the topic"
	}
	return text
}

func (s *Slot) pending(e *ledger.Entry) string {
	text := ""
	for i, next := range e.Pending.Next {
		if i > 0 {
			text += " "
		}
		text += s.span(i, e.Position[i], next)
	}
	return text
}

func (s *Slot) offsets(list []int64) string {
	text := ""
	for i, o := range list {
		if i > 0 {
			text += " "
		}
		at := fmt.Sprint(o)
		if o < 0 {
			at = "none"
		}
		text += fmt.Sprintf("%s[%d]=%s", s.Topic.Name, int(s.At.First)+i, at)
	}
	return text
}
