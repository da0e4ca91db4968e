package harness

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// The sinks in ClickHouse.
const (
	plainID     = "events@ch"
	forgetfulID = "forgetful@ch"
	totalsID    = "totals@ch"
)

var clickHouseSinks = map[string]string{
	// One part an insert, so that each batch is to be seen at once.
	"events.yaml": `sink: events
from: events
where: type != "noise"
fields: {id: id, kind: type, account: payload.account, amount: payload.amount}
batch: {rows: 5000, age: 300ms}
timeout: 8s
clickhouse: {connection: ch, table: events}
`,
	// The same in a table that forgets within seconds which batches it has, so that
	// one that is repeated must be looked for in it.
	"forgetful.yaml": `sink: forgetful
from: events
where: type != "noise"
fields: {id: id, kind: type, account: payload.account, amount: payload.amount}
batch: {rows: 5000, age: 300ms}
timeout: 3s
clickhouse: {connection: ch, table: forgetful}
`,
	// Two parts an insert: it may be there by half for a while.
	"totals.yaml": `sink: totals
from: events
where: type != "noise"
fields: {account: payload.account, amount: payload.amount}
aggregate: {by: [account], columns: {balance: sum(amount), events: count()}}
batch: {rows: 20000, age: 900ms}
timeout: 8s
clickhouse: {connection: ch, table: totals}
`,
}

const plainTable = `CREATE TABLE harness.%s (id Int64, kind LowCardinality(String), account Int64, amount Decimal(12, 2), _sink LowCardinality(String),
_incarnation LowCardinality(String), _topic LowCardinality(String), _partition Int32, _offset Int64)
ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = %d`

var clickHouseTables = []string{
	fmt.Sprintf(plainTable, "events", 10000),
	fmt.Sprintf(plainTable, "forgetful", 100),
	`CREATE TABLE harness.totals (account Int64, balance Decimal(38, 2), events Int64, _sink LowCardinality(String),
_incarnation LowCardinality(String), _topic LowCardinality(String), _cut String)
ENGINE = MergeTree PARTITION BY account % 2 ORDER BY account SETTINGS non_replicated_deduplication_window = 10000`,
}

// newClickHouse starts the server, with empty tables.
func newClickHouse(t testing.TB, tr *truth, partitions int) (*store, error) {
	c := stack.ClickHouse(t)
	if err := c.CreateDatabase(t.Context(), "harness"); err != nil {
		return nil, err
	}
	for _, create := range clickHouseTables {
		if err := c.Exec(t.Context(), create); err != nil {
			return nil, err
		}
	}
	return &store{
		view: newClickHouseView(c, tr, partitions, time.Minute), server: c, addr: c.Addr(), framing: stack.Raw,
		connection: `  ch: {clickhouse: {address: "%s", database: harness, username: ` + c.User() + `, timeout: 8s, compression: none}}`,
		sinks:      clickHouseSinks, main: plainID, blocks: true, repeats: true,
		commit: ended, write: begun, called: "block",
		forgetful: forgetfulID, forget: 12 * time.Second, forgets: endedOf("`forgetful`"),
		needs: func(e Evidence) []need {
			return []need{{"inserted blocks that the server had already", e.Deduplicated}, {"inserts refused since their time was over", e.Expired},
				{"batches looked for in a table that may have forgotten them", e.Completed}}
		},
	}, nil
}

// clickHouseView reads the tables of the sinks. Their own columns say which
// events are there: a batch comes as one, and after all before it, so that what
// lies below a partition's highest offset must be complete.
type clickHouseView struct {
	server     *stack.ClickHouseServer
	truth      *truth
	partitions int
	plain      []*plain
	patience   time.Duration // with the truth

	searching sync.Mutex    // held while rows that are there twice are looked for
	searched  time.Time     // when that was done last
	search    time.Duration // how long that took
}

// plain is a table with a row for each event.
type plain struct {
	table, sink string
	sums        sums
}

func newClickHouseView(c *stack.ClickHouseServer, tr *truth, partitions int, patience time.Duration) *clickHouseView {
	return &clickHouseView{server: c, truth: tr, partitions: partitions, patience: patience, plain: []*plain{
		{table: "harness.events", sink: plainID}, {table: "harness.forgetful", sink: forgetfulID},
	}}
}

