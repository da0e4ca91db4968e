package folder

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// Limits of Avro containers. What a block says of itself is not believed.
const (
	maxHeader       = 4 << 20  // bytes of a header, which holds the schema
	maxBlock        = 64 << 20 // bytes of a block, as it is stored and unpacked
	maxBlockRecords = 1 << 24
	syncSize        = 16
)

// header is what an Avro container says of itself.
type header struct {
	schema []byte
	codec  string
	sync   [syncSize]byte
	end    int64 // where the first block starts
}

// readHeader reads a container's header from the beginning of its content.
func readHeader(c *content) (*header, error) {
	if err := c.seek(0); err != nil {
		return nil, err
	}
	magic := make([]byte, 4)
	if err := c.full(magic); err != nil {
		return nil, err
	}
	if !bytes.Equal(magic, []byte("Obj\x01")) {
		return nil, errors.New("byte 0: not an Avro object container: its first bytes are not Obj and 1")
	}
	h := &header{codec: "null"}
	for {
		n, err := c.long()
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		if n < 0 { // the size of the entries follows, which nobody needs
			if n = -n; n < 0 {
				return nil, errors.New("the header is damaged")
			}
			if _, err := c.long(); err != nil {
				return nil, err
			}
		}
		for ; n > 0; n-- {
			key, err := c.bytes(maxHeader)
			if err != nil {
				return nil, err
			}
			value, err := c.bytes(maxHeader)
			if err != nil {
				return nil, err
			}
			switch string(key) {
			case "avro.schema":
				h.schema = value
			case "avro.codec":
				h.codec = string(value)
			}
		}
	}
	if err := c.full(h.sync[:]); err != nil {
		return nil, err
	}
	h.end = c.at
	if h.schema == nil {
		return nil, errors.New("the header has no schema")
	}
	switch h.codec {
	case "null", "deflate", "snappy", "zstandard":
		return h, nil
	}
	return nil, fmt.Errorf("codec %.20q is not known; null, deflate, snappy and zstandard are", h.codec)
}

// long reads an Avro long. At the very end of the content: io.EOF.
func (c *content) long() (int64, error) {
	var u uint64
	for shift := uint(0); shift < 64; shift += 7 {
		b, err := c.r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) && shift > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		c.at++
		u |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return int64(u>>1) ^ -int64(u&1), nil
		}
	}
	return 0, fmt.Errorf("byte %d: a number that is too long", c.at)
}

func (c *content) bytes(limit int64) ([]byte, error) {
	n, err := c.long()
	if err != nil {
		return nil, unexpected(err)
	}
	if n < 0 || n > limit-c.at { // in this order: a length near 2^63 would run over
		return nil, fmt.Errorf("byte %d: a header of more than %d bytes, or a damaged one", c.at, limit)
	}
	b := make([]byte, n)
	return b, c.full(b)
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// block is the head of a block.
type block struct {
	at    int64 // where it starts
	count int64
	size  int64
}

// block reads the head of the next block. io.EOF: there is none.
func (c *content) block() (block, error) {
	b := block{at: c.at}
	var err error
	if b.count, err = c.long(); err != nil {
		return b, err
	}
	if b.size, err = c.long(); err != nil {
		return b, unexpected(err)
	}
	if b.count < 0 || b.count > maxBlockRecords || b.size < 0 || b.size > maxBlock {
		return b, fmt.Errorf("byte %d: a block of %d records in %d bytes: at most %d in %d are taken", b.at, b.count, b.size, maxBlockRecords, maxBlock)
	}
	return b, nil
}

// skip goes behind a block.
func (c *content) skip(b block, h *header) error {
	if err := c.seek(c.at + b.size); err != nil {
		return err
	}
	return c.marker(b, h)
}

func (c *content) marker(b block, h *header) error {
	var sync [syncSize]byte
	if err := c.full(sync[:]); err != nil {
		return err
	}
	if sync != h.sync {
		return fmt.Errorf("byte %d: the block does not end with the sync marker of the file", b.at)
	}
	return nil
}

// unpack undoes a container's codec.
func (h *header) unpack(dst, src []byte) ([]byte, error) {
	switch h.codec {
	case "null":
		return src, nil
	case "deflate":
		return bounded(dst, flate.NewReader(bytes.NewReader(src)))
	case "zstandard":
		z, err := zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		return bounded(dst, z)
	}
	if len(src) < 4 {
		return nil, io.ErrUnexpectedEOF
	}
	body, sum := src[:len(src)-4], binary.BigEndian.Uint32(src[len(src)-4:])
	n, err := snappy.DecodedLen(body)
	if err != nil {
		return nil, err
	}
	if n > maxBlock {
		return nil, errBlock
	}
	out, err := snappy.Decode(dst[:cap(dst)], body)
	if err == nil && crc32.ChecksumIEEE(out) != sum {
		err = errors.New("its checksum is wrong")
	}
	return out, err
}

var errBlock = fmt.Errorf("it unpacks to more than %d bytes", maxBlock)

func bounded(dst []byte, r io.Reader) ([]byte, error) {
	b := bytes.NewBuffer(dst[:0])
	n, err := b.ReadFrom(io.LimitReader(r, maxBlock+1))
	if err == nil && n > maxBlock {
		err = errBlock
	}
	return b.Bytes(), err
}

// FirstSchema is the schema of the first container that there is.
func FirstSchema(o Options) ([]byte, error) {
	paths, errs := expand(o.Paths)
	var first error
	for _, e := range errs {
		first = e.err
	}
	for _, p := range paths {
		c, _, err := openContent(p.path, o.Compression)
		if err == nil {
			var h *header
			if h, err = readHeader(c); err == nil {
				c.close()
				return h.schema, nil
			}
			c.close()
			err = fmt.Errorf("%s: %w", p.path, err)
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = errors.New("there is no file yet")
	}
	return nil, fmt.Errorf("what the files hold is not known without schema: FILE.avsc: %w", first)
}
