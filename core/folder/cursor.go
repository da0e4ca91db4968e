package folder

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/sluicekit/sluice/core/source"
)

// GoneError says that records which are in the catalogue cannot be read any
// more: their file was removed, truncated or written anew.
type GoneError struct {
	File        string
	Partition   int32
	First, Next int64 // offsets
	Byte        int64 // of the content, where First lies
}

func (e *GoneError) Error() string {
	return fmt.Sprintf("%s: what it held from byte %d on is gone", e.File, e.Byte)
}

// BeyondError says that a position lies behind the end of the log: the state
// folder is older than the sink, or another one.
type BeyondError struct {
	Partition     int32
	Position, End int64
}

func (e *BeyondError) Error() string {
	return fmt.Sprintf("the state folder knows partition %d up to %d, and the position is %d", e.Partition, e.End, e.Position)
}

// Cursor reads one partition. It is used by one goroutine at a time.
type Cursor struct {
	s         *Source
	partition int32
	wait      time.Duration

	file    int32 // that content is of; 0: none
	path    string
	content *content
	extent  extent
	at      int64 // offset of the next record
	end     int64 // of the log, as of the latest fetch
	scans   int   // when a file could not be opened
	failed  int64 // the offset at which
	err     error
	verdict string
	long    []byte
	box     *container // of containers
}

// Fetch gets what comes from an offset on, or nothing if nothing has come for a
// while. *GoneError and *BeyondError are final; with any other error nothing is
// lost by asking again.
func (c *Cursor) Fetch(ctx context.Context, at int64) error {
	c.err, c.verdict = nil, ""
	p := c.s.catalogue().find(c.partition, at)
	if !p.found && at == p.end {
		c.sleep(ctx, p.grown)
		p = c.s.catalogue().find(c.partition, at)
	}
	c.end = p.end
	switch {
	case at > p.end:
		return &BeyondError{Partition: c.partition, Position: at, End: p.end}
	case at < p.first:
		return &GoneError{File: "a file that the state folder has forgotten", Partition: c.partition, First: at, Next: p.first}
	case !p.found:
		c.at, c.extent = at, extent{base: at}
		return ctx.Err()
	}
	at = max(at, p.extent.base)
	err := c.open(&p, at)
	if err == nil {
		return nil
	}
	c.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.missing(ctx, &p, at, err)
}

func (c *Cursor) sleep(ctx context.Context, wake <-chan struct{}) {
	t := time.NewTimer(c.wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-t.C:
	}
}

// errOther says that a name belongs to another content now.
var errOther = errors.New("the file holds something else now")

// missing tells what is gone for ever from what was renamed just now, or cannot
// be read for a while: the scanner knows, after its next look.
func (c *Cursor) missing(ctx context.Context, p *place, at int64, err error) error {
	lost := errors.Is(err, fs.ErrNotExist) || errors.Is(err, errOther)
	if !lost {
		return fmt.Errorf("%s: byte %d: %w", p.file.path, p.extent.start+at-p.extent.base, err)
	}
	if c.failed != at || c.scans == 0 {
		c.failed, c.scans = at, p.scans+2 // the scan under way may have passed the file already
	}
	if p.scans > 0 && c.s.ended() || p.scans >= c.scans && (p.file.gone || p.file.missing) { // as p was after the last look
		return &GoneError{File: p.file.path, Partition: c.partition, First: at, Next: p.extent.end(), Byte: p.extent.at + at - p.extent.base}
	}
	c.s.look()
	c.sleep(ctx, p.grown)
	return fmt.Errorf("%s: %w", p.file.path, err)
}

// open brings the cursor to a record of an extent.
func (c *Cursor) open(p *place, at int64) error {
	e := &p.extent
	if c.file != e.file || c.content == nil {
		c.Close()
		if err := c.openFile(p); err != nil {
			return err
		}
	} else if err := c.unchanged(p); err != nil {
		return err
	}
	c.extent = *e
	if c.s.o.Format == Container {
		return c.openBlocks(at)
	}
	want := e.start + at - e.base
	if c.content.at != want {
		// A position may lie within a line that was read: the next one counts.
		from := want
		if want > e.start {
			from--
		}
		if err := c.content.seek(from); err != nil {
			return shrunk(err)
		}
		if from < want {
			if _, err := c.line(true); err != nil {
				return err
			}
		}
	}
	c.at = e.base + c.content.at - e.start
	return nil
}

