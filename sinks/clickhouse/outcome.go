package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strconv"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/clickhouse/native"
)

// outcome says what an error of sending proves.
func (w *writer) outcome(ctx context.Context, c record.Cut, err error) error {
	told := fmt.Errorf("insert of %d rows into %s: %w", w.rows, w.table.path(), explainRows(err))
	if errors.Is(err, native.ErrNotSent) {
		return sink.Refused(told)
	}
	var e *native.Exception
	if !errors.As(err, &e) || !w.nothingWritten(ctx, e.Code) {
		return told
	}
	if e.Code == codeConstraint {
		if rows := w.constraint(e.Message, c); rows != nil {
			return rows
		}
	}
	return sink.Refused(told)
}

// nothingWritten says whether the server gives an error of that code before it
// writes a part. That is so only while no materialized view is on the table: a
// view's own table may refuse what the table itself has taken.
func (w *writer) nothingWritten(ctx context.Context, code int32) bool {
	switch code {
	case codeConstraint, codeTooManyParts:
	default:
		return false
	}
	if !w.table.mergeTree() {
		return false
	}
	alone := false
	err := w.sink.dialer.ask(ctx, func(ctx context.Context, q *session) error {
		t, err := inspect(ctx, q, w.table.database, w.table.name)
		alone = err == nil && t != nil && len(t.views) == 0 && len(w.table.views) == 0
		return err
	})
	return err == nil && alone
}

// constraintText is how the server says which row violates which constraint.
// The row's values follow.
var constraintText = regexp.MustCompile("^(?:DB::Exception: )?Constraint `?(.+?)`? for table .+? is violated at row ([0-9]+)\\. Expression")

// constraint names the row that violates a constraint; nil if the message does
// not tell.
func (w *writer) constraint(message string, c record.Cut) error {
	m := constraintText.FindStringSubmatch(message)
	if m == nil {
		return nil
	}
	row, err := strconv.Atoi(m[2])
	if row--; err != nil || row < 0 || row >= len(w.offsets) {
		return nil
	}
	at := sort.Search(len(w.runs), func(i int) bool { return w.runs[i].first > row }) - 1
	partition := w.runs[at].partition
	if partition >= 0 && !c.Has(partition, w.offsets[row]) {
		return nil
	}
	return &sink.RowsError{Rows: []sink.RowError{{Partition: partition, Offset: w.offsets[row], Reason: "it violates the constraint " + m[1] + " of the table"}}}
}
