package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// chooser is a text option with a closed set of values. later are those that
// the design has and this release does not: they are refused, not ignored.
type chooser interface {
	choices() []string
	later() []string
}

// Format is how the records of a stream are encoded.
type Format string

// The formats.
const (
	Avro Format = "avro"
	JSON Format = "json"
)

func (Format) choices() []string { return []string{string(Avro), string(JSON)} }
func (Format) later() []string   { return nil }

// Framing is what comes before an Avro value.
type Framing string

// The framings.
const (
	Confluent Framing = "confluent" // a zero byte and the schema's id in four bytes
	Bare      Framing = "bare"      // nothing: every value is of the schema in the file
)

func (Framing) choices() []string { return []string{string(Confluent), string(Bare)} }
func (Framing) later() []string   { return nil }

// Packing is how a stream's files are compressed.
type Packing string

// The packings. A file's own first bytes say it, unless the YAML does.
const (
	PackingAuto Packing = "auto"
	PackingNone Packing = "none"
	PackingGzip Packing = "gzip"
	PackingZstd Packing = "zstd"
)

func (Packing) choices() []string {
	return []string{string(PackingAuto), string(PackingNone), string(PackingGzip), string(PackingZstd)}
}
func (Packing) later() []string { return nil }

// FileOrder is the order in which new files are read.
type FileOrder string

// The orders.
const (
	ByName FileOrder = "name"
	ByTime FileOrder = "modified"
)

func (FileOrder) choices() []string { return []string{string(ByName), string(ByTime)} }
func (FileOrder) later() []string   { return nil }

// Mechanism is a SASL mechanism.
type Mechanism string

func (Mechanism) choices() []string { return []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} }
func (Mechanism) later() []string   { return nil }

// OnBadRecord is what a sink does with a record that it cannot write.
type OnBadRecord string

// What can be done with a bad record.
const (
	StopOnBad  OnBadRecord = "stop"
	DeadLetter OnBadRecord = "dead_letter"
)

func (OnBadRecord) choices() []string { return []string{string(StopOnBad), string(DeadLetter)} }
func (OnBadRecord) later() []string   { return nil }

// Share is how many of 1,000 offsets may be bad: 50 is 5%.
type Share int

// String is the share as the YAML writes it.
func (s Share) String() string { return strconv.FormatFloat(float64(s)/10, 'f', -1, 64) + "%" }

// UnmarshalText reads a percentage, such as 5% or 0.1%.
func (s *Share) UnmarshalText(text []byte) error {
	number, ok := strings.CutSuffix(string(text), "%")
	whole, tenth, _ := strings.Cut(number, ".")
	w, err1 := strconv.ParseUint(whole, 10, 8)
	t, err2 := strconv.ParseUint("0"+tenth, 10, 8)
	n := Share(10*w + t)
	if !ok || err1 != nil || err2 != nil || len(tenth) > 1 || strings.HasSuffix(number, ".") || n < 1 || n >= 1000 {
		return errors.New("must be a percentage from 0.1% to 99.9%, such as 5%")
	}
	*s = n
	return nil
}

// OnGap is what a sink does when records that it has not written are gone.
type OnGap string

// What can be done about a gap.
const (
	StopOnGap OnGap = "stop"            // stop the sink, and name what is missing
	SkipGap   OnGap = "skip_and_record" // go on behind it, and log and count what is missing
)

func (OnGap) choices() []string { return []string{string(StopOnGap), string(SkipGap)} }
func (OnGap) later() []string   { return nil }

// OnReset is what a sink does when its topic was re-created.
type OnReset string

// What can be done about a topic that was re-created.
const (
	StopOnReset    OnReset = "stop"            // stop the sink
	NewIncarnation OnReset = "new_incarnation" // go on at the beginning of the new topic
)

func (OnReset) choices() []string { return []string{string(StopOnReset), string(NewIncarnation)} }
func (OnReset) later() []string   { return nil }

// delivery is the option of that name: a sink may only be weakened.
type delivery string

func (delivery) choices() []string { return []string{"at_least_once"} }
func (delivery) later() []string   { return nil }

// Start is where a sink without any progress begins. It is resolved once, when
// the sink first starts. The zero value is the earliest record.
type Start struct {
	Latest bool
	Time   time.Time // the first record of that time or later; zero: not by time
}

// String is the position as the YAML writes it.
func (s Start) String() string {
	switch {
	case s.Latest:
		return "latest"
	case !s.Time.IsZero():
		return s.Time.Format(time.RFC3339Nano)
	}
	return "earliest"
}

// UnmarshalText reads earliest, latest or a time.
func (s *Start) UnmarshalText(text []byte) error {
	switch string(text) {
	case "earliest":
		*s = Start{}
		return nil
	case "latest":
		*s = Start{Latest: true}
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil || t.IsZero() {
		return fmt.Errorf("must be earliest, latest or a time such as 2026-01-31T06:00:00Z")
	}
	*s = Start{Time: t}
	return nil
}
