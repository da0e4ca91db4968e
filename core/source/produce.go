package source

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Header of a record to produce.
type Header struct {
	Key   string
	Value []byte
}

// ProduceRecord is written as it is. A nil Key or Value is null. The zero Timestamp is now.
type ProduceRecord struct {
	Key, Value []byte
	Headers    []Header
	Timestamp  time.Time
}

// maxProduceBatch stays below Kafka's default limit of a batch; a larger record goes alone and is refused or not by the topic's own limit.
const maxProduceBatch = 900 << 10

// Produce writes records, compressed, to a partition, or with partition -1 to the one their key hashes to (murmur2, as other clients do). It
// returns nil only when all in-sync replicas have acknowledged all of them. After an error some may have been written, and repeating
// writes them again: readers know dead letters by their keys.
func (c *Cluster) Produce(ctx context.Context, topic string, partition int32, records []ProduceRecord) error {
	if len(records) == 0 {
		return nil
	}
	groups := map[int32][]ProduceRecord{partition: records}
	if partition < 0 {
		d, err := c.Describe(ctx, topic)
		if err != nil {
			return err
		}
		if groups = byKey(records, len(d.Topics[topic].Partitions)); groups == nil {
			return &KafkaError{Code: codeUnknownTopicOrPartition, Request: "Produce", Object: topic}
		}
	}
	for p, rs := range groups {
		for len(rs) > 0 {
			batch, n := encodeBatch(rs)
			batch, err := c.packer.pack(batch)
			if err != nil {
				return fmt.Errorf("compress a batch for %s: %w", topic, err)
			}
			if err := c.produceBatch(ctx, topic, p, batch); err != nil {
				return err
			}
			rs = rs[n:]
		}
	}
	return nil
}

func byKey(records []ProduceRecord, partitions int) map[int32][]ProduceRecord {
	if partitions <= 0 {
		return nil
	}
	all := make([]int, partitions)
	for i := range all {
		all[i] = i
	}
	groups := make(map[int32][]ProduceRecord)
	for _, r := range records {
		key := r.Key
		if key == nil {
			key = []byte{} // a null key would go anywhere; a fixed place is as good and repeats alike
		}
		p := int32((kafka.Murmur2Balancer{}).Balance(kafka.Message{Key: key}, all...))
		groups[p] = append(groups[p], r)
	}
	return groups
}

func (c *Cluster) produceBatch(ctx context.Context, topic string, partition int32, batch []byte) error {
	n, _, err := c.leader(ctx, topic, partition)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, int32(c.o.RequestTimeout.Milliseconds())
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	r, _, err := n.do(ctx, exchange{req: req, min: 8, max: 9, timeout: c.o.RequestTimeout})
	if err != nil {
		c.leaderError(topic, partition, codeNone, err)
		return err
	}
	res := r.(*kmsg.ProduceResponse)
	what := object(topic, partition)
	if len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 || res.Topics[0].Partitions[0].Partition != partition {
		return fmt.Errorf("kafka: Produce %s: answer is about something else", what)
	}
	a := res.Topics[0].Partitions[0]
	if a.ErrorCode != codeNone {
		c.leaderError(topic, partition, a.ErrorCode, nil)
		err := error(&KafkaError{Code: a.ErrorCode, Request: "Produce", Object: what})
		if a.ErrorMessage != nil {
			err = fmt.Errorf("%w: %s", err, *a.ErrorMessage)
		}
		return err
	}
	return nil
}

// encodeBatch makes one uncompressed batch of the first n records.
func encodeBatch(records []ProduceRecord) (batch []byte, n int) {
	now := time.Now()
	stamp := func(r ProduceRecord) int64 {
		if r.Timestamp.IsZero() {
			return now.UnixMilli()
		}
		return r.Timestamp.UnixMilli()
	}
	b := make([]byte, batchHeader, batchHeader+512)
	first := stamp(records[0])
	last := first
	var body []byte
	for i, r := range records {
		ts := stamp(r)
		body = appendRecord(body[:0], r, ts-first, i)
		if i > 0 && len(b)+len(body) > maxProduceBatch {
			break
		}
		b = binary.AppendVarint(b, int64(len(body)))
		b = append(b, body...)
		last = max(last, ts)
		n++
	}
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[12:], 0xffffffff) // leader epoch: the broker fills it
	b[16] = 2
	binary.BigEndian.PutUint32(b[23:], uint32(n-1))
	binary.BigEndian.PutUint64(b[27:], uint64(first))
	binary.BigEndian.PutUint64(b[35:], uint64(last))
	for i := 43; i < 57; i++ {
		b[i] = 0xff // no producer id, epoch, sequence
	}
	binary.BigEndian.PutUint32(b[57:], uint32(n))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b, n
}

func appendRecord(b []byte, r ProduceRecord, stampDelta int64, offsetDelta int) []byte {
	b = append(b, 0) // attributes
	b = binary.AppendVarint(b, stampDelta)
	b = binary.AppendVarint(b, int64(offsetDelta))
	b = appendNullable(b, r.Key)
	b = appendNullable(b, r.Value)
	b = binary.AppendVarint(b, int64(len(r.Headers)))
	for _, h := range r.Headers {
		b = appendNullable(b, append([]byte{}, h.Key...))
		b = appendNullable(b, h.Value)
	}
	return b
}

func appendNullable(b, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(b, -1)
	}
	b = binary.AppendVarint(b, int64(len(v)))
	return append(b, v...)
}
