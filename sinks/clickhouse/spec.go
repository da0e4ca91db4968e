package clickhouse

import (
	_ "embed" // the example
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/clickhouse/native"
	"github.com/sluicekit/sluice/sinks/endpoint"
)

//go:embed example.yaml
var example []byte

// Spec is the sink type clickhouse.
func Spec() sink.Spec {
	return sink.Spec{
		Type:     "clickhouse",
		Summary:  "a ClickHouse table; each batch is one insert that the server takes once",
		Delivery: sink.Replay,
		Kinds:    record.Kinds(),
		NoNull:   []record.Kind{record.List, record.Map},
		Grouped:  true,
		Example:  example,
		Batch:    sink.Batch{Rows: 100_000, Bytes: 64 << 20, Age: 5 * time.Second},
		Connection: func() sink.Options {
			return &Connection{Username: "default", Timeout: 10 * time.Second, Compression: string(native.LZ4)}
		},
		Options: func() sink.Options {
			return &Options{Engine: "MergeTree", Window: 10_000, OnNewField: onNewFail, Provenance: defaultProvenance()}
		},
		Open: open,
	}
}

// Connection is a server, or several that hold the same data.
type Connection struct {
	Address     []string          `yaml:"address,one"` // host:port of the native protocol; without a port 9000, or 9440 with tls
	Database    string            `yaml:"database"`    // of tables without one; "": the user's own
	Username    string            `yaml:"username"`
	Password    sink.Secret       `yaml:"password"`
	TLS         *endpoint.TLS     `yaml:"tls"`         // nil: not encrypted
	Timeout     time.Duration     `yaml:"timeout"`     // of connecting and of questions; an insert has the sink's timeout
	Compression string            `yaml:"compression"` // lz4, zstd or none
	Settings    map[string]string `yaml:"settings"`    // of each query
}

const (
	minTimeout = time.Second
	maxTimeout = 10 * time.Minute
)

// Validate reports what cannot work.
func (c *Connection) Validate() error {
	errs := []error{endpoint.CheckAddresses(c.Address, c.port())}
	blame := func(path, message string) { errs = append(errs, &sink.FieldError{Path: path, Message: message}) }
	if c.Username == "" {
		blame("username", "is missing")
	}
	if c.Timeout < minTimeout || c.Timeout > maxTimeout {
		blame("timeout", "must be between "+minTimeout.String()+" and "+maxTimeout.String())
	}
	switch native.Compression(c.Compression) {
	case native.LZ4, native.ZSTD, native.None:
	default:
		blame("compression", "must be lz4, zstd or none")
	}
	errs = append(errs, c.TLS.Validate())
	for _, name := range slices.Sorted(maps.Keys(c.Settings)) {
		if slices.Contains(ownSettings(), name) {
			blame("settings", name+" is set by the sink itself: what is exact depends on it")
		}
	}
	return errors.Join(errs...)
}

// port is ClickHouse's, of an address without one.
func (c *Connection) port() string {
	if c.TLS != nil {
		return "9440"
	}
	return "9000"
}

// What is done with a field that the table has no column for.
const (
	onNewFail   = "fail"
	onNewIgnore = "ignore"
	onNewAdd    = "add_column"
)

// Options are the options of a sink.
type Options struct {
	Table       string   `yaml:"table"`
	Create      bool     `yaml:"create"`
	Engine      string   `yaml:"engine"`
	OrderBy     []string `yaml:"order_by"`
	PartitionBy string   `yaml:"partition_by"`
	TTL         string   `yaml:"ttl"`
	Window      int      `yaml:"window"` // parts that a created table remembers

	OnNewField    string     `yaml:"on_new_field"`
	NullAsDefault bool       `yaml:"null_as_default"`
	Provenance    Provenance `yaml:"provenance"`
}

// Provenance names the columns that say where a row comes from.
type Provenance struct {
	Off         bool   `yaml:"off"`
	Sink        string `yaml:"sink"`
	Incarnation string `yaml:"incarnation"`
	Topic       string `yaml:"topic"`
	Partition   string `yaml:"partition"`
	Offset      string `yaml:"offset"`
	Cut         string `yaml:"cut"` // of an aggregate, instead of partition and offset
}

func defaultProvenance() Provenance {
	return Provenance{Sink: "_sink", Incarnation: "_incarnation", Topic: "_topic", Partition: "_partition", Offset: "_offset", Cut: "_cut"}
}

// Validate reports what cannot work.
func (o *Options) Validate() error {
	var errs []error
	blame := func(path, message string) { errs = append(errs, &sink.FieldError{Path: path, Message: message}) }
	if o.Table == "" {
		blame("table", "is missing")
	}
	if _, _, err := splitTable(o.Table); err != nil {
		blame("table", err.Error())
	}
	switch o.OnNewField {
	case onNewFail, onNewIgnore, onNewAdd:
	default:
		blame("on_new_field", "must be fail, ignore or add_column")
	}
	if o.Create && o.Engine == "" {
		blame("engine", "is missing")
	}
	if o.Window < 0 || o.Window > 1_000_000 {
		blame("window", "must be from 0 to 1000000")
	}
	options := map[string]string{} // by column
	for _, p := range []struct{ option, name string }{{"sink", o.Provenance.Sink}, {"incarnation", o.Provenance.Incarnation}, {"topic", o.Provenance.Topic},
		{"partition", o.Provenance.Partition}, {"offset", o.Provenance.Offset}, {"cut", o.Provenance.Cut}} {
		if p.name == "" {
			blame("provenance."+p.option, "is empty; say off: true to do without all of them")
		} else if options[p.name] != "" {
			blame("provenance."+p.option, "names the column "+p.name+", as provenance."+options[p.name]+" does")
		}
		options[p.name] = p.option
	}
	return errors.Join(errs...)
}
