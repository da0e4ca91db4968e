package source

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Generation is a membership from one Join to the next, or to its end. Its methods may be called concurrently.
type Generation struct {
	m      *Member
	id     int32
	member string
	share  share

	committing chan struct{} // holds one: a commit in flight, or Join taking over
	rebalance  chan struct{}
	moved      chan struct{}
	retired    chan struct{} // the next generation is there
	ended      chan struct{}
	done       chan struct{} // the heartbeats have stopped
	synced     time.Time
	life       context.Context // until ended
	die        context.CancelFunc
	cancel     context.CancelFunc // of the heartbeats

	mu          sync.Mutex
	err         error
	leave       bool
	rebalancing bool
	joining     bool      // Rejoin runs: error 22 means that it is about to succeed
	hasGone     bool      // moved is closed
	alive       time.Time // when the latest heartbeat that found us a member was sent
}

// newGeneration starts the heartbeats.
func newGeneration(m *Member, id int32, s share, asked time.Time) *Generation {
	g := &Generation{
		m: m, id: id, member: m.id, share: s,
		committing: make(chan struct{}, 1), rebalance: make(chan struct{}), moved: make(chan struct{}), retired: make(chan struct{}), ended: make(chan struct{}),
		done: make(chan struct{}), synced: time.Now(), alive: asked,
	}
	g.life, g.die = context.WithCancel(context.Background()) // the generation lasts beyond the Join that made it; end cancels
	ctx, cancel := context.WithCancel(g.life)
	g.cancel = cancel
	go g.beat(ctx)
	return g
}

func (g *Generation) ID() int32        { return g.id }
func (g *Generation) MemberID() string { return g.member }

// Slots are those that this member has in this generation, and nobody else.
func (g *Generation) Slots() []Slot { return slices.Clone(g.share.slots) }

// Settle are slots that this member had and is to give up: nobody else has them before it has joined again without them. Until then it may
// finish what it has begun there, and commit it.
func (g *Generation) Settle() []Slot { return slices.Clone(g.share.settle) }

// SettleBy is when Settle must have been given up: others wait for it.
func (g *Generation) SettleBy() time.Time {
	return g.synced.Add(g.m.o.Rebalance - min(g.m.o.Rebalance/10, 5*time.Second))
}

// Layouts say how the slots lie in their topics.
func (g *Generation) Layouts() []Layout { return slices.Clone(g.share.layouts) }

// Rebalance is closed when others wait for us to join again, or when the membership has ended.
func (g *Generation) Rebalance() <-chan struct{} { return g.rebalance }

// Moved is closed when the coordinator has gone on to the next generation, which Rejoin is about to bring: nothing can be committed or proved
// in this one, and the membership goes on.
func (g *Generation) Moved() <-chan struct{} { return g.moved }

// Ended is closed when nothing can be committed in this generation any more. Err says why.
func (g *Generation) Ended() <-chan struct{} { return g.ended }

// Err is the reason of the end, nil before.
func (g *Generation) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// End ends the membership from our side: the heartbeats stop, and the next Join comes as somebody else. A dynamic member also leaves.
func (g *Generation) End(reason error) {
	if reason == nil {
		reason = errors.New("ended by its owner")
	}
	g.end(reason, true)
}

// end keeps the first reason.
func (g *Generation) end(reason error, leave bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return
	}
	g.err, g.leave = reason, leave && g.m.o.InstanceID == ""
	if !g.rebalancing {
		g.rebalancing = true
		close(g.rebalance)
	}
	close(g.ended)
	g.die()
}

// join says that Rejoin runs.
func (g *Generation) join() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.joining = true
}

// move says that the coordinator is in the next generation.
func (g *Generation) move() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone()
}

// gone is move with g.mu held.
func (g *Generation) gone() {
	if g.hasGone || g.err != nil {
		return
	}
	g.hasGone = true
	close(g.moved)
	if !g.rebalancing {
		g.rebalancing = true
		close(g.rebalance)
	}
}

func (g *Generation) isJoining() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.joining
}

func (g *Generation) hasMoved() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hasGone
}

