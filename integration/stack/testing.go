package stack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// startTimeout bounds a start in a test, including a first download.
const startTimeout = 20 * time.Minute

// Kafka starts a broker that ends with the test.
func Kafka(t testing.TB) *KafkaServer {
	t.Helper()
	return KafkaWith(t, KafkaOptions{})
}

// KafkaWith starts a broker with options that ends with the test.
func KafkaWith(t testing.TB, o KafkaOptions) *KafkaServer {
	t.Helper()
	return forTest(t, func(ctx context.Context) (*KafkaServer, error) { return StartKafka(ctx, o) })
}

// MariaDB starts a MariaDB server that ends with the test.
func MariaDB(t testing.TB) *MariaDBServer {
	t.Helper()
	return MariaDBWith(t, MariaDBOptions{})
}

// MariaDBWith starts a MariaDB server with options that ends with the test.
func MariaDBWith(t testing.TB, o MariaDBOptions) *MariaDBServer {
	t.Helper()
	return forTest(t, func(ctx context.Context) (*MariaDBServer, error) { return StartMariaDB(ctx, o) })
}

// ClickHouse starts a ClickHouse server that ends with the test.
func ClickHouse(t testing.TB) *ClickHouseServer {
	t.Helper()
	return ClickHouseWith(t, ClickHouseOptions{})
}

// ClickHouseWith starts a ClickHouse server with options that ends with the test.
func ClickHouseWith(t testing.TB, o ClickHouseOptions) *ClickHouseServer {
	t.Helper()
	return forTest(t, func(ctx context.Context) (*ClickHouseServer, error) { return StartClickHouse(ctx, o) })
}

// Registry starts a schema registry that ends with the test.
func Registry(t testing.TB) *RegistryServer {
	t.Helper()
	return RegistryWith(t, RegistryOptions{})
}

// RegistryWith starts a schema registry with options that ends with the test.
func RegistryWith(t testing.TB, o RegistryOptions) *RegistryServer {
	t.Helper()
	return forTest(t, func(ctx context.Context) (*RegistryServer, error) { return StartRegistry(ctx, o) })
}

// ProxyTo opens a proxy to a server that ends with the test.
func ProxyTo(t testing.TB, target string, framing Framing) *Proxy {
	t.Helper()
	p, err := NewProxy(target, framing)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// Certificates writes certificates into a folder: ca.pem of an authority of their
// own, and for each name NAME.pem and NAME.key, for a server of these host names
// and addresses, or a client.
func Certificates(t testing.TB, dir string, hosts map[string][]string) {
	t.Helper()
	if err := writeCertificates(dir, hosts); err != nil {
		t.Fatal(err)
	}
}

// ServerTLS is what a server of that name is encrypted with, whose certificate
// Certificates has written into a folder. It wants a client's of the same
// authority.
func ServerTLS(t testing.TB, dir, name string) *tls.Config {
	t.Helper()
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	return &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
}

// KafkaBehindProxy starts a broker that advertises a proxy, through which all
// traffic of clients goes that start from the proxy's address. Both end with the
// test. The broker's own methods go past the proxy.
func KafkaBehindProxy(t testing.TB, o KafkaOptions) (*KafkaServer, *Proxy) {
	t.Helper()
	p := ProxyTo(t, "", KafkaFrames)
	o.Advertised = p.Addr()
	k := KafkaWith(t, o)
	p.SetTarget(k.Addr())
	return k, p
}

// server is what all servers have in common for their owner.
type server interface {
	LogFile() string
	Close() error
}

func forTest[S server](t testing.TB, start func(context.Context) (S, error)) S {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	s, err := start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of %s:\n%s", s.LogFile(), tailFrom(s.LogFile(), 0, 30))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Shared is one server of each kind for all tests of a test binary, started when
// the first test asks for it. The zero value is ready to use:
//
//	var servers stack.Shared
//
//	func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }
//
// Tests keep apart by topic, group, database and subject names of their own, and
// leave the server running.
type Shared struct {
	kafka      once[*KafkaServer]
	mariadb    once[*MariaDBServer]
	clickhouse once[*ClickHouseServer]
	registry   once[*RegistryServer]
}

// once is a server that is started at most once.
type once[S server] struct {
	start  sync.Once
	server S
	err    error
	ok     bool
}

func (o *once[S]) get(t testing.TB, start func(context.Context) (S, error)) S {
	t.Helper()
	o.start.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		o.server, o.err = start(ctx)
		o.ok = o.err == nil
	})
	if o.err != nil {
		t.Fatal(o.err)
	}
	return o.server
}

func (o *once[S]) close() error {
	if !o.ok {
		return nil
	}
	return o.server.Close()
}

// Kafka answers the shared broker.
func (s *Shared) Kafka(t testing.TB) *KafkaServer {
	t.Helper()
	return s.kafka.get(t, func(ctx context.Context) (*KafkaServer, error) { return StartKafka(ctx, KafkaOptions{}) })
}

// MariaDB answers the shared MariaDB server.
func (s *Shared) MariaDB(t testing.TB) *MariaDBServer {
	t.Helper()
	return s.mariadb.get(t, func(ctx context.Context) (*MariaDBServer, error) { return StartMariaDB(ctx, MariaDBOptions{}) })
}

// ClickHouse answers the shared ClickHouse server.
func (s *Shared) ClickHouse(t testing.TB) *ClickHouseServer {
	t.Helper()
	return s.clickhouse.get(t, func(ctx context.Context) (*ClickHouseServer, error) { return StartClickHouse(ctx, ClickHouseOptions{}) })
}

// Registry answers the shared schema registry.
func (s *Shared) Registry(t testing.TB) *RegistryServer {
	t.Helper()
	return s.registry.get(t, func(ctx context.Context) (*RegistryServer, error) { return StartRegistry(ctx, RegistryOptions{}) })
}

// Run runs the tests, ends the servers they started, and answers the exit code.
func (s *Shared) Run(m interface{ Run() int }) int {
	code := m.Run()
	if err := errors.Join(s.kafka.close(), s.mariadb.close(), s.clickhouse.close(), s.registry.close()); err != nil {
		fmt.Fprintln(os.Stderr, "stack:", err)
		if code == 0 {
			code = 1
		}
	}
	return code
}
