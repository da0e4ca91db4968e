package sqltabletest

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

func equalCutTwice(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), nil)
	w, _ := b.Claim(b.Open(), Slot(3, 1))
	cut := Cut(3, 10, 12)
	cut.Dead, cut.Letters = []record.Dead{{Partition: 3, Offset: 11}}, 2
	b.Append(w, b.Rows(3, 10, []any{1, "a"}))
	b.Commit(w, cut)
	b.Commit(w, cut) // a repeat by the same writer, which has no rows any more

	again, _ := b.Claim(b.Open(), Slot(3, 1))
	b.Append(again, b.Rows(3, 10, []any{1, "a"}))
	b.Commit(again, cut)
	b.Want("SELECT id, name FROM t", "[1 a]")

	// Equal bounds with another dead set are another cut.
	other, _ := b.Claim(b.Open(), Slot(3, 1))
	b.Append(other, b.Rows(3, 10, []any{1, "a"}, []any{2, "b"}))
	b.Stale(b.TryCommit(t.Context(), other, Cut(3, 10, 12)))
	b.Want("SELECT id, name FROM t", "[1 a]")
}

func gapAndOverlap(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), nil)
	s := b.Open()
	w, _ := b.Claim(s, Slot(0, 1))
	b.Append(w, b.Rows(0, 10, []any{1, "a"}))
	b.Commit(w, Cut(0, 10, 20))
	for _, cut := range []record.Cut{Cut(0, 21, 22), Cut(0, 19, 25), Cut(0, 10, 25), Cut(0, 10, 19), Cut(0, 0, 5)} {
		w, _ := b.Claim(s, Slot(0, 1))
		b.Append(w, b.Rows(0, cut.Ranges[0].First, []any{7, "x"}))
		b.Stale(b.TryCommit(t.Context(), w, cut))
	}
	b.Want("SELECT id, name FROM t", "[1 a]")
	_, f := b.Claim(s, Slot(0, 1))
	if f.High[0] != 20 || !f.Last.Equal(Cut(0, 10, 20)) {
		t.Fatalf("got %+v, want the first cut", f)
	}
	b.Append(w, b.Rows(0, 20, []any{2, "b"}))
	b.Commit(w, Cut(0, 20, 21)) // and the writer goes on
	b.Want("SELECT id FROM t ORDER BY id", "[1]", "[2]")
}

func noRows(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), nil)
	s := b.Open()
	w, _ := b.Claim(s, Slot(0, 1))
	b.Commit(w, Cut(0, 0, 100))
	b.Commit(w, Cut(0, 100, 150))
	b.Append(w, b.Rows(0, 150, []any{1, nil}))
	b.Commit(w, Cut(0, 150, 151))
	b.Want("SELECT id, name FROM t", "[1 NULL]")
	if _, f := b.Claim(s, Slot(0, 1)); f.High[0] != 151 {
		t.Fatalf("got %+v, want position 151", f)
	}
}

func found(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), nil)
	s := b.Open()
	w, f := b.Claim(s, Slot(4, 1))
	if want := (sink.Found{High: []int64{-1}, State: sink.Empty}); !reflect.DeepEqual(f, want) {
		t.Fatalf("got %+v, want %+v", f, want)
	}
	cut := Cut(4, 7, 40)
	cut.Dead = []record.Dead{{Partition: 4, Offset: 9}, {Partition: 4, Offset: 39}}
	cut.Letters = 5
	b.Commit(w, cut)
	_, f = b.Claim(s, Slot(4, 1))
	if want := (sink.Found{High: []int64{40}, State: sink.Has, Last: cut}); !reflect.DeepEqual(f, want) {
		t.Fatalf("got %+v, want %+v", f, want)
	}
	// Another slot knows that the sink was here.
	_, f = b.Claim(s, Slot(5, 1))
	if want := (sink.Found{High: []int64{-1}, State: sink.Has}); !reflect.DeepEqual(f, want) {
		t.Fatalf("got %+v, want %+v", f, want)
	}
	// Another sink of the same table does not.
	b.Config.Name = "S"
	_, f = b.Claim(b.Open(), Slot(4, 1))
	if f.State != sink.Empty || f.High[0] != -1 {
		t.Fatalf("another sink: got %+v, want nothing", f)
	}
}

func otherIncarnation(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), nil)
	s := b.Open()
	for i, incarnation := range []string{"one", "two"} {
		c := Slot(0, 1)
		c.Incarnation = incarnation
		w, _ := b.Claim(s, c)
		b.Append(w, b.Rows(0, 0, []any{i, incarnation}))
		b.Commit(w, Cut(0, 0, 1))
		time.Sleep(5 * time.Millisecond) // updated_at tells which is newer
	}
	_, f := b.Claim(s, Slot(0, 1))
	if f.State != sink.Has || f.High[0] != -1 || f.OtherIncarnation != "two" || f.Last.Ranges != nil {
		t.Fatalf("got %+v, want traces of incarnation two", f)
	}
	c := Slot(0, 1)
	c.Topic = "clicks"
	if _, f := b.Claim(s, c); f.State != sink.Has || f.OtherIncarnation != "" {
		t.Fatalf("another topic: got %+v, want no other incarnation", f)
	}
}

