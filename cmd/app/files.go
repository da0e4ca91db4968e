package app

import (
	"errors"
	"flag"
	"strings"

	"github.com/sluicekit/sluice/config"
)

// files is the flag -c of every subcommand that reads the configuration.
type files struct{ paths []string }

// configFlag declares -c.
func configFlag(f *flag.FlagSet) *files {
	c := &files{}
	f.Var(c, "c", "`FILE|DIR` with the configuration; may be given several times (default: this folder)")
	return c
}

// String is the flag's value; the package flag wants it.
func (f *files) String() string { return strings.Join(f.paths, ",") }

// Set adds one path.
func (f *files) Set(path string) error {
	if path == "" {
		return errors.New("an empty path")
	}
	f.paths = append(f.paths, path)
	return nil
}

// load reads the configuration. The error is config.Problems.
func (f *files) load(c *call) (*config.Config, error) {
	paths := f.paths
	if len(paths) == 0 {
		paths = []string{"."}
	}
	return config.Load(paths, c.specs, c.env)
}
