package stdout

import (
	"context"
	_ "embed" // example.yaml
	"io"
	"os"
	"time"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/jsonl"
)

//go:embed example.yaml
var example []byte

// Spec describes the sink, printing to the program's standard output.
func Spec() sink.Spec { return New(os.Stdout) }

// New describes the sink, printing to out. Calls of out.Write never overlap.
func New(out io.Writer) sink.Spec {
	return sink.Spec{
		Type:     "stdout",
		Summary:  "JSON lines on standard output (at least once: a repeated batch is printed twice)",
		Delivery: sink.AtLeastOnce,
		Kinds:    jsonl.Kinds(),
		Grouped:  true,
		Example:  example,
		Batch:    sink.Batch{Rows: 1000, Bytes: 1 << 20, Age: 200 * time.Millisecond},
		Options:  func() sink.Options { return &Options{} },
		Open: func(_ context.Context, c sink.Config) (sink.Sink, error) {
			return newStdout(out, c)
		},
	}
}

// Options are the options of a stdout sink: none.
type Options struct{}

// Validate finds nothing wrong.
func (*Options) Validate() error { return nil }
