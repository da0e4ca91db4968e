package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetcher reads one partition from its start, one request after the other.
type fetcher struct {
	conn      net.Conn
	topic     string
	partition int32
	next      int64
	out, in   []byte
	plain     []byte // of one batch
}

func dialFetcher(addr, topic string, partition int32) (*fetcher, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &fetcher{conn: conn, topic: topic, partition: partition}, nil
}

// fetchSize is how many bytes one request asks for.
const fetchSize = 2 << 20

// fetch hands over the values of one answer; no more: the end was reached.
func (f *fetcher) fetch(take func(value []byte) error) (more bool, err error) {
	q := kmsg.NewPtrFetchRequest()
	q.Version = 11
	q.ReplicaID, q.SessionEpoch, q.MinBytes, q.MaxBytes, q.MaxWaitMillis = -1, -1, 1, fetchSize, 500
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = f.partition, f.next, fetchSize, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.Partitions = f.topic, []kmsg.FetchRequestTopicPartition{p}
	q.Topics = []kmsg.FetchRequestTopic{t}
	f.out = kmsg.NewRequestFormatter(kmsg.FormatterClientID("ceiling")).AppendRequest(f.out[:0], q, 1)
	if _, err := f.conn.Write(f.out); err != nil {
		return false, err
	}
	var size [8]byte // and the correlation id
	if _, err := io.ReadFull(f.conn, size[:]); err != nil {
		return false, err
	}
	n := int(binary.BigEndian.Uint32(size[:])) - 4
	if cap(f.in) < n {
		f.in = make([]byte, n)
	}
	if _, err := io.ReadFull(f.conn, f.in[:n]); err != nil {
		return false, err
	}
	a := kmsg.NewPtrFetchResponse()
	a.Version = 11
	if err := a.UnsafeReadFrom(f.in[:n]); err != nil {
		return false, err
	}
	if a.ErrorCode != 0 || len(a.Topics) != 1 || len(a.Topics[0].Partitions) != 1 {
		return false, fmt.Errorf("fetch %s[%d]: code %d, %d topics", f.topic, f.partition, a.ErrorCode, len(a.Topics))
	}
	got := a.Topics[0].Partitions[0]
	if got.ErrorCode != 0 {
		return false, fmt.Errorf("fetch %s[%d] at %d: code %d", f.topic, f.partition, f.next, got.ErrorCode)
	}
	if err := f.batches(got.RecordBatches, take); err != nil {
		return false, err
	}
	return f.next < got.HighWatermark, nil
}

// Offsets of parts of a record batch, and its size without records.
const (
	batchLength = 8
	batchFlags  = 21
	batchDelta  = 23
	batchCount  = 57
	batchHeader = 61
)

func (f *fetcher) batches(b []byte, take func([]byte) error) error {
	for len(b) >= batchHeader {
		size := 12 + int(binary.BigEndian.Uint32(b[batchLength:]))
		if len(b) < size {
			return nil // cut off; it comes whole the next time
		}
		one := b[:size]
		b = b[size:]
		records := one[batchHeader:]
		switch binary.BigEndian.Uint16(one[batchFlags:]) & 7 {
		case 0:
		case 3:
			var err error
			if records, err = f.unpack(records); err != nil {
				return err
			}
		default:
			return errors.New("a codec that this benchmark does not use")
		}
		base := int64(binary.BigEndian.Uint64(one))
		if err := f.records(records, base, int(binary.BigEndian.Uint32(one[batchCount:])), take); err != nil {
			return err
		}
		f.next = base + int64(binary.BigEndian.Uint32(one[batchDelta:])) + 1
	}
	return nil
}

// unpack decompresses an LZ4 frame whose blocks do not depend on each other, as
// the producer of this benchmark writes them.
func (f *fetcher) unpack(b []byte) ([]byte, error) {
	const magic, largest = 0x184D2204, 4 << 20
	if len(b) < 11 || binary.LittleEndian.Uint32(b) != magic || b[4]&0x20 == 0 {
		return nil, errors.New("not such an LZ4 frame")
	}
	head := 7
	if b[4]&8 != 0 { // the size of the content
		head += 8
	}
	checked := b[4]&16 != 0 // each block has a checksum
	b = b[head:]
	out := f.plain[:0]
	for len(b) >= 4 {
		size := binary.LittleEndian.Uint32(b)
		n := int(size &^ (1 << 31))
		if b = b[4:]; n == 0 || n > len(b) {
			break
		}
		if size>>31 != 0 {
			out = append(out, b[:n]...)
		} else {
			out = slices.Grow(out, largest)
			k, err := lz4.UncompressBlock(b[:n], out[len(out):cap(out)])
			if err != nil {
				return nil, err
			}
			out = out[:len(out)+k]
		}
		if b = b[n:]; checked {
			b = b[4:]
		}
	}
	f.plain = out
	return out, nil
}

func (f *fetcher) records(b []byte, base int64, count int, take func([]byte) error) error {
	for range count {
		s := scan{b: b}
		size := s.long()
		if s.bad || size < 1 || size > int64(len(s.b)) {
			return errors.New("a record that ends too early")
		}
		b = s.b[size:]
		s.b = s.b[1:size] // behind the attributes
		s.long()          // time
		offset := base + s.long()
		if key := s.long(); key > 0 && key <= int64(len(s.b)) {
			s.b = s.b[key:]
		}
		value := s.bytes()
		if s.bad {
			return errors.New("a record that ends too early")
		}
		if offset < f.next {
			continue
		}
		if err := take(value); err != nil {
			return err
		}
	}
	return nil
}
