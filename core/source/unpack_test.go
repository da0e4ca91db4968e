package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"github.com/pierrec/lz4/v4"
)

func TestReaderBombs(t *testing.T) {
	zeros := make([]byte, 32<<20)
	for _, c := range benchCodecs[1:] {
		t.Run(c.name, func(t *testing.T) {
			r := Reader{Limits: Limits{MaxBatchBytes: 1 << 20}}
			data := testBatch{records: values(1, "x"), raw: pack(t, c.codec, zeros), codec: c.codec}.build(t)
			if len(data) > 1<<20 { // snappy shrinks zeros by 20 only
				r.Limits.MaxBatchBytes = 4 << 20
			}
			_, err := walk(&r, Fetched{Batches: data}, 0)
			var le *LimitError
			if !errors.As(err, &le) || le.Limit != r.Limits.MaxBatchBytes {
				t.Fatal(err)
			}
			for _, b := range r.unpack.bufs {
				if cap(b) > 4*le.Limit {
					t.Fatal("holds", cap(b))
				}
			}
		})
	}
}

// A batch that unpacks little by little to the limit is not copied as often as
// it grows: what is allocated on the way is a small multiple of the limit.
func TestReaderBombsAreNotCopied(t *testing.T) {
	zeros := make([]byte, 40<<20)
	for _, c := range benchCodecs[1:] {
		t.Run(c.name, func(t *testing.T) {
			const limit = 32 << 20
			r := Reader{Limits: Limits{MaxBatchBytes: limit}}
			data := testBatch{records: values(1, "x"), raw: pack(t, c.codec, zeros), codec: c.codec}.build(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := walk(&r, Fetched{Batches: data}, 0)
			runtime.ReadMemStats(&after)
			var le *LimitError
			if !errors.As(err, &le) {
				t.Fatal(err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 4*limit {
				t.Fatalf("%d MiB were allocated for a limit of %d", n>>20, limit>>20)
			}
		})
	}
}

// A size written in front of a block is not believed before it is checked.
func TestReaderLyingSizes(t *testing.T) {
	snappyBlock := binary.AppendUvarint(nil, 1<<31)
	xerial := append([]byte(xerialMagic+"\x00\x00\x00\x01\x00\x00\x00\x01"), 0x7f, 0xff, 0xff, 0xff, 1)
	zstdHead := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0}
	cases := map[string]struct {
		codec int
		raw   []byte
	}{
		"snappy": {codecSnappy, snappyBlock}, "xerial": {codecSnappy, xerial}, "zstd": {codecZstd, zstdHead},
		"lz4 block": {codecLZ4, []byte{4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0, 0xff, 0xff, 0xff, 0x7f}},
		"lz4 cut":   {codecLZ4, []byte{4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0}},
		"lz4 dict":  {codecLZ4, []byte{4, 0x22, 0x4d, 0x18, 0x61, 0x40, 0, 0, 0, 0, 0}},
		"lz4 magic": {codecLZ4, []byte("not lz4 at all")}, "lz4 empty": {codecLZ4, []byte{0}}, "gzip": {codecGzip, []byte("not gzip at all")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var r Reader
			data := testBatch{records: values(1, "x"), raw: c.raw, codec: c.codec}.build(t)
			if allocs := testing.AllocsPerRun(3, func() { _, _ = walk(&r, Fetched{Batches: data}, 0) }); allocs > 100 {
				t.Fatal(allocs, "allocations")
			}
			if r.Err() == nil {
				t.Fatal("no error")
			}
		})
	}
}

// Many batches that each unpack to much do not add up without bound: the walk stops and goes on at the next reset.
func TestReaderHeldBytes(t *testing.T) {
	var data []byte
	const batches = 50
	for i := range batches {
		rec := ProduceRecord{Value: bytes.Repeat([]byte{byte('a' + i%20)}, 200_000)}
		data = append(data, testBatch{base: int64(i), records: []ProduceRecord{rec}, codec: codecZstd}.build(t)...)
	}
	r := Reader{Limits: Limits{MaxBatchBytes: 1 << 20}}
	resets, next := 0, int64(0)
	for {
		r.Reset(Fetched{Batches: data}, next)
		resets++
		for rec, ok := r.Next(); ok; rec, ok = r.Next() {
			if rec.Offset != next || rec.Value[0] != byte('a'+next%20) {
				t.Fatal(rec.Offset, next)
			}
			next++
		}
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
		if r.unpack.held > 2<<20 {
			t.Fatal("holds", r.unpack.held)
		}
		if !r.More() {
			break
		}
	}
	if next != batches || resets < 5 {
		t.Fatal(next, resets)
	}
}

func TestReaderFramings(t *testing.T) {
	recs := events(2000) // over 400 KiB: several blocks
	plain := testBatch{records: recs}.build(t)[batchHeader:]
	cases := map[string]struct {
		codec int
		raw   []byte
	}{
		"xerial":          {codecSnappy, packXerial(plain, 32<<10)},
		"lz4 checksums":   {codecLZ4, packLZ4(t, plain, lz4.BlockChecksumOption(true), lz4.ChecksumOption(true))},
		"lz4 size":        {codecLZ4, packLZ4(t, plain, lz4.SizeOption(uint64(len(plain))))},
		"lz4 4 MiB":       {codecLZ4, packLZ4(t, plain, lz4.BlockSizeOption(lz4.Block4Mb))},
		"lz4 incompress":  {codecLZ4, packLZ4(t, plain, lz4.CompressionLevelOption(lz4.Fast))},
		"lz4 linked":      {codecLZ4, packLinked(plain)},
		"lz4 high levels": {codecLZ4, packLZ4(t, plain, lz4.CompressionLevelOption(lz4.Level9))},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var r Reader
			for range 2 {
				gs, err := walk(&r, Fetched{Batches: testBatch{records: recs, raw: c.raw, codec: c.codec}.build(t)}, 0)
				if err != nil || len(gs) != len(recs) {
					t.Fatal(err, len(gs))
				}
				for i, g := range gs {
					if g.value != string(recs[i].Value) {
						t.Fatal(i, g.value)
					}
				}
			}
		})
	}
}

