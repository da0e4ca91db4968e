package clickhouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/sluicekit/sluice/sinks/clickhouse/native"
	"github.com/sluicekit/sluice/sinks/endpoint"
)

// dialer makes connections to the first address that answers. Nothing is
// pooled beyond a writer's own connection, since a pool stays where it was
// dialled.
type dialer struct {
	c         *Connection
	addresses []string
	tls       []*tls.Config // per address; nil: not encrypted
}

func newDialer(c *Connection) (*dialer, error) {
	d := &dialer{c: c}
	for _, a := range c.Address {
		a = endpoint.WithPort(a, c.port())
		t, err := c.TLS.Config(a)
		if err != nil {
			return nil, err
		}
		d.addresses, d.tls = append(d.addresses, a), append(d.tls, t)
	}
	return d, nil
}

// dial connects for an INSERT.
func (d *dialer) dial(ctx context.Context) (conn *native.Conn, err error) {
	err = d.first(ctx, func(ctx context.Context, i int) (err error) {
		conn, err = native.Dial(ctx, native.Options{Address: d.addresses[i], TLS: d.tls[i], Database: d.c.Database, Username: d.c.Username,
			Password: d.c.Password.Reveal(), Compression: native.Compression(d.c.Compression), Name: "sluice"})
		return err
	})
	return conn, err
}

// first tries the addresses in their order.
func (d *dialer) first(ctx context.Context, connect func(ctx context.Context, i int) error) error {
	var errs []error
	for i := range d.addresses {
		ctx, cancel := context.WithTimeout(ctx, d.c.Timeout)
		err := connect(ctx, i)
		cancel()
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	if err := ctx.Err(); err != nil {
		errs = append(errs, context.Cause(ctx))
	}
	return errors.Join(errs...)
}

// longestAsk bounds what is asked in one go: to look for rows may take reading two
// columns of a large table. A server that says nothing is noticed by the
// connection's own timeout, since one that works reports its progress.
const longestAsk = 10 * time.Minute

// ask runs f with a connection for questions, which ends with it.
func (d *dialer) ask(ctx context.Context, f func(ctx context.Context, q *session) error) error {
	ctx, cancel := context.WithTimeout(ctx, longestAsk)
	defer cancel()
	var conn driver.Conn
	var wire *cord
	err := d.first(ctx, func(ctx context.Context, i int) error {
		w := &cord{}
		defer context.AfterFunc(ctx, w.pull)()
		c, err := clickhouse.Open(d.options(i, w))
		if err != nil {
			return err
		}
		if err := c.Ping(ctx); err != nil {
			return errors.Join(fmt.Errorf("connect to %s: %w", d.addresses[i], err), c.Close())
		}
		if len(d.c.Settings) > 0 { // so that one that is wrong is told from what is asked
			if err := c.Exec(ctx, "SELECT 1"); err != nil {
				return errors.Join(fmt.Errorf("connect to %s: %w", d.addresses[i], err), c.Close())
			}
		}
		conn, wire = c, w
		return nil
	})
	if err != nil {
		return explainGreeting(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, wire.pull)()
	if err := f(ctx, &session{conn}); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
		return explain(err)
	}
	return nil
}

// cord ends a connection of clickhouse-go, which looks at a context between its
// steps only, and while it greets not at all.
type cord struct {
	mu     sync.Mutex
	nc     net.Conn
	pulled bool
}

func (c *cord) tie(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nc = nc
	if c.pulled {
		nc.Close()
	}
}

func (c *cord) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = true
	if c.nc != nil {
		c.nc.Close()
	}
}

// options are those of clickhouse-go for one address.
func (d *dialer) options(i int, wire *cord) *clickhouse.Options {
	// An answer that a profile of the user cuts short, or that is of an hour ago,
	// would be taken for rows that are not there.
	settings := clickhouse.Settings{"limit": "0", "offset": "0", "result_overflow_mode": "throw", "read_overflow_mode": "throw",
		"group_by_overflow_mode": "throw", "timeout_overflow_mode": "throw", "skip_unavailable_shards": "0", "use_query_cache": "0",
		"additional_table_filters": "{}", "aggregate_functions_null_for_empty": "0"}
	for k, v := range d.c.Settings {
		settings[k] = v
	}
	return &clickhouse.Options{
		Addr: []string{d.addresses[i]},
		Auth: clickhouse.Auth{Database: d.c.Database, Username: d.c.Username, Password: d.c.Password.Reveal()},
		DialContext: func(ctx context.Context, address string) (net.Conn, error) {
			nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			wire.tie(nc)
			if d.tls[i] == nil {
				return nc, nil
			}
			t := tls.Client(nc, d.tls[i])
			if err := t.HandshakeContext(ctx); err != nil {
				nc.Close()
				return nil, err
			}
			return t, nil
		},
		DialTimeout: d.c.Timeout, ReadTimeout: d.c.Timeout, MaxOpenConns: 1, MaxIdleConns: 1, Settings: settings,
		ClientInfo: clickhouse.ClientInfo{Products: []struct{ Name, Version string }{{Name: "sluice", Version: "1"}}},
	}
}

// session asks on one connection, which ends with the context of ask (see cord).
// clickhouse-go is not told of that context: it would close the channel into
// which its reader may just put a block, and a panic there ends the program.
type session struct{ conn driver.Conn }

// rows runs a query and calls scan for each row.
func (q *session) rows(ctx context.Context, query string, scan func(scan func(...any) error) error) error {
	rows, err := q.conn.Query(context.WithoutCancel(ctx), query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one reads the only row of a query. Without one, what into points at stays.
func (q *session) one(ctx context.Context, query string, into ...any) error {
	return q.rows(ctx, query, func(scan func(...any) error) error { return scan(into...) })
}

// database is the one of a name, "" for the user's own.
func (q *session) database(ctx context.Context, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	if err := q.one(ctx, "SELECT currentDatabase()", &name); err != nil {
		return "", fmt.Errorf("find the user's database: %w", err)
	}
	return name, nil
}

func (q *session) exec(ctx context.Context, statement string) error {
	return q.conn.Exec(context.WithoutCancel(ctx), statement)
}
