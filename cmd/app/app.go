package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/sink"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main runs the program with the process's arguments and ends the process.
func Main(specs ...sink.Spec) {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(os.Stderr, "sluice: stopping; a second signal ends at once")
		stop()
		<-signals
		os.Exit(exitFailed)
	}()
	os.Exit(Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, specs))
}

// Run runs one subcommand and returns the exit code. It ends the process in no
// case, and soon after ctx has ended.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, specs []sink.Spec) int {
	c := &call{stdin: stdin, stdout: stdout, stderr: stderr, specs: specs, env: os.LookupEnv}
	err := c.dispatch(ctx, args)
	var usage *usageError
	var problems config.Problems
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "sluice: %s\n", printableLines(usage.message))
		return exitUsage
	case errors.As(err, &problems):
		problems.Write(stderr, "") //nolint:errcheck // nowhere to report it
		fmt.Fprintf(stderr, "sluice: %s in the configuration\n", count(len(problems), "mistake"))
		return exitUsage
	case errors.Is(err, errSaid):
		return exitFailed
	case errors.Is(err, errSaidUsage):
		return exitUsage
	}
	fmt.Fprintf(stderr, "sluice: %s\n", printableLines(err.Error()))
	return exitFailed
}

// call is one run of the program: what every subcommand gets.
type call struct {
	args           []string // without flags
	stdin          io.Reader
	stdout, stderr io.Writer
	specs          []sink.Spec
	env            func(string) (string, bool)
}

// command is one subcommand.
type command struct {
	name    string
	args    string // as the usage line shows them
	summary string // one line
	help    string // what it does, and examples
	// start declares the flags and returns what runs once they are parsed.
	start func(f *flag.FlagSet) func(ctx context.Context, c *call) error
}

// commands is the table of subcommands, in the order of the help.
func commands() []command {
	return []command{
		demoCommand(),
		runCommand(),
		checkCommand(),
		settleCommand(),
		peekCommand(),
		deadCommand(),
		sinksCommand(),
		describeCommand(),
		versionCommand(),
	}
}

// usageError is wrong usage: exit code 2.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// What went wrong is in the output already.
var (
	errSaid      = errors.New("failed")
	errSaidUsage = errors.New("wrong configuration")
)

// dispatch finds the subcommand, parses its flags and runs it.
func (c *call) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		c.overview(c.stderr)
		return errSaidUsage
	}
	name, rest := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
			c.overview(c.stdout)
			return nil
		}
		name, rest = rest[0], []string{"--help"}
	case "-version", "--version":
		name = "version"
	}
	for _, k := range commands() {
		if k.name == name {
			return c.run(ctx, k, rest)
		}
	}
	return c.unknown(name)
}

func (c *call) unknown(name string) error {
	names := []string{"help"}
	for _, k := range commands() {
		names = append(names, k.name)
	}
	if near := config.Near(name, names); near != "" {
		return usagef("unknown command %q; did you mean %s?", name, near)
	}
	return usagef("unknown command %q; sluice help lists them", name)
}

// run parses the flags of a subcommand, which may stand before and behind its
// arguments, and runs it.
func (c *call) run(ctx context.Context, k command, args []string) error {
	f := flag.NewFlagSet(k.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	start := k.start(f)
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			k.usage(c.stdout, f)
			return nil
		}
		if err != nil {
			return wrongFlag(k, f, err)
		}
		if f.NArg() == 0 {
			return start(ctx, c)
		}
		c.args = append(c.args, f.Arg(0))
		args = f.Args()[1:]
	}
}

// wrongFlag says what is wrong in our words, with the nearest flag.
func wrongFlag(k command, f *flag.FlagSet, err error) error {
	const unknown = "flag provided but not defined: -"
	message := err.Error()
	if name, ok := strings.CutPrefix(message, unknown); ok {
		var names []string
		f.VisitAll(func(o *flag.Flag) { names = append(names, o.Name) })
		message = "unknown flag --" + name
		if near := config.Near(name, names); near != "" {
			return usagef("%s: %s; did you mean --%s?", k.name, message, near)
		}
	}
	return usagef("%s: %s; see sluice help %s", k.name, message, k.name)
}

// overview lists the subcommands.
func (c *call) overview(w io.Writer) {
	fmt.Fprint(w, "Sluice carries enveloped events from Kafka or files into databases, exactly once in effect.\n\nUsage: sluice COMMAND [FLAGS]\n\n")
	var t table
	for _, k := range commands() {
		t.row("  "+k.name, k.summary)
	}
	t.write(w)
	fmt.Fprint(w, "\nsluice help COMMAND explains one, with examples.\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration.\n")
}

// usage explains a subcommand.
func (k command) usage(w io.Writer, f *flag.FlagSet) {
	fmt.Fprintf(w, "%s\n\nUsage: sluice %s\n\n%s\n", k.summary, strings.TrimSpace(k.name+" [FLAGS] "+k.args), strings.Trim(k.help, "\n"))
	var t table
	f.VisitAll(func(o *flag.Flag) {
		name := "  --" + o.Name
		if len(o.Name) == 1 {
			name = "  -" + o.Name
		}
		kind, text := flag.UnquoteUsage(o)
		if o.DefValue != "" && o.DefValue != "false" && !strings.Contains(text, "default") {
			text += " (default: " + o.DefValue + ")"
		}
		t.row(strings.TrimRight(name+" "+kind, " "), text)
	})
	if len(t.rows) > 0 {
		fmt.Fprint(w, "\nFlags:\n")
		t.write(w)
	}
}
