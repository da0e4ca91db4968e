package settle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/source"
)

// Plan is what a decision changes. Nothing has been changed yet.
type Plan struct {
	Lines []string `json:"changes"` // what is changed, one thing each
	Harm  []string `json:"harm"`    // what is lost or doubled by it: it is not done unless the caller insists
	Notes []string `json:"notes"`   // what else is worth knowing

	commits []ledger.Commit
	moves   []move
	v       *View
}

// move is a change of an Atomic destination's own position.
type move struct {
	id         string
	slot       *Slot
	from, next []int64
}

// move notes that an Atomic destination's own position is moved.
func (p *Plan) move(k *Sink, s *Slot, from, next []int64) error {
	if _, ok := p.v.opened[k.ID].(sink.Mover); !ok {
		return fmt.Errorf("%s keeps its own position, and its type of sink has no way to move it: change it there by hand, or give the sink a new name", k.ID)
	}
	p.moves = append(p.moves, move{k.ID, s, from, next})
	return nil
}

// Empty says that there is nothing to change.
func (p *Plan) Empty() bool { return len(p.commits) == 0 && len(p.moves) == 0 }

func (p *Plan) line(format string, a ...any) { p.Lines = append(p.Lines, fmt.Sprintf(format, a...)) }
func (p *Plan) harm(format string, a ...any) { p.Harm = append(p.Harm, fmt.Sprintf(format, a...)) }
func (p *Plan) note(format string, a ...any) {
	if n := fmt.Sprintf(format, a...); !slices.Contains(p.Notes, n) {
		p.Notes = append(p.Notes, n)
	}
}

// BusyError says that somebody is in the group.
type BusyError struct {
	Group   string
	Members []source.GroupMember
}

func (e *BusyError) Error() string {
	var who []string
	for _, m := range e.Members {
		name := m.ID
		if m.Instance != "" {
			name = m.Instance
		}
		who = append(who, fmt.Sprintf("%s at %s", name, strings.TrimPrefix(m.Host, "/")))
	}
	return fmt.Sprintf("group %s has members: %s; stop them first (one that was killed is gone when its session_timeout is over)", e.Group, strings.Join(who, ", "))
}

// unused returns a *BusyError while somebody is in the group.
func (v *View) unused() error {
	if len(v.Members) > 0 {
		return &BusyError{v.o.Group, v.Members}
	}
	return nil
}

// rewrite replaces the record of a slot by one with other entries. What of a
// damaged record can be read is kept.
func (p *Plan) rewrite(s *Slot, entries []ledger.Entry) error {
	if s.State.Presence == ledger.Partly {
		p.note("%s: its record is damaged (%s); it is written anew with what could be read of it: %s", s.At.Slot, s.State.Message, p.v.names(entries))
	}
	h := ledger.Header{Incarnation: s.Topic.Incarnation, Width: s.Topic.Width, Partitions: p.v.prefix(s)}
	commits, err := ledger.Rewrite(s.At, h, p.v.above(s.Topic.Name), entries, p.v.running())
	if err != nil {
		return err
	}
	p.commits = append(p.commits, commits...)
	return nil
}

func (v *View) names(entries []ledger.Entry) string {
	if len(entries) == 0 {
		return "no entry"
	}
	var out []string
	for _, e := range entries {
		name, _ := v.Name(e.Sink)
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}

// running are the ids of the configured sinks.
func (v *View) running() []ledger.ID {
	var ids []ledger.ID
	for _, s := range v.o.Sinks {
		ids = append(ids, ledger.SinkID(s.ID))
	}
	return ids
}

// above is a write number that no record of the topic has.
func (v *View) above(topic string) uint64 {
	n := uint64(0)
	for p, s := range v.stored[topic] {
		if r, err := ledger.Decode(topic, p, s.Metadata); err == nil {
			n = max(n, r.Write)
		}
	}
	return n + 1
}

// prefix is how many partitions, counted from 0, have a record of the topic as
// it is now once a slot has one.
func (v *View) prefix(with *Slot) int32 {
	for p := range with.Topic.Partitions {
		if p >= with.At.First && p < with.At.First+with.At.Partitions {
			continue
		}
		r, err := ledger.Decode(with.Topic.Name, p, v.stored[with.Topic.Name][p].Metadata)
		if err != nil || r.Incarnation != with.Topic.Incarnation {
			return p
		}
	}
	return with.Topic.Partitions
}

// ChangedError says that what is stored is not what the plan was made from.
type ChangedError struct{ What string }

func (e *ChangedError) Error() string {
	return e.What + " has changed meanwhile; nothing was done, look again"
}

// Apply carries the plan out. An error says what was done before it.
func (p *Plan) Apply(ctx context.Context) error {
	if err := ledger.CheckRequest(p.commits); err != nil {
		return err
	}
	if err := p.same(ctx); err != nil {
		return err
	}
	for i, m := range p.moves {
		if err := p.v.opened[m.id].(sink.Mover).Move(ctx, m.slot.claim(), m.from, m.next); err != nil {
			return fmt.Errorf("move the position of %s in %s at the destination (%d of %d were moved before, no record was written): %w", m.id, m.slot.At.Slot, i, len(p.moves), err)
		}
	}
	if len(p.commits) == 0 {
		return nil
	}
	out := make([]source.OffsetCommit, len(p.commits))
	for i, c := range p.commits {
		out[i] = source.OffsetCommit(c)
	}
	err := p.v.o.Origin.CommitOutside(ctx, p.v.o.Group, out)
	var refused *source.RefusedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return fmt.Errorf("write the records (positions moved at destinations: %d): %w", len(p.moves), err)
	}
	return fmt.Errorf("write the records: %w; whether they are stored is not known: look again", err)
}

// same says whether what the plan replaces is still what it was made from.
func (p *Plan) same(ctx context.Context) error {
	members, err := p.v.o.Origin.GroupMembers(ctx, p.v.o.Group)
	if err != nil {
		return err
	}
	if len(members) > 0 {
		return &BusyError{p.v.o.Group, members}
	}
	d, err := p.v.o.Origin.Describe(ctx, p.v.o.Topics...)
	if err != nil {
		return err
	}
	for i := range p.v.Topics {
		t := &p.v.Topics[i]
		if d.Incarnation(t.Name) != t.Incarnation || int32(len(d.Topics[t.Name].Partitions)) != t.Partitions {
			return &ChangedError{"topic " + t.Name}
		}
		stored, err := fetch(ctx, p.v.o, t.Name, t.Partitions)
		if err != nil {
			return err
		}
		for part, s := range p.v.stored[t.Name] {
			if stored[part].Offset != s.Offset || stored[part].Metadata != s.Metadata {
				return &ChangedError{fmt.Sprintf("the record of %s[%d]", t.Name, part)}
			}
		}
	}
	return nil
}
