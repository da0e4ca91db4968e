package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/folder"
	"github.com/sluicekit/sluice/core/peek"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/source"
)

const peekHelp = `
Shows events of a stream, or with --sink the rows that a sink makes of them:
its where, fields and casts, and for an aggregate the groups of what was read.
What the sink cannot make a row of is shown with the reason. Nothing is written,
no group is joined and no position moves.

Rows come by time, and by offset within a partition. Without --from they are the
last --limit ones of all partitions that --where and the sink select, however far
back these are. In files an offset is a byte of JSON lines (of what they unpack
to), and a record of an Avro container.

  --from earliest | latest      an end of each partition
  --from 1200                   an offset (with --partition, mostly)
  --from -100                   so many offsets before the end
  --from 15m                    so long ago
  --from 2026-11-22T10:00:00Z   a time

Examples:
  sluice peek events
  sluice peek events --from 15m --where 'type == "order" and payload.price > 100' --follow
  sluice peek events --fields id,payload.price --partition 3 --from 1200 --limit 1 --json
  sluice peek --sink orders_mysql --from earliest --format csv > rows.csv`

// peekFlags are the flags of peek.
type peekFlags struct {
	files                              *files
	sink, from, where, fields, format  string
	partitions                         intsFlag
	limit                              int
	follow, wide, asJSON, limitIsGiven bool
}

func peekCommand() command {
	return command{
		name: "peek", args: "[STREAM]", summary: "look at events of a stream, or at the rows a sink makes of them", help: peekHelp,
		start: func(f *flag.FlagSet) func(context.Context, *call) error {
			p := &peekFlags{files: configFlag(f)}
			f.StringVar(&p.sink, "sink", "", "`NAME` of a sink: show its rows")
			f.StringVar(&p.from, "from", "", "`WHERE` to begin (default: the last ones)")
			f.StringVar(&p.where, "where", "", "`EXPRESSION` that events must satisfy, besides the sink's own")
			f.StringVar(&p.fields, "fields", "", "`LIST` of expressions to show of a stream, such as id,payload.price (default: all)")
			f.Var(&p.partitions, "partition", "`NUMBER` of a partition; may be given several times (default: all)")
			f.IntVar(&p.limit, "limit", 10, "`NUMBER` of rows to show; 0: no limit")
			f.BoolVar(&p.follow, "follow", false, "go on with what arrives, until interrupted (then --limit is 0 unless given)")
			f.StringVar(&p.format, "format", "table", "`FORMAT`: table, json (one object per line) or csv")
			f.BoolVar(&p.wide, "wide", false, "do not shorten what a table shows")
			f.BoolVar(&p.asJSON, "json", false, "the same as --format json")
			return func(ctx context.Context, c *call) error {
				f.Visit(func(o *flag.Flag) { p.limitIsGiven = p.limitIsGiven || o.Name == "limit" })
				return p.run(ctx, c)
			}
		},
	}
}

// intsFlag is a flag that may be given several times.
type intsFlag []int32

func (f *intsFlag) String() string { return fmt.Sprint([]int32(*f)) }

// Set adds one number.
func (f *intsFlag) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return errors.New("not a number of a partition")
	}
	*f = append(*f, int32(n))
	return nil
}

// run shows what was asked for.
func (p *peekFlags) run(ctx context.Context, c *call) error {
	begin, tail, err := p.checked(c)
	if err != nil {
		return err
	}
	cfg, err := p.files.load(c)
	if err != nil {
		return err
	}
	stream, s, err := p.choose(c, cfg)
	if err != nil {
		return err
	}
	from, end, err := openCopy(ctx, stream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", stream.Name, err)
	}
	defer end()
	events, err := p.events(ctx, cfg, stream, from.files)
	if err != nil {
		return err
	}
	pl, err := p.plan(cfg, stream, s, events)
	if err != nil {
		return err
	}
	shown, err := newShown(p.format, p.wide, p.follow, c.stdout, c.stderr, pl)
	if err != nil {
		return err
	}
	totals, err := peek.Run(ctx, peek.Options{
		Origin: from.toPeek(), Topics: topicsOf(stream), Partitions: p.partitions, Events: events, Plan: pl,
		Tail: tail, From: begin, Limit: p.limit, Follow: p.follow,
		Show: shown.record, Groups: shown.groups, Progress: shown.progress,
		Warn: func(err error) { fmt.Fprintf(c.stderr, "sluice: %s\n", err) },
	})
	if err == nil || totals != (peek.Totals{}) {
		err = errors.Join(err, shown.end(totals))
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", stream.Name, err)
	}
	return nil
}

// checked looks at the flags and the argument as far as they can be judged
// without the configuration.
func (p *peekFlags) checked(c *call) (from peek.From, tail int, err error) {
	if p.asJSON {
		p.format = "json"
	}
	if !slices.Contains([]string{"table", "json", "csv"}, p.format) {
		return from, 0, usagef("peek: --format %s: say table, json or csv", p.format)
	}
	if p.limit < 0 {
		return from, 0, usagef("peek: --limit %d: a number of rows, or 0 for all", p.limit)
	}
	if len(c.args) > 1 || p.sink != "" && len(c.args) > 0 {
		return from, 0, usagef("peek takes one stream, or --sink")
	}
	if p.sink != "" && p.fields != "" {
		return from, 0, usagef("peek: --fields is for streams; a sink's fields are its own")
	}
	last := p.limit
	if p.follow && !p.limitIsGiven {
		p.limit = 0
	}
	if p.from == "" {
		switch {
		case last > 0 && !(p.follow && p.where != ""):
			return from, last, nil
		case p.follow:
			return peek.From{Position: source.Latest}, 0, nil
		}
		return peek.From{Position: source.Earliest}, 0, nil
	}
	if from, err = parseFrom(p.from, time.Now()); err != nil {
		return from, 0, usagef("peek: --from %s: %s", p.from, err)
	}
	return from, 0, nil
}

