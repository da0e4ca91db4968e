package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
)

const (
	topic      = "ad-events"
	deadTopic  = "ad-events.dead"
	partitions = 4
	group      = "ads-demo"
)

// servers are Kafka and the registry, in this process.
type servers struct {
	kafka    *kfake.Cluster
	registry *srfake.Registry
	ids      [3]int // schema id by version
}

func startServers(ctx context.Context) (*servers, error) {
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic), kfake.SeedTopics(1, deadTopic))
	if err != nil {
		return nil, fmt.Errorf("start the in-process Kafka: %w", err)
	}
	s := &servers{kafka: k, registry: srfake.New()}
	c, err := sr.NewClient(sr.URLs(s.registry.URL()))
	if err != nil {
		s.close()
		return nil, fmt.Errorf("schema registry: %w", err)
	}
	for version := 1; version <= 2; version++ {
		r, err := c.CreateSchema(ctx, topic+"-value", sr.Schema{Schema: schemaText(version)})
		if err != nil {
			s.close()
			return nil, fmt.Errorf("register schema version %d: %w", version, err)
		}
		s.ids[version] = r.ID
	}
	return s, nil
}

func (s *servers) broker() string { return s.kafka.ListenAddrs()[0] }

func (s *servers) close() {
	s.registry.Close()
	s.kafka.Close()
}

// producer writes the stream and remembers when each part of it was
// acknowledged.
type producer struct {
	events int
	mu     sync.Mutex
	acked  [partitions][]ack
	sent   int
}

// ack says that offsets below Next were acknowledged at a time.
type ack struct {
	next int64
	at   time.Time
}

// run produces all events, spread over about as long as the demo wants to be
// under way.
func (p *producer) run(ctx context.Context, s *servers, over time.Duration) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(s.broker()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		return err
	}
	defer c.Close()
	begin := time.Now()
	step := max(p.events/200, 1)
	for first := 0; first < p.events; first += step {
		next := min(first+step, p.events)
		records := make([]*kgo.Record, 0, step)
		for i := first; i < next; i++ {
			e := make1(i)
			v := e.version(p.events)
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(e.campaign % partitions), Value: e.avro(v, s.ids[v])})
		}
		if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return fmt.Errorf("produce: %w", err)
		}
		p.note(records, next)
		due := begin.Add(over * time.Duration(next) / time.Duration(p.events))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(due)):
		}
	}
	return nil
}

func (p *producer) note(records []*kgo.Record, next int) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	var high [partitions]int64
	for _, r := range records {
		high[r.Partition] = max(high[r.Partition], r.Offset+1)
	}
	for i, h := range high {
		if h > 0 {
			p.acked[i] = append(p.acked[i], ack{h, now})
		}
	}
	p.sent = next
}

// progress is how many events were acknowledged.
func (p *producer) progress() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// delays gives, for records [first, next) of a partition that have become rows
// at a time, how long each part of them took.
func (p *producer) delays(partition int, first, next int64, at time.Time, each func(d time.Duration, n int64)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	from := int64(0)
	for _, a := range p.acked[partition] {
		if n := min(a.next, next) - max(from, first); n > 0 {
			each(max(at.Sub(a.at), 0), n)
		}
		from = a.next
	}
}