// move is what a person's decision does to the positions.
func move(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), nil)
	s := b.Open()
	m, ok := s.(sink.Mover)
	if !ok {
		t.Fatal("is no sink.Mover")
	}
	old := Slot(0, 2)
	old.Incarnation = "old"
	if err := m.Move(t.Context(), old, []int64{-1, -1}, []int64{3, 4}); err != nil {
		t.Fatal(err)
	}
	w, _ := b.Claim(s, Slot(0, 2))
	c := record.Cut{Topic: "events", Ranges: []record.Range{{First: 0, Next: 2}, {First: 0, Next: 1}}, Letters: 1}
	b.Append(w, b.Rows(0, 0, []any{1, "a"}, []any{2, "b"}))
	b.Commit(w, c)
	if err := m.Move(t.Context(), Slot(0, 2), []int64{1, 1}, []int64{9, 9}); !errors.Is(err, sink.ErrStale) {
		t.Fatalf("from another position: got %v, want Stale", err)
	}
	if err := m.Move(t.Context(), Slot(0, 2), []int64{2, 1}, []int64{7, 1}); err != nil {
		t.Fatal(err)
	}
	w, f := b.Claim(s, Slot(0, 2))
	if f.High[0] != 7 || f.High[1] != 1 || f.Last.Ranges != nil || f.Last.Letters != 0 {
		t.Fatalf("moved: got %+v, want positions 7 and 1, and no last batch", f)
	}
	b.Append(w, b.Rows(0, 7, []any{8, "h"}))
	b.Commit(w, record.Cut{Topic: "events", Ranges: []record.Range{{First: 7, Next: 8}, {First: 1, Next: 1}}})
	if err := m.Move(t.Context(), Slot(0, 2), []int64{8, 1}, []int64{-1, -1}); err != nil {
		t.Fatal(err)
	}
	if _, f = b.Claim(s, Slot(0, 2)); f.State != sink.Empty || f.High[0] != -1 || f.OtherIncarnation != "" {
		t.Fatalf("removed: got %+v, want nothing, of no incarnation", f)
	}
}

func slotOfThree(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), nil)
	s := b.Open()
	w, _ := b.Claim(s, Slot(3, 3))
	first := record.Cut{Topic: "events", Partition: 3, Ranges: []record.Range{{First: 5, Next: 6}, {First: 0, Next: 0}, {First: 2, Next: 9}},
		Dead: []record.Dead{{Partition: 3, Offset: 5}, {Partition: 5, Offset: 3}, {Partition: 5, Offset: 8}}, Letters: 3}
	b.Append(w, b.Rows(5, 2, []any{1, "a"}))
	b.Commit(w, first)
	_, f := b.Claim(s, Slot(3, 3))
	if want := (sink.Found{High: []int64{6, 0, 9}, State: sink.Has, Last: first}); !reflect.DeepEqual(f, want) {
		t.Fatalf("got %+v, want %+v", f, want)
	}
	second := record.Cut{Topic: "events", Partition: 3, Ranges: []record.Range{{First: 6, Next: 6}, {First: 0, Next: 4}, {First: 9, Next: 9}}}
	b.Append(w, b.Rows(4, 0, []any{2, "b"}))
	b.Commit(w, second)
	_, f = b.Claim(s, Slot(3, 3))
	if want := (sink.Found{High: []int64{6, 4, 9}, State: sink.Has, Last: second}); !reflect.DeepEqual(f, want) {
		t.Fatalf("got %+v, want %+v", f, want)
	}
	// Slots laid out anew: positions stay, no whole last cut is to be had.
	if _, f = b.Claim(s, Slot(4, 2)); !reflect.DeepEqual(f.High, []int64{4, 9}) || f.Last.Ranges != nil {
		t.Fatalf("got %+v, want positions and no last cut", f)
	}
	// The topic grew: the last cut is that of the smaller slot.
	w, f = b.Claim(s, Slot(3, 4))
	if !reflect.DeepEqual(f.High, []int64{6, 4, 9, -1}) || !f.Last.Equal(second) {
		t.Fatalf("got %+v, want the last cut of three partitions", f)
	}
	grown := record.Cut{Topic: "events", Partition: 3, Ranges: []record.Range{{First: 6, Next: 7}, {First: 4, Next: 4}, {First: 9, Next: 9}, {First: 0, Next: 3}}}
	b.Commit(w, grown)
	if _, f = b.Claim(s, Slot(3, 4)); !f.Last.Equal(grown) {
		t.Fatalf("got %+v, want %s", f, grown)
	}
	// One wrong partition refuses the whole cut.
	w, _ = b.Claim(s, Slot(3, 4))
	b.Append(w, b.Rows(3, 7, []any{3, "c"}))
	grown.Ranges = []record.Range{{First: 7, Next: 8}, {First: 4, Next: 5}, {First: 9, Next: 10}, {First: 2, Next: 4}}
	b.Stale(b.TryCommit(t.Context(), w, grown))
	b.Want("SELECT id FROM t ORDER BY id", "[1]", "[2]")
}

