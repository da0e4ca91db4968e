package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

type got struct {
	offset     int64
	key, value string
}

// walk reads an answer to its end, over as many resets as the reader wants.
func walk(r *Reader, f Fetched, from int64) ([]got, error) {
	var out []got
	r.Reset(f, from)
	for {
		for rec, ok := r.Next(); ok; rec, ok = r.Next() {
			out = append(out, got{rec.Offset, string(rec.Key), string(rec.Value)})
		}
		if !r.More() {
			return out, r.Err()
		}
		r.Reset(f, r.NextOffset())
	}
}

func offsets(gs []got) []int64 {
	var out []int64
	for _, g := range gs {
		out = append(out, g.offset)
	}
	return out
}

func values(n int, prefix string) []ProduceRecord {
	out := make([]ProduceRecord, n)
	for i := range out {
		out[i] = ProduceRecord{Value: fmt.Appendf(nil, "%s%d", prefix, i)}
	}
	return out
}

func TestReaderRecords(t *testing.T) {
	for _, c := range benchCodecs {
		t.Run(c.name, func(t *testing.T) {
			want := events(300)
			want[0] = ProduceRecord{Key: nil, Value: nil}
			want[1] = ProduceRecord{Key: []byte{}, Value: []byte{}}
			want[2].Headers = []Header{{"a", []byte("1")}, {"b", nil}, {"a", []byte{}}, {"long", bytes.Repeat([]byte("x"), 300)}}
			want[3].Value = bytes.Repeat([]byte("large "), 50_000)
			data := testBatch{base: 1000, records: want, codec: c.codec, epoch: 7, baseStamp: 5_000_000}.build(t)
			var r Reader
			r.Reset(Fetched{Batches: data}, 1000)
			for i, w := range want {
				rec, ok := r.Next()
				if !ok {
					t.Fatal(i, r.Err())
				}
				if rec.Offset != int64(1000+i) || rec.Timestamp != int64(5_000_000+i) || rec.LeaderEpoch != 7 {
					t.Fatal(rec)
				}
				if !bytes.Equal(rec.Key, w.Key) || !bytes.Equal(rec.Value, w.Value) || (rec.Key == nil) != (w.Key == nil) || (rec.Value == nil) != (w.Value == nil) {
					t.Fatalf("record %d: %q %q", i, rec.Key, rec.Value)
				}
				if rec.Headers.Len() != len(w.Headers) {
					t.Fatal(rec.Headers.Len())
				}
				j := 0
				for k, v := range rec.Headers.All() {
					if string(k) != w.Headers[j].Key || !bytes.Equal(v, w.Headers[j].Value) || (v == nil) != (w.Headers[j].Value == nil) {
						t.Fatalf("header %d: %q %q", j, k, v)
					}
					j++
				}
				if v, ok := rec.Headers.Get("a"); i == 2 && (!ok || v == nil || len(v) != 0) {
					t.Fatal("the last of two headers of one name was not found")
				}
			}
			if _, ok := r.Next(); ok || r.Err() != nil || r.NextOffset() != 1300 {
				t.Fatal(r.Err(), r.NextOffset())
			}
		})
	}
}

func TestReaderUncompressedIsInPlace(t *testing.T) {
	data := testBatch{records: values(1, "here")}.build(t)
	var r Reader
	r.Reset(Fetched{Batches: data}, 0)
	rec, _ := r.Next()
	data[bytes.Index(data, []byte("here"))] = 'H'
	if string(rec.Value) != "Here0" {
		t.Fatal("the value was copied")
	}
}

// Records of all batches of an answer live until the next reset, though each batch is unpacked.
func TestReaderKeepsEarlierBatches(t *testing.T) {
	var data []byte
	for i := range 20 {
		data = append(data, testBatch{base: int64(i * 10), records: values(10, fmt.Sprint("batch", i, "-")), codec: 1 + i%4}.build(t)...)
	}
	var r Reader
	for range 3 {
		r.Reset(Fetched{Batches: data}, 0)
		var recs []Record
		for rec, ok := r.Next(); ok; rec, ok = r.Next() {
			recs = append(recs, rec)
		}
		if r.Err() != nil || len(recs) != 200 {
			t.Fatal(r.Err(), len(recs))
		}
		for i, rec := range recs {
			if want := fmt.Sprint("batch", i/10, "-", i%10); string(rec.Value) != want {
				t.Fatalf("%q, want %q", rec.Value, want)
			}
		}
	}
}

