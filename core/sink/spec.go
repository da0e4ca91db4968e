package sink

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/sluicekit/sluice/core/record"
)

// Delivery is how a sink makes a repeated cut harmless.
type Delivery uint8

// The kinds of delivery.
const (
	// Atomic: rows, positions, last cut and dead set in one transaction, which
	// compares the stored position with the cut's. The destination's own row is
	// the truth; core keeps no intent.
	Atomic Delivery = iota + 1
	// Replay: an equal cut committed again completes it and changes nothing
	// else. Core stores the intent before Commit.
	Replay
	// AtLeastOnce: a repeat may double rows; no promise.
	AtLeastOnce
)

// String is the delivery as the YAML and the messages write it.
func (d Delivery) String() string {
	switch d {
	case Atomic:
		return "atomic"
	case Replay:
		return "replay"
	case AtLeastOnce:
		return "at_least_once"
	}
	return "unknown"
}

// Spec describes a type of sink. A program lists the Specs it knows
// explicitly; nothing registers itself.
type Spec struct {
	Type     string // its key in the YAML, such as mariadb
	Summary  string // one line: what it writes, and how it is exact
	Delivery Delivery
	Kinds    []record.Kind // what a field may be; any other is refused at load, by name
	NoNull   []record.Kind // of Kinds: those of which the destination has no null, so that a null is refused by its offset
	Grouped  bool          // takes the rows of an aggregate
	Example  []byte        // example.yaml: every option, commented
	Batch    Batch         // defaults of batch:

	// Connection makes the options of a connection of this type, with defaults
	// set; nil: the sink needs no connection, and the sink's options stand for
	// both.
	Connection func() Options
	// Options makes the sink's own options, with defaults set.
	Options func() Options
	// Open connects and checks what can be checked before rows flow: tables,
	// columns, rights, settings.
	Open func(ctx context.Context, c Config) (Sink, error)
}

// Options is a pointer to a plain struct whose exported fields carry yaml
// tags. Core's strict decoder fills it: scalars, lists, maps, nested structs,
// time.Duration ("15s"), Size ("64MiB") and Secret. One vocabulary for all
// sinks: connection, address, database, table, username, password, tls,
// timeout, create.
type Options interface {
	// Validate reports what the types alone do not forbid. A *FieldError (or
	// several, by errors.Join) points at the option to blame.
	Validate() error
}

// Fitter is what Options can be besides: those that go together with the rows,
// or do not, whatever the destination holds.
type Fitter interface {
	// Fit reports, as Validate does, what does not go together with rows of this
	// schema. keys are the grouping columns of an aggregate; nil without one.
	Fit(rows *record.Schema, keys []string) error
}

// FieldError is a mistake in one option, named by its yaml path below the
// options, such as tls.ca.
type FieldError struct {
	Path    string
	Message string
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Message }

// Config is what Open gets.
type Config struct {
	Name       string // the sink's name
	Connection string // the connection's name; the type's name if it needs none
	Schema     *record.Schema
	Keys       []string // the grouping columns of an aggregate, in order; nil without one
	Options    Options  // as Spec.Options made it, filled
	Conn       Options  // as Spec.Connection made it, filled; nil without one
	Timeout    time.Duration
	Delivery   Delivery // the Spec's, or AtLeastOnce where that was chosen knowingly
	Log        *slog.Logger
}

// ID is the sink's identity at its destination and in the ledger.
func (c Config) ID() string { return c.Name + "@" + c.Connection }

// Batch says when to cut: whichever comes first.
type Batch struct {
	Rows  int           `yaml:"rows"`
	Bytes Size          `yaml:"bytes"`
	Age   time.Duration `yaml:"age"` // since the first record of the batch was read
}

// Size is a number of bytes; in YAML with a unit, such as 64MiB or 1MB.
type Size int64

// Secret is a text that never prints. Reveal is for the one call that needs it.
// The text lies behind a pointer, since fmt reads unexported fields of what
// holds a Secret without asking its methods.
type Secret struct{ text *string }

// NewSecret wraps a text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal is the text itself; "" of the zero Secret.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Set says whether there is one.
func (s Secret) Set() bool { return s.Reveal() != "" }

// Format hides the secret from every verb of fmt; the methods below hide it
// from what does not use fmt.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) } //nolint:errcheck // fmt has no use for it

const hidden = "***"

// String hides the secret.
func (s Secret) String() string { return hidden }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
