package integration_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// groups runs Kafka's own tool on the test's group.
func (g *gapRun) groups(args ...string) {
	g.Helper()
	out, err := g.kafka.ConsumerGroups(limit(g.T), append(args, "--group", g.name)...)
	if err != nil {
		g.Fatal(err)
	}
	g.Logf("kafka-consumer-groups %s\n%s", strings.Join(args, " "), out)
}

// gapGroupDeleted deletes the group: a table knows where it is, and goes on.
// An archive does not.
func gapGroupDeleted(g *gapRun) {
	gapRecordLost(g, func() { g.groups("--delete") })
}

// gapOffsetsReset sets all offsets back, as people do to read a topic again.
func gapOffsetsReset(g *gapRun) {
	gapRecordLost(g, func() { g.groups("--reset-offsets", "--to-earliest", "--execute", "--topic", g.name) }, "has offset 0 and no record", "another program")
}

// gapRecordLost runs sinks whose record in the group is gone. An offset that
// was left without a record proves that there was one, so that a new sink is
// not taken for new as long as nobody has made another.
func gapRecordLost(g *gapRun, lose func(), words ...string) {
	l := g.began(2, gapThree...)
	l.stop()
	lose()
	g.produce(100, 200, 2)
	l = g.start(gapThree...)
	l.stopped("archive", append(words, "lost record", "] below offset 50", "expired, deleted, or reset")...)
	for _, sink := range []string{"table", "lite"} {
		l.has(sink, span(0, 200)...)
		told := 0
		for _, line := range l.lines("going on from the destination") {
			if strings.HasPrefix(fmt.Sprint(line["sink"]), sink+"@") && line["destination"] == "50" {
				told++
			}
		}
		if told != 2 {
			g.Errorf("the log says %d times that %s goes on from 50, want 2", told, sink)
		}
	}
	l.running("table", "lite")
	l.stop()
	g.wants("archive", span(0, 100)...)
	// It does not heal by itself when others have made records.
	l = g.start("table", "lite", "archive", "late=archive")
	l.stopped("archive", "lost record", "] below offset 50")
	l.has("late", span(0, 200)...)
	l.running("table", "lite", "late")
	l.stop()
	g.wants("archive", span(0, 100)...)
	g.wants("table", span(0, 200)...)
	g.wants("lite", span(0, 200)...)

	// Nothing was pending, so what the files say is where it goes on.
	g.settle("--start-at", "archive@files=mark")
	l = g.start("table", "lite", "archive", "late=archive")
	l.have([]string{"archive", "late", "table", "lite"}, span(0, 200)...)
	l.stop()
}

// gapOnePartitionReset sets back one partition of a slot of two: what the slot's
// record says is not whole any more.
func gapOnePartitionReset(g *gapRun) {
	g.topic(4)
	g.produce(0, 100, 4)
	d := gapDeployment{stream: "    slots: 2", sinks: gapThree}
	l := g.deploy("conf", d)
	l.have(d.sinks, span(0, 100)...)
	l.stop()
	// In the first second of its life a stream does not count yet on a record
	// for each partition.
	l = g.deploy("conf", d)
	l.settled("table", 25, 25, 25, 25)
	l.stop()
	g.groups("--reset-offsets", "--to-earliest", "--execute", "--topic", g.name+":1")
	g.produce(100, 200, 4)
	l = g.deploy("conf", d)
	// Partitions 2 and 3 are another slot, and go on.
	want := append(span(0, 100), slices.DeleteFunc(span(100, 200), func(n int) bool { return n%4 < 2 })...)
	for _, sink := range d.sinks {
		l.stopped(sink, "damaged record", "partition 1")
		l.has(sink, want...)
	}
	l.stop()
	g.want(d.sinks, want...)
	for _, sink := range []string{"table@db", "lite@lite"} {
		g.settle("--start-at", sink+"=mark")
	}
	// The files of a slot are named by its first partition: of the other they say
	// nothing. The entry has survived on the slot's first, and is shown.
	if out, err := g.trySettle(); err != nil || !regexp.MustCompile(`archive@files +25,25 `).MatchString(out) {
		g.Errorf("settle does not show the position: %v\n%s", err, out)
	}
	g.settle("--start-at", "archive@files="+g.name+"/0:mark,"+g.name+"/1:25")
	l = g.deploy("conf", d)
	l.have(d.sinks, span(0, 200)...)
	l.stop()
}

