package stack

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaClient sends single requests to a broker, each on a connection of its
// own. The client libraries keep goroutines in the background that could not be
// waited for in a Close, and tests look for goroutines left over.
type kafkaClient struct{}

func (kafkaClient) do(ctx context.Context, addr string, req kmsg.Request, resp kmsg.Response) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(2 * time.Minute)
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	resp.SetVersion(req.GetVersion())
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("sluice-stack"))
	if _, err := conn.Write(f.AppendRequest(nil, req, 1)); err != nil {
		return fmt.Errorf("send %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return fmt.Errorf("receive %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 4 || n > 64<<20 {
		return fmt.Errorf("receive %s: answer of %d bytes", kmsg.NameForKey(req.Key()), n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(conn, body); err != nil {
		return fmt.Errorf("receive %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	body = body[4:] // the correlation id
	if resp.IsFlexible() && len(body) > 0 {
		body = body[1:] // the header's tags, of which there are none
	}
	if err := resp.ReadFrom(body); err != nil {
		return fmt.Errorf("read %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	return nil
}

// KafkaError is an error code in a broker's answer.
type KafkaError struct {
	Code    int16
	Message string
}

func (e *KafkaError) Error() string {
	return fmt.Sprintf("kafka error %d %s", e.Code, e.Message)
}

func kafkaError(code int16, message *string) error {
	if code == 0 {
		return nil
	}
	e := &KafkaError{Code: code}
	if message != nil {
		e.Message = *message
	}
	return e
}

// The error codes that the admin calls look at.
const (
	codeUnknownTopic = 3
)

// probe is one attempt to find the broker serving: it lists itself once the
// controller has let it in.
func (k *KafkaServer) probe(ctx context.Context) error {
	meta, err := k.metadata(ctx)
	if err != nil {
		return err
	}
	if len(meta.Brokers) == 0 {
		return errors.New("the broker is still fenced")
	}
	return nil
}

func (k *KafkaServer) metadata(ctx context.Context, topics ...string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(9)
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	resp := kmsg.NewPtrMetadataResponse()
	if err := k.client.do(ctx, k.address(portInternal), req, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// warm asks for the coordinator of a group until it answers: the first question
// makes the broker create the topic of offsets, and a test's first group would
// otherwise pay seconds for that. All groups' partitions come into being at once.
func (k *KafkaServer) warm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		err := k.askGroup(ctx)
		if err == nil {
			return nil
		}
		if sleep(ctx, 20*time.Millisecond) != nil {
			return err
		}
	}
}

func (k *KafkaServer) askGroup(ctx context.Context) error {
	const group = "sluice-stack-warm"
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.SetVersion(3)
	find.CoordinatorKey = group
	found := kmsg.NewPtrFindCoordinatorResponse()
	if err := k.client.do(ctx, k.address(portInternal), find, found); err != nil {
		return err
	}
	if err := kafkaError(found.ErrorCode, found.ErrorMessage); err != nil {
		return err
	}
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.SetVersion(7)
	fetch.Group = group
	fetched := kmsg.NewPtrOffsetFetchResponse()
	if err := k.client.do(ctx, k.address(portInternal), fetch, fetched); err != nil {
		return err
	}
	return kafkaError(fetched.ErrorCode, nil)
}

// CreateTopic creates a topic and returns when all its partitions have a leader.
func (k *KafkaServer) CreateTopic(ctx context.Context, name string, partitions int, configs map[string]string) error {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, int32(partitions), 1
	for key, value := range configs {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = key, &value
		t.Configs = append(t.Configs, c)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(5)
	req.TimeoutMillis = 15000
	req.Topics = append(req.Topics, t)
	resp := kmsg.NewPtrCreateTopicsResponse()
	if err := k.client.do(ctx, k.address(portInternal), req, resp); err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	for _, t := range resp.Topics {
		if err := kafkaError(t.ErrorCode, t.ErrorMessage); err != nil {
			return fmt.Errorf("create topic %s: %w", name, err)
		}
	}
	if err := k.waitTopic(ctx, name, led(partitions)); err != nil {
		return fmt.Errorf("create topic %s: wait for leaders: %w", name, err)
	}
	return nil
}

// led says whether a topic has so many partitions, and all of them a leader.
func led(partitions int) func(*kmsg.MetadataResponseTopic) bool {
	return func(t *kmsg.MetadataResponseTopic) bool {
		return t.ErrorCode == 0 && len(t.Partitions) == partitions &&
			!slices.ContainsFunc(t.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.ErrorCode != 0 || p.Leader < 0 })
	}
}

// DeleteTopic deletes a topic and returns when the broker no longer knows it.
func (k *KafkaServer) DeleteTopic(ctx context.Context, name string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.SetVersion(5)
	req.TimeoutMillis = 15000
	req.TopicNames = []string{name}
	resp := kmsg.NewPtrDeleteTopicsResponse()
	if err := k.client.do(ctx, k.address(portInternal), req, resp); err != nil {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	for _, t := range resp.Topics {
		if err := kafkaError(t.ErrorCode, t.ErrorMessage); err != nil {
			return fmt.Errorf("delete topic %s: %w", name, err)
		}
	}
	if err := k.waitTopic(ctx, name, func(t *kmsg.MetadataResponseTopic) bool {
		return t.ErrorCode == codeUnknownTopic
	}); err != nil {
		return fmt.Errorf("delete topic %s: wait until it is gone: %w", name, err)
	}
	return nil
}

func (k *KafkaServer) waitTopic(ctx context.Context, name string, done func(*kmsg.MetadataResponseTopic) bool) error {
	for {
		meta, err := k.metadata(ctx, name)
		if err != nil {
			return err
		}
		if len(meta.Topics) == 1 && done(&meta.Topics[0]) {
			return nil
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}
