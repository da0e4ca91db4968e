package source

import (
	"encoding/binary"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// packer compresses batches to be produced. It is safe for concurrent use; the encoder is made when it is first needed.
type packer struct {
	once sync.Once
	zstd *zstd.Encoder
	err  error
}

// pack compresses the records of a batch, if that makes it smaller. The copy of a record that came compressed would otherwise be larger
// than any limit that the record itself has passed.
func (p *packer) pack(batch []byte) ([]byte, error) {
	const smallest = 256 // of less there is nothing to win
	if len(batch) < batchHeader+smallest {
		return batch, nil
	}
	p.once.Do(func() {
		p.zstd, p.err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	})
	if p.err != nil {
		return nil, p.err
	}
	out := append(make([]byte, 0, batchHeader+len(batch)/2), batch[:batchHeader]...)
	out = p.zstd.EncodeAll(batch[batchHeader:], out)
	if len(out) >= len(batch) {
		return batch, nil
	}
	out[22] |= codecZstd
	binary.BigEndian.PutUint32(out[8:], uint32(len(out)-batchPrefix))
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], castagnoli))
	return out, nil
}
