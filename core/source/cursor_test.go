package source

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A cursor reads a partition to its end at a broker that cuts every answer off at the size that was asked for, also through a batch that
// is much larger; an answer that breaks off where it should not is an error.
func TestCursor(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	var log [][]byte // a batch of two records each
	want := map[int64]int{}
	for i, size := range []int{10, 700, 20_000, 30, 5000, 10} {
		base := int64(2 * i)
		log = append(log, testBatch{base: base, records: []ProduceRecord{{Value: make([]byte, size)}, {Value: make([]byte, size)}}}.build(t))
		want[base], want[base+1] = size, size
	}
	requests, torn := 0, false
	k.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		requests++
		asked := r.(*kmsg.FetchRequest).Topics[0].Partitions[0]
		p := kmsg.NewFetchResponseTopicPartition()
		p.HighWatermark, p.LastStableOffset = 12, 12
		p.RecordBatches = bytes.Join(log[asked.FetchOffset/2:], nil)
		p.RecordBatches = p.RecordBatches[:min(len(p.RecordBatches), int(asked.PartitionMaxBytes))]
		if torn {
			p.RecordBatches = p.RecordBatches[:8]
		}
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.Partitions = "events", append(topic.Partitions, p)
		res := r.ResponseKind().(*kmsg.FetchResponse)
		res.Topics = append(res.Topics, topic)
		return res, nil, true
	})
	c := open(t, k).Cursor(FetchRequest{Topic: "events", MaxBytes: 400})
	if c.End() != -1 {
		t.Error("an end before anything was fetched:", c.End())
	}
	at := int64(1) // within a batch
	got := map[int64]int{}
	for at < 12 && requests < 50 {
		if err := c.Fetch(deadline(t), at); err != nil {
			t.Fatal(err)
		}
		if c.End() != 12 {
			t.Fatal("end", c.End())
		}
		for r, ok := c.Next(); ok; r, ok = c.Next() {
			got[r.Offset] = len(r.Value)
		}
		next, err := c.Ended(at)
		if err != nil || next <= at {
			t.Fatalf("from %d: covered up to %d, %v", at, next, err)
		}
		at = next
	}
	delete(want, 0)
	for offset, size := range want {
		if got[offset] != size {
			t.Errorf("offset %d: %d bytes, want %d", offset, got[offset], size)
		}
	}
	if at != 12 || len(got) != len(want) {
		t.Errorf("read %d records up to %d in %d requests, want %d up to 12", len(got), at, requests, len(want))
	}

	torn = true
	if err := c.Fetch(deadline(t), 4); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Next(); ok {
		t.Error("a record of eight bytes")
	}
	if next, err := c.Ended(4); next != 4 || !errors.As(err, new(*TornError)) {
		t.Errorf("covered up to %d, %v", next, err)
	}
}
