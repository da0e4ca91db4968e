package deadletter

import (
	"context"
	"time"

	"github.com/sluicekit/sluice/core/lane"
)

// Found is a letter as it was read back.
type Found struct {
	lane.Letter
	Written   time.Time // when the letter was
	Truncated int64     // bytes that the value had, where not all of it was kept; else 0
}

// Reading is how a reading ended.
type Reading struct {
	Repeats    int // letters that were there again
	Unreadable int // lines or records that are no letters; the tail that a crash tore is one
}

// letter counts what was read back, and gives it to take if it is a letter of
// since or later that is not known yet. An error is take's.
func (r *Reading) letter(found Found, err error, since time.Time, known seen, take func(Found) error) error {
	switch {
	case err != nil:
		r.Unreadable++
		return nil
	case found.Written.Before(since):
		return nil
	case known.add(&found.Letter):
		r.Repeats++
		return nil
	}
	return take(found)
}

// Reader is where letters are read from: a Topic, or Files.
type Reader interface {
	// Each gives each letter that was written at since or later once, in the
	// order of writing as far as there is one, up to what was there when it
	// began. An error of take ends it and is returned as it is. What Found
	// holds is take's to keep.
	Each(ctx context.Context, since time.Time, take func(Found) error) (Reading, error)
}

// seen remembers letters by their names in little memory: a word for 64
// neighbouring offsets.
type seen map[series]map[int64]uint64

type series struct {
	sink, topic, incarnation string
	partition                int32
}

// add is true for a letter that it has seen.
func (s seen) add(l *lane.Letter) bool {
	key := series{l.Sink, l.Topic, l.Incarnation, l.Partition}
	words := s[key]
	if words == nil {
		words = map[int64]uint64{}
		s[key] = words
	}
	word, bit := l.Offset>>6, uint64(1)<<(l.Offset&63)
	again := words[word]&bit != 0
	words[word] |= bit
	return again
}
