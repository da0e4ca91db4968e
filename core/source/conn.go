package source

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// errStale is returned by the first write on an idle connection that the broker has closed meanwhile. Nothing was written.
var errStale = errors.New("connection was closed by the broker while idle")

var errClosed = errors.New("cluster is closed")

// connections are all open connections of a cluster, so that Close can end what is under way. kafka-go only closes idle ones.
type connections struct {
	mu     sync.Mutex
	open   map[*conn]struct{}
	closed bool
	wait   sync.WaitGroup
}

func (s *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, set: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		nc.Close()
		return nil, errClosed
	}
	if s.open == nil {
		s.open = make(map[*conn]struct{})
	}
	s.open[c] = struct{}{}
	s.wait.Add(1)
	return c, nil
}

// shutdown breaks every connection and waits until kafka-go has let go of all of them.
func (s *connections) shutdown() {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		c.Conn.Close()
	}
	s.mu.Unlock()
	s.wait.Wait()
}

// conn is a network connection that knows whether it is idle.
type conn struct {
	net.Conn
	set  *connections
	idle atomic.Bool // the last thing that happened was a read: between an answer and the next request
	once sync.Once
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.idle.Store(true)
	return n, err
}

// Write asks an idle connection whether it still stands before the first byte of a request. Without that, the first request after a
// broker's restart would be lost on the old connection, and a lost commit costs the membership.
func (c *conn) Write(b []byte) (int, error) {
	if c.idle.Load() && closedByPeer(c.Conn) {
		return 0, errStale
	}
	c.idle.Store(false)
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.set.mu.Lock()
		delete(c.set.open, c)
		c.set.mu.Unlock()
		c.set.wait.Done()
	})
	return err
}
