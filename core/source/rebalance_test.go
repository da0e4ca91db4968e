package source

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func join(t *testing.T, m *Member) *Generation {
	t.Helper()
	g, err := m.Join(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// joinBoth brings two members into one generation.
func joinBoth(t *testing.T, a, b *Member) (*Generation, *Generation) {
	t.Helper()
	first := join(t, a)
	joined := make(chan *Generation, 1)
	go func() {
		g, err := b.Join(deadline(t))
		if err != nil {
			t.Error(err)
		}
		joined <- g
	}()
	closed(t, "rebalance", first.Rebalance())
	return join(t, a), <-joined
}

func rejoin(t *testing.T, m *Member, owned []Slot) *Generation {
	t.Helper()
	g, err := m.Rejoin(deadline(t), owned)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// rejoinBoth brings two members into the next generation; that of b is gb.
func rejoinBoth(t *testing.T, a, b *Member, ofA, ofB []Slot, gb *Generation) (*Generation, *Generation) {
	t.Helper()
	joined := make(chan *Generation, 1)
	go func() {
		<-gb.Rebalance()
		g, err := b.Rejoin(deadline(t), ofB)
		if err != nil {
			t.Error(err)
		}
		joined <- g
	}()
	return rejoin(t, a, ofA), <-joined
}

func closed(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(2 * time.Minute):
		t.Fatal(what, "is not closed")
	}
}

func stillOpen(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
		t.Fatal(what, "is closed")
	default:
	}
}

func TestRebalance(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	ca, cb := open(t, k), open(t, k)
	infos := make(chan map[string]string, 10)
	wide := func(o *MemberOptions) {
		o.Topics = []string{"events", "other"}
		o.Layout = func(context.Context) ([]Layout, error) { return []Layout{{"events", 4, 1}, {"other", 5, 2}}, nil }
		o.OnInfo = func(m map[string]string) { infos <- m }
		o.Info = "plan 1"
	}
	a := newTestMember(t, ca, wide)
	b := newTestMember(t, cb, func(o *MemberOptions) { wide(o); o.Info = "plan 2" })
	g1 := join(t, a)
	if len(g1.Slots()) != 7 || len(infos) != 0 || !slices.Equal(g1.Layouts(), []Layout{{"events", 4, 1}, {"other", 5, 2}}) {
		t.Fatal(g1.Slots(), g1.Layouts())
	}
	joined := make(chan *Generation)
	go func() {
		g, err := b.Join(deadline(t))
		if err != nil {
			t.Error(err)
		}
		joined <- g
	}()
	closed(t, "rebalance", g1.Rebalance())
	stillOpen(t, "ended", g1.Ended())

	// While it drains, a member is alive and its commits count. That is code 27, which no heartbeat must take for an end.
	for range 5 {
		if err := g1.Heartbeat(deadline(t)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(60 * time.Millisecond)
	}
	if err := g1.Commit(deadline(t), []OffsetCommit{{"events", 0, 1, -1, "drained"}}); err != nil {
		t.Fatal(err)
	}
	// The first round takes nothing from anybody; who has too much settles it.
	began := time.Now()
	g2 := rejoin(t, a, g1.Slots())
	g3 := <-joined
	if g2.ID() != g3.ID() || g2.ID() != g1.ID()+1 || g2.MemberID() != g1.MemberID() {
		t.Fatal(g1.ID(), g2.ID(), g3.ID())
	}
	if len(g2.Slots()) != 4 || len(g2.Settle()) != 3 || len(g3.Slots()) != 0 || len(g3.Settle()) != 0 {
		t.Fatal(g2.Slots(), g2.Settle(), g3.Slots(), g3.Settle())
	}
	const within = 27 * time.Second // of the 30 that a rebalance may take
	if by := g2.SettleBy(); by.Before(began.Add(within)) || by.After(time.Now().Add(within)) {
		t.Fatal("to be settled in", time.Until(by))
	}
	if err := g2.Commit(deadline(t), []OffsetCommit{{"events", 0, 2, -1, "settled"}}); err != nil {
		t.Fatal(err)
	}
	// In the second the other one gets it, and what stays is not touched.
	kept := g2.Slots()
	g2, g3 = rejoinBoth(t, a, b, kept, nil, g3)
	if !slices.Equal(g2.Slots(), kept) || len(g2.Settle()) != 0 {
		t.Fatal(kept, g2.Slots(), g2.Settle())
	}
	if len(g2.Slots())+len(g3.Slots()) != 7 || len(g2.Slots())-len(g3.Slots()) > 1 || len(g3.Slots())-len(g2.Slots()) > 1 {
		t.Fatal(g2.Slots(), g3.Slots())
	}
	for _, s := range g2.Slots() {
		if !slices.Contains(g1.Slots(), s) || slices.Contains(g3.Slots(), s) {
			t.Fatal(g1.Slots(), g2.Slots(), g3.Slots())
		}
	}
	<-infos
	if m := <-infos; len(m) != 2 || m[g2.MemberID()] != "plan 1" || m[g3.MemberID()] != "plan 2" {
		t.Fatal(m)
	}
	// The generation before is over for its holder, whatever the coordinator would say.
	var refused *RefusedError
	if err := g1.Commit(deadline(t), []OffsetCommit{{"events", 0, 2, -1, "late"}}); !errors.As(err, &refused) || !refused.Moved {
		t.Fatal(err)
	}
	closed(t, "moved", g1.Moved())
	stillOpen(t, "the membership", g1.Ended())
	if err := b.Leave(deadline(t)); err != nil {
		t.Fatal(err)
	}
	closed(t, "rebalance", g2.Rebalance())
	if g := join(t, a); len(g.Slots()) != 7 {
		t.Fatal(g.Slots())
	}
}

// The codes a heartbeat is read by, as the coordinator gives them: 25 after it removed the member, 27 while it rebalances, which
// TestRebalance shows, 22 for an old generation. kafka-go's own heartbeat hides all of them.
func TestHeartbeatCodes(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c := open(t, k)
	m := newTestMember(t, c, func(o *MemberOptions) { o.Heartbeat = time.Second })
	g := join(t, m)
	raw := func(id string, generation int32) int16 {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.Generation, req.MemberID = "g", generation, id
		r, err := c.ask(deadline(t), "g", exchange{req: req, min: 3, max: 4, timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return r.(*kmsg.HeartbeatResponse).ErrorCode
	}
	if code := raw(g.MemberID(), g.ID()); code != 0 {
		t.Fatal(code)
	}
	if code := raw("nobody", g.ID()); code != 25 {
		t.Fatal(code)
	}
	if code := raw(g.MemberID(), g.ID()-1); code != 22 {
		t.Fatal(code)
	}
	if err := c.leaveGroup(deadline(t), "g", g.MemberID(), "", time.Minute); err != nil { // somebody removes it
		t.Fatal(err)
	}
	if err := g.Heartbeat(deadline(t)); !isCode(err, 25) {
		t.Fatal(err)
	}
	closed(t, "ended", g.Ended())
	closed(t, "rebalance", g.Rebalance())
	if !isCode(g.Err(), 25) || !isCode(g.Heartbeat(deadline(t)), 25) {
		t.Fatal(g.Err())
	}
	again := join(t, m)
	if again.MemberID() == g.MemberID() || len(again.Slots()) != 4 {
		t.Fatal(again.MemberID(), again.Slots())
	}
}

// A member that is silent for a session is removed, and learns it at its first heartbeat.
func TestExpiry(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	m := newTestMember(t, open(t, k), func(o *MemberOptions) { o.Session, o.Heartbeat = time.Second, 100*time.Millisecond })
	g := join(t, m)
	hang := make(chan struct{})
	h := k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.CoordinatorNotAvailable, Count: -1})
	go func() { time.Sleep(2500 * time.Millisecond); h.Remove(); close(hang) }()
	stillOpen(t, "ended", g.Ended())
	<-hang
	closed(t, "ended", g.Ended())
	if !isCode(g.Err(), 25) {
		t.Fatal(g.Err())
	}
}

// Without a coordinator the membership lasts longer than a session, because nobody can take over, but not for ever.
func TestSilence(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	m := newTestMember(t, open(t, k), func(o *MemberOptions) { o.Session, o.Rebalance = time.Second, 4*time.Second })
	g := join(t, m)
	k.Close()
	time.Sleep(1200 * time.Millisecond)
	stillOpen(t, "ended", g.Ended())
	closed(t, "ended", g.Ended())
	if !errors.Is(g.Err(), ErrExpired) {
		t.Fatal(g.Err())
	}
}

// A coordinator that moves costs nothing: member and generation stay.
func TestCoordinatorMoves(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c := open(t, k)
	m := newTestMember(t, c, nil)
	g := join(t, m)
	for _, e := range []*kerr.Error{kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress} {
		h := k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: e, TopLevel: true})
		if err := h.Wait(deadline(t), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Heartbeat(deadline(t)); err != nil {
		t.Fatal(err)
	}
	stillOpen(t, "rebalance", g.Rebalance())
	// Nor does a join give up over it.
	for _, key := range []kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup, kmsg.FindCoordinator} {
		k.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: kerr.CoordinatorNotAvailable, TopLevel: key != kmsg.FindCoordinator, Group: "g"})
	}
	c.forgetCoordinator("g")
	if g = join(t, m); len(g.Slots()) != 4 {
		t.Fatal(g.Slots())
	}
}

