package integration_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluicekit/sluice/cmd/app/apptest"
)

// logStart waits until the log of partition 0 begins at an offset.
func (g *gapRun) logStart(want int64) {
	g.Helper()
	for end := time.Now().Add(apptest.Patience); ; time.Sleep(50 * time.Millisecond) {
		first, _, err := g.kafka.LogRange(limit(g.T), g.name, 0)
		if err == nil && first == want {
			return
		}
		if time.Now().After(end) {
			g.Fatalf("the log begins at %d (%v), and not at %d", first, err, want)
		}
	}
}

func (g *gapRun) configure(key, value string) {
	g.Helper()
	if err := g.kafka.ConfigureTopic(limit(g.T), g.name, map[string]string{key: value}); err != nil {
		g.Fatal(err)
	}
}

func (g *gapRun) deleteBefore(offset int64) {
	g.Helper()
	if err := g.kafka.DeleteRecords(limit(g.T), g.name, 0, offset); err != nil {
		g.Fatal(err)
	}
}

// gapRetentionDown lets Kafka's own retention delete what two of three sinks
// have not seen.
func gapRetentionDown(g *gapRun) {
	l := g.began(1, gapThree...)
	l.stop()
	g.produce(100, 300, 1)
	l = g.start("lite")
	l.has("lite", span(0, 300)...)
	l.stop()
	g.configure("retention.ms", "1")
	g.logStart(300)
	g.configure("retention.ms", "-1")
	g.produce(300, 350, 1)

	l = g.start("table", "lite", "archive", "late=archive")
	l.stopped("table", "gap", g.name+"[0] [100,300)")
	l.stopped("archive", "gap", g.name+"[0] [100,300)")
	l.has("lite", span(0, 350)...)
	l.has("late", span(300, 350)...)
	l.running("lite", "late")
	l.stop()
	g.wants("table", span(0, 100)...)
	g.wants("archive", span(0, 100)...)

	// One of them goes on, and says what it leaves out.
	l = g.skipGaps("archive", "table", "lite", "archive", "late=archive")
	l.has("archive", append(span(0, 100), span(300, 350)...)...)
	l.skipped("archive", g.name+"[0] [100,300)", 200)
	l.stopped("table", "gap", g.name+"[0] [100,300)")
	l.stop()
	l = g.skipGaps("table", "table", "lite", "archive", "late=archive")
	l.has("table", append(span(0, 100), span(300, 350)...)...)
	l.skipped("table", g.name+"[0] [100,300)", 200)
	g.produce(350, 360, 1)
	for sink, want := range map[string][]int{
		"table": append(span(0, 100), span(300, 360)...), "archive": append(span(0, 100), span(300, 360)...),
		"lite": span(0, 360), "late": span(300, 360),
	} {
		l.has(sink, want...)
	}
	l.running("table", "lite", "archive", "late")
	l.stop()
}

// skipGaps runs the program with on_gap: skip_and_record for one sink.
func (g *gapRun) skipGaps(sink string, sinks ...string) *gapLife {
	g.Helper()
	return g.deploy("conf", gapDeployment{sinks: sinks, more: map[string]string{sink: "on_gap: skip_and_record\n"}})
}

// skipped looks for the record of what a sink has left out: one line in the
// log, and a count.
func (l *gapLife) skipped(sink, batch string, offsets int) {
	l.Helper()
	lines := l.lines("gap: records are skipped")
	if len(lines) != 1 || !strings.HasPrefix(fmt.Sprint(lines[0]["sink"]), sink+"@") || lines[0]["skipped"] != batch || fmt.Sprint(lines[0]["offsets"]) != fmt.Sprint(offsets) {
		l.Errorf("want one line on %s of sink %s in the log: %v", batch, sink, lines)
	}
	l.until("the count of what is skipped", func() bool {
		n := int64(0)
		for _, lane := range l.lanes(sink) {
			n += lane.Skipped
		}
		return n == int64(offsets)
	})
}

// gapRetentionRunning keeps one sink from its database until what it has to
// read next is deleted.
func gapRetentionRunning(g *gapRun) {
	g.topic(8) // so that the memory for newest records is divided by eight
	g.produce(0, 100, 1)
	l := g.start(gapThree...)
	l.has("table", span(0, 100)...)
	g.proxy.Refuse()
	g.proxy.Sever()
	g.produceTo(g.name, 100, 3000, 1, 4096)
	l.has("lite", span(0, 3000)...)
	l.has("archive", span(0, 3000)...)
	g.deleteBefore(2000)
	if err := g.proxy.Accept(); err != nil {
		g.Fatal(err)
	}
	l.stopped("table", "gap", g.name+"[0] [100,2000)")
	g.produce(3000, 3100, 1)
	l.has("lite", span(0, 3100)...)
	l.has("archive", span(0, 3100)...)
	l.running("lite", "archive")
	l.stop()
	g.wants("table", span(0, 100)...)
	g.settle("--start-at", "table@db="+g.name+"/0:earliest")
	l = g.start(gapThree...)
	l.has("table", append(span(0, 100), span(2000, 3100)...)...)
	l.stop()
}

// gapBackupOlderThanLog restores a database whose position Kafka does not have
// any more.
func gapBackupOlderThanLog(g *gapRun) {
	l := g.began(1, "table", "archive")
	backup := g.dump()
	g.produce(100, 200, 1)
	l.has("table", span(0, 200)...)
	l.has("archive", span(0, 200)...)
	l.stop()
	g.restore(backup)
	g.deleteBefore(150)
	l = g.start("table", "archive")
	l.stopped("table", "gap", g.name+"[0] [100,150)")
	g.produce(200, 250, 1)
	l.has("archive", span(0, 250)...)
	l.stop()
	g.wants("table", span(0, 100)...)
	l = g.skipGaps("table", "table", "archive")
	l.has("table", append(span(0, 100), span(150, 250)...)...)
	l.skipped("table", g.name+"[0] [100,150)", 50)
	l.stop()
}
