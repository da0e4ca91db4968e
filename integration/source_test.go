package integration_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/cmd/app/apptest"
	"github.com/sluicekit/sluice/core/source"
	"github.com/sluicekit/sluice/integration/stack"
)

// TestSource runs package source against a real broker, for what an in-process one does differently or not at all.
func TestSource(t *testing.T) {
	k := stack.KafkaWith(t, stack.KafkaOptions{TLS: true, Properties: map[string]string{"group.min.session.timeout.ms": "1000"}})
	for name, test := range map[string]func(*testing.T, *stack.KafkaServer){
		"security": sourceSecurity, "transactions": sourceTransactions, "too large metadata": sourceMetadata,
		"static member": sourceStatic, "codes": sourceCodes, "large": sourceLarge,
		"new topic": sourceNewTopic, "truncated": sourceTruncated, "recreated": sourceRecreated, "compressed": sourceCompressed,
	} {
		t.Run(name, func(t *testing.T) { test(t, k) })
	}
	t.Run("killed", func(t *testing.T) { sourceKilled(t, k) })
	t.Run("epochs", func(t *testing.T) { sourceEpochs(t, k) })
	t.Run("paused", func(t *testing.T) { sourcePaused(t, k) })
}

func sourceOpen(t *testing.T, o source.Options) *source.Cluster {
	t.Helper()
	c, err := source.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func sourceMember(t *testing.T, c *source.Cluster, topic, instance string) *source.Member {
	m := source.NewMember(c, source.MemberOptions{
		Group: "group-" + topic, InstanceID: instance, Session: 6 * time.Second, Rebalance: 10 * time.Second, Heartbeat: 200 * time.Millisecond,
		Topics: []string{topic},
		Layout: func(ctx context.Context) ([]source.Layout, error) {
			d, err := c.Describe(ctx, topic)
			return []source.Layout{{Topic: topic, Partitions: int32(len(d.Topics[topic].Partitions)), Width: 1}}, err
		},
	})
	t.Cleanup(func() { m.Remove(limit(t)) })
	return m
}

func sourceJoin(t *testing.T, m *source.Member) *source.Generation {
	t.Helper()
	g, err := m.Join(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// sourceRead reads a partition to its last stable offset, in answers of about maxBytes.
func sourceRead(t *testing.T, c *source.Cluster, topic string, maxBytes int32) (values []string, next int64) {
	t.Helper()
	var (
		r   source.Reader
		buf []byte
	)
	for {
		f, err := c.Fetch(limit(t), source.FetchRequest{Topic: topic, Offset: next, MaxBytes: maxBytes, MaxWait: 100 * time.Millisecond}, buf)
		buf = f.Buf
		var ke *source.KafkaError
		if errors.As(err, &ke) && ke.Retriable() {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		r.Reset(f, next)
		for rec, ok := r.Next(); ok; rec, ok = r.Next() {
			values = append(values, string(rec.Value))
		}
		var torn *source.TornError
		if errors.As(r.Err(), &torn) {
			maxBytes = int32(torn.Need)
		} else if r.Err() != nil {
			t.Fatal(r.Err())
		}
		if next = r.NextOffset(); next >= f.LastStable {
			return values, next
		}
	}
}

func sourceSecurity(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "secured", 1)
	pem, err := os.ReadFile(k.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	trusting := &tls.Config{RootCAs: pool}
	try := func(o source.Options) error {
		c := sourceOpen(t, o)
		if err := c.Produce(limit(t), "secured", 0, []source.ProduceRecord{{Value: []byte("v")}}); err != nil {
			return err
		}
		_, err := c.Fetch(limit(t), source.FetchRequest{Topic: "secured", MaxBytes: 1000}, nil)
		return err
	}
	good := []source.SASL{
		{Mechanism: "PLAIN", Username: "bob", Password: "bob-secret"},
		{Mechanism: "SCRAM-SHA-256", Username: "alice", Password: "alice-secret"},
		{Mechanism: "SCRAM-SHA-512", Username: "alice", Password: "alice-secret"},
	}
	for _, s := range good {
		if err := try(source.Options{Brokers: []string{k.SASLAddr()}, TLS: trusting, SASL: &s}); err != nil {
			t.Error(s.Mechanism, err)
		}
		s.Password = "wrong"
		err := try(source.Options{Brokers: []string{k.SASLAddr()}, TLS: trusting, SASL: &s})
		var ke *source.KafkaError
		if !errors.As(err, &ke) || ke.Retriable() || ke.Request != "SaslAuthenticate" {
			t.Error(s.Mechanism, err)
		}
	}
	if err := try(source.Options{Brokers: []string{k.TLSAddr()}, TLS: trusting}); err != nil {
		t.Error(err)
	}
	if err := try(source.Options{Brokers: []string{k.TLSAddr()}, TLS: &tls.Config{}}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}

// Two producers interleave, some transactions abort, and answers are so small that transactions reach over many of them.
func sourceTransactions(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "txn", 1)
	c := sourceOpen(t, source.Options{Brokers: []string{k.Addr()}})
	ctx := limit(t)
	var producers []*kgo.Client
	for i := range 2 {
		cl, err := kgo.NewClient(kgo.SeedBrokers(k.Addr()), kgo.TransactionalID(fmt.Sprint("source", i)), kgo.DefaultProduceTopic("txn"), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		producers = append(producers, cl)
	}
	var want []string
	for round := range 10 {
		for i, p := range producers {
			if round%2 == 0 || i == 0 { // the second's transactions last two rounds
				if err := p.BeginTransaction(); err != nil {
					t.Fatal(err)
				}
			}
		}
		keep := []bool{round%3 == 0, round/2%2 == 0}
		for n := range 10 {
			for i, p := range producers {
				v := fmt.Sprintf("round %d producer %d record %d", round, i, n)
				if err := p.ProduceSync(ctx, kgo.StringRecord(v)).FirstErr(); err != nil {
					t.Fatal(err)
				}
				if keep[i] {
					want = append(want, v)
				}
			}
		}
		for i, p := range producers {
			if round%2 == 1 || i == 0 {
				if err := p.EndTransaction(ctx, kgo.TransactionEndTry(keep[i])); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, maxBytes := range []int32{1, 500, 3000, 1 << 20} {
		deadline := time.Now().Add(apptest.Patience) // the last markers come after the answer to the end of the transaction
		for {
			got, next := sourceRead(t, c, "txn", maxBytes)
			end, err := c.Offsets(ctx, "txn", 0, source.Latest)
			if err == nil && slices.Equal(got, want) && next == end {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d bytes: %d values of %d, next %d of %d, %v", maxBytes, len(got), len(want), next, end, err)
			}
		}
	}
}

func sourceMetadata(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "meta", 3)
	c := sourceOpen(t, source.Options{Brokers: []string{k.Addr()}})
	m := sourceMember(t, c, "meta", "")
	g := sourceJoin(t, m)
	before, err := c.FetchOffsets(limit(t), "group-meta", map[string][]int32{"meta": {0, 1, 2}})
	if err != nil || before[1].Offset != -1 {
		t.Fatal(before, err)
	}
	commits := []source.OffsetCommit{{Topic: "meta", Partition: 0, Offset: 3, LeaderEpoch: -1, Metadata: strings.Repeat("x", 4096)},
		{Topic: "meta", Partition: 1, Offset: 4, LeaderEpoch: -1, Metadata: strings.Repeat("x", 4097)},
		{Topic: "meta", Partition: 2, Offset: -1, LeaderEpoch: -1, Metadata: "no offset yet"}}
	var refused *source.RefusedError
	if err := g.Commit(limit(t), commits); !errors.As(err, &refused) {
		t.Fatal(err)
	}
	for _, p := range refused.Partitions {
		if (p.Code == 12) != (p.Partition == 1) {
			t.Fatal(refused.Partitions)
		}
	}
	after, err := c.FetchOffsets(limit(t), "group-meta", map[string][]int32{"meta": {0, 1, 2}})
	if err != nil || after[0].Offset != 3 || len(after[0].Metadata) != 4096 || after[1].Offset != -1 || after[2].Metadata != "no offset yet" {
		t.Fatal(err)
	}
	if none, err := c.FetchOffsets(limit(t), "no-such-group", map[string][]int32{"meta": {0}}); err != nil || none[0].Offset != -1 {
		t.Fatal(none, err)
	}
}

// A static member that comes back with nothing but its name gets what it had, and the others notice nothing.
func sourceStatic(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "static", 4)
	c := sourceOpen(t, source.Options{Brokers: []string{k.Addr()}})
	a, b := sourceMember(t, c, "static", "pod-0"), sourceMember(t, c, "static", "pod-1")
	ga, gb := sourceBoth(t, a, b)
	if len(ga.Slots()) != 2 || len(gb.Slots()) != 2 {
		t.Fatal(ga.Slots(), gb.Slots())
	}
	for _, name := range []string{"pod-0", "pod-1"} { // one of them leads
		old := map[string]*source.Generation{"pod-0": ga, "pod-1": gb}[name]
		again := sourceJoin(t, sourceMember(t, c, "static", name))
		if again.ID() != old.ID() || again.MemberID() == old.MemberID() || !slices.Equal(again.Slots(), old.Slots()) {
			t.Fatal(name, again.ID(), old.ID(), again.Slots(), old.Slots())
		}
		select {
		case <-old.Ended():
		case <-time.After(apptest.Patience):
			t.Fatal(name, "was not fenced")
		}
		var ke *source.KafkaError
		if !errors.As(old.Err(), &ke) || ke.Code != 82 {
			t.Fatal(old.Err())
		}
	}
}

// A static member whose topics have changed is not left with what it had.
func sourceNewTopic(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "first", 2)
	topic(t, k, "second", 3)
	c := sourceOpen(t, source.Options{Brokers: []string{k.Addr()}})
	member := func(topics ...string) *source.Member {
		return source.NewMember(c, source.MemberOptions{Group: "new-topic", InstanceID: "pod-0", Topics: topics,
			Layout: func(context.Context) (ls []source.Layout, err error) {
				for _, topic := range topics {
					ls = append(ls, source.Layout{Topic: topic, Partitions: 2, Width: 1})
				}
				return ls, nil
			}})
	}
	before := member("first")
	if g := sourceJoin(t, before); len(g.Slots()) != 2 {
		t.Fatal(g.Slots())
	}
	if err := before.Leave(limit(t)); err != nil {
		t.Fatal(err)
	}
	after := member("first", "second")
	if g := sourceJoin(t, after); len(g.Slots()) != 4 {
		t.Fatal(g.Slots())
	}
	if err := after.Remove(limit(t)); err != nil {
		t.Fatal(err)
	}
}

// The broker is asked whether it still has what was read, by the epoch; a newer one than its own it cannot have.
func sourceTruncated(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "truncated", 1)
	c := sourceOpen(t, source.Options{Brokers: []string{k.Addr()}})
	ctx := limit(t)
	if err := c.Produce(ctx, "truncated", 0, []source.ProduceRecord{{Value: []byte("a")}, {Value: []byte("b")}}); err != nil {
		t.Fatal(err)
	}
	d, err := c.Describe(ctx, "truncated")
	if err != nil {
		t.Fatal(err)
	}
	f := source.FetchRequest{Topic: "truncated", Offset: 1, MaxBytes: 1000, CheckEpoch: true, LastEpoch: d.Topics["truncated"].Partitions[0].LeaderEpoch}
	if got, err := c.Fetch(ctx, f, nil); err != nil || len(got.Batches) == 0 {
		t.Fatal(err)
	}
	f.LastEpoch += 5
	var te *source.TruncatedError
	if _, err := c.Fetch(ctx, f, nil); !errors.As(err, &te) {
		t.Fatal(err)
	}
}

func sourceBoth(t *testing.T, a, b *source.Member) (*source.Generation, *source.Generation) {
	t.Helper()
	first := sourceJoin(t, a)
	joined := make(chan *source.Generation, 1)
	go func() {
		g, err := b.Join(limit(t))
		if err != nil {
			t.Error(err)
		}
		joined <- g
	}()
	<-first.Rebalance()
	for range 3 { // while it drains it is alive, and its commits count
		if err := first.Heartbeat(limit(t)); err != nil {
			t.Error(err)
		}
	}
	second := sourceJoin(t, a)
	other := <-joined
	if other == nil || other.ID() != second.ID() {
		t.Fatal("no common generation")
	}
	return second, other
}

// 27 is alive, 25 is the end.
func sourceCodes(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "codes", 2)
	c := sourceOpen(t, source.Options{Brokers: []string{k.Addr()}})
	a, b := sourceMember(t, c, "codes", ""), sourceMember(t, c, "codes", "")
	ga, gb := sourceBoth(t, a, b)
	if err := b.Leave(limit(t)); err != nil {
		t.Fatal(err)
	}
	if err := gb.Heartbeat(limit(t)); err == nil {
		t.Fatal("a heartbeat after leaving")
	}
	<-ga.Rebalance()
	select {
	case <-ga.Ended():
		t.Fatal(ga.Err())
	default:
	}
	// It misses the rebalance timeout and is removed, though it sends heartbeats all the time.
	bAgain := make(chan error, 1)
	go func() { _, err := b.Join(limit(t)); bAgain <- err }()
	select {
	case <-ga.Ended():
	case <-limit(t).Done():
		t.Fatal("still a member")
	}
	var ke *source.KafkaError
	if !errors.As(ga.Err(), &ke) || ke.Code != 25 {
		t.Fatal(ga.Err())
	}
	if err := <-bAgain; err != nil {
		t.Fatal(err)
	}
}

func sourceLarge(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "large", 1)
	c := sourceOpen(t, source.Options{Brokers: []string{k.Addr()}})
	v := bytes.Repeat([]byte("0123456789"), 90_000)
	var rs []source.ProduceRecord
	for range 5 {
		rs = append(rs, source.ProduceRecord{Key: []byte("k"), Value: v})
	}
	if err := c.Produce(limit(t), "large", -1, rs); err != nil {
		t.Fatal(err)
	}
	if got, next := sourceRead(t, c, "large", 1000); len(got) != 5 || next != 5 || got[4] != string(v) {
		t.Fatal(len(got), next)
	}
	var ke *source.KafkaError
	err := c.Produce(limit(t), "large", 0, []source.ProduceRecord{{Value: sourceRandom(2 << 20)}})
	if !errors.As(err, &ke) || ke.Code != 10 || ke.Retriable() {
		t.Fatal(err)
	}
}

// A generation survives the broker: killed and started again, it knows member and generation, and commits count.
func sourceKilled(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "killed", 2)
	c := sourceOpen(t, source.Options{Brokers: []string{k.Addr()}, RequestTimeout: 30 * time.Second})
	m := sourceMember(t, c, "killed", "")
	g := sourceJoin(t, m)
	commit := func(offset int64) error {
		return g.Commit(limit(t), []source.OffsetCommit{{Topic: "killed", Partition: 0, Offset: offset, LeaderEpoch: -1, Metadata: "m"}})
	}
	if err := commit(1); err != nil {
		t.Fatal(err)
	}
	if err := k.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := k.Start(limit(t)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(apptest.Patience); ; time.Sleep(100 * time.Millisecond) {
		err := commit(2)
		if err == nil {
			break
		}
		var refused *source.RefusedError
		var unsure *source.UnsureError
		if g.Err() != nil || time.Now().After(deadline) || !errors.As(err, &refused) && !errors.As(err, &unsure) {
			t.Fatal(err, g.Err())
		}
	}
	if err := g.Heartbeat(limit(t)); err != nil {
		t.Fatal(err)
	}
	if s, err := c.FetchOffsets(limit(t), "group-killed", map[string][]int32{"killed": {0}}); err != nil || s[0].Offset != 2 {
		t.Fatal(s, err)
	}
	if _, next := sourceRead(t, c, "killed", 1000); next != 0 {
		t.Fatal(next)
	}
}

// A broker that stands still takes a commit and does not answer: the membership ends, and the next one commits under another id.
func sourcePaused(t *testing.T, k *stack.KafkaServer) {
	topic(t, k, "paused", 1)
	c := sourceOpen(t, source.Options{Brokers: []string{k.Addr()}, RequestTimeout: 20 * time.Second})
	m := sourceMember(t, c, "paused", "")
	g := sourceJoin(t, m)
	commits := []source.OffsetCommit{{Topic: "paused", Offset: 7, LeaderEpoch: -1, Metadata: "m"}}
	if err := g.Commit(limit(t), commits); err != nil {
		t.Fatal(err)
	}
	if err := k.Pause(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := g.Commit(ctx, commits)
	var un *source.UnansweredError
	if !errors.As(err, &un) || time.Since(began) > time.Minute || g.Err() == nil { // the broker would stand still for ever
		t.Error(err, g.Err())
	}
	if err := k.Resume(); err != nil {
		t.Fatal(err)
	}
	next := sourceJoin(t, m)
	if next.MemberID() == g.MemberID() {
		t.Fatal("the same member id")
	}
	if err := next.Commit(limit(t), commits); err != nil {
		t.Fatal(err)
	}
}
