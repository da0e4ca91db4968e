package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Direction is a way through a Proxy.
type Direction int

// The two ways through a Proxy.
const (
	ToServer Direction = iota
	ToClient
)

// Action is what a Proxy does with a request.
type Action int

const (
	// Forward passes the request on.
	Forward Action = iota
	// HoldRequest keeps the request, and what its connection sends after it,
	// until Release. It arrives then even if its client has gone, as a request
	// does that was slow on the network.
	HoldRequest
	// CutRequest closes the connection instead of forwarding the request.
	CutRequest
	// CutAnswer forwards the request and closes the connection when the server
	// answers it, so that the server has done what the client never learns of.
	CutAnswer
	// SwallowAnswer forwards the request and delivers neither its answer nor any
	// later one on its connection, which stays open.
	SwallowAnswer
)

// Proxy stands between clients and one server on 127.0.0.1 and disturbs their
// connections. Its methods may be called at any time from any goroutine.
type Proxy struct {
	framing Framing
	ports   *ports
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced when something below changes
	closed    bool
	listener  net.Listener // nil while refusing
	target    string
	links     map[*link]struct{}
	opened    int // connections so far
	onRequest func(conn int, b []byte) Action
	holding   bool
	releases  int // calls of Release so far
	held      int // connections that wait for one now
	cutNext   bool
	delay     time.Duration
	blackhole [2]bool
}

// NewProxy opens a proxy to the server at target, which may be empty until
// SetTarget: connections are closed until then. The caller must Close it.
func NewProxy(target string, framing Framing) (*Proxy, error) {
	reserved, err := reservePorts(1)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{framing: framing, ports: reserved, target: target, changed: make(chan struct{}), links: map[*link]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if err := p.Accept(); err != nil {
		p.cancel()
		reserved.release()
		return nil, err
	}
	return p, nil
}

// Addr answers host:port, for clients.
func (p *Proxy) Addr() string { return loopback(p.ports.numbers[0]) }

// SetTarget says where new connections lead from now on.
func (p *Proxy) SetTarget(addr string) {
	p.change(func() { p.target = addr })
}

// change changes the proxy's state and wakes whoever waits for that.
func (p *Proxy) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

// wait returns when done, which sees the locked state, answers true.
func (p *Proxy) wait(ctx context.Context, done func() bool) error {
	for {
		p.mu.Lock()
		ok, changed := done(), p.changed
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// Refuse makes new connections fail as if no server were there. Those that are
// open stay so.
func (p *Proxy) Refuse() {
	p.change(func() {
		if p.listener != nil {
			p.listener.Close()
			p.listener = nil
		}
	})
}

// Accept ends Refuse.
func (p *Proxy) Accept() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("proxy: closed")
	}
	if p.listener != nil {
		return nil
	}
	ln, err := listenAgain(p.Addr())
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	p.listener = ln
	p.wg.Go(func() { p.acceptFrom(ln) })
	return nil
}

func (p *Proxy) acceptFrom(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return // Refuse or Close has closed it
		}
		l := &link{proxy: p, client: conn.(*net.TCPConn), done: make(chan struct{})}
		p.change(func() {
			l.id, l.target = p.opened, p.target
			p.opened++
			if p.closed {
				l.close()
				return
			}
			p.links[l] = struct{}{}
		})
		p.wg.Go(l.run)
	}
}

// Sever resets all open connections now. New ones may come.
func (p *Proxy) Sever() {
	for _, l := range p.open() {
		l.reset()
	}
}

func (p *Proxy) open() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*link, 0, len(p.links))
	for l := range p.links {
		all = append(all, l)
	}
	return all
}

// Conns answers how many connections are open.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Blackhole lets nothing through in one direction, on open and on new
// connections, until Pass.
func (p *Proxy) Blackhole(d Direction) {
	p.change(func() { p.blackhole[d] = true })
}

// Pass ends Blackhole. Connections that have lost bytes are reset, for what
// followed would make no sense to the other side.
func (p *Proxy) Pass(d Direction) {
	p.change(func() { p.blackhole[d] = false })
	for _, l := range p.open() {
		if l.isTainted() {
			l.reset()
		}
	}
}

// Hold keeps everything that clients send until Release.
func (p *Proxy) Hold() {
	p.change(func() { p.holding = true })
}

// Release lets through what Hold and HoldRequest keep.
func (p *Proxy) Release() {
	p.change(func() {
		p.holding = false
		p.releases++
	})
}

// WaitHeld returns when at least one request is being held.
func (p *Proxy) WaitHeld(ctx context.Context) error {
	if err := p.wait(ctx, func() bool { return p.held > 0 }); err != nil {
		return fmt.Errorf("wait for a held request: %w", err)
	}
	return nil
}

// Delay lets everything wait that long, in both directions; 0 ends it.
func (p *Proxy) Delay(d time.Duration) {
	p.change(func() { p.delay = d })
}

// CutAnswer forwards the next request on any connection and closes that
// connection when the server answers. Where requests come in the background,
// OnRequest with Once picks the right one.
func (p *Proxy) CutAnswer() {
	p.change(func() { p.cutNext = true })
}

// OnRequest sets a hook that sees what clients send and decides about it: whole
// requests with a Framing, else bytes as they come. It is called from the
// connections' goroutines, must not keep b, and may call the proxy's methods but
// Close. Nil removes it.
func (p *Proxy) OnRequest(hook func(conn int, b []byte) Action) {
	p.change(func() { p.onRequest = hook })
}

// Close closes the proxy and all connections and waits for its goroutines. It
// may be called twice.
func (p *Proxy) Close() error {
	p.change(func() {
		p.closed = true
		if p.listener != nil {
			p.listener.Close()
			p.listener = nil
		}
	})
	p.cancel()
	for _, l := range p.open() {
		l.close()
	}
	p.wg.Wait()
	p.ports.release()
	return nil
}