// retire waits for what is under way in a generation that has moved. An error: the membership has ended meanwhile.
func (g *Generation) retire(ctx context.Context) error {
	select {
	case g.committing <- struct{}{}:
		defer func() { <-g.committing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := g.Err(); err != nil {
		return err
	}
	close(g.retired)
	g.cancel()
	<-g.done
	return nil
}

// beat sends heartbeats until the end, then leaves the group where that helps the others.
func (g *Generation) beat(ctx context.Context) {
	defer close(g.done)
	wait := g.m.o.Heartbeat
	timer := time.NewTimer(wait)
	defer timer.Stop()
	failing := false
	for {
		select {
		case <-g.ended:
			g.depart()
			return
		case <-g.moved: // the coordinator waits for our SyncGroup, or has it
			g.settled()
			return
		case <-timer.C:
		}
		wait = g.m.o.Heartbeat
		err := g.heartbeat(ctx, g.m.o.Session/2)
		if err != nil && ctx.Err() == nil {
			if !failing {
				g.m.log.Warn("heartbeat failed", "generation", g.id, "error", err)
			}
			wait /= 4 // the coordinator moved or restarts: find it before the session ends
		}
		failing = err != nil
		g.expire()
		timer.Reset(wait)
	}
}

// settled waits, in a generation that has moved, for the next one, or for the end that a commit without an answer brings.
func (g *Generation) settled() {
	select {
	case <-g.ended:
		g.depart()
	case <-g.retired:
	}
}

// depart leaves the group after an end that left a ghost in it, for which the others would have to wait.
func (g *Generation) depart() {
	g.mu.Lock()
	leave := g.leave
	g.mu.Unlock()
	if !leave {
		return
	}
	const patience = 3 * time.Second // the session timeout does the same, later
	if err := g.m.c.leaveGroup(context.Background(), g.m.o.Group, g.member, "", patience); err != nil && !isCode(err, codeUnknownMember) {
		g.m.log.Info("could not leave after the end of a membership", "member", g.member, "error", err)
	}
}

// expire ends the membership after a long silence. The session timeout alone is no reason: while the coordinator itself is down nobody
// can take over, and it comes back with the group as it was. Nothing unsafe happens meanwhile, since every commit is answered or not.
func (g *Generation) expire() {
	g.mu.Lock()
	silent := time.Since(g.alive)
	g.mu.Unlock()
	if silent > g.m.o.Session+g.m.o.Rebalance {
		g.end(ErrExpired, true)
	}
}

// Heartbeat sends one now. Nil: the coordinator took us for a member after the call began, in a stable group or in one that
// rebalances. After an error of the membership itself (22, 25, 82) the generation has ended.
func (g *Generation) Heartbeat(ctx context.Context) error {
	if err := g.Err(); err != nil {
		return err
	}
	if g.hasMoved() {
		return errMoved
	}
	return g.heartbeat(ctx, g.m.c.o.RequestTimeout)
}

func (g *Generation) heartbeat(ctx context.Context, timeout time.Duration) error {
	sent := time.Now()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = g.m.o.Group, g.id, g.member, g.m.instance()
	r, err := g.m.c.ask(ctx, g.m.o.Group, exchange{req: req, min: 3, max: 4, timeout: timeout})
	if err != nil {
		return err
	}
	code := r.(*kmsg.HeartbeatResponse).ErrorCode
	g.note(code, sent)
	if code == codeRebalanceInProgress {
		return nil
	}
	return g.m.c.groupError(g.m.o.Group, "Heartbeat", code)
}

// note takes from an answer what it says about the membership.
func (g *Generation) note(code int16, sent time.Time) {
	if code == codeIllegalGeneration && g.isJoining() {
		g.move() // the answer to our JoinGroup is on its way
		return
	}
	switch code {
	case codeIllegalGeneration, codeUnknownMember, codeFencedInstance:
		// With 22 the member id is still in the group, as a ghost.
		g.end(&KafkaError{Code: code, Request: "Heartbeat", Object: "group " + g.m.o.Group}, code == codeIllegalGeneration)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch code {
	case codeNone:
		g.alive = later(g.alive, sent)
	case codeRebalanceInProgress:
		g.alive = later(g.alive, sent)
		if !g.rebalancing {
			g.rebalancing = true
			close(g.rebalance)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
