package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// node is one broker address with its pool of connections.
type node struct {
	addr      net.Addr
	address   string
	transport *kafka.Transport
	cancel    context.CancelFunc // of what kafka-go runs in the background, also for a call that comes too late and starts it anew
	corr      *atomic.Int32
	clientID  string
	limit     int32

	versions atomic.Pointer[map[int16][2]int16] // nil until asked; forgotten when a connection breaks: it may come back as another release
}

// close ends the background work and idle connections. Requests under way go on and close theirs when they end.
func (n *node) close() {
	n.cancel()
	n.transport.CloseIdleConnections()
}

// maxStale bounds how many dead idle connections one request walks past; each is taken out of the pool by being tried.
const maxStale = 64

// exchange is what one request needs besides its context.
type exchange struct {
	req      kmsg.Request
	min, max int16 // usable versions
	timeout  time.Duration
	buf      []byte
	unsafe   bool
}

// do sends one request and returns its answer, and the buffer it was read into. The error is a *ConnError or *VersionError.
func (n *node) do(ctx context.Context, x exchange) (kmsg.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	if err := n.negotiate(ctx, x); err != nil {
		return nil, x.buf, err
	}
	return n.send(ctx, x)
}

func (n *node) send(ctx context.Context, x exchange) (kmsg.Response, []byte, error) {
	for try := 0; ; try++ {
		c := &call{req: x.req, clientID: n.clientID, corr: n.corr.Add(1), limit: n.limit, buf: x.buf, unsafe: x.unsafe, done: make(chan struct{})}
		_, err := n.transport.RoundTrip(ctx, n.addr, c)
		c.settle()
		x.buf = c.buf
		if c.err == nil {
			// kafka-go keeps the last call of every idle connection.
			res := c.res
			c.res, c.buf = nil, nil
			return res, x.buf, nil
		}
		if errors.Is(c.err, errStale) && try < maxStale && ctx.Err() == nil {
			continue
		}
		if c.err != errAbandoned {
			err = c.err
		}
		if ctx.Err() == nil {
			n.versions.Store(nil)
		}
		return nil, x.buf, n.failure(ctx, x.req, c.sent, err)
	}
}

// failure names what went wrong. A refused login is an answer, not a broken connection: trying again does not help.
func (n *node) failure(ctx context.Context, req kmsg.Request, sent bool, err error) error {
	name := kmsg.NameForKey(req.Key())
	var code kafka.Error
	if errors.As(err, &code) && !sent && code != kafka.BrokerNotAvailable {
		return fmt.Errorf("kafka: connect to %s: %w", n.address, &KafkaError{Code: int16(code), Request: "SaslAuthenticate", Object: n.address})
	}
	cause := ctx.Err()
	if cause == nil && errors.Is(err, os.ErrDeadlineExceeded) {
		cause = context.DeadlineExceeded // the connection has ctx's deadline, and its clock was first
	}
	if cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w (%v)", cause, err)
	}
	return &ConnError{Request: name, Address: n.address, Sent: sent, Err: err}
}

// negotiate sets the request's version to the highest that both sides know.
func (n *node) negotiate(ctx context.Context, x exchange) error {
	v := n.versions.Load()
	if v == nil {
		m, err := n.askVersions(ctx)
		if err != nil {
			return err
		}
		n.versions.Store(&m)
		v = &m
	}
	offer, ok := (*v)[x.req.Key()]
	if !ok {
		offer = [2]int16{-1, -1}
	}
	if offer[1] < x.min || offer[0] > x.max {
		return &VersionError{Request: kmsg.NameForKey(x.req.Key()), Address: n.address, Min: x.min, Max: x.max, BrokerMin: offer[0], BrokerMax: offer[1]}
	}
	x.req.SetVersion(min(x.max, offer[1]))
	return nil
}

func (n *node) askVersions(ctx context.Context) (map[int16][2]int16, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.SetVersion(2) // the last one without client names; every broker we can use knows it
	r, _, err := n.send(ctx, exchange{req: req})
	if err != nil {
		// What was to be sent was not, whatever became of this request.
		var ce *ConnError
		if errors.As(err, &ce) {
			ce.Sent = false
		}
		return nil, err
	}
	res := r.(*kmsg.ApiVersionsResponse)
	if res.ErrorCode != codeNone {
		return nil, &KafkaError{Code: res.ErrorCode, Request: "ApiVersions", Object: n.address}
	}
	m := make(map[int16][2]int16, len(res.ApiKeys))
	for _, k := range res.ApiKeys {
		m[k.ApiKey] = [2]int16{k.MinVersion, k.MaxVersion}
	}
	return m, nil
}
