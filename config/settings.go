package config

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluicekit/sluice/core/sink"
)

// settings are the options that a sink, its stream and the whole installation
// can set; the nearest one counts. A nil pointer is not set.
type settings struct {
	Start       *Start         `yaml:"start"`
	Batch       batch          `yaml:"batch"`
	OnBadRecord *OnBadRecord   `yaml:"on_bad_record"`
	MaxBad      *Share         `yaml:"max_bad"`
	OnGap       *OnGap         `yaml:"on_gap"`
	OnReset     *OnReset       `yaml:"on_topic_reset"`
	OnNewField  *ofTable       `yaml:"on_new_field"`
	Timeout     *time.Duration `yaml:"timeout"`
}

type batch struct {
	Rows  *int           `yaml:"rows"`
	Bytes *sink.Size     `yaml:"bytes"`
	Age   *time.Duration `yaml:"age"`
}

// What counts where nobody says anything, the sink's type included.
const (
	defaultRows    = 100_000
	defaultBytes   = sink.Size(64 << 20)
	defaultAge     = 5 * time.Second
	defaultTimeout = 5 * time.Minute
)

// settings decodes a mapping of settings and checks their bounds.
func (d *decoder) settings(n *yaml.Node, path string, s *settings) {
	d.into(n, path, s)
	d.checkSettings(n, path, s)
}

func (d *decoder) checkSettings(n *yaml.Node, path string, s *settings) {
	if b := s.Batch.Rows; b != nil && (*b < 1 || *b > 100_000_000) {
		d.failAt(n, path, "batch.rows", "must be from 1 to 100000000", "")
	}
	if b := s.Batch.Bytes; b != nil && (*b < 1<<10 || *b > 16<<30) {
		d.failAt(n, path, "batch.bytes", "must be from 1KiB to 16GiB", "")
	}
	if a := s.Batch.Age; a != nil && (*a < 10*time.Millisecond || *a > 24*time.Hour) {
		d.failAt(n, path, "batch.age", fmt.Sprintf("must be from %s to %s", FormatDuration(10*time.Millisecond), FormatDuration(24*time.Hour)), "")
	}
	if t := s.Timeout; t != nil && (*t < time.Second || *t > 6*time.Hour) {
		d.failAt(n, path, "timeout", "must be from 1s to 6h", "")
	}
}

// over lays s over less specific settings.
func (s settings) over(less settings) settings {
	or(&s.Start, less.Start)
	or(&s.Batch.Rows, less.Batch.Rows)
	or(&s.Batch.Bytes, less.Batch.Bytes)
	or(&s.Batch.Age, less.Batch.Age)
	or(&s.OnBadRecord, less.OnBadRecord)
	or(&s.MaxBad, less.MaxBad)
	or(&s.OnGap, less.OnGap)
	or(&s.OnReset, less.OnReset)
	or(&s.Timeout, less.Timeout)
	return s
}

func or[T any](p **T, fallback *T) {
	if *p == nil {
		*p = fallback
	}
}

// apply fills a sink from settings that are complete once the type's defaults
// and the built-in ones are below them.
func (s settings) apply(to *Sink) {
	b := to.Spec.Batch
	to.Start = value(s.Start, Start{})
	to.Batch.Rows = value(s.Batch.Rows, nonZero(b.Rows, defaultRows))
	to.Batch.Bytes = value(s.Batch.Bytes, nonZero(b.Bytes, defaultBytes))
	to.Batch.Age = value(s.Batch.Age, nonZero(b.Age, defaultAge))
	to.OnBadRecord = value(s.OnBadRecord, StopOnBad)
	to.MaxBad = value(s.MaxBad, 0)
	to.OnGap = value(s.OnGap, StopOnGap)
	to.OnReset = value(s.OnReset, StopOnReset)
	to.Timeout = value(s.Timeout, defaultTimeout)
}

func value[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}

func nonZero[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
