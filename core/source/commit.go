package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetCommit is one partition of a commit. LeaderEpoch is the epoch of the last record before Offset, or -1; never 0 unless it is
// 0, since other clients go back to the start of the log by it.
type OffsetCommit struct {
	Topic       string
	Partition   int32
	Offset      int64
	LeaderEpoch int32
	Metadata    string
}

// PartitionCode is the answer for one partition.
type PartitionCode struct {
	Topic     string
	Partition int32
	Code      int16 // 0: this one was stored
}

// RefusedError says that a commit was definitely not stored, except for the partitions with code 0 in Partitions, which were. Err is
// the cause where the request was not answered at all because it was not sent.
type RefusedError struct {
	Group      string
	Partitions []PartitionCode // in the order of the answer; nil if not sent
	// Moved: the coordinator has gone on to the next generation, and the member with it: see Generation.Moved.
	Moved bool
	Err   error
}

func (e *RefusedError) Error() string {
	return "kafka: commit of group " + e.Group + " refused: " + describeCodes(e.Partitions, e.Err)
}

func (e *RefusedError) Unwrap() error { return e.Err }

// UnsureError says that the coordinator answered, but not what became of the commit: it wrote the commit to its log and did not learn
// whether it stays there (7, 15, 16, -1 and the like), or left a partition out. Each partition is stored or not. Nothing sent after this
// answer can be overtaken by the commit, so the generation goes on and the next commit of the same partitions settles the matter.
type UnsureError struct {
	Group      string
	Partitions []PartitionCode
}

func (e *UnsureError) Error() string {
	return "kafka: commit of group " + e.Group + " has an unsure outcome: " + describeCodes(e.Partitions, nil)
}

// UnansweredError says that a commit was sent and no answer came. It may be stored now or later, even after other commits of this
// generation; therefore the generation has ended, and the member id is not used again.
type UnansweredError struct {
	Group string
	Err   error
}

func (e *UnansweredError) Error() string {
	return fmt.Sprintf("kafka: commit of group %s: %v", e.Group, e.Err)
}

func (e *UnansweredError) Unwrap() error { return e.Err }

func describeCodes(parts []PartitionCode, err error) string {
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	shown, stored := 0, 0
	for _, p := range parts {
		if p.Code == codeNone {
			stored++
			continue
		}
		if shown++; shown <= 3 {
			fmt.Fprintf(&b, "%s %s (error %d), ", object(p.Topic, p.Partition), codeName(p.Code), p.Code)
		}
	}
	fmt.Fprintf(&b, "%d of %d partitions were stored", stored, len(parts))
	return b.String()
}

// Commit stores offsets and metadata in one request under this generation. It returns nil only if every partition was stored, else a
// *RefusedError, *UnsureError or *UnansweredError. Commits of one generation follow one another: a second call waits for the first.
func (g *Generation) Commit(ctx context.Context, commits []OffsetCommit) error {
	group := g.m.o.Group
	if len(commits) == 0 {
		return nil
	}
	select {
	case g.committing <- struct{}{}:
		defer func() { <-g.committing }()
	case <-g.ended:
		return &RefusedError{Group: group, Err: g.Err()}
	case <-ctx.Done():
		return &RefusedError{Group: group, Err: ctx.Err()}
	}
	if err := g.Err(); err != nil {
		return &RefusedError{Group: group, Err: err}
	}
	if g.hasMoved() {
		return &RefusedError{Group: group, Moved: true, Err: errMoved}
	}
	sent := time.Now()
	r, err := g.m.c.ask(ctx, group, exchange{req: g.commitMessage(commits), min: 7, max: 8, timeout: g.m.c.o.RequestTimeout})
	if err != nil {
		var ce *ConnError
		if !errors.As(err, &ce) || !ce.Sent {
			return &RefusedError{Group: group, Err: err}
		}
		g.End(fmt.Errorf("a commit was not answered: %w", err))
		return &UnansweredError{Group: group, Err: err}
	}
	return g.judge(commits, r.(*kmsg.OffsetCommitResponse), sent)
}

func (g *Generation) commitMessage(commits []OffsetCommit) *kmsg.OffsetCommitRequest {
	req := commitMessage(g.m.o.Group, commits)
	req.Generation, req.MemberID, req.InstanceID = g.id, g.member, g.m.instance()
	return req
}

func commitMessage(group string, commits []OffsetCommit) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = group
	at := make(map[string]int)
	for _, c := range commits {
		i, ok := at[c.Topic]
		if !ok {
			i = len(req.Topics)
			at[c.Topic] = i
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic = c.Topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = c.Partition, c.Offset, c.LeaderEpoch, kmsg.StringPtr(c.Metadata)
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	return req
}

// judge turns an answer into what is known.
func (g *Generation) judge(commits []OffsetCommit, res *kmsg.OffsetCommitResponse, sent time.Time) error {
	var codes []PartitionCode
	seen := make(map[topicPartition]bool, len(commits))
	stored, unsure := 0, false
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			codes = append(codes, PartitionCode{t.Topic, p.Partition, p.ErrorCode})
			seen[topicPartition{t.Topic, p.Partition}] = true
			switch {
			case p.ErrorCode == codeNone:
				stored++
				continue
			case !refuses(p.ErrorCode):
				unsure = true
			}
			g.note(p.ErrorCode, sent)
			g.m.c.groupError(g.m.o.Group, "OffsetCommit", p.ErrorCode)
		}
	}
	for _, c := range commits {
		if !seen[topicPartition{c.Topic, c.Partition}] {
			codes = append(codes, PartitionCode{c.Topic, c.Partition, codeUnknown})
			unsure = true
		}
	}
	switch {
	case unsure:
		return &UnsureError{Group: g.m.o.Group, Partitions: codes}
	case stored == len(codes):
		return nil
	}
	return &RefusedError{Group: g.m.o.Group, Partitions: codes, Moved: stored == 0 && g.hasMoved()}
}

// refuses says whether the coordinator gives a code before it writes anything. All others it may also give after it has appended the
// commit to its log without learning that the replicas have it.
func refuses(code int16) bool {
	switch code {
	case codeUnknownTopicOrPartition, 12, // metadata too large
		codeCoordinatorLoading, codeIllegalGeneration, 24, codeUnknownMember, codeRebalanceInProgress, // 24: invalid group id
		28, 29, 30, // commit too large, topic and group not authorized
		codeUnsupportedVersion, 42, codeGroupNotFound, codeFencedInstance, 113: // 42: invalid request, 113: stale member epoch
		return true
	}
	return false
}
