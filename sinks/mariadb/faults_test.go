package mariadb_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/mariadb"
	"github.com/sluicekit/sluice/sinks/sqltable"
	"github.com/sluicekit/sluice/sinks/sqltable/sqltabletest"
)

// I1 and I5 (core/doc.go) under lost answers: whatever happens to a commit, its
// rows are there exactly when its position is.

// newProxy stands before a server.
func newProxy(t *testing.T, m *stack.MariaDBServer) *stack.Proxy {
	t.Helper()
	p, err := stack.NewProxy(m.Addr(), stack.MySQLFrames)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// statement is the text of a query's packet, "" for others.
func statement(packet []byte) string {
	if len(packet) > 5 && packet[4] == 3 {
		return string(packet[5:])
	}
	return ""
}

// onStatement does something to the next statement that starts so.
func onStatement(p *stack.Proxy, start string, a stack.Action) (hits *atomic.Int64) {
	hits = &atomic.Int64{}
	p.OnRequest(func(_ int, b []byte) stack.Action {
		if strings.HasPrefix(statement(b), start) && hits.CompareAndSwap(0, 1) {
			return a
		}
		return stack.Forward
	})
	return hits
}

func faultSchema() *record.Schema {
	return &record.Schema{Fields: []record.Field{
		{Name: "id", Type: record.Type{Kind: record.Int}},
		{Name: "name", Type: record.Type{Kind: record.String}},
	}}
}

func withKey(o *sqltable.Options) { o.Key = []string{"id"} }

func TestLostAnswers(t *testing.T) {
	m := servers.MariaDB(t)
	p := newProxy(t, m)
	for _, c := range []struct {
		name, start string
		action      stack.Action
		committed   bool // what the first attempt comes to
		nil         bool // what it returns
	}{
		{"COMMIT done, answer cut", "COMMIT", stack.CutAnswer, true, true},
		{"COMMIT never arrived", "COMMIT", stack.CutRequest, false, false},
		{"position moved, answer cut", "UPDATE `sluice_positions`", stack.CutAnswer, false, false},
		{"position never moved", "UPDATE `sluice_positions`", stack.CutRequest, false, false},
		{"rows written, answer cut", "INSERT INTO `t`", stack.CutAnswer, false, false},
		{"rows never arrived", "INSERT INTO `t`", stack.CutRequest, false, false},
		{"begin, answer cut", "START TRANSACTION", stack.CutAnswer, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := sqltabletest.NewBench(t, on(m, p.Addr()), faultSchema(), withKey)
			s := b.Open()
			w, _ := b.Claim(s, sqltabletest.Slot(0, 1))
			b.Commit(w, sqltabletest.Cut(0, 0, 1))
			for round := range int64(20) {
				first := 1 + round
				hits := onStatement(p, c.start, c.action)
				b.Append(w, b.Rows(0, first, []any{int(first), "x"}))
				err := b.TryCommit(t.Context(), w, sqltabletest.Cut(0, first, first+1))
				if hits.Load() != 1 {
					t.Fatalf("round %d: no statement starts with %s", round, c.start)
				}
				if (err == nil) != c.nil || sink.IsPermanent(err) {
					t.Fatalf("round %d: got %v, want nil: %t", round, err, c.nil)
				}
				if err != nil && c.start != "COMMIT" && !sink.IsRefused(err) {
					t.Errorf("round %d: got %v, want it refused: COMMIT was never sent", round, err)
				}
				if err == nil {
					continue
				}
				w.Close()
				var f sink.Found
				if w, f = b.Claim(s, sqltabletest.Slot(0, 1)); (f.High[0] == first+1) != c.committed {
					t.Fatalf("round %d: found position %d behind %v", round, f.High[0], err)
				}
				b.Append(w, b.Rows(0, first, []any{int(first), "x"}))
				b.Commit(w, sqltabletest.Cut(0, first, first+1)) // the repeat
			}
			p.OnRequest(nil)
			b.Want("SELECT count(*), count(DISTINCT id), max(id) FROM t", "[20 20 20]")
		})
	}
}

