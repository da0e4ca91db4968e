package source_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicekit/sluice/core/source"
)

// ledgerOfBytes is a source.Memory without a bound.
type ledgerOfBytes struct{ now, most atomic.Int64 }

func (l *ledgerOfBytes) Reserve(_ context.Context, n int64) error { l.Charge(n); return nil }

func (l *ledgerOfBytes) Charge(n int64) {
	now := l.now.Add(n)
	for most := l.most.Load(); now > most && !l.most.CompareAndSwap(most, now); most = l.most.Load() {
	}
}

// fetchCluster has a topic of so many partitions, with as many records of a size in each.
func fetchCluster(t *testing.T, partitions int32, records, size int) (*kfake.Cluster, *kgo.Client, *source.Cluster) {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for r := range records {
		for p := range partitions {
			client.Produce(t.Context(), &kgo.Record{Topic: "events", Partition: p, Value: fmt.Appendf(nil, "%d/%d %0*d", p, r, size, 0)}, nil)
		}
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := source.Open(source.Options{Brokers: k.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return k, client, c
}

// A hundred partitions that are read at the same time take a few requests, all their records come, and in the end no byte is charged.
func TestFetcherReadsManyPartitionsWithFewRequests(t *testing.T) {
	const partitions, records, size = 100, 5, 3000
	k, _, c := fetchCluster(t, partitions, records, size)
	var requests atomic.Int64
	k.ControlKey(kmsg.Fetch.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		requests.Add(1)
		return nil, nil, false
	})
	memory := &ledgerOfBytes{}
	f := source.NewFetcher(c, memory, 1<<20)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	ask := func(p int32, at int64) *source.Ask {
		return f.Ask(source.FetchRequest{Topic: "events", Partition: p, Offset: at, MaxBytes: 1 << 20, MaxWait: 300 * time.Millisecond}, false)
	}
	if _, err := c.Describe(ctx, "events"); err != nil { // all leaders are known
		t.Fatal(err)
	}
	asks := make([]*source.Ask, partitions)
	next := make([]int64, partitions)
	for left := partitions; left > 0; {
		for p := range asks {
			if next[p] < records {
				asks[p] = ask(int32(p), next[p])
			}
		}
		for p := range asks {
			if next[p] == records {
				continue
			}
			got, err := asks[p].Wait(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var r source.Reader
			r.Reset(got, next[p])
			for rec, ok := r.Next(); ok; rec, ok = r.Next() {
				if want := fmt.Sprintf("%d/%d ", p, rec.Offset); rec.Offset != next[p] || string(rec.Value[:len(want)]) != want {
					t.Fatalf("partition %d at %d: got offset %d, %.10q", p, next[p], rec.Offset, rec.Value)
				}
				next[p] = rec.Offset + 1
			}
			if r.Err() != nil {
				t.Fatal(r.Err())
			}
			got.Release()
			if next[p] == records {
				left--
			}
		}
	}
	if n := requests.Load(); n > partitions/2 {
		t.Errorf("%d requests for %d partitions", n, partitions)
	}
	f.Close()
	if now := memory.now.Load(); now != 0 {
		t.Errorf("%d bytes are charged at the end", now)
	}
	if most := memory.most.Load(); most < partitions*records*size/8 || most > 8<<20 {
		t.Errorf("%d bytes were charged at most", most)
	}
}

// One that has something does not wait for those that have nothing; an ask that is cancelled holds nothing; one without an answer in time
// is answered with nothing.
func TestFetcherWaitsForNobody(t *testing.T) {
	_, client, c := fetchCluster(t, 3, 0, 0)
	memory := &ledgerOfBytes{}
	f := source.NewFetcher(c, memory, 1<<20)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := c.Describe(ctx, "events"); err != nil {
		t.Fatal(err)
	}
	ask := func(p int32) *source.Ask {
		return f.Ask(source.FetchRequest{Topic: "events", Partition: p, MaxBytes: 1 << 20, MaxWait: 15 * time.Second}, false)
	}
	quiet, busy, given := ask(0), ask(1), ask(2)
	time.Sleep(100 * time.Millisecond) // all three wait at the broker
	given.Cancel()
	began := time.Now()
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: "events", Partition: 1, Value: []byte("x")}, &kgo.Record{Topic: "events", Partition: 2, Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	got, err := busy.Wait(ctx)
	if took := time.Since(began); err != nil || len(got.Batches) == 0 || took > 12*time.Second {
		t.Errorf("%d bytes and %v after %s", len(got.Batches), err, took)
	}
	got.Release()
	if got, err := quiet.Wait(ctx); err != nil || len(got.Batches) != 0 {
		t.Errorf("%d bytes and %v, want none", len(got.Batches), err)
	}
	late := ask(0)
	gone, leave := context.WithTimeout(ctx, 50*time.Millisecond)
	defer leave()
	if _, err := late.Wait(gone); err == nil {
		t.Error("an answer after the context ended")
	}
	f.Close()
	if _, err := ask(0).Wait(ctx); err == nil {
		t.Error("an answer from a closed fetcher")
	}
	if now := memory.now.Load(); now != 0 {
		t.Errorf("%d bytes are charged at the end", now)
	}
}

// Two readers of one partition, or of a topic and of the one that was made under its name since, are never in one request: a broker
// answers one of them, and the other would take that for its own and pass over what lies between.
func TestFetcherAsksForAPartitionOnceInARequest(t *testing.T) {
	const partitions, records = 3, 200
	k, _, c := fetchCluster(t, partitions, records, 10)
	var twice atomic.Int64
	k.ControlKey(kmsg.Fetch.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		seen := map[string]bool{}
		for _, topic := range r.(*kmsg.FetchRequest).Topics {
			for _, p := range topic.Partitions {
				key := fmt.Sprint(topic.TopicID, topic.Topic, p.Partition)
				if seen[key] {
					twice.Add(1)
				}
				seen[key] = true
			}
		}
		time.Sleep(20 * time.Millisecond) // so that asks gather
		return nil, nil, false
	})
	f := source.NewFetcher(c, &ledgerOfBytes{}, 1<<20)
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	d, err := c.Describe(ctx, "events")
	if err != nil {
		t.Fatal(err)
	}
	id := d.Topics["events"].ID
	type reading struct {
		ask *source.Ask
		at  int64
	}
	for _, more := range []bool{true, false} {
		var all []reading
		for at := range int64(20) {
			for p := range int32(partitions) {
				r := source.FetchRequest{Topic: "events", TopicID: id, Partition: p, Offset: at * 10, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond}
				all = append(all, reading{f.Ask(r, more), at * 10})
			}
		}
		other := f.Ask(source.FetchRequest{Topic: "events", TopicID: [16]byte{1}, Offset: 0, MaxBytes: 1 << 20}, more)
		for _, a := range all {
			got, err := a.ask.Wait(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var r source.Reader
			r.Reset(got, a.at)
			if rec, ok := r.Next(); !ok || rec.Offset != a.at {
				t.Errorf("asked for offset %d: got %d, %t", a.at, rec.Offset, ok)
			}
			got.Release()
		}
		var changed *source.TopicChangedError
		if _, err := other.Wait(ctx); !errors.As(err, &changed) {
			t.Errorf("a topic that is not there any more: %v", err)
		}
	}
	if n := twice.Load(); n > 0 {
		t.Errorf("%d partitions were twice in one request", n)
	}
}

// A broker that has stopped to answer: those that wait behind the first requests learn of it with them, and look for another leader.
func TestFetcherDoesNotQueueAtABrokerThatHangs(t *testing.T) {
	const partitions = 200
	k, _, _ := fetchCluster(t, partitions, 1, 10)
	c, err := source.Open(source.Options{Brokers: k.ListenAddrs(), RequestTimeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if _, err := c.Describe(ctx, "events"); err != nil {
		t.Fatal(err)
	}
	k.ControlKey(kmsg.Fetch.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		k.SleepControl(func() {
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute):
			}
		})
		return nil, nil, false
	})
	f := source.NewFetcher(c, &ledgerOfBytes{}, 1<<20)
	defer f.Close()
	var asks []*source.Ask
	began := time.Now()
	for p := range int32(partitions) {
		asks = append(asks, f.Ask(source.FetchRequest{Topic: "events", Partition: p, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond}, true))
	}
	for _, a := range asks {
		if _, err := a.Wait(ctx); err == nil {
			t.Fatal("an answer from a broker that hangs")
		}
	}
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("the last one knew after %s that the broker does not answer within 3 s", took)
	}
}

// Close comes at any moment, also when a worker is about to wait for more.
func TestFetcherCloses(t *testing.T) {
	_, _, c := fetchCluster(t, 1, 1, 10)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := c.Describe(ctx, "events"); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		f := source.NewFetcher(c, &ledgerOfBytes{}, 1<<20)
		got, err := f.Ask(source.FetchRequest{Topic: "events", MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond}, true).Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got.Release()
		closed := make(chan struct{})
		go func() {
			for began := time.Now(); time.Since(began) < time.Duration(i%100)*time.Microsecond/2; {
			}
			f.Close()
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(2 * time.Minute):
			t.Fatal("Close does not end")
		}
	}
}

