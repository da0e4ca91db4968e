package integration_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/cmd/app/apptest"
)

// gapEvent is the event of a number.
func gapEvent(n, pad int) []byte {
	const text = `{"id":"e%d","time":"2026-01-01T00:00:00Z","type":"click","server":"s","payload":{"n":%d,"pad":"%s"}}`
	return fmt.Appendf(nil, text, n, n, bytesOf(pad))
}

func bytesOf(n int) []byte {
	return slices.Repeat([]byte("x"), n)
}

// gapCompacted has Kafka compact what a sink has not seen yet: what newer
// records of the same key have replaced is no gap, and positions pass it.
func gapCompacted(g *gapRun) {
	options := map[string]string{"cleanup.policy": "compact", "segment.ms": "200", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "500"}
	if err := g.kafka.CreateTopic(limit(g.T), g.name, 1, options); err != nil {
		g.Fatal(err)
	}
	put := func(from, to int) {
		g.Helper()
		cl := kafkaClient(g.T, g.kafka, kgo.DefaultProduceTopic(g.name))
		for n := from; n < to; n++ {
			send(g.T, cl, &kgo.Record{Key: fmt.Append(nil, n%10), Value: gapEvent(n, 0)})
		}
	}
	put(0, 100)
	l := g.start("table", "archive")
	l.until("the table to be up to date", func() bool { return slices.Contains(g.numbers("table"), 99) })
	l.until("the archive to be up to date", func() bool { return slices.Contains(g.numbers("archive"), 99) })
	l.stop()
	table, archive := g.numbers("table"), g.numbers("archive") // the cleaner may have been there already
	put(100, 400)
	var left []int
	for end := time.Now().Add(apptest.Patience); ; time.Sleep(300 * time.Millisecond) {
		put(400, 401) // so that the segment before is not the active one
		if left = g.read(); len(left) < 100 {
			break
		}
		if time.Now().After(end) {
			g.Fatalf("%d records are left: the broker does not compact", len(left))
		}
	}
	g.configure("cleanup.policy", "delete") // what is left stays
	time.Sleep(5 * time.Second)             // a cleaning under way ends
	left = slices.DeleteFunc(g.read(), func(n int) bool { return n < 100 })
	l = g.start("table", "archive")
	l.has("table", append(table, left...)...)
	l.has("archive", append(archive, left...)...)
	l.running("table", "archive")
	l.stop()
	g.Logf("of 401 records and more %d were left", len(left))
}

// read reads partition 0 with another client than ours, and answers the
// numbers, ascending.
func (g *gapRun) read() (all []int) {
	g.Helper()
	_, next, err := g.kafka.LogRange(limit(g.T), g.name, 0)
	if err != nil {
		g.Fatal(err)
	}
	cl := kafkaClient(g.T, g.kafka, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{g.name: {0: kgo.NewOffset().AtStart()}}))
	defer cl.Close()
	for last := int64(-1); last < next-1; {
		fetches := cl.PollFetches(limit(g.T))
		if err := fetches.Err(); err != nil {
			g.Fatal(err)
		}
		for _, r := range fetches.Records() {
			var n int
			if _, err := fmt.Sscanf(string(r.Value), `{"id":"e%d"`, &n); err != nil {
				g.Fatal(err)
			}
			all, last = append(all, n), r.Offset
		}
	}
	slices.Sort(all)
	return all
}

// gapHangingTransaction leaves a transaction open: nothing behind it is read,
// also by nobody else, until it has ended; then what was aborted is not there.
func gapHangingTransaction(g *gapRun) {
	l := g.began(1, "table", "archive")
	cl := kafkaClient(g.T, g.kafka, kgo.TransactionalID(g.name), kgo.TransactionTimeout(5*time.Minute), kgo.DefaultProduceTopic(g.name))
	if err := cl.BeginTransaction(); err != nil {
		g.Fatal(err)
	}
	for n := 100; n < 110; n++ {
		send(g.T, cl, &kgo.Record{Value: gapEvent(n, 0)})
	}
	g.produce(110, 150, 1)
	time.Sleep(3 * time.Second)
	g.wants("table", span(0, 100)...)
	l.running("table", "archive")
	if err := cl.EndTransaction(limit(g.T), kgo.TryAbort); err != nil {
		g.Fatal(err)
	}
	l.have([]string{"table", "archive"}, append(span(0, 100), span(110, 150)...)...)
	l.stop()
}
