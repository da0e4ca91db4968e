package integration_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/harness"
	"github.com/sluicekit/sluice/integration/stack"
)

// TestClickHouseHoles takes the ten ways in which exactly-once sinks for
// ClickHouse are known to lose, double or delay rows, and shows with the built
// program, a real Kafka and a real ClickHouse what happens here.
func TestClickHouseHoles(t *testing.T) {
	t.Parallel()
	s := &gapServers{kafka: stack.Kafka(t), binary: harness.Build(t)}
	house := stack.ClickHouseWith(t, stack.ClickHouseOptions{Logs: true})
	sideBySide(t, []part[*holeRun]{
		{"hole two, no fence", holeNoFence}, // the longest first
		{"hole one, deduplication is not checked", holeUnchecked},
		{"hole three, a repeat with another token", holeOtherToken},
		{"hole four, a pending range is never inserted", holePendingSkipped},
		{"hole five, what was not inserted goes to the dead letters", holeDeadPending},
		{"hole six, a re-created topic is swallowed", holeRecreated},
		{"hole seven, state without its owner", holeSharedState},
		{"hole eight, dead letters that fail are dropped", holeLostLetters},
		{"hole nine, a tail waits for ever", holeTail},
		{"hole ten, an insert per partition", holePerPartition},
	}, func(t *testing.T) *holeRun { return newHoleRun(t, gapName(t), s, house) })
}

// holeUnchecked: a window of 0 is told before a row is written, by check --connect
// and by run, with the statement that mends it. A batch that has left a window, since the server took
// others while we were away, is completed from what the table has.
func holeUnchecked(h *holeRun) {
	h.topic(1)
	h.sql("CREATE TABLE $.numbers (" + strings.Replace(holeColumns, "pad ", "padd ", 1) + ") ENGINE = MergeTree ORDER BY n")
	h.checked(1, "field pad has no column (the nearest is padd)", "column padd of type String has no field and no default",
		"its non_replicated_deduplication_window is 0", "mend it with: ")
	h.sql("ALTER TABLE $.numbers RENAME COLUMN padd TO pad")
	h.produce(0, 10, 1)
	l := h.run(holeBatch)
	reason := l.reason("house", "its non_replicated_deduplication_window is 0", "mend it with: ")
	h.wants("house")
	_, fix, _ := strings.Cut(reason, "mend it with: ")
	fix, _, _ = strings.Cut(fix, ";")
	h.sql(fix)
	h.checked(0)
	l.has("house", span(0, 10)...)
	l.settled("house", 10)

	h.sql("ALTER TABLE $.numbers MODIFY SETTING non_replicated_deduplication_window = 100")
	h.onBlock(stack.CutAnswer, 10, 20)
	l.has("house", span(0, 20)...) // the block was cut off from its answer only
	l.kill()
	h.heal()
	for i := range 101 {
		h.sql(fmt.Sprintf("INSERT INTO $.numbers (n) SETTINGS async_insert = 0 VALUES (%d)", i))
	}
	l = h.run(holeBatch)
	h.produce(20, 30, 1)
	l.has("house", span(0, 30)...)
	if len(l.lines("batch completed from what the table has")) == 0 {
		h.Error("nothing was looked for in the table")
	}
	l.stop()
	h.wants("house", span(0, 30)...)
}

// holeNoFence: an owner is halted while its block is on the way. Another takes
// over, repeats the batch and goes on. The block comes late, and changes nothing;
// neither does the old owner when it wakes up.
func holeNoFence(h *holeRun) {
	a := h.began(h.one(holeBatch))
	h.age()
	h.onBlock(stack.HoldRequest, 10, 20)
	a.process.Signal(syscall.SIGSTOP) //nolint:errcheck // seen below
	b := h.deploy("b", h.conf("", h.house.Addr(), h.name, map[string]string{"house": holeBatch + holeTable}))
	b.has("house", span(0, 20)...)
	h.produce(20, 30, 1)
	b.has("house", span(0, 30)...)
	h.heal()
	h.proxy.Release()
	b.until("the late INSERT to end", func() bool {
		for _, n := range h.inserts() {
			if n > 1 {
				return true
			}
		}
		return false
	})
	h.wants("house", span(0, 30)...)
	a.process.Signal(syscall.SIGCONT) //nolint:errcheck // seen below
	h.produce(30, 40, 1)
	b.has("house", span(0, 40)...)
	a.stop()
	b.stop()
	h.wants("house", span(0, 40)...)
}