// TestLateCommit: COMMIT hangs on the network, its client gives up, and a new
// owner claims. It must wait for what becomes of the old transaction.
func TestLateCommit(t *testing.T) {
	m := servers.MariaDB(t)
	p := newProxy(t, m)
	for _, firstCut := range []bool{true, false} {
		b := sqltabletest.NewBench(t, on(m, p.Addr()), faultSchema(), withKey)
		first := int64(0)
		w, _ := b.Claim(b.Open(), sqltabletest.Slot(0, 1))
		if !firstCut {
			b.Commit(w, sqltabletest.Cut(0, 0, 7))
			first = 7
		}
		b.Append(w, b.Rows(0, first, []any{1, "late"}))
		onStatement(p, "COMMIT", stack.HoldRequest)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if err := p.WaitHeld(ctx); err == nil {
				time.Sleep(100 * time.Millisecond)
			}
			cancel()
		}()
		err := b.TryCommit(ctx, w, sqltabletest.Cut(0, first, first+1))
		cancel()
		if err == nil || sink.IsRefused(err) || !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want an unknown outcome", err)
		}
		// The new owner has a way of its own to the server.
		b.Config.Conn = connection(m.Addr(), b.Conn.(*mariadb.Connection).Database)
		s := b.Open()
		released := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(500 * time.Millisecond)
			close(released)
			p.Release()
		})
		w, f := b.Claim(s, sqltabletest.Slot(0, 1))
		select {
		case <-released:
		default:
			t.Errorf("claim returned %+v while a transaction was about to change that", f)
		}
		wg.Wait()
		if f.High[0] != first+1 || !f.Last.Equal(sqltabletest.Cut(0, first, first+1)) {
			t.Fatalf("got %+v, want the late commit", f)
		}
		b.Append(w, b.Rows(0, first+1, []any{2, "next"}))
		b.Commit(w, sqltabletest.Cut(0, first+1, first+2))
		b.Want("SELECT id, name FROM t ORDER BY id", "[1 late]", "[2 next]")
	}
}

