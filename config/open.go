package config

import (
	"log/slog"
	"regexp"
	"strings"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/source"
)

// Cluster is how the brokers are reached. The error is that of a TLS file.
func (k *Kafka) Cluster() (source.Options, error) {
	encrypted, err := k.TLS.Config()
	if err != nil {
		return source.Options{}, err
	}
	o := source.Options{Brokers: k.Brokers, ClientID: k.ClientID, TLS: encrypted}
	if k.SASL != nil {
		o.SASL = &source.SASL{Mechanism: string(k.SASL.Mechanism), Username: k.SASL.Username, Password: k.SASL.Password.Reveal()}
	}
	return o, nil
}

// Open is what Spec.Open gets for one of the sink's targets.
func (s *Sink) Open(target int, p *plan.Plan, log *slog.Logger) sink.Config {
	t := s.Targets[target]
	return sink.Config{
		Name: s.Name, Connection: t.Connection, Schema: p.Schema(), Keys: p.Keys(),
		Options: s.Options, Conn: t.Options, Timeout: s.Timeout, Delivery: s.Delivery, Log: log,
	}
}

// Decode says how the stream's events are written. containers knows the schemas
// that Avro files hold, and is asked by a stream of files alone; nil where
// nothing is decoded.
func (s *Stream) Decode(containers decode.Writers) (decode.Options, error) {
	o := decode.Options{Format: string(s.Format), Framing: string(s.Framing), Envelope: decode.Envelope(s.Envelope), Schema: s.Schema}
	for _, t := range s.Types {
		if o.Types == nil {
			o.Types = map[string]decode.Declared{}
		}
		o.Types[t.Path] = decode.Declared{Type: t.Type, Unit: t.Unit}
	}
	if s.Files != nil && s.Format == Avro {
		var err error
		o.Writers = containers
		o.Schema, err = s.fileSchema()
		return o, err
	}
	if s.Registry == nil {
		return o, nil
	}
	encrypted, err := s.Registry.TLS.Config()
	if err != nil {
		return o, err
	}
	r := decode.RegistryOptions{URL: s.Registry.URL, Username: s.Registry.Username, TLS: encrypted}
	if s.Registry.Password.Set() {
		r.Password = s.Registry.Password.Reveal
	}
	if o.Registry, err = decode.NewRegistry(r); err != nil {
		return o, err
	}
	o.Grace = s.Registry.Grace
	if o.Subject = s.Registry.Subject; o.Subject == "" && len(s.Kafka.Topics) > 0 {
		o.Subject = s.Kafka.Topics[0] + "-value"
	}
	return o, nil
}

// Blame turns an error about what a stream's events hold, from decode.Open,
// into Problems at the place that it is about. What a registry answered, or
// did not, is nobody's mistake in the YAML and stays as it is.
func (c *Config) Blame(stream string, err error) error {
	at, ok := c.streams[stream]
	if !ok || err == nil {
		return err
	}
	rel := ""
	m := regexp.MustCompile(`^envelope ([a-z]+): |^(types): `).FindStringSubmatch(err.Error())
	if s := c.Stream(stream); m == nil && s.Registry != nil && s.Schema == nil {
		return err
	}
	if m != nil {
		rel = m[2]
		if m[1] != "" {
			rel = "envelope." + m[1]
		}
	}
	node := nearest(at.node, rel)
	if node == at.node {
		node = at.key
	}
	ps := Problems{at.file.at(node, strings.TrimSuffix(at.path+"."+rel, "."), err.Error(), "")}
	at.file.show(ps)
	return ps
}

// PlaceOfStream is where a stream begins: file:line:column.
func (c *Config) PlaceOfStream(name string) string {
	at := c.streams[name]
	return place{at.file, at.key, "", nil}.String()
}

// PlaceOfSink is where a sink says what it writes to: file:line:column.
func (c *Config) PlaceOfSink(name string) string {
	at := c.places[name]
	for i := range c.Sinks {
		if key, _ := entry(at.node, c.Sinks[i].Spec.Type); c.Sinks[i].Name == name && key != nil {
			at.node = key
		}
	}
	return at.String()
}