// holeOtherToken: a batch whose answer is lost is repeated with its bounds and
// its token, also if more has come since, and batches are made in another way.
func holeOtherToken(h *holeRun) {
	l := h.began(h.one(holeBatch))
	h.age()
	h.onBlock(stack.CutAnswer, 10, 20)
	l.has("house", span(0, 20)...)
	l.kill()
	h.heal()
	h.produce(20, 50, 1)
	l = h.run("batch: {age: 100ms, rows: 7}\ntimeout: 2s\n")
	l.has("house", span(0, 50)...)
	l.settled("house", 50)
	l.stop()
	h.repeated()
	h.wants("house", span(0, 50)...)
}

// holePendingSkipped: a batch never arrived, and another program moves the
// group's offset beyond it. Nothing goes on before somebody has decided, and what
// the message advises leaves nothing out.
func holePendingSkipped(h *holeRun) {
	l := h.began(h.one(holeBatch))
	h.onBlock(stack.CutRequest, 10, 20)
	l.kill()
	h.heal()
	l = h.run(holeBatch) // the pending batch comes first
	l.has("house", span(0, 20)...)
	h.onBlock(stack.CutRequest, 20, 30)
	l.stop()
	h.heal()
	h.groups("--reset-offsets", "--to-latest", "--execute", "--topic", h.name)
	h.produce(30, 40, 1)
	l = h.run(holeBatch)
	l.stopped("house", "lost record", "below offset 20")
	l.stop()
	h.wants("house", span(0, 20)...)
	h.settle("--start-at", "house@house=mark")
	l = h.run(holeBatch)
	l.has("house", span(0, 40)...)
	l.stop()
}

// holeDeadPending: a batch that never arrived is repeated, and not given up as a
// double, where what is read next begins elsewhere.
func holeDeadPending(h *holeRun) {
	topic(h.T, h.kafka, h.name+"_dead", 1)
	l := h.began(h.withLetters(holeBatch))
	h.age()
	h.onBlock(stack.CutRequest, 10, 20)
	l.kill()
	h.heal()
	h.wants("house", span(0, 10)...)
	h.produce(20, 50, 1)
	l = h.deploy("conf", h.withLetters("batch: {age: 100ms, rows: 7}\ntimeout: 2s\n"))
	l.has("house", span(0, 50)...)
	l.settled("house", 50)
	l.stop()
	if n := h.letters(); n != 0 {
		h.Errorf("%d dead letters", n)
	}
}

// holeRecreated: the topic is deleted and created again, and gets as many events
// as before: the same offsets, the same bounds. It is noticed; and when they are
// wanted they are not taken for the old ones.
func holeRecreated(h *holeRun) {
	const batch = "batch: {age: 60s, rows: 20}\n" // both times offsets 0 to 20
	h.topic(1)
	h.produce(0, 20, 1)
	l := h.run(batch)
	l.has("house", span(0, 20)...)
	l.stop()
	h.again()
	h.produce(100, 120, 1)
	l = h.run(batch)
	l.stopped("house", "other incarnation")
	l.stop()
	h.wants("house", span(0, 20)...)
	l = h.run(batch + "on_topic_reset: new_incarnation\n")
	l.has("house", append(span(0, 20), span(100, 120)...)...)
	l.stop()
}

