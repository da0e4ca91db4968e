package lane

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sluicekit/sluice/core/record"
)

// letterBatch is how many original records are held at once, at most.
const letterBatch = 256

// letters performs Letters: the bad records of a committed cut are read again
// as they are, and written to the dead letters.
func (l *Lane) letters(ctx context.Context, c Cut) Event {
	t := &l.cut
	if t.at == nil || Vec(t.at...) != c.Next {
		// The cut was not read in this life of the lane (Resume, or an Atomic
		// destination's last cut): find its bad records by reading it.
		if err := l.survey(ctx, c); err != nil {
			var gap *GapError
			if errors.As(err, &gap) {
				l.cause = err
				return Event{Kind: Halted, Reason: Gap}
			}
			var bad *UnreadableError
			if errors.As(err, &bad) {
				l.cause = err
				return Event{Kind: Halted, Reason: Unreadable}
			}
			return l.failure("read the bad records of", c, err)
		}
	}
	if t.bad.count() == 0 {
		return Event{Kind: LettersWritten, Cut: Cut{Rows: t.surveyed && t.taken > 0}}
	}
	if l.c.Letters == nil {
		l.cause = fmt.Errorf("%s has %d records for the dead letters, and on_bad_record is stop now", l.toCut(c), t.bad.count())
		return Event{Kind: Halted, Reason: BadRecord}
	}
	for index, list := range t.bad.byPart {
		for part := range slices.Chunk(list, letterBatch) {
			for len(part) > 0 {
				n, err := l.post(ctx, index, part)
				if err != nil {
					return l.failure("write the dead letters of", c, err)
				}
				part = part[n:]
			}
		}
	}
	return Event{Kind: LettersWritten, Cut: Cut{Rows: t.surveyed && t.taken > 0}}
}

// post writes some bad records of one partition: the first n of list.
func (l *Lane) post(ctx context.Context, index int, list []record.Bad) (n int, err error) {
	offsets := make([]int64, len(list))
	for i, b := range list {
		offsets[i] = b.Offset
	}
	raw, err := l.c.Feed.Raw(ctx, index, offsets)
	if err != nil {
		return 0, err
	}
	if len(raw) == 0 || len(raw) > len(list) {
		return 0, fmt.Errorf("asked for %d records, got %d", len(list), len(raw))
	}
	for i := range raw {
		raw[i].Sink, raw[i].Topic, raw[i].Incarnation = l.c.ID, l.c.Claim.Topic, l.c.Claim.Incarnation
		raw[i].Partition, raw[i].Offset, raw[i].Reason = l.c.Claim.Partition+int32(index), list[i].Offset, list[i].Reason
	}
	return len(raw), l.c.Letters.Write(ctx, raw)
}

// survey reads a cut only to find its bad records.
func (l *Lane) survey(ctx context.Context, c Cut) error {
	t := &l.cut
	t.reset()
	t.surveyed = true
	at, until := c.First.Offsets()[:c.Next.Len()], c.Next.Offsets()
	for left := true; left; {
		chunk, err := l.c.Feed.Next(ctx, at, until)
		var gap *GapError
		switch {
		case l.c.SkipGaps && errors.As(err, &gap):
			l.surveyGap(gap, c, at, until)
		case err != nil:
			return err
		default:
			err = l.surveyChunk(chunk, c, at, until)
			chunk.Release()
			if err != nil {
				return err
			}
		}
		left = false
		for i := range at {
			left = left || at[i] < until[i]
		}
	}
	t.at = until
	return nil
}

// surveyGap leaves out what of a committed cut is gone: its rows are in, and
// which of its records had letters cannot be found out any more, except for
// those that are listed.
func (l *Lane) surveyGap(gap *GapError, c Cut, at, until []int64) {
	i := int(gap.Partition - l.c.Claim.Partition)
	first, next := at[i], min(max(gap.Next, at[i]), until[i])
	for _, o := range c.Dead.of(i) {
		if o >= first && o < next {
			l.cut.bad.add(i, record.Bad{Offset: o, Reason: l.cut.reasonOf(gap.Partition, o, "")})
		}
	}
	at[i] = next
	l.c.Log.Warn("gap: dead letters may be missing, of a batch that was committed and whose records are gone", "batch", l.toCut(c).String(), "detail", gap)
}

func (l *Lane) surveyChunk(c *Chunk, cut Cut, at, until []int64) error {
	t := &l.cut
	first, next := at[c.Index], min(c.Next, until[c.Index])
	known := cut.Dead.of(c.Index)
	isDead := func(o int64) bool { _, ok := slices.BinarySearch(known, o); return ok }
	if err := t.sit(); err != nil {
		return err
	}
	defer t.rise()
	t.rows.Reset()
	if _, err := t.projector.Project(t.rows, c.Chunk, first, next, isDead); err != nil {
		return err
	}
	t.taken += t.rows.Rows()
	for _, list := range [][]record.Bad{c.Bad, t.rows.Bad} {
		for _, b := range list {
			// A record that is judged from outside and is not listed was fine then.
			if b.Offset >= first && b.Offset < next && !b.Outside && !isDead(b.Offset) {
				t.bad.add(c.Index, b)
			}
		}
	}
	for _, o := range known {
		if o >= first && o < next {
			t.bad.add(c.Index, record.Bad{Offset: o, Reason: t.reasonOf(c.Partition, o, "")})
		}
	}
	at[c.Index] = next
	return nil
}
