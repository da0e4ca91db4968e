package integration_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/core/telemetry"
	"github.com/sluicekit/sluice/integration/harness"
	"github.com/sluicekit/sluice/integration/stack"
)

const (
	troublePartitions = 4
	troubleBudget     = 32      // MiB, of holeStreams
	troublePad        = 400     // bytes of an event
	troubleMost       = 100_000 // events while one server hangs: more than the budget holds
	// What the collector is told without a container's limit, and what is not the
	// collector's.
	troubleBound = 3*troubleBudget + 128 + 64 // MiB
)

// troubleRun is a program whose one sink writes to two servers, production and
// development, and whose other one keeps files, while events come all the time.
type troubleRun struct {
	*holeRun
	life      *gapLife
	prod, dev *stack.ClickHouseServer
	way       *stack.Proxy // to production
	sent      atomic.Int64
	faster    atomic.Bool
}

// TestClickHouseTrouble has all kinds of trouble at one of two servers while
// events come. The reason is told in words; the other server and the other sink
// get everything meanwhile, in bounded memory; when the trouble ends, production
// catches up by itself. In the end both servers have each event once.
func TestClickHouseTrouble(t *testing.T) {
	server := func(database string) *stack.ClickHouseServer {
		return stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{{Name: "sluice", Password: "secret", Grants: troubleRights(database)}},
			Config: "<access_control_improvements><select_from_system_db_requires_grant>true</select_from_system_db_requires_grant></access_control_improvements>"})
	}
	k, prod, dev := stack.Kafka(t), server("trouble"), server("trouble_annex")
	r := &troubleRun{holeRun: newHoleRun(t, "trouble", &gapServers{kafka: k, binary: harness.Build(t)}, prod), prod: prod, dev: dev}
	r.way = r.proxy
	if err := dev.CreateDatabase(limit(t), r.name+"_annex"); err != nil {
		t.Fatal(err)
	}
	r.topic(troublePartitions)
	d := r.conf("    slots: 2", r.way.Addr(), r.name, map[string]string{
		"numbers": "batch: {age: 500ms}\ntimeout: 5s\nclickhouse: {connection: [house, annex], table: numbers, create: true}\n",
		"archive": "" /* of gapSinks */})
	d.text = strings.Replace(d.text, `annex: {clickhouse: {address: "`+r.way.Addr(), `annex: {clickhouse: {address: "`+dev.Addr(), 1)
	d.text = strings.ReplaceAll(d.text, "{clickhouse: {", "{clickhouse: {username: sluice, password: secret, ")
	stop := r.load()
	r.life = r.deploy("conf", d)
	r.life.until("some events", func() bool { return r.sent.Load() > 400 })
	r.catchUp("the start")
	for _, trouble := range r.troubles() {
		began := time.Now()
		trouble.begin()
		if trouble.state != telemetry.Running {
			r.tells(trouble.name, trouble.state, trouble.words...)
		}
		told := time.Now()
		r.others(trouble.name)
		ended := time.Now()
		trouble.end()
		r.catchUp(trouble.name)
		t.Logf("%s: told after %s, the others waited for %s, production for %s; %d events so far, %d MiB resident at most", trouble.name, told.Sub(began).Round(100*time.Millisecond),
			ended.Sub(told).Round(100*time.Millisecond), time.Since(ended).Round(100*time.Millisecond), r.sent.Load(), r.life.resident("VmHWM"))
	}
	stop()
	r.catchUp("the end")
	r.life.stop()
	r.droppedWhileDown(d)
	for name, got := range map[string]string{"production": r.counts(prod, r.name), "development": r.counts(dev, r.name+"_annex")} {
		if want := fmt.Sprintf("%[1]d\t%[1]d", r.sent.Load()); got != want {
			t.Errorf("%s has rows and events: %s, want %s", name, got, want)
		}
	}
	if got, want := r.archived("archive"), span(0, int(r.sent.Load())); !slices.Equal(got, want) {
		t.Errorf("archive: %s", difference(got, want))
	}
}

// troubleRights are what the sink's README lists, and what create: true needs.
func troubleRights(database string) (all []string) {
	for _, g := range []string{"INSERT, SELECT ON $.numbers", "SELECT ON system.parts", "SELECT ON system.merge_tree_settings",
		"CREATE TABLE ON $.numbers", "TABLE ENGINE ON MergeTree"} {
		all = append(all, strings.ReplaceAll(g, "$", database))
	}
	return all
}

// droppedWhileDown has production's table dropped between two lives: what create:
// true puts in its place is empty, and nobody goes on behind rows that are gone.
func (r *troubleRun) droppedWhileDown(d gapDeployment) {
	r.sql("RENAME TABLE $.numbers TO $.away")
	sent := int(r.sent.Load())
	r.produce(sent, sent+troublePartitions, troublePartitions)
	r.sent.Add(troublePartitions)
	r.life = r.deploy("conf", d)
	r.life.stopped("numbers", "sluice settle")
	r.life.until("the other server, while the table is gone", func() bool { return r.count(r.dev, r.name+"_annex") >= r.sent.Load() })
	r.life.stop()
	r.sql("DROP TABLE $.numbers SYNC")
	r.sql("RENAME TABLE $.away TO $.numbers")
	r.life = r.deploy("conf", d)
	r.catchUp("its table was put back")
	r.life.stop()
}

// trouble is something that happens to production.
type trouble struct {
	name       string
	begin, end func()
	state      telemetry.State // Running: it is not to be seen
	words      []string        // in the reason
}