// twoOwners: the one that was replaced wakes up and commits.
func twoOwners(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), nil)
	first, _ := b.Claim(b.Open(), Slot(0, 2))
	start := record.Cut{Topic: "events", Ranges: []record.Range{{First: 0, Next: 1}, {First: 0, Next: 1}}}
	b.Append(first, b.Rows(0, 0, []any{1, "first"}))
	b.Commit(first, start)

	second, f := b.Claim(b.Open(), Slot(0, 2))
	if !f.Last.Equal(start) {
		t.Fatalf("got %+v, want %s", f, start)
	}
	b.Append(first, b.Rows(0, 1, []any{2, "first"}))
	b.Append(second, b.Rows(1, 1, []any{3, "second"}))
	b.Commit(second, record.Cut{Topic: "events", Ranges: []record.Range{{First: 1, Next: 1}, {First: 1, Next: 2}}})
	// The cuts do not overlap; still only one of two owners can go on.
	b.Stale(b.TryCommit(t.Context(), first, record.Cut{Topic: "events", Ranges: []record.Range{{First: 1, Next: 2}, {First: 1, Next: 1}}}))
	b.Want("SELECT id, name FROM t ORDER BY id", "[1 first]", "[3 second]")
}

func twoOwnersFirstCut(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), nil)
	first, _ := b.Claim(b.Open(), Slot(0, 1))
	second, _ := b.Claim(b.Open(), Slot(0, 1))
	b.Append(first, b.Rows(0, 5, []any{1, "first"}))
	b.Append(second, b.Rows(0, 5, []any{1, "second"}))
	b.Commit(first, Cut(0, 5, 6))
	b.Stale(b.TryCommit(t.Context(), second, Cut(0, 5, 7)))
	b.Want("SELECT id, name FROM t", "[1 first]")
}

// doublesOfAnotherOwner: rows whose keys are there because another owner
// committed them are not bad rows.
func doublesOfAnotherOwner(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), func(o *sqltable.Options) { o.Key = []string{"id"} })
	first, _ := b.Claim(b.Open(), Slot(0, 1))
	second, _ := b.Claim(b.Open(), Slot(0, 1))
	equal, _ := b.Claim(b.Open(), Slot(0, 1))
	rows := b.Rows(0, 0, []any{1, "a"}, []any{2, "b"})
	b.Append(first, rows)
	b.Append(second, rows)
	b.Append(equal, rows)
	b.Commit(first, Cut(0, 0, 2))
	b.Commit(equal, Cut(0, 0, 2)) // an equal cut is done
	b.Stale(b.TryCommit(t.Context(), second, Cut(0, 0, 3)))
	// Also behind a position that both know.
	first, _ = b.Claim(b.Open(), Slot(0, 1))
	second, _ = b.Claim(b.Open(), Slot(0, 1))
	rows = b.Rows(0, 2, []any{3, "c"})
	b.Append(first, rows)
	b.Append(second, rows)
	b.Commit(first, Cut(0, 2, 3))
	b.Stale(b.TryCommit(t.Context(), second, Cut(0, 2, 4)))
	b.Want("SELECT id FROM t ORDER BY id", "[1]", "[2]", "[3]")
}

func wrongCut(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), nil)
	w, _ := b.Claim(b.Open(), Slot(2, 2))
	other := Cut(2, 0, 1)
	other.Topic = "clicks"
	for _, c := range []record.Cut{Cut(1, 0, 1), Cut(4, 0, 1), Cut(2, 5, 4), Cut(2, -1, 4), other} {
		if err := b.TryCommit(t.Context(), w, c); !sink.IsRefused(err) {
			t.Errorf("%s: got %v, want refused", c, err)
		}
	}
	b.Want("SELECT * FROM sluice_positions")
}

func manyRows(t *testing.T, target Target) {
	const n = 200_000
	b := NewBench(t, target, simple(), func(o *sqltable.Options) { o.Key = []string{"id"} })
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	order := rand.New(rand.NewPCG(1, 2)).Perm(n)
	for lo := 0; lo < n; lo += 7777 {
		rows := make([][]any, 0, 7777)
		for _, id := range order[lo:min(n, lo+7777)] {
			rows = append(rows, []any{id, "name"})
		}
		b.Append(w, b.Rows(0, int64(lo), rows...))
	}
	b.Commit(w, Cut(0, 0, n))
	b.Want("SELECT count(*), min(id), max(id), sum(id) FROM t", "[200000 0 199999 19999900000]")
}

func hugeValue(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), nil)
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	huge := strings.Repeat("'\\ü", 5<<20) // 20 MiB, which escaping would double
	b.Append(w, b.Rows(0, 0, []any{1, "small"}, []any{2, huge}, []any{3, "small"}))
	b.Commit(w, Cut(0, 0, 3))
	var got string
	if err := b.DB.QueryRowContext(t.Context(), "SELECT name FROM t WHERE id = 2").Scan(&got); err != nil || got != huge {
		t.Fatalf("got %d bytes, %v; want the %d that were sent", len(got), err, len(huge))
	}
	b.Want("SELECT count(*) FROM t", "[3]")
}
