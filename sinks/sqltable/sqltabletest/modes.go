package sqltabletest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

func upsert(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), func(o *sqltable.Options) { o.Mode, o.Key = sqltable.Upsert, []string{"id"} })
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	b.Append(w, b.Rows(0, 0, []any{2, "old"}, []any{1, "a"}, []any{2, "older than the next"}, []any{2, "new"}))
	b.Commit(w, Cut(0, 0, 4))
	b.Want("SELECT id, name FROM t ORDER BY id", "[1 a]", "[2 new]")
	// Many rows of one key, over several statements: the newest wins.
	rows := make([][]any, 0, 5000)
	for i := range 5000 {
		rows = append(rows, []any{1 + i%2, fmt.Sprint(i)})
	}
	b.Append(w, b.Rows(0, 4, rows...))
	b.Commit(w, Cut(0, 4, 5004))
	b.Want("SELECT id, name FROM t ORDER BY id", "[1 4998]", "[2 4999]")
	b.Append(w, b.Rows(0, 5004, []any{1, nil}))
	b.Commit(w, Cut(0, 5004, 5005))
	b.Want("SELECT id, name FROM t ORDER BY id", "[1 NULL]", "[2 4999]")
}

func upsertOnlyKeys(t *testing.T, target Target) {
	schema := &record.Schema{Fields: []record.Field{{Name: "id", Type: intType}}}
	b := NewBench(t, target, schema, func(o *sqltable.Options) { o.Mode, o.Key = sqltable.Upsert, []string{"id"} })
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	b.Append(w, b.Rows(0, 0, []any{2}, []any{1}, []any{2}))
	b.Commit(w, Cut(0, 0, 3))
	b.Want("SELECT id FROM t ORDER BY id", "[1]", "[2]")
}

// group makes the row of an aggregate; its offset is not the first row's.
func (b *Bench) group(first int64, rows ...[]any) *record.Chunk {
	if len(b.Schema.Fields) == len(balances().Fields) {
		for i, row := range rows {
			rows[i] = append(slices.Clone(row), row[1]) // os goes with browser
		}
	}
	return b.Rows(-1, first, rows...)
}

func openAdd(t *testing.T, target Target) (*Bench, sink.Writer) {
	b := NewBench(t, target, balances(), func(o *sqltable.Options) { o.Mode = sqltable.Add })
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	return b, w
}

// readBalances reads os only where it is not browser, which it always is.
const readBalances = "SELECT campaign, CASE WHEN browser = os OR browser IS NULL AND os IS NULL THEN browser ELSE 'other' END, balance, events, first_at, last_at, cheapest, dearest FROM t ORDER BY campaign"

func add(t *testing.T, target Target) {
	b, w := openAdd(t, target)
	const second = 1_000_000
	b.Append(w, b.group(0, []any{7, "old", "-1.500000", 2, 10 * second, 20 * second, "9.00", "10.00"}, []any{8, "x", "0.000001", 1, 1 * second, 1 * second, "-1.00", "-1.00"}))
	b.Commit(w, Cut(0, 0, 10))
	// An earlier batch in time: the value at the larger order stays.
	b.Append(w, b.group(10, []any{7, "earlier", "100.000000", 1, 5 * second, 15 * second, "10.00", "9.00"}))
	b.Commit(w, Cut(0, 10, 20))
	b.Want(readBalances,
		"[7 old 98.500000 3 1970-01-01 00:00:05.000000 1970-01-01 00:00:20.000000 9.00 10.00]",
		"[8 x 0.000001 1 1970-01-01 00:00:01.000000 1970-01-01 00:00:01.000000 -1.00 -1.00]")
	// A tie goes to the new one; texts of digits are compared as numbers.
	b.Append(w, b.group(20, []any{7, "tie", "0.000001", 1, 20 * second, 20 * second, "8.99", "100.00"}))
	b.Commit(w, Cut(0, 20, 30))
	b.Append(w, b.group(30, []any{7, "new", "-98.500001", 1, 21 * second, 21 * second, "-8.99", "-100.00"}))
	b.Commit(w, Cut(0, 30, 40))
	b.Commit(w, Cut(0, 30, 40))
	b.Want(readBalances,
		"[7 new 0.000000 5 1970-01-01 00:00:05.000000 1970-01-01 00:00:21.000000 -8.99 100.00]",
		"[8 x 0.000001 1 1970-01-01 00:00:01.000000 1970-01-01 00:00:01.000000 -1.00 -1.00]")
}

