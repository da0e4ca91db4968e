package config

import (
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// Config is everything that the YAML files say. Every default is filled in but that of limits.
type Config struct {
	Streams     []Stream     // in the order of the files
	Connections []Connection // in the order of the files
	Sinks       []Sink       // in the order of the files
	Limits      Limits
	Warnings    Problems // what works and is doubtful

	places  map[string]place // per sink, where its document lies
	streams map[string]place // per stream, its body
	partly  bool             // see Load
}

// MaxSlots is the most that slots: takes.
const MaxSlots = 10_000

// Limits bound the whole process.
type Limits struct {
	// Memory is the budget of fetched, decoded and held data, in bytes; 0: not given, and taken from what the program has.
	Memory sink.Size `yaml:"memory"`
}

// Stream is a source of events, decoded once for all of its sinks.
type Stream struct {
	Name        string
	Kafka       Kafka
	Files       *Files // instead of Kafka; nil: none
	Format      Format
	Framing     Framing   // Avro
	Registry    *Registry // nil: none
	SchemaPath  string    // as opened; "" without one
	Schema      []byte    // the writer schema (Avro, as JSON text); nil without a file
	Envelope    Envelope
	Types       []Declared // the types of paths, where the data does not say them (JSON)
	DeadLetters DeadLetters
	Slots       int // runs of partitions per topic; 0: one partition each
}

// Kafka says where a stream's records are, and as whom they are read.
type Kafka struct {
	Brokers    []string `yaml:"brokers,one"` // host:port
	Topics     []string `yaml:"topics,one"`  // one name or several
	Group      string   `yaml:"group"`
	InstanceID string   `yaml:"instance_id"` // static membership; "": none
	ClientID   string   `yaml:"client_id"`
	SASL       *SASL    `yaml:"sasl"`
	TLS        *TLS     `yaml:"tls"`

	SessionTimeout   time.Duration `yaml:"session_timeout"`   // after which a silent member's partitions go to others
	RebalanceTimeout time.Duration `yaml:"rebalance_timeout"` // how long members may take to finish their batches
	Fetch            Fetch         `yaml:"fetch"`
}

// Files says which files a stream is read from, instead of Kafka.
type Files struct {
	Paths       []string      `yaml:"paths,one"`   // files and globs, as opened: relative to the folder of the YAML file
	State       string        `yaml:"state"`       // the folder that keeps the progress, as opened
	Follow      bool          `yaml:"follow"`      // go on when all is read
	LastLine    time.Duration `yaml:"last_line"`   // how long a last line may lack its end while its file does not grow; 0: for ever
	Compression Packing       `yaml:"compression"` // auto by default
	Order       FileOrder     `yaml:"order"`       // of new files; name by default
	Parallel    int           `yaml:"parallel"`    // partitions; 1 by default
}

// Fetch bounds one fetch from a broker.
type Fetch struct {
	PartitionBytes sink.Size `yaml:"partition_bytes"` // of one partition, as it is compressed
}

// SASL is how a Kafka client proves who it is.
type SASL struct {
	Mechanism Mechanism   `yaml:"mechanism"`
	Username  string      `yaml:"username"`
	Password  sink.Secret `yaml:"password"`
}

// Registry is a schema registry.
type Registry struct {
	URL      string        `yaml:"url"`
	Username string        `yaml:"username"`
	Password sink.Secret   `yaml:"password"`
	TLS      *TLS          `yaml:"tls"`
	Subject  string        `yaml:"subject"` // "": the topic's name and -value
	Grace    time.Duration `yaml:"grace"`   // how long an unknown schema id is asked for before its record is dead
}

// Envelope names the fields of an event that play the roles of the envelope.
// "" stands for the field that has the role's own name, if there is one; "-"
// says that the events have no such role.
type Envelope struct {
	ID      string `yaml:"id"`
	Time    string `yaml:"time"`
	Type    string `yaml:"type"`
	Server  string `yaml:"server"`
	Payload string `yaml:"payload"`
}

// Declared is the type of one path of a stream's events, as the YAML says it:
// int, decimal(18,6), timestamp(ms).
type Declared struct {
	Path string
	Type record.Type
	Unit string // of a timestamp read from a number: s, ms, us, ns; else ""
}

// DeadLetters says where records go that cannot be written: one of the two, or
// nowhere.
type DeadLetters struct {
	Topic string `yaml:"topic"`
	Dir   string `yaml:"dir"` // as opened: relative to the folder of the YAML file
}

// None says that there is no such place.
func (d DeadLetters) None() bool { return d.Topic == "" && d.Dir == "" }

// Connection is a named destination that sinks share.
type Connection struct {
	Name    string
	Type    string       // the sink type that it serves
	Options sink.Options // as Spec.Connection made it, filled
}

// Sink is one sink: which events, which fields, and where they go.
type Sink struct {
	Name        string
	File        string // where it is written down
	From        string // the stream's name
	Start       Start
	Where       string
	All         bool    // fields: all
	Fields      []Field // in the order of the file; nil with All
	Aggregate   *Aggregate
	Batch       sink.Batch
	OnBadRecord OnBadRecord
	MaxBad      Share // with DeadLetter: more bad records than that stop the sink; 0: no limit
	OnGap       OnGap
	OnReset     OnReset
	Delivery    sink.Delivery // the Spec's, or AtLeastOnce where that was chosen
	Timeout     time.Duration // of one attempt to commit

	Spec    sink.Spec
	Options sink.Options // as Spec.Options made it, filled; not to be changed
	Targets []Target     // at least one; each has its own progress
}

// Target is one destination of a sink.
type Target struct {
	Connection string       // the connection's name; the type's name where it needs none
	Options    sink.Options // the connection's; nil without one
}

// Field is one column of a sink.
type Field struct {
	Name string
	Expr string
	As   string // a cast; "": none
}

// Aggregate groups the rows of a batch.
type Aggregate struct {
	By      []string
	Columns []Column
}

// Column is one aggregated column.
type Column struct {
	Name string
	Expr string
}

// Stream is the stream of that name, or nil.
func (c *Config) Stream(name string) *Stream {
	for i := range c.Streams {
		if c.Streams[i].Name == name {
			return &c.Streams[i]
		}
	}
	return nil
}

// Sink is the sink of that name, or nil.
func (c *Config) Sink(name string) *Sink {
	for i := range c.Sinks {
		if c.Sinks[i].Name == name {
			return &c.Sinks[i]
		}
	}
	return nil
}

// SinksOf lists the sinks of a stream.
func (c *Config) SinksOf(stream string) []*Sink {
	var out []*Sink
	for i := range c.Sinks {
		if c.Sinks[i].From == stream {
			out = append(out, &c.Sinks[i])
		}
	}
	return out
}

// Entries is how many positions each slot of a stream keeps: one per sink and
// connection.
func (c *Config) Entries(stream string) int {
	n := 0
	for _, s := range c.SinksOf(stream) {
		n += len(s.Targets)
	}
	return n
}
