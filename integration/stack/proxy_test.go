package stack_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// echo is a server that answers each line with itself and remembers them all.
type echo struct {
	ln net.Listener
	wg sync.WaitGroup

	mu   sync.Mutex
	seen []string
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{ln: ln}
	e.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			e.wg.Go(func() { e.serve(conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); e.wg.Wait() })
	return e
}

func (e *echo) serve(conn net.Conn) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		e.mu.Lock()
		e.seen = append(e.seen, lines.Text())
		e.mu.Unlock()
		if _, err := io.WriteString(conn, lines.Text()+"\n"); err != nil {
			return
		}
	}
}

func (e *echo) saw(line string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.seen {
		if s == line {
			return true
		}
	}
	return false
}

// client is a connection through a proxy.
type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, p *stack.Proxy) *client {
	t.Helper()
	conn, err := net.Dial("tcp4", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn, r: bufio.NewReader(conn)}
}

func (c *client) send(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) receive(within time.Duration) (string, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	line, err := c.r.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

func (c *client) mustEcho(line string) {
	c.t.Helper()
	c.send(line)
	c.mustReceive(line)
}

func (c *client) mustReceive(line string) {
	c.t.Helper()
	if got, err := c.receive(time.Minute); err != nil || got != line {
		c.t.Fatalf("got %q, %v; want %q", got, err, line)
	}
}

func (c *client) mustHearNothing() {
	c.t.Helper()
	var netErr net.Error
	if got, err := c.receive(50 * time.Millisecond); !errors.As(err, &netErr) || !netErr.Timeout() {
		c.t.Fatalf("got %q, %v; want silence", got, err)
	}
}

func (c *client) mustEnd() {
	c.t.Helper()
	got, err := c.receive(time.Minute)
	var netErr net.Error
	if err == nil || errors.As(err, &netErr) && netErr.Timeout() {
		c.t.Fatalf("got %q, %v; want the end of the connection", got, err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

func TestProxyForwards(t *testing.T) {
	e := newEcho(t)
	p := stack.ProxyTo(t, e.ln.Addr().String(), stack.Raw)
	a, b := dial(t, p), dial(t, p)
	a.mustEcho("one")
	b.mustEcho("two")
	if n := p.Conns(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	a.conn.Close()
	b.conn.Close()
	eventually(t, "connections end with their clients", func() bool { return p.Conns() == 0 })
}

func TestProxyWithoutServer(t *testing.T) {
	p := stack.ProxyTo(t, "", stack.Raw)
	dial(t, p).mustEnd()
	e := newEcho(t)
	p.SetTarget(e.ln.Addr().String())
	dial(t, p).mustEcho("there")
}

func TestProxyRefuse(t *testing.T) {
	e := newEcho(t)
	p := stack.ProxyTo(t, e.ln.Addr().String(), stack.Raw)
	open := dial(t, p)
	open.mustEcho("before")
	p.Refuse()
	if _, err := net.Dial("tcp4", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial while refusing: %v, want connection refused", err)
	}
	open.mustEcho("still open")
	if err := p.Accept(); err != nil {
		t.Fatal(err)
	}
	dial(t, p).mustEcho("after")
}

// A process that is started while a port is closed holds it for a moment more.
func TestProxyWaitsForItsPort(t *testing.T) {
	e := newEcho(t)
	p := stack.ProxyTo(t, e.ln.Addr().String(), stack.Raw)
	p.Refuse()
	holder, err := net.Listen("tcp4", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { holder.Close() })
	if err := p.Accept(); err != nil {
		t.Fatal(err)
	}
}

func TestProxySever(t *testing.T) {
	e := newEcho(t)
	p := stack.ProxyTo(t, e.ln.Addr().String(), stack.Raw)
	c := dial(t, p)
	c.mustEcho("before")
	p.Sever()
	if _, err := c.receive(time.Minute); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v, want a reset", err)
	}
	dial(t, p).mustEcho("after")
}

func TestProxyBlackhole(t *testing.T) {
	e := newEcho(t)
	p := stack.ProxyTo(t, e.ln.Addr().String(), stack.Raw)
	lossy, idle := dial(t, p), dial(t, p)
	lossy.mustEcho("before")
	idle.mustEcho("idle")

	p.Blackhole(stack.ToServer)
	lossy.send("request lost")
	lossy.mustHearNothing()
	if e.saw("request lost") {
		t.Error("the server has seen the request")
	}
	p.Pass(stack.ToServer)
	lossy.mustEnd()
	idle.mustEcho("nothing lost here")

	p.Blackhole(stack.ToClient)
	idle.send("answer lost")
	eventually(t, "the request arrives", func() bool { return e.saw("answer lost") })
	idle.mustHearNothing()
	p.Pass(stack.ToClient)
	idle.mustEnd()
}

func TestProxyHold(t *testing.T) {
	e := newEcho(t)
	p := stack.ProxyTo(t, e.ln.Addr().String(), stack.Raw)
	c := dial(t, p)
	c.mustEcho("before")
	p.Hold()
	c.send("held")
	if err := p.WaitHeld(timeLimit(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	c.mustHearNothing()
	if e.saw("held") {
		t.Error("the server has seen the request")
	}
	p.Release()
	c.mustReceive("held")

	// A held request arrives although its client has gone.
	p.Hold()
	c.send("late")
	if err := p.WaitHeld(timeLimit(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	c.conn.Close()
	p.Release()
	eventually(t, "the late request arrives", func() bool { return e.saw("late") })
}

func TestProxyDelay(t *testing.T) {
	e := newEcho(t)
	p := stack.ProxyTo(t, e.ln.Addr().String(), stack.Raw)
	c := dial(t, p)
	c.mustEcho("fast")
	p.Delay(50 * time.Millisecond)
	began := time.Now()
	c.mustEcho("slow")
	if d := time.Since(began); d < 100*time.Millisecond {
		t.Errorf("there and back took %s, want at least 100ms", d)
	}
	p.Delay(0)
}

func TestProxyCutAnswer(t *testing.T) {
	e := newEcho(t)
	p := stack.ProxyTo(t, e.ln.Addr().String(), stack.Raw)
	c := dial(t, p)
	c.mustEcho("before")
	p.CutAnswer()
	c.send("done in secret")
	c.mustEnd()
	if !e.saw("done in secret") {
		t.Error("the server has not seen the request")
	}
	dial(t, p).mustEcho("after")
}

func TestProxyHook(t *testing.T) {
	for name, check := range map[string]struct {
		action stack.Action
		then   func(*testing.T, *stack.Proxy, *echo, *client)
	}{
		"cut request": {stack.CutRequest, func(t *testing.T, p *stack.Proxy, e *echo, c *client) {
			c.mustEnd()
			if e.saw("COMMIT") {
				t.Error("the server has seen the request")
			}
		}},
		"cut answer": {stack.CutAnswer, func(t *testing.T, p *stack.Proxy, e *echo, c *client) {
			c.mustEnd()
			if !e.saw("COMMIT") {
				t.Error("the server has not seen the request")
			}
		}},
		"swallow": {stack.SwallowAnswer, func(t *testing.T, p *stack.Proxy, e *echo, c *client) {
			eventually(t, "the request arrives", func() bool { return e.saw("COMMIT") })
			c.mustHearNothing()
		}},
		"hold": {stack.HoldRequest, func(t *testing.T, p *stack.Proxy, e *echo, c *client) {
			if err := p.WaitHeld(timeLimit(t, time.Minute)); err != nil {
				t.Fatal(err)
			}
			dial(t, p).mustEcho("others pass")
			if e.saw("COMMIT") {
				t.Error("the server has seen the request")
			}
			p.Release()
			c.mustReceive("COMMIT")
		}},
		"close while held": {stack.HoldRequest, func(t *testing.T, p *stack.Proxy, e *echo, c *client) {
			if err := p.WaitHeld(timeLimit(t, time.Minute)); err != nil {
				t.Fatal(err)
			}
			p.Close()
			c.mustEnd()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEcho(t)
			p := stack.ProxyTo(t, e.ln.Addr().String(), stack.Raw)
			hook, hit := stack.Once(stack.Contains("COMMIT"), check.action)
			p.OnRequest(hook)
			c := dial(t, p)
			c.mustEcho("BEGIN")
			c.send("COMMIT")
			select {
			case <-hit:
			case <-time.After(time.Minute):
				t.Fatal("the hook has not seen the request")
			}
			check.then(t, p, e, c)
		})
	}
}

// fakeKafka answers every frame with its correlation id alone.
func fakeKafka(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			frame := make([]byte, 12)
			if _, err := io.ReadFull(conn, frame); err != nil {
				return
			}
			if _, err := conn.Write(append([]byte{0, 0, 0, 4}, frame[8:]...)); err != nil {
				return
			}
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

func TestProxyFindsTheAnswerOfAKafkaRequest(t *testing.T) {
	p := stack.ProxyTo(t, fakeKafka(t), stack.KafkaFrames)
	hook, hit := stack.Once(stack.KafkaKey(8), stack.CutAnswer)
	p.OnRequest(hook)
	conn := dial(t, p).conn
	// Three requests in one write, of which the second is an OffsetCommit: its
	// predecessor must still be answered.
	var b []byte
	for i, key := range []byte{3, 8, 3} {
		b = append(b, 0, 0, 0, 8, 0, key, 0, 0, 0, 0, 0, byte(i))
	}
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if want := "\x00\x00\x00\x04\x00\x00\x00\x00"; string(got) != want {
		t.Errorf("got %q, %v; want the first answer only", got, err)
	}
	<-hit
}

func TestProxyRefusesAForeignProtocol(t *testing.T) {
	p := stack.ProxyTo(t, fakeKafka(t), stack.KafkaFrames)
	c := dial(t, p)
	c.send("GET / HTTP/1.1\r\n\r")
	c.mustEnd()
}

func TestProxyCloseTwice(t *testing.T) {
	p, err := stack.NewProxy("", stack.Raw)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	p.Close()
	if err := p.Accept(); err == nil {
		t.Error("a closed proxy accepts")
	}
}
