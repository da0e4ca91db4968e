package sqltable

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// check compares the values of a chunk with the columns they go to.
func (t *target) check(rows *record.Chunk, maxBytes int) error {
	var bad []sink.RowError
	blame := func(row int, format string, args ...any) {
		bad = append(bad, sink.RowError{Partition: rows.Partition, Offset: rows.Offsets[row], Reason: fmt.Sprintf(format, args...)})
	}
	for i := range t.fields {
		f, c := &t.fields[i], &rows.Columns[i]
		if f.required && c.Nulls > 0 {
			for row := range rows.Rows() {
				if c.Null(row) {
					blame(row, "field %s: null, and column %s takes none", f.Name, f.column.Name)
				}
			}
		}
		if f.Check == nil {
			continue
		}
		for row := range rows.Rows() {
			if c.Null(row) {
				continue
			}
			if reason := f.Check(c, row); reason != "" {
				blame(row, "field %s, column %s of type %s: %s", f.Name, f.column.Name, f.column.Type, reason)
			}
		}
	}
	if maxBytes > 0 && rows.Size() > int64(maxBytes) {
		for row := range rows.Rows() {
			if rowSize(rows, row) > maxBytes {
				blame(row, "larger than what the server takes in one piece (%d bytes)", maxBytes)
			}
		}
	}
	if bad == nil {
		return nil
	}
	slices.SortStableFunc(bad, func(a, b sink.RowError) int { return cmp.Compare(a.Offset, b.Offset) })
	bad = slices.CompactFunc(bad, func(a, b sink.RowError) bool { return a.Offset == b.Offset })
	return &sink.RowsError{Rows: bad}
}

// rowSize is about what a row takes in a statement.
func rowSize(rows *record.Chunk, row int) int {
	n := 0
	for i := range rows.Columns {
		c := &rows.Columns[i]
		if len(c.Offsets) > 0 {
			n += int(c.Offsets[row+1] - c.Offsets[row])
		}
		n += 16
	}
	return n
}

// sort puts the held rows into the order in which they are sent: by key, so
// that two writers lock rows in one order and pages are visited once; equal
// keys by partition and offset, so that the newest is the last.
func (w *writer) sort() {
	w.order = w.order[:0]
	for i := range w.held.Rows() {
		w.order = append(w.order, int32(i))
	}
	t := w.s.target
	slices.SortFunc(w.order, func(a, b int32) int {
		for k, i := range t.key {
			if r := compare(&w.held.Columns[i], int(a), int(b), t.padded[k]); r != 0 {
				return r
			}
		}
		if r := cmp.Compare(w.partition[a], w.partition[b]); r != 0 {
			return r
		}
		return cmp.Or(cmp.Compare(w.held.Offsets[a], w.held.Offsets[b]), cmp.Compare(a, b))
	})
}

