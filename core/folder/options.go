package folder

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Format is what the files hold.
type Format uint8

// The formats.
const (
	Lines     Format = iota // a record per line
	Container               // Avro object container files
)

// Options of one stream. Name, Paths and State are mandatory.
type Options struct {
	Name        string   // stands where a topic's name would
	Paths       []string // files, and globs as of path/filepath.Match
	Format      Format
	Compression Compression // Auto: by the first bytes of each file
	Follow      bool        // go on when all is read; else the stream is complete then
	// LastLine is how long the last line of a file may lack its end, while the file
	// does not grow, before it counts as a line; 0: for ever. Without Follow it
	// counts at once.
	LastLine time.Duration
	ByTime   bool          // new files in the order of their modification times; else of their names
	State    string        // the state folder; it is made if it is not there
	Parallel int           // partitions; default 1. Files are spread over them.
	Poll     time.Duration // how often to look for files and additions; default 250 ms
	MaxLine  int           // bytes of a line that are read; default 4 MiB. A longer one is bad.
	// Measure gives, for the schema of a container, a function that tells how many
	// bytes the value at the start of its argument has, or -1. For Container only.
	Measure func(schema []byte) (func(value []byte) int, error)
	Log     *slog.Logger
}

const (
	// MaxParallel bounds Options.Parallel.
	MaxParallel = 64
	// maxFiles bounds what the catalogue remembers, and so its memory.
	maxFiles = 1_000_000
)

func (o Options) withDefaults() (Options, error) {
	if o.Parallel == 0 {
		o.Parallel = 1
	}
	if o.Poll <= 0 {
		o.Poll = 250 * time.Millisecond
	}
	if o.MaxLine <= 0 {
		o.MaxLine = 4 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Name == "" || len(o.Paths) == 0 || o.State == "":
		return o, errors.New("files: name, paths and state folder are needed")
	case o.Parallel < 0 || o.Parallel > MaxParallel:
		return o, fmt.Errorf("files: parallel is %d: from 1 to %d", o.Parallel, MaxParallel)
	case o.Format == Container && o.Measure == nil:
		return o, errors.New("files: containers need a measure of their values")
	}
	return o, nil
}
