package sinktest

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// fault is what a proxy does to one transfer: a piece of bytes that came from
// one side.
type fault uint8

const (
	cutRequest fault = iota + 1 // nothing of it arrives, the connection is reset
	cutWithin                   // its first half arrives, then the connection is reset
	cutAnswer                   // it arrives, and no answer does: the connection is reset instead
	swallow                     // nothing arrives any more, and the connection stays
	late                        // it arrives when its sender has long given up
)

// proxy stands before the server of a target.
type proxy struct {
	listener net.Listener
	target   string
	end      chan struct{} // closed by close
	wg       sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	down      bool
	mute      bool // nothing passes
	links     map[*link]struct{}
	transfers int // so far
	held      int // requests that are late
	armed     *armed
}

// armed is a fault that waits for its transfer.
type armed struct {
	after int // transfers that pass before
	what  fault
	delay time.Duration // of late
	fired func()
}

// link is one connection through the proxy.
type link struct {
	client, server *net.TCPConn
	mu             sync.Mutex
	dropAnswers    bool // reset at the next answer
	muted          bool
}

func newProxy(target string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, target: target, end: make(chan struct{}), links: map[*link]struct{}{}}
	p.wg.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// arm has the proxy do something to the transfer after some more.
func (p *proxy) arm(a *armed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = a
}

// passed counts the transfers so far.
func (p *proxy) passed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.transfers
}

func (p *proxy) hold(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held += n
}

// waitLate returns when nothing is late any more.
func (p *proxy) waitLate() {
	for {
		p.mu.Lock()
		held := p.held
		p.mu.Unlock()
		if held == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// setDown resets all connections, and every new one, until it is lifted.
func (p *proxy) setDown(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	if down {
		p.sever()
	}
}

// setMute lets nothing pass on any connection until it is lifted. Then all
// connections are reset: some have lost bytes.
func (p *proxy) setMute(mute bool) {
	p.mu.Lock()
	p.mute = mute
	p.mu.Unlock()
	if !mute {
		p.sever()
	}
}

// sever resets all connections.
func (p *proxy) sever() {
	p.mu.Lock()
	all := make([]*link, 0, len(p.links))
	for l := range p.links {
		all = append(all, l)
	}
	p.mu.Unlock()
	for _, l := range all {
		l.reset()
	}
}

// close ends the proxy and its goroutines.
func (p *proxy) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed, p.down = true, true
	p.mu.Unlock()
	close(p.end)
	p.listener.Close()
	p.sever()
	p.wg.Wait()
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(conn.(*net.TCPConn)) })
	}
}

func (p *proxy) serve(client *net.TCPConn) {
	l := &link{client: client}
	defer l.close()
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		l.reset()
		return
	}
	l.server = server.(*net.TCPConn)
	p.mu.Lock()
	down := p.down
	if !down {
		p.links[l] = struct{}{}
	}
	p.mu.Unlock()
	if down {
		l.reset()
		return
	}
	defer func() {
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
	}()
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, l.server, l.client, true) })
	both.Go(func() { p.pump(l, l.client, l.server, false) })
	both.Wait()
}

// pump carries what src sends to dst. A client that goes does not take with it
// what it has sent before.
func (p *proxy) pump(l *link, dst, src *net.TCPConn, toServer bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 && !p.transfer(l, dst, buf[:n], toServer) {
			l.reset()
			return
		}
		switch {
		case errors.Is(err, io.EOF), err != nil && toServer:
			if dst.CloseWrite() != nil && toServer {
				l.reset()
			}
			return
		case err != nil:
			l.reset()
			return
		}
	}
}

// transfer passes on a piece of bytes, or what the armed fault leaves of it.
// It returns false when the connection is to be reset.
func (p *proxy) transfer(l *link, dst *net.TCPConn, b []byte, toServer bool) bool {
	what, a := p.next(toServer)
	l.mu.Lock()
	if l.dropAnswers && !toServer {
		l.mu.Unlock()
		return false
	}
	l.muted = l.muted || what == swallow || p.isMute()
	muted := l.muted
	l.dropAnswers = l.dropAnswers || what == cutAnswer
	l.mu.Unlock()
	if a != nil && what != late {
		defer a.fired()
	}
	switch {
	case muted:
		return true
	case what == cutRequest:
		return false
	case what == cutWithin:
		dst.Write(b[:len(b)/2])
		return false
	case what == cutAnswer && !toServer:
		return false
	case what == late:
		p.hold(1)
		defer p.hold(-1)
		a.fired()
		select {
		case <-time.After(a.delay):
		case <-p.end:
			return false
		}
	}
	if _, err := dst.Write(b); err != nil {
		// A client that has gone leaves its request to the server.
		return !toServer && l.drain()
	}
	return true
}

// drain lets the server finish for nobody.
func (l *link) drain() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.muted = true
	return true
}

// next counts a transfer, and returns the fault that it meets.
func (p *proxy) next(toServer bool) (fault, *armed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.transfers++
	a := p.armed
	if a == nil {
		return 0, nil
	}
	if a.after--; a.after >= 0 || a.what == late && !toServer {
		return 0, nil
	}
	p.armed = nil
	return a.what, a
}

func (p *proxy) isMute() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mute
}

// reset closes both sides so that they notice.
func (l *link) reset() {
	for _, c := range []*net.TCPConn{l.client, l.server} {
		if c != nil {
			c.SetLinger(0)
			c.Close()
		}
	}
}

func (l *link) close() {
	for _, c := range []*net.TCPConn{l.client, l.server} {
		if c != nil {
			c.Close()
		}
	}
}
