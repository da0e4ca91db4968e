package source

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What Produce writes is compressed: a record that had room on its own topic has it here too. Another client reads it.
func TestProduceCompresses(t *testing.T) {
	noLeaks(t)
	k := fake(t, kfake.SeedTopics(1, "packed"))
	c := open(t, k)
	ctx := deadline(t)
	random := make([]byte, 200_000)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(random)
	text := bytes.Repeat([]byte(`{"id":"a","value":1}`), 200_000) // 4 MB: four times what the topic takes
	want := [][]byte{text, []byte("short"), random, nil, {}}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i, v := range want {
				r := ProduceRecord{Key: []byte{byte(i)}, Value: v, Headers: []Header{{"h", []byte("v")}}}
				if err := c.Produce(ctx, "packed", 0, []ProduceRecord{r}); err != nil {
					t.Error(len(v), err)
				}
			}
			many := make([]ProduceRecord, 1000)
			for i := range many {
				many[i] = ProduceRecord{Key: []byte{9}, Value: fmt.Appendf(nil, "record %d of many", i)}
			}
			if err := c.Produce(ctx, "packed", 0, many); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	f, err := c.Fetch(ctx, FetchRequest{Topic: "packed", MaxBytes: 8 << 20}, nil)
	if err != nil || len(f.Batches) > 1_500_000 {
		t.Fatal(len(f.Batches), err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"packed": {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	counts := map[byte]int{}
	for n := 0; n < 4*(len(want)+1000); {
		for _, r := range cl.PollFetches(ctx).Records() {
			n++
			key := r.Key[0]
			counts[key]++
			if key < 9 && (!bytes.Equal(r.Value, want[key]) || (r.Value == nil) != (want[key] == nil) || string(r.Headers[0].Value) != "v") {
				t.Fatal(key, len(r.Value), r.Headers)
			}
		}
		if ctx.Err() != nil {
			t.Fatal(n, ctx.Err())
		}
	}
	if counts[0] != 4 || counts[9] != 4000 {
		t.Fatal(counts)
	}
}

// A record that is too large even so is known by its error.
func TestProduceTooLarge(t *testing.T) {
	noLeaks(t)
	k := fake(t, kfake.SeedTopics(1, "packed"))
	random := make([]byte, 2<<20)
	rand.NewChaCha8([32]byte{2}).Read(random)
	err := open(t, k).Produce(deadline(t), "packed", 0, []ProduceRecord{{Value: random}})
	var ke *KafkaError
	if !errors.As(err, &ke) || !ke.TooLarge() || ke.Retriable() {
		t.Fatal(err)
	}
}
