package sqltabletest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// Accounts are ten balances, each of which gets 0.01 and one event with every
// cut: what is lost or doubled shows in the sums.
type Accounts struct {
	*Bench
	Retries int          // errors so far
	Lost    int          // commits that were done although an error was returned
	Done    atomic.Int64 // cuts that are in, for who looks on while Run runs
}

// Sums is the schema of accounts.
func Sums() *record.Schema {
	return &record.Schema{Fields: []record.Field{
		{Name: "account", Type: intType, Merge: record.MergeKey},
		{Name: "balance", Type: decimal(18, 2), Merge: record.MergeAdd},
		{Name: "events", Type: intType, Merge: record.MergeAdd},
	}}
}

// NewAccounts makes accounts in a table that the sink creates.
func NewAccounts(t testing.TB, target Target) *Accounts {
	t.Helper()
	return &Accounts{Bench: NewBench(t, target, Sums(), func(o *sqltable.Options) { o.Mode = sqltable.Add })}
}

// Run commits until n cuts are done. After every error it goes on as core
// does: it claims again and believes what it finds.
func (a *Accounts) Run(ctx context.Context, s sink.Sink, n int64) error {
	var w sink.Writer
	var next int64
	for next < n {
		var err error
		if w == nil {
			var f sink.Found
			if w, f, err = s.Claim(ctx, Slot(0, 1)); err == nil {
				if f.High[0] > next && a.Retries > 0 {
					a.Lost++
				}
				next = max(0, f.High[0])
				a.Done.Store(next)
				continue
			}
		} else if err = a.add(ctx, w, next); err == nil {
			next++
			a.Done.Store(next)
			continue
		} else {
			w.Close()
		}
		w = nil
		if ctx.Err() != nil || sink.IsPermanent(err) || errors.Is(err, sink.ErrStale) {
			return fmt.Errorf("cut %d: %w", next, err)
		}
		a.Retries++
		time.Sleep(time.Millisecond)
	}
	return w.Close()
}

func (a *Accounts) add(ctx context.Context, w sink.Writer, next int64) error {
	rows := make([][]any, 10)
	for i := range rows {
		rows[i] = []any{i, "0.01", 1}
	}
	if _, err := w.Append(ctx, a.group(next, rows...)); err != nil {
		return err
	}
	return a.TryCommit(ctx, w, Cut(0, next, next+1))
}

// Check wants every cut up to n once.
func (a *Accounts) Check(n int) {
	a.Helper()
	a.Want("SELECT count(*), min(balance), max(balance), min(events), max(events) FROM t",
		fmt.Sprintf("[10 %d.%02d %d.%02d %d %d]", n/100, n%100, n/100, n%100, n, n))
	a.Want("SELECT next_offset FROM sluice_positions", fmt.Sprintf("[%d]", n))
}
