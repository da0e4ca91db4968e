package stack_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/sluicekit/sluice/integration/stack"
)

// kafkaClient answers a client whose connections end with the test.
func kafkaClient(t *testing.T, addr string, tlsConfig *tls.Config, mechanism sasl.Mechanism) *kafka.Client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	transport := &kafka.Transport{Context: ctx, MetadataTTL: 100 * time.Millisecond, TLS: tlsConfig, SASL: mechanism}
	t.Cleanup(func() {
		cancel()
		transport.CloseIdleConnections()
	})
	return &kafka.Client{Addr: kafka.TCP(addr), Transport: transport, Timeout: time.Minute}
}

func produce(ctx context.Context, c *kafka.Client, topic, value string) error {
	resp, err := c.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, RequiredAcks: kafka.RequireAll,
		Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte(value))}),
	})
	if err != nil {
		return err
	}
	return resp.Error
}

func fetch(ctx context.Context, c *kafka.Client, topic string, offset int64) (string, error) {
	resp, err := c.Fetch(ctx, &kafka.FetchRequest{Topic: topic, Offset: offset, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Second})
	if err != nil {
		return "", err
	}
	if resp.Error != nil {
		return "", resp.Error
	}
	record, err := resp.Records.ReadRecord()
	if err != nil {
		return "", err
	}
	value, err := kafka.ReadAll(record.Value)
	return string(value), err
}

func mustProduce(t *testing.T, ctx context.Context, c *kafka.Client, topic, value string) {
	t.Helper()
	if err := produce(ctx, c, topic, value); err != nil {
		t.Fatalf("produce %q: %v", value, err)
	}
}

func mustFetch(t *testing.T, ctx context.Context, c *kafka.Client, topic string, offset int64, want string) {
	t.Helper()
	if got, err := fetch(ctx, c, topic, offset); err != nil || got != want {
		t.Fatalf("fetch offset %d: got %q, %v; want %q", offset, got, err, want)
	}
}

func TestKafkaKeepsAcknowledgedRecords(t *testing.T) {
	k := stack.Kafka(t)
	ctx := timeLimit(t, 5*time.Minute)
	if err := k.CreateTopic(ctx, "t", 1, nil); err != nil {
		t.Fatal(err)
	}
	c := kafkaClient(t, k.Addr(), nil, nil)
	mustProduce(t, ctx, c, "t", "one")
	first := k.Pid()
	if err := k.Kill(); err != nil {
		t.Fatal(err)
	}
	if k.Pid() != 0 || alive(first) {
		t.Errorf("pid %d after kill, %d is alive: %t", k.Pid(), first, alive(first))
	}
	if err := k.Start(ctx); err != nil {
		t.Fatal(err)
	}
	c = kafkaClient(t, k.Addr(), nil, nil) // the old one's connections are broken
	mustFetch(t, ctx, c, "t", 0, "one")
	mustProduce(t, ctx, c, "t", "two")
	if err := k.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := k.Start(ctx); err != nil {
		t.Fatal(err)
	}
	mustFetch(t, ctx, kafkaClient(t, k.Addr(), nil, nil), "t", 1, "two")
	if err := k.Start(ctx); err == nil {
		t.Error("a running broker was started")
	}
}

func TestKafkaTopics(t *testing.T) {
	k := servers.Kafka(t)
	ctx := timeLimit(t, 5*time.Minute)
	if err := k.CreateTopic(ctx, "topics", 3, map[string]string{"cleanup.policy": "compact"}); err != nil {
		t.Fatal(err)
	}
	var refused *stack.KafkaError
	if err := k.CreateTopic(ctx, "topics", 3, nil); !errors.As(err, &refused) || refused.Code != int16(kafka.TopicAlreadyExists) {
		t.Errorf("second creation: %v", err)
	}
	c := kafkaClient(t, k.Addr(), nil, nil)
	meta, err := c.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{"topics"}})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(meta.Topics[0].Partitions); n != 3 {
		t.Errorf("%d partitions, want 3", n)
	}
	if err := k.DeleteTopic(ctx, "topics"); err != nil {
		t.Fatal(err)
	}
	if err := k.DeleteTopic(ctx, "topics"); !errors.As(err, &refused) {
		t.Errorf("second deletion: %v", err)
	}
}

