package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
)

var benchCodecs = []struct {
	name  string
	codec int
}{{"none", codecNone}, {"lz4", codecLZ4}, {"zstd", codecZstd}, {"snappy", codecSnappy}, {"gzip", codecGzip}}

const benchBatch, benchBatches = 400, 10

func benchAnswer(b testing.TB, codec int) (data []byte, records int, size int64) {
	all := events(benchBatch * benchBatches)
	for i := range benchBatches {
		part := all[i*benchBatch : (i+1)*benchBatch]
		data = append(data, testBatch{base: int64(i * benchBatch), records: part, codec: codec}.build(b)...)
		for _, r := range part {
			size += int64(len(r.Key) + len(r.Value))
		}
	}
	return data, len(all), size
}

// Both benchmarks walk over the same stored answer and touch each key and value; kafka-go's come as readers, so they are read into one buffer.
func BenchmarkReader(b *testing.B) {
	for _, c := range benchCodecs {
		b.Run(c.name, func(b *testing.B) {
			data, want, size := benchAnswer(b, c.codec)
			var r Reader
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(Fetched{Batches: data}, 0)
				n, sum := 0, 0
				for rec, ok := r.Next(); ok; rec, ok = r.Next() {
					n++
					sum += len(rec.Key) + len(rec.Value)
				}
				if r.Err() != nil || n != want || int64(sum) != size {
					b.Fatal(r.Err(), n, sum)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(want), "ns/record")
		})
	}
}

func BenchmarkReaderKafkaGo(b *testing.B) {
	for _, c := range benchCodecs {
		b.Run(c.name, func(b *testing.B) {
			data, want, size := benchAnswer(b, c.codec)
			framed := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
			buf := make([]byte, 0, 64<<10)
			src := bytes.NewReader(nil)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(framed)
				var set protocol.RecordSet
				if _, err := set.ReadFrom(src); err != nil {
					b.Fatal(err)
				}
				n, sum, err := drain(set.Records, buf)
				if err != nil || n != want || int64(sum) != size {
					b.Fatal(err, n, sum)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(want), "ns/record")
		})
	}
}

func drain(records protocol.RecordReader, buf []byte) (n, sum int, err error) {
	for {
		rec, err := records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return n, sum, nil
		}
		if err != nil {
			return n, sum, err
		}
		for _, part := range []protocol.Bytes{rec.Key, rec.Value} {
			if part == nil {
				continue
			}
			b := buf[:part.Len()]
			if _, err := io.ReadFull(part, b); err != nil {
				return n, sum, fmt.Errorf("record %d: %w", n, err)
			}
			sum += len(b)
			part.Close()
		}
		n++
	}
}
