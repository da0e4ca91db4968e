package objects

import (
	_ "embed" // example.yaml
	"errors"
	"net/url"
	"time"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/jsonl"
)

//go:embed example.yaml
var example []byte

// Spec describes the sink.
func Spec() sink.Spec {
	return sink.Spec{
		Type:       "acme_objects",
		Summary:    "objects of JSON lines in Acme's store, one per batch and named by it (exact by that name)",
		Delivery:   sink.Replay,
		Kinds:      jsonl.Kinds(),
		Grouped:    true,
		Example:    example,
		Batch:      sink.Batch{Rows: 100_000, Bytes: 16 << 20, Age: 10 * time.Second},
		Connection: func() sink.Options { return &Connection{Timeout: 30 * time.Second} },
		Options:    func() sink.Options { return &Options{} },
		Open:       open,
	}
}

// Connection is a store.
type Connection struct {
	Address  string        `yaml:"address"` // http://host:port
	Password sink.Secret   `yaml:"password"`
	Timeout  time.Duration `yaml:"timeout"` // of each request
}

// Validate reports what cannot work.
func (c *Connection) Validate() error {
	var errs []error
	if u, err := url.Parse(c.Address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		errs = append(errs, &sink.FieldError{Path: "address", Message: "must be http://host:port or https://host:port"})
	}
	if c.Timeout <= 0 {
		errs = append(errs, &sink.FieldError{Path: "timeout", Message: "must be more than 0s"})
	}
	return errors.Join(errs...)
}

// Options are the options of a sink.
type Options struct {
	Bucket string `yaml:"bucket"`
}

// Validate reports what cannot work.
func (o *Options) Validate() error {
	if o.Bucket == "" {
		return &sink.FieldError{Path: "bucket", Message: "is missing"}
	}
	return nil
}