func TestReaderFromMiddle(t *testing.T) {
	data := slices.Concat(
		testBatch{base: 0, records: values(5, "a")}.build(t),
		testBatch{base: 5, records: values(5, "b"), codec: codecZstd}.build(t),
		testBatch{base: 10, records: values(5, "c")}.build(t))
	for from := range int64(16) {
		var r Reader
		gs, err := walk(&r, Fetched{Batches: data}, from)
		if err != nil || len(gs) != int(15-from) || r.NextOffset() != 15 {
			t.Fatal(from, err, gs, r.NextOffset())
		}
	}
}

// Compaction leaves holes between records, at the ends of batches, and whole batches without records.
func TestReaderCompacted(t *testing.T) {
	data := slices.Concat(
		testBatch{base: 10, records: values(2, "a"), deltas: []int{3, 5}, last: 9}.build(t),
		testBatch{base: 20, last: 4, count: -1}.build(t),
		testBatch{base: 30, last: 2, count: -1, codec: codecLZ4}.build(t),
		testBatch{base: 40, records: values(1, "b"), deltas: []int{0}, last: 7, codec: codecGzip}.build(t),
		testBatch{base: 60, last: 9, count: -1, attrs: attrControl | attrTransactional, producer: 4}.build(t))
	var r Reader
	gs, err := walk(&r, Fetched{Batches: data}, 5)
	if err != nil || !slices.Equal(offsets(gs), []int64{13, 15, 40}) || r.NextOffset() != 70 {
		t.Fatal(err, gs, r.NextOffset())
	}
	gs, err = walk(&r, Fetched{Batches: data[:len(data)-61]}, 41)
	if err != nil || len(gs) != 0 || r.NextOffset() != 48 {
		t.Fatal(err, gs, r.NextOffset())
	}
}

func TestReaderLogAppendTime(t *testing.T) {
	data := testBatch{records: values(3, "a"), attrs: attrLogAppendTime, baseStamp: 1, maxStamp: 99}.build(t)
	var r Reader
	r.Reset(Fetched{Batches: data}, 0)
	for rec, ok := r.Next(); ok; rec, ok = r.Next() {
		if rec.Timestamp != 99 {
			t.Fatal(rec.Timestamp)
		}
	}
}

func txn(t testing.TB, base, producer int64, n int, prefix string) []byte {
	return testBatch{base: base, records: values(n, prefix), attrs: attrTransactional, producer: producer}.build(t)
}

func TestReaderAborted(t *testing.T) {
	plain := testBatch{base: 8, records: values(1, "plain"), producer: 1}.build(t) // same producer, no transaction
	data := slices.Concat(
		txn(t, 0, 1, 2, "no"),   // aborted at 5
		txn(t, 2, 2, 2, "yes"),  // committed at 6
		txn(t, 4, 1, 1, "no"),   // still the first
		marker(t, 5, 1, false),  //
		marker(t, 6, 2, true),   //
		txn(t, 7, 1, 1, "yes"),  // a second transaction of 1, committed at 11
		plain,                   // 8
		txn(t, 9, 2, 1, "no"),   // aborted at 12
		txn(t, 10, 1, 1, "yes"), //
		marker(t, 11, 1, true),  //
		marker(t, 12, 2, false), //
		txn(t, 13, 3, 1, "no"),  // aborted in a later answer
	)
	aborted := []Aborted{{3, 13}, {2, 9}, {1, 0}} // in no order
	var r Reader
	want := []int64{2, 3, 7, 8, 10}
	for from := range int64(15) {
		gs, err := walk(&r, Fetched{Batches: data, Aborted: aborted}, from)
		if err != nil || r.NextOffset() != max(14, from) {
			t.Fatal(err, r.NextOffset())
		}
		for _, g := range gs {
			if strings.HasPrefix(g.value, "no") {
				t.Fatal("aborted record delivered", g)
			}
		}
		if w := slices.DeleteFunc(slices.Clone(want), func(o int64) bool { return o < from }); !slices.Equal(offsets(gs), w) {
			t.Fatalf("from %d: %v, want %v", from, offsets(gs), w)
		}
	}
}

