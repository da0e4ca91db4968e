package sqlite

import (
	"context"
	_ "embed" // the example
	"errors"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

//go:embed example.yaml
var example []byte

// Spec is the sink type sqlite.
func Spec() sink.Spec {
	return sink.Spec{
		Type:       "sqlite",
		Summary:    "a table in an SQLite file; rows and positions in one transaction",
		Delivery:   sink.Atomic,
		Kinds:      sqltable.Kinds(),
		Grouped:    true,
		Example:    example,
		Batch:      sink.Batch{Rows: 50_000, Bytes: 32 << 20, Age: time.Second},
		Connection: func() sink.Options { return &Connection{Timeout: time.Second} },
		Options:    func() sink.Options { return &Options{Options: sqltable.DefaultOptions()} },
		Open:       open,
	}
}

// Connection is a database file.
type Connection struct {
	File    string        `yaml:"file"`    // made if it is not there; its folder must be
	Timeout time.Duration `yaml:"timeout"` // how long to wait for another process that writes
}

// maxTimeout keeps a wait for another writer, which nothing can cut short,
// within the time that a cancelled call has.
const maxTimeout = 1500 * time.Millisecond

// Validate reports what cannot work.
func (c *Connection) Validate() error {
	var errs []error
	if c.File == "" {
		errs = append(errs, &sink.FieldError{Path: "file", Message: "is missing"})
	}
	if strings.ContainsRune(c.File, 0) {
		errs = append(errs, &sink.FieldError{Path: "file", Message: "holds a NUL character"})
	}
	if c.File == ":memory:" {
		errs = append(errs, &sink.FieldError{Path: "file", Message: "must be a file: what is in memory cannot survive a crash"})
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		errs = append(errs, &sink.FieldError{Path: "timeout", Message: "must be between 0s and " + maxTimeout.String()})
	}
	return errors.Join(errs...)
}

// Options are the options of a sink.
type Options struct {
	sqltable.Options `yaml:",inline"`
}

// Validate reports what cannot work.
func (o *Options) Validate() error {
	err := o.Options.Validate()
	for _, n := range []struct{ path, name string }{{"table", o.Table}, {"positions", o.Positions}} {
		if strings.Contains(n.name, ".") {
			err = errors.Join(err, &sink.FieldError{Path: n.path, Message: "must be a table alone: a file is one database"})
		}
		if strings.HasPrefix(strings.ToLower(n.name), "sqlite_") {
			err = errors.Join(err, &sink.FieldError{Path: n.path, Message: "names that start with sqlite_ are the database's own"})
		}
	}
	return err
}

func open(ctx context.Context, c sink.Config) (sink.Sink, error) {
	db, err := connect(c.Conn.(*Connection))
	if err != nil {
		return nil, err
	}
	s, err := sqltable.Open(ctx, sqltable.Config{DB: db, Dialect: dialect{}, Grammar: grammar(), Options: c.Options.(*Options).Options, Sink: c})
	if err != nil {
		return nil, err
	}
	return s, nil
}
