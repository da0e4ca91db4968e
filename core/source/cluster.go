package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Cluster is a Kafka cluster. It is safe for concurrent use; Close ends everything that is still under way.
type Cluster struct {
	o     Options
	sasl  sasl.Mechanism
	conns connections
	corr  atomic.Int32

	packer packer

	mu           sync.Mutex
	closed       bool
	pools        map[string]*node // by address
	brokers      map[int32]string // node id to address, from the last metadata
	leaders      map[topicPartition]leader
	fresh        map[string]time.Time // topic to when its leaders were learned
	coordinators map[string]string    // group to address

	asking  chan struct{} // tokens of requests about single partitions: hundreds of lanes ask at once
	refresh chan struct{} // one metadata refresh at a time: many partitions notice a lost leader together
}

type topicPartition struct {
	topic     string
	partition int32
}

type leader struct {
	node, epoch int32
}

// Open checks the options. It does not connect: a stream starts, and waits, while its cluster is down.
func Open(o Options) (*Cluster, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	m, err := o.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	return &Cluster{
		o: o, sasl: m,
		pools: make(map[string]*node), brokers: make(map[int32]string), leaders: make(map[topicPartition]leader),
		fresh: make(map[string]time.Time), coordinators: make(map[string]string), refresh: make(chan struct{}, 1), asking: make(chan struct{}, maxAsking),
	}, nil
}

// Close breaks all connections and returns when none is in use. Calls under way fail.
func (c *Cluster) Close() {
	c.mu.Lock()
	c.closed = true
	pools := c.pools
	c.pools = nil
	c.mu.Unlock()
	for _, n := range pools {
		n.close()
	}
	c.conns.shutdown()
}

// node returns the pool of an address.
func (c *Cluster) node(address string) (*node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, &ConnError{Request: "any request", Address: address, Err: errClosed}
	}
	if n := c.pools[address]; n != nil {
		return n, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{
		cancel: cancel, addr: kafka.TCP(address), address: address, corr: &c.corr, clientID: c.o.ClientID, limit: c.o.MaxResponse,
		transport: &kafka.Transport{
			Context: ctx, Dial: c.conns.dial, DialTimeout: c.o.DialTimeout, ClientID: c.o.ClientID, TLS: c.o.TLS, SASL: c.sasl,
			// kafka-go wants metadata of its own before it sends anything. We do not use it: no topics, rarely, and not waiting for
			// long when a broker takes connections but answers nothing.
			MetadataTopics: []string{}, MetadataTTL: 20 * time.Second,
		},
	}
	c.pools[address] = n
	return n, nil
}

// brokerNode returns the pool of a node id.
func (c *Cluster) brokerNode(id int32) (*node, error) {
	c.mu.Lock()
	address, ok := c.brokers[id]
	c.mu.Unlock()
	if !ok {
		return nil, &ConnError{Request: "any request", Address: "node " + strconv.Itoa(int(id)), Err: errors.New("node is not in the metadata")}
	}
	return c.node(address)
}

// anyNode sends a request to the first broker that answers: those of the last metadata, then those of the options.
func (c *Cluster) anyNode(ctx context.Context, x exchange) (kmsg.Response, error) {
	var errs []error
	for _, address := range c.addresses() {
		n, err := c.node(address)
		if err != nil {
			return nil, err
		}
		r, _, err := n.do(ctx, x)
		if err == nil {
			return r, nil
		}
		errs = append(errs, err)
		var ke *KafkaError
		if ctx.Err() != nil || errors.As(err, &ke) {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (c *Cluster) addresses() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := make(map[string]bool, len(c.brokers)+len(c.o.Brokers))
	var out []string
	add := func(a string) {
		if !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	for _, a := range c.brokers { // random order spreads the load
		add(a)
	}
	for _, a := range c.o.Brokers {
		add(a)
	}
	return out
}

// setBrokers takes over the addresses of a metadata answer and drops the pools of those that left.
func (c *Cluster) setBrokers(brokers []kmsg.MetadataResponseBroker) {
	if len(brokers) == 0 {
		return
	}
	now := make(map[int32]string, len(brokers))
	keep := make(map[string]bool, len(brokers)+len(c.o.Brokers))
	for _, b := range brokers {
		now[b.NodeID] = hostPort(b.Host, b.Port)
		keep[now[b.NodeID]] = true
	}
	for _, a := range c.o.Brokers {
		keep[a] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.brokers = now
	for _, a := range c.coordinators {
		keep[a] = true
	}
	for a, n := range c.pools {
		if !keep[a] {
			n.close()
			delete(c.pools, a)
		}
	}
}

func hostPort(host string, port int32) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

func object(topic string, partition int32) string {
	return fmt.Sprintf("%s/%d", topic, partition)
}
