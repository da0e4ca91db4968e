package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/config"
)

// certificate makes a self-signed certificate and its key, in PEM form.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	otherCert, _ := certificate(t)
	c := mustLoad(t, "-- conf/a.yaml --\n-- a.yaml --\nstreams: {e: {kafka: {brokers: k:1, topics: t, group: g, tls: {ca: cert.pem, cert: cert.pem, key: key.pem, server_name: k}}, format: json}}\n"+
		"-- cert.pem --\n"+cert+"-- key.pem --\n"+key+"-- other.pem --\n"+otherCert)
	o, err := c.Streams[0].Kafka.TLS.Config()
	if err != nil || o.RootCAs == nil || len(o.Certificates) != 1 || o.ServerName != "k" || o.InsecureSkipVerify {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := (*config.TLS)(nil).Config(); o != nil || err != nil {
		t.Errorf("without tls: %v, %v", o, err)
	}
	f := func(want string, about config.TLS) {
		t.Helper()
		if _, err := about.Config(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f("tls.ca: the file nosuch does not exist", config.TLS{CA: "nosuch"})
	f("tls.ca: the file key.pem holds no certificate", config.TLS{CA: "key.pem"})
	f("tls.cert: the file nosuch does not exist", config.TLS{Cert: "nosuch", Key: "key.pem"})
	f("tls.key: the file nosuch does not exist", config.TLS{Cert: "cert.pem", Key: "nosuch"})
	f("tls.cert and tls.key do not fit", config.TLS{Cert: "other.pem", Key: "key.pem"})
}
