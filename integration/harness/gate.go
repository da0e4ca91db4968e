package harness

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/sluicekit/sluice/integration/stack"
)

// gate is a proxy with traps for single requests.
type gate struct {
	*stack.Proxy
	blocks *blocks // nil: not ClickHouse's protocol
	mu     sync.Mutex
	traps  []*trap
}

// trap waits for one request and does something to it.
type trap struct {
	match  match
	action stack.Action
	then   func()        // nil, or called before the request goes on
	stays  bool          // acts on all requests that match, until disarm
	hit    chan struct{} // closed by the first
	sprung bool
}

func newGate(p *stack.Proxy) *gate {
	g := &gate{Proxy: p}
	p.OnRequest(g.decide)
	return g
}

// arm sets a trap.
func (g *gate) arm(action stack.Action, match match) *trap {
	return g.set(&trap{match: match, action: action, hit: make(chan struct{})})
}

// hold keeps all requests that match until disarm and Release.
func (g *gate) hold(match match) *trap {
	return g.set(&trap{match: match, action: stack.HoldRequest, stays: true, hit: make(chan struct{})})
}

func (g *gate) set(t *trap) *trap {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.traps = append(g.traps, t)
	return t
}

// disarm removes a trap. It answers whether the trap had sprung.
func (g *gate) disarm(t *trap) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(t)
	return t.sprung
}

func (g *gate) remove(t *trap) {
	if i := slices.Index(g.traps, t); i >= 0 {
		g.traps = slices.Delete(g.traps, i, i+1)
	}
}

func (g *gate) decide(conn int, b []byte) stack.Action {
	t, first := g.caught(conn, b)
	if t == nil {
		return stack.Forward
	}
	if first {
		if t.then != nil {
			t.then()
		}
		close(t.hit)
	}
	return t.action
}

// caught answers the trap that a request is in, and whether it is its first.
func (g *gate) caught(conn int, b []byte) (*trap, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := request{conn: conn, b: b}
	if g.blocks != nil {
		g.blocks.mark(&r)
	}
	for _, t := range g.traps {
		if !t.match(r) {
			continue
		}
		first := !t.sprung
		t.sprung = true
		if !t.stays {
			g.remove(t)
		}
		return t, first
	}
	return nil, false
}

// await waits for a trap to spring, and disarms it if it does not.
func (g *gate) await(ctx context.Context, t *trap, what string) error {
	select {
	case <-t.hit:
		return nil
	case <-ctx.Done():
		if g.disarm(t) {
			return nil
		}
		return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
	}
}

// The Kafka requests that traps are set for.
const (
	offsetCommit = 8
	heartbeat    = 12
)

// from matches requests of one kind and one client.
func from(client string, key int16) match {
	return func(q request) bool {
		b := q.b
		r, ok := stack.ParseKafkaRequest(b)
		if !ok || r.Key != key || len(b) < 14 {
			return false
		}
		n := int(int16(binary.BigEndian.Uint16(b[12:])))
		return n >= 0 && len(b) >= 14+n && string(b[14:14+n]) == client
	}
}

// The commands of MySQL's protocol that carry a statement.
const (
	comQuery   = 3
	comPrepare = 22
)

// statement matches a statement by its beginning.
func statement(prefix string) match {
	return func(r request) bool {
		b := r.b
		return len(b) > 5 && (b[4] == comQuery || b[4] == comPrepare) && bytes.HasPrefix(b[5:], []byte(prefix))
	}
}

// firstWrite matches what a transaction sends first: rows of one of the
// tables, not positions.
func firstWrite(r request) bool {
	return statement("INSERT INTO `events`")(r) || statement("INSERT INTO `keyed`")(r) || statement("INSERT INTO `balances`")(r)
}
