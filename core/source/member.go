package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// MemberOptions of one member of a group. Group, Topics and Layout are mandatory.
type MemberOptions struct {
	Group      string
	InstanceID string        // not empty: a static member
	Session    time.Duration // how long the coordinator waits for a sign of life; default 10 s
	Rebalance  time.Duration // how long it waits for members to join again; default 60 s
	Heartbeat  time.Duration // at most a third of Session; default: that, or a second: a rebalance waits until all have heard of it
	Topics     []string
	// Layout is called on the leader before it assigns. All members wait for it, and it has half of Session.
	Layout func(ctx context.Context) ([]Layout, error)
	Info   string // a text of at most 1 KiB that members should agree on, such as a hash of the sinks they run
	// OnInfo is called on the leader with everybody's Info, by instance or member id, when they differ. It must not block.
	OnInfo func(infos map[string]string)
	// OnAway is called when Join or Rejoin has no answer of a coordinator, before it tries again. It must not block.
	OnAway func(err error)
	Log    *slog.Logger
}

// Reasons of an end that did not come from the coordinator.
var (
	ErrRejoined = errors.New("the member has joined again")
	ErrLeft     = errors.New("the member has left the group")
	ErrExpired  = errors.New("no heartbeat was answered for longer than session and rebalance timeout")

	errMoved = errors.New("the group is in its next generation")
)

// Member takes part in a consumer group, in the classic protocol with cooperative rebalancing in two rounds: Join begins a membership,
// with nothing in hand, and Rejoin goes on to the next generation with what the member holds. A slot that is to move is with nobody for one
// generation, in which its owner settles it (Generation.Settle); then that one rejoins without it. Its methods are not for concurrent use;
// those of a Generation are.
type Member struct {
	c   *Cluster
	o   MemberOptions
	log *slog.Logger

	id       string // given by the coordinator; empty before, and after an ended membership
	protocol string // that the group has chosen
	mixed    bool   // it is the one of an earlier release
	gen      *Generation
	claim    claim // what it says of itself when it joins
	asked    bool  // whether outdated was looked at
}

