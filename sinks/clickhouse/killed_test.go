package clickhouse_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// TestKilledMidInsert kills the server while a block is on its way, or is being
// applied to the partitions of the table and of a view; the repeat completes it.
// Now and then the kill comes between a token and its part: such a part of the
// table stops the sink, as there is a view, and one of the view is told in the log.
func TestKilledMidInsert(t *testing.T) {
	k := newKills(t)
	// On a busy machine a commit may end long before its kill; then there is another.
	for round := int64(0); (round < killRounds || k.failed == 0 && round < 4*killRounds) && k.stopped == nil; round++ {
		k.next(round)
		if round > 0 {
			if round >= killRounds { // the machine was slower when it was measured
				k.took /= 2
			}
			k.kill()
		}
		if err := k.commit(round > 0); err != nil {
			if round == 0 || !sink.IsPermanent(err) || !strings.Contains(err.Error(), "as after a crash in mid-insert") {
				t.Fatal(err)
			}
			k.stopped = err
		}
		k.compare(round)
	}
	t.Logf("seed %d: of %d kills %d failed an insert, %d were there in part, %d left the view's table without a part; stopped by: %v",
		k.seed, k.kills, k.failed, k.part, k.hollow, k.stopped)
	if k.failed == 0 {
		t.Errorf("seed %d: no insert was killed", k.seed)
	}
}

const (
	killRows   = 40_000
	killRounds = 5
)

// kills is a table with a view on it, into which batches go that kill the server.
type kills struct {
	*rig
	seed   uint64
	random *rand.Rand
	log    strings.Builder
	sink   sink.Sink
	chunk  *record.Chunk
	since  time.Time     // when the batch was tried first
	took   time.Duration // what a commit may take

	kills, failed, part int
	hollow              int   // parts that the view's table lacks
	stopped             error // by a part that the table lacks
}

func newKills(t *testing.T) *kills {
	k := &kills{rig: newRig(t, servers.ClickHouse(t), field("n", record.Int), field("s", record.String)), seed: rand.Uint64()}
	k.random = rand.New(rand.NewPCG(k.seed, 0))
	k.exec("CREATE TABLE $.t (n Int64, s String, " + provenance + ") ENGINE = MergeTree PARTITION BY n % 20 ORDER BY n SETTINGS non_replicated_deduplication_window = 10000")
	k.exec("CREATE TABLE $.v (n Int64, s String) ENGINE = MergeTree PARTITION BY n % 7 ORDER BY s SETTINGS non_replicated_deduplication_window = 10000")
	k.exec("CREATE MATERIALIZED VIEW $.mv TO $.v AS SELECT n, s FROM $.t")
	k.config.Log = slog.New(slog.NewTextHandler(&k.log, nil))
	k.sink = k.open()
	time.Sleep(2 * time.Second) // or the table may have been made since a batch was first tried
	return k
}

// next makes the batch of a round.
func (k *kills) next(round int64) {
	k.log.Reset()
	k.chunk = record.NewChunk(k.schema)
	k.chunk.First, k.chunk.Next = round*killRows, (round+1)*killRows
	for i := k.chunk.First; i < k.chunk.Next; i++ {
		k.chunk.Columns[0].AppendInt(i)
		k.chunk.Columns[1].AppendString(fmt.Sprint("text ", i*7919%killRows))
		k.chunk.Offsets, k.chunk.Times = append(k.chunk.Offsets, i), append(k.chunk.Times, 0)
	}
}

// commit sends the batch as its next owner does, first or again.
func (k *kills) commit(again bool) error {
	w, c := k.stage(again)
	defer w.Close()
	began := time.Now()
	err := w.Commit(k.Context(), c, "")
	k.took = max(k.took, time.Since(began))
	return err
}