// parseFrom reads what --from takes.
func parseFrom(text string, now time.Time) (peek.From, error) {
	switch text {
	case "earliest":
		return peek.From{Position: source.Earliest}, nil
	case "latest":
		return peek.From{Position: source.Latest}, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < 0 {
			return peek.From{Last: -n}, nil
		}
		return peek.From{Offset: &n}, nil
	}
	if t, err := parseSince(text, now); err == nil {
		return peek.From{Position: source.AtTime(t)}, nil
	}
	return peek.From{}, errors.New("say earliest, latest, an offset, -100, 15m or 2026-11-22T10:00:00Z")
}

// choose finds the stream, and the sink if one was asked for.
func (p *peekFlags) choose(c *call, cfg *config.Config) (*config.Stream, *config.Sink, error) {
	name := ""
	var s *config.Sink
	switch {
	case p.sink != "":
		if s = cfg.Sink(p.sink); s == nil {
			var names []string
			for i := range cfg.Sinks {
				names = append(names, cfg.Sinks[i].Name)
			}
			return nil, nil, nameless("sink", p.sink, names)
		}
		name = s.From
	case len(c.args) > 0:
		name = c.args[0]
	case len(cfg.Streams) == 1:
		name = cfg.Streams[0].Name
	}
	if stream := cfg.Stream(name); stream != nil {
		return stream, s, nil
	}
	var names []string
	for i := range cfg.Streams {
		names = append(names, cfg.Streams[i].Name)
	}
	if name == "" {
		return nil, nil, usagef("peek: which stream? There are: %s", strings.Join(names, ", "))
	}
	return nil, nil, nameless("stream", name, names)
}

func nameless(kind, name string, names []string) error {
	if near := config.Near(name, names); near != "" {
		return usagef("there is no %s %q; did you mean %s?", kind, name, near)
	}
	return usagef("there is no %s %q; there are: %s", kind, name, strings.Join(names, ", "))
}

// peekGrace is how long an unknown schema id is waited for: whoever looks does
// not want to wait as long as a sink must.
const peekGrace = 3 * time.Second

func (p *peekFlags) events(ctx context.Context, cfg *config.Config, s *config.Stream, files *folder.Source) (*decode.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	o, err := s.Decode(files)
	if err != nil {
		return nil, err
	}
	o.Grace = peekGrace
	events, err := decode.Open(ctx, o)
	if err != nil {
		return nil, cfg.Blame(s.Name, err)
	}
	return events, nil
}

// plan is what to show: all fields, those of --fields, or the sink's.
func (p *peekFlags) plan(cfg *config.Config, stream *config.Stream, s *config.Sink, events plan.Events) (*plan.Plan, error) {
	spec := plan.Spec{All: true, Where: p.where}
	var texts []string
	if p.fields != "" {
		spec.All = false
		texts = splitFields(p.fields)
		for _, e := range texts {
			spec.Fields = append(spec.Fields, plan.Field{Name: e, Expr: e})
		}
	}
	if s != nil { // its own mistakes, with their places; then only --where can be wrong
		if _, err := cfg.Compile(map[string]plan.Events{stream.Name: events}); err != nil {
			return nil, err
		}
	}
	pl, problems := plan.Compile(spec, events)
	for _, f := range problems {
		return nil, p.problem(f, texts)
	}
	if s == nil {
		return pl, nil
	}
	spec = s.Plan()
	switch {
	case p.where != "" && spec.Where != "":
		spec.Where = "(" + spec.Where + ") and (" + p.where + ")"
	case p.where != "":
		spec.Where = p.where
	}
	if pl, problems = plan.Compile(spec, events); len(problems) > 0 {
		return nil, p.problem(problems[0], nil)
	}
	return pl, nil
}

// problem points at a mistake in an expression of the command line.
func (p *peekFlags) problem(f plan.Problem, texts []string) error {
	text, name := p.where, "--where"
	if part, ok := strings.CutPrefix(f.Part, "fields."); ok {
		text, name = part, "--fields"
	} else if f.Part == "fields" {
		text, name = p.fields, "--fields"
	}
	message := fmt.Sprintf("peek: %s: %s", name, f.Message)
	if f.Hint != "" {
		message += "; " + f.Hint
	}
	if f.Offset >= 0 && f.Offset <= len(text) && text != "" {
		message += "\n  " + printable(text) + "\n  " + strings.Repeat(" ", len([]rune(printable(text[:f.Offset])))) + "^"
	}
	return usagef("%s", message)
}

// splitFields cuts a list at the commas that are not within brackets or quotes.
func splitFields(text string) []string {
	var out []string
	depth, quote, start := 0, byte(0), 0
	for i := range len(text) {
		switch b := text[i]; {
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case b == '"' || b == '\'' || b == '`':
			quote = b
		case strings.IndexByte("([{", b) >= 0:
			depth++
		case strings.IndexByte(")]}", b) >= 0:
			depth--
		case b == ',' && depth == 0:
			out, start = append(out, strings.TrimSpace(text[start:i])), i+1
		}
	}
	return append(out, strings.TrimSpace(text[start:]))
}