func TestLayoutFails(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	bad := errors.New("records disagree")
	var fail error
	layouts := []Layout{{"events", 4, 2}}
	m := newTestMember(t, open(t, k), func(o *MemberOptions) {
		o.Layout = func(context.Context) ([]Layout, error) { return layouts, fail }
	})
	fail = bad
	if _, err := m.Join(deadline(t)); !errors.Is(err, bad) {
		t.Fatal(err)
	}
	fail = nil
	for _, l := range [][]Layout{{{"events", 4, 0}}, {{"events", -1, 1}}, {{"a", 1, 1}, {"a", 1, 1}}} {
		layouts = l
		if _, err := m.Join(deadline(t)); err == nil {
			t.Fatal("accepted", l)
		}
	}
	layouts = []Layout{{"events", 4, 2}}
	if g := join(t, m); len(g.Slots()) != 2 {
		t.Fatal(g.Slots())
	}
}

// Joining ends with its context, also while the coordinator waits for others.
func TestJoinEndsWithContext(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	a, b := newTestMember(t, open(t, k), nil), newTestMember(t, open(t, k), nil)
	join(t, a)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := b.Join(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 20*time.Second { // the rebalance would take 30
		t.Fatal(err, time.Since(began))
	}
	if err := b.Leave(deadline(t)); err != nil {
		t.Fatal(err)
	}
}

func TestStaticMember(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	static := func(id string) func(*MemberOptions) { return func(o *MemberOptions) { o.InstanceID = id } }
	a := newTestMember(t, open(t, k), static("pod-0"))
	b := newTestMember(t, open(t, k), static("pod-1"))
	ga, gb := joinBoth(t, a, b)
	gs := []*Generation{ga, gb}
	// A restart: the process goes without leaving, comes back with nothing but its name, and nobody else notices.
	if err := a.Leave(deadline(t)); err != nil {
		t.Fatal(err)
	}
	again := newTestMember(t, open(t, k), static("pod-0"))
	g := join(t, again)
	if g.ID() != gs[0].ID() || g.MemberID() == gs[0].MemberID() || !slices.Equal(g.Slots(), gs[0].Slots()) {
		t.Fatal(g.ID(), gs[0].ID(), g.Slots(), gs[0].Slots())
	}
	time.Sleep(200 * time.Millisecond)
	stillOpen(t, "rebalance of the other", gs[1].Rebalance())
	// A second process with the same name fences the first, which must not fight for it.
	thief := newTestMember(t, open(t, k), static("pod-0"))
	stolen := join(t, thief)
	closed(t, "ended", g.Ended())
	if !isCode(g.Err(), 82) {
		t.Fatal(g.Err())
	}
	var refused *RefusedError
	if err := g.Commit(deadline(t), []OffsetCommit{{"events", 0, 9, -1, "late"}}); !errors.As(err, &refused) {
		t.Fatal(err)
	}
	if _, err := again.Join(deadline(t)); !isCode(err, 82) || !strings.Contains(err.Error(), "pod-0") {
		t.Fatal(err)
	}
	if err := stolen.Commit(deadline(t), []OffsetCommit{{"events", 0, 3, -1, "mine"}}); err != nil {
		t.Fatal(err)
	}
	if err := thief.Remove(deadline(t)); err != nil {
		t.Fatal(err)
	}
	closed(t, "rebalance of the other", gs[1].Rebalance())
}