// NewMember does not connect.
func NewMember(c *Cluster, o MemberOptions) *Member {
	if o.Session <= 0 {
		o.Session = 10 * time.Second
	}
	if o.Rebalance <= 0 {
		o.Rebalance = time.Minute
	}
	if o.Heartbeat <= 0 || o.Heartbeat > o.Session/3 {
		o.Heartbeat = min(o.Session/3, time.Second)
	}
	if len(o.Info) > maxInfo {
		o.Info = o.Info[:maxInfo]
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Member{c: c, o: o, log: log.With("group", o.Group), claim: claim{generation: -1}}
}

// Join ends the current generation, if there is one, and returns the next: whatever was held in it must have been given up. It tries again, with pauses, whatever may pass by itself:
// a coordinator that moves or is down, a rebalance that overtakes it, a forgotten member id. It returns on the end of ctx, a refusal that
// needs somebody to act, a failure of Layout, or when another process has taken the instance id (error 82).
func (m *Member) Join(ctx context.Context) (*Generation, error) {
	var taken error
	if m.gen != nil && isCode(m.gen.Err(), codeFencedInstance) {
		// To take it back would go on for ever.
		taken = fmt.Errorf("another process has joined with instance id %q: %w", m.o.InstanceID, m.gen.Err())
	}
	if err := m.finish(ctx, ErrRejoined); err != nil {
		return nil, err
	}
	if taken != nil {
		return nil, taken
	}
	pause := 50 * time.Millisecond
	for tries := 1; ; tries++ {
		g, err := m.try(ctx, nil)
		if err == nil {
			m.gen = g
			if !m.outdated(g) {
				return g, nil
			}
			m.claim.generation = g.id // something has to differ
			m.log.Info("asking for an assignment with all topics")
			if err := m.finish(ctx, ErrRejoined); err != nil {
				return nil, err
			}
			continue
		}
		if ctx.Err() != nil || !m.again(err) {
			return nil, err
		}
		if !m.pause(ctx, tries, &pause, err) {
			return nil, err
		}
	}
}

// Rejoin goes on to the next generation, as the same member, with the slots of which something is still running here. The current generation
// stays in force until the coordinator has left it (Moved); what is committed in it until then counts. Errors are those of Join, and the end
// of the membership: then nothing is held any more, and Join begins anew. Whoever wants something of the new generation that needs the slots
// to have been held without a break has to look at its number: after one that was missed somebody else may have had them.
func (m *Member) Rejoin(ctx context.Context, owned []Slot) (*Generation, error) {
	old := m.gen
	if old == nil {
		return nil, errors.New("rejoin: there is no generation")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(old.life, cancel)() // no answer can be of use after the end
	m.claim = claim{generation: old.id, owned: owned}
	defer func() { m.claim = claim{generation: -1} }()
	old.join()
	pause := 50 * time.Millisecond
	for tries := 1; ; tries++ {
		g, err := m.try(ctx, old)
		if err == nil {
			m.gen = g
			return g, nil
		}
		if isCode(err, codeUnknownMember) || isCode(err, codeFencedInstance) {
			old.end(err, false)
		}
		if ended := old.Err(); ended != nil {
			return nil, ended
		}
		if ctx.Err() != nil || !m.again(err) {
			return nil, err
		}
		if !m.pause(ctx, tries, &pause, err) {
			return nil, err
		}
	}
}

// pause waits before another try, longer each time. false: ctx has ended.
func (m *Member) pause(ctx context.Context, tries int, pause *time.Duration, err error) bool {
	level := slog.LevelWarn
	if m.o.OnAway != nil && !errors.As(err, new(*KafkaError)) {
		m.o.OnAway(err)
	}
	if errors.As(err, new(*KafkaError)) || tries&(tries-1) != 0 {
		level = slog.LevelDebug // the group at its work; or the same again, said ever more rarely
	}
	m.log.Log(ctx, level, "joining again", "attempt", tries, "error", err)
	if isCode(err, codeMemberIDRequired) {
		return true
	}
	select {
	case <-time.After(*pause/2 + rand.N(*pause/2)):
	case <-ctx.Done():
		return false
	}
	*pause = min(2**pause, 2*time.Second)
	return true
}

// outdated says, once, that the assignment is from before our topics changed: Kafka gives a static member that comes back what it had and
// starts no rebalance. Joining again does, since the claim has changed. The leader may not know the topic either; then others have to come.
func (m *Member) outdated(g *Generation) bool {
	if m.o.InstanceID == "" || m.asked {
		return false
	}
	m.asked = true
	return slices.ContainsFunc(m.o.Topics, func(topic string) bool {
		return !slices.ContainsFunc(g.share.layouts, func(l Layout) bool { return l.Topic == topic })
	})
}

// again says whether a failed try is worth another one, and forgets the member id where the coordinator has.
func (m *Member) again(err error) bool {
	var ke *KafkaError
	if errors.As(err, &ke) {
		switch ke.Code {
		case codeMemberIDRequired, codeIllegalGeneration, codeRebalanceInProgress:
			return true
		case codeUnknownMember:
			m.id = ""
			return true
		case codeFencedInstance:
			m.id = ""
			return false
		}
	}
	return retriable(err)
}

// Leave ends the current generation and tells the coordinator, so that the others need not wait for the session to expire. A static
// member keeps its place, to come back to it after a restart; Remove gives it up.
func (m *Member) Leave(ctx context.Context) error {
	if err := m.finish(ctx, ErrLeft); err != nil || m.o.InstanceID != "" {
		return err
	}
	return m.Remove(ctx)
}

// Remove leaves the group also as a static member.
func (m *Member) Remove(ctx context.Context) error {
	if err := m.finish(ctx, ErrLeft); err != nil || (m.id == "" && m.o.InstanceID == "") {
		return err
	}
	id := m.id
	m.id = ""
	err := m.c.leaveGroup(ctx, m.o.Group, id, m.o.InstanceID, m.c.o.RequestTimeout)
	if isCode(err, codeUnknownMember) {
		return nil
	}
	return err
}

// finish ends the current generation and waits for a commit in flight and the heartbeats. Where the membership ended, the member id
// goes with it.
func (m *Member) finish(ctx context.Context, reason error) error {
	g := m.gen
	if g == nil {
		return nil
	}
	// A commit in flight ends first: its outcome, if it stays unknown, ends the membership.
	select {
	case g.committing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g.committing }()
	g.end(reason, false)
	<-g.done
	if !errors.Is(g.Err(), reason) {
		m.id = ""
	}
	m.gen = nil
	return nil
}

func (m *Member) instance() *string {
	if m.o.InstanceID == "" {
		return nil
	}
	return &m.o.InstanceID
}

func (c *Cluster) leaveGroup(ctx context.Context, group, id, instance string, timeout time.Duration) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = group
	member := kmsg.NewLeaveGroupRequestMember()
	member.MemberID = id
	if instance != "" {
		member.InstanceID = &instance
	}
	req.Members = append(req.Members, member)
	r, err := c.ask(ctx, group, exchange{req: req, min: 3, max: 5, timeout: timeout})
	if err != nil {
		return err
	}
	res := r.(*kmsg.LeaveGroupResponse)
	for _, a := range res.Members {
		if res.ErrorCode == codeNone {
			res.ErrorCode = a.ErrorCode
		}
	}
	return c.groupError(group, "LeaveGroup", res.ErrorCode)
}

func isCode(err error, code int16) bool {
	var ke *KafkaError
	return errors.As(err, &ke) && ke.Code == code
}
