package folder

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/sluicekit/sluice/core/source"
)

// runBytes is how much of a container one extent covers: to get to a record its
// extent is walked through.
const runBytes = 16 << 20

// blocks takes the whole blocks of a container. A compressed file is taken when
// all of it is there, as packedLines does.
func (s *scanner) blocks(ctx context.Context, f *file, c *content) ([]extent, error) {
	was := *f
	runs, err := s.walk(ctx, f, c)
	f.rest = err != nil
	torn := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
	switch {
	case err == nil:
	case c.packed != Plain:
		f.read, f.at = was.read, was.at
		return nil, packedError(c, err)
	case torn && s.o.Follow:
		err = nil // it is still being written
	case torn:
		err = fmt.Errorf("byte %d: the file ends within a block, or within its header", f.at)
	}
	return runs, err
}

func (s *scanner) walk(ctx context.Context, f *file, c *content) (runs []extent, err error) {
	h, err := readHeader(c)
	if err != nil {
		return nil, err
	}
	if _, err := s.o.Measure(h.schema); err != nil {
		return nil, err
	}
	from := max(f.at, h.end)
	if err := c.seek(from); err != nil {
		return nil, err
	}
	units, at := int64(0), from
	done := func() {
		if units > 0 {
			f.at = from
			runs = append(runs, f.take(units, at-from)...)
			from, units = at, 0
		}
	}
	for ctx.Err() == nil {
		b, err := c.block()
		if errors.Is(err, io.EOF) {
			done()
			return runs, nil
		}
		if err == nil {
			err = c.skip(b, h)
		}
		if err != nil {
			done()
			return runs, err
		}
		if units, at = units+b.count, c.at; at-from >= runBytes {
			done()
		}
	}
	return nil, ctx.Err()
}

// container is a cursor's place in an Avro container.
type container struct {
	h       *header
	id      uint32
	measure func([]byte) int
	unit    int64 // number of the next record in the file
	left    int64 // records of the block that are left
	rest    []byte
	raw     []byte // memory of blocks
	data    []byte
	bad     string // why the block cannot be read
	value   []byte
	plain   []byte // the latest record as it is in the file
	where   int64  // byte of the block
}

// openBlocks brings the cursor to a record.
func (c *Cursor) openBlocks(at int64) error {
	e := &c.extent
	want := e.start + at - e.base
	if c.box == nil {
		h, err := readHeader(c.content)
		if err != nil {
			return shrunk(err)
		}
		m, err := c.s.o.Measure(h.schema)
		if err != nil {
			return err
		}
		c.box = &container{h: h, id: c.s.schemas.number(h.schema), measure: m, unit: -1}
	}
	b := c.box
	if b.unit != want {
		b.left, b.unit = 0, e.start
		if err := c.content.seek(e.at); err != nil {
			return shrunk(err)
		}
		for b.unit < want {
			if err := c.pass(want); err != nil {
				return err
			}
		}
	}
	c.at = at
	return nil
}

// pass goes over records up to the wanted one, at most to the end of a block.
func (c *Cursor) pass(want int64) error {
	b := c.box
	if b.left == 0 {
		head, err := c.content.block()
		if err != nil {
			return shrunk(err)
		}
		if b.unit+head.count <= want {
			b.unit += head.count
			return c.content.skip(head, b.h)
		}
		return c.load(head)
	}
	c.take()
	return nil
}

// load reads a block.
func (c *Cursor) load(head block) error {
	b := c.box
	if int64(cap(b.raw)) < head.size {
		b.raw = make([]byte, head.size)
	}
	b.raw = b.raw[:head.size]
	err := c.content.full(b.raw)
	if err == nil {
		err = c.content.marker(head, b.h)
	}
	if err != nil {
		return shrunk(err)
	}
	b.left, b.bad, b.where = head.count, "", head.at
	if b.rest, err = b.h.unpack(b.data, b.raw); err != nil {
		b.bad = fmt.Sprintf("the block of %d records cannot be unpacked: %v", head.count, err)
		return nil
	}
	if b.h.codec != "null" {
		b.data = b.rest
	}
	if head.count > int64(len(b.rest)) { // an event has a byte at least: a few bytes must not become millions of them
		b.bad = fmt.Sprintf("the block says that it has %d records, in %d bytes", head.count, len(b.rest))
	}
	return nil
}

// take goes over one record of the block, or all that are left where they cannot
// be told apart.
func (c *Cursor) take() (value []byte, verdict string) {
	b := c.box
	if b.bad != "" {
		b.unit, b.left = b.unit+b.left, 0
		return b.raw, b.bad
	}
	n := len(b.rest) // the last one has all that is left: what is too much makes it bad
	if b.left > 1 {
		n = b.measure(b.rest)
	}
	if n < 0 || n > len(b.rest) {
		verdict = fmt.Sprintf("not a value of the file's schema, so that neither it nor the %d that follow it in their block can be read", b.left-1)
		value = b.rest
		b.unit, b.left = b.unit+b.left, 0
		return value, verdict
	}
	value, b.rest = b.rest[:n], b.rest[n:]
	b.unit++
	b.left--
	return value, ""
}

// nextValue is Next of containers. A value has a zero byte and the number of its
// schema in front, as in Kafka.
func (c *Cursor) nextValue() (source.Record, bool) {
	c.verdict = ""
	e := &c.extent
	b := c.box
	for c.err == nil && b != nil && b.unit < e.start+e.size {
		if b.left == 0 {
			head, err := c.content.block()
			if err == nil {
				err = c.load(head)
			}
			if err != nil {
				c.err = shrunk(err)
			}
			continue
		}
		at := e.base + b.unit - e.start
		b.plain, c.verdict = c.take()
		c.at = e.base + b.unit - e.start
		b.value = binary.BigEndian.AppendUint32(append(b.value[:0], 0), b.id)
		b.value = append(b.value, b.plain...)
		return source.Record{Offset: at, Timestamp: e.time, Value: b.value, LeaderEpoch: -1}, true
	}
	return source.Record{}, false
}

// Original is the latest record as it is in the file.
func (c *Cursor) Original(r source.Record) []byte {
	if c.box != nil {
		return c.box.plain
	}
	return r.Value
}
