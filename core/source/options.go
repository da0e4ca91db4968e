package source

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Options of one stream's cluster. Brokers is mandatory, all else has a default.
type Options struct {
	Brokers        []string // host:port, tried in this order to find the cluster
	ClientID       string   // "sluice" if empty
	SASL           *SASL
	TLS            *tls.Config
	DialTimeout    time.Duration // connect, TLS and SASL together; default 5 s
	RequestTimeout time.Duration // of one request, without the time it asks the broker to wait; default 15 s
	MaxResponse    int32         // bytes of one answer; default 100 MiB
}

// SASL credentials. Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
type SASL struct {
	Mechanism, Username, Password string
}

const (
	defaultDialTimeout    = 5 * time.Second
	defaultRequestTimeout = 15 * time.Second
	defaultMaxResponse    = 100 << 20
)

func (o Options) withDefaults() (Options, error) {
	if len(o.Brokers) == 0 {
		return o, errors.New("kafka: no brokers given")
	}
	for _, b := range o.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return o, fmt.Errorf("kafka: broker %q: %w", b, err)
		}
	}
	if o.ClientID == "" {
		o.ClientID = "sluice"
	}
	if o.DialTimeout <= 0 {
		o.DialTimeout = defaultDialTimeout
	}
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = defaultRequestTimeout
	}
	if o.MaxResponse <= 0 {
		o.MaxResponse = defaultMaxResponse
	}
	return o, nil
}

func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if s == nil {
		return nil, nil
	}
	var (
		m   sasl.Mechanism
		err error
	)
	switch s.Mechanism {
	case "PLAIN":
		m = plain.Mechanism{Username: s.Username, Password: s.Password}
	case "SCRAM-SHA-256":
		m, err = scram.Mechanism(scram.SHA256, s.Username, s.Password)
	case "SCRAM-SHA-512":
		m, err = scram.Mechanism(scram.SHA512, s.Username, s.Password)
	default:
		err = errors.New("not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512")
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: sasl mechanism %q: %w", s.Mechanism, err)
	}
	return m, nil
}
