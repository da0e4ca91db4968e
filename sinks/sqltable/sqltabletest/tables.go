package sqltabletest

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// names: whatever fields and tables are called, the database takes it for a
// name and nothing else.
func names(t *testing.T, target Target) {
	nasty := []string{"select", "a b", "a`b", `a"b`, "a'b", "a``b", `a""b`, `a\b`, "a;DROP TABLE t", "--", "/*", "?", "ünï", "$1", ":x", "@v", "%s", strings.Repeat("x", 64)}
	schema := &record.Schema{}
	for _, n := range nasty {
		schema.Fields = append(schema.Fields, record.Field{Name: n, Type: intType})
	}
	for _, mode := range []string{sqltable.Insert, sqltable.Upsert} {
		for _, table := range []string{"o`; DROP TABLE t;", `o"'x`, "order"} {
			b := NewBench(t, target, schema, func(o *sqltable.Options) {
				o.Mode, o.Table, o.Key, o.Positions = mode, table, []string{"a`b", `a"b`}, table+" positions"
			})
			w, _ := b.Claim(b.Open(), Slot(0, 1))
			row := make([]any, len(nasty))
			for i := range row {
				row[i] = i
			}
			b.Append(w, b.Rows(0, 0, row))
			b.Commit(w, Cut(0, 0, 1))
			b.Open() // and it is recognised again
		}
	}
	for _, bad := range []string{"", "a\x00b", "a\xffb", strings.Repeat("x", 65)} {
		b := NewBench(t, target, &record.Schema{Fields: []record.Field{{Name: bad, Type: intType}}}, nil)
		if _, err := b.TryOpen(); !sink.IsPermanent(err) {
			t.Errorf("field %q: got %v, want permanent", bad, err)
		}
		for _, o := range []sqltable.Options{{Table: bad, Positions: "p", Mode: "insert"}, {Table: "t", Positions: bad, Mode: "insert"}} {
			var field *sink.FieldError
			if err := o.Validate(); !errors.As(err, &field) {
				t.Errorf("table %q: got %v, want a field error", bad, err)
			}
		}
	}
}

// permanent wants an error that people must mend, with some words.
func (b *Bench) permanent(err error, words ...string) {
	b.Helper()
	if !sink.IsPermanent(err) {
		b.Fatalf("got %v, want a permanent error", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			b.Errorf("got %q, want it to name %q", err, w)
		}
	}
}

func tableMissing(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), func(o *sqltable.Options) { o.Create = false })
	_, err := b.TryOpen()
	b.permanent(err, "table t", "does not exist", "create: true")
	b.Exec("CREATE TABLE t (id BIGINT, name VARCHAR(100))")
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	b.Append(w, b.Rows(0, 0, []any{1, "a"}))
	b.Exec("DROP TABLE t")
	err = b.TryCommit(t.Context(), w, Cut(0, 0, 1))
	b.permanent(err, "t")
	if !sink.IsRefused(err) {
		t.Errorf("got %v, want it refused too", err)
	}
	b.Exec("CREATE TABLE t (id BIGINT, nam VARCHAR(100))") // an operator's work while we run
	w, _ = b.Claim(b.reopen(), Slot(0, 1))
	b.Append(w, b.Rows(0, 0, []any{1, "a"}))
	b.Exec("ALTER TABLE t RENAME COLUMN name TO nam")
	b.permanent(b.TryCommit(t.Context(), w, Cut(0, 0, 1)), "name")
	b.Exec("DROP TABLE sluice_positions")
	_, _, err = b.reopen().Claim(t.Context(), Slot(0, 1))
	if err != nil {
		t.Errorf("claim with a new position table: %v", err)
	}
}

// reopen opens the sink on a table that was made anew.
func (b *Bench) reopen() sink.Sink {
	b.Helper()
	b.Exec("DROP TABLE t")
	b.Exec("CREATE TABLE t (id BIGINT, name VARCHAR(100))")
	return b.Open()
}