// holeSharedState: sinks that write to one table, to several servers, and from
// several groups do not take each other's progress for theirs.
func holeSharedState(h *holeRun) {
	h.topic(2)
	h.produce(0, 20, 2)
	sinks := map[string]string{"house": holeBatch + "clickhouse: {connection: [house, annex], table: numbers, create: true}\n"}
	l := h.deploy("conf", h.conf("", h.proxy.Addr(), h.name, sinks))
	l.has("house", span(0, 20)...)
	l.stop()
	sinks["second"] = holeBatch + holeTable // it comes to a table that is full
	l = h.deploy("conf", h.conf("", h.proxy.Addr(), h.name, sinks))
	l.has("second", span(0, 20)...)
	h.produce(20, 40, 2)
	l.has("second", span(0, 40)...)
	l.has("house", span(0, 40)...)
	l.until("the other database", func() bool {
		return slices.Equal(h.column("SELECT n FROM $_annex.numbers ORDER BY n"), span(0, 40))
	})
	// Another deployment of the same name has nothing to go by.
	b := h.deploy("b", h.conf("", h.proxy.Addr(), h.name+"_b", map[string]string{"house": holeBatch + holeTable}))
	b.stopped("house", "lost record")
	b.stop()
	h.produce(40, 60, 2)
	l.has("house", span(0, 60)...)
	l.has("second", span(0, 60)...)
	l.stop()
	h.wants("house", span(0, 60)...)
}

// holeLostLetters: the table refuses a row, and the topic of dead letters is
// gone. The sink does not go on before the letter is safe.
func holeLostLetters(h *holeRun) {
	h.sql("CREATE TABLE $.numbers (" + holeColumns + ", CONSTRAINT small CHECK n < 1000) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	topic(h.T, h.kafka, h.name+"_dead", 1)
	l := h.began(h.withLetters("batch: {age: 200ms}\n"))
	if err := h.kafka.DeleteTopic(limit(h.T), h.name+"_dead"); err != nil {
		h.Fatal(err)
	}
	h.produce(1000, 1001, 1)
	l.reason("house", "dead")
	h.produce(10, 20, 1)
	for range 10 {
		time.Sleep(200 * time.Millisecond)
		for _, lane := range l.lanes("house") {
			if position := lane.Marks[0].Position; position > 10 {
				h.Fatalf("the position is %d, and the letter of offset 10 is nowhere", position)
			}
		}
	}
	topic(h.T, h.kafka, h.name+"_dead", 1)
	l.has("house", span(0, 20)...)
	l.settled("house", 21)
	l.stop()
	if n := h.letters(); n != 1 {
		h.Errorf("%d dead letters, want 1", n)
	}
	if reason := h.headers()[0]["sluice-reason"]; !strings.Contains(reason, "constraint small") {
		h.Errorf("the letter's reason is %q", reason)
	}
}

// holeTail: what is too little for a batch is written when the oldest of it is
// of the batch's age, though nothing follows.
func holeTail(h *holeRun) {
	h.topic(4)
	l := h.run("batch: {age: 1s, rows: 100000}\n")
	for n := range 3 {
		h.produce(n, n+1, 4)
		began := time.Now()
		l.has("house", span(0, n+1)...)
		if took := time.Since(began); took > time.Minute && n > 0 { // it would wait for ever
			h.Errorf("event %d was in the table %s after it was in the topic", n, took)
		}
	}
	l.stop()
}

// holePerPartition: 48 partitions with an event each make an insert per slot.
func holePerPartition(h *holeRun) {
	h.topic(48)
	h.produce(0, 48, 48)
	l := h.deploy("conf", h.conf("    slots: 4", h.proxy.Addr(), h.name, map[string]string{"house": "batch: {age: 3s}\n" + holeTable}))
	l.has("house", span(0, 48)...)
	l.stop()
	if all := h.inserts(); len(all) != 4 {
		h.Errorf("%d inserts, want 4: %v", len(all), all)
	}
	if got := h.sql("SELECT count() FROM system.part_log WHERE database = '$' AND event_type = 'NewPart'"); got != "4" {
		h.Errorf("%s parts, want 4", got)
	}
}