// A transaction that spans answers: the second begins in its middle, and its list names the first offset, which lies before.
func TestReaderAbortedOverAnswers(t *testing.T) {
	second := slices.Concat(txn(t, 50, 1, 2, "no"), txn(t, 52, 2, 1, "yes"), marker(t, 53, 1, false), txn(t, 54, 1, 1, "yes"), marker(t, 55, 1, true), marker(t, 56, 2, true))
	var r Reader
	walk(&r, Fetched{Batches: txn(t, 3, 1, 1, "no"), Aborted: []Aborted{{1, 3}}}, 0)
	gs, err := walk(&r, Fetched{Batches: second, Aborted: []Aborted{{1, 3}}}, 50)
	if err != nil || !slices.Equal(offsets(gs), []int64{52, 54}) || r.NextOffset() != 57 {
		t.Fatal(err, gs, r.NextOffset())
	}
	// The set of the answer before is forgotten.
	gs, err = walk(&r, Fetched{Batches: txn(t, 60, 1, 1, "yes")}, 60)
	if err != nil || len(gs) != 1 {
		t.Fatal(err, gs)
	}
}

func TestReaderTorn(t *testing.T) {
	one := testBatch{records: values(10, "a")}.build(t)
	two := testBatch{base: 10, records: values(10, "b")}.build(t)
	both := slices.Concat(one, two)
	for n := range len(both) {
		var r Reader
		gs, err := walk(&r, Fetched{Batches: both[:n]}, 0)
		switch {
		case n == 0:
			if err != nil || r.NextOffset() != 0 {
				t.Fatal(err)
			}
		case n < len(one):
			var torn *TornError
			if !errors.As(err, &torn) || torn.Need > len(one) || (n >= batchPrefix && torn.Need != len(one)) || len(gs) != 0 {
				t.Fatal(n, err)
			}
		default:
			if err != nil || len(gs) != 10 || r.NextOffset() != 10 {
				t.Fatal(n, err, gs)
			}
		}
	}
	// Whole batches that lie before the position are no progress.
	var r Reader
	var torn *TornError
	if _, err := walk(&r, Fetched{Batches: both[:len(both)-1]}, 10); !errors.As(err, &torn) || torn.Need != len(two) {
		t.Fatal(err)
	}
}