// mismatch: fields and columns that do not fit are all named at once.
func mismatch(t *testing.T, target Target) {
	schema := &record.Schema{Fields: []record.Field{{Name: "id", Type: intType}, {Name: "campain", Type: intType}, {Name: "at", Type: timeType}}}
	b := NewBench(t, target, schema, nil)
	b.Exec("CREATE TABLE t (id BIGINT, campaign BIGINT, at DOUBLE, must INT NOT NULL, may INT NOT NULL DEFAULT 3, null_ok INT, twice INT AS (id * 2) STORED)")
	_, err := b.TryOpen()
	b.permanent(err, "field campain: the table has no such column; the nearest is campaign", "field at of type timestamp, column at of type", "column must must be filled")
	if strings.Contains(err.Error(), "may") && strings.Contains(err.Error(), "column may") || strings.Contains(err.Error(), "null_ok") {
		t.Errorf("got %q, which names columns that may be left out", err)
	}
	b = NewBench(t, target, &record.Schema{Fields: []record.Field{{Name: "id", Type: intType}, {Name: "twice", Type: intType}, {Name: "ID", Type: intType}}}, nil)
	b.Exec("CREATE TABLE t (id BIGINT, twice INT AS (id * 2) STORED)")
	_, err = b.TryOpen()
	b.permanent(err, "computed by the database", "field ID: column id is that of field id already")
	b = NewBench(t, target, simple(), func(o *sqltable.Options) { o.Table = "v" })
	b.Exec("CREATE TABLE t (id BIGINT, name VARCHAR(100))")
	b.Exec("CREATE VIEW v AS SELECT * FROM t")
	_, err = b.TryOpen()
	b.permanent(err, "view")
}

// modes: what does not go together is refused before a row flows.
func modes(t *testing.T, target Target) {
	f := func(schema *record.Schema, table string, change func(*sqltable.Options), words ...string) {
		t.Helper()
		b := NewBench(t, target, schema, change)
		if table != "" {
			b.Exec(table)
		}
		_, err := b.TryOpen()
		b.permanent(err, words...)
	}
	mode := func(m string, key ...string) func(*sqltable.Options) {
		return func(o *sqltable.Options) { o.Mode, o.Key = m, key }
	}
	f(simple(), "", mode(sqltable.Add), "mode: ", "aggregate")
	f(balances(), "", mode(sqltable.Upsert), "mode: ", "aggregate")
	f(balances(), "", mode(sqltable.Add, "events"), "key: ")
	f(simple(), "", mode(sqltable.Upsert), "key: ")
	f(simple(), "", mode(sqltable.Upsert, "nam"), "key[0]: ", "the nearest is name")
	f(simple(), "CREATE TABLE t (id BIGINT, name VARCHAR(100))", mode(sqltable.Upsert), "primary or unique key")
	f(simple(), "CREATE TABLE t (id BIGINT, name VARCHAR(100) PRIMARY KEY)", mode(sqltable.Upsert, "id"), "key of just id")

	// A counter beside the key is no second key that a row could meet.
	b := NewBench(t, target, simple(), mode(sqltable.Upsert, "id"))
	counter := "no INTEGER PRIMARY KEY AUTOINCREMENT"
	if b.Spec.Type == "mariadb" {
		counter = "no INT PRIMARY KEY AUTO_INCREMENT"
	}
	b.Exec("CREATE TABLE t (" + counter + ", id BIGINT NOT NULL UNIQUE, name VARCHAR(100))")
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	for i := range int64(3) {
		b.Append(w, b.Rows(0, i, []any{7, "a"}, []any{8, "b"}))
		b.Commit(w, Cut(0, i, i+1))
	}
	b.Want("SELECT id FROM t ORDER BY id", "[7]", "[8]")
}

