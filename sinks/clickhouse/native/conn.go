package native

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// revision is the version of the protocol that is spoken: old enough that all
// servers since 2021 speak it, and that none sends what an insert has no use
// for (profile events), and new enough for all that an insert needs.
const revision = 54450

// Options say how to connect.
type Options struct {
	Address     string
	Database    string // "": the user's
	Username    string
	Password    string
	TLS         *tls.Config // nil: not encrypted
	Compression Compression
	Name        string // of the client, as the server's logs show it
}

// Setting is a setting of one query. An important one that the server does not
// know is an error; another is ignored there.
type Setting struct {
	Key, Value string
	Important  bool
}

// Conn is one connection. On it an INSERT is opened, and then sent or given up
// with the connection. Any error but one of Open that IsException leaves it
// unusable.
type Conn struct {
	Born    time.Time // when it was dialled
	counted *counted
	nc      net.Conn // counted, or TLS on it
	in      *input
	out     *frames
	buf     proto.Buffer
	options Options
	broken  bool
}

// counted knows how many bytes have left.
type counted struct {
	net.Conn
	sent int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent += int64(n)
	return n, err
}

// Dial connects and logs in.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, err
	}
	c := &Conn{Born: time.Now(), counted: &counted{Conn: raw}, options: o}
	c.nc = c.counted
	err = c.guard(ctx, func() error {
		if o.TLS != nil {
			t := tls.Client(c.counted, o.TLS)
			c.nc = t
			if err := t.HandshakeContext(ctx); err != nil {
				return err
			}
		}
		c.in, c.out = newInput(c.nc), newFrames(c.nc, o.Compression)
		return c.hello()
	})
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("connect to %s: %w", o.Address, err)
	}
	return c, nil
}

// guard runs f, and ends what it does on the connection when ctx ends.
func (c *Conn) guard(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.counted.SetDeadline(time.Unix(1, 0)) })
	err := f()
	if !stop() {
		c.broken = true
		if err != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
	}
	if err != nil {
		c.broken = true
	}
	return err
}

func (c *Conn) hello() error {
	c.buf.Reset()
	proto.ClientHello{Name: c.options.Name, Major: 1, ProtocolVersion: revision, Database: c.options.Database, User: c.options.Username,
		Password: c.options.Password}.Encode(&c.buf)
	c.out.plain(c.buf.Buf)
	if c.out.err != nil {
		return c.out.err
	}
	code, err := c.in.uvarint()
	if err != nil {
		return err
	}
	switch proto.ServerCode(code) {
	case proto.ServerCodeHello:
	case proto.ServerCodeException:
		return c.in.exception()
	default:
		return fmt.Errorf("answer %d to the greeting: is this the native port of a ClickHouse server?", code)
	}
	return c.serverHello()
}

func (c *Conn) serverHello() error {
	in := c.in
	in.string() // its name
	major, _ := in.uvarint()
	minor, _ := in.uvarint()
	spoken, err := in.uvarint()
	in.string()  // time zone
	in.string()  // display name
	in.uvarint() //nolint:errcheck // patch level; remembered
	if err != nil || in.err != nil {
		return errors.Join(err, in.err)
	}
	if spoken < revision {
		return fmt.Errorf("the server is of version %d.%d, which is too old: 21.8 is the oldest that may do", major, minor)
	}
	return nil
}

// Header is a column that an INSERT expects.
type Header struct{ Name, Type string }

// Open sends an INSERT and returns when the server waits for its block. An
// Exception is the server's refusal.
func (c *Conn) Open(ctx context.Context, query string, settings []Setting) (header []Header, err error) {
	err = c.guard(ctx, func() error {
		c.buf.Reset()
		q := proto.Query{Body: query, Info: proto.ClientInfo{ProtocolVersion: revision, Major: 1, Interface: proto.InterfaceTCP,
			Query: proto.ClientQueryInitial, InitialAddress: "0.0.0.0:0", ClientName: c.options.Name}}
		if c.out.pack != nil {
			q.Compression = proto.CompressionEnabled
		}
		for _, s := range settings {
			q.Settings = append(q.Settings, proto.Setting{Key: s.Key, Value: s.Value, Important: s.Important})
		}
		q.EncodeAware(&c.buf, revision)
		c.out.plain(c.buf.Buf)
		c.blockHead(0, 0) // there are no external tables
		c.out.flush()
		if c.out.err != nil {
			return c.out.err
		}
		header, err = c.header()
		return err
	})
	return header, err
}

