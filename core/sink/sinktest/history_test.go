package sinktest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/sink/sinktest"
)

func batch(first, next int64) record.Cut {
	return record.Cut{Topic: "events", Partition: 3, Ranges: []record.Range{{First: first, Next: next}}}
}

// TestSentences: what the history says of rows. Offsets 4, 13, 22 … have none.
func TestSentences(t *testing.T) {
	lost := errors.New("connection lost")
	no := sink.Refused(lost)
	f := func(d sink.Delivery, tell func(*sinktest.Story), offsets []int64, want ...string) {
		t.Helper()
		var s sinktest.Story
		tell(&s)
		got := s.Judge(d, 3, offsets...)
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	f(sink.Replay, func(s *sinktest.Story) { s.Commit(2, batch(0, 3), nil) }, []int64{0, 1, 2})
	f(sink.Replay, func(s *sinktest.Story) { s.Commit(2, batch(3, 6), nil) }, []int64{3, 5})
	f(sink.Replay, func(s *sinktest.Story) {
		s.Commit(2, batch(1200, 1800), lost)
		s.Commit(3, batch(1200, 1201), nil)
	}, []int64{1200, 1200}, "events[3] offset 1200: is at the destination twice (batches [1200,1800) by owner 2, outcome unknown and [1200,1201) by owner 3)")
	f(sink.Replay, func(s *sinktest.Story) { s.Commit(1, batch(0, 4), nil) }, []int64{1, 1, 1},
		"events[3] offset 1: is at the destination 3 times (batch [0,4) by owner 1)",
		"events[3] offsets 0 to 3 (3 records, each): is not at the destination, though committed (batch [0,4) by owner 1)")
	f(sink.Replay, func(s *sinktest.Story) { s.Commit(1, batch(0, 2), no) }, []int64{1},
		"events[3] offset 1: is at the destination, though every commit of it was refused (batch [0,2) by owner 1, refused)")
	f(sink.Replay, func(s *sinktest.Story) {
		s.Commit(1, batch(0, 2), no)
		s.Commit(2, batch(0, 2), lost)
	}, []int64{1})
	f(sink.Atomic, func(s *sinktest.Story) { s.Commit(2, batch(0, 3), lost) }, []int64{1},
		"events[3] [0,3) of owner 2 is in part at the destination: 1 rows of 3")
	f(sink.Atomic, func(s *sinktest.Story) { s.Commit(2, batch(0, 3), lost) }, []int64{0, 1, 2})
	f(sink.Atomic, func(s *sinktest.Story) { s.Commit(2, batch(0, 3), lost) }, nil)
	f(sink.Replay, func(*sinktest.Story) {}, []int64{8}, "events[3] offset 8: is at the destination, and was in no batch")
	f(sink.Replay, func(s *sinktest.Story) { s.Commit(1, batch(4, 5), nil) }, []int64{4},
		"events[3] offset 4: is at the destination, and was in no batch (batch [4,5) by owner 1)")
	f(sink.Replay, func(s *sinktest.Story) {
		c := batch(0, 3)
		c.Dead = []record.Dead{{Partition: 3, Offset: 1}}
		s.Commit(1, c, nil)
	}, []int64{0, 1, 2}, "events[3] offset 1: is at the destination, though it is in the dead set (batch [0,3) by owner 1)")
	f(sink.AtLeastOnce, func(s *sinktest.Story) { s.Commit(1, batch(0, 2), nil) }, []int64{0, 0, 1})
	f(sink.AtLeastOnce, func(s *sinktest.Story) { s.Commit(1, batch(0, 2), nil) }, []int64{0},
		"events[3] offset 1: is not at the destination, though committed (batch [0,2) by owner 1)")
}

// TestManySentences: a report is short whatever happened.
func TestManySentences(t *testing.T) {
	var s sinktest.Story
	for o := int64(0); o < 400; o++ {
		s.Commit(int(o), batch(o, o+1), nil)
	}
	got := s.Judge(sink.Replay, 3)
	if len(got) != 13 || got[12] != "and 344 more records" {
		t.Errorf("got %d sentences, of which the last is %q", len(got), got[len(got)-1])
	}
}
