package files

import (
	_ "embed" // example.yaml
	"errors"
	"fmt"
	"time"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/jsonl"
)

//go:embed example.yaml
var example []byte

// Spec describes the sink.
func Spec() sink.Spec {
	return sink.Spec{
		Type:     "files",
		Summary:  "files of JSON lines in a local folder, one per batch and named by it (exact by that name)",
		Delivery: sink.Replay,
		Kinds:    jsonl.Kinds(),
		Grouped:  true,
		Example:  example,
		Batch:    sink.Batch{Rows: 1_000_000, Bytes: 128 << 20, Age: time.Minute},
		Options:  func() sink.Options { return defaults() },
		Open:     open,
	}
}

// Options are the options of a files sink.
type Options struct {
	Dir         string `yaml:"dir"`         // the root; nothing is written outside of it
	Folder      string `yaml:"folder"`      // below dir, with {sink}, {topic} and {partition}
	Format      string `yaml:"format"`      // jsonl
	Compression string `yaml:"compression"` // zstd or none
	Level       int    `yaml:"level"`       // of zstd, 1 to 19
	Create      bool   `yaml:"create"`      // make dir if it does not exist
}

func defaults() *Options {
	return &Options{Folder: "{sink}/{topic}/{partition}", Format: "jsonl", Compression: "zstd", Level: 3, Create: true}
}

// Validate reports every mistake.
func (o *Options) Validate() error {
	var all []error
	wrong := func(path, format string, args ...any) {
		all = append(all, &sink.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if o.Dir == "" {
		wrong("dir", "is missing: the folder to write to")
	}
	if _, err := parseTemplate(o.Folder); err != nil {
		wrong("folder", "%v", err)
	}
	switch o.Format {
	case "jsonl":
	case "parquet":
		wrong("format", "parquet is not there yet; this release writes jsonl")
	default:
		wrong("format", "unknown format %q; this release writes jsonl", o.Format)
	}
	switch o.Compression {
	case "zstd", "none":
	default:
		wrong("compression", "unknown compression %q; want zstd or none", o.Compression)
	}
	if o.Level < 1 || o.Level > 19 {
		wrong("level", "%d is not a level of zstd; want 1 to 19", o.Level)
	}
	return errors.Join(all...)
}