func TestReaderBadBatches(t *testing.T) {
	good := func() testBatch { return testBatch{base: 40, records: values(3, "a")} }
	with := func(change func(*testBatch)) []byte {
		b := good()
		change(&b)
		return b.build(t)
	}
	sum := good().build(t)
	sum[len(sum)-1] ^= 1
	short := good().build(t)
	binary.BigEndian.PutUint32(short[8:], 20)
	negative := good().build(t)
	binary.BigEndian.PutUint32(negative[8:], 0xfffffff4)
	huge := good().build(t)
	binary.BigEndian.PutUint32(huge[8:], 0x7fffffff)
	cases := map[string]struct {
		data []byte
		want string
	}{
		"checksum":         {sum, "checksum"},
		"length short":     {short, "length of 32 bytes is impossible"},
		"length negative":  {negative, "length of 0 bytes is impossible"},
		"length huge":      {huge, "larger than the limit of 67108864"},
		"magic 0":          {with(func(b *testBatch) { b.magic = 1 }), "format 0 is not supported"},
		"magic 1":          {with(func(b *testBatch) { b.magic = 2 }), "format 1 is not supported"},
		"count 2^31":       {with(func(b *testBatch) { b.count = 1 << 31 }), "records in 3 offsets"},
		"count 2^31-1":     {with(func(b *testBatch) { b.count = 1<<31 - 1 }), "2147483647 records in 3 offsets"},
		"count and last":   {with(func(b *testBatch) { b.count, b.last = 1<<31-1, 1<<31-1 }), "fewer records than the header says"},
		"count too small":  {with(func(b *testBatch) { b.count = 2 }), "after the last record"},
		"count too large":  {with(func(b *testBatch) { b.count, b.last = 4, 5 }), "fewer records than the header says"},
		"last negative":    {with(func(b *testBatch) { b.last, b.raw = -1, nil; b.deltas = []int{0, 1, 2} }), "3 records in 1 offsets"},
		"delta above last": {with(func(b *testBatch) { b.deltas, b.last = []int{0, 1, 9}, 4 }), "offset delta 9 after 1, last is 4"},
		"delta negative":   {with(func(b *testBatch) { b.deltas, b.last = []int{-1, 1, 2}, 4 }), "offset delta -1 after -1"},
		"delta repeated":   {with(func(b *testBatch) { b.deltas, b.last = []int{0, 1, 1}, 4 }), "offset delta 1 after 1"},
		"delta descending": {with(func(b *testBatch) { b.deltas, b.last = []int{2, 1, 3}, 4 }), "offset delta 1 after 2"},
		"codec 5":          {with(func(b *testBatch) { b.codec = 5 }), "compression 5 is not known"},
		"offset overflow":  {with(func(b *testBatch) { b.base = 1<<63 - 2 }), "last offset delta 2 is impossible"},
		"record too long":  {with(func(b *testBatch) { b.body = append(binary.AppendVarint(nil, 100), 0, 0, 0) }), "a record is longer than the batch"},
		"record negative":  {with(func(b *testBatch) { b.body = append(binary.AppendVarint(nil, -5), 0, 0, 0) }), "a record is longer than the batch"},
		"key too long":     {with(func(b *testBatch) { b.body = sized(0, 0, 0, 100, 1, 0) }), "fields do not fit"},
		"value negative":   {with(func(b *testBatch) { b.body = sized(0, 0, 0, 1, 3, 0) }), "fields do not fit"},
		"headers 2^31":     {with(func(b *testBatch) { b.body = sized(0, 0, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f) }), "fields do not fit"},
		"header null key":  {with(func(b *testBatch) { b.body = sized(0, 0, 0, 1, 1, 2, 1, 1) }), "fields do not fit"},
		"bytes behind":     {with(func(b *testBatch) { b.body = sized(0, 0, 0, 1, 1, 0, 9) }), "fields do not fit"},
		"varint overlong":  {with(func(b *testBatch) { b.body = bytes.Repeat([]byte{0xff}, 20) }), "fewer records than the header says"},
		"order":            {slices.Concat(testBatch{base: 41, records: values(1, "x")}.build(t), good().build(t)), "comes after offset 41"},
		"control short":    {with(func(b *testBatch) { b.attrs = attrControl; b.records = []ProduceRecord{{Key: []byte{0, 0}}} }), "control record has a key of 2 bytes"},
		"control packed":   {with(func(b *testBatch) { b.attrs, b.codec = attrControl, codecGzip }), "control batch is compressed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var r Reader
			_, err := walk(&r, Fetched{Batches: c.data}, 40)
			var be *BatchError
			if !errors.As(err, &be) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if _, ok := r.Next(); ok || r.Err() != err {
				t.Fatal("the reader goes on after an error")
			}
		})
	}
}

// sized is a record of the given bytes.
func sized(b ...byte) []byte { return append(binary.AppendVarint(nil, int64(len(b))), b...) }

func TestReaderAllocatesNothing(t *testing.T) {
	for _, c := range benchCodecs {
		data, _, _ := benchAnswer(t, c.codec)
		f := Fetched{Batches: data, Aborted: []Aborted{{5, 3}}}
		var r Reader
		run := func() {
			r.Reset(f, 0)
			for _, ok := r.Next(); ok; _, ok = r.Next() {
			}
		}
		run()
		if n := testing.AllocsPerRun(20, run); n > benchBatch*benchBatches/100 { // gzip's decoder allocates per stream, pools do under -race
			t.Errorf("%s: %v allocations per answer of %d records", c.name, n, benchBatch*benchBatches)
		}
	}
}
