package mariadb

import (
	"context"
	_ "embed" // the example
	"errors"
	"time"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/endpoint"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

//go:embed example.yaml
var example []byte

// Spec is the sink type mariadb.
func Spec() sink.Spec {
	return sink.Spec{
		Type:       "mariadb",
		Summary:    "a MariaDB table; rows and positions in one transaction",
		Delivery:   sink.Atomic,
		Kinds:      sqltable.Kinds(),
		Grouped:    true,
		Example:    example,
		Batch:      sink.Batch{Rows: 50_000, Bytes: 32 << 20, Age: time.Second},
		Connection: func() sink.Options { return &Connection{Timeout: 30 * time.Second} },
		Options:    func() sink.Options { return &Options{Options: sqltable.DefaultOptions()} },
		Open:       open,
	}
}

// Connection is a server, or several that hold the same data: the first that
// can be reached is used.
type Connection struct {
	Address  []string      `yaml:"address,one"` // host:port; without a port 3306
	Database string        `yaml:"database"`
	Username string        `yaml:"username"`
	Password sink.Secret   `yaml:"password"`
	TLS      *endpoint.TLS `yaml:"tls"`     // nil: not encrypted
	Timeout  time.Duration `yaml:"timeout"` // of connecting, of every answer, and of the server's patience with us
}

// port is MariaDB's, of an address without one.
const port = "3306"

// The server counts its own timeouts in whole seconds, half of ours at least.
const (
	minTimeout = 2 * time.Second
	maxTimeout = 10 * time.Minute
)

// Validate reports what cannot work.
func (c *Connection) Validate() error {
	errs := []error{endpoint.CheckAddresses(c.Address, port)}
	blame := func(path, message string) { errs = append(errs, &sink.FieldError{Path: path, Message: message}) }
	if c.Database == "" {
		blame("database", "is missing")
	}
	if c.Username == "" {
		blame("username", "is missing")
	}
	if c.Timeout < minTimeout || c.Timeout > maxTimeout {
		blame("timeout", "must be between "+minTimeout.String()+" and "+maxTimeout.String())
	}
	return errors.Join(append(errs, c.TLS.Validate())...)
}

// Options are the options of a sink.
type Options struct {
	sqltable.Options `yaml:",inline"`
}

func open(ctx context.Context, c sink.Config) (sink.Sink, error) {
	conn := c.Conn.(*Connection)
	db, err := connect(conn)
	if err != nil {
		return nil, sink.Permanent(err)
	}
	d := &dialect{}
	packet, err := d.inspect(ctx, db)
	if err != nil {
		db.Close()
		return nil, err
	}
	s, err := sqltable.Open(ctx, sqltable.Config{DB: db, Dialect: d, Grammar: grammar(packet), Options: c.Options.(*Options).Options, Sink: c})
	if err != nil {
		return nil, err
	}
	return s, nil
}