func (c *Cursor) openFile(p *place) error {
	if p.file.gone {
		return errOther
	}
	f, info, err := openContent(p.file.path, p.file.packed)
	if err != nil {
		return err
	}
	dev, ino := inode(info)
	ok := dev == p.file.dev && ino == p.file.ino
	if ok && (info.Size() != p.file.size || info.ModTime().UnixNano() != p.file.changed) {
		ok, err = f.holds(&p.file)
	}
	if err == nil && !ok {
		err = errOther
	}
	if err != nil {
		f.close()
		return err
	}
	c.content, c.file, c.path, c.box = f, p.file.id, p.file.path, nil
	return nil
}

// unchanged looks whether the file that is open still holds what it did: it may
// have been truncated and written anew.
func (c *Cursor) unchanged(p *place) error {
	if c.content.packed != Plain {
		return nil
	}
	info, err := c.content.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == p.file.size && info.ModTime().UnixNano() == p.file.changed {
		return nil
	}
	ok, err := c.content.holds(&p.file)
	if err == nil && (!ok || p.file.gone) {
		err = errOther
	}
	return err
}

// shrunk makes an end that comes too early what it is.
func shrunk(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errOther
	}
	return err
}

// Next is the next record, valid until the next call. False: the end of what was
// fetched, or an error, which Ended returns.
func (c *Cursor) Next() (source.Record, bool) {
	for {
		r, ok := c.nextLine()
		if c.s.o.Format == Container {
			r, ok = c.nextValue()
		}
		if ok || !c.advance() {
			return r, ok
		}
	}
}

// advance goes on with the next extent, so that many small files are read as one.
// What is wrong with it, its own Fetch says.
func (c *Cursor) advance() bool {
	if c.err != nil || c.extent.end() >= c.end {
		return false
	}
	before := c.extent
	p := c.s.catalogue().find(c.partition, before.end())
	if !p.found {
		return false
	}
	if err := c.open(&p, p.extent.base); err != nil {
		c.Close()
		c.extent = before
		return false
	}
	return true
}

func (c *Cursor) nextLine() (source.Record, bool) {
	for c.s.o.Format == Lines && c.err == nil && c.at < c.extent.end() {
		at := c.at
		line, err := c.line(false)
		if err != nil {
			c.err = err
			break
		}
		c.at = c.extent.base + c.content.at - c.extent.start
		if at == c.extent.base && c.extent.start == 0 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			return source.Record{Offset: at, Timestamp: c.extent.time, Value: line, LeaderEpoch: -1}, true
		}
	}
	return source.Record{}, false
}

// line reads up to and with the next line end, or to the end of the extent. Of a
// line that is too long it keeps as much as shows that it is.
func (c *Cursor) line(skip bool) ([]byte, error) {
	left := c.extent.start + c.extent.size - c.content.at
	c.long = c.long[:0]
	for left > 0 {
		b, err := c.content.r.ReadSlice('\n')
		if int64(len(b)) > left {
			// The extent ends within a line, which has got longer since.
			c.content.at += left
			c.file = 0 // what is buffered is behind that: open it again
			c.long = append(c.long, b[:left]...)
			return c.long, nil
		}
		c.content.at += int64(len(b))
		left -= int64(len(b))
		switch {
		case err == nil && len(c.long) == 0:
			return b, nil
		case err == nil || errors.Is(err, bufio.ErrBufferFull):
			if room := c.s.o.MaxLine + 1 - len(c.long); !skip && room > 0 {
				c.long = append(c.long, b[:min(len(b), room)]...)
			}
			if err == nil {
				return c.long, nil
			}
		case errors.Is(err, io.EOF) && left == 0:
			return append(c.long, b...), nil
		default:
			return nil, shrunk(err)
		}
	}
	return c.long, nil
}

// Verdict is why the latest record cannot be read, "" if its bytes may be.
func (c *Cursor) Verdict() string { return c.verdict }

// Ended is the first offset that is not covered, after Next had no more.
func (c *Cursor) Ended(at int64) (int64, error) {
	if c.err != nil {
		err := c.err
		c.Close()
		return at, fmt.Errorf("%s: %w", c.path, err)
	}
	return max(at, c.extent.end()), nil
}

// End is the end of the log as of the latest Fetch.
func (c *Cursor) End() int64 { return c.end }

// Close gives the open file back. The cursor can be used again.
func (c *Cursor) Close() {
	c.content.close()
	c.content, c.file, c.box = nil, 0, nil
}
