package sqltable

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// writer holds the rows of one slot until their cut is committed.
type writer struct {
	s         *Sink
	claim     sink.Claim
	known     []bool        // per partition: it has a position row
	held      *record.Chunk // Offsets and Columns only
	partition []int32       // per row
	order     []int32       // rows as they are sent
	args      []any
}

func newWriter(s *Sink, c sink.Claim, known []bool) *writer {
	return &writer{s: s, claim: c, known: known, held: record.NewChunk(s.schema)}
}

// Append checks the rows against the columns of the table, and copies them.
func (w *writer) Append(ctx context.Context, rows *record.Chunk) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := w.s.target.check(rows, w.s.grammar.MaxBytes); err != nil {
		return 0, err
	}
	w.borrow()
	for i := range w.held.Columns {
		dst, src := &w.held.Columns[i], &rows.Columns[i]
		for row := range rows.Rows() {
			dst.AppendFrom(src, row)
		}
	}
	w.held.Offsets = append(w.held.Offsets, rows.Offsets...)
	for range rows.Offsets {
		w.partition = append(w.partition, rows.Partition)
	}
	return w.held.Size() + int64(len(w.partition))*4, nil
}

// Stage has nothing to do: until the transaction there is nothing to keep.
func (w *writer) Stage(ctx context.Context, _ record.Cut) (string, error) {
	return "", ctx.Err()
}

// errRepeat says that an equal cut is stored already.
var errRepeat = errors.New("the batch is committed already")

// Commit runs the transaction: rows, then positions. See the package comment
// for what each way of failing means.
func (w *writer) Commit(ctx context.Context, c record.Cut, _ string) error {
	if err := w.checkCut(c); err != nil {
		return sink.Refused(err)
	}
	tx, err := w.s.begin(ctx)
	if err != nil {
		return sink.Refused(fmt.Errorf("begin: %w", w.s.explain(ctx, err)))
	}
	if err := w.apply(ctx, tx, c); err != nil {
		tx.rollback(ctx)
		if errors.Is(err, errRepeat) {
			w.committed(c)
			return nil
		}
		return sink.Refused(err)
	}
	if err := tx.commit(ctx); err != nil {
		if err := w.resolve(ctx, c, err); err != nil {
			return err
		}
	}
	w.committed(c)
	return nil
}

func (w *writer) checkCut(c record.Cut) error {
	first, next := int64(w.claim.Partition), int64(w.claim.Partition)+int64(w.claim.Partitions)
	if c.Topic != w.claim.Topic || int64(c.Partition) < first || int64(c.Partition)+int64(len(c.Ranges)) > next {
		return fmt.Errorf("batch %s is not of the slot %s[%d-%d]", c, w.claim.Topic, first, next-1)
	}
	for _, r := range c.Ranges {
		if r.First < 0 || r.Next < r.First {
			return fmt.Errorf("batch %s: a range ends before it starts", c)
		}
	}
	return nil
}

// apply runs everything but COMMIT. Nothing of it lasts if it fails.
func (w *writer) apply(ctx context.Context, tx *transaction, c record.Cut) error {
	w.sort()
	if done, err := w.fill(ctx, tx); err != nil {
		if class, _ := w.s.dialect.Explain(err); class == Row && ctx.Err() == nil {
			return w.blame(ctx, tx, c, done, err)
		}
		return fmt.Errorf("write rows: %w", w.s.explain(ctx, err))
	}
	moved, err := w.s.advance(ctx, tx.conn, w.claim, c, w.known)
	if err != nil {
		return fmt.Errorf("move position: %w", w.s.explain(ctx, err))
	}
	if !moved {
		return w.stale(ctx, tx, c)
	}
	return nil
}

// stale finds out why the stored positions are not the cut's.
func (w *writer) stale(ctx context.Context, tx *transaction, c record.Cut) error {
	stored, err := w.s.readPositions(ctx, tx.conn, w.claim)
	if err != nil {
		return fmt.Errorf("read positions: %w", w.s.explain(ctx, err))
	}
	if lastCut(c.Topic, stored).Equal(c) {
		return errRepeat
	}
	return sink.Stale(describe(c.Topic, stored))
}

// resolve finds out what became of a COMMIT without an answer. An error leaves
// that open: core claims again and goes on from what is stored then.
func (w *writer) resolve(ctx context.Context, c record.Cut, cause error) error {
	cause = w.s.explain(ctx, cause)
	stored, err := w.s.readPositions(ctx, w.s.db, w.claim)
	if err != nil {
		return fmt.Errorf("commit: %w; then read positions: %w", cause, w.s.explain(ctx, err))
	}
	if lastCut(c.Topic, stored).Equal(c) {
		w.s.log.Info("lost answer resolved", "applied", true, "batch", c.String(), "cause", cause)
		return nil
	}
	return fmt.Errorf("commit: %w; the position stored is %s", cause, describe(c.Topic, stored))
}

// committed makes the writer ready for the next cut.
func (w *writer) committed(c record.Cut) {
	for i := range c.Ranges {
		w.known[c.Partition+int32(i)-w.claim.Partition] = true
	}
	w.giveBack()
	w.partition, w.order = w.partition[:0], w.order[:0]
}

// A writer without rows keeps next to nothing, since there may be thousands of
// them; memory beyond keepAt bytes is for whichever writer needs it next, and
// what is larger than dropAt for none.
const (
	keepAt = 16 << 10
	dropAt = 32 << 20
)

// borrow makes room before the first rows of a batch.
func (w *writer) borrow() {
	if w.held.Rows() > 0 {
		return
	}
	if c, ok := w.s.chunks.Get().(*record.Chunk); ok {
		w.held = c
	}
}

// giveBack drops the rows.
func (w *writer) giveBack() {
	w.held.Reset()
	if size := w.held.Footprint(); size > keepAt {
		if size <= dropAt {
			w.s.chunks.Put(w.held)
		}
		w.held = record.NewChunk(w.s.schema)
	}
	if cap(w.args) > keepAt/16 {
		w.args = nil
	}
	clear(w.args[:cap(w.args)]) // they hold values of the rows
	if cap(w.partition) > keepAt/8 {
		w.partition, w.order = nil, nil
	}
}

// Close drops the rows that were not committed.
func (w *writer) Close() error {
	w.held, w.partition, w.order, w.args = nil, nil, nil, nil
	return nil
}
