package harness

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// The sinks in ClickHouse.
const (
	plainID  = "events@ch"
	totalsID = "totals@ch"
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

var clickHouseTables = []string{
	`CREATE TABLE harness.events (id Int64, kind LowCardinality(String), account Int64, amount Decimal(12, 2), _sink LowCardinality(String),
_incarnation LowCardinality(String), _topic LowCardinality(String), _partition Int32, _offset Int64)
ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 10000`,
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
		view: &clickHouseView{server: c, truth: tr, partitions: partitions, patience: time.Minute}, server: c, addr: c.Addr(), framing: stack.Raw,
		connection: `  ch: {clickhouse: {address: "%s", database: harness, username: ` + c.User() + `, timeout: 8s, compression: none}}`,
		sinks:      clickHouseSinks, main: plainID, blocks: true, repeats: true,
		commit: ended, write: begun, called: "block",
		needs: func(e Evidence) []need {
			return []need{{"inserted blocks that the server had already", e.Deduplicated}, {"inserts refused since their time was over", e.Expired}}
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
	events     sums
	patience   time.Duration // with the truth

	searched time.Time     // for doubles
	search   time.Duration // how long that took
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
	return map[string][]int64{plainID: last, totalsID: {n}}
}

func (v *clickHouseView) look(ctx context.Context) (*sight, error) {
	at, got := make([]int64, v.partitions), tableSums{}
	cents := int64(0)
	err := v.rows(ctx, `SELECT _partition, max(_offset) + 1, count(), sum(id), sum(id * id % 1000003), sum(toInt64(amount * 100))
FROM harness.events GROUP BY _partition`, func(n []int64) error {
		if n[0] < 0 || n[0] >= int64(v.partitions) {
			return fmt.Errorf("rows of partition %d, which is not there", n[0])
		}
		at[n[0]] = n[1]
		got.rows, got.ids, got.scatter, cents = got.rows+n[2], got.ids+n[3], got.scatter+n[4], cents+n[5]
		return nil
	})
	if err != nil {
		return nil, err
	}
	got.cents = formatCents(cents)
	var counted int64
	if err := v.rows(ctx, "SELECT sum(events) FROM harness.totals", func(n []int64) error { counted = n[0]; return nil }); err != nil {
		return nil, err
	}
	if err := v.doubles(ctx); err != nil {
		return nil, err
	}
	return &sight{positions: map[string][]int64{plainID: at, totalsID: {counted}}, known: at, compare: func() error {
		v.events.advance(v.truth, at, wanted)
		return errors.Join(v.events.compare("table events", got), v.enough(counted))
	}}, nil
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

// doubles looks for rows that are there twice, so often that it takes not more
// than a tenth of the time.
func (v *clickHouseView) doubles(ctx context.Context) error {
	began := time.Now()
	if began.Sub(v.searched) < 10*v.search {
		return nil
	}
	for _, query := range []string{
		"SELECT count() - uniqExact(_topic, _partition, _offset), count() - uniqExact(id) FROM harness.events",
		"SELECT count() - uniqExact(_topic, _cut, account), 0 FROM harness.totals",
	} {
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
	var all sums
	whole := make([]int64, v.partitions)
	var errs []error
	for p := range v.partitions {
		whole[p] = 1 << 62
		errs = append(errs, v.checkPartition(ctx, p))
	}
	all.advance(v.truth, whole, wanted)
	balances := map[int64]balance{}
	errs = append(errs, v.rows(ctx, "SELECT account, sum(toInt64(balance * 100)), sum(events) FROM harness.totals GROUP BY account", func(n []int64) error {
		balances[n[0]] = balance{formatCents(n[1]), n[2]}
		return nil
	}), all.compareBalances(balances))
	v.search = 0
	errs = append(errs, v.doubles(ctx),
		v.rows(ctx, "SELECT countIf(_topic != 'events' OR _sink != '"+plainID+"'), uniqExact(_incarnation) FROM harness.events", foreign),
		v.rows(ctx, "SELECT countIf(_topic != 'events' OR _sink != '"+totalsID+"'), uniqExact(_incarnation) FROM harness.totals", foreign))
	return errors.Join(errs...)
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

func foreign(n []int64) error {
	if n[0] != 0 || n[1] != 1 {
		return fmt.Errorf("%d rows that are not of the sink, %d incarnations", n[0], n[1])
	}
	return nil
}

// checkPartition compares the rows of a partition, in their order, with the
// topic.
func (v *clickHouseView) checkPartition(ctx context.Context, p int) error {
	var offsets, ids []int64
	v.truth.each(p, 0, 1<<62, func(offset, id int64) {
		if wanted(makeEvent(id)) {
			offsets, ids = append(offsets, offset), append(ids, id)
		}
	})
	at := 0
	err := v.rows(ctx, fmt.Sprintf(`SELECT _offset, id, account, toInt64(amount * 100), indexOf(['impression', 'click', 'deposit', 'refund', 'noise'], kind)
FROM harness.events WHERE _partition = %d ORDER BY _offset, id`, p), func(n []int64) error {
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
		return fmt.Errorf("table events at the end, partition %d: %w", p, err)
	}
	return nil
}