// gapSlotsChanged changes the slots, puts them back, and has the records
// rewritten for others.
func gapSlotsChanged(g *gapRun) {
	g.topic(4)
	g.produce(0, 100, 4)
	l := g.deploy("conf", gapDeployment{stream: "    slots: 2", sinks: gapThree})
	l.have(gapThree, span(0, 100)...)
	l.stop()
	g.produce(100, 200, 4)
	for _, slots := range []string{"    slots: 1", ""} {
		l = g.deploy("conf", gapDeployment{stream: slots, sinks: gapThree})
		for _, sink := range gapThree {
			l.stopped(sink, "slots changed", "the records have 2")
		}
		l.stop()
		g.want(gapThree, span(0, 100)...)
	}
	l = g.deploy("conf", gapDeployment{stream: "    slots: 2", sinks: gapThree})
	l.have(gapThree, span(0, 200)...)
	l.stop()
	g.produce(200, 300, 4)
	g.settle("--slots", "1")
	l = g.deploy("conf", gapDeployment{stream: "    slots: 1", sinks: gapThree})
	l.have(gapThree, span(0, 300)...)
	l.stop()
}

// gapSinkRenamed gives a sink another name, and its own back: under each name
// it has a position.
func gapSinkRenamed(g *gapRun) {
	l := g.began(2, "table", "archive")
	l.stop()
	g.produce(100, 150, 2)
	l = g.start("table", "other=archive")
	l.has("table", span(0, 150)...)
	l.has("other", span(0, 150)...)
	if len(l.lines("not run here")) == 0 {
		g.Error("the log does not say that the group holds positions of a sink that is not run")
	}
	l.stop()
	g.wants("archive", span(0, 100)...)
	l = g.start("table", "archive")
	l.has("archive", span(0, 150)...)
	if len(l.lines("not run here")) == 0 {
		g.Error("the log does not say that the group has a position of other")
	}
	l.stop()
	g.wants("table", span(0, 150)...)
	g.wants("other", span(0, 150)...)
	g.write("conf", gapDeployment{sinks: []string{"table", "archive", "other=archive"}})
	g.settle("--forget", "other@files")
	l = g.start("table", "archive")
	l.settled("archive", 75, 75)
	if lines := l.lines("not run here"); len(lines) > 0 {
		g.Errorf("what was forgotten is still there: %v", lines)
	}
	l.stop()
}

// gapSinkRemoved runs without a sink for a while: its position is kept.
func gapSinkRemoved(g *gapRun) {
	l := g.began(2, gapThree...)
	l.stop()
	g.produce(100, 150, 2)
	l = g.start("table")
	l.has("table", span(0, 150)...)
	l.stop()
	g.wants("archive", span(0, 100)...)
	l = g.start(gapThree...)
	l.have(gapThree, span(0, 150)...)
	l.stop()
}

// gapOtherSinks runs two deployments with one group that have other sinks: each
// is told of it, and has only the partitions that it is given, until the other
// is gone.
func gapOtherSinks(g *gapRun) {
	g.topic(4)
	a := g.deploy("a", gapDeployment{sinks: []string{"table"}})
	b := g.deploy("b", gapDeployment{sinks: []string{"archive"}})
	a.until("two slots for each", func() bool { return len(a.lanes("table")) == 2 && len(b.lanes("archive")) == 2 })
	g.produce(0, 100, 4)
	a.until("rows of two partitions", func() bool { return len(g.numbers("table")) == 50 && len(g.numbers("archive")) == 50 })
	a.until("a word that the sinks differ", func() bool {
		return len(a.lines("two deployments have one group"))+len(b.lines("two deployments have one group")) > 0
	})
	b.stop()
	a.has("table", span(0, 100)...)
	a.stop()
	b = g.deploy("b", gapDeployment{sinks: []string{"archive"}})
	b.has("archive", span(0, 100)...)
	b.stop()
	g.wants("table", span(0, 100)...)
}

// gapOtherTopics runs two deployments with one group that read other topics:
// the one that does not lead the group is told that it gets nothing.
func gapOtherTopics(g *gapRun) {
	g.topic(2)
	other := g.name + "_b"
	topic(g.T, g.kafka, other, 2)
	g.produce(0, 100, 2)
	g.produceTo(other, 1000, 1100, 2, 0)
	a := g.deploy("a", gapDeployment{sinks: []string{"table"}})
	a.has("table", span(0, 100)...)
	b := g.deploy("b", gapDeployment{topics: other, sinks: []string{"archive"}})
	a.until("a word on the topics", func() bool {
		return len(b.lines("does not read this topic")) > 0
	})
	g.produce(100, 200, 2)
	a.has("table", span(0, 200)...)
	a.stop()
	b.has("archive", span(1000, 1100)...)
	b.stop()
	g.wants("table", span(0, 200)...)
}
