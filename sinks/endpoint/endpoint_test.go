package endpoint_test

import (
	"crypto/tls"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/endpoint"
)

func TestWithPort(t *testing.T) {
	for address, want := range map[string]string{
		"db": "db:3306", "db:1": "db:1", "10.0.0.1": "10.0.0.1:3306", "::1": "[::1]:3306", "[::1]:1": "[::1]:1", "db:": "db:",
	} {
		if got := endpoint.WithPort(address, "3306"); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}

func TestCheckAddresses(t *testing.T) {
	for _, c := range []struct {
		addresses []string
		want      string
	}{
		{nil, "address: is missing"},
		{[]string{"db", "db:1", "::1", "[::1]:1"}, ""},
		{[]string{"", "db", ":3306", "[::1"}, "address[0]: must be host:port\naddress[2]: must be host:port\naddress[3]: must be host:port"},
	} {
		wantMistakes(t, endpoint.CheckAddresses(c.addresses, "3306"), c.want)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		tls  *endpoint.TLS
		want string
	}{
		{nil, ""},
		{&endpoint.TLS{}, ""},
		{&endpoint.TLS{Cert: "c", Key: "k"}, ""},
		{&endpoint.TLS{Cert: "c"}, "tls.cert: and tls.key need each other"},
		{&endpoint.TLS{Key: "k"}, "tls.cert: and tls.key need each other"},
	} {
		wantMistakes(t, c.tls.Validate(), c.want)
	}
}

// wantMistakes compares mistakes in options, which must say which option each is in.
func wantMistakes(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil && want == "" {
		return
	}
	var at *sink.FieldError
	if err == nil || err.Error() != want || !errors.As(err, &at) {
		t.Errorf("got %v, want a field error %q", err, want)
	}
}

// TestConfigMistakes: what is wrong with a file is said with its option.
func TestConfigMistakes(t *testing.T) {
	dir := t.TempDir()
	stack.Certificates(t, dir, map[string][]string{"one": nil, "two": nil})
	file := func(name string) string { return filepath.Join(dir, name) }
	if got, err := (*endpoint.TLS)(nil).Config("db:1"); got != nil || err != nil {
		t.Errorf("without tls: got %v, %v", got, err)
	}
	for _, c := range []struct {
		tls  endpoint.TLS
		want string
	}{
		{endpoint.TLS{CA: file("missing")}, "tls: ca: open "},
		{endpoint.TLS{CA: file("one.key")}, "tls: ca: " + file("one.key") + " holds no certificate"},
		{endpoint.TLS{Cert: file("missing"), Key: file("one.key")}, "tls: cert: open "},
		{endpoint.TLS{Cert: file("one.pem"), Key: file("missing")}, "tls: cert: open "},
		{endpoint.TLS{Cert: file("one.pem"), Key: file("two.key")}, "tls: cert: tls: private key does not match"},
	} {
		if _, err := c.tls.Config("db:1"); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.tls, err, c.want)
		}
	}
	if _, err := (&endpoint.TLS{}).Config("db"); err == nil {
		t.Error("an address without a port has no host to verify, and was taken")
	}
}

// TestHandshake meets a server that has a certificate and wants ours.
func TestHandshake(t *testing.T) {
	dir, stranger := t.TempDir(), t.TempDir()
	stack.Certificates(t, dir, map[string][]string{"server": {"127.0.0.1", "db.test"}, "old": {"db.test"}, "client": nil})
	stack.Certificates(t, stranger, nil)
	file := func(name string) string { return filepath.Join(dir, name) }
	ca := file("ca.pem")
	with := func(ca, name string, skip bool) endpoint.TLS {
		return endpoint.TLS{CA: ca, ServerName: name, InsecureSkipVerify: skip, Cert: file("client.pem"), Key: file("client.key")}
	}
	for what, c := range map[string]struct {
		server    string
		tls       endpoint.TLS
		ok        bool
		untrusted bool
	}{
		"the address's host":        {"server", with(ca, "", false), true, false},
		"a name":                    {"server", with(ca, "db.test", false), true, false},
		"another name":              {"server", with(ca, "other.test", false), false, true},
		"not for the address":       {"old", with(ca, "", false), false, true},
		"another authority":         {"server", with(filepath.Join(stranger, "ca.pem"), "", false), false, true},
		"the system's authorities":  {"server", with("", "", false), false, true},
		"any server will do":        {"old", with(filepath.Join(stranger, "ca.pem"), "", true), true, false},
		"no certificate of our own": {"server", endpoint.TLS{CA: ca}, false, false},
	} {
		t.Run(what, func(t *testing.T) {
			address := serve(t, dir, c.server)
			cfg, err := c.tls.Config(address)
			if err != nil {
				t.Fatal(err)
			}
			err = greet(address, cfg)
			if c.ok != (err == nil) || c.untrusted != endpoint.Untrusted(err) {
				t.Errorf("got %v, untrusted: %t; want ok: %t, untrusted: %t", err, endpoint.Untrusted(err), c.ok, c.untrusted)
			}
		})
	}
}

// serve answers every client that shows a certificate of dir's authority with one
// byte, until the test ends.
func serve(t *testing.T, dir, name string) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", stack.ServerTLS(t, dir, name))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte{1}) //nolint:errcheck // the client sees it
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// greet waits for the server's byte: with TLS 1.3 a client learns only then that
// its own certificate was refused.
func greet(address string, cfg *tls.Config) error {
	conn, err := tls.Dial("tcp", address, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1))
	return err
}
