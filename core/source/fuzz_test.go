package source

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// FuzzReader feeds the reader bytes whose checksums are right, so that the faults lie behind them. Whatever comes in: no panic, no
// memory beyond the limits, offsets that ascend from the position on, and the same result again.
func FuzzReader(f *testing.F) {
	for codec := range 5 {
		f.Add(testBatch{base: 5, records: values(9, "seed"), codec: codec}.build(f), int64(6), int64(3), int64(5))
	}
	headers := []ProduceRecord{{Key: []byte("k"), Headers: []Header{{"a", nil}, {"b", []byte("x")}}}}
	f.Add(slices.Concat(txn(f, 0, 3, 2, "a"), marker(f, 2, 3, false), testBatch{base: 3, records: headers}.build(f)), int64(0), int64(3), int64(0))
	f.Add(testBatch{base: 1, last: 9, count: -1}.build(f)[:50], int64(0), int64(0), int64(0))
	f.Add(testBatch{records: events(20), raw: packXerial(testBatch{records: events(20)}.build(f)[batchHeader:], 1000), codec: codecSnappy}.build(f), int64(0), int64(0), int64(0))
	f.Add(testBatch{records: events(20), raw: packLinked(testBatch{records: events(20)}.build(f)[batchHeader:]), codec: codecLZ4}.build(f), int64(0), int64(0), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, from, producer, first int64) {
		if from < 0 {
			t.Skip()
		}
		data = slices.Clone(data)
		mend(data)
		answer := Fetched{Batches: data, Aborted: []Aborted{{producer, first}}}
		const limit = 256 << 10
		r := Reader{Limits: Limits{MaxBatchBytes: limit}}
		one, err := walkChecked(t, &r, answer, from)
		two, again := walkChecked(t, &r, answer, from)
		if !slices.Equal(one, two) || (err == nil) != (again == nil) {
			t.Fatal("two walks differ")
		}
		if r.unpack.held > 2*limit {
			t.Fatal("holds", r.unpack.held)
		}
		if want, ok := plainly(t, data, from); ok && err == nil && !slices.Equal(one, want) {
			t.Fatalf("read %v, and the reference %v", one, want)
		}
	})
}

// plainly reads batches with another implementation, of those that are neither
// compressed nor of a transaction nor followed by a torn one; ok: all are such.
func plainly(t *testing.T, data []byte, from int64) (out []got, ok bool) {
	for len(data) >= batchHeader && batchSize(data) >= batchHeader && batchSize(data) <= int64(len(data)) {
		var b kmsg.RecordBatch
		size := batchSize(data)
		if b.Attributes = int16(binary.BigEndian.Uint16(data[21:])); b.Attributes&^attrLogAppendTime != 0 {
			return nil, false
		}
		if err := b.ReadFrom(data[:size]); err != nil {
			return nil, false
		}
		data = data[size:]
		for range b.NumRecords {
			length, n := binary.Varint(b.Records)
			var rec kmsg.Record
			if n <= 0 || length < 0 || length > int64(len(b.Records)-n) || rec.ReadFrom(b.Records[:n+int(length)]) != nil {
				return nil, false
			}
			b.Records = b.Records[n+int(length):]
			// A batch that lies before the position by its header is not opened, whatever its records claim.
			if offset := b.FirstOffset + int64(rec.OffsetDelta); offset >= from && b.FirstOffset+int64(b.LastOffsetDelta) >= from {
				out = append(out, got{offset, string(rec.Key), string(rec.Value)})
			}
		}
	}
	return out, true
}

// mend puts the right checksum into every whole batch.
func mend(data []byte) {
	for len(data) >= batchHeader {
		size := batchSize(data)
		if size < batchHeader || size > int64(len(data)) {
			return
		}
		binary.BigEndian.PutUint32(data[17:], crc32.Checksum(data[21:size], castagnoli))
		data = data[size:]
	}
}

func walkChecked(t *testing.T, r *Reader, f Fetched, from int64) ([]got, error) {
	var out []got
	next := from
	for {
		r.Reset(f, next)
		for rec, ok := r.Next(); ok; rec, ok = r.Next() {
			if rec.Offset < next || r.NextOffset() <= rec.Offset {
				t.Fatalf("offset %d after position %d, next offset %d", rec.Offset, next, r.NextOffset())
			}
			next = rec.Offset + 1
			for k := range rec.Headers.All() {
				if k == nil {
					t.Fatal("null header key")
				}
			}
			out = append(out, got{rec.Offset, string(rec.Key), string(rec.Value)})
		}
		if r.NextOffset() < next {
			t.Fatal("next offset went back")
		}
		if !r.More() {
			return out, r.Err()
		}
		if next == r.NextOffset() && len(out) == 0 {
			t.Fatal("no progress")
		}
		next = r.NextOffset()
	}
}

// FuzzUserData checks that what other members send is read within bounds, and that what is read can be written again.
func FuzzUserData(f *testing.F) {
	f.Add(claim{generation: 3, info: "x", owned: []Slot{{"a", 1}, {"a", 7}, {"b", 0}}}.encode())
	f.Add(share{layouts: []Layout{{"a", 12, 3}}, slots: []Slot{{"a", 0}, {"a", 3}}}.encode(shareVersion))
	f.Add([]byte{1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add(share{layouts: []Layout{{"a", 12, 3}}, slots: []Slot{{"a", 0}}, settle: []Slot{{"a", 2}}}.encode(settleShareVersion))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := decodeClaim(b); err == nil {
			again, err := decodeClaim(c.encode())
			if err != nil || again.generation != c.generation || again.info != c.info || len(c.owned) > len(b) {
				t.Fatal(err, c, again)
			}
		}
		if s, err := decodeShare(b); err == nil {
			if _, err := decodeShare(s.encode(settleShareVersion)); err != nil || len(s.slots) > len(b) {
				t.Fatal(err, s)
			}
		}
	})
}
