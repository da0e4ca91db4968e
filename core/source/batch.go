package source

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

const (
	batchHeader = 61 // bytes before the records
	batchPrefix = 12 // base offset and length, which the length does not count
)

// Attribute bits of a batch.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

// castagnoli is only read.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch is the header of a record batch in format 2 and its records as they are stored.
type batch struct {
	base, last                      int64 // first and last offset; after compaction there may be no record at either
	baseTimestamp, maxTimestamp     int64
	producer                        int64
	lastDelta, count, epoch         int32
	attributes                      int16
	records                         []byte
	control, transactional, stamped bool // stamped: by the broker, all records at maxTimestamp
}

// BatchError says that stored bytes are not a sound record batch.
type BatchError struct {
	Base int64 // base offset of the batch
	Err  error
}

func (e *BatchError) Error() string {
	return fmt.Sprintf("record batch at offset %d: %v", e.Base, e.Err)
}
func (e *BatchError) Unwrap() error { return e.Err }

// TornError says that an answer ends within its first batch: the next one must be allowed Need bytes.
type TornError struct {
	Base int64
	Need int
}

func (e *TornError) Error() string {
	return fmt.Sprintf("record batch at offset %d needs %d bytes", e.Base, e.Need)
}

// LimitError says that a batch is, or unpacks to, more than the reader may hold.
type LimitError struct {
	Limit int
}

func (e *LimitError) Error() string { return fmt.Sprintf("larger than the limit of %d bytes", e.Limit) }

func baseOffset(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

// batchSize is the whole size of the batch that b, of at least batchPrefix bytes, begins with.
func batchSize(b []byte) int64 {
	return batchPrefix + int64(int32(binary.BigEndian.Uint32(b[8:])))
}

// parseBatch checks and splits one whole batch.
func parseBatch(b []byte) (batch, error) {
	base := baseOffset(b)
	bad := func(format string, a ...any) (batch, error) {
		return batch{}, &BatchError{Base: base, Err: fmt.Errorf(format, a...)}
	}
	if len(b) <= 16 {
		return bad("length of %d bytes is impossible", len(b))
	}
	if magic := b[16]; magic != 2 {
		return bad("format %d is not supported, only 2 (Kafka 0.11 and later)", magic)
	}
	if len(b) < batchHeader {
		return bad("length of %d bytes is impossible", len(b))
	}
	if want, got := binary.BigEndian.Uint32(b[17:]), crc32.Checksum(b[21:], castagnoli); want != got {
		return bad("checksum is %08x, must be %08x", got, want)
	}
	x := batch{
		base:          base,
		epoch:         int32(binary.BigEndian.Uint32(b[12:])),
		attributes:    int16(binary.BigEndian.Uint16(b[21:])),
		lastDelta:     int32(binary.BigEndian.Uint32(b[23:])),
		baseTimestamp: int64(binary.BigEndian.Uint64(b[27:])),
		maxTimestamp:  int64(binary.BigEndian.Uint64(b[35:])),
		producer:      int64(binary.BigEndian.Uint64(b[43:])),
		count:         int32(binary.BigEndian.Uint32(b[57:])),
		records:       b[batchHeader:len(b):len(b)],
	}
	x.control = x.attributes&attrControl != 0
	x.transactional = x.attributes&attrTransactional != 0
	x.stamped = x.attributes&attrLogAppendTime != 0
	if x.base < 0 || x.lastDelta < 0 || x.base > math.MaxInt64-1-int64(x.lastDelta) {
		return bad("last offset delta %d is impossible", x.lastDelta)
	}
	if x.count < 0 || int64(x.count) > int64(x.lastDelta)+1 {
		return bad("%d records in %d offsets are impossible", x.count, int64(x.lastDelta)+1)
	}
	x.last = x.base + int64(x.lastDelta)
	return x, nil
}

// LastOf is the last offset of the batches that an answer has in whole, and its leader epoch. Not ok: there is none, or they are not
// sound, which the Reader will say.
func LastOf(batches []byte) (offset int64, epoch int32, ok bool) {
	for len(batches) >= batchHeader {
		size := batchSize(batches)
		if size < batchHeader || size > int64(len(batches)) {
			break
		}
		delta := int32(binary.BigEndian.Uint32(batches[23:]))
		offset, epoch, ok = baseOffset(batches)+int64(delta), int32(binary.BigEndian.Uint32(batches[12:])), true
		batches = batches[size:]
	}
	return offset, epoch, ok
}
