package pipeline_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/pipeline"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

// The codecs, as a batch numbers them.
const (
	plain = iota
	inGzip
	inSnappy
	inLZ4
	inZstd
)

// large is a cluster that takes batches of 16 MiB.
var large = kfake.BrokerConfigs(map[string]string{"message.max.bytes": "16777216"})

// batch produces a batch that says it has count records, and has body in their
// place. Its checksum is right.
func (b *bench) batch(codec int16, count int32, body []byte) {
	b.t.Helper()
	h := kmsg.RecordBatch{
		Length: int32(49 + len(body)), Magic: 2, Attributes: codec, LastOffsetDelta: count - 1,
		FirstTimestamp: 1e12, MaxTimestamp: 1e12, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: count, Records: body,
	}
	raw := h.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 5000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = "events"
	d, err := b.open().Describe(b.t.Context(), "events")
	if err != nil {
		b.t.Fatal(err)
	}
	rt.TopicID = d.Topics["events"].ID
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = raw
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	got, err := req.RequestWith(b.t.Context(), b.client)
	if err != nil {
		b.t.Fatal(err)
	}
	if c := got.Topics[0].Partitions[0].ErrorCode; c != 0 {
		b.t.Fatalf("produce: code %d", c)
	}
}

// bombs are bodies that unpack to more than a batch may have.
func bombs(t *testing.T) map[string]func(*bench) {
	zeros := make([]byte, 80<<20)
	var zipped, framed bytes.Buffer
	for _, w := range []interface {
		Write([]byte) (int, error)
		Close() error
	}{gzip.NewWriter(&zipped), lz4.NewWriter(&framed)} {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	packed, squeezed := snappy.Encode(nil, zeros), z.EncodeAll(zeros, nil)
	return map[string]func(*bench){
		"gzip":         func(b *bench) { b.batch(inGzip, 1, zipped.Bytes()) },
		"snappy":       func(b *bench) { b.batch(inSnappy, 1, packed) },
		"lz4":          func(b *bench) { b.batch(inLZ4, 1, framed.Bytes()) },
		"zstd":         func(b *bench) { b.batch(inZstd, 1, squeezed) },
		"snappy lies":  func(b *bench) { b.batch(inSnappy, 1, binary.AppendUvarint(nil, 1<<31)) },
		"2^31 records": func(b *bench) { b.batch(plain, 1<<31-1, []byte{2, 0, 0, 0}) },
		"no records":   func(b *bench) { b.batch(plain, 3, bytes.Repeat([]byte{0xff}, 30)) },
		"noise":        func(b *bench) { b.batch(inZstd, 1, random(1000, 7)) },
	}
}

// A batch that cannot be read stops the sinks of its partition, behind
// everything that stands before it, and says where it is. Nothing is skipped,
// and the other partitions go on.
func TestUnreadableBatchesStop(t *testing.T) {
	for name, produce := range bombs(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 2, large)
			s := newShelf()
			b.produce(0, 100, 1)
			produce(b)
			b.produceTo(func(int) int32 { return 1 }, 100, 200)
			k := b.sink("clicks", s, ofClicks)
			k.Batch.Age = 0 // not by its age, the cut ends before the batch
			k.Batch.Rows = 50
			stop, m := b.run([]pipeline.Sink{k}, 0)
			defer stop()
			b.wantStop(m, "unreadable", "events[0] from offset 100 on cannot be read")
			b.wait("the other partition's rows", func() bool { return len(s.all()) >= 100 })
			if got, want := s.all(), clicks(200); !slices.Equal(got, want) {
				t.Errorf("got %d rows, want %d", len(got), len(want))
			}
		})
	}
}

// The rows before an unreadable batch are committed although the cut that they
// are in has room for more.
func TestACutEndsBeforeAnUnreadableBatch(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	b.produce(0, 30, 1)
	b.batch(plain, 5, []byte{1})
	b.produce(30, 40, 1)
	k := b.sink("clicks", s, ofClicks)
	k.Batch.Rows, k.Batch.Age = 1000, 1<<40
	stop, m := b.run([]pipeline.Sink{k}, 0)
	defer stop()
	b.wantStop(m, "events[0] from offset 30 on cannot be read")
	if got, want := s.all(), clicks(30); !slices.Equal(got, want) {
		t.Errorf("got %d rows, want the %d before the batch", len(got), len(want))
	}
}

