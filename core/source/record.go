package source

import (
	"encoding/binary"
	"errors"
	"iter"
	"math"
)

// Headers of a record, read when asked for. Their form has been checked.
type Headers struct {
	raw []byte
	n   int32
}

// Len is the number of headers.
func (h Headers) Len() int { return int(h.n) }

// All gives the headers in order. A nil value is null. The bytes live as long as the record's.
func (h Headers) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		b := h.raw
		for range h.n {
			key, n := bytesAt(b)
			value, m := bytesAt(b[n:])
			b = b[n+m:]
			if !yield(key, value) {
				return
			}
		}
	}
}

// Get returns the last header of a name.
func (h Headers) Get(name string) (value []byte, ok bool) {
	for k, v := range h.All() {
		if string(k) == name {
			value, ok = v, true
		}
	}
	return value, ok
}

// record reads the first record of body. In Offset is the delta; the caller checks and adds it. size is what the record takes.
//
// Every record goes through here, so it is written out: the varints of small numbers are one byte, and one compare tells.
func (b *batch) record(body []byte) (rec Record, size int, ok bool) {
	length, n := varint(body)
	if n <= 0 || length < 0 || length > int64(len(body)-n) {
		return rec, 0, false
	}
	size = n + int(length)
	p := body[n:size:size]
	if len(p) < 1 {
		return rec, 0, false
	}
	p = p[1:] // attributes: none are defined
	stamp, n := varint(p)
	if n <= 0 {
		return rec, 0, false
	}
	p = p[n:]
	delta, n := varint(p)
	if n <= 0 {
		return rec, 0, false
	}
	p = p[n:]
	key, n := bytesAt(p)
	if n <= 0 {
		return rec, 0, false
	}
	p = p[n:]
	value, n := bytesAt(p)
	if n <= 0 {
		return rec, 0, false
	}
	p = p[n:]
	count, n := varint(p)
	if n <= 0 || count < 0 || count > math.MaxInt32 || !soundHeaders(p[n:], count) {
		return rec, 0, false
	}
	rec.Offset, rec.LeaderEpoch = delta, b.epoch
	rec.Timestamp = b.baseTimestamp + stamp
	if b.logT {
		rec.Timestamp = b.maxTimestamp
	}
	rec.Key, rec.Value = key, value
	if count > 0 {
		rec.Headers = Headers{raw: p[n:], n: int32(count)}
	}
	return rec, size, true
}

// soundHeaders checks that b is exactly count headers. The count is never used as a size.
func soundHeaders(b []byte, count int64) bool {
	for ; count > 0; count-- {
		key, n := bytesAt(b)
		if n <= 0 || key == nil {
			return false
		}
		b = b[n:]
		if _, n = bytesAt(b); n <= 0 {
			return false
		}
		b = b[n:]
	}
	return len(b) == 0
}

// bytesAt reads a length and as many bytes; nil for length -1. n is what it took, 0 if b is no such thing.
func bytesAt(b []byte) (v []byte, n int) {
	length, n := varint(b)
	if n <= 0 || length < -1 || length > int64(len(b)-n) {
		return nil, 0
	}
	if length < 0 {
		return nil, n
	}
	end := n + int(length)
	return b[n:end:end], end
}

// varint reads a zigzag number; n is 0 if b ends within it and negative if it does not fit.
func varint(b []byte) (v int64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		u := uint64(b[0])
		return int64(u>>1) ^ -int64(u&1), 1
	}
	return varintLong(b)
}

func varintLong(b []byte) (int64, int) {
	if len(b) > 1 && b[1] < 0x80 {
		u := uint64(b[0]&0x7f) | uint64(b[1])<<7
		return int64(u>>1) ^ -int64(u&1), 2
	}
	return binary.Varint(b)
}

// recordError tells what is wrong with a record that could not be read.
func recordError(body []byte) error {
	length, n := varint(body)
	switch {
	case n <= 0:
		return errors.New("fewer records than the header says")
	case length < 0 || length > int64(len(body)-n):
		return errors.New("a record is longer than the batch")
	}
	return errors.New("a record's fields do not fit into its length")
}