func wanted(e event) bool { return !e.noise() }

// ready is always so: the tables are there before the first instance.
func (v *clickHouseView) ready(context.Context) (bool, error) { return true, nil }

func (v *clickHouseView) goal(ends []int64) map[string][]int64 {
	last, n := make([]int64, v.partitions), int64(0)
	for p, end := range ends {
		v.truth.each(p, 0, end, func(offset, id int64) {
			if wanted(makeEvent(id)) {
				last[p] = offset + 1
				n++
			}
		})
	}
	return map[string][]int64{plainID: last, forgetfulID: last, totalsID: {n}}
}

func (v *clickHouseView) look(ctx context.Context) (*sight, error) {
	s := &sight{positions: map[string][]int64{}, known: make([]int64, v.partitions)}
	var compare []func() error
	for _, p := range v.plain {
		at, got, err := v.read(ctx, p.table)
		if err != nil {
			return nil, err
		}
		for i, next := range at {
			s.known[i] = max(s.known[i], next)
		}
		s.positions[p.sink] = at
		compare = append(compare, func() error {
			p.sums.advance(v.truth, at, wanted)
			return p.sums.compare("table "+p.table, got)
		})
	}
	var counted int64
	if err := v.rows(ctx, "SELECT sum(events) FROM harness.totals", func(n []int64) error { counted = n[0]; return nil }); err != nil {
		return nil, err
	}
	s.positions[totalsID] = []int64{counted}
	compare = append(compare, func() error { return v.enough(counted) })
	s.compare = func() (err error) {
		for _, f := range compare {
			err = errors.Join(err, f())
		}
		return err
	}
	return s, v.doubles(ctx, false)
}

// read sums a table up, and tells up to where it is filled.
func (v *clickHouseView) read(ctx context.Context, table string) (at []int64, got tableSums, err error) {
	at = make([]int64, v.partitions)
	cents := int64(0)
	err = v.rows(ctx, `SELECT _partition, max(_offset) + 1, count(), sum(id), sum(id * id % 1000003), sum(toInt64(amount * 100))
FROM `+table+` GROUP BY _partition`, func(n []int64) error {
		if n[0] < 0 || n[0] >= int64(v.partitions) {
			return fmt.Errorf("%s has rows of partition %d, which is not there", table, n[0])
		}
		at[n[0]] = n[1]
		got.rows, got.ids, got.scatter, cents = got.rows+n[2], got.ids+n[3], got.scatter+n[4], cents+n[5]
		return nil
	})
	got.cents = formatCents(cents)
	return at, got, err
}

// enough says whether so many events are in the topic at all. The truth may be
// behind the sink.
func (v *clickHouseView) enough(counted int64) error {
	for end := time.Now().Add(v.patience); ; time.Sleep(20 * time.Millisecond) {
		n := v.truth.wantedEvents()
		if n >= counted {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("table totals counts %d events, and there are %d", counted, n)
		}
	}
}

