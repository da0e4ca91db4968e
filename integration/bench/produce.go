package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/integration/stack"
)

// partitions of each topic.
const partitions = 4

// truth is what each task should bring into a table.
type truth struct {
	rows, campaigns int64   // how many, and the sum of their campaign ids
	cost            float64 // in ten-thousandths, summed as integers
}

// topicOf is the topic with the events of a format.
func topicOf(format string) string { return "ads_" + format }

// produce fills the topics of the formats with the same n events and returns
// what the tasks T1 and T2 should find.
func produce(ctx context.Context, k *stack.KafkaServer, formats []string, n int) (all, some truth, err error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(k.Addr()), kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(50*time.Millisecond), kgo.MaxBufferedRecords(50_000), kgo.ProducerBatchMaxBytes(900_000))
	if err != nil {
		return all, some, err
	}
	defer c.Close()
	for _, f := range formats {
		if err := k.CreateTopic(ctx, topicOf(f), partitions, map[string]string{"retention.ms": "-1"}); err != nil {
			return all, some, err
		}
	}
	var mu sync.Mutex
	var failed error
	m := newMade(1)
	for i := range n {
		e := m.next()
		all.add(&e)
		if e.kind != "impression" {
			some.add(&e)
		}
		for _, f := range formats {
			value := e.avro
			if f == "json" {
				value = e.json
			}
			r := &kgo.Record{Topic: topicOf(f), Partition: int32(i % partitions), Value: value(nil), Timestamp: e.time()}
			c.Produce(ctx, r, func(_ *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, err)
			})
		}
		if (i+1)%500_000 == 0 {
			fmt.Fprintf(os.Stderr, "bench: %d of %d events produced\n", i+1, n)
		}
	}
	err = c.Flush(ctx)
	mu.Lock()
	defer mu.Unlock()
	return all, some, errors.Join(failed, err)
}

func (t *truth) add(e *event) {
	t.rows++
	t.campaigns += e.campaign
	t.cost += float64(int64(e.cost*1e4 + 0.5))
}
