package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLS encrypts a connection. `tls: {}` trusts what the system trusts. The
// paths are relative to the folder of the YAML file; Load makes them usable
// from anywhere.
type TLS struct {
	CA                 string `yaml:"ca"`   // PEM file of the authorities that are trusted instead of the system's
	Cert               string `yaml:"cert"` // PEM file of the client's certificate
	Key                string `yaml:"key"`  // PEM file of its key
	ServerName         string `yaml:"server_name"`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify"`
}

// Config reads the files. It is called when a connection is opened, not when
// the YAML is loaded, so that a check of the YAML needs no keys.
func (t *TLS) Config() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify} //nolint:gosec // asked for, and warned about
	if t.CA != "" {
		pem, err := readFile(t.CA, maxFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: the file %s %w", t.CA, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: the file %s holds no certificate in PEM form", t.CA)
		}
	}
	if t.Cert == "" {
		return c, nil
	}
	cert, err := readFile(t.Cert, maxFile)
	if err != nil {
		return nil, fmt.Errorf("tls.cert: the file %s %w", t.Cert, err)
	}
	key, err := readFile(t.Key, maxFile)
	if err != nil {
		return nil, fmt.Errorf("tls.key: the file %s %w", t.Key, err)
	}
	both, err := tls.X509KeyPair(cert, key)
	if err != nil {
		// The library's errors never hold the key itself.
		return nil, errors.Join(errors.New("tls.cert and tls.key do not fit"), err)
	}
	c.Certificates = []tls.Certificate{both}
	return c, nil
}

// checkTLS checks the tls: of what in holds, and resolves its paths.
func (d *decoder) checkTLS(in pair, path string, t *TLS) {
	if t == nil {
		return
	}
	at, body := path+".tls", child(in.value, "tls")
	for _, p := range []struct {
		name string
		path *string
	}{{"ca", &t.CA}, {"cert", &t.Cert}, {"key", &t.Key}} {
		if *p.path == "" {
			continue
		}
		*p.path = d.file.path(*p.path)
		if _, err := readFile(*p.path, maxFile); err != nil {
			d.failAt(body, at, p.name, "the file "+err.Error(), "")
		}
	}
	if (t.Cert == "") != (t.Key == "") {
		have, lack := "cert", "key"
		if t.Cert == "" {
			have, lack = lack, have
		}
		d.failAt(in.value, path, "tls."+lack, "is missing: "+have+" needs it", "")
	}
	if t.InsecureSkipVerify {
		d.warn(body, at, "insecure_skip_verify", "the server's certificate is not checked: anybody can answer in its place", "say ca: FILE to trust a private authority")
	}
}
