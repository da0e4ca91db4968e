package config

import (
	"log/slog"

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
