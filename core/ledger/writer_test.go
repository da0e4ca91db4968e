package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/ledger/ledgertest"
	"github.com/sluicekit/sluice/core/record"
)

func TestWhatIsPutIsReadBack(t *testing.T) {
	for _, width := range []int32{1, 2, 8} {
		t.Run(fmt.Sprint("width ", width), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const partitions = 9 // the last slot is partial for widths 2 and 8
				var c ledgertest.Coordinator
				r := begin(t, &c, ledger.Options{}, partitions, width)
				slots := layouts(partitions, width)
				var want []ledger.Entry
				for i, l := range slots {
					e := entry("a@ch")
					for p := range l.Partitions {
						e.Position = append(e.Position, int64(100*i)+int64(p))
					}
					e = pending("a@ch", e.Position...)
					e.Plan, e.Wrote = [8]byte{1, 2, 3}, i%2 == 0
					e.Pending.Dead = []record.Dead{{Partition: l.First + l.Partitions - 1, Offset: int64(100*i) + int64(l.Partitions)}}
					r.must(r.put(int32(i), e))
					want = append(want, e)
				}
				n := r.next(slots)
				for i, e := range want {
					if s := n.State(at(int32(i))); s != (ledger.State{Presence: ledger.Present, Incarnation: incarnation, Width: width, Partitions: partitions}) {
						t.Fatalf("slot %d: %+v", i, s)
					}
					n.wantEntry(int32(i), e)
				}
			})
		})
	}
}

func TestConcurrentPutsShareCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const partitions, sinks = 50, 4
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, partitions, 1)
		before := r.member.Commits()
		r.member.Decide(func([]ledger.Commit) ledgertest.Fault {
			time.Sleep(5 * time.Millisecond) // an answer takes its time
			return ledgertest.None
		})
		var all sync.WaitGroup
		for p := range int32(partitions) {
			for s := range sinks {
				all.Go(func() {
					for n := range int64(10) {
						if err := r.put(p, entry(fmt.Sprint(s), n)); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		all.Wait()
		if n := r.member.Commits() - before; n < 10 || n > 2*10+2 {
			// Two a round: who was served first is sent before the others have come.
			t.Errorf("%d puts took %d commits, want at most 22", 10*partitions*sinks, n)
		}
		n := r.next(layouts(partitions, 1))
		for p := range int32(partitions) {
			for s := range sinks {
				n.wantEntry(p, entry(fmt.Sprint(s), 9))
			}
		}
	})
}

func TestPutWaitsForItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 1, 1)
		r.must(r.put(0, entry("a", 5)))
		answer := make(chan ledgertest.Fault)
		r.member.Decide(func([]ledger.Commit) ledgertest.Fault { return <-answer })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Put(ctx, at(0), pending("a", 5)) }()
		synctest.Wait()
		cancel() // too late: it is sent
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("returned %v before the answer", err)
		default:
		}
		r.wantEntry(0, entry("a", 5)) // not the record before it is acknowledged
		answer <- ledgertest.None
		r.must(<-done)
		r.wantEntry(0, pending("a", 5))
	})
}

func TestPutGivesUpBeforeItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 2, 1)
		answer := make(chan ledgertest.Fault)
		r.member.Decide(func([]ledger.Commit) ledgertest.Fault { return <-answer })
		first := make(chan error, 1)
		go func() { first <- r.put(0, entry("a", 1)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Put(ctx, at(1), entry("a", 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		answer <- ledgertest.None
		r.must(<-first)
		synctest.Wait()
		if _, ok := r.Entry(at(1), ledger.SinkID("a")); ok {
			t.Error("an entry was stored after its caller had gone")
		}
		if err := r.Put(ctx, at(0), entry("a", 2)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with an ended context: %v", err)
		}
	})
}

func TestNotesGoWithTheNextWriteOrAloneSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 3, 1)
		for p := range int32(3) {
			r.must(r.put(p, pending("a", 0)))
		}
		before := r.member.Commits()
		r.Note(at(1), entry("a", 10))
		r.wantEntry(1, entry("a", 10))
		r.must(r.put(0, entry("a", 10)))
		if n := r.member.Commits() - before; n != 1 {
			t.Errorf("%d commits, want 1", n)
		}
		if s, _ := c.Stored("events", 1); s.Offset != 10 {
			t.Errorf("the note did not go with the put: offset %d", s.Offset)
		}
		// Alone, one second after the first of them, and only the newest.
		r.Note(at(2), entry("a", 10))
		time.Sleep(900 * time.Millisecond)
		r.Note(at(2), entry("a", 20))
		synctest.Wait()
		if n := r.member.Commits() - before; n != 1 {
			t.Errorf("%d commits, want still 1", n)
		}
		time.Sleep(101 * time.Millisecond)
		synctest.Wait()
		if s, _ := c.Stored("events", 2); s.Offset != 20 || r.member.Commits()-before != 2 {
			t.Errorf("after a second: offset %d, %d commits", s.Offset, r.member.Commits()-before)
		}
		time.Sleep(time.Minute)
		if n := r.member.Commits() - before; n != 2 {
			t.Errorf("%d commits for nothing", n-2)
		}
	})
}

func TestFlushStoresWhatWasNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 20, 1)
		r.must(r.Flush(t.Context()))
		before := r.member.Commits()
		for p := range int32(20) {
			r.Note(at(p), entry("a", int64(p)))
		}
		r.must(r.Flush(t.Context()))
		if n := r.member.Commits() - before; n != 1 {
			t.Errorf("%d commits, want 1", n)
		}
		n := r.next(layouts(20, 1))
		for p := range int32(20) {
			n.wantEntry(p, entry("a", int64(p)))
		}
		wantEnded(t, r.Flush(t.Context()))
	})
}

func TestANoteOfAnInvalidEntryIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, 1, 1)
		r.Note(at(0), entry("a", 1, 2))
		r.Note(at(7), entry("a", 1))
		r.must(r.Flush(t.Context()))
		if n := strings.Count(log.String(), "position not stored"); n != 2 || len(r.Entries(at(0))) != 0 {
			t.Errorf("%d complaints: %s", n, &log)
		}
	})
}

func TestInvalidPutsAreRefusedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 1, 1)
		long := pending("a", 1)
		long.Pending.Token = strings.Repeat("x", ledger.MaxToken+1)
		before := r.member.Commits()
		for _, e := range []ledger.Entry{entry("a"), entry("a", 1, 2), entry("a", -2), long} {
			wantRefused(t, r.put(0, e))
		}
		wantRefused(t, r.put(1, entry("a", 1))) // not loaded
		if n := r.member.Commits() - before; n != 0 {
			t.Errorf("%d commits", n)
		}
		r.must(r.put(0, entry("a", 1)))
	})
}

func TestAnEntryThatDoesNotFitFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 1, 1)
		full := func(i int) ledger.Entry {
			e := pending(fmt.Sprint("sink ", i), int64(i)<<30)
			e.Plan, e.Pending.Token, e.Pending.Next[0] = [8]byte{1}, strings.Repeat("t", ledger.MaxToken), int64(i)<<30+1<<24
			for k := range int64(record.MaxDead) {
				e.Pending.Dead = append(e.Pending.Dead, record.Dead{Offset: int64(i)<<30 + k<<19})
			}
			return e
		}
		var long *ledger.TooLongError
		fit := 0
		for ; ; fit++ {
			// Another sink's change in the same commit must not suffer from it.
			r.Note(at(0), entry("small", int64(fit)))
			if err := r.put(0, full(fit)); err != nil {
				if !errors.As(err, &long) {
					t.Fatal(err)
				}
				break
			}
		}
		t.Logf("%d sinks fit: %v", fit, long)
		if ledger.Check(fit-1, 1) == nil && ledger.Check(fit, 1) == nil && fit < 17 || long.Sinks != fit+2 || long.Characters <= ledger.MaxText {
			t.Errorf("%d sinks fit, then %v", fit, long)
		}
		r.must(r.put(0, entry("small", 1000)))
		r.must(r.put(0, entry("sink 0", 1000))) // smaller than before
		n := r.next(layouts(1, 1))
		n.wantEntry(0, full(1))
		n.wantEntry(0, full(fit-1))
		n.wantEntry(0, entry("small", 1000))
	})
}

func TestLargeWritesAreSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const partitions, sinks = 400, 28
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, partitions, 1)
		before := r.member.Commits()
		largest := 0
		r.member.Decide(func(commits []ledger.Commit) ledgertest.Fault {
			size := 0
			for _, p := range commits {
				size += len(p.Metadata)
			}
			largest = max(largest, size)
			return ledgertest.None
		})
		for p := range int32(partitions) {
			for s := range sinks {
				e := pending(fmt.Sprint(s), 5)
				e.Pending.Token, e.Plan = strings.Repeat("t", ledger.MaxToken), [8]byte{1}
				r.Note(at(p), e)
			}
		}
		r.must(r.Flush(t.Context()))
		commits := r.member.Commits() - before
		t.Logf("%d commits of at most %d characters", commits, largest)
		if commits < 2 || commits > 4 || largest > 900_000 || largest < 500_000 {
			t.Errorf("%d commits of at most %d characters", commits, largest)
		}
		n := r.next(layouts(partitions, 1))
		for p := range int32(partitions) {
			if len(n.Entries(at(p))) != sinks {
				t.Fatalf("slot %d has %d entries", p, len(n.Entries(at(p))))
			}
		}
	})
}

// Slots that do not all fit one request take turns.
func TestBusySlotsDoNotKeepOthersWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const partitions, rounds = 300, 6
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, partitions, 1)
		for p := range int32(partitions) {
			for s := range 28 {
				e := pending(fmt.Sprint(s), 5)
				e.Pending.Token, e.Plan = strings.Repeat("t", ledger.MaxToken), [8]byte{1}
				r.Note(at(p), e)
			}
		}
		r.must(r.Flush(t.Context()))
		r.member.Decide(func([]ledger.Commit) ledgertest.Fault {
			time.Sleep(5 * time.Millisecond)
			return ledgertest.None
		})
		var all sync.WaitGroup
		var mu sync.Mutex
		served, ready := map[int32]bool{}, false
		putter := func(p int32, sink string) {
			for n := range rounds {
				if err := r.put(p, entry(sink, int64(n))); err != nil {
					t.Error(err)
				}
				mu.Lock()
				served[p] = true
				if n == rounds-1 && !ready {
					ready = true
					if len(served) != partitions {
						t.Errorf("slot %d was served %d times and %d slots never", p, rounds, partitions-len(served))
					}
				}
				mu.Unlock()
			}
		}
		// Of two sinks one always comes while the other's commit is on its way, so
		// no slot is ever without changes.
		for p := range int32(partitions) {
			all.Go(func() { putter(p, "a") })
		}
		time.Sleep(7 * time.Millisecond) // while the first large commit is on its way
		for p := range int32(partitions) {
			all.Go(func() { putter(p, "b") })
		}
		all.Wait()
	})
}

func TestWhatTheCallerChangesLaterIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		r := begin(t, &c, ledger.Options{}, 1, 1)
		e := pending("a", 5)
		r.Note(at(0), e)
		e.Position[0], e.Pending.Next[0] = 70, 80
		got, _ := r.Entry(at(0), e.Sink)
		got.Position[0], got.Pending.Next[0] = 90, 95
		r.must(r.Flush(t.Context()))
		r.wantEntry(0, pending("a", 5))
		got, _ = r.Entry(at(0), e.Sink)
		got.Position[0], got.Pending.Next[0] = 90, 95
		r.must(r.put(0, entry("b", 1)))
		r.next(layouts(1, 1)).wantEntry(0, pending("a", 5))
	})
}

func TestTheCommittedOffsetIsTheLowestOfOurSinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c ledgertest.Coordinator
		epoch := func(topic string, partition int32) int32 { return 40 + partition }
		o := ledger.Options{Sinks: []ledger.ID{ledger.SinkID("a"), ledger.SinkID("b")}, Epoch: epoch}
		r := begin(t, &c, o, 2, 2)
		want := func(offsets, epochs []int64) {
			t.Helper()
			var gotOffsets, gotEpochs []int64
			for p := range int32(2) {
				s, _ := c.Stored("events", p)
				gotOffsets, gotEpochs = append(gotOffsets, s.Offset), append(gotEpochs, int64(s.LeaderEpoch))
			}
			if !slices.Equal(gotOffsets, offsets) || !slices.Equal(gotEpochs, epochs) {
				t.Errorf("offsets %v epochs %v, want %v %v", gotOffsets, gotEpochs, offsets, epochs)
			}
		}
		want([]int64{-1, -1}, []int64{-1, -1})
		r.must(r.put(0, entry("a", 7, -1)))
		want([]int64{7, -1}, []int64{40, -1})
		r.must(r.put(0, entry("stranger", 1, 1)))
		want([]int64{7, -1}, []int64{40, -1})
		r.must(r.put(0, entry("b", 9, 3)))
		r.must(r.put(0, entry("a", 8, 4)))
		want([]int64{8, 3}, []int64{40, 41})
	})
}