func TestKafkaPause(t *testing.T) {
	k := stack.Kafka(t)
	ctx := timeLimit(t, 5*time.Minute)
	if err := k.Pause(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if err := k.CreateTopic(short, "t", 1, nil); err == nil {
		t.Error("a paused broker answered")
	}
	if err := k.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := k.CreateTopic(ctx, "u", 1, nil); err != nil {
		t.Fatal(err)
	}
	// Stopping must not wait for a paused broker for ever.
	if err := k.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := k.Stop(); err != nil {
		t.Error(err)
	}
	if err := k.Pause(); err == nil {
		t.Error("a stopped broker was paused")
	}
}

func TestKafkaSecurity(t *testing.T) {
	k := stack.KafkaWith(t, stack.KafkaOptions{TLS: true})
	ctx := timeLimit(t, 5*time.Minute)
	if err := k.CreateTopic(ctx, "t", 1, nil); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(k.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the file of the authority")
	}
	own, err := tls.LoadX509KeyPair(k.ClientFiles())
	if err != nil {
		t.Fatal(err)
	}
	mechanism := func(m sasl.Mechanism, err error) sasl.Mechanism {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for name, c := range map[string]*kafka.Client{
		"tls":           kafkaClient(t, k.TLSAddr(), &tls.Config{RootCAs: roots}, nil),
		"mutual tls":    kafkaClient(t, k.TLSAddr(), &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}}, nil),
		"scram-sha-256": kafkaClient(t, k.SASLAddr(), &tls.Config{RootCAs: roots}, mechanism(scram.Mechanism(scram.SHA256, "alice", "alice-secret"))),
		"scram-sha-512": kafkaClient(t, k.SASLAddr(), &tls.Config{RootCAs: roots}, mechanism(scram.Mechanism(scram.SHA512, "alice", "alice-secret"))),
		"plain":         kafkaClient(t, k.SASLAddr(), &tls.Config{RootCAs: roots}, plain.Mechanism{Username: "bob", Password: "bob-secret"}),
	} {
		if err := produce(ctx, c, "t", name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := kafkaClient(t, k.SASLAddr(), &tls.Config{RootCAs: roots}, plain.Mechanism{Username: "bob", Password: "wrong"})
	if err := produce(ctx, wrong, "t", "wrong"); err == nil {
		t.Error("a wrong password was accepted")
	}
}

func TestKafkaBehindProxy(t *testing.T) {
	k, p := stack.KafkaBehindProxy(t, stack.KafkaOptions{})
	ctx := timeLimit(t, 5*time.Minute)
	if err := k.CreateTopic(ctx, "t", 1, nil); err != nil {
		t.Fatal(err)
	}
	direct := kafkaClient(t, k.Addr(), nil, nil)
	c := kafkaClient(t, p.Addr(), nil, nil)
	mustProduce(t, ctx, c, "t", "one")

	commit := func(offset int64) error {
		resp, err := c.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
			GroupID: "g", GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{"t": {{Offset: offset}}},
		})
		if err != nil {
			return err
		}
		return resp.Topics["t"][0].Error
	}
	if err := commit(1); err != nil {
		t.Fatal(err)
	}
	hook, hit := stack.Once(stack.KafkaKey(8), stack.CutAnswer)
	p.OnRequest(hook)
	if err := commit(2); err == nil {
		t.Error("the commit whose answer was cut succeeded")
	}
	<-hit
	p.OnRequest(nil)

	// The broker has done it. Ask through the proxy: the address that a broker
	// gives its clients leads there in any case.
	resp, err := c.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: "g", Topics: map[string][]int{"t": {0}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Topics["t"][0].CommittedOffset; got != 2 {
		t.Errorf("committed offset %d, want 2", got)
	}

	p.Refuse()
	p.Sever()
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := produce(short, direct, "t", "two"); err == nil {
		t.Error("a client came past the proxy")
	}
	if err := k.CreateTopic(ctx, "u", 1, nil); err != nil {
		t.Errorf("the server's own methods must not need the proxy: %v", err)
	}
	if err := p.Accept(); err != nil {
		t.Fatal(err)
	}
	mustProduce(t, ctx, kafkaClient(t, p.Addr(), nil, nil), "t", "three")
}

func TestKafkaSaysWhyItDoesNotStart(t *testing.T) {
	_, err := stack.StartKafka(timeLimit(t, 5*time.Minute), stack.KafkaOptions{Properties: map[string]string{"num.io.threads": "many"}})
	if err == nil || !strings.Contains(err.Error(), "num.io.threads") {
		t.Errorf("error without the broker's own words: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := stack.StartKafka(short, stack.KafkaOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("start in no time: %v", err)
	}
}

func TestKafkaCloseFreesEverything(t *testing.T) {
	k, err := stack.StartKafka(timeLimit(t, 5*time.Minute), stack.KafkaOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pid, addr, log := k.Pid(), k.Addr(), k.LogFile()
	for range 2 {
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if alive(pid) {
		t.Errorf("pid %d is alive", pid)
	}
	if _, err := os.Stat(log); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if conn, err := net.Dial("tcp4", addr); err == nil {
		conn.Close()
		t.Error("somebody listens on the broker's port")
	}
}
