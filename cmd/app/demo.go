package app

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/sluicekit/sluice/cmd/app/demo"
)

const demoHelp = `
Runs the whole story on this machine, with nothing else installed: an
in-process Kafka and schema registry, ad events in Avro, and this very program
as a child process with three sinks. The child is killed twice on the way.
Afterwards every row is compared with what was produced.

Examples:
  sluice demo
  sluice demo --events 1000000 --dir /tmp/sluice-demo --keep
  sluice demo --json`

func demoCommand() command {
	return command{
		name: "demo", args: "", summary: "the whole story on this machine, with nothing installed", help: demoHelp,
		start: func(f *flag.FlagSet) func(context.Context, *call) error {
			events := f.Int("events", 200000, "how many `EVENTS` to produce")
			dir := f.String("dir", "", "`FOLDER` for configuration, databases and files (default: a temporary one)")
			keep := f.Bool("keep", false, "keep the folder")
			asJSON := f.Bool("json", false, "print the report as JSON, on the last line of stdout")
			return func(ctx context.Context, c *call) error {
				if *events < 1 || *events > 50_000_000 {
					return usagef("--events %d: write a number from 1 to 50000000", *events)
				}
				binary, err := os.Executable()
				if err != nil {
					return err
				}
				o := demo.Options{Binary: binary, Events: *events, Dir: *dir, Out: c.stdout, Live: terminal(c.stdout)}
				if *asJSON {
					o.Out, o.Live = c.stderr, terminal(c.stderr)
				}
				r, err := demo.Run(ctx, o)
				if !*keep && *dir == "" && r.OK && err == nil {
					defer os.RemoveAll(r.Dir) //nolint:errcheck // a temporary folder
				} else {
					fmt.Fprintf(o.Out, "kept %s\n", r.Dir) //nolint:errcheck // nowhere to report it
				}
				if err != nil {
					return fmt.Errorf("demo: %w", err)
				}
				return report(c, r, *asJSON)
			}
		},
	}
}

func report(c *call, r demo.Report, asJSON bool) error {
	if asJSON {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "%s\n", line) //nolint:errcheck // nowhere to report it
	} else {
		r.Print(c.stdout)
	}
	if !r.OK {
		return errSaid
	}
	return nil
}

// terminal says whether a person looks at w as it is written.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	s, err := f.Stat()
	return err == nil && s.Mode()&os.ModeCharDevice != 0
}
