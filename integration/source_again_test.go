package integration_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicekit/sluice/cmd/app/apptest"
	"github.com/sluicekit/sluice/core/source"
	"github.com/sluicekit/sluice/integration/stack"
)

// sourceRandom is what nothing compresses.
func sourceRandom(n int) []byte {
	out := make([]byte, n)
	rand.NewChaCha8([32]byte{3}).Read(out)
	return out
}

// sourceTry repeats what may fail for a moment after a topic was made or a broker started.
func sourceTry(t *testing.T, f func() error) {
	t.Helper()
	for deadline := time.Now().Add(apptest.Patience); ; time.Sleep(100 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// A topic that was deleted and made again is never read under the id of the old one, however it is filled.
func sourceRecreated(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "recreated", 1)
	c := sourceOpen(t, source.Options{Brokers: []string{k.Addr()}})
	put := func() {
		t.Helper()
		sourceTry(t, func() error {
			return c.Produce(limit(t), "recreated", 0, []source.ProduceRecord{{Value: []byte("a")}, {Value: []byte("b")}})
		})
	}
	put()
	d, err := c.Describe(limit(t), "recreated")
	if err != nil {
		t.Fatal(err)
	}
	f := source.FetchRequest{Topic: "recreated", TopicID: d.Topics["recreated"].ID, Offset: 1, MaxBytes: 1000}
	if got, err := c.Fetch(limit(t), f, nil); err != nil || len(got.Batches) == 0 {
		t.Fatal(len(got.Batches), err)
	}
	if err := k.DeleteTopic(limit(t), "recreated"); err != nil {
		t.Fatal(err)
	}
	topic(t, k, "recreated", 1)
	put()
	sourceTry(t, func() error {
		got, err := c.Fetch(limit(t), f, nil)
		if err == nil {
			t.Fatalf("got %d bytes of another topic", len(got.Batches))
		}
		if changed := (*source.TopicChangedError)(nil); errors.As(err, &changed) {
			return nil
		}
		return err
	})
}

// A record that is much larger than the limit is written compressed, where it has been compressed before it was read too.
func sourceCompressed(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "compressed", 1)
	c := sourceOpen(t, source.Options{Brokers: []string{k.Addr()}})
	v := bytes.Repeat([]byte(`{"id":"0123456789"}`), 300_000)
	sourceTry(t, func() error {
		return c.Produce(limit(t), "compressed", 0, []source.ProduceRecord{{Key: []byte("k"), Value: v}})
	})
	if got, _ := sourceRead(t, c, "compressed", 1000); len(got) != 1 || got[0] != string(v) {
		t.Fatal(len(got))
	}
}

// A partition whose leader was elected several times, and none of what it held was lost: no epoch that was read looks cut off.
func sourceEpochs(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "epochs", 1)
	c := sourceOpen(t, source.Options{Brokers: []string{k.Addr()}, RequestTimeout: 30 * time.Second})
	put := func(v string) {
		t.Helper()
		sourceTry(t, func() error {
			return c.Produce(limit(t), "epochs", 0, []source.ProduceRecord{{Value: []byte(v)}})
		})
	}
	put("first")
	for _, v := range []string{"second", "third"} {
		if err := k.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := k.Start(limit(t)); err != nil {
			t.Fatal(err)
		}
		put(v)
	}
	var r source.Reader
	f := source.FetchRequest{Topic: "epochs", MaxBytes: 1} // one batch at a time
	epochs := map[int32]bool{}
	for f.Offset < 3 {
		var got source.Fetched
		sourceTry(t, func() (err error) {
			got, err = c.Fetch(limit(t), f, nil)
			if ke := (*source.KafkaError)(nil); err != nil && !(errors.As(err, &ke) && ke.Retriable()) {
				t.Fatalf("behind epoch %d, offset %d: %v", f.LastEpoch, f.Offset, err)
			}
			return err // the leader's epoch that we know may be an old one
		})
		r.Reset(got, f.Offset)
		for _, ok := r.Next(); ok; _, ok = r.Next() {
			epochs[r.LeaderEpoch()] = true
		}
		f.Offset, f.CheckEpoch, f.LastEpoch = r.NextOffset(), true, r.LeaderEpoch()
	}
	if len(epochs) < 2 {
		t.Fatal("the leader was never elected anew: ", epochs)
	}
	f.MaxWait = 100 * time.Millisecond
	if _, err := c.Fetch(limit(t), f, nil); err != nil { // at the end
		t.Fatal(err)
	}
}