// Whatever an event holds, it becomes a row or a dead letter, and nothing of it
// gets into the logs.
func TestHostileEvents(t *testing.T) {
	b := newBench(t, 1, large)
	s := newShelf()
	const canary = "s3cr3t-of-a-customer"
	click := func(payload string) string {
		return fmt.Sprintf(`{"id":"%s","time":"2026-01-01T00:00:00Z","type":"click","server":"s","payload":%s}`, canary, payload)
	}
	hostile := map[string]string{
		"10,000 deep":          click(strings.Repeat(`{"n":`, 10_000) + "1" + strings.Repeat("}", 10_000)),
		"10,000 brackets":      click(strings.Repeat("[", 10_000)),
		"not UTF-8":            click(`{"n":"` + canary + "\xff\xfe" + `"}`),
		"NUL":                  click("{\"n\":\"a\x00b\"}"),
		"escape sequence":      click("{\"n\":\"\x1b]0;" + canary + "\x07\"}"),
		"half a surrogate":     click(`{"n":"\ud800"}`),
		"beyond 64 bits":       click(`{"n":9223372036854775808}`),
		"below 64 bits":        click(`{"n":-9223372036854775809}`),
		"1e400":                click(`{"n":1e400}`),
		"an exponent of 9s":    click(`{"n":1e` + strings.Repeat("9", 1000) + `}`),
		"a part":               click(`{"n":1.5}`),
		"NaN":                  click(`{"n":NaN}`),
		"Infinity":             click(`{"n":-Infinity}`),
		"a string":             click(`{"n":"` + canary + `"}`),
		"an object":            click(`{"n":{}}`),
		"true":                 click(`{"n":true}`),
		"an octal":             click(`{"n":017}`),
		"over the limit":       click(`{"n":1,"x":"` + strings.Repeat(canary, 5<<20/len(canary)) + `"}`),
		"a key over the limit": click(`{"` + strings.Repeat("k", 5<<20) + `":1}`),
		"torn":                 click(`{"n":1`),
		"two":                  click(`{"n":1}`) + click(`{"n":1}`),
		"nothing":              "",
		"a list":               "[" + click(`{"n":1}`) + "]",
		"wrong magic":          "\x01\x00\x00\x00\x07" + canary,
	}
	var names []string
	for name, value := range hostile {
		names = append(names, name)
		b.raw(value)
	}
	sound := map[string]string{
		"NUL escaped":       click(`{"n":5,"x":"\u0000"}`),
		"a number of 1e3":   click(`{"n":5e0}`),
		"terminal escaped":  click(`{"n":5,"\u001b[2J":1}`),
		"the last of equal": click(`{"n":"x","n":5}`),
	}
	for _, value := range sound {
		b.raw(value)
	}
	b.produce(0, 10, 1)
	stop, m := b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	defer stop()
	b.wait("the rows behind the hostile events", func() bool { return len(s.all()) >= 5+len(sound) })
	want := clicks(10)
	for range sound {
		want = append(want, canary+",5,")
	}
	slices.Sort(want)
	if got := s.all(); !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	b.wait("the books", func() bool { return m.Snapshot().Lanes[0].Dead == int64(len(hostile)) })
	seen := map[string]bool{}
	for _, l := range b.letters(len(hostile)) {
		for _, h := range l.Headers {
			if h.Key == "sluice-offset" {
				seen[string(h.Value)] = true
			}
			if h.Key == "sluice-reason" && (len(h.Value) == 0 || bytes.Contains(h.Value, []byte(canary)) || bytes.ContainsRune(h.Value, 0x1b)) {
				t.Errorf("offset %s: reason %q", l.Key, h.Value)
			}
		}
	}
	for i, name := range names {
		if !seen[fmt.Sprint(i)] {
			t.Errorf("%s: there is no letter", name)
		}
	}
	stop()
	text := b.logs.String()
	if strings.Contains(text, canary) || strings.ContainsAny(text, "\x1b\x00\x07") || len(text) == 0 {
		t.Error("the logs show what is in events")
	}
}

// What a sink gets does not depend on the other sinks: a batch that is pending
// while a sink is added, which wants a value that cannot be read, is repeated
// with the rows that it had. The new sink's bad values are its own.
func TestAPendingCutAndANewSink(t *testing.T) {
	b := newBench(t, 1)
	var err error
	b.events, err = decode.Open(t.Context(), decode.Options{Format: decode.JSON, Types: map[string]decode.Declared{
		"payload.n": {Type: record.Type{Kind: record.Int}}, "payload.x": {Type: record.Type{Kind: record.Int}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want, wantX := []string{}, []string{}
	for i := range 200 {
		x := fmt.Sprint(i)
		if i%3 == 0 {
			x = `"many"`
		}
		b.raw(fmt.Sprintf(`{"id":"e%d","type":%q,"payload":{"n":%d,"x":%s}}`, i, []string{"click", "view"}[i%2], i, x))
		if i%2 == 0 {
			want = append(want, fmt.Sprintf("e%d,%d,", i, i))
		}
		if i%3 != 0 {
			wantX = append(wantX, x+",")
		}
	}
	slices.Sort(want)
	slices.Sort(wantX)
	s, other := newShelf(), newShelf()
	s.break_ = func(record.Cut) error { return fmt.Errorf("no answer") }
	stop, m := b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	b.waitForRepeat(m)
	stop()
	s.break_ = nil
	wantsX := plan.Spec{Fields: []plan.Field{{Name: "x", Expr: "payload.x"}}}
	stop, m = b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks), b.sink("x", other, wantsX)}, 0)
	defer stop()
	b.wait("all rows", func() bool { return len(s.all()) >= len(want) && len(other.all()) >= len(wantX) })
	if got := s.all(); !slices.Equal(got, want) {
		t.Errorf("the pending batch came with %d rows, want %d", len(got), len(want))
	}
	if got := other.all(); !slices.Equal(got, wantX) {
		t.Errorf("the new sink got %d rows, want %d", len(got), len(wantX))
	}
	b.wait("the books", func() bool {
		dead := map[string]int64{}
		for _, l := range m.Snapshot().Lanes {
			dead[l.Sink] = l.Dead
		}
		return dead["clicks"] == 0 && dead["x"] == 67
	})
}
