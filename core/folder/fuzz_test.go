package folder_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

// FuzzFiles reads any bytes as lines and as containers, to their end: what is an
// error is one, offsets ascend, and a second reading gives the same.
func FuzzFiles(f *testing.F) {
	f.Add([]byte("one\ntwo"), false)
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01\x00\x00\xff\xff"), false)
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00"), false)
	f.Add([]byte("Obj\x01\x02\x16avro.schema\x0c\"long\"\x000123456789abcdef\x02\x02\x040123456789abcdef"), true)
	f.Add([]byte("Obj\x01\x02\x16avro.schema\x0c\"null\"\x000123456789abcdef\xfe\xff\xff\x0f\x000123456789abcdef"), true)
	// Lengths and counts at the ends of what a number can be.
	for _, n := range []int64{math.MaxInt64, math.MaxInt64 - 4, math.MinInt64, math.MinInt64 + 1, math.MaxInt32, 1<<24 + 1, -1} {
		long := string(binary.AppendVarint(nil, n))
		f.Add([]byte("Obj\x01"+long), true)
		f.Add([]byte("Obj\x01\x02"+long), true)
		f.Add([]byte("Obj\x01\x02\x16avro.schema"+long), true)
		f.Add([]byte("Obj\x01\x02\x16avro.schema\x0c\"long\"\x000123456789abcdef"+long+"\x02"), true)
		f.Add([]byte("Obj\x01\x02\x16avro.schema\x0c\"long\"\x000123456789abcdef\x02"+long), true)
		f.Add([]byte("Obj\x01\x04\x16avro.schema\x0c\"long\"\x14avro.codec\x0csnappy\x000123456789abcdef\x02\x12"+string(binary.AppendUvarint(nil, uint64(n)))), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, container bool) {
		b := newBench(t)
		if container {
			b = newContainers(t)
		}
		b.o.Log = nil
		b.write("a", string(data))
		b.write("b", string(data[:len(data)/2]))
		l := b.start()
		first, _ := l.all()
		end := l.at
		l.c.Close()
		l.at = 0
		again, _ := l.all()
		if l.at != end || len(first) != len(again) {
			t.Fatalf("%d records up to %d, then %d up to %d", len(first), end, len(again), l.at)
		}
		for i := range first {
			if first[i] != again[i] {
				t.Fatalf("record %d is %q, then %q", i, first[i], again[i])
			}
		}
		if !container && !bytes.HasPrefix(data, []byte("\x1f\x8b")) && !bytes.HasPrefix(data, []byte("\x28\xb5\x2f\xfd")) && end != int64(len(data)+len(data)/2) {
			t.Fatalf("read up to %d of %d", end, len(data)+len(data)/2)
		}
	})
}
