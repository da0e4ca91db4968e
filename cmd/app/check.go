package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/sink"
)

func checkCommand() command {
	return command{
		name: "check", summary: "check the configuration: every mistake at once, with its place",
		help: `
Reads the configuration as run does and reports every mistake with file, line
and column. Nothing is read from Kafka and nothing is written.

Types of fields come from the schema file (schema:) or from types:. Where they
come from a registry they are only known with --connect, which also asks the
brokers for the topics and opens each destination as run would: where a sink
says create: true, that creates what is missing.

Examples:
  sluice check -c streams.yaml -c sinks/
  sluice check --connect
  sluice check --json`,
		start: func(f *flag.FlagSet) func(context.Context, *call) error {
			files := configFlag(f)
			connect := f.Bool("connect", false, "ask registries, brokers and destinations too")
			asJSON := f.Bool("json", false, "print JSON")
			return func(ctx context.Context, c *call) error {
				if len(c.args) > 0 {
					return usagef("check takes no arguments; say -c %s", c.args[0])
				}
				k := &checker{call: c, connect: *connect}
				err := k.check(ctx, files)
				if *asJSON {
					return k.printJSON(err)
				}
				return k.print(err)
			}
		},
	}
}

// checker gathers what a check finds.
type checker struct {
	*call
	connect bool
	config  *config.Config
	plans   map[string]*plan.Plan
	open    []string // what was not checked, and why
	asked   []answer // what was asked with --connect
}

