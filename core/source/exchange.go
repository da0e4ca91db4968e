package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// call carries one kmsg request over a pooled connection of kafka-go, which runs RawExchange on the connection's own goroutine.
// Transport.RoundTrip returns as soon as its context ends, while the exchange goes on; settle waits for it, so that afterwards
// nobody writes into buf and what is known about the outcome is final.
type call struct {
	req      kmsg.Request
	clientID string
	corr     int32
	limit    int32
	buf      []byte // the answer is read into it; grown as needed
	unsafe   bool   // the answer may alias buf

	mu        sync.Mutex
	abandoned bool
	deadline  interface{ SetDeadline(time.Time) error } // of the connection while the exchange runs
	started   bool
	done      chan struct{}

	sent bool // written by the exchange, read after settle
	res  kmsg.Response
	err  error
}

var errAbandoned = errors.New("given up before it was sent")

// ApiKey and Required make call a message that kafka-go hands the connection to.
func (c *call) ApiKey() protocol.ApiKey                 { return protocol.ApiKey(c.req.Key()) }
func (c *call) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange writes the request and reads the answer. Any error makes kafka-go close the connection, so a late answer is never taken
// for the next request's.
func (c *call) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	c.mu.Lock()
	if c.abandoned {
		c.mu.Unlock()
		return nil, errAbandoned
	}
	c.started = true
	c.deadline, _ = rw.(interface{ SetDeadline(time.Time) error })
	c.mu.Unlock()

	c.res, c.err = c.exchange(rw)

	c.mu.Lock()
	c.deadline = nil
	c.mu.Unlock()
	close(c.done)
	if c.err != nil {
		return nil, c.err
	}
	return c, nil
}

// settle ends the exchange if it still runs and waits for it.
func (c *call) settle() {
	c.mu.Lock()
	if !c.started {
		c.abandoned = true
		c.err = errAbandoned
		c.mu.Unlock()
		return
	}
	if c.deadline != nil {
		c.deadline.SetDeadline(time.Unix(1, 0)) // kafka-go clears it again should the exchange have succeeded just now
	}
	c.mu.Unlock()
	<-c.done
}

func (c *call) exchange(rw io.ReadWriter) (kmsg.Response, error) {
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID(c.clientID))
	out := f.AppendRequest(nil, c.req, c.corr)
	n, err := rw.Write(out)
	// A request cut short is dropped by the broker: its length is in front, and this connection ends here.
	c.sent = err == nil || n == len(out)
	if err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	var head [8]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	size := int64(binary.BigEndian.Uint32(head[:4])) - 4
	if size < 0 || size > int64(c.limit) {
		return nil, fmt.Errorf("answer of %d bytes, limit %d", size, c.limit)
	}
	if got := int32(binary.BigEndian.Uint32(head[4:])); got != c.corr {
		return nil, fmt.Errorf("answer to request %d instead of %d", got, c.corr)
	}
	if int64(cap(c.buf)) < size {
		c.buf = make([]byte, size)
	}
	c.buf = c.buf[:size]
	if _, err := io.ReadFull(rw, c.buf); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return c.parse(c.buf)
}

func (c *call) parse(b []byte) (kmsg.Response, error) {
	res := c.req.ResponseKind()
	// ApiVersions answers keep the old header in every version, so that a client can read a refusal of its version.
	if res.IsFlexible() && res.Key() != int16(kmsg.ApiVersions) {
		rest, err := skipTags(b)
		if err != nil {
			return nil, err
		}
		b = rest
	}
	var err error
	if u, ok := res.(kmsg.UnsafeReadFrom); ok && c.unsafe {
		err = u.UnsafeReadFrom(b)
	} else {
		err = res.ReadFrom(b)
	}
	if err != nil {
		return nil, fmt.Errorf("answer in version %d: %w", c.req.GetVersion(), err)
	}
	return res, nil
}

// skipTags steps over the tagged fields of a response header.
func skipTags(b []byte) ([]byte, error) {
	bad := errors.New("answer: bad header tags")
	n, w := binary.Uvarint(b)
	if w <= 0 {
		return nil, bad
	}
	b = b[w:]
	for ; n > 0; n-- {
		if _, w = binary.Uvarint(b); w <= 0 {
			return nil, bad
		}
		b = b[w:]
		size, w := binary.Uvarint(b)
		if w <= 0 || size > uint64(len(b)-w) {
			return nil, bad
		}
		b = b[w+int(size):]
	}
	return b, nil
}
