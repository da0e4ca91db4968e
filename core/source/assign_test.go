package source

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func ids(layouts []Layout) (out []Slot) {
	for _, l := range layouts {
		for i := range l.Slots() {
			out = append(out, Slot{l.Topic, i})
		}
	}
	return out
}

// sound checks that every slot has one owner who takes its topic, and returns the sizes of the shares.
func sound(t *testing.T, layouts []Layout, members []candidate, got map[string][]Slot) (low, high int) {
	t.Helper()
	seen := map[Slot]string{}
	low = 1 << 30
	for _, m := range members {
		low, high = min(low, len(got[m.id])), max(high, len(got[m.id]))
		for _, s := range got[m.id] {
			if seen[s] != "" || !slices.Contains(m.topics, s.Topic) {
				t.Fatal(s, "has", seen[s], "and", m.id)
			}
			seen[s] = m.id
		}
	}
	for _, s := range ids(layouts) {
		takes := slices.ContainsFunc(members, func(m candidate) bool { return slices.Contains(m.topics, s.Topic) })
		if takes != (seen[s] != "") {
			t.Fatal(s, "is with", seen[s])
		}
	}
	return low, high
}

// A group lives through comings and goings: always balanced, never more moved than has to be, the same from any order of members.
func TestAssignHistory(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	layouts := []Layout{{"a", 37, 1}, {"b", 16, 3}, {"c", 1, 1}}
	topics := []string{"a", "b", "c"}
	total := len(ids(layouts))
	var members []candidate
	next := 0
	for generation := range int32(300) {
		if len(members) == 0 || rnd.IntN(2) == 0 && len(members) < 12 {
			members = append(members, candidate{id: fmt.Sprintf("m%03d", next), topics: topics, generation: -1})
			next++
		} else {
			i := rnd.IntN(len(members))
			members = slices.Delete(members, i, i+1)
			if len(members) == 0 {
				continue
			}
		}
		got := assign(layouts, members)
		shuffled := slices.Clone(members)
		rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if !reflect.DeepEqual(got, assign(layouts, shuffled)) {
			t.Fatal("depends on the order of members")
		}
		low, high := sound(t, layouts, members, got)
		if high-low > 1 {
			t.Fatal("not balanced", low, high)
		}
		must, moved := 0, 0 // how many an owner had above the largest share there is now
		for i, m := range members {
			must += max(0, len(m.owned)-high)
			for _, s := range m.owned {
				if !slices.Contains(got[m.id], s) {
					moved++
				}
			}
			members[i].owned, members[i].generation = got[m.id], generation
		}
		if n := len(members); moved > must+n { // those of the last that may or may not have one more
			t.Fatal("moved", moved, "had to", must, "of", total)
		}
	}
}

func TestAssignKeepsAll(t *testing.T) {
	layouts := []Layout{{"a", 6, 1}}
	topics := []string{"a"}
	members := []candidate{
		{id: "x", topics: topics, generation: 4, owned: []Slot{{"a", 5}, {"a", 0}, {"a", 3}}},
		{id: "y", topics: topics, generation: 4, owned: []Slot{{"a", 1}, {"a", 2}, {"a", 4}}},
	}
	want := map[string][]Slot{"x": {{"a", 0}, {"a", 3}, {"a", 5}}, "y": {{"a", 1}, {"a", 2}, {"a", 4}}}
	if got := assign(layouts, members); !reflect.DeepEqual(got, want) {
		t.Fatal(got)
	}
}

// A member that was away still believes in what it owned; who has it since is right.
func TestAssignDoubleClaims(t *testing.T) {
	layouts := []Layout{{"a", 4, 1}}
	topics := []string{"a"}
	all := []Slot{{"a", 0}, {"a", 1}}
	members := []candidate{
		{id: "old", topics: topics, generation: 3, owned: all},
		{id: "young", topics: topics, generation: 7, owned: all},
	}
	got := assign(layouts, members)
	if !slices.Equal(got["young"], all) || len(got["old"]) != 2 {
		t.Fatal(got)
	}
}

func TestAssignTopics(t *testing.T) {
	layouts := []Layout{{"a", 8, 2}, {"b", 8, 1}, {"nobody", 3, 1}}
	members := []candidate{
		{id: "both", topics: []string{"a", "b"}},
		{id: "a only", topics: []string{"a"}, owned: []Slot{{"b", 1}, {"a", 99}, {"gone", 0}}}, // nonsense is no claim
		{id: "none"},
	}
	got := assign(layouts, members)
	sound(t, layouts, members, got)
	if len(got["a only"]) != 4 || len(got["both"]) != 8 {
		t.Fatal(got)
	}
	if got := assign(layouts, nil); len(got) != 0 {
		t.Fatal(got)
	}
}

func TestUserData(t *testing.T) {
	c := claim{generation: 12, info: "plan", owned: []Slot{{"b", 3}, {"a", 9}, {"a", 0}}}
	back, err := decodeClaim(c.encode())
	if err != nil || back.generation != 12 || back.info != "plan" || !slices.Equal(back.owned, []Slot{{"a", 0}, {"a", 9}, {"b", 3}}) {
		t.Fatal(back, err)
	}
	if none, err := decodeClaim(claim{generation: -1}.encode()); err != nil || none.generation != -1 {
		t.Fatal(none, err)
	}
	s := share{layouts: []Layout{{"a", 12, 5}}, slots: []Slot{{"a", 2}}, settle: []Slot{{"a", 0}}}
	if got, err := decodeShare(s.encode(settleShareVersion)); err != nil || !reflect.DeepEqual(got, s) {
		t.Fatal(got, err)
	}
	for name, b := range map[string][]byte{
		"empty": {}, "version": {9}, "cut": c.encode()[:5], "more": append(c.encode(), 0),
		"many slots": {1, 0, 0, 1, 1, 'a', 0xff, 0xff, 0xff, 0xff, 0x0f}, "huge": make([]byte, maxUserData+1),
	} {
		if _, err := decodeClaim(b); err == nil {
			t.Error(name, "was read")
		}
	}
	for name, s := range map[string]share{
		"outside": {layouts: []Layout{{"a", 12, 5}}, slots: []Slot{{"a", 3}}}, "unknown": {slots: []Slot{{"a", 0}}}, "width": {layouts: []Layout{{"a", 12, 0}}},
	} {
		if _, err := decodeShare(s.encode(shareVersion)); err == nil {
			t.Error(name, "was read")
		}
	}
	if l := (Layout{"a", 12, 5}); l.Slots() != 3 {
		t.Error(l.Slots())
	} else if first, next := l.Range(2); first != 10 || next != 12 {
		t.Error(first, next)
	}
}
