package source

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// GroupMember is somebody who is in a consumer group.
type GroupMember struct {
	ID, Instance string // Instance: of static membership, "" without
	Client, Host string
}

// GroupMembers lists who is in a group now: nobody, if there is no such group.
func (c *Cluster) GroupMembers(ctx context.Context, group string) ([]GroupMember, error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{group}
	r, err := c.ask(ctx, group, exchange{req: req, min: 4, max: 5, timeout: c.o.RequestTimeout})
	if err != nil {
		return nil, err
	}
	res := r.(*kmsg.DescribeGroupsResponse)
	if len(res.Groups) != 1 || res.Groups[0].Group != group {
		return nil, errors.New("kafka: DescribeGroups group " + group + ": answer is about something else")
	}
	if code := res.Groups[0].ErrorCode; code != codeGroupNotFound {
		if err := c.groupError(group, "DescribeGroups", code); err != nil {
			return nil, err
		}
	}
	var out []GroupMember
	for _, m := range res.Groups[0].Members {
		g := GroupMember{ID: m.MemberID, Client: m.ClientID, Host: m.ClientHost}
		if m.InstanceID != nil {
			g.Instance = *m.InstanceID
		}
		out = append(out, g)
	}
	return out, nil
}

// CommitOutside stores offsets and metadata for a group that nobody is in; the coordinator refuses it while somebody is. nil, or a
// *RefusedError, *UnsureError or *UnansweredError; all partitions go in one request, which the coordinator stores as a whole.
func (c *Cluster) CommitOutside(ctx context.Context, group string, commits []OffsetCommit) error {
	req := commitMessage(group, commits)
	req.Generation = -1
	r, err := c.ask(ctx, group, exchange{req: req, min: 7, max: 8, timeout: c.o.RequestTimeout})
	if err != nil {
		var ce *ConnError
		if !errors.As(err, &ce) || !ce.Sent {
			return &RefusedError{Group: group, Err: err}
		}
		return &UnansweredError{Group: group, Err: err}
	}
	var codes []PartitionCode
	stored, unsure := 0, false
	for _, t := range r.(*kmsg.OffsetCommitResponse).Topics {
		for _, p := range t.Partitions {
			codes = append(codes, PartitionCode{t.Topic, p.Partition, p.ErrorCode})
			if p.ErrorCode == codeNone {
				stored++
				continue
			}
			unsure = unsure || !refuses(p.ErrorCode)
			c.groupError(group, "OffsetCommit", p.ErrorCode) //nolint:errcheck // for what it forgets
		}
	}
	switch {
	case unsure || len(codes) != len(commits):
		return &UnsureError{Group: group, Partitions: codes}
	case stored == len(codes):
		return nil
	}
	return &RefusedError{Group: group, Partitions: codes}
}
