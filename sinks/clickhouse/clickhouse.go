package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluicekit/sluice/core/sink"
)

// clickHouse is one sink of the configuration.
type clickHouse struct {
	config   sink.Config
	options  *Options
	conn     *Connection
	dialer   *dialer
	database string // "": the user's
	name     string // of the table
	exact    bool

	mu     sync.Mutex
	seen   map[string]traces    // by topic: what the table has of this sink
	first  map[string]time.Time // by token: when this process first repeated a batch that needs looking for
	hollow map[string]int       // by name of a batch: how many of its tokens the server has without its rows
	uuid   string               // of the table
	since  time.Time            // when it was first seen that the table is another one; zero: never
}

// open connects, makes the table if it is to, and checks that it fits and can
// do what is promised.
func open(ctx context.Context, c sink.Config) (sink.Sink, error) {
	o, ok := c.Options.(*Options)
	conn, connOK := c.Conn.(*Connection)
	if !ok || !connOK {
		return nil, fmt.Errorf("options are of type %T and %T", c.Options, c.Conn)
	}
	d, err := newDialer(conn)
	if err != nil {
		return nil, sink.Permanent(err)
	}
	s := &clickHouse{config: c, options: o, conn: conn, dialer: d, exact: c.Delivery != sink.AtLeastOnce,
		seen: map[string]traces{}, first: map[string]time.Time{}, hollow: map[string]int{}}
	if s.database, s.name, err = splitTable(o.Table); err != nil {
		return nil, err
	}
	err = d.ask(ctx, func(ctx context.Context, q *session) error {
		t, err := s.prepare(ctx, q)
		if err != nil {
			return err
		}
		s.note(t)
		_, err = s.check(ctx, q, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// check matches the table with the sink.
func (s *clickHouse) check(ctx context.Context, q *session, t *table) (*block, error) {
	b, err := s.bind(t)
	if !s.exact {
		return b, err
	}
	err = errors.Join(err, t.promise(len(s.dialer.addresses)))
	if b != nil {
		err = errors.Join(err, t.steady(b), t.steadyViews(b))
	}
	if b != nil && b.identified && (t.mergeTree() || t.distributed() && err == nil) {
		if asked := t.readPolicy(ctx, q); asked != nil {
			return nil, asked
		}
		if t.veiled != "" {
			err = errors.Join(err, t.refuse("%s, which would be taken for missing and be sent again; "+
				"mend it with CREATE ROW POLICY … USING 1 TO the user, or DROP ROW POLICY, or do without these columns, see provenance", t.veiled))
		}
	}
	return b, err
}

// Claim reads the table as it is now, and what it has of this sink.
func (s *clickHouse) Claim(ctx context.Context, c sink.Claim) (sink.Writer, sink.Found, error) {
	if c.Partitions < 1 {
		return nil, sink.Found{}, fmt.Errorf("claim of %d partitions", c.Partitions)
	}
	w := &writer{sink: s, claim: c, repeat: c.Repeats}
	var found sink.Found
	err := s.dialer.ask(ctx, func(ctx context.Context, q *session) (err error) {
		t, err := inspect(ctx, q, s.database, s.name)
		if err != nil {
			return err
		}
		if t == nil {
			return sink.Permanent(fmt.Errorf("table %s is not there any more", s.options.Table))
		}
		s.note(t)
		w.table = t
		if w.block, err = s.check(ctx, q, t); err != nil {
			return err
		}
		found, err = s.find(ctx, q, t, w.block, c)
		return err
	})
	if err != nil {
		return nil, sink.Found{}, err
	}
	return w, found, nil
}

// note remembers which table has the name: one that was exchanged for it knows
// nothing of its tokens.
func (s *clickHouse) note(t *table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uuid != "" && s.uuid != t.uuid {
		s.since = time.Now()
		clear(s.seen)
	}
	s.uuid = t.uuid
}

// swappedWithin says whether that was seen within a time.
func (s *clickHouse) swappedWithin(age time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.since.IsZero() && time.Since(s.since) < age
}

// Close has nothing to free: writers own their connections.
func (s *clickHouse) Close() error { return nil }
