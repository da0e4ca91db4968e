package source

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Description is what the cluster says about itself and some topics.
type Description struct {
	ClusterID string
	Topics    map[string]TopicDescription
}

// TopicDescription of a topic that exists. Partitions are in order, from 0, without gaps.
type TopicDescription struct {
	ID         [16]byte
	Partitions []PartitionDescription
}

// Incarnation names a topic as it is now: one that was created again, and one of the same name in another cluster, have another.
func (d Description) Incarnation(topic string) string {
	id := d.Topics[topic].ID
	return d.ClusterID + "/" + hex.EncodeToString(id[:])
}

// PartitionDescription names the leader, -1 while there is none.
type PartitionDescription struct {
	Leader, LeaderEpoch int32
}

// Describe asks for topics. One that does not exist or may not be seen is a *KafkaError.
func (c *Cluster) Describe(ctx context.Context, topics ...string) (Description, error) {
	res, err := c.metadata(ctx, topics)
	if err != nil {
		return Description{}, err
	}
	d := Description{Topics: make(map[string]TopicDescription, len(res.Topics))}
	if res.ClusterID != nil {
		d.ClusterID = *res.ClusterID
	}
	for _, t := range res.Topics {
		if t.Topic == nil {
			continue
		}
		if t.ErrorCode != codeNone {
			return d, &KafkaError{Code: t.ErrorCode, Request: "Metadata", Object: *t.Topic}
		}
		td := TopicDescription{ID: t.TopicID, Partitions: make([]PartitionDescription, len(t.Partitions))}
		for i := range td.Partitions {
			td.Partitions[i].Leader = -1
		}
		for _, p := range t.Partitions {
			if p.Partition < 0 || int(p.Partition) >= len(td.Partitions) {
				return d, &KafkaError{Code: codeUnknownTopicOrPartition, Request: "Metadata", Object: object(*t.Topic, p.Partition)}
			}
			td.Partitions[p.Partition] = PartitionDescription{Leader: p.Leader, LeaderEpoch: p.LeaderEpoch}
		}
		d.Topics[*t.Topic] = td
	}
	for _, t := range topics {
		if _, ok := d.Topics[t]; !ok {
			return d, &KafkaError{Code: codeUnknownTopicOrPartition, Request: "Metadata", Object: t}
		}
	}
	return d, nil
}

func (c *Cluster) metadata(ctx context.Context, topics []string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // nil would ask for all
	req.AllowAutoTopicCreation = false
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	r, err := c.anyNode(ctx, exchange{req: req, min: 10, max: 12, timeout: c.o.RequestTimeout}) // 10: topic ids
	if err != nil {
		return nil, err
	}
	res := r.(*kmsg.MetadataResponse)
	c.setBrokers(res.Brokers)
	c.setLeaders(res.Topics)
	return res, nil
}

func (c *Cluster) setLeaders(topics []kmsg.MetadataResponseTopic) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range topics {
		if t.Topic == nil {
			continue
		}
		c.fresh[*t.Topic] = now
		for _, p := range t.Partitions {
			tp := topicPartition{*t.Topic, p.Partition}
			if p.ErrorCode != codeNone && p.Leader < 0 {
				delete(c.leaders, tp)
				continue
			}
			c.leaders[tp] = leader{p.Leader, p.LeaderEpoch}
		}
	}
}

// leader returns the pool of a partition's leader and its epoch, after asking for it if it is not known.
func (c *Cluster) leader(ctx context.Context, topic string, partition int32) (*node, int32, error) {
	tp := topicPartition{topic, partition}
	asked := time.Now()
	l, ok := c.knownLeader(tp)
	if !ok {
		if err := c.learn(ctx, topic, asked); err != nil {
			return nil, -1, err
		}
		if l, ok = c.knownLeader(tp); !ok {
			return nil, -1, &KafkaError{Code: codeLeaderNotAvailable, Request: "Metadata", Object: object(topic, partition)}
		}
	}
	n, err := c.brokerNode(l.node)
	if err != nil {
		c.forgetLeader(topic, partition)
	}
	return n, l.epoch, err
}

func (c *Cluster) knownLeader(tp topicPartition) (leader, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.leaders[tp]
	return l, ok && l.node >= 0
}

// learn refreshes a topic's leaders, unless somebody else did so since asked.
func (c *Cluster) learn(ctx context.Context, topic string, asked time.Time) error {
	select {
	case c.refresh <- struct{}{}:
		defer func() { <-c.refresh }()
	case <-ctx.Done():
		return &ConnError{Request: "Metadata", Address: topic, Err: ctx.Err()}
	}
	c.mu.Lock()
	fresh := c.fresh[topic].After(asked)
	c.mu.Unlock()
	if fresh {
		return nil
	}
	_, err := c.Describe(ctx, topic)
	return err
}

// forgetLeader makes the next request ask again.
func (c *Cluster) forgetLeader(topic string, partition int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.leaders, topicPartition{topic, partition})
}

// leaderError looks at the outcome of a request to a partition's leader and forgets a leader that may have moved.
func (c *Cluster) leaderError(topic string, partition int32, code int16, err error) {
	switch code {
	case codeUnknownTopicOrPartition, codeLeaderNotAvailable, codeNotLeader, codeFencedLeaderEpoch, codeUnknownLeaderEpoch, 76,
		codeKafkaStorageError, codeUnknownTopicID:
	default:
		if err == nil {
			return
		}
	}
	c.forgetLeader(topic, partition)
}
