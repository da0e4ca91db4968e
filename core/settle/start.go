package settle

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/source"
)

// place is where a partition shall start: one word, one offset or one time.
type place struct {
	word   string // earliest, latest, mark, or "" for an offset or a time
	offset int64
	time   time.Time
}

func parsePlace(text string) (place, error) {
	switch text {
	case "earliest", "latest", "mark":
		return place{word: text}, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return place{offset: n}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return place{time: t}, nil
	}
	return place{}, fmt.Errorf("%q is no start: say earliest, latest, mark, an offset, or a time such as 2026-01-31T06:00:00Z", text)
}

// places reads what --start-at says: one place for all partitions, or a list of
// topic/partition:place, of which those not named stay as they are.
func (v *View) places(text string) (map[string]map[int32]place, error) {
	out := map[string]map[int32]place{}
	for i := range v.Topics {
		out[v.Topics[i].Name] = map[int32]place{}
	}
	if all, err := parsePlace(text); err == nil {
		if all.word == "" && all.time.IsZero() && (len(v.Topics) > 1 || v.Topics[0].Partitions > 1) {
			return nil, fmt.Errorf("an offset is that of one partition: say %s/0:%s, and so on", v.Topics[0].Name, text)
		}
		for i := range v.Topics {
			for p := range v.Topics[i].Partitions {
				out[v.Topics[i].Name][p] = all
			}
		}
		return out, nil
	}
	for _, part := range strings.Split(text, ",") {
		where, what, ok := strings.Cut(strings.TrimSpace(part), ":")
		if !ok {
			_, err := parsePlace(part)
			return nil, err
		}
		topic, number := v.Topics[0].Name, where
		if i := strings.LastIndexByte(where, '/'); i >= 0 {
			topic, number = where[:i], where[i+1:]
		} else if len(v.Topics) > 1 {
			return nil, fmt.Errorf("%s: the stream has several topics: say topic/partition:start", part)
		}
		of, known := out[topic]
		if !known {
			return nil, fmt.Errorf("%s: the stream has no topic %s", part, topic)
		}
		n, err := strconv.ParseInt(number, 10, 32)
		if err != nil || n < 0 || n >= int64(v.topic(topic).Partitions) {
			return nil, fmt.Errorf("%s: topic %s has the partitions 0 to %d", part, topic, v.topic(topic).Partitions-1)
		}
		if _, twice := of[int32(n)]; twice {
			return nil, fmt.Errorf("%s: the start of this partition is said already", part)
		}
		if of[int32(n)], err = parsePlace(what); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (v *View) topic(name string) *Topic {
	for i := range v.Topics {
		if v.Topics[i].Name == name {
			return &v.Topics[i]
		}
	}
	return nil
}

// StartAt writes the entries of a sink anew, so that it begins where at says.
func (v *View) StartAt(ctx context.Context, name, at string) (*Plan, error) {
	id, k, err := v.free(name)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, fmt.Errorf("%s is not a sink of the configuration; add it first", name)
	}
	places, err := v.places(at)
	if err != nil {
		return nil, err
	}
	v.Look(ctx, k.ID)
	p := v.plan()
	for _, s := range v.Slots() {
		of := places[s.Topic.Name]
		named := 0
		for i := range s.At.Partitions {
			if _, ok := of[s.At.First+i]; ok {
				named++
			}
		}
		if named == 0 {
			p.unnamed(s, k, id)
			continue
		}
		if err := p.startAt(ctx, s, k, id, of); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// unnamed warns of a slot that a lost record has left without a position, where
// the destination does not say how far it is either: once the group knows the sink
// again in another slot, this one is taken for new.
func (p *Plan) unnamed(s *Slot, k *Sink, id ledger.ID) {
	f := s.Found[k.ID]
	if k.Delivery == sink.Replay && s.Entry(id) == nil && f.Err == nil && f.State == sink.Has && !slices.ContainsFunc(f.High, known) {
		p.harm("%s: %s has no position there, and the destination has data of it that does not say how far it is: it begins at %s; name this slot too", s.At.Slot, k.ID, k.Start)
	}
}

// startAt decides for one slot.
func (p *Plan) startAt(ctx context.Context, s *Slot, k *Sink, id ledger.ID, of map[int32]place) error {
	f, e := s.Found[k.ID], s.Entry(id)
	if f.Err != nil {
		f.High = slices.Repeat([]int64{-1}, int(s.At.Partitions))
		if k.Delivery != sink.AtLeastOnce {
			p.harm("%s: the destination of %s could not be asked (%s): whether what follows fits what it holds is not known", s.At.Slot, k.ID, f.Err)
		}
	}
	have := s.have(k, e, f)
	next := make([]int64, s.At.Partitions)
	for i := range next {
		w, ok := of[s.At.First+int32(i)]
		if !ok {
			if next[i] = have[i]; next[i] < 0 {
				return fmt.Errorf("%s: partition %d needs a start too: it has no position", s.At.Slot, int(s.At.First)+i)
			}
			continue
		}
		var err error
		if next[i], err = p.resolve(ctx, s, k, f, i, w); err != nil {
			return err
		}
	}
	p.inDoubtAt(s, e, next)
	for i := range next {
		if !s.Of(e) || e.Pending == nil || i >= len(e.Pending.Next) {
			p.consequence(s, k, i, have[i], next[i])
		}
		if have[i] < 0 && next[i] < s.End[i] && k.Delivery == sink.Replay && f.Err == nil && f.State != sink.Empty && f.OtherIncarnation == "" {
			p.harm("doubled, if it is there: the destination does not say what it holds of %s", s.span(i, next[i], s.End[i]))
		}
	}
	return p.start(s, k, ledger.Entry{Sink: id, Incarnation: s.Topic.Incarnation, Position: next}, e, f)
}

// start writes the entry, and moves an Atomic destination's position.
func (p *Plan) start(s *Slot, k *Sink, n ledger.Entry, e *ledger.Entry, f Found) error {
	if e != nil {
		n.Plan = e.Plan
	}
	n.Wrote = f.State == sink.Has && k.Delivery == sink.Replay
	n.Renewed = f.OtherIncarnation != "" || f.Err != nil || e != nil && (e.Renewed || !s.Of(e))
	if k.Delivery == sink.Atomic && slices.ContainsFunc(f.High, known) {
		n.Wrote = true
		if !slices.Equal(f.High, n.Position) || len(f.Last.Ranges) > 0 && f.Last.Letters > 0 {
			if err := p.move(k, s, f.High, n.Position); err != nil {
				return err
			}
			p.line("%s: the destination's position of %s is moved from %s to %s", s.At.Slot, k.ID, s.offsets(f.High), s.offsets(n.Position))
		}
	}
	was := "it has none"
	if e != nil {
		was = "it was " + s.describe(e)
	}
	p.line("%s: the entry of %s is written: position %s (%s)", s.At.Slot, k.ID, s.offsets(n.Position), was)
	return p.rewrite(s, with(s.Entries, n))
}

// have is what is known to be settled, per partition; -1: nothing is known.
func (s *Slot) have(k *Sink, e *ledger.Entry, f Found) []int64 {
	out := slices.Repeat([]int64{-1}, int(s.At.Partitions))
	for i := range out {
		if s.Of(e) {
			out[i] = e.Position[i]
		}
		// An Atomic destination's own position is the truth.
		if f.Err == nil && i < len(f.High) && f.High[i] >= 0 && (k.Delivery == sink.Atomic || f.High[i] > out[i]) {
			out[i] = f.High[i]
		}
	}
	return out
}

// resolve finds the offset of a place.
func (p *Plan) resolve(ctx context.Context, s *Slot, k *Sink, f Found, i int, w place) (int64, error) {
	switch {
	case w.word == "earliest":
		return s.Start[i], nil
	case w.word == "latest":
		return s.End[i], nil
	case w.word == "mark":
		if f.Err != nil {
			return 0, fmt.Errorf("%s: the mark is the destination's, and it could not be asked: %w", s.At.Slot, f.Err)
		}
		if f.State == sink.NoMark {
			return 0, fmt.Errorf("%s: the destination of %s keeps no marks; say earliest, latest, an offset or a time", s.At.Slot, k.ID)
		}
		if f.High[i] < 0 {
			return p.unmarked(s, k, f, i)
		}
		if k.Delivery == sink.Replay {
			p.note("%s: the mark is the highest offset at the destination: if a batch was being written when the record was lost, a part of it below the mark may be missing", s.At.Slot)
		}
		w.offset = f.High[i]
	case !w.time.IsZero():
		return p.v.o.Origin.Offsets(ctx, s.Topic.Name, s.At.First+int32(i), source.AtTime(w.time))
	}
	switch {
	case w.offset > s.End[i]:
		return 0, fmt.Errorf("%s ends at %d: %d is behind it, and records of before would be skipped when they come", s.span(i, s.Start[i], s.End[i]), s.End[i], w.offset)
	case w.offset < s.Start[i]:
		return 0, fmt.Errorf("%d is gone: the topic has %s; earliest starts there", w.offset, s.span(i, s.Start[i], s.End[i]))
	}
	return w.offset, nil
}

// unmarked is the start of a partition of which the destination says nothing:
// that of a slot's other partitions, of one without rows, of one whose files
// were moved away. Only the entry can tell, or a destination that has nothing.
func (p *Plan) unmarked(s *Slot, k *Sink, f Found, i int) (int64, error) {
	name := fmt.Sprintf("%s[%d]", s.Topic.Name, int(s.At.First)+i)
	if e := s.Entry(ledger.SinkID(k.ID)); s.Of(e) && e.Position[i] >= 0 {
		p.note("%s: the destination does not say how far it is; the entry says %d", name, e.Position[i])
		return e.Position[i], nil
	}
	if f.State == sink.Empty || k.Delivery == sink.Atomic {
		p.note("%s: the destination has nothing of it; it begins with what the topic has, at %d", name, s.Start[i])
		return s.Start[i], nil
	}
	return 0, fmt.Errorf("%s: the destination does not say how far it is; say for each partition where it begins, such as %s/%d:earliest", name, s.Topic.Name, int(s.At.First)+i)
}

// inDoubtAt says what a new start means for a pending batch.
func (p *Plan) inDoubtAt(s *Slot, e *ledger.Entry, next []int64) {
	if e == nil || e.Pending == nil {
		return
	}
	if !s.Of(e) {
		p.note("%s: the batch %s of the topic as it was before is given up: it may be at the destination or not", s.At.Slot, s.pending(e))
		return
	}
	p.inDoubt(s, e, "is given up: what of it is there already is written again where the sink starts before it, and what is not is lost where it starts behind it")
	for i := range e.Pending.Next {
		p.consequence(s, nil, i, e.Position[i], next[i])
	}
}

// consequence says what is lost or doubled by going from one offset to another.
func (p *Plan) consequence(s *Slot, k *Sink, i int, have, next int64) {
	if have < 0 && next > s.Start[i] {
		p.note("%s is left out", s.span(i, s.Start[i], next))
	}
	e := Compare(have, next, s.Start[i], s.End[i])
	if e.Gone.Next > 0 {
		p.note("%s is gone from the topic and is not written", s.span(i, e.Gone.First, e.Gone.Next))
	}
	if e.Lost.Next > 0 {
		p.harm("lost: %s is in the topic and is not written", s.span(i, e.Lost.First, e.Lost.Next))
	}
	if e.Doubled.Next > 0 {
		p.harm("doubled: %s was written and is written again", s.span(i, e.Doubled.First, e.Doubled.Next))
	}
	if e.Reused.Next > 0 && k != nil && k.Delivery == sink.Replay {
		p.harm("lost: the topic ends at %d, and %s was written before: new records get the same offsets, and a batch with the bounds of one that was written is taken for it; a sink with a new name has no such past",
			s.End[i], s.span(i, e.Reused.First, e.Reused.Next))
	}
}