// packLinked is an lz4 frame whose blocks refer to the one before. Its blocks are small, so that a match reaches over a whole one.
func packLinked(b []byte) []byte {
	out := []byte{4, 0x22, 0x4d, 0x18, 0x40, 0x40, 0}
	const block = 30 << 10
	var dict []byte
	for len(b) > 0 {
		part := b[:min(block, len(b))]
		packed := matchOnce(dict, part)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(packed)))
		out = append(out, packed...)
		dict, b = part, b[len(part):]
	}
	return append(out, 0, 0, 0, 0)
}

// matchOnce packs part as literals, the first run it has in common with dict, and literals.
func matchOnce(dict, part []byte) []byte {
	for at := range max(0, len(part)-64) {
		i := bytes.Index(dict, part[at:at+8])
		if i < 0 {
			continue
		}
		n := 8
		for n < 200 && i+n < len(dict) && at+n < len(part)-16 && dict[i+n] == part[at+n] {
			n++
		}
		out := lz4Literals(part[:at], n)
		out = binary.LittleEndian.AppendUint16(out, uint16(at+len(dict)-i))
		if n-4 >= 15 {
			out = append(out, byte(n-4-15))
		}
		return append(out, lz4Literals(part[at+n:], 4)...)
	}
	return lz4Literals(part, 4)
}

// lz4Literals is the beginning of a sequence: token and literals before a match of n bytes.
func lz4Literals(lit []byte, n int) []byte {
	token := byte(min(n-4, 15))
	var out []byte
	if len(lit) < 15 {
		out = append(out, byte(len(lit))<<4|token)
	} else {
		out = append(out, 15<<4|token)
		rest := len(lit) - 15
		for ; rest >= 255; rest -= 255 {
			out = append(out, 255)
		}
		out = append(out, byte(rest))
	}
	return append(out, lit...)
}
