package harness

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"time"
)

// The sinks as the position table names them.
const (
	eventsID   = "events@db"
	keyedID    = "keyed@db"
	balancesID = "balances@db"
)

// observer polls the database past all proxies, and compares what it holds
// with what the topic says that it must hold at the very positions it has.
type observer struct {
	db         *sql.DB
	truth      *truth
	partitions int
	watch      *watch

	turn                    sync.Mutex // held by a poll
	events, keyed, balances sums

	mu        sync.Mutex
	polls     int
	moved     int // polls that found a position further on
	positions map[string][]int64
}

func newObserver(db *sql.DB, t *truth, partitions int, w *watch) *observer {
	return &observer{db: db, truth: t, partitions: partitions, watch: w, positions: map[string][]int64{}}
}

// run polls until ctx ends. An error is a fault that was found.
func (o *observer) run(ctx context.Context) error {
	for {
		if err := o.poll(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// snapshot is what one transaction sees.
type snapshot struct {
	positions map[string][]int64
	events    tableSums
	keyed     tableSums
	balances  map[int64]balance
	doubles   []int64
}

type tableSums struct {
	rows, ids, scatter int64
	cents              string
}

type balance struct {
	amount string
	events int64
}

// poll compares once.
func (o *observer) poll(ctx context.Context) error {
	o.turn.Lock()
	defer o.turn.Unlock()
	s, err := o.read(ctx)
	if err != nil {
		return fmt.Errorf("read the database: %w", err)
	}
	if err := o.note(s); err != nil {
		return err
	}
	for _, id := range []string{eventsID, keyedID, balancesID} {
		if err := o.truth.await(ctx, s.positions[id]); err != nil {
			return err
		}
	}
	if len(s.doubles) > 0 {
		return fmt.Errorf("visible doubles: events %v have more than one row", s.doubles)
	}
	o.events.advance(o.truth, s.positions[eventsID], func(e event) bool { return !e.noise() })
	o.keyed.advance(o.truth, s.positions[keyedID], func(e event) bool { return e.kind == "deposit" })
	o.balances.advance(o.truth, s.positions[balancesID], func(e event) bool { return !e.noise() })
	if err := o.events.compare("table events", s.events); err != nil {
		return err
	}
	if err := o.keyed.compare("table keyed", s.keyed); err != nil {
		return err
	}
	return o.balances.compareBalances(s.balances)
}

// note keeps the positions: they never go back.
func (o *observer) note(s *snapshot) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.polls++
	moved := false
	for id, now := range s.positions {
		for i, before := range o.positions[id] {
			if now[i] > before {
				o.watch.moved(fmt.Sprintf("%s partition %d", id, i))
			}
			if now[i] < before {
				return fmt.Errorf("position of %s went back: partition %d from %d to %d", id, i, before, now[i])
			}
		}
		moved = moved || !slices.Equal(now, o.positions[id])
		o.positions[id] = now
	}
	if moved {
		o.moved++
	}
	return nil
}

// at are the newest positions seen of a sink.
func (o *observer) at(id string) []int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := o.positions[id]; p != nil {
		return slices.Clone(p)
	}
	return make([]int64, o.partitions)
}

// read takes one snapshot of everything.
func (o *observer) read(ctx context.Context) (*snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := o.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"); err != nil {
		return nil, err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "COMMIT") //nolint:errcheck // it has read only
	s := &snapshot{balances: map[int64]balance{}}
	if s.positions, err = o.readPositions(ctx, conn); err != nil {
		return nil, err
	}
	const total = "SELECT COUNT(*), COALESCE(SUM(id), 0), COALESCE(SUM(id*id % 1000003), 0), COALESCE(SUM(amount), 0.00) FROM "
	for table, t := range map[string]*tableSums{"events": &s.events, "keyed": &s.keyed} {
		if err := conn.QueryRowContext(ctx, total+table).Scan(&t.rows, &t.ids, &t.scatter, &t.cents); err != nil {
			return nil, err
		}
	}
	err = each(ctx, conn, "SELECT account, balance, events FROM balances", func(rows *sql.Rows) error {
		var account int64
		var b balance
		err := rows.Scan(&account, &b.amount, &b.events)
		s.balances[account] = b
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, conn, "SELECT id FROM events GROUP BY id HAVING COUNT(*) > 1 LIMIT 20", func(rows *sql.Rows) error {
		s.doubles = append(s.doubles, 0)
		return rows.Scan(&s.doubles[len(s.doubles)-1])
	})
	return s, err
}

func (o *observer) readPositions(ctx context.Context, conn *sql.Conn) (map[string][]int64, error) {
	all := map[string][]int64{}
	for _, id := range []string{eventsID, keyedID, balancesID} {
		all[id] = make([]int64, o.partitions)
	}
	err := each(ctx, conn, "SELECT sink, kafka_partition, next_offset FROM sluice_positions", func(rows *sql.Rows) error {
		var sink string
		var partition, next int64
		if err := rows.Scan(&sink, &partition, &next); err != nil {
			return err
		}
		if all[sink] == nil || partition < 0 || partition >= int64(o.partitions) {
			return fmt.Errorf("position of sink %s, partition %d: nobody has asked for it", sink, partition)
		}
		all[sink][partition] = next
		return nil
	})
	return all, err
}

func each(ctx context.Context, conn *sql.Conn, query string, f func(rows *sql.Rows) error) error {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
