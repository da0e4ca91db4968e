package sinktest_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/sink/sinktest"
)

// echo answers every line with the line, and keeps what it was sent.
type echo struct {
	addr string
	mu   sync.Mutex
	got  strings.Builder
}

func newEcho(t *testing.T) *echo {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{addr: l.Addr().String()}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					b := make([]byte, 100)
					n, err := r.Read(b)
					e.mu.Lock()
					e.got.Write(b[:n])
					e.mu.Unlock()
					if err != nil {
						return
					}
					if strings.HasSuffix(string(b[:n]), "\n") {
						if _, err := io.WriteString(conn, "done\n"); err != nil {
							return
						}
					}
				}
			})
		}
	})
	return e
}

func (e *echo) text() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got.String()
}

// TestProxy: what arrives under each fault, and what comes back.
func TestProxy(t *testing.T) {
	for _, c := range []struct {
		fault        string
		arrives      string
		answer, left bool // an answer comes; the connection stays
	}{
		{"none", "request\n", true, true},
		{"cut request", "", false, false},
		{"cut within", "requ", false, false},
		{"cut answer", "request\n", false, false},
		{"swallow", "", false, true},
		{"late", "request\n", true, true},
	} {
		t.Run(c.fault, func(t *testing.T) {
			e := newEcho(t)
			p, err := sinktest.NewProxy(e.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			conn, err := net.Dial("tcp", p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			const delay = 2 * time.Second
			hit := make(chan struct{})
			if c.fault == "none" {
				close(hit)
			} else {
				hit = p.Next(c.fault, 0, delay)
			}
			begin := time.Now()
			if _, err := io.WriteString(conn, "request\n"); err != nil {
				t.Fatal(err)
			}
			<-hit
			if c.fault == "late" && e.text() != "" {
				t.Error("a late request arrived at once")
			}
			patience := time.Minute
			if c.left && !c.answer { // nothing comes, ever
				patience = 500 * time.Millisecond
			}
			conn.SetReadDeadline(time.Now().Add(patience))
			b := make([]byte, 10)
			n, err := conn.Read(b)
			timeout, _ := err.(net.Error)
			if string(b[:n]) == "done\n" != c.answer || (err == nil || timeout != nil && timeout.Timeout()) != c.left {
				t.Errorf("the client got %q, %v", b[:n], err)
			}
			if c.fault == "late" && time.Since(begin) < delay {
				t.Errorf("a late request took %v, want %v", time.Since(begin), delay)
			}
			for end := time.Now().Add(time.Minute); e.text() != c.arrives && time.Now().Before(end); time.Sleep(time.Millisecond) {
			}
			if got := e.text(); got != c.arrives {
				t.Errorf("the server got %q, want %q", got, c.arrives)
			}
		})
	}
}

// TestLateWithoutClient: a request that was under way arrives when its client
// has gone.
func TestLateWithoutClient(t *testing.T) {
	e := newEcho(t)
	p, err := sinktest.NewProxy(e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	hit := p.Next("late", 0, 100*time.Millisecond)
	if _, err := io.WriteString(conn, "request\n"); err != nil {
		t.Fatal(err)
	}
	<-hit
	conn.Close()
	for end := time.Now().Add(time.Minute); e.text() == "" && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if e.text() != "request\n" {
		t.Errorf("the server got %q", e.text())
	}
}

// TestTrip: the context ends at the look that it is told, not before.
func TestTrip(t *testing.T) {
	for n := 1; n < 5; n++ {
		fresh := sinktest.Trip(context.Background(), n)
		for look := 1; look <= n; look++ {
			if got, want := fresh.Err() != nil, look == n; got != want {
				t.Errorf("look %d of a context that ends at %d: ended: %t", look, n, got)
			}
		}
		child, cancel := context.WithCancel(sinktest.Trip(context.Background(), 1)) // which looks
		<-child.Done()
		cancel()
	}
}
