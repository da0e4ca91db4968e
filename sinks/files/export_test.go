package files

import "github.com/sluicekit/sluice/core/sink"

// System and Handle let the tests put a file system of their own below a sink.
type (
	System = system
	Handle = handle
)

// OpenOn opens a sink on a file system.
func OpenOn(s System, c sink.Config) (sink.Sink, error) {
	return openOn(&disk{in: s, close: func() error { return nil }}, c, *c.Options.(*Options))
}