func (k *kills) stage(again bool) (sink.Writer, record.Cut) {
	k.Helper()
	w := k.reclaim(k.sink)
	c := cut(k.chunk.First, k.chunk.Next)
	if again {
		c.Since = k.since
	} else {
		k.since = time.Now()
	}
	if _, err := w.Append(k.Context(), k.chunk); err != nil {
		k.Fatal(err)
	}
	if _, err := w.Stage(k.Context(), c); err != nil {
		k.Fatal(err)
	}
	return w, c
}

// kill sends the batch first, kills the server after a time that the commit may
// take, and starts it again.
func (k *kills) kill() {
	k.Helper()
	k.kills++
	w, c := k.stage(false)
	defer w.Close()
	killed := make(chan error, 1)
	time.AfterFunc(time.Duration(k.random.Int64N(int64(k.took)+1)), func() { killed <- k.server.Kill() })
	began := time.Now()
	err := w.Commit(k.Context(), c, "")
	k.took = max(k.took, time.Since(began))
	if err != nil {
		k.failed++
		if sink.IsPermanent(err) {
			k.Errorf("seed %d: Permanent: %v", k.seed, err)
		}
	}
	if err := <-killed; err != nil {
		k.Fatal(err)
	}
	if err := k.server.Start(k.Context()); err != nil {
		k.Fatal(err)
	}
	n, inView := k.query(fmt.Sprintf("SELECT count() FROM $.t WHERE n >= %d", k.chunk.First)), k.query(fmt.Sprintf("SELECT count() FROM $.v WHERE n >= %d", k.chunk.First))
	if n != "0" && n != fmt.Sprint(killRows) {
		k.part++
	}
	// What reconcile rests on: a view is filled after the table.
	if n != fmt.Sprint(killRows) && inView != "0" {
		k.Errorf("seed %d: after a kill %s rows are in the table, and %s in the view's", k.seed, n, inView)
	}
}

// compare looks at the tables when a round is over.
func (k *kills) compare(round int64) {
	k.Helper()
	next, lost := k.chunk.Next, 0
	switch {
	case k.stopped != nil:
		next = k.chunk.First
		if lost := k.lostParts("t", 20); lost != 1 {
			k.Errorf("seed %d: %d parts are missing, and %v", k.seed, lost, k.stopped)
		}
	case round > 0:
		lost = k.lostParts("v", 7)
	}
	k.want(fmt.Sprintf("SELECT count(), uniqExact(n) FROM $.t WHERE n < %d", next), fmt.Sprintf("%d\t%d", next, next))
	if lost > 1 || lost == 1 && !strings.Contains(k.log.String(), "compare these with the table") {
		k.Errorf("seed %d: after a kill %d parts of the view's table are missing, and the log says %s", k.seed, lost, &k.log)
	}
	if k.hollow += lost; k.hollow == 0 {
		k.want(fmt.Sprintf("SELECT count(), uniqExact(n) FROM $.v WHERE n < %d", next), fmt.Sprintf("%d\t%d", next, next))
	}
}

// lostParts is how many partitions of a table, n % partitions, lack all their rows
// of the batch; the others must have them all, once.
func (k *kills) lostParts(table string, partitions int) (lost int) {
	k.Helper()
	first, next := k.chunk.First, k.chunk.Next
	there := int64(0)
	for p := range int64(partitions) {
		n := k.query(fmt.Sprintf("SELECT count() FROM $.%s WHERE n >= %d AND n < %d AND n %% %d = %d", table, first, next, partitions, p))
		want := int64(0)
		for i := first; i < next; i++ {
			if i%int64(partitions) == p {
				want++
			}
		}
		switch n {
		case fmt.Sprint(want):
			there += want
		case "0":
			lost++
		default:
			k.Errorf("%s rows of partition %d are in %s, want %d or none", n, p, table, want)
		}
	}
	k.want(fmt.Sprintf("SELECT uniqExact(n) FROM $.%s WHERE n >= %d AND n < %d", table, first, next), fmt.Sprint(there))
	return lost
}
