package deadletter_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/deadletter"
)

// Groups count letters and know the first and the last, in whatever order they
// come; what never repeats does not fill the memory.
func TestSummary(t *testing.T) {
	var s deadletter.Summary
	at := func(seconds, offset int64, reason string) *deadletter.Found {
		l := letter(offset, nil)
		l.Reason = reason
		return &deadletter.Found{Letter: l, Written: time.Unix(seconds, 0)}
	}
	s.Add(at(20, 5, "schema id 1"))
	s.Add(at(10, 9, "schema id 2"))
	s.Add(at(20, 7, "schema id 3"))
	s.Add(at(15, 1, "cost: null"))
	got := s.Groups()
	if len(got) != 2 || got[0].Letters != 3 || got[0].Reason != "schema id #" || got[0].First.Offset != 9 || got[0].Last.Offset != 7 || got[1].Letters != 1 {
		t.Errorf("%+v", got)
	}
	for i := range 20_000 {
		s.Add(at(30, int64(i), fmt.Sprintf("x%c%d", 'a'+i%26, i)))
	}
	if n := len(s.Groups()); n > 10_001 {
		t.Errorf("%d groups", n)
	}
	total := int64(0)
	for _, g := range s.Groups() {
		total += g.Letters
	}
	if total != 20_004 {
		t.Errorf("%d letters counted, want 20004", total)
	}
}
