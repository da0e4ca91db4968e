package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/source"
)

// membership is a generation of a real group, as the pipeline adapts it.
type membership struct {
	*source.Generation
	cluster *source.Cluster
}

func (m membership) Commit(ctx context.Context, commits []ledger.Commit) error {
	out := make([]source.OffsetCommit, len(commits))
	for i, c := range commits {
		out[i] = source.OffsetCommit(c)
	}
	err := m.Generation.Commit(ctx, out)
	var refused *source.RefusedError
	var unsure *source.UnsureError
	switch {
	case errors.As(err, &refused):
		return &ledger.Refused{Stored: places(refused.Partitions), Membership: m.Err() != nil, Err: err}
	case errors.As(err, &unsure):
		return &ledger.Refused{Stored: places(unsure.Partitions), Membership: m.Err() != nil, Unsure: true, Err: err}
	}
	return err
}

func places(codes []source.PartitionCode) (stored []ledger.Place) {
	for _, c := range codes {
		if c.Code == 0 {
			stored = append(stored, ledger.Place{Topic: c.Topic, Partition: c.Partition})
		}
	}
	return stored
}

func (m membership) Fetch(ctx context.Context, topic string, partitions []int32) ([]ledger.Stored, error) {
	stored, err := m.cluster.FetchOffsets(ctx, "g", map[string][]int32{topic: partitions})
	var out []ledger.Stored
	for _, s := range stored {
		out = append(out, ledger.Stored{Partition: s.Partition, Offset: s.Offset, LeaderEpoch: s.LeaderEpoch, Metadata: s.Metadata})
	}
	return out, err
}

// working is a writer on a generation.
func working(t *testing.T, m *source.Member, c *source.Cluster) (*ledger.Writer, *source.Generation) {
	t.Helper()
	g, err := m.Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := ledger.NewWriter(membership{g, c}, ledger.Options{Timeout: time.Minute})
	if err := w.Load(t.Context(), layouts(4, 2)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { w.Run(ctx); close(ran) }()
	t.Cleanup(func() { cancel(); <-ran })
	return w, g
}

func TestOverKafkasProtocol(t *testing.T) {
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "events"), kfake.GroupMinSessionTimeout(100*time.Millisecond),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	c, err := source.Open(source.Options{Brokers: k.ListenAddrs(), RequestTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	member := source.NewMember(c, source.MemberOptions{
		Group: "g", Topics: []string{"events"}, Session: 30 * time.Second, Rebalance: 30 * time.Second,
		Layout: func(context.Context) ([]source.Layout, error) {
			return []source.Layout{{Topic: "events", Partitions: 4, Width: 2}}, nil
		},
	})
	defer member.Leave(context.Background())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	old, _ := working(t, member, c)
	for i := range int32(2) {
		if s := old.State(at(i)); s.Presence != ledger.Missing {
			t.Fatalf("%+v", s)
		}
		must(old.Create(t.Context(), at(i), header(4, 2), []ledger.Entry{entry("a", 0, 0)}))
	}
	must(old.Put(t.Context(), at(0), pending("a", 0, 0)))
	must(old.Flush(t.Context()))

	// The next generation reads what is there, and fences the one before.
	w, g := working(t, member, c)
	wantEnded(t, old.Put(t.Context(), at(0), entry("a", 99, 99)))
	(&running{Writer: w, t: t}).wantEntry(0, pending("a", 0, 0))
	if s := w.State(at(1)); s != (ledger.State{Presence: ledger.Present, Incarnation: incarnation, Width: 2, Partitions: 4}) {
		t.Fatalf("%+v", s)
	}

	// The coordinator refuses: nothing is lost but the put.
	refuse := true
	k.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		if !refuse {
			return nil, errors.New("the connection is cut instead of an answer"), true
		}
		req := r.(*kmsg.OffsetCommitRequest)
		res := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, topic := range req.Topics {
			rt := kmsg.OffsetCommitResponseTopic{Topic: topic.Topic}
			for _, p := range topic.Partitions {
				rt.Partitions = append(rt.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: 14})
			}
			res.Topics = append(res.Topics, rt)
		}
		return res, nil, true
	})
	wantRefused(t, w.Put(t.Context(), at(0), entry("a", 10, 10)))
	if g.Err() != nil {
		t.Fatal(g.Err())
	}

	// No answer ends the membership.
	refuse = false
	wantEnded(t, w.Put(t.Context(), at(0), entry("a", 10, 10)))
	select {
	case <-g.Ended():
	case <-time.After(2 * time.Minute):
		t.Fatal("the generation goes on after an unanswered commit")
	}
}