// answer is what a registry, a cluster or a destination said.
type answer struct {
	Place string `json:"place"` // file:line:column of what was asked about
	What  string `json:"what"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// check returns config.Problems where the YAML is wrong, and errSaid where
// something that was asked answered no.
func (k *checker) check(ctx context.Context, files *files) error {
	var err error
	k.config, err = files.load(k.call)
	if mistakes := config.Problems(nil); errors.As(err, &mistakes) {
		return k.expressions(ctx, mistakes)
	}
	if err != nil {
		return err
	}
	events, err := k.events(ctx)
	if err != nil {
		return err
	}
	if k.plans, err = k.config.Compile(events); err != nil {
		return err
	}
	if k.connect {
		k.topics(ctx)
		k.destinations(ctx)
	}
	for _, a := range k.asked {
		if !a.OK {
			return errSaid
		}
	}
	return ctx.Err()
}

// expressions adds the mistakes in expressions to those of a configuration that
// has others, so that one check shows all. Nobody is asked.
func (k *checker) expressions(ctx context.Context, mistakes config.Problems) error {
	sound := &checker{call: k.call, config: k.config}
	k.config = nil
	events, err := sound.events(ctx)
	mistakes = mistakes.With(err)
	if err == nil {
		_, err = sound.config.Compile(events)
		mistakes = mistakes.With(err)
	}
	return mistakes
}

// answered notes an answer. place is where the YAML says what was asked about.
func (k *checker) answered(place, what string, err error) {
	a := answer{Place: place, What: what, OK: err == nil}
	if err != nil {
		a.Error = err.Error()
	}
	k.asked = append(k.asked, a)
}

// destinations opens each sink at each of its connections.
func (k *checker) destinations(ctx context.Context) {
	for i := range k.config.Sinks {
		s := &k.config.Sinks[i]
		p := k.plans[s.Name]
		if p == nil {
			continue // its fields are not known, which is said already
		}
		for j := range s.Targets {
			what := "sink " + s.Name + ": " + s.Spec.Type
			if s.Spec.Connection != nil {
				what += " " + s.Targets[j].Connection
			}
			k.answered(k.config.PlaceOfSink(s.Name), what, openOnce(ctx, s, j, p))
		}
	}
}

func openOnce(ctx context.Context, s *config.Sink, target int, p *plan.Plan) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	opened, err := s.Spec.Open(ctx, s.Open(target, p, quiet()))
	if err != nil {
		return err
	}
	return opened.Close()
}

// checkReport is what --json prints.
type checkReport struct {
	OK        bool             `json:"ok"`
	Problems  []config.Problem `json:"problems"`
	Warnings  []config.Problem `json:"warnings"`
	Streams   []streamReport   `json:"streams"`
	Sinks     []sinkReport     `json:"sinks"`
	Unchecked []string         `json:"unchecked"`
	Asked     []answer         `json:"asked"`
}

type streamReport struct {
	Name   string   `json:"name"`
	Format string   `json:"format"`
	Topics []string `json:"topics"`
	Group  string   `json:"group"`
	Sinks  int      `json:"sinks"`
}

type sinkReport struct {
	Name        string        `json:"name"`
	From        string        `json:"from"`
	Type        string        `json:"type"`
	Connections []string      `json:"connections,omitempty"`
	Fields      []fieldReport `json:"fields,omitempty"` // absent: their types were not checked
	Rows        int           `json:"batch_rows"`
	Bytes       int64         `json:"batch_bytes"`
	AgeSeconds  float64       `json:"batch_age_seconds"`
	Delivery    string        `json:"delivery"`
	Start       string        `json:"start"`

	count, batch string
}

type fieldReport struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

func (k *checker) report(err error) checkReport {
	r := checkReport{
		OK: err == nil, Problems: []config.Problem{}, Warnings: []config.Problem{}, Streams: []streamReport{},
		Sinks: []sinkReport{}, Unchecked: append([]string{}, k.open...), Asked: append([]answer{}, k.asked...),
	}
	var problems config.Problems
	if errors.As(err, &problems) {
		r.Problems = problems
	}
	if k.config == nil {
		return r
	}
	r.Warnings = append(r.Warnings, k.config.Warnings...)
	for i := range k.config.Streams {
		s := &k.config.Streams[i]
		topics, group := s.Kafka.Topics, s.Kafka.Group
		if s.Files != nil {
			topics, group = s.Files.Paths, "-"
		}
		r.Streams = append(r.Streams, streamReport{s.Name, string(s.Format), topics, group, len(k.config.SinksOf(s.Name))})
	}
	for i := range k.config.Sinks {
		r.Sinks = append(r.Sinks, k.sink(&k.config.Sinks[i]))
	}
	return r
}

func (k *checker) sink(s *config.Sink) sinkReport {
	r := sinkReport{
		Name: s.Name, From: s.From, Type: s.Spec.Type, Delivery: s.Delivery.String(), Start: s.Start.String(),
		Rows: s.Batch.Rows, Bytes: int64(s.Batch.Bytes), AgeSeconds: s.Batch.Age.Seconds(),
		count: strconv.Itoa(len(s.Fields)),
	}
	if s.Spec.Connection != nil {
		for _, t := range s.Targets {
			r.Connections = append(r.Connections, t.Connection)
		}
	}
	if s.All {
		r.count = "all"
	}
	if p := k.plans[s.Name]; p != nil {
		for _, f := range p.Schema().Fields {
			r.Fields = append(r.Fields, fieldReport{f.Name, f.Type.String()})
		}
		if r.count = strconv.Itoa(len(r.Fields)); s.All {
			r.count = "all " + r.count
		}
	}
	r.batch = fmt.Sprintf("%d rows, %s, %s", s.Batch.Rows, config.FormatSize(s.Batch.Bytes), config.FormatDuration(s.Batch.Age))
	return r
}

func (k *checker) printJSON(err error) error {
	if e := writeJSON(k.stdout, k.report(err)); e != nil {
		return e
	}
	if errors.As(err, new(config.Problems)) {
		return errSaidUsage
	}
	return err
}

func (k *checker) print(err error) error {
	if errors.As(err, new(config.Problems)) {
		return err // printed as every subcommand's are
	}
	r := k.report(err)
	k.config.Warnings.Write(k.stderr, "warning") //nolint:errcheck // nowhere to report it
	var streams, sinks table
	streams.row("STREAM", "FORMAT", "READS", "GROUP", "SINKS")
	for _, s := range r.Streams {
		streams.row(s.Name, s.Format, strings.Join(s.Topics, " "), s.Group, strconv.Itoa(s.Sinks))
	}
	streams.write(k.stdout)
	sinks.row("SINK", "FROM", "TYPE", "FIELDS", "BATCH", "START", "DELIVERY")
	for _, s := range r.Sinks {
		typ := s.Type
		if len(s.Connections) > 0 {
			typ += " (" + strings.Join(s.Connections, ", ") + ")"
		}
		sinks.row(s.Name, s.From, typ, s.count, s.batch, s.Start, s.Delivery)
	}
	if len(r.Sinks) > 0 {
		fmt.Fprintln(k.stdout)
		sinks.write(k.stdout)
	}
	k.notes(r)
	return err
}

// notes says what the tables do not.
func (k *checker) notes(r checkReport) {
	var lines []string
	for i := range k.config.Sinks {
		if s := &k.config.Sinks[i]; s.Delivery == sink.AtLeastOnce {
			lines = append(lines, "sink "+s.Name+": at least once: "+promise(s.Delivery))
		}
	}
	for _, u := range r.Unchecked {
		lines = append(lines, "not checked: "+u)
	}
	for _, a := range r.Asked {
		if a.OK {
			lines = append(lines, "ok: "+a.What)
		} else {
			lines = append(lines, strings.ReplaceAll("failed: "+a.Place+": "+a.What+": "+printableLines(a.Error), "\n", "\n    "))
		}
	}
	if len(lines) > 0 {
		fmt.Fprintln(k.stdout)
	}
	for _, l := range lines {
		fmt.Fprintln(k.stdout, l)
	}
}
