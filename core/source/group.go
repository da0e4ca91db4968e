package source

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// coordinator returns the pool of a group's coordinator, after asking for it if it is not known.
func (c *Cluster) coordinator(ctx context.Context, group string) (*node, error) {
	c.mu.Lock()
	address, ok := c.coordinators[group]
	c.mu.Unlock()
	if ok {
		return c.node(address)
	}
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey, req.CoordinatorType = group, 0
	r, err := c.anyNode(ctx, exchange{req: req, min: 2, max: 3, timeout: c.o.RequestTimeout})
	if err != nil {
		return nil, err
	}
	res := r.(*kmsg.FindCoordinatorResponse)
	if res.ErrorCode != codeNone {
		return nil, &KafkaError{Code: res.ErrorCode, Request: "FindCoordinator", Object: "group " + group}
	}
	address = hostPort(res.Host, res.Port)
	c.mu.Lock()
	c.coordinators[group] = address
	c.mu.Unlock()
	return c.node(address)
}

// ask sends a request to the group's coordinator. sent says whether the broker may have got it.
func (c *Cluster) ask(ctx context.Context, group string, x exchange) (kmsg.Response, error) {
	n, err := c.coordinator(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("group %s: find its coordinator: %w", group, unsent(err))
	}
	r, _, err := n.do(ctx, x)
	if err != nil {
		if ctx.Err() == nil {
			c.forgetCoordinator(group)
		}
		return nil, fmt.Errorf("group %s: %w", group, err)
	}
	return r, nil
}

func (c *Cluster) forgetCoordinator(group string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.coordinators, group)
}

// groupError is the error of a coordinator's answer, nil for 0. A coordinator that may have moved is forgotten.
func (c *Cluster) groupError(group, request string, code int16) error {
	switch code {
	case codeNone:
		return nil
	case codeCoordinatorLoading, codeCoordinatorNotAvailable, codeNotCoordinator:
		c.forgetCoordinator(group)
	}
	return &KafkaError{Code: code, Request: request, Object: "group " + group}
}

// Stored is what a group holds for a partition. Offset is -1 if nothing was ever committed; Metadata may be there without an offset.
type Stored struct {
	Topic       string
	Partition   int32
	Offset      int64
	LeaderEpoch int32
	Metadata    string
}

// FetchOffsets reads a group's offsets and metadata. Only what is settled is returned: with a transactional commit under way it fails
// with a retriable *KafkaError, as it does while the coordinator moves.
func (c *Cluster) FetchOffsets(ctx context.Context, group string, parts map[string][]int32) ([]Stored, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.RequireStable = group, true
	req.Topics = []kmsg.OffsetFetchRequestTopic{} // nil would ask for all
	want := 0
	for topic, ps := range parts {
		t := kmsg.NewOffsetFetchRequestTopic()
		t.Topic, t.Partitions = topic, ps
		req.Topics = append(req.Topics, t)
		want += len(ps)
	}
	r, err := c.ask(ctx, group, exchange{req: req, min: 7, max: 7, timeout: c.o.RequestTimeout})
	if err != nil {
		return nil, err
	}
	res := r.(*kmsg.OffsetFetchResponse)
	out := make([]Stored, 0, want)
	if res.ErrorCode == codeGroupNotFound { // some brokers say so, others answer with nothing stored
		for topic, ps := range parts {
			for _, p := range ps {
				out = append(out, Stored{Topic: topic, Partition: p, Offset: -1, LeaderEpoch: -1})
			}
		}
		return out, nil
	}
	if err := c.groupError(group, "OffsetFetch", res.ErrorCode); err != nil {
		return nil, err
	}
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != codeNone {
				c.groupError(group, "OffsetFetch", p.ErrorCode)
				return nil, &KafkaError{Code: p.ErrorCode, Request: "OffsetFetch", Object: "group " + group + " " + object(t.Topic, p.Partition)}
			}
			s := Stored{Topic: t.Topic, Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch}
			if p.Metadata != nil {
				s.Metadata = *p.Metadata
			}
			out = append(out, s)
		}
	}
	if len(out) != want {
		return nil, fmt.Errorf("kafka: OffsetFetch group %s: %d partitions answered, %d asked for", group, len(out), want)
	}
	return out, nil
}