func (r *troubleRun) troubles() []trouble {
	sql := func(statement string) func() { return func() { r.sql(statement) } }
	must := func(f func() error) func() {
		return func() {
			if err := f(); err != nil {
				r.Fatal(err)
			}
		}
	}
	none := func() {}
	return []trouble{
		{"hung", func() { must(r.prod.Pause)(); r.faster.Store(true) }, func() { r.faster.Store(false); must(r.prod.Resume)() }, telemetry.Retrying, []string{"the server did not answer in time"}},
		{"killed", must(r.prod.Kill), must(func() error { return r.prod.Start(limit(r.T)) }), telemetry.Retrying, []string{"connect"}},
		{"away", func() { r.way.Refuse(); r.way.Sever() }, must(r.way.Accept), telemetry.Retrying, []string{"connect"}},
		{"answers lost", r.loseAnswers, func() { r.way.OnRequest(nil) }, telemetry.Running, nil},
		{"merges that do not keep up", sql("ALTER TABLE $.numbers MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1"),
			sql("ALTER TABLE $.numbers RESET SETTING parts_to_throw_insert, parts_to_delay_insert"), telemetry.Retrying, []string{"merges do not keep up"}},
		{"made read-only", sql("ALTER TABLE $.numbers MODIFY SETTING table_readonly = 1"), sql("ALTER TABLE $.numbers MODIFY SETTING table_readonly = 0"),
			telemetry.Blocked, []string{"read-only until somebody changes that"}},
		{"column dropped", sql("ALTER TABLE $.numbers DROP COLUMN pad"), sql("ALTER TABLE $.numbers ADD COLUMN pad Nullable(String)"),
			telemetry.Blocked, []string{"pad"}},
		{"type changed", sql("ALTER TABLE $.numbers MODIFY COLUMN n Nullable(Int32)"), none, telemetry.Running, nil},
		{"column added", sql("ALTER TABLE $.numbers ADD COLUMN more String DEFAULT 'x'"), none, telemetry.Running, nil},
		{"table gone", sql("RENAME TABLE $.numbers TO $.away"), sql("RENAME TABLE $.away TO $.numbers"), telemetry.Blocked, []string{"numbers"}},
	}
}

// loseAnswers cuts one in three connections after their block has arrived.
func (r *troubleRun) loseAnswers() {
	var blocks atomic.Int64
	done := make(chan struct{})
	r.way.OnRequest(func(_ int, b []byte) stack.Action {
		if !strings.Contains(string(b), "LowCardinality(String)") {
			return stack.Forward
		}
		n := blocks.Add(1)
		if n%3 != 0 {
			return stack.Forward
		}
		if n == 9 {
			close(done)
		}
		return stack.CutAnswer
	})
	select {
	case <-done:
	case <-limit(r.T).Done():
		r.Error("too few blocks came to lose answers")
	}
}

// load produces events until it is told to stop.
func (r *troubleRun) load() (stop func()) {
	cl := kafkaClient(r.T, r.kafka, kgo.DefaultProduceTopic(r.name))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			count := 40
			if r.faster.Load() && r.sent.Load() < troubleMost {
				count = 2000
			}
			first := int(r.sent.Load())
			var records []*kgo.Record
			for n := first; n < first+count; n++ {
				records = append(records, &kgo.Record{Partition: int32(n % troublePartitions), Value: gapEvent(n, troublePad)})
			}
			if err := cl.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
				r.Errorf("produce: %v", err)
				return
			}
			r.sent.Add(int64(count))
			time.Sleep(50 * time.Millisecond)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	r.Cleanup(stop)
	return stop
}

// tells waits until production's lanes say what is wrong.
func (r *troubleRun) tells(what string, state telemetry.State, words ...string) {
	r.life.until(fmt.Sprintf("%s to be told with %q", what, words), func() bool {
		for _, lane := range r.life.lanes("numbers") {
			if lane.Connection == "house" && lane.State == state && lane.Reason != "" && containsAll(lane.Reason, words) {
				r.Logf("%s: %s", what, lane.Reason)
				return true
			}
		}
		return false
	})
}

// others waits until what was sent up to now is at the other server and in the
// files, and looks whether production's trouble is told of these.
func (r *troubleRun) others(what string) {
	sent := r.sent.Load()
	r.life.until("the other sinks, while "+what, func() bool {
		var archived int64
		for _, lane := range r.life.lanes("archive") {
			archived += lane.Committed
		}
		return archived >= sent && r.count(r.dev, r.name+"_annex") >= sent
	})
	for _, lane := range append(r.life.lanes("numbers"), r.life.lanes("archive")...) {
		if lane.Connection != "house" && lane.State != telemetry.Running {
			r.Errorf("while %s: %s@%s is %s: %s", what, lane.Sink, lane.Connection, lane.State, lane.Reason)
		}
	}
}

// catchUp waits until production has what was sent up to now.
func (r *troubleRun) catchUp(what string) {
	sent := r.sent.Load()
	r.life.until("production after "+what, func() bool { return r.count(r.prod, r.name) >= sent })
	if got := r.life.resident("VmHWM"); got > troubleBound {
		r.Errorf("after %s: %d MiB resident, want %d at most", what, got, troubleBound)
	}
}

func (r *troubleRun) count(c *stack.ClickHouseServer, database string) int64 {
	rows, _, _ := strings.Cut(r.counts(c, database), "\t")
	n, _ := strconv.ParseInt(rows, 10, 64)
	return n
}

// counts answers how many rows and how many events a server has.
func (r *troubleRun) counts(c *stack.ClickHouseServer, database string) string {
	text, err := c.Query(limit(r.T), "SELECT count(), uniqExact(n) FROM "+database+".numbers")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text)
}
