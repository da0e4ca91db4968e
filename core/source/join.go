package source

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// The protocol type of all consumers: the coordinator then reads the topics from the subscription, and keeps the offsets of topics
	// that a live member subscribes to. Tools can show who owns what.
	protocolType = "consumer"
	// Rebalances in which slots stay with their owners. The coordinator takes it when all members offer it.
	protocolCooperative = "sluice-cooperative"
	// The protocol of releases in which every member gives everything up before it joins. It is taken while such a member is in the group;
	// what goes to somebody else then is cut off without being settled first.
	protocolEager = "sluice-sticky"
)

// try is one JoinGroup and one SyncGroup. old, if not nil, is the generation that stays in force until the JoinGroup is answered.
func (m *Member) try(ctx context.Context, old *Generation) (*Generation, error) {
	joined, err := m.joinGroup(ctx)
	if err != nil {
		return nil, err
	}
	if old != nil {
		old.move()
	}
	m.id, m.protocol = joined.MemberID, protocolCooperative
	if joined.Protocol != nil {
		m.protocol = *joined.Protocol
	}
	if m.protocol == protocolEager && !m.mixed {
		m.log.Warn("a member of an earlier release is in the group: until it is gone, slots that move are cut off instead of settled")
	}
	m.mixed = m.protocol == protocolEager
	var shares []kmsg.SyncGroupRequestGroupAssignment
	if joined.LeaderID == m.id && !joined.SkipAssignment {
		if shares, err = m.lead(ctx, joined.Members); err != nil {
			return nil, err
		}
	}
	asked := time.Now()
	s, err := m.syncGroup(ctx, joined.Generation, shares)
	if err != nil {
		return nil, err
	}
	if old != nil {
		if err := old.retire(ctx); err != nil {
			return nil, err
		}
	}
	return newGeneration(m, joined.Generation, s, asked), nil
}

func (m *Member) joinGroup(ctx context.Context) (*kmsg.JoinGroupResponse, error) {
	sub := kmsg.NewConsumerMemberMetadata()
	sub.Version = 0
	sub.Topics = slices.Sorted(slices.Values(m.o.Topics))
	c := m.claim
	c.info = m.o.Info
	sub.UserData = c.encode()
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.InstanceID = m.o.Group, m.id, m.instance()
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(m.o.Session.Milliseconds()), int32(m.o.Rebalance.Milliseconds())
	req.ProtocolType = protocolType
	for _, name := range []string{protocolCooperative, protocolEager} {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = name, sub.AppendTo(nil)
		req.Protocols = append(req.Protocols, p)
	}
	r, err := m.c.ask(ctx, m.o.Group, exchange{req: req, min: 5, max: 9, timeout: m.c.o.RequestTimeout + m.o.Rebalance})
	if err != nil {
		return nil, err
	}
	res := r.(*kmsg.JoinGroupResponse)
	if res.ErrorCode == codeMemberIDRequired {
		m.id = res.MemberID
	}
	return res, m.c.groupError(m.o.Group, "JoinGroup", res.ErrorCode)
}

func (m *Member) syncGroup(ctx context.Context, generation int32, shares []kmsg.SyncGroupRequestGroupAssignment) (share, error) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = m.o.Group, generation, m.id, m.instance()
	req.ProtocolType, req.Protocol = kmsg.StringPtr(protocolType), kmsg.StringPtr(m.protocol)
	req.GroupAssignment = shares
	r, err := m.c.ask(ctx, m.o.Group, exchange{req: req, min: 3, max: 5, timeout: m.c.o.RequestTimeout + m.o.Rebalance})
	if err != nil {
		return share{}, err
	}
	res := r.(*kmsg.SyncGroupResponse)
	if err := m.c.groupError(m.o.Group, "SyncGroup", res.ErrorCode); err != nil {
		return share{}, err
	}
	var a kmsg.ConsumerMemberAssignment
	if len(res.MemberAssignment) == 0 {
		return share{}, nil // a member that the leader did not know
	}
	if err := a.ReadFrom(res.MemberAssignment); err != nil {
		return share{}, fmt.Errorf("group %s: assignment from the leader: %w", m.o.Group, err)
	}
	s, err := decodeShare(a.UserData)
	if err != nil {
		return share{}, fmt.Errorf("group %s: assignment from the leader: %w", m.o.Group, err)
	}
	return s, nil
}

