package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/sluicekit/sluice/core/record"
)

const (
	// MaxText is the longest metadata that Kafka stores, in UTF-16 units. The
	// texts here are ASCII, so units, characters and bytes are the same.
	MaxText = 4096
	// MaxToken is the longest stage token, in bytes.
	MaxToken = 64
	// MaxIncarnation is the longest incarnation, in bytes.
	MaxIncarnation = 128
	// MaxWidth is the largest number of partitions of a slot: all of them, full,
	// fit one OffsetCommit, and one entry at its largest fits one of them.
	MaxWidth = 192

	maxSeconds = 1 << 40

	// maxRequest bounds one OffsetCommit: Kafka refuses more than about 1 MiB
	// whole, which is the size of the record batch that the coordinator writes.
	maxRequest = 900_000
	// requestShare is what a partition takes of it besides topic and metadata:
	// the group's name in every key, and numbers.
	requestShare = 256
)

// What Check assumes of offsets. Beyond it an entry is still stored if it fits.
const (
	positionBytes = 8 // offsets below 2^55
	cutBytes      = 4 // cuts, and gaps between dead records, below 2^28 offsets
)

// TooLongError says that a slot's record would not fit.
type TooLongError struct {
	Slot       Slot
	Sinks      int // entries on the partition that is full
	Characters int // that its text would have, or the whole slot if Limit is above MaxText
	Limit      int
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("record of slot %s: %d sinks would take %d of %d characters; run fewer sinks in one group", e.Slot, e.Sinks, e.Characters, e.Limit)
}

// Check refuses a number of sinks whose entries could outgrow the metadata of a
// slot of width partitions, each with a full dead set and the longest token. It
// assumes that all entries are of the record's incarnation.
func Check(sinks int, width int32) error {
	if width < 1 || width > MaxWidth {
		return fmt.Errorf("%d partitions in a slot: at least 1, at most %d", width, MaxWidth)
	}
	most := perPartition(int(width)) * int(width)
	if sinks <= most {
		return nil
	}
	return fmt.Errorf("%d sinks in one group: its offsets can record %d with slots of %d partitions; give some sinks a stream with another group", sinks, most, width)
}

// perPartition is how many entries surely fit one partition's text in a slot of
// width partitions.
func perPartition(width int) int {
	header := 2 + MaxIncarnation + 4*5 + 2*10 + 5 + crc32.Size
	entry := len(ID{}) + 1 + 8 + width*(positionBytes+cutBytes) + 2 + 6 + 1 + MaxToken + 1 + record.MaxDead*cutBytes
	if width > 1 { // a dead record then names its partition
		entry += record.MaxDead * 2
	}
	return (base64.RawURLEncoding.DecodedLen(MaxText-len(mark)) - header) / entry
}

// validate refuses what Encode cannot write, or Decode must not believe. home is
// the index of the record's partition in its slot.
func (r *Record) validate(home int) error {
	switch {
	case len(r.Incarnation) > MaxIncarnation:
		return errors.New("the incarnation is too long")
	case r.Count < 1 || r.Count > MaxWidth:
		return fmt.Errorf("%d partitions in a slot", r.Count)
	case r.Width < r.Count:
		return fmt.Errorf("%d partitions in a slot of width %d", r.Count, r.Width)
	case home < 0 || home >= int(r.Count):
		return errors.New("its partition is not in its slot")
	case r.First < 0 || r.Partitions < 0:
		return errors.New("negative partition")
	case r.Offset < -1:
		return errors.New("negative offset")
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		if err := e.validate(r.First, int(r.Count)); err != nil {
			return fmt.Errorf("sink %s: %w", e.Sink, err)
		}
		if slices.ContainsFunc(r.Entries[:i], func(o Entry) bool { return o.Sink == e.Sink }) {
			return fmt.Errorf("sink %s has two entries", e.Sink)
		}
	}
	return nil
}

// validate checks an entry of a slot of count partitions that starts at first.
func (e *Entry) validate(first int32, count int) error {
	if len(e.Position) != count {
		return fmt.Errorf("%d positions for %d partitions", len(e.Position), count)
	}
	if len(e.Incarnation) > MaxIncarnation {
		return errors.New("the incarnation is too long")
	}
	for _, v := range e.Position {
		if v < -1 {
			return errors.New("negative position")
		}
	}
	if e.Pending == nil {
		return nil
	}
	return e.Pending.validate(e.Position, first)
}

func (p *Pending) validate(position []int64, first int32) error {
	switch {
	case len(p.Next) < 1 || len(p.Next) > len(position):
		return fmt.Errorf("pending batch over %d of %d partitions", len(p.Next), len(position))
	case len(p.Token) > MaxToken:
		return fmt.Errorf("token of %d bytes: at most %d", len(p.Token), MaxToken)
	case len(p.Dead) > record.MaxDead:
		return fmt.Errorf("%d dead records: at most %d", len(p.Dead), record.MaxDead)
	case !p.Since.IsZero() && (p.Since.Unix() < 0 || p.Since.Unix() > maxSeconds):
		return errors.New("pending batch was first stored at an impossible time")
	}
	for i, next := range p.Next {
		if next < position[i] {
			return errors.New("pending batch ends before it starts")
		}
	}
	for i, d := range p.Dead {
		k := int(d.Partition) - int(first)
		if k < 0 || k >= len(p.Next) || d.Offset < max(position[k], 0) || d.Offset >= p.Next[k] {
			return errors.New("a dead record lies outside the pending batch")
		}
		if i > 0 && compareDead(p.Dead[i-1], d) >= 0 {
			return errors.New("dead records are not ascending")
		}
	}
	return nil
}

func compareDead(a, b record.Dead) int {
	if a.Partition != b.Partition {
		return int(a.Partition) - int(b.Partition)
	}
	return int(min(max(a.Offset-b.Offset, -1), 1))
}
