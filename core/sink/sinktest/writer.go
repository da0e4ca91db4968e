package sinktest

import (
	"context"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// writer is a Writer of the sink that is watched.
type writer struct {
	p      *place
	w      sink.Writer
	feed   *feed
	owner  int   // counts claims
	size   int64 // as Append said last
	closed bool
}

// append hands a chunk over, and overwrites it when the call has returned: a
// writer that kept it has nonsense now.
func (w *writer) append(ctx context.Context, c *record.Chunk) error {
	size, err := ask(ctx, w.p.bench, "Append", func(ctx context.Context) (int64, error) { return w.w.Append(ctx, c) })
	if err == nil {
		if c.Rows() > 0 && size <= 0 || size < w.size {
			w.p.Errorf("Append of %d rows returned size %d, after %d: it is what the writer holds or has written since the last batch", c.Rows(), size, w.size)
		}
		w.size = size
	}
	if err != errStuck {
		scribble(c)
	}
	return err
}

// maxRows is how many rows a chunk has here at most.
const maxRows = 8192

// fill appends all rows of a cut, chunk by chunk.
func (w *writer) fill(ctx context.Context, c record.Cut) error {
	for i, r := range c.Ranges {
		for first := r.First; first < r.Next; first += maxRows {
			rows := w.feed.rows(c, c.Partition+int32(i), first, min(first+maxRows, r.Next))
			if rows.Rows() == 0 {
				continue
			}
			if err := w.append(ctx, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// stage stages a cut.
func (w *writer) stage(ctx context.Context, c record.Cut) (string, error) {
	token, err := ask(ctx, w.p.bench, "Stage", func(ctx context.Context) (string, error) { return w.w.Stage(ctx, c) })
	if len(token) > sink.MaxToken {
		w.p.Errorf("Stage returned a token of %d bytes, at most %d fit into the ledger", len(token), sink.MaxToken)
	}
	return token, err
}

// commit commits a staged cut, and notes it.
func (w *writer) commit(ctx context.Context, c record.Cut, token string) error {
	a := w.p.history.begin(w.owner, c)
	err := w.p.call(ctx, "Commit", func(ctx context.Context) error { return w.w.Commit(ctx, c, token) })
	w.p.history.end(a, err)
	if err == nil {
		w.size = 0
	}
	return err
}

// put stages and commits what was appended.
func (w *writer) put(ctx context.Context, c record.Cut) error {
	token, err := w.stage(ctx, c)
	if err != nil {
		return err
	}
	return w.commit(ctx, c, token)
}

// resume lets a writer that can do so finish a cut of which it is not known
// whether it is in. It returns false if the cut must be made again.
func (w *writer) resume(ctx context.Context, c record.Cut, token string) (bool, error) {
	r, ok := w.w.(sink.Resumer)
	if !ok || token == "" {
		return false, nil
	}
	out, err := ask(ctx, w.p.bench, "Resume", func(ctx context.Context) (sink.Outcome, error) { return r.Resume(ctx, c, token) })
	switch {
	case err != nil:
		return false, err
	case out == sink.Done:
		w.p.history.settle(w.p.history.begin(w.owner, c))
		return true, nil
	case out != sink.Never:
		w.p.Errorf("Resume returned outcome %d", out)
	}
	return false, nil
}

// mustRepeat carries a cut to its commit that another owner had staged, or
// committed, under a token. It returns the token it has now.
func (w *writer) mustRepeat(c record.Cut, token string) string {
	w.p.Helper()
	finished, err := w.resume(w.p.Context(), c, token)
	if err != nil {
		w.p.Fatalf("resume %s: %v", c, err)
	}
	if finished {
		return token
	}
	w.mustFill(c)
	token = w.mustStage(c)
	if err := w.commit(w.p.Context(), c, token); err != nil {
		w.p.Fatalf("%s again: %v", c, err)
	}
	return token
}

// mustFill appends all rows of a cut.
func (w *writer) mustFill(c record.Cut) {
	w.p.Helper()
	if err := w.fill(w.p.Context(), c); err != nil {
		w.p.Fatalf("append the rows of %s: %v", c, err)
	}
}

// mustStage stages a cut.
func (w *writer) mustStage(c record.Cut) string {
	w.p.Helper()
	token, err := w.stage(w.p.Context(), c)
	if err != nil {
		w.p.Fatalf("stage %s: %v", c, err)
	}
	return token
}

// mustWrite carries a cut to its commit.
func (w *writer) mustWrite(c record.Cut) {
	w.p.Helper()
	w.mustFill(c)
	if err := w.put(w.p.Context(), c); err != nil {
		w.p.Fatalf("stage and commit %s: %v", c, err)
	}
}

// close closes the writer once.
func (w *writer) close() {
	if w.closed {
		return
	}
	w.closed = true
	_ = w.p.call(context.WithoutCancel(w.p.Context()), "Close", func(context.Context) error { return w.w.Close() }) // core goes on whatever it says
}
