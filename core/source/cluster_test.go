package source

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// breakable is a network whose connections the test can close from the broker's side.
type breakable struct {
	mu    sync.Mutex
	conns []net.Conn
}

type breakableListener struct {
	net.Listener
	b *breakable
}

func (l breakableListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.b.mu.Lock()
		l.b.conns = append(l.b.conns, c)
		l.b.mu.Unlock()
	}
	return c, err
}

func (b *breakable) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	return breakableListener{l, b}, err
}

func (b *breakable) closeAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		c.Close()
	}
	b.conns = nil
}

// A broker that closed its idle connections must not cost a commit, and with it the membership.
func TestStaleConnections(t *testing.T) {
	server, client := certificates(t)
	for name, tc := range map[string]*tls.Config{"plain": nil, "tls": client} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			var b breakable
			opts := []kfake.Opt{kfake.ListenFn(b.listen)}
			if tc != nil {
				opts = append(opts, kfake.TLS(server))
			}
			c, err := Open(Options{Brokers: fake(t, opts...).ListenAddrs(), TLS: tc})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			staleConnections(t, c, &b)
		})
	}
}

func staleConnections(t *testing.T, c *Cluster, b *breakable) {
	g := join(t, newTestMember(t, c, func(o *MemberOptions) { o.Heartbeat, o.Session = 10*time.Second, 30*time.Second }))
	for range 20 {
		var wait sync.WaitGroup
		for range 4 { // fills the pool with idle connections
			wait.Go(func() {
				if err := g.Heartbeat(deadline(t)); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		b.closeAll()
		time.Sleep(5 * time.Millisecond)
		if err := g.Commit(deadline(t), twoParts); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFetchEndsWithContext(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c := open(t, k)
	buf := make([]byte, 1<<16)
	for range 10 {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		began := time.Now()
		f, err := c.Fetch(ctx, FetchRequest{Topic: "events", MaxBytes: 1 << 20, MaxWait: time.Minute}, buf)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 30*time.Second {
			t.Fatal(err, time.Since(began))
		}
		clear(f.Buf[:cap(f.Buf)]) // ours again: the race detector watches
	}
}

func TestCloseEndsCalls(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c := open(t, k)
	failed := make(chan error)
	go func() {
		_, err := c.Fetch(deadline(t), FetchRequest{Topic: "events", MaxBytes: 1 << 20, MaxWait: time.Minute}, nil)
		failed <- err
	}()
	time.Sleep(100 * time.Millisecond)
	c.Close()
	if err := <-failed; err == nil {
		t.Fatal("no error")
	}
	if _, err := c.Describe(deadline(t), "events"); !errors.Is(err, errClosed) {
		t.Fatal(err)
	}
}

func TestLeaderMoves(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c := open(t, k)
	fetch := func() error {
		_, err := c.Fetch(deadline(t), FetchRequest{Topic: "events", MaxBytes: 1 << 20}, nil)
		return err
	}
	for range 4 {
		if err := fetch(); err != nil {
			t.Fatal(err)
		}
		to := 1 - k.LeaderFor("events", 0)
		if err := k.MoveTopicPartition("events", 0, to); err != nil {
			t.Fatal(err)
		}
		var ke *KafkaError
		if err := fetch(); !errors.As(err, &ke) || !ke.Retriable() {
			t.Fatal(err)
		}
	}
	for _, e := range []*kerr.Error{kerr.UnknownTopicOrPartition, kerr.LeaderNotAvailable, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch} {
		k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: e})
		if err := fetch(); !isCode(err, e.Code) {
			t.Fatal(err)
		}
		if _, known := c.knownLeader(topicPartition{"events", 0}); known {
			t.Fatal("the leader was not forgotten after", e)
		}
		if err := fetch(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOffsets(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c := open(t, k)
	ctx := deadline(t)
	base := time.UnixMilli(1_700_000_000_000)
	for i := range 5 {
		if err := c.Produce(ctx, "events", 2, []ProduceRecord{{Value: []byte("v"), Timestamp: base.Add(time.Duration(i) * time.Second)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.DeleteRecords("events", 2, 1); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		at   Position
		want int64
	}{{Earliest, 1}, {Latest, 5}, {AtTime(base.Add(1500 * time.Millisecond)), 2}, {AtTime(base.Add(4 * time.Second)), 4}, {AtTime(base.Add(time.Hour)), 5}} {
		if got, err := c.Offsets(ctx, "events", 2, x.at); err != nil || got != x.want {
			t.Fatal(x, got, err)
		}
	}
	var out *OutOfRangeError
	for _, offset := range []int64{0, 6} {
		_, err := c.Fetch(ctx, FetchRequest{Topic: "events", Partition: 2, Offset: offset, MaxBytes: 1000}, nil)
		if !errors.As(err, &out) || out.LogStart != 1 || out.End != 5 || out.Offset != offset {
			t.Fatal(err)
		}
	}
	if _, err := c.Describe(ctx, "events", "nothing"); !isCode(err, 3) || !strings.Contains(err.Error(), "nothing") {
		t.Fatal(err)
	}
	if _, err := c.Fetch(ctx, FetchRequest{Topic: "events", Partition: 99, MaxBytes: 1000}, nil); !isCode(err, codeLeaderNotAvailable) {
		t.Fatal(err)
	}
}

func TestTruncated(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c := open(t, k)
	k.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		asked := r.(*kmsg.FetchRequest).Topics[0].Partitions[0]
		if asked.LastFetchedEpoch != 4 {
			t.Error("asked about epoch", asked.LastFetchedEpoch)
		}
		res := r.ResponseKind().(*kmsg.FetchResponse)
		p := kmsg.NewFetchResponseTopicPartition()
		p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = 3, 70
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = "events"
		topic.Partitions = append(topic.Partitions, p)
		res.Topics = append(res.Topics, topic)
		return res, nil, true
	})
	_, err := c.Fetch(deadline(t), FetchRequest{Topic: "events", Offset: 100, MaxBytes: 1000, CheckEpoch: true, LastEpoch: 4}, nil)
	var te *TruncatedError
	if !errors.As(err, &te) || *te != (TruncatedError{Topic: "events", Offset: 100, End: 70, Epoch: 3}) {
		t.Fatal(err)
	}
}

func TestProduce(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c := open(t, k)
	ctx := deadline(t)
	large := strings.Repeat("x", 300_000)
	var rs []ProduceRecord
	for i := range 10 { // more than one batch
		rs = append(rs, ProduceRecord{Key: []byte{byte(i)}, Value: []byte(large)})
	}
	rs = append(rs, ProduceRecord{Key: []byte("null")})
	if err := c.Produce(ctx, "events", 1, rs); err != nil {
		t.Fatal(err)
	}
	gs, _ := readAll(t, c, "events", 1)
	if len(gs) != 11 || gs[9].value != large || gs[9].key != "\x09" {
		t.Fatal(len(gs))
	}
	for range 2 { // by key: the same place again
		if err := c.Produce(ctx, "events", -1, []ProduceRecord{{Key: []byte("customer-7"), Value: []byte("v")}}); err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	for p := range int32(4) {
		n := 0
		gs, _ := readAll(t, c, "events", p)
		for _, g := range gs {
			if g.key == "customer-7" {
				n++
			}
		}
		if n == 2 {
			found++
		}
	}
	if found != 1 {
		t.Fatal(found)
	}
	k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas})
	if err := c.Produce(ctx, "events", 0, rs[:1]); !isCode(err, 19) {
		t.Fatal(err)
	}
}

func TestOldBroker(t *testing.T) {
	noLeaks(t)
	c := open(t, fake(t, kfake.MaxVersions(kversion.V2_4_0())))
	_, err := c.Describe(deadline(t), "events")
	var ve *VersionError
	if !errors.As(err, &ve) || ve.Request != "Metadata" || !strings.Contains(err.Error(), "0 to 9; 10 to 12 are needed") {
		t.Fatal(err)
	}
}

func TestResponseLimit(t *testing.T) {
	noLeaks(t)
	k := fake(t)
	c, err := Open(Options{Brokers: k.ListenAddrs(), MaxResponse: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	value := make([]byte, 2000)
	rand.Read(value) // which nothing makes smaller
	if err := c.Produce(deadline(t), "events", 0, []ProduceRecord{{Value: value}}); err != nil {
		t.Fatal(err)
	}
	_, err = c.Fetch(deadline(t), FetchRequest{Topic: "events", MaxBytes: 1 << 20}, nil)
	if err == nil || !strings.Contains(err.Error(), "limit 1000") {
		t.Fatal(err)
	}
}

func TestNoBroker(t *testing.T) {
	noLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c, err := Open(Options{Brokers: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Describe(deadline(t), "events")
	var ce *ConnError
	if !errors.As(err, &ce) || ce.Sent || ce.Address != address {
		t.Fatal(err)
	}
	for _, o := range []Options{{}, {Brokers: []string{"noport"}}, {Brokers: []string{"a:1"}, SASL: &SASL{Mechanism: "GSSAPI"}}} {
		if _, err := Open(o); err == nil {
			t.Fatal("accepted", o)
		}
	}
}

func TestSecured(t *testing.T) {
	noLeaks(t)
	server, client := certificates(t)
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		k := fake(t, kfake.TLS(server), kfake.EnableSASL(), kfake.Superuser(mechanism, "sluice", "secret"))
		try := func(password string, tc *tls.Config) error {
			c, err := Open(Options{Brokers: k.ListenAddrs(), TLS: tc, SASL: &SASL{mechanism, "sluice", password}, DialTimeout: 30 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Produce(deadline(t), "events", 0, []ProduceRecord{{Value: []byte("v")}}); err != nil {
				return err
			}
			m := newTestMember(t, c, nil)
			g, err := m.Join(deadline(t))
			if err != nil {
				return err
			}
			if err := g.Commit(deadline(t), twoParts); err != nil {
				return err
			}
			return m.Leave(deadline(t))
		}
		if err := try("secret", client); err != nil {
			t.Fatal(mechanism, err)
		}
		if err := try("wrong", client); err == nil {
			t.Fatal(mechanism, "accepted a wrong password")
		}
		if err := try("secret", &tls.Config{}); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Fatal(mechanism, err)
		}
	}
}

func certificates(t *testing.T) (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}
