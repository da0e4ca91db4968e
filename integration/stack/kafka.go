package stack

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// KafkaOptions says what a Kafka server should have beyond one plain listener.
// The zero value is a good broker for most tests.
type KafkaOptions struct {
	// Advertised is the host:port the plain listener tells its clients to come
	// to, for instance a Proxy's address. Empty: the listener itself. The
	// broker's own traffic and the methods of KafkaServer never pass through it.
	Advertised string
	// TLS adds a listener for TLS without authentication (client certificates
	// are accepted) and one for SASL over TLS, with SCRAM-SHA-256 and -512 for
	// alice (alice-secret) and PLAIN for bob (bob-secret).
	TLS bool
	// Heap is the largest Java heap; empty means 384m.
	Heap string
	// Properties are added to server.properties and win over its own lines.
	Properties map[string]string
}

// KafkaServer is one Kafka broker with its own controller, in one JVM.
type KafkaServer struct {
	install *kafkaInstall
	process *process
	folder  *folder
	ports   *ports
	client  kafkaClient
	tls     string // folder of the certificates; "" without TLS
}

// The order of a Kafka server's ports.
const (
	portPlain = iota
	portInternal
	portController
	portSASL
	portTLS
)

// StartKafka starts a broker and returns when it serves, including groups. The
// context bounds the start only. The caller must Close the server.
func StartKafka(ctx context.Context, o KafkaOptions) (*KafkaServer, error) {
	in, err := installKafka(ctx)
	if err != nil {
		return nil, fmt.Errorf("start kafka: %w", err)
	}
	k := &KafkaServer{install: in}
	if err := k.lay(o); err != nil {
		return nil, errors.Join(fmt.Errorf("start kafka: %w", err), k.Close())
	}
	if err := k.Start(ctx); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// lay puts everything on disk that the broker needs.
func (k *KafkaServer) lay(o KafkaOptions) (err error) {
	n := portController + 1
	if o.TLS {
		n = portTLS + 1
	}
	if k.ports, err = reservePorts(n); err != nil {
		return err
	}
	if k.folder, err = newFolder("kafka"); err != nil {
		return err
	}
	if o.TLS {
		k.tls = filepath.Join(k.folder.path, "tls")
		if err := k.writeCertificates(); err != nil {
			return err
		}
	}
	config := filepath.Join(k.folder.path, "server.properties")
	if err := os.WriteFile(config, []byte(k.properties(o)), 0o644); err != nil {
		return fmt.Errorf("write properties: %w", err)
	}
	if err := k.format(); err != nil {
		return err
	}
	heap := o.Heap
	if heap == "" {
		heap = "384m"
	}
	k.process = &process{
		name: "kafka", logPath: filepath.Join(k.folder.path, "log"), grace: stopTimeout, ready: k.probe,
		command: func() *exec.Cmd {
			args := append(k.install.jvm(heap), "-XX:SharedArchiveFile="+k.install.archive, "-cp", k.install.classpath(), "kafka.Kafka", config)
			return exec.Command(k.install.java, args...)
		},
	}
	return nil
}

// format copies the formatted data folder and gives it a cluster id of its own,
// so that a client that meets another broker on an old port can tell.
func (k *KafkaServer) format() error {
	data := filepath.Join(k.folder.path, "data")
	if err := copyTree(k.install.template, data); err != nil {
		return err
	}
	path := filepath.Join(data, "meta.properties")
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read formatted folder: %w", err)
	}
	var id [16]byte
	rand.Read(id[:])
	id[0] &= 0x7f // Kafka reads a leading dash on a command line as an option
	fresh := strings.ReplaceAll(string(old), kafkaClusterID, base64.RawURLEncoding.EncodeToString(id[:]))
	if err := os.WriteFile(path, []byte(fresh), 0o644); err != nil {
		return fmt.Errorf("write formatted folder: %w", err)
	}
	return nil
}

// properties answers the text of server.properties.
func (k *KafkaServer) properties(o KafkaOptions) string {
	advertised := o.Advertised
	if advertised == "" {
		advertised = k.Addr()
	}
	p := map[string]string{
		"process.roles":            "broker,controller",
		"node.id":                  "1",
		"controller.quorum.voters": "1@" + k.address(portController),
		"listeners":                "PLAINTEXT://" + k.Addr() + ",INTERNAL://" + k.address(portInternal) + ",CONTROLLER://" + k.address(portController),
		"advertised.listeners":     "PLAINTEXT://" + advertised + ",INTERNAL://" + k.address(portInternal),
		// The broker talks to itself past every proxy, and so do we.
		"inter.broker.listener.name":     "INTERNAL",
		"controller.listener.names":      "CONTROLLER",
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
		"log.dirs":                       filepath.Join(k.folder.path, "data"),

		"offsets.topic.num.partitions":                     "4",
		"offsets.topic.replication.factor":                 "1",
		"transaction.state.log.num.partitions":             "4",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"share.coordinator.state.topic.num.partitions":     "1",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"auto.create.topics.enable":                        "false",
		"group.initial.rebalance.delay.ms":                 "0",
		"group.min.session.timeout.ms":                     "1000",
		// After a kill the controller waits for the old life's session to end. A
		// broker that is merely slow for so long has no leaders for a moment, and
		// Kafka 4.4 drops the ends of transactions then.
		"broker.session.timeout.ms":       "3000",
		"broker.heartbeat.interval.ms":    "250",
		"log.cleaner.dedupe.buffer.size":  "4194304",
		"log.cleaner.threads":             "1",
		"log.cleaner.backoff.ms":          "1000",
		"log.retention.check.interval.ms": "1000",
		"num.network.threads":             "2",
		"num.io.threads":                  "4",
	}
	if o.TLS {
		maps.Copy(p, k.tlsProperties(p))
	}
	maps.Copy(p, o.Properties)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", key, p[key])
	}
	return b.String()
}