func addNulls(t *testing.T, target Target) {
	b, w := openAdd(t, target)
	b.Append(w, b.group(0, []any{1, nil, nil, 1, nil, nil, nil, nil}, []any{2, "a", "1.000000", 1, 5, 5, "1.00", "1.00"}))
	b.Commit(w, Cut(0, 0, 10))
	b.Append(w, b.group(10, []any{1, nil, nil, 1, nil, nil, nil, nil}, []any{2, nil, nil, 1, nil, nil, nil, nil}))
	b.Commit(w, Cut(0, 10, 20))
	b.Want(readBalances, "[1 NULL NULL 2 NULL NULL NULL NULL]", "[2 a 1.000000 2 1970-01-01 00:00:00.000005 1970-01-01 00:00:00.000005 1.00 1.00]")
	b.Append(w, b.group(20, []any{1, "b", "2.500000", 1, 7, 8, "3.00", "4.00"}, []any{2, nil, "1.000000", 1, 9, 9, nil, nil}))
	b.Commit(w, Cut(0, 20, 30))
	// A null that is the last value is the last value.
	b.Want(readBalances, "[1 b 2.500000 3 1970-01-01 00:00:00.000007 1970-01-01 00:00:00.000008 3.00 4.00]",
		"[2 NULL 2.000000 3 1970-01-01 00:00:00.000005 1970-01-01 00:00:00.000009 1.00 1.00]")
}

func addDecimals(t *testing.T, target Target) {
	schema := &record.Schema{Fields: []record.Field{
		{Name: "k", Type: intType, Merge: record.MergeKey}, {Name: "whole", Type: decimal(38, 0), Merge: record.MergeAdd},
		{Name: "fine", Type: decimal(38, 38), Merge: record.MergeAdd}}}
	b := NewBench(t, target, schema, func(o *sqltable.Options) { o.Mode = sqltable.Add })
	s := b.Open()
	w, _ := b.Claim(s, Slot(0, 1))
	nines := strings.Repeat("9", 38)
	b.Append(w, b.group(0, []any{1, nines[:37] + "8", "0." + nines}, []any{2, "-" + nines, "-0." + nines}))
	b.Commit(w, Cut(0, 0, 1))
	b.Append(w, b.group(1, []any{1, 1, "-0." + strings.Repeat("0", 37) + "1"}, []any{2, nines, "0." + nines}))
	b.Commit(w, Cut(0, 1, 2))
	b.Want("SELECT k, whole, fine FROM t ORDER BY k", "[1 "+nines+" 0."+nines[:37]+"8]", "[2 0 0."+strings.Repeat("0", 38)+"]")
	// One more does not fit, and is refused by the group's lowest offset.
	b.Append(w, b.group(2, []any{1, 1, "0.0"}))
	err := b.TryCommit(t.Context(), w, Cut(0, 2, 3))
	var rows *sink.RowsError
	if !errors.As(err, &rows) || len(rows.Rows) != 1 || rows.Rows[0].Partition != -1 || rows.Rows[0].Offset != 2 {
		t.Fatalf("got %v, want the group of offset 2 refused", err)
	}
	b.Want("SELECT whole FROM t WHERE k = 1", "["+nines+"]")
}

// addOverflow: a sum that its column cannot hold is the fault of the group
// that made it so; nothing wraps, and nothing turns into a rounded number.
func addOverflow(t *testing.T, target Target) {
	schema := &record.Schema{Fields: []record.Field{{Name: "k", Type: intType, Merge: record.MergeKey}, {Name: "n", Type: intType, Merge: record.MergeAdd}}}
	b := NewBench(t, target, schema, func(o *sqltable.Options) { o.Mode = sqltable.Add })
	b.Exec("CREATE TABLE t (k BIGINT PRIMARY KEY, n BIGINT)")
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	b.Append(w, b.group(0, []any{1, math.MaxInt64 - 1}, []any{2, math.MinInt64}, []any{3, 0}))
	b.Commit(w, Cut(0, 0, 10))
	b.Append(w, b.group(10, []any{1, 1}, []any{2, 0}, []any{3, 1}))
	b.Commit(w, Cut(0, 10, 20))
	b.Append(w, b.group(20, []any{1, 1}, []any{2, -1}, []any{3, 1}))
	b.refused(b.TryCommit(t.Context(), w, Cut(0, 20, 30)), -1, 20, 21)
	b.Want("SELECT k, n FROM t ORDER BY k", "[1 9223372036854775807]", "[2 -9223372036854775808]", "[3 1]")
}

