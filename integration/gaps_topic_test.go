package integration_test

import (
	"os"
	"path/filepath"
)

func gapRecreatedDownBelow(g *gapRun) { gapRecreated(g, false, 1050) }
func gapRecreatedDownAbove(g *gapRun) { gapRecreated(g, false, 1200) }

func gapRecreatedRunningBelow(g *gapRun) { gapRecreated(g, true, 1050) }
func gapRecreatedRunningAbove(g *gapRun) { gapRecreated(g, true, 1200) }

// gapRecreated deletes the topic when sinks are at offset 100, and fills
// another one of its name with the numbers [1000, to).
func gapRecreated(g *gapRun, running bool, to int) {
	l := g.began(1, gapThree...)
	if !running {
		l.stop()
	}
	g.again()
	g.produce(1000, to, 1)
	if !running {
		l = g.start("table", "lite", "archive", "late=archive")
		l.has("late", span(1000, to)...) // it has nothing of the old topic
	}
	for _, sink := range gapThree {
		l.stopped(sink, "other incarnation", g.name)
	}
	l.stop()
	g.want(gapThree, span(0, 100)...)
	// Two of them go on in the new topic, and the other stays where it is.
	reset := map[string]string{"table": "on_topic_reset: new_incarnation\n", "archive": "on_topic_reset: new_incarnation\n"}
	for range 2 {
		l = g.deploy("conf", gapDeployment{sinks: gapThree, more: reset})
		l.has("table", append(span(0, 100), span(1000, to)...)...)
		l.has("archive", append(span(0, 100), span(1000, to)...)...)
		l.stopped("lite", "other incarnation")
		g.produce(to, to+10, 1)
		to += 10
		l.has("table", append(span(0, 100), span(1000, to)...)...)
		l.has("archive", append(span(0, 100), span(1000, to)...)...)
		l.stop()
		g.wants("lite", span(0, 100)...)
	}
	g.settle("--start-at", "lite@lite=earliest")
	l = g.start(gapThree...)
	l.has("lite", append(span(0, 100), span(1000, to)...)...)
	l.stop()
}

// gapGrownDown and gapGrownRunning add partitions, also to a sink that began
// with the latest records: what is new in a topic is read from its beginning.
func gapGrownDown(g *gapRun)    { gapGrown(g, false) }
func gapGrownRunning(g *gapRun) { gapGrown(g, true) }

func gapGrown(g *gapRun, running bool) {
	g.topic(2)
	g.produce(0, 100, 2)
	d := gapDeployment{sinks: gapThree, more: map[string]string{"archive": "start: latest\n"}}
	l := g.deploy("conf", d)
	l.settled("archive", 50, 50)
	g.produce(100, 150, 2)
	l.has("table", span(0, 150)...)
	l.has("archive", span(100, 150)...)
	if !running {
		l.stop()
	}
	if err := g.kafka.AddPartitions(limit(g.T), g.name, 4); err != nil {
		g.Fatal(err)
	}
	g.produce(152, 252, 4) // 152 goes to partition 0, like 0 and 100
	if !running {
		l = g.deploy("conf", d)
	}
	l.has("table", append(span(0, 150), span(152, 252)...)...)
	l.has("lite", append(span(0, 150), span(152, 252)...)...)
	l.has("archive", append(span(100, 150), span(152, 252)...)...)
	l.running(gapThree...)
	l.stop()
}

// saved is the folder of partition 0 as it was before, while the broker is
// down.
func (g *gapRun) save() string {
	g.Helper()
	to := filepath.Join(g.dir, "saved")
	if err := os.CopyFS(to, os.DirFS(filepath.Join(g.kafka.Data(), g.name+"-0"))); err != nil {
		g.Fatal(err)
	}
	return to
}

// putBack makes the log of partition 0 what it was, as a disk that is restored
// or a replica that was behind does when it has to lead.
func (g *gapRun) putBack(saved string) {
	g.Helper()
	folder := filepath.Join(g.kafka.Data(), g.name+"-0")
	if err := os.RemoveAll(folder); err != nil {
		g.Fatal(err)
	}
	if err := os.CopyFS(folder, os.DirFS(saved)); err != nil {
		g.Fatal(err)
	}
}

// broker does something while the broker is down.
func (g *gapRun) broker(while func()) {
	g.Helper()
	if err := g.kafka.Stop(); err != nil {
		g.Fatal(err)
	}
	while()
	if err := g.kafka.Start(limit(g.T)); err != nil {
		g.Fatal(err)
	}
}

// gapTruncatedDown puts an older log back while the program is down.
func gapTruncatedDown(g *gapRun) {
	l, saved := gapBeforeTruncation(g)
	l.stop()
	g.broker(func() { g.putBack(saved) })
	l = g.start("table", "lite", "archive", "late=archive")
	l.has("late", span(0, 100)...)
	gapAfterTruncation(g, l)
}

// gapTruncatedRunning does it while the program runs.
func gapTruncatedRunning(g *gapRun) {
	l, saved := gapBeforeTruncation(g)
	g.broker(func() { g.putBack(saved) })
	gapAfterTruncation(g, l)
}

func gapBeforeTruncation(g *gapRun) (l *gapLife, saved string) {
	g.topic(1)
	g.produce(0, 100, 1)
	g.broker(func() { saved = g.save() })
	g.produce(100, 200, 1)
	l = g.start(gapThree...)
	l.have(gapThree, span(0, 200)...)
	return l, saved
}

func gapAfterTruncation(g *gapRun, l *gapLife) {
	for _, sink := range gapThree {
		l.stopped(sink, "truncated", g.name+"[0] ends at 100, below the sink's position 200")
	}
	l.stop()
	g.want(gapThree, span(0, 200)...)
	// What is lost is lost: they go on behind what is there now.
	g.produce(1000, 1010, 1)
	g.write("conf", gapDeployment{sinks: gapThree})
	for _, sink := range []string{"table@db", "lite@lite", "archive@files"} {
		g.settle("--start-at", sink+"="+g.name+"/0:100", "--insist") // nobody can know that its [100,110) is not what it was
	}
	l = g.start(gapThree...)
	l.have(gapThree, append(span(0, 200), span(1000, 1010)...)...)
	l.stop()
}

// gapTopicMissing starts before the topic is there.
func gapTopicMissing(g *gapRun) {
	l := g.start("table", "archive")
	l.until("a word on the topic", func() bool { return len(l.lines("no slots can be given out")) > 0 })
	if n := len(l.lines("no slots can be given out")); n != 1 {
		g.Errorf("it is said %d times", n)
	}
	g.topic(2)
	g.produce(0, 100, 2)
	l.has("table", span(0, 100)...)
	l.has("archive", span(0, 100)...)
	l.stop()
}