// positions: the position table may have another name and place, and is told
// from another table of that name.
func positions(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), func(o *sqltable.Options) { o.Positions = "my positions" })
	w, _ := b.Claim(b.Open(), Slot(0, 1))
	b.Commit(w, Cut(0, 0, 5))
	if got := len(b.Query("SELECT * FROM t")); got != 0 {
		t.Fatalf("got %d rows", got)
	}
	b = NewBench(t, target, simple(), nil)
	b.Exec("CREATE TABLE sluice_positions (sink INT)")
	_, err := b.TryOpen()
	b.permanent(err, "sluice_positions", "next_offset")
	b = NewBench(t, target, simple(), nil)
	b.Config.Name = strings.Repeat("x", 256)
	_, err = b.TryOpen()
	b.permanent(err, "longer than 255")
	b = NewBench(t, target, simple(), nil)
	s := b.Open()
	for _, c := range []sink.Claim{{}, {Topic: strings.Repeat("x", 250), Partitions: 1}, {Topic: "t", Partitions: 0}, {Topic: "t", Incarnation: strings.Repeat("x", 101), Partitions: 1}} {
		if _, _, err := s.Claim(t.Context(), c); !sink.IsPermanent(err) {
			t.Errorf("claim %+v: got %v, want permanent", c, err)
		}
	}
}

// cancelled: a commit that waits for somebody's lock ends with its context,
// and nothing of it stays, not even a goroutine.
func cancelled(t *testing.T, target Target) {
	before := runtime.NumGoroutine()
	t.Run("Waiting", func(t *testing.T) {
		b := NewBench(t, target, simple(), nil)
		s := b.Open()
		w, _ := b.Claim(s, Slot(0, 1))
		b.Commit(w, Cut(0, 0, 1))
		b.Append(w, b.Rows(0, 1, []any{1, "a"}))
		holder, err := b.DB.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer holder.Close()
		for _, statement := range []string{"BEGIN", "UPDATE sluice_positions SET letters = letters + 1"} {
			if _, err := holder.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		start := time.Now()
		err = b.TryCommit(ctx, w, Cut(0, 1, 2))
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("the commit ended %v after it began, with a context of 200 ms", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if _, err := holder.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		w, f := b.Claim(s, Slot(0, 1))
		if f.High[0] != 1 {
			t.Fatalf("got %+v, want position 1", f)
		}
		b.Append(w, b.Rows(0, 1, []any{1, "a"}))
		b.Commit(w, Cut(0, 1, 2))
		b.Want("SELECT id FROM t", "[1]")
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		if _, err := w.Append(ctx, b.Rows(0, 2, []any{2, "b"})); !errors.Is(err, context.Canceled) {
			t.Errorf("append: got %v, want the context's error", err)
		}
		if _, _, err := s.Claim(ctx, Slot(0, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("claim: got %v, want the context's error", err)
		}
	})
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// concurrent: the writers of one sink work at the same time.
func concurrent(t *testing.T, target Target) {
	b := NewBench(t, target, simple(), func(o *sqltable.Options) { o.Key = []string{"id"} })
	s := b.Open()
	const slots, cuts, rows = 6, 10, 300
	errs := make([]error, slots)
	var wg sync.WaitGroup
	for slot := range slots {
		w, _ := b.Claim(s, Slot(int32(slot), 1))
		wg.Go(func() {
			for c := range int64(cuts) {
				chunk := make([][]any, rows)
				for i := range chunk {
					chunk[i] = []any{(int(c)*rows+i)*slots + slot, "x"}
				}
				if _, err := w.Append(t.Context(), b.Rows(int32(slot), c*rows, chunk...)); err != nil {
					errs[slot] = err
					return
				}
				if err := b.TryCommit(t.Context(), w, Cut(int32(slot), c*rows, (c+1)*rows)); err != nil {
					errs[slot] = err
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	b.Want("SELECT count(*), min(id), max(id) FROM t", "[18000 0 17999]")
}