// lead computes everybody's assignment.
func (m *Member) lead(ctx context.Context, members []kmsg.JoinGroupResponseMember) ([]kmsg.SyncGroupRequestGroupAssignment, error) {
	ctx, cancel := context.WithTimeout(ctx, m.o.Session/2)
	defer cancel()
	layouts, err := m.o.Layout(ctx)
	if err != nil {
		return nil, fmt.Errorf("group %s: layout: %w", m.o.Group, err)
	}
	for i, l := range layouts {
		if err := l.check(); err != nil {
			return nil, fmt.Errorf("group %s: %w", m.o.Group, err)
		}
		if slices.ContainsFunc(layouts[:i], func(o Layout) bool { return o.Topic == l.Topic }) {
			return nil, fmt.Errorf("group %s: two layouts of topic %q", m.o.Group, l.Topic)
		}
	}
	all := m.candidates(members)
	slots, settle, version := assign(layouts, all), map[string][]Slot(nil), byte(shareVersion)
	if m.protocol != protocolEager {
		slots, settle = withhold(slots, all)
		version = settleShareVersion
	}
	out := make([]kmsg.SyncGroupRequestGroupAssignment, 0, len(members))
	for _, member := range members {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID = member.MemberID
		a.MemberAssignment = encodeAssignment(share{layouts, slots[member.MemberID], settle[member.MemberID]}, version)
		out = append(out, a)
	}
	return out, nil
}

// candidates reads what the members say of themselves. One that makes no sense takes part without a claim: it still has to get its share.
func (m *Member) candidates(members []kmsg.JoinGroupResponseMember) []candidate {
	out := make([]candidate, 0, len(members))
	infos := make(map[string]string, len(members))
	differ := false
	for _, member := range members {
		var sub kmsg.ConsumerMemberMetadata
		err := sub.ReadFrom(member.ProtocolMetadata)
		c := claim{generation: -1}
		if err == nil {
			c, err = decodeClaim(sub.UserData)
		}
		if err != nil {
			m.log.Warn("a member's subscription is not readable", "member", member.MemberID, "error", err)
		}
		out = append(out, candidate{id: member.MemberID, topics: sub.Topics, generation: c.generation, owned: c.owned})
		name := member.MemberID
		if member.InstanceID != nil {
			name = *member.InstanceID
		}
		infos[name] = c.info
		differ = differ || c.info != m.o.Info
	}
	if differ && m.o.OnInfo != nil {
		m.o.OnInfo(infos)
	}
	return out
}

// encodeAssignment writes the partitions in the common form as well, for the tools that show them.
func encodeAssignment(s share, version byte) []byte {
	layouts := make(map[string]Layout, len(s.layouts))
	for _, l := range s.layouts {
		layouts[l.Topic] = l
	}
	a := kmsg.NewConsumerMemberAssignment()
	all := slices.Concat(s.slots, s.settle)
	slices.SortFunc(all, compareSlots)
	for _, slot := range all {
		n := len(a.Topics)
		if n == 0 || a.Topics[n-1].Topic != slot.Topic {
			t := kmsg.NewConsumerMemberAssignmentTopic()
			t.Topic = slot.Topic
			a.Topics = append(a.Topics, t)
			n++
		}
		first, next := layouts[slot.Topic].Range(slot.Index)
		for p := first; p < next; p++ {
			a.Topics[n-1].Partitions = append(a.Topics[n-1].Partitions, p)
		}
	}
	a.UserData = s.encode(version)
	return a.AppendTo(nil)
}
