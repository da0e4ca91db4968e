package source

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func stored(t *testing.T, c *Cluster, partition int32) Stored {
	t.Helper()
	s, err := c.FetchOffsets(deadline(t), "g", map[string][]int32{"events": {partition}})
	if err != nil {
		t.Fatal(err)
	}
	return s[0]
}

var twoParts = []OffsetCommit{{"events", 0, 5, 3, "a"}, {"events", 1, 6, -1, "b"}}

func TestCommitStores(t *testing.T) {
	noLeaks(t)
	c := open(t, fake(t))
	m := newTestMember(t, c, nil)
	g := join(t, m)
	if err := g.Commit(deadline(t), append(twoParts, OffsetCommit{"events", 2, -1, -1, "no offset yet"})); err != nil {
		t.Fatal(err)
	}
	if s := stored(t, c, 0); s != (Stored{"events", 0, 5, 3, "a"}) {
		t.Fatal(s)
	}
	if s := stored(t, c, 3); s.Offset != -1 || s.Metadata != "" {
		t.Fatal(s)
	}
	if err := g.Commit(deadline(t), nil); err != nil {
		t.Fatal(err)
	}
}

// One partition's error makes the whole a failure, and says which were stored all the same.
func TestCommitPartlyRefused(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c := open(t, k)
	g := join(t, newTestMember(t, c, nil))
	k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Topic: "events", Partitions: []int32{1}, Err: kerr.OffsetMetadataTooLarge})
	err := g.Commit(deadline(t), twoParts)
	var refused *RefusedError
	if !errors.As(err, &refused) || len(refused.Partitions) != 2 {
		t.Fatal(err)
	}
	for _, p := range refused.Partitions {
		if (p.Code == 0) != (p.Partition == 0) {
			t.Fatal(refused.Partitions)
		}
	}
	stillOpen(t, "ended", g.Ended())
}

// Codes that a coordinator may give after it wrote the commit to its log are not a refusal, and not an end.
func TestCommitUnsure(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	g := join(t, newTestMember(t, open(t, k), nil))
	for _, e := range []*kerr.Error{kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.RequestTimedOut, kerr.UnknownServerError} {
		k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: e})
		var unsure *UnsureError
		if err := g.Commit(deadline(t), twoParts); !errors.As(err, &unsure) {
			t.Fatal(e, err)
		}
		stillOpen(t, "ended", g.Ended())
		if err := g.Commit(deadline(t), twoParts); err != nil {
			t.Fatal(e, err)
		}
	}
}

// An answer that leaves a partition out says nothing about it.
func TestCommitAnswerIncomplete(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	g := join(t, newTestMember(t, open(t, k), nil))
	k.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		return r.ResponseKind(), nil, true
	})
	var unsure *UnsureError
	if err := g.Commit(deadline(t), twoParts); !errors.As(err, &unsure) || len(unsure.Partitions) != 2 {
		t.Fatal(err)
	}
}

func TestCommitFenced(t *testing.T) {
	noLeaks(t)
	for _, e := range []*kerr.Error{kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.FencedInstanceID} {
		k := fake(t)
		c := open(t, k)
		m := newTestMember(t, c, nil)
		g := join(t, m)
		k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: e, Group: "g"})
		var refused *RefusedError
		if err := g.Commit(deadline(t), twoParts); !errors.As(err, &refused) {
			t.Fatal(err)
		}
		closed(t, "ended", g.Ended())
		if !isCode(g.Err(), e.Code) {
			t.Fatal(g.Err())
		}
		if err := m.Leave(deadline(t)); err != nil {
			t.Fatal(err)
		}
	}
}

// lostCommit makes the coordinator take one commit and break the connection instead of answering.
func lostCommit(k *kfake.Cluster) {
	k.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		return nil, errors.New("lost"), true
	})
}

// A commit without an answer ends the membership: the next one comes as somebody else, so that a late copy is refused.
func TestCommitUnanswered(t *testing.T) {
	noLeaks(t)
	for _, instance := range []string{"", "pod-0"} {
		k := fake(t)
		c := open(t, k)
		m := newTestMember(t, c, func(o *MemberOptions) { o.InstanceID = instance })
		g := join(t, m)
		lostCommit(k)
		err := g.Commit(deadline(t), twoParts)
		var un *UnansweredError
		if !errors.As(err, &un) {
			t.Fatal(err)
		}
		closed(t, "ended", g.Ended())
		var refused *RefusedError
		if err := g.Commit(deadline(t), twoParts); !errors.As(err, &refused) || refused.Partitions != nil {
			t.Fatal(err)
		}
		next := join(t, m)
		if next.MemberID() == g.MemberID() || len(next.Slots()) != 4 {
			t.Fatal(next.MemberID(), next.Slots())
		}
		late := g.commitMessage(twoParts)
		r, err := c.ask(deadline(t), "g", exchange{req: late, min: 7, max: 8, timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if code := r.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode; code != 25 && code != 22 && code != 82 {
			t.Fatal("a late copy was answered with", code)
		}
		if err := next.Commit(deadline(t), twoParts); err != nil {
			t.Fatal(err)
		}
		if err := m.Leave(deadline(t)); err != nil {
			t.Fatal(err)
		}
	}
}

// A coordinator that holds its answer back longer than the caller waits is the same, and the caller is free at once.
func TestCommitTimesOut(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	m := newTestMember(t, open(t, k), nil)
	g := join(t, m)
	k.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true })
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	var un *UnansweredError
	if err := g.Commit(ctx, twoParts); !errors.As(err, &un) || time.Since(began) > 30*time.Second {
		t.Fatal(err, time.Since(began))
	}
	if err := m.Leave(deadline(t)); err != nil {
		t.Fatal(err)
	}
}

// A commit that could not even be sent is refused, and the membership goes on.
func TestCommitNotSent(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	g := join(t, newTestMember(t, open(t, k), nil))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var refused *RefusedError
	if err := g.Commit(ctx, twoParts); !errors.As(err, &refused) {
		t.Fatal(err)
	}
	stillOpen(t, "ended", g.Ended())
	if err := g.Commit(deadline(t), twoParts); err != nil {
		t.Fatal(err)
	}
}

// End from outside: heartbeats stop, the ghost is removed at once instead of after its session.
func TestEndLeaves(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	m := newTestMember(t, open(t, k), func(o *MemberOptions) { o.Session, o.Rebalance = time.Minute, time.Minute })
	g := join(t, m)
	reason := errors.New("the lane says so")
	g.End(reason)
	closed(t, "rebalance", g.Rebalance())
	if g.Err() != reason {
		t.Fatal(g.Err())
	}
	began := time.Now()
	other := newTestMember(t, open(t, k), nil)
	if got := join(t, other); len(got.Slots()) != 4 || time.Since(began) > 30*time.Second {
		t.Fatal(got.Slots(), time.Since(began))
	}
}

func TestFetchOffsetsErrors(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c := open(t, k)
	if s := stored(t, c, 0); s.Offset != -1 || s.LeaderEpoch != -1 { // the group does not exist
		t.Fatal(s)
	}
	join(t, newTestMember(t, c, nil))
	k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.UnstableOffsetCommit, Topic: "events"})
	_, err := c.FetchOffsets(deadline(t), "g", map[string][]int32{"events": {0}})
	var ke *KafkaError
	if !errors.As(err, &ke) || !ke.Retriable() {
		t.Fatal(err)
	}
	if s := stored(t, c, 0); s.Offset != -1 {
		t.Fatal(s)
	}
}
