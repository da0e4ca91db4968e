package stack

import (
	"bufio"
	"io"
	"net"
	"sync"
	"time"
)

// link is one connection through a proxy. Two goroutines serve it, one for each
// direction.
type link struct {
	proxy  *Proxy
	id     int
	target string
	client *net.TCPConn
	done   chan struct{} // closed with the link

	mu      sync.Mutex
	server  *net.TCPConn // nil until dialled
	closed  bool
	tainted bool // bytes have been lost

	// What becomes of an answer; set before its request is forwarded.
	fate      Action // Forward, CutAnswer or SwallowAnswer
	fateOf    answerMatcher
	swallowed bool // the answer has come, nothing is delivered any more
}

// answerMatcher says whether an answer belongs to the request in question.
type answerMatcher func(answer []byte) bool

func (l *link) run() {
	defer func() {
		l.close()
		l.proxy.change(func() { delete(l.proxy.links, l) })
	}()
	if !l.dial() {
		return
	}
	var answers sync.WaitGroup
	answers.Go(l.pumpAnswers)
	l.pumpRequests()
	answers.Wait()
}

func (l *link) dial() bool {
	var d net.Dialer
	conn, err := d.DialContext(l.proxy.ctx, "tcp4", l.target)
	if err != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server = conn.(*net.TCPConn)
	if l.closed {
		l.server.Close()
	}
	return !l.closed
}

// pumpRequests forwards what the client sends until either side ends.
func (l *link) pumpRequests() {
	r := bufio.NewReaderSize(l.client, 32<<10)
	for {
		request, err := l.proxy.framing.request(r)
		if err != nil {
			l.end(err, l.server)
			return
		}
		if !l.decide(request) || !l.delay() {
			return
		}
		if l.lost(ToServer) {
			continue
		}
		if _, err := l.server.Write(request); err != nil {
			l.close()
			return
		}
	}
}

// decide asks the hook and the proxy's state about a request, and waits while it
// is held. It answers false when the link has ended.
func (l *link) decide(request []byte) bool {
	p := l.proxy
	p.mu.Lock()
	hook, releases := p.onRequest, p.releases
	p.mu.Unlock()
	action := Forward
	if hook != nil {
		action = hook(l.id, request)
	}
	p.mu.Lock()
	if p.cutNext && action == Forward {
		p.cutNext = false
		action = CutAnswer
	}
	p.mu.Unlock()
	switch action {
	case CutRequest:
		l.close()
		return false
	case CutAnswer, SwallowAnswer:
		l.mu.Lock()
		if l.fate == Forward { // the first one decides
			l.fate, l.fateOf = action, p.framing.answerTo(request)
		}
		l.mu.Unlock()
	}
	return l.waitReleased(action == HoldRequest, releases)
}

// waitReleased waits while the proxy holds everything, or while this request is
// held and there has been no release since the hook saw it.
func (l *link) waitReleased(held bool, releases int) bool {
	p := l.proxy
	counted := false
	for {
		p.mu.Lock()
		wait := !p.closed && (p.holding || held && p.releases == releases)
		if wait != counted {
			counted = wait
			if wait {
				p.held++
			} else {
				p.held--
			}
			close(p.changed)
			p.changed = make(chan struct{})
		}
		changed, closed := p.changed, p.closed
		p.mu.Unlock()
		if !wait {
			return !closed // what was held when the proxy closes never arrives
		}
		select {
		case <-changed:
		case <-l.done:
			p.change(func() { p.held-- })
			return false
		}
	}
}

// pumpAnswers forwards what the server sends until either side ends.
func (l *link) pumpAnswers() {
	r := bufio.NewReaderSize(l.server, 32<<10)
	for {
		answer, err := l.proxy.framing.answer(r)
		if err != nil {
			l.end(err, l.client)
			return
		}
		fate := l.fateFor(answer)
		if fate == CutAnswer {
			l.close()
			return
		}
		if !l.delay() {
			return
		}
		if fate == SwallowAnswer || l.lost(ToClient) {
			continue
		}
		if _, err := l.client.Write(answer); err != nil {
			l.close()
			return
		}
	}
}

func (l *link) fateFor(answer []byte) Action {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.swallowed {
		return SwallowAnswer
	}
	if l.fate == Forward || !l.fateOf(answer) {
		return Forward
	}
	l.swallowed = true
	return l.fate
}

// lost says whether bytes vanish on their way.
func (l *link) lost(d Direction) bool {
	l.proxy.mu.Lock()
	lost := l.proxy.blackhole[d]
	l.proxy.mu.Unlock()
	if lost {
		l.mu.Lock()
		l.tainted = true
		l.mu.Unlock()
	}
	return lost
}

func (l *link) isTainted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tainted
}

// delay waits the proxy's delay. It answers false when the link has ended.
func (l *link) delay() bool {
	l.proxy.mu.Lock()
	d := l.proxy.delay
	l.proxy.mu.Unlock()
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.done:
		return false
	}
}

// end passes one side's end on to the other: an orderly one as such, so that
// what is still on its way back arrives.
func (l *link) end(err error, to *net.TCPConn) {
	if err == io.EOF && to.CloseWrite() == nil {
		return
	}
	l.close()
}

// reset closes the link so that both sides see a reset.
func (l *link) reset() {
	l.mu.Lock()
	l.client.SetLinger(0)
	if l.server != nil {
		l.server.SetLinger(0)
	}
	l.mu.Unlock()
	l.close()
}

func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	close(l.done)
	l.client.Close()
	if l.server != nil {
		l.server.Close()
	}
}