// header reads up to the empty block that names the columns.
func (c *Conn) header() ([]Header, error) {
	for {
		code, err := c.in.uvarint()
		if err != nil {
			return nil, err
		}
		if proto.ServerCode(code) == proto.ServerCodeData {
			return c.in.block(c.out.pack != nil)
		}
		if done, err := c.in.packet(code, c.out.pack != nil); err != nil {
			return nil, err
		} else if done {
			return nil, errors.New("the server ended the INSERT before its block")
		}
	}
}

// Idle says whether the connection can be used again. It looks for what the
// server may have sent, or that it has gone.
func (c *Conn) Idle() bool { return !c.broken && c.in.r.Buffered() == 0 && !readable(c.counted.Conn) }

// ErrNotSent marks an error after which not one byte of the block was sent.
var ErrNotSent = errors.New("nothing of the batch was sent")

// Send sends the block of the INSERT that is open, and returns nil when the
// server has applied it. With ErrNotSent nothing was sent; after any other
// error all may have been applied.
func (c *Conn) Send(ctx context.Context, columns []*Column, rows int) error {
	before := c.counted.sent
	err := c.guard(ctx, func() error {
		if c.in.r.Buffered() > 0 || readable(c.counted.Conn) {
			// Nothing is due before the block: the server has given it up.
			return errors.Join(ErrNotSent, c.ended())
		}
		c.block(columns, rows)
		c.blockHead(0, 0) // the end of the data
		c.out.flush()
		if c.out.err != nil {
			return c.unsent(c.out.err)
		}
		return c.finish()
	})
	if err != nil && c.counted.sent == before && !errors.Is(err, ErrNotSent) {
		err = errors.Join(ErrNotSent, err)
	}
	return err
}

// unsent is an error of sending. The server may have said why.
func (c *Conn) unsent(err error) error {
	c.counted.SetReadDeadline(time.Now().Add(time.Second))
	if e := (*Exception)(nil); errors.As(c.ended(), &e) {
		return errors.Join(e, err)
	}
	return err
}

// ended reads why the server has ended an INSERT by itself.
func (c *Conn) ended() error {
	if err := c.finish(); err != nil {
		return err
	}
	return errors.New("the server ended the INSERT by itself")
}

// finish reads up to the end of the answer.
func (c *Conn) finish() error {
	for {
		code, err := c.in.uvarint()
		if err != nil {
			return err
		}
		if done, err := c.in.packet(code, c.out.pack != nil); done || err != nil {
			return err
		}
	}
}

// blockHead sends what comes before the columns of a block.
func (c *Conn) blockHead(columns, rows int) {
	// Outside of the compression: the packet, and a table without a name.
	if c.out.pack != nil {
		c.out.flush()
		c.out.plain([]byte{byte(proto.ClientCodeData), 0})
	} else {
		c.out.byte(byte(proto.ClientCodeData))
		c.out.byte(0)
	}
	c.out.byte(1) // is_overflows: no
	c.out.byte(0)
	c.out.byte(2) // bucket_num: -1
	c.out.uint32(1<<32 - 1)
	c.out.byte(0)
	c.out.uvarint(uint64(columns))
	c.out.uvarint(uint64(rows))
}

func (c *Conn) block(columns []*Column, rows int) {
	c.blockHead(len(columns), rows)
	for _, col := range columns {
		c.out.string(col.Name)
		c.out.string(col.Type.Text)
		if rows > 0 {
			col.enc.prefix(c.out)
			col.enc.data(c.out)
		}
	}
	c.out.flush()
}

// Close closes the connection. An INSERT that is open on it is given up.
func (c *Conn) Close() error {
	c.broken = true
	return c.counted.Close()
}
