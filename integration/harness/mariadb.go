package harness

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// The sinks as the position table names them.
const (
	eventsID   = "events@db"
	keyedID    = "keyed@db"
	balancesID = "balances@db"
)

var mariaDBSinks = map[string]string{
	// No unique key: a double would be a second row.
	"events.yaml": `sink: events
from: events
where: type != "noise"
fields: {id: id, kind: type, account: payload.account, amount: payload.amount}
batch: {rows: 2000, age: 250ms}
mariadb: {connection: db, table: events}
`,
	// A primary key: a double would be refused, and be a dead letter.
	"keyed.yaml": `sink: keyed
from: events
where: type == "deposit"
fields: {id: id, amount: payload.amount}
on_bad_record: dead_letter
batch: {rows: 1000, age: 400ms}
mariadb: {connection: db, table: keyed}
`,
	"balances.yaml": `sink: balances
from: events
where: type != "noise"
fields: {account: payload.account, amount: payload.amount}
aggregate: {by: [account], columns: {balance: sum(amount), events: count()}}
batch: {rows: 2000, age: 300ms}
mariadb: {connection: db, table: balances, mode: add}
`,
}

var mariaDBTables = []string{
	"CREATE TABLE events (id BIGINT NOT NULL, kind VARCHAR(16) NOT NULL, account BIGINT NOT NULL, amount DECIMAL(12,2) NOT NULL, KEY (id)) ENGINE=InnoDB",
	"CREATE TABLE keyed (id BIGINT NOT NULL PRIMARY KEY, amount DECIMAL(12,2) NOT NULL) ENGINE=InnoDB",
	"CREATE TABLE balances (account BIGINT NOT NULL PRIMARY KEY, balance DECIMAL(38,2) NOT NULL, events BIGINT NOT NULL) ENGINE=InnoDB",
}

// newMariaDB starts the server, with empty tables.
func newMariaDB(t testing.TB, tr *truth, partitions int) (*store, error) {
	m := stack.MariaDB(t)
	if err := m.CreateDatabase(t.Context(), "harness"); err != nil {
		return nil, err
	}
	db, err := sql.Open("mysql", m.DSN("harness"))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the server ends too
	for _, create := range mariaDBTables {
		if _, err := db.ExecContext(t.Context(), create); err != nil {
			return nil, err
		}
	}
	return &store{
		view: &mariaDBView{db: db, truth: tr, partitions: partitions}, server: m, addr: m.Addr(), framing: stack.MySQLFrames,
		connection: `  db: {mariadb: {address: "%s", database: harness, username: ` + m.User() + `, timeout: 8s}}`,
		sinks:      mariaDBSinks, main: eventsID, archived: true,
		commit: statement("COMMIT"), write: firstWrite, called: "COMMIT",
		needs: func(e Evidence) []need {
			return []need{{"missed compare-and-sets", e.Missed}, {"resolved lost answers", e.Resolved}}
		},
	}, nil
}

// mariaDBView reads the tables of the sinks and their positions, in one
// transaction.
type mariaDBView struct {
	db                      *sql.DB
	truth                   *truth
	partitions              int
	events, keyed, balances sums
}

func (v *mariaDBView) ready(ctx context.Context) (bool, error) {
	var n int
	err := v.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME = 'sluice_positions'").Scan(&n)
	return n > 0, err
}

func (v *mariaDBView) goal(ends []int64) map[string][]int64 {
	return map[string][]int64{eventsID: ends, keyedID: ends, balancesID: ends}
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

func (v *mariaDBView) look(ctx context.Context) (*sight, error) {
	s, err := v.read(ctx)
	if err != nil {
		return nil, err
	}
	known := make([]int64, v.partitions)
	for _, positions := range s.positions {
		for i, next := range positions {
			known[i] = max(known[i], next)
		}
	}
	return &sight{positions: s.positions, known: known, compare: func() error { return v.compare(s) }}, nil
}

func (v *mariaDBView) compare(s *snapshot) error {
	if len(s.doubles) > 0 {
		return fmt.Errorf("visible doubles: events %v have more than one row", s.doubles)
	}
	v.events.advance(v.truth, s.positions[eventsID], func(e event) bool { return !e.noise() })
	v.keyed.advance(v.truth, s.positions[keyedID], func(e event) bool { return e.kind == "deposit" })
	v.balances.advance(v.truth, s.positions[balancesID], func(e event) bool { return !e.noise() })
	if err := v.events.compare("table events", s.events); err != nil {
		return err
	}
	if err := v.keyed.compare("table keyed", s.keyed); err != nil {
		return err
	}
	return v.balances.compareBalances(s.balances)
}

// read takes one snapshot of everything.
func (v *mariaDBView) read(ctx context.Context) (*snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := v.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"); err != nil {
		return nil, err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "COMMIT") //nolint:errcheck // it has read only
	s := &snapshot{balances: map[int64]balance{}}
	if s.positions, err = v.readPositions(ctx, conn); err != nil {
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

func (v *mariaDBView) readPositions(ctx context.Context, conn *sql.Conn) (map[string][]int64, error) {
	all := map[string][]int64{}
	for _, id := range []string{eventsID, keyedID, balancesID} {
		all[id] = make([]int64, v.partitions)
	}
	err := each(ctx, conn, "SELECT sink, kafka_partition, next_offset FROM sluice_positions", func(rows *sql.Rows) error {
		var sink string
		var partition, next int64
		if err := rows.Scan(&sink, &partition, &next); err != nil {
			return err
		}
		if all[sink] == nil || partition < 0 || partition >= int64(v.partitions) {
			return fmt.Errorf("position of sink %s, partition %d: nobody has asked for it", sink, partition)
		}
		all[sink][partition] = next
		return nil
	})
	return all, err
}

// check compares every row of the table of events with its event.
func (v *mariaDBView) check(ctx context.Context) error {
	want := map[int64]bool{}
	for p := range v.partitions {
		v.truth.each(p, 0, 1<<62, func(_, id int64) {
			if !makeEvent(id).noise() {
				want[id] = true
			}
		})
	}
	conn, err := v.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = each(ctx, conn, "SELECT id, kind, account, amount FROM events", func(rows *sql.Rows) error {
		var id, account int64
		var kind, amount string
		if err := rows.Scan(&id, &kind, &account, &amount); err != nil {
			return err
		}
		if e := makeEvent(id); e.kind != kind || e.account != account || e.amount() != amount {
			return fmt.Errorf("row of event %d is %s, %d, %s", id, kind, account, amount)
		}
		if !want[id] {
			return fmt.Errorf("event %d is doubled, or was never committed", id)
		}
		delete(want, id)
		return nil
	})
	if err == nil && len(want) > 0 {
		err = fmt.Errorf("%d events are missing", len(want))
	}
	if err != nil {
		return fmt.Errorf("table events at the end: %w", err)
	}
	return nil
}

// tally has nothing: the program's logs tell all.
func (v *mariaDBView) tally(context.Context) (Evidence, error) { return Evidence{}, nil }

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