// writeCertificates adds to them what Kafka wants in one file: the key, its
// certificate and the authority's.
func (k *KafkaServer) writeCertificates() error {
	if err := os.Mkdir(k.tls, 0o700); err != nil {
		return fmt.Errorf("create certificate folder: %w", err)
	}
	if err := writeCertificates(k.tls, map[string][]string{"server": {"localhost", "127.0.0.1"}, "client": nil}); err != nil {
		return err
	}
	var keystore []byte
	for _, file := range []string{"server.key", "server.pem", "ca.pem"} {
		pem, err := os.ReadFile(filepath.Join(k.tls, file))
		if err != nil {
			return fmt.Errorf("read certificate: %w", err)
		}
		keystore = append(keystore, pem...)
	}
	if err := os.WriteFile(filepath.Join(k.tls, "keystore.pem"), keystore, 0o600); err != nil {
		return fmt.Errorf("write keystore: %w", err)
	}
	return nil
}

func (k *KafkaServer) tlsProperties(plain map[string]string) map[string]string {
	extra := ",SASL_SSL://" + k.address(portSASL) + ",SSL://" + k.address(portTLS)
	scram := "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	return map[string]string{
		"listeners":               plain["listeners"] + extra,
		"advertised.listeners":    plain["advertised.listeners"] + extra,
		"sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN",
		"listener.name.sasl_ssl.plain.sasl.jaas.config":         `org.apache.kafka.common.security.plain.PlainLoginModule required user_bob="bob-secret";`,
		"listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
		"listener.name.ssl.ssl.client.auth":                     "requested",
		"ssl.keystore.type":                                     "PEM",
		"ssl.keystore.location":                                 filepath.Join(k.tls, "keystore.pem"),
		"ssl.truststore.type":                                   "PEM",
		"ssl.truststore.location":                               filepath.Join(k.tls, "ca.pem"),
	}
}

func (k *KafkaServer) address(port int) string { return loopback(k.ports.numbers[port]) }

// Addr answers the address of the plain listener itself, whatever the broker
// advertises.
func (k *KafkaServer) Addr() string { return k.address(portPlain) }

// SASLAddr answers the address of the SASL_SSL listener, or "" without TLS.
func (k *KafkaServer) SASLAddr() string { return k.tlsAddress(portSASL) }

// TLSAddr answers the address of the SSL listener, or "" without TLS.
func (k *KafkaServer) TLSAddr() string { return k.tlsAddress(portTLS) }

func (k *KafkaServer) tlsAddress(port int) string {
	if k.tls == "" {
		return ""
	}
	return k.address(port)
}

// CAFile answers the PEM file of the authority that signed the broker's
// certificate, or "" without TLS.
func (k *KafkaServer) CAFile() string {
	if k.tls == "" {
		return ""
	}
	return filepath.Join(k.tls, "ca.pem")
}

// ClientFiles answers the PEM files of a client certificate of the same
// authority and of its key, or "" without TLS.
func (k *KafkaServer) ClientFiles() (certificate, key string) {
	if k.tls == "" {
		return "", ""
	}
	return filepath.Join(k.tls, "client.pem"), filepath.Join(k.tls, "client.key")
}

// LogFile answers the file that holds the broker's own log.
func (k *KafkaServer) LogFile() string { return k.process.logPath }

// Pid answers the broker's process id, or 0 while it is down.
func (k *KafkaServer) Pid() int { return k.process.pid() }

// Start starts a stopped or killed broker again, on the same data and ports.
func (k *KafkaServer) Start(ctx context.Context) error {
	if err := k.process.start(ctx); err != nil {
		return err
	}
	if err := k.warm(ctx); err != nil {
		tail := tailFrom(k.process.logPath, 0, 30)
		return errors.Join(fmt.Errorf("start kafka: groups do not answer: %w; end of its log:\n%s", err, tail), k.process.kill())
	}
	return nil
}

// Stop ends the broker cleanly and keeps its data.
func (k *KafkaServer) Stop() error { return k.process.stop() }

// Kill ends the broker with SIGKILL and keeps its data.
func (k *KafkaServer) Kill() error { return k.process.kill() }

// Pause halts the broker's process until Resume, and returns when it has halted.
func (k *KafkaServer) Pause() error { return k.process.pause() }

// Resume continues a paused broker.
func (k *KafkaServer) Resume() error { return k.process.signal(syscall.SIGCONT) }

// Close ends the broker at once and removes its data. It may be called twice.
func (k *KafkaServer) Close() error { return closeServer(k.process, k.folder, k.ports) }

// closeServer ends a server that need not end cleanly, because its data goes.
func closeServer(p *process, f *folder, reserved *ports) error {
	var err error
	if p != nil {
		err = p.kill()
	}
	if f != nil {
		err = errors.Join(err, f.remove())
	}
	if reserved != nil {
		reserved.release()
	}
	return err
}
