package record_test

import (
	"math/rand/v2"
	"testing"

	"github.com/sluicekit/sluice/core/record"
)

// randomCut is small, so that equal ones and edges are common.
func randomCut(r *rand.Rand) record.Cut {
	c := record.Cut{Topic: "events", Partition: int32(r.IntN(2))}
	for range 1 + r.IntN(2) {
		first := int64(r.IntN(3))
		c.Ranges = append(c.Ranges, record.Range{First: first, Next: first + int64(r.IntN(3))})
	}
	for range r.IntN(2) {
		c.Dead = append(c.Dead, record.Dead{Partition: c.Partition, Offset: int64(r.IntN(3))})
	}
	return c
}

func TestCutAgainstSets(t *testing.T) {
	r := random(t)
	type place struct {
		partition int32
		offset    int64
	}
	for range 5000 {
		a := randomCut(r)
		has, dead := map[place]bool{}, map[place]bool{}
		for i, x := range a.Ranges {
			for o := x.First; o < x.Next; o++ {
				has[place{a.Partition + int32(i), o}] = true
			}
		}
		for _, d := range a.Dead {
			dead[place{d.Partition, d.Offset}] = true
		}
		for partition := int32(-1); partition < 5; partition++ {
			for offset := int64(-1); offset < 7; offset++ {
				p := place{partition, offset}
				if a.Has(partition, offset) != has[p] || a.IsDead(partition, offset) != dead[p] {
					t.Fatalf("%s, dead %v: %v: has %v, is dead %v", a, a.Dead, p, a.Has(partition, offset), a.IsDead(partition, offset))
				}
			}
		}
		if a.Empty() != (len(has) == 0) {
			t.Fatalf("%s: empty is %v", a, a.Empty())
		}
	}
}

// Two cuts are equal if and only if they print alike and have the same dead.
func TestCutEqualIsIdentity(t *testing.T) {
	r := random(t)
	equal := 0
	for range 20000 {
		a, b := randomCut(r), randomCut(r)
		b.Letters = r.IntN(3) // no part of the identity
		same := a.String() == b.String() && len(a.Dead) == len(b.Dead)
		for i := range a.Dead {
			same = same && a.Dead[i] == b.Dead[i]
		}
		if a.Equal(b) != same || b.Equal(a) != same {
			t.Fatalf("%s %v, %s %v: equal is %v", a, a.Dead, b, b.Dead, a.Equal(b))
		}
		if same {
			equal++
		}
	}
	if equal < 20 {
		t.Fatalf("only %d pairs were equal", equal)
	}
	a := record.Cut{Topic: "events", Ranges: []record.Range{{First: 1, Next: 2}}}
	b := a
	b.Topic = "event"
	if a.Equal(b) {
		t.Error("cuts of two topics are equal")
	}
}

func TestCutPrints(t *testing.T) {
	one := record.Cut{Topic: "events", Partition: 3, Ranges: []record.Range{{First: 1200, Next: 1800}}}
	four := record.Cut{Topic: "events", Partition: 4, Ranges: []record.Range{{First: 10, Next: 20}, {First: 3, Next: 3}, {First: 0, Next: 7}, {First: 9, Next: 12}}}
	for want, c := range map[string]record.Cut{"events[3] [1200,1800)": one, "events[4-7] [10,20) [3,3) [0,7) [9,12)": four} {
		if c.String() != want {
			t.Errorf("%s instead of %s", c, want)
		}
	}
}
