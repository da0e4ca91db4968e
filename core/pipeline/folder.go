package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/sluicekit/sluice/core/folder"
	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/source"
)

// files is a folder.Source as an origin.
type files struct{ *folder.Source }

func (f files) cursor(o cursorOptions) cursor {
	return &filesCursor{Cursor: f.Cursor(o.partition, o.maxWait), files: f, o: o}
}

func (f files) member(source.MemberOptions) member { return filesMember{f.Member()} }

func (f files) complete() ([]int64, error) { return f.Complete() }

type filesMember struct{ *folder.Member }

func (m filesMember) join(ctx context.Context) (generation, error) {
	g, err := m.Join(ctx)
	if err != nil {
		return nil, err
	}
	return g, nil
}

// rejoin reads the state folder again, as after any end of a generation.
func (m filesMember) rejoin(context.Context, []source.Slot) (generation, error) {
	return nil, source.ErrRejoined
}

// filesCursor reads one partition of files.
type filesCursor struct {
	*folder.Cursor
	files files
	o     cursorOptions
}

func (c *filesCursor) fetch(ctx context.Context, at int64) error { return c.outside(c.Fetch(ctx, at)) }

// outside turns what the files do not hold any more into the lanes' errors.
func (c *filesCursor) outside(err error) error {
	var gone *folder.GoneError
	var beyond *folder.BeyondError
	switch {
	case errors.As(err, &gone):
		return fmt.Errorf("%w: %w", err, &lane.GapError{Topic: c.o.topic, Partition: c.o.partition, First: gone.First, Next: gone.Next})
	case errors.As(err, &beyond):
		return fmt.Errorf("%w: %w", err, &lane.TruncatedError{Topic: c.o.topic, Partition: c.o.partition, Position: beyond.Position, End: beyond.End})
	}
	return err
}

func (c *filesCursor) next() (source.Record, bool) { return c.Next() }

func (c *filesCursor) ended(at int64) (next int64, err error) { return c.Ended(at) }

func (c *filesCursor) high() int64 { return c.End() }

func (c *filesCursor) close() { c.Close() }

// free has nothing to give: an open file goes on where it is.
func (c *filesCursor) free(bool) int64 { return 0 }

// judge implements judging: what is wrong with the latest record, and where it
// lies.
func (c *filesCursor) judge() string { return c.Verdict() }

func (c *filesCursor) where(offset int64) string {
	path, at, ok := c.files.Where(c.o.partition, offset)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s, byte %d", path, at)
}

func (c *filesCursor) raw(ctx context.Context, offsets []int64) ([]lane.Letter, error) {
	own := c.files.Cursor(c.o.partition, 0)
	defer own.Close()
	out := make([]lane.Letter, 0, len(offsets))
	size, open := 0, false
	var r source.Record
	for _, at := range offsets {
		if size >= letterBytes {
			break
		}
		l := lane.Letter{Missing: true}
		if path, n, ok := c.files.Where(c.o.partition, at); ok {
			l.Headers = []lane.Header{{Key: "file", Value: []byte(path)}, {Key: "byte", Value: strconv.AppendInt(nil, n, 10)}}
		}
		for open && r.Offset < at { // the next ones are often close by
			r, open = own.Next()
		}
		if !open {
			err := own.Fetch(ctx, at)
			if err != nil && !errors.As(err, new(*folder.GoneError)) {
				return nil, fmt.Errorf("read %s[%d] offset %d again: %w", c.o.topic, c.o.partition, at, err)
			}
			if err == nil {
				r, open = own.Next()
			}
		}
		if open && r.Offset == at {
			l.Missing, l.Timestamp, l.Value = false, r.Timestamp, slices.Clone(own.Original(r))
		}
		size += l.Size()
		out = append(out, l)
	}
	return out, nil
}