// addHotKeys: slots that merge into the same rows at once lose and double
// nothing, whatever deadlocks and waits that takes.
func addHotKeys(t *testing.T, target Target) {
	const slots, cuts, keys = 4, 25, 12
	b := NewBench(t, target, balances(), func(o *sqltable.Options) { o.Mode = sqltable.Add })
	var wg sync.WaitGroup
	retries := make([]int, slots)
	errs := make([]error, slots)
	for slot := range slots {
		s := b.Open()
		wg.Go(func() { retries[slot], errs[slot] = b.addFrom(s, int32(slot), cuts, keys) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Logf("retries: %v", retries)
	var want []string
	for k := range keys {
		want = append(want, fmt.Sprintf("[%d 1.000000 %d]", k, slots*cuts))
	}
	b.Want("SELECT campaign, balance, events FROM t ORDER BY campaign", want...)
}

// addFrom commits cuts of one slot, each of which adds 1/100 and one event to
// every key, and tries again as core would.
func (b *Bench) addFrom(s sink.Sink, slot int32, cuts, keys int) (retries int, err error) {
	random := rand.New(rand.NewPCG(uint64(slot), 0))
	var w sink.Writer
	for first := int64(0); first < int64(cuts); {
		if w == nil {
			var f sink.Found
			if w, f, err = s.Claim(b.Context(), Slot(slot, 1)); err != nil {
				return retries, err
			}
			first = max(0, f.High[0])
			continue
		}
		rows := make([][]any, 0, keys)
		for _, k := range random.Perm(keys) {
			rows = append(rows, []any{k, "b", "0.010000", 1, 1, 1, "1.00", "1.00"})
		}
		if _, err = w.Append(b.Context(), b.group(first, rows...)); err == nil {
			err = b.TryCommit(b.Context(), w, Cut(slot, first, first+1))
		}
		if err != nil {
			if retries++; retries > 1000 || !sink.IsRefused(err) || sink.IsPermanent(err) {
				return retries, err
			}
			w.Close()
			w = nil
			continue
		}
		first++
	}
	return retries, w.Close()
}

func insertGroups(t *testing.T, target Target) {
	b := NewBench(t, target, balances(), nil)
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	for i := range int64(3) {
		b.Append(w, b.group(i, []any{1, "b", "0.010000", 1, 1, 1, "1.00", "1.00"}))
		b.Commit(w, Cut(0, i, i+1))
	}
	b.Want("SELECT campaign, sum(events), count(*) FROM t GROUP BY campaign", "[1 3 3]")
}

// random: writers come and go, repeat, overlap and are cut off, in a seeded
// order; the table must be what one careful writer would have left.
func random(t *testing.T, target Target) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	b := NewBench(t, target, simple(), func(o *sqltable.Options) { o.Key = []string{"id"} })
	s := b.Open()
	position, last := int64(1), Cut(0, 0, 1)
	w, _ := b.Claim(s, Slot(0, 1))
	b.Append(w, b.Rows(0, 0, []any{0, "x"}))
	b.Commit(w, last)
	for step := range 150 {
		w, f := b.Claim(s, Slot(0, 1))
		if f.High[0] != position || !f.Last.Equal(last) {
			t.Fatalf("step %d: got %+v, want position %d and %s", step, f, position, last)
		}
		cut := randomCut(r, position, last)
		rows := [][]any{}
		for o := cut.Ranges[0].First; o < cut.Ranges[0].Next; o++ {
			rows = append(rows, []any{int(o), "x"})
		}
		b.Append(w, b.Rows(0, cut.Ranges[0].First, rows...))
		if r.IntN(6) == 0 {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := b.TryCommit(ctx, w, cut); !errors.Is(err, context.Canceled) {
				t.Fatalf("step %d: a cancelled commit of %s: %v", step, cut, err)
			}
			continue
		}
		err := b.TryCommit(t.Context(), w, cut)
		switch {
		case cut.Equal(last), cut.Ranges[0].First == position:
			if err != nil {
				t.Fatalf("step %d: %s at %d: %v", step, cut, position, err)
			}
			position, last = cut.Ranges[0].Next, cut
		default:
			b.Stale(err)
		}
	}
	b.Want("SELECT count(*), count(DISTINCT id), coalesce(max(id), -1) FROM t", fmt.Sprintf("[%d %d %d]", position, position, position-1))
}

// randomCut is what comes next, an equal repeat, or what somebody else did.
func randomCut(r *rand.Rand, position int64, last record.Cut) record.Cut {
	cut := Cut(0, position, position+1+r.Int64N(30))
	switch r.IntN(5) {
	case 0:
		cut.Ranges[0].First = max(0, position-3+r.Int64N(7))
		cut.Ranges[0].Next = cut.Ranges[0].First + 1 + r.Int64N(9)
	case 1:
		return last
	}
	if r.IntN(4) == 0 {
		cut.Dead = []record.Dead{{Partition: 0, Offset: cut.Ranges[0].First}}
	}
	return cut
}
