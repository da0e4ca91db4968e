package folder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// plan finds the whole records that have no place yet, and gives them one.
func (s *scanner) plan(ctx context.Context, f *file, e *entry, c *content) error {
	f.size, f.changed = e.info.Size(), e.info.ModTime().UnixNano()
	f.dev, f.ino = e.dev, e.ino
	var runs []extent
	var err error
	switch {
	case s.o.Format == Container:
		runs, err = s.blocks(ctx, f, c)
	case c.packed == Plain:
		runs, err = s.lines(ctx, f, e, c)
	default:
		runs, err = s.packedLines(ctx, f, c)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && c.packed != Plain {
		// It was compared with other files as it was when it was opened: what it has
		// got since may make it one of them.
		if now, serr := c.f.Stat(); serr != nil || now.Size() != e.info.Size() {
			return fmt.Errorf("%s: the compressed file is being written", e.path)
		}
	}
	f.rest = err != nil || f.rest
	if len(runs) > 0 {
		var perr error
		if f.head, f.tail, perr = c.prints(f.at); perr != nil {
			return fmt.Errorf("%s: %w", e.path, perr)
		}
	}
	if len(runs) == 0 && f.at > 0 {
		s.put(plan{file: *f})
	}
	for _, r := range runs {
		r.time = e.info.ModTime().UnixMilli()
		s.put(plan{file: *f, extent: r})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", e.path, err)
	}
	return nil
}

// lines takes a plain file up to its last line end.
func (s *scanner) lines(ctx context.Context, f *file, e *entry, c *content) ([]extent, error) {
	size := e.info.Size()
	end, err := c.lastLine(ctx, max(f.at, s.blank[f.id]), size)
	if err != nil {
		return nil, err
	}
	if end == 0 {
		end = f.at
	}
	f.rest = end < size
	if f.rest && s.impatient(e, Plain) {
		end, f.rest = size, false
	}
	delete(s.blank, f.id)
	if f.rest {
		s.blank[f.id] = size
	}
	return f.take(end-f.at, end-f.at), nil
}

// take lets the next units, and bytes, of a file be an extent.
func (f *file) take(units, n int64) []extent {
	if units <= 0 {
		return nil
	}
	r := extent{start: f.read, size: units, at: f.at}
	f.read, f.at = f.read+units, f.at+n
	return []extent{r}
}

// lastLine looks back from end for a line end, at most to from. It returns where
// the next line would start, or 0.
func (c *content) lastLine(ctx context.Context, from, end int64) (int64, error) {
	b := make([]byte, 64<<10)
	for end > from && ctx.Err() == nil {
		n := min(int64(len(b)), end-from)
		k, err := c.f.ReadAt(b[:n], end-n)
		if err != nil && !(errors.Is(err, io.EOF) && int64(k) == n) {
			return 0, err
		}
		if i := lastLineEnd(b[:n]); i > 0 {
			return end - n + int64(i), nil
		}
		end -= n
	}
	return 0, ctx.Err()
}

// lastLineEnd is where the line after the last line end starts, 0 without one.
func lastLineEnd(b []byte) int { return bytes.LastIndexByte(b, '\n') + 1 }

// packedLines takes a compressed file when all of it is there: one that is still
// being written ends within its last block, and cannot be told from a torn one.
func (s *scanner) packedLines(ctx context.Context, f *file, c *content) ([]extent, error) {
	if err := c.seek(f.at); err != nil {
		return nil, packedError(c, err)
	}
	b := make([]byte, 256<<10)
	for ctx.Err() == nil {
		n, err := c.r.Read(b)
		c.at += int64(n)
		if errors.Is(err, io.EOF) {
			f.rest = false
			return f.take(c.at-f.at, c.at-f.at), nil
		}
		if err != nil {
			return nil, packedError(c, err)
		}
	}
	return nil, ctx.Err()
}

func packedError(c *content, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the compressed file ends within its data, after %d bytes of content: nothing of it is read before all is there", c.at)
	}
	return fmt.Errorf("decompress, after %d bytes of content: %w", c.at, err)
}
