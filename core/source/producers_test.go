package source

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// readAll fetches a partition to its last stable offset and returns the values.
func readAll(t *testing.T, c *Cluster, topic string, partition int32) (out []got, next int64) {
	t.Helper()
	ctx := deadline(t)
	var (
		r   Reader
		buf []byte
	)
	maxBytes := int32(3000) // small: many answers, torn ends, and transactions over several
	for {
		f, err := c.Fetch(ctx, FetchRequest{Topic: topic, Partition: partition, Offset: next, MaxBytes: maxBytes, MaxWait: 50 * time.Millisecond}, buf)
		if err != nil {
			t.Fatal(err)
		}
		buf = f.Buf
		r.Reset(f, next)
		for rec, ok := r.Next(); ok; rec, ok = r.Next() {
			out = append(out, got{rec.Offset, string(rec.Key), string(rec.Value)})
		}
		var torn *TornError
		if errors.As(r.Err(), &torn) {
			maxBytes = int32(torn.Need)
		} else if r.Err() != nil {
			t.Fatal(r.Err())
		}
		next = r.NextOffset()
		if next >= f.LastStable {
			return out, next
		}
	}
}

func TestProducers(t *testing.T) {
	noLeaks(t)
	k := fake(t, kfake.SeedTopics(1, "franz", "segment"))
	c := open(t, k)
	ctx := deadline(t)
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	var want []string
	large := string(bytes.Repeat([]byte("0123456789"), 20_000))
	for name, codec := range codecs {
		cl, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...), kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic("franz"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			v := fmt.Sprint(name, i, large[:i*i*i])
			want = append(want, v)
			cl.Produce(ctx, kgo.StringRecord(v), nil)
		}
		if err := cl.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		cl.Close()
	}
	compare(t, c, "franz", want)
	want = nil
	for _, codec := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		tr := &kafka.Transport{}
		w := &kafka.Writer{Addr: kafka.TCP(k.ListenAddrs()...), Topic: "segment", Compression: codec, BatchTimeout: time.Millisecond, RequiredAcks: kafka.RequireAll, Transport: tr}
		var ms []kafka.Message
		for i := range 30 {
			v := fmt.Sprint(codec, i, large[:i*i])
			want = append(want, v)
			ms = append(ms, kafka.Message{Value: []byte(v)})
		}
		if err := w.WriteMessages(ctx, ms...); err != nil {
			t.Fatal(err)
		}
		w.Close()
		tr.CloseIdleConnections()
	}
	compare(t, c, "segment", want)
}

func compare(t *testing.T, c *Cluster, topic string, want []string) {
	t.Helper()
	gs, _ := readAll(t, c, topic, 0)
	if len(gs) != len(want) {
		t.Fatal(topic, len(gs), len(want))
	}
	for i, g := range gs {
		if g.value != want[i] || g.offset != int64(i) {
			t.Fatal(topic, i, g)
		}
	}
}

// Transactions of two producers interleave, over many answers; those that abort are not seen, nor is what is still open.
func TestTransactions(t *testing.T) {
	noLeaks(t)
	k := fake(t, kfake.SeedTopics(1, "txn"))
	c := open(t, k)
	ctx := deadline(t)
	var producers []*kgo.Client
	for i := range 3 {
		cl, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...), kgo.TransactionalID(fmt.Sprint("tx", i)), kgo.DefaultProduceTopic("txn"), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		producers = append(producers, cl)
	}
	want := map[string]bool{}
	put := func(i int, v string) {
		if err := producers[i].ProduceSync(ctx, kgo.StringRecord(v)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 12 {
		for _, p := range producers[:2] {
			if err := p.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
		}
		keep := [2]bool{round%2 == 0, round%3 == 0}
		for n := range 8 {
			for i := range 2 {
				v := fmt.Sprintf("round %d producer %d record %d %s", round, i, n, bytes.Repeat([]byte("x"), 200))
				put(i, v)
				if keep[i] {
					want[v] = true
				}
			}
		}
		for i, p := range producers[:2] {
			if err := p.EndTransaction(ctx, kgo.TransactionEndTry(keep[i])); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := producers[2].BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	put(2, "open")
	gs, next := readAll(t, c, "txn", 0)
	for _, g := range gs {
		if !want[g.value] {
			t.Fatal("not wanted:", g)
		}
		delete(want, g.value)
	}
	if len(want) != 0 {
		t.Fatal(len(want), "missing")
	}
	latest, err := c.Offsets(ctx, "txn", 0, Latest)
	if err != nil || latest != next {
		t.Fatal(latest, next, err)
	}
	if err := producers[2].EndTransaction(ctx, kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	if end, _ := readAll(t, c, "txn", 0); len(end) != len(gs) {
		t.Fatal(len(end))
	}
}
