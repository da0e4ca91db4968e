package lane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicekit/sluice/core/record"
)

// FloodWindow is how many offsets of a partition MaxBad looks back on.
const FloodWindow = 1000

// flood stops a sink whose records are mostly bad before it has filled the dead
// letters with them: when more than limit of the last FloodWindow offsets of a
// partition are bad. It looks at cuts that are being made only, never at one
// that is repeated, and decides whether there is a cut, never what is in it: so
// repeats are as they were (I4). Nothing of the cut under way is then committed
// or lettered; it is read again, and found out again, after a restart.
//
// Offsets are counted, not records, since then the bad ones alone decide, and
// how the log was fetched does not.
type flood struct {
	limit  int                  // 0: none
	recent map[int][]record.Bad // per partition of the slot: the bad ones among the last FloodWindow, ascending
	primed bool
}

// rewind forgets what lies behind a position: it will be read again.
func (f *flood) rewind(position Vector) {
	for index, list := range f.recent {
		if index < position.Len() {
			f.recent[index] = list[:before(list, position.At(index))]
		}
	}
}

// before counts the bad records below an offset.
func before(list []record.Bad, offset int64) int {
	n, _ := slices.BinarySearchFunc(list, offset, func(b record.Bad, o int64) int { return cmp.Compare(b.Offset, o) })
	return n
}

// add takes the bad records of one partition in ascending order; true at the
// first one that is too many. What comes behind it is left out.
func (f *flood) add(index int, list []record.Bad) bool {
	if f.recent == nil {
		f.recent = map[int][]record.Bad{}
	}
	recent := f.recent[index]
	defer func() { f.recent[index] = recent }()
	for _, b := range list {
		recent = append(recent, b)
		if old := before(recent, b.Offset-FloodWindow+1); old > 0 {
			recent = slices.Delete(recent, 0, old)
		}
		if len(recent) > f.limit {
			return true
		}
	}
	return false
}

// let takes bad records however many they are.
func (f *flood) let(index int, list []record.Bad) {
	for i := range list {
		f.add(index, list[i:i+1])
	}
}

// flooded looks at what a chunk has added to the cut's bad records.
func (l *Lane) flooded(e *Effect, index int, first, next int64) *Event {
	f := &l.flood
	if f.limit <= 0 {
		return nil
	}
	list := l.cut.bad.byPart[index]
	list = list[before(list, first):before(list, next)]
	if !e.Fixed {
		if f.add(index, list) {
			l.cause = f.error(l.c.Claim.Topic, l.c.Claim.Partition+int32(index), index)
			return &Event{Kind: Halted, Reason: TooManyBad}
		}
		return nil
	}
	f.let(index, list) // pass, as when the cut was made
	return nil
}

// error names the reasons that are most of it.
func (f *flood) error(topic string, partition int32, index int) error {
	type kind struct {
		class string
		n     int
		first int64
	}
	var kinds []kind
	list := f.recent[index]
	for _, b := range list {
		class := ReasonClass(b.Reason)
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.class == class })
		if i < 0 {
			i = len(kinds)
			kinds = append(kinds, kind{class: class, first: b.Offset})
		}
		kinds[i].n++
	}
	slices.SortStableFunc(kinds, func(a, b kind) int { return b.n - a.n })
	var texts []string
	for i, k := range kinds {
		if i == 3 {
			texts = append(texts, fmt.Sprintf("%d kinds more", len(kinds)-i))
			break
		}
		texts = append(texts, fmt.Sprintf("%d × %s (such as offset %d)", k.n, k.class, k.first))
	}
	return fmt.Errorf("%d of the last %d offsets of %s[%d] up to %d are bad, and max_bad is %s: %s",
		len(list), FloodWindow, topic, partition, list[len(list)-1].Offset, percent(f.limit), strings.Join(texts, "; "))
}

// percent writes a number of FloodWindow offsets as max_bad does.
func percent(n int) string {
	if n%10 == 0 {
		return fmt.Sprintf("%d%%", n/10)
	}
	return fmt.Sprintf("%d.%d%%", n/10, n%10)
}

// prime looks back once at what lies before the first cut of this life of the
// lane, so that a sink that is restarted again and again does not let a part of
// the flood pass each time. What is gone by now counts for nothing.
func (l *Lane) prime(ctx context.Context, position Vector) error {
	f := &l.flood
	if f.primed || f.limit <= 0 {
		return nil
	}
	at, until := position.Offsets(), position.Offsets()
	for i := range at {
		at[i] = max(0, at[i]-FloodWindow)
	}
	for slices.Compare(at, until) != 0 {
		chunk, err := l.c.Feed.Next(ctx, at, until)
		var gap *GapError
		switch {
		case errors.As(err, &gap):
			i := int(gap.Partition - l.c.Claim.Partition)
			if i < 0 || i >= len(at) {
				return err
			}
			at[i] = min(max(at[i], gap.Next), until[i])
			continue
		case err != nil && isFinal(err):
			return nil // the cut will meet it, and say so
		case err != nil:
			return err
		}
		err = l.look(chunk, at, until)
		chunk.Release()
		if err != nil {
			return err
		}
	}
	for index, list := range l.cut.bad.byPart {
		f.let(index, list)
	}
	l.cut.reset()
	f.primed = true
	return nil
}

// look gathers the bad records of a chunk. Those that were judged from outside
// are judged anew, which decides about nothing that is committed.
func (l *Lane) look(c *Chunk, at, until []int64) error {
	t := &l.cut
	first, next := at[c.Index], min(c.Next, until[c.Index])
	if err := t.sit(); err != nil {
		return err
	}
	defer t.rise()
	if _, err := l.project(c, first, next, nil); err != nil {
		return err
	}
	for _, list := range [][]record.Bad{c.Bad, t.rows.Bad} {
		for _, b := range list {
			if b.Offset >= first && b.Offset < next {
				t.bad.add(c.Index, b)
			}
		}
	}
	at[c.Index] = next
	return nil
}
