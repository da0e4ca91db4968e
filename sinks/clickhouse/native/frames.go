package native

import (
	"encoding/binary"
	"io"

	"github.com/ClickHouse/ch-go/compress"
)

// Compression is how blocks are packed on the wire.
type Compression string

// The compressions.
const (
	None Compression = "none"
	LZ4  Compression = "lz4"
	ZSTD Compression = "zstd"
)

// frameSize is how much is compressed at once: small enough to stay in the
// processor's cache, and all that a connection holds of a block.
const frameSize = 1 << 20

// frames writes to a connection, block content compressed frame by frame. Its
// methods remember the first error, which flush returns.
type frames struct {
	to   io.Writer
	pack *compress.Writer // nil: not compressed
	buf  []byte
	err  error
}

func newFrames(to io.Writer, c Compression) *frames {
	f := &frames{to: to, buf: make([]byte, 0, 64<<10)}
	switch c {
	case LZ4:
		f.pack = compress.NewWriter(compress.LevelZero, compress.LZ4)
	case ZSTD:
		f.pack = compress.NewWriter(compress.LevelZero, compress.ZSTD)
	}
	return f
}

// Write appends bytes. Long ones that are not compressed go out as they are.
func (f *frames) Write(b []byte) {
	if f.pack == nil && len(b) >= 64<<10 {
		f.flush()
		f.send(b)
		return
	}
	for len(b) > 0 && f.err == nil {
		n := min(len(b), frameSize-len(f.buf))
		f.buf = append(f.buf, b[:n]...)
		if b = b[n:]; len(f.buf) == frameSize {
			f.flush()
		}
	}
}

func (f *frames) byte(b byte) {
	f.buf = append(f.buf, b)
	f.full()
}

func (f *frames) full() {
	if len(f.buf) >= frameSize-8 {
		f.flush()
	}
}

func (f *frames) uint32(v uint32)  { f.buf = binary.LittleEndian.AppendUint32(f.buf, v); f.full() }
func (f *frames) uint64(v uint64)  { f.buf = binary.LittleEndian.AppendUint64(f.buf, v); f.full() }
func (f *frames) uvarint(v uint64) { f.buf = binary.AppendUvarint(f.buf, v); f.full() }
func (f *frames) string(s string) {
	f.uvarint(uint64(len(s)))
	f.buf = append(f.buf, s...)
	f.full()
}
func (f *frames) zeros(n int) {
	for range n {
		f.byte(0)
	}
}

// flush ends a frame.
func (f *frames) flush() {
	if len(f.buf) == 0 || f.err != nil {
		f.buf = f.buf[:0]
		return
	}
	out := f.buf
	if f.pack != nil {
		if f.err = f.pack.Compress(f.buf); f.err != nil {
			return
		}
		out = f.pack.Data
	}
	f.send(out)
	f.buf = f.buf[:0]
}

func (f *frames) send(b []byte) {
	if f.err == nil {
		_, f.err = f.to.Write(b)
	}
}

// plain sends bytes past the compression: what is not the content of a block.
func (f *frames) plain(b []byte) { f.send(b) }
