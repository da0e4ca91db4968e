package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Codecs, as numbered in a batch's attributes.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

// errHeld says that the batch has to wait for the next Reset.
var errHeld = errors.New("held bytes reached their limit")

// unpacker decompresses batches. Every batch between two resets gets a buffer of its own, since records of all of them may be in use;
// the buffers are used again after a reset.
type unpacker struct {
	bufs [][]byte
	used int
	held int

	src     bytes.Reader
	gzip    *gzip.Reader
	zstd    *zstd.Decoder
	zstdMax int
}

// reset makes the buffers free again. Answers of unlike shapes grow unlike buffers; when all together hold more than the limits allow
// for one answer, they are dropped.
func (u *unpacker) reset(l Limits) {
	u.used, u.held = 0, 0
	total := 0
	for _, b := range u.bufs {
		total += cap(b)
	}
	if total > l.MaxHeldBytes+l.MaxBatchBytes {
		clear(u.bufs)
	}
}

// records returns the records of b, unpacked.
func (u *unpacker) records(b batch, l Limits) ([]byte, error) {
	codec := b.attributes & attrCodec
	if codec == codecNone {
		return b.records, nil
	}
	if l.OneBatch {
		u.used, u.held = 0, 0
	}
	if u.used > 0 && u.held+4*len(b.records) > l.MaxHeldBytes {
		return nil, errHeld // by a guess: 4 is what event data usually shrinks to, and one batch more is bounded too
	}
	if u.used == len(u.bufs) {
		u.bufs = append(u.bufs, nil)
	}
	dst, err := u.decompress(int(codec), u.bufs[u.used][:0], b.records, l.MaxBatchBytes)
	if err != nil {
		return nil, err
	}
	u.bufs[u.used] = dst
	u.used++
	u.held += len(dst)
	return dst, nil
}

// footprint is the memory that u keeps for batches.
func (u *unpacker) footprint() (n int64) {
	for _, b := range u.bufs {
		n += int64(cap(b))
	}
	return n
}

func (u *unpacker) decompress(codec int, dst, src []byte, limit int) ([]byte, error) {
	var err error
	switch codec {
	case codecGzip:
		dst, err = u.unzip(dst, src, limit)
	case codecSnappy:
		dst, err = unsnappy(dst, src, limit)
	case codecLZ4:
		dst, err = unlz4(dst, src, limit)
	case codecZstd:
		dst, err = u.unzstd(dst, src, limit)
	default:
		return nil, fmt.Errorf("compression %d is not known", codec)
	}
	if err != nil {
		return nil, fmt.Errorf("decompress %s: %w", [...]string{"none", "gzip", "snappy", "lz4", "zstd"}[codec], err)
	}
	return dst, nil
}

func (u *unpacker) unzip(dst, src []byte, limit int) ([]byte, error) {
	u.src.Reset(src)
	var err error
	if u.gzip == nil {
		u.gzip, err = gzip.NewReader(&u.src)
	} else {
		err = u.gzip.Reset(&u.src)
	}
	if err != nil {
		return nil, err
	}
	dst = room(dst, min(limit, 4*len(src)), limit)
	for {
		if len(dst) == cap(dst) {
			if len(dst) > limit {
				return nil, &LimitError{limit}
			}
			dst = room(dst, min(len(dst)+512, limit-len(dst)+1), limit)
		}
		n, err := u.gzip.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > limit {
			return nil, &LimitError{limit}
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (u *unpacker) unzstd(dst, src []byte, limit int) ([]byte, error) {
	if u.zstd == nil || u.zstdMax != limit {
		// The frame's checksum is not computed: the batch's has covered its bytes.
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(limit)), zstd.IgnoreChecksum(true))
		if err != nil {
			return nil, err
		}
		u.zstd, u.zstdMax = z, limit
	}
	dst, err := u.zstd.DecodeAll(src, dst)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, &LimitError{limit}
	case err != nil:
		return nil, err
	}
	return dst, nil
}

// room gives dst space for n more bytes, keeping what is in it. It grows by
// doubling, up to the limit of a batch: a batch that unpacks to much, little by
// little, would otherwise be copied as often as it grows.
func room(dst []byte, n, limit int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	grown := make([]byte, len(dst), max(len(dst)+n, min(2*cap(dst), limit)))
	copy(grown, dst)
	return grown
}