// doubles looks for rows that are there twice: now, or so often that it takes not
// more than a tenth of the time.
func (v *clickHouseView) doubles(ctx context.Context, now bool) error {
	v.searching.Lock() // the observer still looks while the end is checked
	defer v.searching.Unlock()
	began := time.Now()
	if !now && began.Sub(v.searched) < 10*v.search {
		return nil
	}
	queries := []string{"SELECT count() - uniqExact(_topic, _cut, account), 0 FROM harness.totals"}
	for _, p := range v.plain {
		queries = append(queries, "SELECT count() - uniqExact(_topic, _partition, _offset), count() - uniqExact(id) FROM "+p.table)
	}
	for _, query := range queries {
		err := v.rows(ctx, query, func(n []int64) error {
			if n[0] != 0 || n[1] != 0 {
				return fmt.Errorf("visible doubles: %v by %s", n, query)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	v.searched, v.search = time.Now(), time.Since(began)
	return nil
}

// rows calls f with each row of a query whose columns are numbers.
func (v *clickHouseView) rows(ctx context.Context, query string, f func(row []int64) error) error {
	text, err := v.server.Query(ctx, query)
	if err != nil {
		return err
	}
	var row []int64
	for line := range strings.Lines(text) {
		row = row[:0]
		for column := range strings.SplitSeq(strings.TrimSuffix(line, "\n"), "\t") {
			n, err := strconv.ParseInt(column, 10, 64)
			if err != nil {
				return fmt.Errorf("%s: %w", query, err)
			}
			row = append(row, n)
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}

// check compares every row of the events with the topic, and every balance.
func (v *clickHouseView) check(ctx context.Context) error {
	var errs []error
	whole := make([]int64, v.partitions)
	for i := range v.partitions {
		whole[i] = 1 << 62
		for _, p := range v.plain {
			errs = append(errs, v.checkPartition(ctx, p.table, i))
		}
	}
	var all sums
	all.advance(v.truth, whole, wanted)
	balances := map[int64]balance{}
	errs = append(errs, v.rows(ctx, "SELECT account, sum(toInt64(balance * 100)), sum(events) FROM harness.totals GROUP BY account", func(n []int64) error {
		balances[n[0]] = balance{formatCents(n[1]), n[2]}
		return nil
	}), all.compareBalances(balances))
	errs = append(errs, v.doubles(ctx, true), v.checkOrigin(ctx, "harness.totals", totalsID))
	for _, p := range v.plain {
		errs = append(errs, v.checkOrigin(ctx, p.table, p.sink))
	}
	return errors.Join(errs...)
}

// checkOrigin says whether all rows say that they are the sink's.
func (v *clickHouseView) checkOrigin(ctx context.Context, table, sink string) error {
	query := fmt.Sprintf("SELECT countIf(_topic != 'events' OR _sink != '%s'), uniqExact(_incarnation) FROM %s", sink, table)
	return v.rows(ctx, query, func(n []int64) error {
		if n[0] != 0 || n[1] != 1 {
			return fmt.Errorf("%s: %d rows that are not of the sink, %d incarnations", table, n[0], n[1])
		}
		return nil
	})
}

// tally reads the counters of the server's current life: the tables of its logs
// do not outlive a crash here.
func (v *clickHouseView) tally(ctx context.Context) (e Evidence, err error) {
	err = v.rows(ctx, "SELECT sumIf(value, event = 'DuplicatedInsertedBlocks') FROM system.events", func(n []int64) error {
		e.Deduplicated = int(n[0])
		return nil
	})
	return e, errors.Join(err, v.rows(ctx, "SELECT sumIf(value, name = 'TIMEOUT_EXCEEDED') FROM system.errors", func(n []int64) error {
		e.Expired = int(n[0])
		return nil
	}))
}

// checkPartition compares the rows of a partition, in their order, with the
// topic.
func (v *clickHouseView) checkPartition(ctx context.Context, table string, p int) error {
	var offsets, ids []int64
	v.truth.each(p, 0, 1<<62, func(offset, id int64) {
		if wanted(makeEvent(id)) {
			offsets, ids = append(offsets, offset), append(ids, id)
		}
	})
	at := 0
	err := v.rows(ctx, fmt.Sprintf(`SELECT _offset, id, account, toInt64(amount * 100), indexOf(['impression', 'click', 'deposit', 'refund', 'noise'], kind)
FROM %s WHERE _partition = %d ORDER BY _offset, id`, table, p), func(n []int64) error {
		if at == len(ids) {
			return fmt.Errorf("offset %d, event %d is more than there is", n[0], n[1])
		}
		e := makeEvent(ids[at])
		if n[0] != offsets[at] || n[1] != e.id || n[2] != e.account || n[3] != e.cents || n[4] < 1 || kinds[n[4]-1] != e.kind {
			return fmt.Errorf("row of offset %d is event %d of account %d with %d cents, must be offset %d with %+v", n[0], n[1], n[2], n[3], offsets[at], e)
		}
		at++
		return nil
	})
	if err == nil && at < len(ids) {
		err = fmt.Errorf("%d events are missing, offset %d first", len(ids)-at, offsets[at])
	}
	if err != nil {
		return fmt.Errorf("table %s at the end, partition %d: %w", table, p, err)
	}
	return nil
}