// compare orders two values of a column as the database may see them: values
// that are equal in its keys are equal here. Null is the smallest.
func compare(c *record.Column, a, b int, padded bool) int {
	if na, nb := c.Null(a), c.Null(b); na || nb {
		return cmp.Compare(bit(!na), bit(!nb))
	}
	switch c.Type.Kind {
	case record.Bool:
		return cmp.Compare(bit(c.Bool(a)), bit(c.Bool(b)))
	case record.Int, record.Timestamp:
		return cmp.Compare(c.Ints[a], c.Ints[b])
	case record.Uint:
		return cmp.Compare(c.Uints[a], c.Uints[b])
	case record.Float:
		return cmp.Compare(c.Floats[a], c.Floats[b])
	case record.Decimal:
		x, y := c.Decimals[a], c.Decimals[b]
		return cmp.Or(cmp.Compare(x.Hi, y.Hi), cmp.Compare(x.Lo, y.Lo))
	}
	x, y := c.Bytes(a), c.Bytes(b)
	if padded {
		x, y = bytes.TrimRight(x, " "), bytes.TrimRight(y, " ")
	}
	return bytes.Compare(x, y)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fill sends all rows: full blocks by one prepared statement, the rest and
// blocks of few large rows each by a statement of its own. It returns how many
// rows went before the statement that failed.
func (w *writer) fill(ctx context.Context, tx *transaction) (int, error) {
	var full *sql.Stmt
	defer func() {
		if full != nil {
			full.Close()
		}
	}()
	block := w.s.target.block
	for lo := 0; lo < len(w.order); {
		hi := w.blockEnd(lo)
		if hi-lo == block && (full != nil || len(w.order)-lo >= 2*block) {
			if full == nil {
				var err error
				if full, err = tx.conn.PrepareContext(ctx, w.s.target.text(block)); err != nil {
					return lo, err
				}
			}
			if _, err := full.ExecContext(ctx, w.values(lo, hi)...); err != nil {
				return lo, err
			}
		} else if err := w.send(ctx, tx, lo, hi); err != nil {
			return lo, err
		}
		lo = hi
	}
	return len(w.order), nil
}

// blockEnd is where the statement that starts at row lo ends: after a block of
// rows, or earlier where they are large.
func (w *writer) blockEnd(lo int) int {
	hi := min(lo+w.s.target.block, len(w.order))
	if w.s.grammar.MaxBytes == 0 {
		return hi
	}
	bytes := 0
	for i := lo; i < hi; i++ {
		if bytes += rowSize(w.held, int(w.order[i])); i > lo && bytes > w.s.grammar.MaxBytes/4 {
			return i
		}
	}
	return hi
}

// send writes rows [lo, hi) of the order in one statement.
func (w *writer) send(ctx context.Context, tx *transaction, lo, hi int) error {
	_, err := tx.conn.ExecContext(ctx, w.s.target.text(hi-lo), w.values(lo, hi)...)
	return err
}

// values are the parameters of a statement; they are used again by the next.
func (w *writer) values(lo, hi int) []any {
	w.args = w.args[:0]
	for _, row := range w.order[lo:hi] {
		for i := range w.s.target.fields {
			c := &w.held.Columns[i]
			if c.Null(int(row)) {
				w.args = append(w.args, nil)
				continue
			}
			w.args = append(w.args, w.s.target.fields[i].Value(c, int(row)))
		}
	}
	return w.args
}

// blame finds the rows that the database refuses, from the statement on that
// starts at row lo and failed. Positions are read first, and locked: rows that
// are doubles because another owner committed them are no fault of the rows
// (see the package comment).
func (w *writer) blame(ctx context.Context, tx *transaction, c record.Cut, lo int, cause error) error {
	stored, err := w.s.readPositions(ctx, tx.conn, w.claim)
	if err != nil {
		return fmt.Errorf("read positions: %w", w.s.explain(ctx, err))
	}
	if !at(stored, c, w.claim, w.known) {
		return w.stale(ctx, tx, c)
	}
	var bad []sink.RowError
	for lo < len(w.order) && len(bad) <= record.MaxDead {
		hi := w.blockEnd(lo)
		if err := w.search(ctx, tx, lo, hi, &bad); err != nil {
			return fmt.Errorf("write rows: %w", w.s.explain(ctx, err))
		}
		lo = hi
	}
	if bad == nil { // it did not happen again
		return fmt.Errorf("write rows: %w", w.s.explain(ctx, cause))
	}
	slices.SortFunc(bad, func(a, b sink.RowError) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return &sink.RowsError{Rows: bad}
}

// search writes rows [lo, hi) and halves what fails until single rows are
// left. Both databases undo a statement that failed and keep the transaction.
// It stops when there are more bad rows than a cut can list.
func (w *writer) search(ctx context.Context, tx *transaction, lo, hi int, bad *[]sink.RowError) error {
	if len(*bad) > record.MaxDead {
		return nil
	}
	err := w.send(ctx, tx, lo, hi)
	if err == nil {
		return nil
	}
	class, shown := w.s.dialect.Explain(err)
	if class != Row || ctx.Err() != nil {
		return err
	}
	if hi-lo == 1 {
		row := w.order[lo]
		*bad = append(*bad, sink.RowError{Partition: w.partition[row], Offset: w.held.Offsets[row], Reason: shown.Error()})
		return nil
	}
	mid := (lo + hi) / 2
	if err := w.search(ctx, tx, lo, mid, bad); err != nil {
		return err
	}
	return w.search(ctx, tx, mid, hi, bad)
}
