package source

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// pending lets a rejoin wait for another member.
func pendingRejoin(t *testing.T, a *Member, ga, gb *Generation) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := a.Rejoin(deadline(t), ga.Slots())
		done <- err
	}()
	closed(t, "rebalance of the other", gb.Rebalance()) // so the coordinator has the JoinGroup
	return done
}

// What is committed counts until the coordinator has left the generation. What is refused then is not lost, and no end.
func TestCommitsWhileRejoining(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c := open(t, k)
	a, b := newTestMember(t, c, nil), newTestMember(t, open(t, k), nil)
	ga, gb := joinBoth(t, a, b)
	done := pendingRejoin(t, a, ga, gb)
	for range 3 {
		if err := ga.Heartbeat(deadline(t)); err != nil {
			t.Fatal(err)
		}
		if err := ga.Commit(deadline(t), twoParts); err != nil {
			t.Fatal(err)
		}
	}
	stillOpen(t, "moved", ga.Moved())
	k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.IllegalGeneration, Group: "g"}) // as if it came a little later
	var refused *RefusedError
	if err := ga.Commit(deadline(t), twoParts); !errors.As(err, &refused) || !refused.Moved {
		t.Fatal(err)
	}
	closed(t, "moved", ga.Moved())
	gb = rejoin(t, b, gb.Slots())
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	stillOpen(t, "the membership", ga.Ended())
	if a.gen.ID() != gb.ID() || a.gen.MemberID() != ga.MemberID() || !slices.Equal(a.gen.Slots(), ga.Slots()) {
		t.Fatal(a.gen.ID(), gb.ID(), a.gen.Slots(), ga.Slots())
	}
	if err := a.gen.Commit(deadline(t), twoParts); err != nil {
		t.Fatal(err)
	}
	if err := ga.Commit(deadline(t), twoParts); !errors.As(err, &refused) || !refused.Moved {
		t.Fatal(err)
	}
}

// Also while a member rejoins, a commit without an answer ends the membership.
func TestCommitUnansweredWhileRejoining(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	a, b := newTestMember(t, open(t, k), nil), newTestMember(t, open(t, k), nil)
	ga, gb := joinBoth(t, a, b)
	done := pendingRejoin(t, a, ga, gb)
	lostCommit(k)
	var un *UnansweredError
	if err := ga.Commit(deadline(t), twoParts); !errors.As(err, &un) {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Fatal("the rejoin went on")
	}
	joined := make(chan *Generation, 1)
	go func() { g, _ := a.Join(deadline(t)); joined <- g }()
	rejoin(t, b, gb.Slots())
	if g := <-joined; g == nil || g.MemberID() == ga.MemberID() {
		t.Fatal(g)
	}
}

// A member that the group has forgotten while it rejoins begins anew.
func TestRejoinOfAForgottenMember(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	m := newTestMember(t, open(t, k), func(o *MemberOptions) { o.Session = 6 * time.Second }) // its ghost goes with the session
	g := join(t, m)
	k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.UnknownMemberID, TopLevel: true, Group: "g"})
	if _, err := m.Rejoin(deadline(t), g.Slots()); !isCode(err, 25) {
		t.Fatal(err)
	}
	closed(t, "ended", g.Ended())
	if next := join(t, m); next.MemberID() == g.MemberID() || len(next.Slots()) != 4 {
		t.Fatal(next.MemberID(), next.Slots())
	}
}

// A member of a release that gives everything up at a rebalance, which is all that it offers.
func oldMember(t *testing.T, c *Cluster, member string, generation func(id string, g int32, leader bool, members int)) {
	t.Helper()
	sub := kmsg.NewConsumerMemberMetadata()
	sub.Topics, sub.UserData = []string{"events"}, claim{generation: -1}.encode()
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = protocolEager, sub.AppendTo(nil)
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = "g", member, protocolType, 30_000, 30_000
	req.Protocols = append(req.Protocols, p)
	r, err := c.ask(deadline(t), "g", exchange{req: req, min: 5, max: 9, timeout: time.Minute})
	if err != nil {
		t.Error(err)
		return
	}
	res := r.(*kmsg.JoinGroupResponse)
	if res.ErrorCode == codeMemberIDRequired {
		oldMember(t, c, res.MemberID, generation)
		return
	}
	if res.ErrorCode != 0 || res.Protocol == nil || *res.Protocol != protocolEager {
		t.Errorf("joined with error %d, protocol %v", res.ErrorCode, res.Protocol)
	}
	generation(res.MemberID, res.Generation, res.LeaderID == res.MemberID, len(res.Members))
}

// While a release with eager rebalances is in the group, its protocol rules, and it can read what it is given; when it is gone, slots stay
// with their owners again.
func TestMixedReleases(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	m := newTestMember(t, open(t, k), nil)
	g := join(t, m)
	if m.mixed {
		t.Fatal("alone, and mixed")
	}
	old := open(t, k)
	shares := make(chan share, 1)
	go oldMember(t, old, "", func(id string, generation int32, leader bool, _ int) {
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.Generation, req.MemberID = "g", generation, id
		req.ProtocolType, req.Protocol = kmsg.StringPtr(protocolType), kmsg.StringPtr(protocolEager)
		r, err := old.ask(deadline(t), "g", exchange{req: req, min: 3, max: 5, timeout: time.Minute})
		if err != nil || leader {
			t.Error(err, leader)
			close(shares)
			return
		}
		var a kmsg.ConsumerMemberAssignment
		if err := a.ReadFrom(r.(*kmsg.SyncGroupResponse).MemberAssignment); err != nil || len(a.UserData) == 0 || a.UserData[0] != shareVersion {
			t.Errorf("an old member cannot read its share: %v, %v", err, a.UserData)
		}
		s, err := decodeShare(a.UserData)
		if err != nil {
			t.Error(err)
		}
		if err := old.leaveGroup(context.Background(), "g", id, "", time.Minute); err != nil {
			t.Error(err)
		}
		shares <- s
	})
	closed(t, "rebalance", g.Rebalance())
	g2 := rejoin(t, m, g.Slots())
	theirs := (<-shares).slots
	if !m.mixed || len(g2.Slots()) != 2 || len(g2.Settle()) != 0 || len(theirs) != 2 {
		t.Fatal(m.mixed, g2.Slots(), g2.Settle(), theirs)
	}
	closed(t, "rebalance", g2.Rebalance())
	if g3 := rejoin(t, m, g2.Slots()); m.mixed || len(g3.Slots()) != 4 {
		t.Fatal(m.mixed, g3.Slots())
	}
}
