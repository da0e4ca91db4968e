package discard

import (
	"context"
	_ "embed" // example.yaml
	"sync/atomic"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

//go:embed example.yaml
var example []byte

// Spec describes the sink.
func Spec() sink.Spec { return New(new(atomic.Int64)) }

// New describes a sink that adds the rows of every commit, of all its writers,
// to rows.
func New(rows *atomic.Int64) sink.Spec {
	return sink.Spec{
		Type:     "discard",
		Summary:  "keeps nothing and counts rows, to measure Sluice itself (at least once)",
		Delivery: sink.AtLeastOnce,
		Kinds:    record.Kinds(),
		Grouped:  true,
		Example:  example,
		Batch:    sink.Batch{Rows: 100_000, Bytes: 64 << 20, Age: time.Second},
		Options:  func() sink.Options { return &Options{} },
		Open: func(context.Context, sink.Config) (sink.Sink, error) {
			return &discard{rows: rows}, nil
		},
	}
}

// Options are the options of a discard sink: none.
type Options struct{}

// Validate finds nothing wrong.
func (*Options) Validate() error { return nil }
