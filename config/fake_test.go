package config_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// The sinks of these tests: plain option structs of every shape that the
// decoder knows, and no destination.

type mariaConnection struct {
	Address  []string    `yaml:"address"`
	Database string      `yaml:"database"`
	Username string      `yaml:"username"`
	Password sink.Secret `yaml:"password"`
	TLS      *struct {
		CA         string `yaml:"ca"`
		SkipVerify bool   `yaml:"skip_verify"`
	} `yaml:"tls"`
}

func (c *mariaConnection) Validate() error {
	var all []error
	if len(c.Address) == 0 {
		all = append(all, &sink.FieldError{Path: "address", Message: "is missing"})
	}
	if c.TLS != nil && c.TLS.CA == "bad.pem" {
		all = append(all, &sink.FieldError{Path: "tls.ca", Message: "is not a certificate"})
	}
	return errors.Join(all...)
}

// mode is an option with a parser of its own.
type mode string

func (m *mode) UnmarshalText(text []byte) error {
	switch string(text) {
	case "insert", "upsert", "add":
		*m = mode(text)
		return nil
	}
	return errors.New("must be insert, upsert or add")
}

type common struct {
	Table  string `yaml:"table"`
	Create bool   `yaml:"create"`
}

type mariaOptions struct {
	common
	Mode    mode              `yaml:"mode"`
	Keys    []string          `yaml:"keys,one"`
	Pool    uint8             `yaml:"pool"`
	Shift   int16             `yaml:"shift"`
	Ratio   float64           `yaml:"ratio"`
	Wait    time.Duration     `yaml:"wait"`
	Chunk   sink.Size         `yaml:"chunk"`
	Token   sink.Secret       `yaml:"token"`
	Renames map[string]string `yaml:"renames"`
	Limits  map[string]int    `yaml:"limits"`
	Retry   *struct {
		Times int           `yaml:"times"`
		Pause time.Duration `yaml:"pause"`
	} `yaml:"retry"`
	Parts []struct {
		Name string `yaml:"name"`
		Rows int    `yaml:"rows"`
	} `yaml:"parts"`
	Hidden string // no tag: no option
}

func (o *mariaOptions) Validate() error {
	var all []error
	if o.Table == "" {
		all = append(all, &sink.FieldError{Path: "table", Message: "is missing"})
	}
	if o.Mode == "add" && len(o.Keys) > 0 {
		all = append(all, &sink.FieldError{Path: "keys[0]", Message: "has no meaning with mode: add"})
	}
	if o.Table == "leak" {
		all = append(all, &sink.FieldError{Path: "token", Message: "the server refused " + o.Token.Reveal()})
	}
	if o.Table == "plain" {
		all = append(all, errors.New("these options do not go together"))
	}
	return errors.Join(all...)
}

type noOptions struct{}

func (*noOptions) Validate() error { return nil }

func specs() []sink.Spec {
	maria := func(name string, d sink.Delivery) sink.Spec {
		return sink.Spec{
			Type: name, Summary: "a table", Delivery: d, Grouped: true,
			Kinds:      []record.Kind{record.Bool, record.Int, record.Float, record.Decimal, record.Timestamp, record.String, record.JSON},
			Batch:      sink.Batch{Rows: 50_000, Age: time.Second},
			Connection: func() sink.Options { return &mariaConnection{} },
			Options: func() sink.Options {
				return &mariaOptions{Mode: "insert", Pool: 4, Wait: 2 * time.Second, Chunk: 1 << 20}
			},
		}
	}
	return []sink.Spec{
		maria("mariadb", sink.Atomic),
		maria("clickhouse", sink.Replay),
		{
			Type: "print", Summary: "lines", Delivery: sink.AtLeastOnce, Kinds: record.Kinds(),
			Options: func() sink.Options { return &noOptions{} },
			Open:    func(context.Context, sink.Config) (sink.Sink, error) { return nil, errors.New("not here") },
		},
	}
}

// environment is what ${env:…} sees in these tests.
func environment(name string) (string, bool) {
	v, ok := map[string]string{
		"DB_PASSWORD": "hunter2-from-env", "TOPIC": "events", "ROWS": "2000", "WORD": "zweihundert", "EMPTY": "",
		"YAML": "{a: 1}",
	}[name]
	return v, ok
}

// unpack writes the files of an archive into a folder and makes it the current
// one, so that messages show relative names.
func unpack(t *testing.T, a *txtar.Archive) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, f := range a.Files {
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// load loads the files of an archive text.
func load(t *testing.T, archive string) (*config.Config, error) {
	t.Helper()
	unpack(t, txtar.Parse([]byte(archive)))
	return config.Load([]string{"."}, specs(), environment)
}

// mustLoad is load for texts without a mistake.
func mustLoad(t *testing.T, archive string) *config.Config {
	t.Helper()
	c, err := load(t, archive)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
