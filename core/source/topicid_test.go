package source

import (
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// recreate deletes a topic and makes one of the same name.
func recreate(t *testing.T, k *kfake.Cluster, topic string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	del := kmsg.NewPtrDeleteTopicsRequest()
	dt := kmsg.NewDeleteTopicsRequestTopic()
	dt.Topic = &topic
	del.TopicNames, del.Topics, del.TimeoutMillis = []string{topic}, append(del.Topics, dt), 5000
	if _, err := del.RequestWith(deadline(t), cl); err != nil {
		t.Fatal(err)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	ct := kmsg.NewCreateTopicsRequestTopic()
	ct.Topic, ct.NumPartitions, ct.ReplicationFactor = topic, 1, 1
	create.Topics, create.TimeoutMillis = append(create.Topics, ct), 5000
	res, err := create.RequestWith(deadline(t), cl)
	if err != nil || res.Topics[0].ErrorCode != 0 {
		t.Fatal(err, res)
	}
}

// A topic deleted and made again is another one: a fetch that names the old one by its id gets no record of the new one.
func TestFetchByTopicID(t *testing.T) {
	noLeaks(t)
	k := fake(t, kfake.SeedTopics(1, "again"))
	c := open(t, k)
	ctx := deadline(t)
	put := func(v string) {
		t.Helper()
		for range 3 {
			if err := c.Produce(ctx, "again", 0, []ProduceRecord{{Value: []byte(v)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	values := func(f FetchRequest) (out []string, err error) {
		f.Topic, f.MaxBytes = "again", 1<<20
		got, err := c.Fetch(ctx, f, nil)
		if err != nil {
			return nil, err
		}
		var r Reader
		r.Reset(got, f.Offset)
		for rec, ok := r.Next(); ok; rec, ok = r.Next() {
			out = append(out, string(rec.Value))
		}
		return out, r.Err()
	}
	put("old")
	d, err := c.Describe(ctx, "again")
	if err != nil {
		t.Fatal(err)
	}
	id := d.Topics["again"].ID
	if got, err := values(FetchRequest{TopicID: id}); err != nil || len(got) != 3 || got[0] != "old" {
		t.Fatal(got, err)
	}
	recreate(t, k, "again")
	if _, err := c.Describe(ctx, "again"); err != nil { // its leader is known: nothing but the id stands in the way
		t.Fatal(err)
	}
	put("new")
	for range 3 {
		got, err := values(FetchRequest{TopicID: id, Offset: 1})
		var changed *TopicChangedError
		if !errors.As(err, &changed) || changed.Topic != "again" || changed.ID != id {
			t.Fatalf("got %q, %v; want a TopicChangedError", got, err)
		}
	}
	if got, err := values(FetchRequest{}); err != nil || len(got) != 3 || got[0] != "new" {
		t.Fatal("by name:", got, err)
	}
	d, err = c.Describe(ctx, "again")
	if err != nil || d.Topics["again"].ID == id {
		t.Fatal(err)
	}
	if got, err := values(FetchRequest{TopicID: d.Topics["again"].ID}); err != nil || len(got) != 3 || got[0] != "new" {
		t.Fatal("by the new id:", got, err)
	}
}

// A broker that knows no ids in fetches is asked by name.
func TestFetchByTopicIDOldBroker(t *testing.T) {
	noLeaks(t)
	k := fake(t, kfake.SeedTopics(1, "old"))
	k.ControlKey(int16(kmsg.ApiVersions), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		res := r.ResponseKind().(*kmsg.ApiVersionsResponse)
		for key, v := range map[int16][2]int16{0: {3, 9}, 1: {4, 12}, 3: {0, 12}, 18: {0, 2}} {
			a := kmsg.NewApiVersionsResponseApiKey()
			a.ApiKey, a.MinVersion, a.MaxVersion = key, v[0], v[1]
			res.ApiKeys = append(res.ApiKeys, a)
		}
		return res, nil, true
	})
	c := open(t, k)
	ctx := deadline(t)
	if err := c.Produce(ctx, "old", 0, []ProduceRecord{{Value: []byte("v")}}); err != nil {
		t.Fatal(err)
	}
	f, err := c.Fetch(ctx, FetchRequest{Topic: "old", TopicID: [16]byte{7}, MaxBytes: 1 << 20}, nil)
	if err != nil || f.HighWatermark != 1 {
		t.Fatal(f.HighWatermark, err)
	}
}

// The epoch that goes with NextOffset is that of the batch before it, also where that batch holds nothing to deliver: one that is older
// would look cut off to the broker.
func TestReaderLeaderEpoch(t *testing.T) {
	marker := []ProduceRecord{{Key: []byte{0, 0, 0, 1}, Value: []byte{0, 0, 0, 0, 0, 0}}}
	data := testBatch{base: 10, records: values(3, "a"), epoch: 2}.build(t)
	data = append(data, testBatch{base: 13, records: marker, attrs: attrControl | attrTransactional, producer: 5, epoch: 4}.build(t)...)
	data = append(data, testBatch{base: 20, records: values(2, "b"), last: 9, epoch: 6}.build(t)...)
	var r Reader
	r.Reset(Fetched{Batches: data}, 11)
	if r.LeaderEpoch() != -1 {
		t.Fatal(r.LeaderEpoch())
	}
	type at struct {
		next  int64
		epoch int32
	}
	var got []at
	for _, ok := r.Next(); ok; _, ok = r.Next() {
		got = append(got, at{r.NextOffset(), r.LeaderEpoch()})
	}
	if want := []at{{12, 2}, {13, 2}, {21, 6}, {30, 6}}; r.Err() != nil || !slices.Equal(got, want) {
		t.Fatal(got, r.Err())
	}
	r.Reset(Fetched{Batches: data[:len(data)-10]}, 10) // torn: it ends with the marker
	for _, ok := r.Next(); ok; _, ok = r.Next() {
	}
	if r.NextOffset() != 14 || r.LeaderEpoch() != 4 {
		t.Fatal(r.NextOffset(), r.LeaderEpoch(), r.Err())
	}
}
