package folder

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Compression of a file.
type Compression uint8

// The compressions. Auto is for Options only.
const (
	Auto Compression = iota
	Plain
	Gzip
	Zstd
)

// content is a file that is open, read as what it decompresses to.
type content struct {
	f      *os.File
	packed Compression
	r      *bufio.Reader
	at     int64 // of r
	buffer int   // bytes of r's buffer
	unpack io.Closer
}

// maxWindow bounds what a zstd file makes its reader hold.
const maxWindow = 128 << 20

// openContent opens a regular file and nothing else: a FIFO or a device would
// block, or never end.
func openContent(path string, packed Compression) (*content, fs.FileInfo, error) {
	// Not blocking: a FIFO could have taken the file's place since it was listed.
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(path, info.Mode())
	}
	if err == nil && packed == Auto {
		packed, err = detect(f)
	}
	c := &content{f: f, packed: packed}
	if err == nil {
		// No more memory than the file needs: there can be very many small ones.
		c.buffer = int(min(max(info.Size()+1, 4<<10), 256<<10))
		if packed != Plain {
			c.buffer = 64 << 10
		}
		if err = c.seek(0); err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return c, info, nil
}

func notRegular(path string, m fs.FileMode) error {
	what := "not a regular file"
	switch {
	case m.IsDir():
		what = "a folder; name its files, such as " + path + "/*.jsonl"
	case m&fs.ModeNamedPipe != 0:
		what = "a FIFO, which cannot be read twice"
	case m&fs.ModeSocket != 0:
		what = "a socket"
	case m&fs.ModeDevice != 0:
		what = "a device"
	}
	return fmt.Errorf("%s is %s", path, what)
}

// detect looks at the first bytes, whatever the name says.
func detect(f *os.File) (Compression, error) {
	var b [4]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return Plain, err
	}
	switch {
	case n >= 2 && b[0] == 0x1f && b[1] == 0x8b:
		return Gzip, nil
	case n == 4 && bytes.Equal(b[:], []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return Zstd, nil
	}
	return Plain, nil
}

// seek goes to a byte of the content. Backwards in a compressed file means from
// its beginning.
func (c *content) seek(to int64) error {
	const near = 1 << 20 // is read over rather than given up what is buffered
	if c.r == nil || to < c.at || c.packed == Plain && to-c.at > near {
		start := int64(0)
		if c.packed == Plain {
			start = to
		}
		if _, err := c.f.Seek(start, io.SeekStart); err != nil {
			return err
		}
		if err := c.start(); err != nil {
			return err
		}
		c.at = start
	}
	n, err := io.CopyN(io.Discard, c.r, to-c.at)
	c.at += n
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (c *content) start() error {
	var r io.Reader = c.f
	if c.unpack != nil {
		_ = c.unpack.Close()
		c.unpack = nil
	}
	switch c.packed {
	case Gzip:
		z, err := gzip.NewReader(bufio.NewReaderSize(c.f, 64<<10))
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("gzip: %w", err)
		}
		r, c.unpack = z, z
	case Zstd:
		z, err := zstd.NewReader(c.f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return fmt.Errorf("zstd: %w", err)
		}
		r, c.unpack = z, z.IOReadCloser()
	}
	if c.r == nil {
		c.r = bufio.NewReaderSize(r, c.buffer)
	} else {
		c.r.Reset(r)
	}
	return nil
}

func (c *content) close() {
	if c == nil {
		return
	}
	if c.unpack != nil {
		_ = c.unpack.Close()
	}
	_ = c.f.Close()
}

// print is a hash of some bytes of a content, and how many.
type print struct {
	size int64
	hash [16]byte
}

// printSize is how many bytes are looked at to know a file again.
const printSize = 4096

func printOf(b []byte) print {
	h := sha256.Sum256(b)
	p := print{size: int64(len(b))}
	copy(p.hash[:], h[:])
	return p
}

func (p print) put(b []byte) []byte { return putText(putNumbers(b, p.size), string(p.hash[:])) }

func readPrint(w *wire) print {
	p := print{size: w.number()}
	copy(p.hash[:], w.text())
	return p
}

// prints are those of a content's first bytes and of the last ones before at.
func (c *content) prints(at int64) (head, tail print, err error) {
	n := min(at, printSize)
	b := make([]byte, n)
	if c.packed == Plain { // without moving the reader
		if _, err := c.f.ReadAt(b, 0); err != nil {
			return head, tail, unexpected(err)
		}
		head = printOf(b)
		if _, err := c.f.ReadAt(b, at-n); err != nil {
			return head, tail, unexpected(err)
		}
		return head, printOf(b), nil
	}
	if err := c.seek(0); err != nil {
		return head, tail, err
	}
	if err := c.full(b); err != nil {
		return head, tail, err
	}
	head = printOf(b)
	if err := c.seek(at - n); err != nil {
		return head, tail, err
	}
	if err := c.full(b); err != nil {
		return head, tail, err
	}
	return head, printOf(b), nil
}

func (c *content) full(b []byte) error {
	n, err := io.ReadFull(c.r, b)
	c.at += int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// holds says whether a content is the one that a file was: it has the bytes that
// were read of it at its beginning and at the end of what was read.
func (c *content) holds(f *file) (bool, error) {
	head, tail, err := c.prints(f.at)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return err == nil && head == f.head && tail == f.tail, err
}