// Requests wait at every broker of a cluster while nothing comes, and all brokers are asked at once for what is there. With the answers that one
// broker alone may give, these would take the memory of all readers, and nothing would be left for what has come.
func TestFetcherTakesLittleAtManyBrokers(t *testing.T) {
	const brokers, partitions, answer = 8, 128, 16 << 20
	k, err := kfake.NewCluster(kfake.NumBrokers(brokers), kfake.SeedTopics(partitions, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	c, err := source.Open(source.Options{Brokers: k.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if _, err := c.Describe(t.Context(), "events"); err != nil { // all leaders are known
		t.Fatal(err)
	}
	for _, of := range []struct {
		what string
		hot  bool
		most int64
	}{
		{"what may come", false, brokers * 4 * answer / 4},
		{"what is there", true, brokers*2*answer/4 + 4*answer}, // the first requests, at a cluster that may be small, are large
	} {
		memory := &ledgerOfBytes{}
		f := source.NewFetcher(c, memory, answer)
		var asks []*source.Ask
		for p := range int32(partitions) {
			asks = append(asks, f.Ask(source.FetchRequest{Topic: "events", Partition: p, MaxBytes: 4 << 20, MaxWait: 20 * time.Second}, of.hot))
			time.Sleep(5 * time.Millisecond) // so that they do not share a request
		}
		if most := memory.most.Load(); most < answer || most > of.most {
			t.Errorf("%s: requests take %d MiB, want at most %d", of.what, most>>20, of.most>>20)
		}
		for _, a := range asks {
			a.Cancel()
		}
		f.Close()
		if now := memory.now.Load(); now != 0 {
			t.Errorf("%s: %d bytes are charged at the end", of.what, now)
		}
	}
}

// What waits for records to come does not keep the memory of a large answer meanwhile, which it is not charged for.
func TestFetcherWaitsWithLittleMemory(t *testing.T) {
	const partitions, records, size = 8, 5, 900_000
	k, _, c := fetchCluster(t, partitions, records, size)
	k.ControlKey(kmsg.Fetch.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		time.Sleep(20 * time.Millisecond) // so that asks gather
		return nil, nil, false
	})
	if _, err := c.Describe(t.Context(), "events"); err != nil { // all leaders are known
		t.Fatal(err)
	}
	memory := &ledgerOfBytes{}
	f := source.NewFetcher(c, memory, 64<<20)
	defer f.Close()
	read := func(at int64, more bool) {
		var asks []*source.Ask
		for p := range int32(partitions) {
			asks = append(asks, f.Ask(source.FetchRequest{Topic: "events", Partition: p, Offset: at, MaxBytes: 4 << 20, MaxWait: 50 * time.Millisecond}, more))
		}
		for _, a := range asks {
			got, err := a.Wait(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got.Release()
		}
	}
	for range 5 { // which memory is used again is chance
		read(0, true)
		if most := memory.most.Load(); most < 64<<20 {
			t.Fatalf("at most %d bytes were charged for what is there", most)
		}
		memory.most.Store(0)
		read(records, false)
		if most := memory.most.Load(); most > 17<<20 { // four requests at the broker, and what their answers say
			t.Fatalf("at most %d bytes were charged for what may come, or kept without that", most)
		}
	}
}
