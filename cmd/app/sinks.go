package app

import (
	"context"
	_ "embed" // stream.yaml, sink.yaml
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/sink"
)

func sinksCommand() command {
	return command{
		name: "sinks", summary: "list the types of sinks that this build knows",
		help: `
Lists the types of sinks, how each delivers, and what it writes.

Examples:
  sluice sinks
  sluice sinks --json`,
		start: func(f *flag.FlagSet) func(context.Context, *call) error {
			asJSON := f.Bool("json", false, "print JSON")
			return func(_ context.Context, c *call) error { return listSinks(c, *asJSON) }
		},
	}
}

// sinkType is a type of sink as --json prints it.
type sinkType struct {
	Type       string          `json:"type"`
	Delivery   string          `json:"delivery"`
	Summary    string          `json:"summary"`
	Aggregate  bool            `json:"aggregate"`
	Kinds      []string        `json:"kinds,omitempty"`
	Options    []config.Option `json:"options,omitempty"`
	Connection []config.Option `json:"connection,omitempty"`
	Example    string          `json:"example,omitempty"`
}

func listSinks(c *call, asJSON bool) error {
	if len(c.args) > 0 {
		return usagef("sinks takes no arguments; sluice describe %s explains a type", c.args[0])
	}
	if asJSON {
		types := []sinkType{}
		for _, s := range c.specs {
			types = append(types, sinkType{Type: s.Type, Delivery: s.Delivery.String(), Summary: s.Summary, Aggregate: s.Grouped})
		}
		return writeJSON(c.stdout, types)
	}
	var t table
	t.row("TYPE", "DELIVERY", "WRITES")
	for _, s := range c.specs {
		t.row(s.Type, s.Delivery.String(), s.Summary)
	}
	t.write(c.stdout)
	return nil
}

func describeCommand() command {
	return command{
		name: "describe", args: "TYPE | sink | stream", summary: "explain a type of sink: fields, options, an example",
		help: `
Explains a type of sink: how it delivers, which fields it takes, its options
with their defaults, and a complete example to start from. sink shows what sinks
of all types have, stream what a stream has: an example with every option.

Examples:
  sluice describe stream
  sluice describe sink
  sluice describe mariadb
  sluice describe files --json`,
		start: func(f *flag.FlagSet) func(context.Context, *call) error {
			asJSON := f.Bool("json", false, "print JSON")
			return func(_ context.Context, c *call) error { return describe(c, *asJSON) }
		},
	}
}

func describe(c *call, asJSON bool) error {
	if len(c.args) != 1 {
		return usagef("describe takes one type, sink or stream; sluice sinks lists the types")
	}
	if text, ok := general()[c.args[0]]; ok {
		if asJSON {
			return writeJSON(c.stdout, map[string]string{"example": text})
		}
		_, err := io.WriteString(c.stdout, text)
		return err
	}
	i := slices.IndexFunc(c.specs, func(s sink.Spec) bool { return s.Type == c.args[0] })
	if i < 0 {
		names := make([]string, len(c.specs))
		for j, s := range c.specs {
			names[j] = s.Type
		}
		if near := config.Near(c.args[0], names); near != "" {
			return usagef("unknown type of sink %q; did you mean %s?", c.args[0], near)
		}
		return usagef("unknown type of sink %q; sluice sinks lists them", c.args[0])
	}
	s := c.specs[i]
	about := sinkType{
		Type: s.Type, Delivery: s.Delivery.String(), Summary: s.Summary, Aggregate: s.Grouped,
		Options: config.Options(s.Options()), Example: string(s.Example),
	}
	if s.Connection != nil {
		about.Connection = config.Options(s.Connection())
	}
	for _, k := range s.Kinds {
		about.Kinds = append(about.Kinds, k.String())
	}
	if asJSON {
		return writeJSON(c.stdout, about)
	}
	return about.print(c, s)
}

//go:embed stream.yaml
var streamExample string

//go:embed sink.yaml
var sinkExample string

// general are the examples of what no type of sink has for itself.
func general() map[string]string {
	return map[string]string{"sink": sinkExample, "stream": streamExample}
}

func (t sinkType) print(c *call, s sink.Spec) error {
	fmt.Fprintf(c.stdout, "%s: %s\n\n", t.Type, t.Summary)
	var head table
	head.row("Delivery", t.Delivery+": "+promise(s.Delivery))
	head.row("Fields", strings.Join(t.Kinds, ", "))
	head.row("Aggregate", map[bool]string{true: "yes", false: "no"}[t.Aggregate])
	head.row("Batch", batchText(s.Batch))
	head.write(c.stdout)
	printOptions(c, "connections.NAME."+t.Type, t.Connection)
	printOptions(c, t.Type, t.Options)
	if t.Example != "" {
		fmt.Fprintf(c.stdout, "\nExample:\n\n%s\n", indent(t.Example))
	}
	return nil
}

// promise says what a delivery means for the rows.
func promise(d sink.Delivery) string {
	switch d {
	case sink.Atomic:
		return "rows and position in one transaction; each event counts once"
	case sink.Replay:
		return "a repeated batch replaces itself; each event counts once"
	}
	return "after a crash rows may come twice"
}

func batchText(b sink.Batch) string {
	var parts []string
	if b.Rows > 0 {
		parts = append(parts, fmt.Sprintf("%d rows", b.Rows))
	}
	if b.Bytes > 0 {
		parts = append(parts, config.FormatSize(b.Bytes))
	}
	if b.Age > 0 {
		parts = append(parts, config.FormatDuration(b.Age))
	}
	if len(parts) == 0 {
		return "the general defaults"
	}
	return strings.Join(parts, ", ") + ", whichever comes first"
}

func printOptions(c *call, title string, options []config.Option) {
	if len(options) == 0 {
		return
	}
	fmt.Fprintf(c.stdout, "\nOptions of %s:\n", title)
	var t table
	for _, o := range options {
		fallback := ""
		if o.Default != "" {
			fallback = "default " + o.Default
		}
		t.row("  "+o.Path, o.Type, fallback)
	}
	t.write(c.stdout)
}

func indent(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, l := range lines {
		if l != "" {
			lines[i] = "  " + l
		}
	}
	return strings.Join(lines, "\n")
}

func versionCommand() command {
	return command{
		name: "version", summary: "print the version",
		help: "\nExamples:\n  sluice version\n  sluice version --json",
		start: func(f *flag.FlagSet) func(context.Context, *call) error {
			asJSON := f.Bool("json", false, "print JSON")
			return func(_ context.Context, c *call) error { return printVersion(c, *asJSON) }
		},
	}
}

// printVersion prints what the build itself knows: module version and commit.
func printVersion(c *call, asJSON bool) error {
	v := struct {
		Version string `json:"version"`
		Commit  string `json:"commit,omitempty"`
		Go      string `json:"go"`
		System  string `json:"system"`
	}{Version: "development", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" && info.Main.Version != "(devel)" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	if asJSON {
		return writeJSON(c.stdout, v)
	}
	commit := ""
	if v.Commit != "" {
		commit = " (" + v.Commit[:min(12, len(v.Commit))] + ")"
	}
	_, err := fmt.Fprintf(c.stdout, "sluice %s%s, %s, %s\n", v.Version, commit, v.Go, v.System)
	return err
}
