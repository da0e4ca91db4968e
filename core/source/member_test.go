package source

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// noLeaks fails a test that leaves goroutines of this package or of kafka-go behind.
func noLeaks(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		var left string
		for range 1500 {
			buf := make([]byte, 1<<20)
			buf = buf[:runtime.Stack(buf, true)]
			left = ""
			for _, g := range strings.Split(string(buf), "\n\n") {
				if strings.Contains(g, "core/source.(*") || strings.Contains(g, "kafka-go.(*") {
					left = g
				}
			}
			if left == "" {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("goroutine left behind:\n%s", left)
	})
}

func fake(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	k, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(2), kfake.SeedTopics(4, "events"),
		kfake.GroupMinSessionTimeout(100 * time.Millisecond), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"})}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func open(t testing.TB, k *kfake.Cluster) *Cluster {
	t.Helper()
	c, err := Open(Options{Brokers: k.ListenAddrs(), RequestTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// newTestMember is one whose session outlasts a machine that stands still for a while: what it tests is not the session.
func newTestMember(t *testing.T, c *Cluster, change func(*MemberOptions)) *Member {
	o := MemberOptions{
		Group: "g", Topics: []string{"events"}, Session: 30 * time.Second, Rebalance: 30 * time.Second, Heartbeat: 50 * time.Millisecond,
		Layout: func(context.Context) ([]Layout, error) { return []Layout{{"events", 4, 1}}, nil },
	}
	if change != nil {
		change(&o)
	}
	m := NewMember(c, o)
	t.Cleanup(func() { m.Leave(context.Background()) })
	return m
}

func produce(t testing.TB, k *kfake.Cluster, topic string, n int) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for i := range n {
		if err := cl.ProduceSync(deadline(t), &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "v%d", i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSmoke(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c := open(t, k)
	ctx := deadline(t)
	produce(t, k, "events", 3)
	if err := c.Produce(ctx, "events", 0, []ProduceRecord{{Key: []byte("k"), Value: []byte("p"), Headers: []Header{{"h", []byte("x")}}}}); err != nil {
		t.Fatal(err)
	}
	d, err := c.Describe(ctx, "events")
	if err != nil || len(d.Topics["events"].Partitions) != 4 {
		t.Fatal(d, err)
	}
	f, err := c.Fetch(ctx, FetchRequest{Topic: "events", MaxBytes: 1 << 20, MaxWait: time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var r Reader
	r.Reset(f, 0)
	for rec, ok := r.Next(); ok; rec, ok = r.Next() {
		t.Log(rec.Offset, string(rec.Value))
	}
	if r.Err() != nil || r.NextOffset() != 4 {
		t.Fatal(r.Err(), r.NextOffset())
	}
	_, err = c.Fetch(ctx, FetchRequest{Topic: "events", Offset: 17, MaxBytes: 1 << 20, MaxWait: time.Second}, f.Buf)
	var oor *OutOfRangeError
	if !errors.As(err, &oor) || oor.End != 4 {
		t.Fatal(err)
	}
	m := newTestMember(t, c, nil)
	g, err := m.Join(ctx)
	if err != nil || len(g.Slots()) != 4 {
		t.Fatal(err)
	}
	if err := g.Commit(ctx, []OffsetCommit{{"events", 0, 2, -1, "meta"}}); err != nil {
		t.Fatal(err)
	}
	s, err := c.FetchOffsets(ctx, "g", map[string][]int32{"events": {0, 1}})
	if err != nil || s[0].Offset != 2 || s[0].Metadata != "meta" || s[1].Offset != -1 {
		t.Fatal(s, err)
	}
	if err := g.Heartbeat(ctx); err != nil {
		t.Fatal(err)
	}
	if err := m.Leave(ctx); err != nil {
		t.Fatal(err)
	}
}
