package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/core/pipeline"
	"github.com/sluicekit/sluice/core/source"
)

func (b *bench) open() *source.Cluster {
	b.t.Helper()
	c, err := source.Open(source.Options{Brokers: b.cluster.ListenAddrs()})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.Close)
	return c
}

func random(n int, seed uint64) []byte {
	out := make([]byte, n)
	r := rand.NewPCG(seed, 1)
	for i := range out {
		out[i] = byte(r.Uint64())
	}
	return out
}

// limit is what a topic takes by default, compressed.
const limit = 1<<20 + 12

// Whatever a bad record looks like, its letter is written, and the sink goes
// on: with the record nearly as large as its topic allows, larger once it is
// unpacked, null, or with headers that pretend to be ours.
func TestHostileRecordsGetLetters(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	k := b.sink("clicks", s, ofClicks)
	c := b.open()
	hostile := []source.ProduceRecord{
		{Key: []byte("a"), Value: random(limit-200, 1)},
		{Key: []byte("b"), Value: bytes.Repeat([]byte("no event, but long. "), 200_000)},
		{Key: []byte("c"), Value: nil, Headers: []source.Header{{Key: "sluice-reason", Value: []byte("none")}, {Key: "sluice-original-x", Value: nil}, {Key: "trace", Value: []byte("1")}}},
		{Key: random(2000, 2), Value: []byte("x"), Headers: []source.Header{{Key: "big", Value: random(limit-2300, 3)}}},
		{Key: []byte("e"), Value: []byte{}},
	}
	for _, r := range hostile {
		if err := c.Produce(t.Context(), "events", 0, []source.ProduceRecord{r}); err != nil {
			t.Fatal(err)
		}
	}
	b.produce(0, 10, 1)
	stop, _ := b.run([]pipeline.Sink{k}, 0)
	defer stop()
	b.wait("5 rows behind the hostile records", func() bool { return len(s.all()) == 5 })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	letters := map[string]*kgo.Record{}
	ours := map[string]map[string]string{}
	b.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{"events.dead": {0: kgo.NewOffset().AtStart()}})
	var all []*kgo.Record
	for seen := map[string]bool{}; len(seen) < len(hostile); { // those beside one that is too large may come twice
		records := b.client.PollFetches(ctx).Records()
		if ctx.Err() != nil {
			t.Fatalf("got letters %v, want one for each of %d", seen, len(hostile))
		}
		for _, l := range records {
			seen[string(l.Key)] = true
		}
		all = append(all, records...)
	}
	for _, l := range all {
		h := map[string]string{}
		for _, x := range l.Headers {
			if _, twice := h[x.Key]; twice {
				t.Errorf("header %s is there twice", x.Key)
			}
			h[x.Key] = string(x.Value)
		}
		letters[h["sluice-offset"]], ours[h["sluice-offset"]] = l, h
		if l.Value == nil {
			t.Errorf("offset %s: the letter is a tombstone", h["sluice-offset"])
		}
		if h["sluice-reason"] == "" || h["sluice-reason"] == "none" {
			t.Errorf("offset %s: got reason %q", h["sluice-offset"], h["sluice-reason"])
		}
	}
	want := func(offset, key, value string) {
		t.Helper()
		if got, ok := ours[offset][key]; !ok || got != value {
			t.Errorf("offset %s: got header %s: %.40q, want %.40q", offset, key, got, value)
		}
	}
	want("0", "sluice-truncated", fmt.Sprint(limit-200))
	if v := letters["0"].Value; !bytes.Equal(v, hostile[0].Value[:len(v)]) || len(v) != 64<<10 {
		t.Errorf("got %d bytes of the record that was too large", len(v))
	}
	if !bytes.Equal(letters["1"].Value, hostile[1].Value) || ours["1"]["sluice-truncated"] != "" {
		t.Errorf("got %d bytes of the record that can be compressed", len(letters["1"].Value))
	}
	want("2", "sluice-null-value", "true")
	want("2", "sluice-original-sluice-reason", "none")
	want("2", "sluice-original-sluice-original-x", "")
	want("2", "trace", "1")
	if v := letters["3"].Value; !bytes.Equal(v, hostile[3].Value) || ours["3"]["sluice-truncated"] != "" {
		t.Errorf("got %q of a small value whose key and headers were too large", v)
	}
	want("3", "sluice-truncated-headers", fmt.Sprint(2000+3+limit-2300))
	if _, ok := ours["4"]["sluice-null-value"]; ok {
		t.Error("an empty value is said to be null")
	}
}

// However large the records, few of them are held at once, and those that are
// asked for come in the end.
func TestRawIsBounded(t *testing.T) {
	b := newBench(t, 1)
	c := b.open()
	const n = 40
	var offsets []int64
	for i := range n {
		v := append(fmt.Appendf(nil, "%d ", i), bytes.Repeat([]byte("v"), 1<<20)...)
		if err := c.Produce(t.Context(), "events", 0, []source.ProduceRecord{{Value: v}}); err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, int64(i))
	}
	d, err := c.Describe(t.Context(), "events")
	if err != nil {
		t.Fatal(err)
	}
	id, rounds := d.Topics["events"].ID, 0
	for next := 0; next < n; rounds++ {
		letters, err := pipeline.Raw(t.Context(), c, "events", id, offsets[next:])
		if err != nil || len(letters) == 0 || len(letters) > 5 {
			t.Fatalf("got %d letters of a MiB each, %v", len(letters), err)
		}
		for _, l := range letters {
			if !bytes.HasPrefix(l.Value, fmt.Appendf(nil, "%d v", next)) {
				t.Fatalf("offset %d: got %.10s", next, l.Value)
			}
			next++
		}
	}
	if rounds < n/5 {
		t.Errorf("got all in %d rounds", rounds)
	}
	b.recreate()
	b.raw("of another topic")
	_, err = pipeline.Raw(t.Context(), c, "events", id, []int64{0})
	var changed *source.TopicChangedError
	if !errors.As(err, &changed) {
		t.Errorf("got %v, want a TopicChangedError", err)
	}
}
