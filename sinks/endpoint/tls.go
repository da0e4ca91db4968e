package endpoint

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/sluicekit/sluice/core/sink"
)

// TLS is the option tls: it encrypts a connection. The server's certificate is
// verified. Where it is nil the connection is not encrypted.
type TLS struct {
	CA                 string `yaml:"ca"`                   // file; "": the system's authorities
	Cert               string `yaml:"cert"`                 // file of our own certificate
	Key                string `yaml:"key"`                  // file of its key
	ServerName         string `yaml:"server_name"`          // "": the address's host
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify"` // any server will do: for tests
}

// Validate reports what cannot work, by its path below the connection. The files
// are not read.
func (t *TLS) Validate() error {
	if t != nil && (t.Cert == "") != (t.Key == "") {
		return &sink.FieldError{Path: "tls.cert", Message: "and tls.key need each other"}
	}
	return nil
}

// Config reads the files, for a connection to an address of the form host:port;
// nil without encryption. What fails is for people to mend.
func (t *TLS) Config(address string) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify} //nolint:gosec // the option says so
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		cfg.ServerName = host
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls: ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: ca: %s holds no certificate", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("tls: cert: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// Untrusted says whether a connection failed because of the server's
// certificate: the next attempt will, too, until somebody mends it.
func Untrusted(err error) bool {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
	)
	return errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &verify)
}
