package source

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// testBatch is a batch to be built by hand, sound unless something says otherwise.
type testBatch struct {
	base      int64
	records   []ProduceRecord
	deltas    []int // offset deltas, default 0, 1, 2…
	last      int   // last offset delta, default that of the last record; -1 stands for 0 without records
	count     int64 // default len(records); -1 stands for 0
	codec     int
	attrs     int16
	producer  int64 // default -1
	epoch     int32
	body      []byte // instead of records, packed as it is
	raw       []byte // instead of body, not packed
	baseStamp int64
	maxStamp  int64
	magic     byte
}

func (tb testBatch) build(t testing.TB) []byte {
	body := tb.body
	last := 0
	for i, r := range tb.records {
		last = i
		if tb.deltas != nil {
			last = tb.deltas[i]
		}
		if tb.body == nil {
			rec := appendRecord(nil, r, int64(i), last)
			body = binary.AppendVarint(body, int64(len(rec)))
			body = append(body, rec...)
		}
	}
	if tb.last != 0 {
		last = max(tb.last, 0)
	}
	count := tb.count
	switch {
	case count == 0:
		count = int64(len(tb.records))
	case count == -1:
		count = 0
	}
	if tb.raw != nil {
		body = tb.raw
	} else {
		body = pack(t, tb.codec, body)
	}
	b := make([]byte, batchHeader, batchHeader+len(body))
	b = append(b, body...)
	binary.BigEndian.PutUint64(b, uint64(tb.base))
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[12:], uint32(tb.epoch))
	b[16] = 2
	if tb.magic != 0 {
		b[16] = tb.magic - 1
	}
	binary.BigEndian.PutUint16(b[21:], uint16(tb.attrs)|uint16(tb.codec))
	binary.BigEndian.PutUint32(b[23:], uint32(last))
	binary.BigEndian.PutUint64(b[27:], uint64(tb.baseStamp))
	binary.BigEndian.PutUint64(b[35:], uint64(tb.maxStamp))
	producer := tb.producer
	if producer == 0 {
		producer = -1
	}
	binary.BigEndian.PutUint64(b[43:], uint64(producer))
	binary.BigEndian.PutUint32(b[57:], uint32(count))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}

// marker is the control batch at the end of a transaction.
func marker(t testing.TB, base, producer int64, commit bool) []byte {
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	}
	return testBatch{base: base, producer: producer, attrs: attrControl | attrTransactional, records: []ProduceRecord{{Key: key, Value: make([]byte, 6)}}}.build(t)
}

func pack(t testing.TB, codec int, b []byte) []byte {
	var out bytes.Buffer
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	switch codec {
	case codecNone:
		return b
	case codecGzip:
		w := gzip.NewWriter(&out)
		_, err := w.Write(b)
		must(err)
		must(w.Close())
	case codecSnappy:
		return snappy.Encode(nil, b)
	case codecLZ4:
		return packLZ4(t, b)
	case codecZstd:
		w, err := zstd.NewWriter(nil)
		must(err)
		return w.EncodeAll(b, nil)
	default:
		return b
	}
	return out.Bytes()
}

func packLZ4(t testing.TB, b []byte, opts ...lz4.Option) []byte {
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	opts = append([]lz4.Option{lz4.BlockSizeOption(lz4.Block64Kb), lz4.ConcurrencyOption(1)}, opts...)
	if err := w.Apply(opts...); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// packXerial is snappy as Java producers frame it.
func packXerial(b []byte, block int) []byte {
	out := []byte(xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01")
	for len(b) > 0 {
		n := min(block, len(b))
		p := snappy.Encode(nil, b[:n])
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
		b = b[n:]
	}
	return out
}

// events are records of about 250 bytes that shrink as events do.
func events(n int) []ProduceRecord {
	rnd := rand.New(rand.NewPCG(1, 2))
	out := make([]ProduceRecord, n)
	for i := range out {
		v := fmt.Sprintf(`{"id":"%016x%016x","time":%d,"type":"%s","server":"edge-%d","payload":{"campaign_id":%d,"publisher_id":%d,"country":"%s","os":"android","device":"phone","price":%.6f,"cost":%.6f}}`,
			rnd.Uint64(), rnd.Uint64(), 1700000000000+int64(i)*7, []string{"impression", "click", "deposit"}[rnd.IntN(3)], rnd.IntN(40),
			rnd.IntN(5000), rnd.IntN(900), []string{"DE", "US", "BR", "IN"}[rnd.IntN(4)], rnd.Float64(), rnd.Float64())
		out[i] = ProduceRecord{Key: fmt.Appendf(nil, "%08x", rnd.Uint32()), Value: []byte(v)}
	}
	return out
}
