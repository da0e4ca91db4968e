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

// record reads the first record of body into rec. In Offset is the delta; the caller checks and adds it. It returns what the record
// takes, 0 if there is none. Every record goes through here.
func (b *batch) record(body []byte, rec *Record) int {
	length, n := varint(body)
	if n <= 0 || length < 1 || length > int64(len(body)-n) {
		return 0
	}
	size := n + int(length)
	p := body[n+1 : size : size] // one byte of attributes, none of which is defined
	stamp, n := varint(p)
	if n <= 0 {
		return 0
	}
	p = p[n:]
	if rec.Offset, n = varint(p); n <= 0 {
		return 0
	}
	p = p[n:]
	if rec.Key, n = bytesAt(p); n <= 0 {
		return 0
	}
	p = p[n:]
	if rec.Value, n = bytesAt(p); n <= 0 {
		return 0
	}
	p = p[n:]
	count, n := varint(p)
	if n <= 0 || count < 0 || count > math.MaxInt32 || !soundHeaders(p[n:], count) {
		return 0
	}
	rec.Headers = Headers{}
	if count > 0 {
		rec.Headers = Headers{raw: p[n:], n: int32(count)}
	}
	rec.LeaderEpoch = b.epoch
	rec.Timestamp = b.baseTimestamp + stamp
	if b.stamped {
		rec.Timestamp = b.maxTimestamp
	}
	return size
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

// varint reads a zigzag number; n is 0 if b ends within it and negative if it does not fit. Small numbers, which nearly all are, are
// read without a loop.
func varint(b []byte) (v int64, n int) {
	if len(b) > 1 {
		if b[0] < 0x80 {
			return int64(b[0]>>1) ^ -int64(b[0]&1), 1
		}
		if b[1] < 0x80 {
			u := uint64(b[0]&0x7f) | uint64(b[1])<<7
			return int64(u>>1) ^ -int64(u&1), 2
		}
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
