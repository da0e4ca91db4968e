package source

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Position is a place in a partition that an offset can be asked for.
type Position int64

// Latest is the last stable offset: where a reader of committed records has nothing left to read.
const (
	Latest   Position = -1
	Earliest Position = -2
)

// maxAsking is how many offsets are asked for at a time: each request has a connection to itself.
const maxAsking = 8

// AtTime is the first record at or after t, or Latest if there is none.
func AtTime(t time.Time) Position { return Position(max(0, t.UnixMilli())) }

// Offsets resolves a position of a partition.
func (c *Cluster) Offsets(ctx context.Context, topic string, partition int32, at Position) (int64, error) {
	offset, err := c.listOffset(ctx, topic, partition, int64(at), 1)
	if err == nil && offset < 0 && at >= 0 {
		offset, err = c.listOffset(ctx, topic, partition, int64(Latest), 1)
	}
	return offset, err
}

// AllOffsets resolves a position of all partitions of a topic, with one request per broker. Partitions whose leader does not know it, and
// for AtTime those without such a record, are left out.
func (c *Cluster) AllOffsets(ctx context.Context, topic string, at Position) (map[int32]int64, error) {
	d, err := c.Describe(ctx, topic)
	if err != nil {
		return nil, err
	}
	asks := map[*node][]kmsg.ListOffsetsRequestTopicPartition{}
	for id := range d.Topics[topic].Partitions {
		n, epoch, err := c.leader(ctx, topic, int32(id))
		if err != nil {
			continue
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.Timestamp = int32(id), epoch, int64(at)
		asks[n] = append(asks[n], p)
	}
	out := make(map[int32]int64, len(d.Topics[topic].Partitions))
	for n, parts := range asks {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID, req.IsolationLevel = -1, 1
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: parts}}
		r, _, err := n.do(ctx, exchange{req: req, min: 4, max: 7, timeout: c.o.RequestTimeout})
		if err != nil {
			return nil, err
		}
		for _, t := range r.(*kmsg.ListOffsetsResponse).Topics {
			for _, a := range t.Partitions {
				if t.Topic == topic && a.ErrorCode == codeNone && a.Offset >= 0 {
					out[a.Partition] = a.Offset
				}
			}
		}
	}
	return out, nil
}

func (c *Cluster) listOffset(ctx context.Context, topic string, partition int32, at int64, isolation int8) (int64, error) {
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	case <-ctx.Done():
		return -1, ctx.Err()
	}
	n, epoch, err := c.leader(ctx, topic, partition)
	if err != nil {
		return -1, err
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, isolation
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.Timestamp = partition, epoch, at
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	r, _, err := n.do(ctx, exchange{req: req, min: 4, max: 7, timeout: c.o.RequestTimeout})
	if err != nil {
		c.leaderError(topic, partition, codeNone, err)
		return -1, err
	}
	res := r.(*kmsg.ListOffsetsResponse)
	if len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 || res.Topics[0].Topic != topic || res.Topics[0].Partitions[0].Partition != partition {
		return -1, fmt.Errorf("kafka: ListOffsets %s: answer is about something else", object(topic, partition))
	}
	a := res.Topics[0].Partitions[0]
	if a.ErrorCode != codeNone {
		c.leaderError(topic, partition, a.ErrorCode, nil)
		return -1, &KafkaError{Code: a.ErrorCode, Request: "ListOffsets", Object: object(topic, partition)}
	}
	return a.Offset, nil
}