// TestFrozenOwner: an owner stops within its transaction, before it has moved
// the position, and wakes up when another has gone on. The server does not let
// it hold locks for longer than the timeout.
func TestFrozenOwner(t *testing.T) {
	const timeout = 10 * time.Second
	m := servers.MariaDB(t)
	p := newProxy(t, m)
	b := sqltabletest.NewBench(t, on(m, p.Addr()), faultSchema(), withKey)
	b.Conn.(*mariadb.Connection).Timeout = timeout
	frozen, _ := b.Claim(b.Open(), sqltabletest.Slot(0, 1))
	b.Commit(frozen, sqltabletest.Cut(0, 0, 1))
	b.Append(frozen, b.Rows(0, 1, []any{1, "frozen"}))
	onStatement(p, "UPDATE `sluice_positions`", stack.HoldRequest)
	var wg sync.WaitGroup
	var late error
	wg.Go(func() { late = b.TryCommit(t.Context(), frozen, sqltabletest.Cut(0, 1, 3)) })
	if err := p.WaitHeld(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	b.Config.Conn = connection(m.Addr(), b.Conn.(*mariadb.Connection).Database)
	s := b.Open()
	w, f := b.Claim(s, sqltabletest.Slot(0, 1))
	if took := time.Since(start); took > timeout*8/10 || f.High[0] != 1 {
		t.Errorf("claim took %v and found %+v; a transaction that has not moved the position is not waited for", took, f)
	}
	b.Append(w, b.Rows(0, 1, []any{1, "new owner"}))
	b.Commit(w, sqltabletest.Cut(0, 1, 2)) // waits for the frozen row until the server ends it
	if took := time.Since(start); took < timeout*8/10 || took > timeout+25*time.Second {
		t.Errorf("the new owner's commit took %v, want about the %v that the server waits", took, timeout)
	}
	p.Release()
	wg.Wait()
	if late == nil || !sink.IsRefused(late) {
		t.Errorf("the frozen owner's commit: got %v, want refused", late)
	}
	b.Want("SELECT id, name FROM t", "[1 new owner]")
}

// TestSwallowedAnswer: the server commits, and nothing ever comes back.
func TestSwallowedAnswer(t *testing.T) {
	m := servers.MariaDB(t)
	p := newProxy(t, m)
	b := sqltabletest.NewBench(t, on(m, p.Addr()), faultSchema(), withKey)
	const timeout = 5 * time.Second
	b.Conn.(*mariadb.Connection).Timeout = timeout
	w, _ := b.Claim(b.Open(), sqltabletest.Slot(0, 1))
	b.Append(w, b.Rows(0, 0, []any{1, "x"}))
	onStatement(p, "COMMIT", stack.SwallowAnswer)
	start := time.Now()
	b.Commit(w, sqltabletest.Cut(0, 0, 1)) // resolved by reading, when the connection's timeout is over
	if took := time.Since(start); took < timeout*8/10 || took > 4*timeout {
		t.Errorf("took %v, want about %v", took, timeout)
	}
	b.Want("SELECT id, name FROM t", "[1 x]")
}

// TestCloseSevered: a connection that was cut takes no farewell, and nothing
// hangs on that.
func TestCloseSevered(t *testing.T) {
	m := servers.MariaDB(t)
	p := newProxy(t, m)
	b := sqltabletest.NewBench(t, on(m, p.Addr()), faultSchema(), withKey)
	for range 20 {
		s, err := b.TryOpen()
		if err != nil {
			t.Fatal(err)
		}
		b.Claim(s, sqltabletest.Slot(0, 1))
		p.Sever()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSevered cuts the connections at random moments.
func TestSevered(t *testing.T) {
	m := servers.MariaDB(t)
	p := newProxy(t, m)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	a := sqltabletest.NewAccounts(t, on(m, p.Addr()))
	s := a.Open()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		// Where nothing gets done between two cuts, they come less often: a busy
		// machine connects more slowly than an idle one commits.
		const least = 12 * time.Millisecond
		most, seen := least, int64(0)
		for cuts := 0; ; cuts++ {
			select {
			case <-done:
				t.Logf("%d times severed, %d retries, %d commits found done", cuts, a.Retries, a.Lost)
				return
			case <-time.After(time.Duration(r.Int64N(int64(most)))):
				p.Sever()
			}
			if now := a.Done.Load(); now == seen {
				most = min(most*5/4, time.Second)
			} else {
				most, seen = max(most*3/4, least), now
			}
		}
	})
	const n = 1000
	err := a.Run(ctx, s, n)
	close(done)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if a.Retries == 0 {
		t.Error("nothing was severed")
	}
	a.Check(n)
}

// TestServerKilled kills the server at random moments of commits.
func TestServerKilled(t *testing.T) {
	m := stack.MariaDB(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	a := sqltabletest.NewAccounts(t, on(m, m.Addr()))
	s := a.Open()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	var killed error
	wg.Go(func() {
		for range 6 {
			time.Sleep(time.Duration(100+r.IntN(300)) * time.Millisecond)
			if killed = errors.Join(m.Kill(), m.Start(ctx)); killed != nil {
				cancel()
				return
			}
		}
	})
	const n = 2500
	err := a.Run(ctx, s, n)
	wg.Wait()
	if err := errors.Join(err, killed); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d retries, %d commits found done", a.Retries, a.Lost)
	a.Check(n)
}

// TestLockWait: a lock that is not given up is an error that passes.
func TestLockWait(t *testing.T) {
	m := servers.MariaDB(t)
	b := sqltabletest.NewBench(t, on(m, m.Addr()), faultSchema(), withKey)
	b.Conn.(*mariadb.Connection).Timeout = 2 * time.Second
	s := b.Open()
	w, _ := b.Claim(s, sqltabletest.Slot(0, 1))
	b.Append(w, b.Rows(0, 0, []any{1, "x"}))
	b.Commit(w, sqltabletest.Cut(0, 0, 1))
	tx, err := b.DB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(t.Context(), "SELECT * FROM sluice_positions FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	b.Append(w, b.Rows(0, 1, []any{2, "x"}))
	err = b.TryCommit(t.Context(), w, sqltabletest.Cut(0, 1, 2))
	if !sink.IsRefused(err) || sink.IsPermanent(err) || !strings.Contains(err.Error(), "1205") {
		t.Errorf("got %v, want a lock wait timeout that passes", err)
	}
	if _, _, err := s.Claim(t.Context(), sqltabletest.Slot(0, 1)); err == nil || sink.IsPermanent(err) {
		t.Errorf("claim: got %v, want an error that passes", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	w, _ = b.Claim(s, sqltabletest.Slot(0, 1))
	b.Append(w, b.Rows(0, 1, []any{2, "x"}))
	b.Commit(w, sqltabletest.Cut(0, 1, 2))
	b.Want("SELECT count(*) FROM t", "[2]")
}
