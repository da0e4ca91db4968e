package stdout

import (
	"context"
	"fmt"
	"io"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/jsonl"
)

// keepAt is the size in bytes above which a buffer is not kept for the next
// batch.
const keepAt = 4 << 20

type stdout struct {
	out    io.Writer
	turn   chan struct{} // holds one token: whoever has it may write
	schema *record.Schema
}

func newStdout(out io.Writer, c sink.Config) (sink.Sink, error) {
	if _, err := jsonl.New(c.Schema); err != nil {
		return nil, err
	}
	s := &stdout{out: out, turn: make(chan struct{}, 1), schema: c.Schema}
	s.turn <- struct{}{}
	return s, nil
}

// Claim makes a writer. Standard output remembers nothing.
func (s *stdout) Claim(_ context.Context, c sink.Claim) (sink.Writer, sink.Found, error) {
	lines, err := jsonl.New(s.schema)
	if err != nil {
		return nil, sink.Found{}, err
	}
	high := make([]int64, c.Partitions)
	for i := range high {
		high[i] = -1
	}
	return &writer{stdout: s, lines: lines}, sink.Found{High: high, State: sink.NoMark}, nil
}

// Close leaves the output open: it is the program's.
func (*stdout) Close() error { return nil }

type writer struct {
	stdout *stdout
	lines  *jsonl.Encoder
	buf    []byte
}

func (w *writer) Append(ctx context.Context, rows *record.Chunk) (int64, error) {
	if err := ctx.Err(); err != nil {
		return int64(len(w.buf)), err
	}
	var err error
	w.buf, err = w.lines.Append(w.buf, rows)
	return int64(len(w.buf)), err
}

func (w *writer) Stage(ctx context.Context, _ record.Cut) (string, error) { return "", ctx.Err() }

// Commit prints the batch.
func (w *writer) Commit(ctx context.Context, c record.Cut, _ string) error {
	if len(w.buf) == 0 {
		return nil
	}
	select {
	case <-w.stdout.turn:
	case <-ctx.Done():
		return sink.Refused(ctx.Err())
	}
	defer func() { w.stdout.turn <- struct{}{} }()
	if _, err := w.stdout.out.Write(w.buf); err != nil {
		return fmt.Errorf("print batch %s: %w", c, err)
	}
	w.buf = w.buf[:0]
	if cap(w.buf) > keepAt {
		w.buf = nil
	}
	return nil
}

func (w *writer) Close() error {
	w.buf = nil
	return nil
}
