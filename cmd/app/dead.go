package app

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/deadletter"
	"github.com/sluicekit/sluice/core/lane"
)

const deadHelp = `
Looks at the dead letters: the records that a sink with on_bad_record: dead_letter
could not take, kept with the reason in the topic or the folder of the stream's
dead_letters. Nothing is changed.

  list   how many there are, per sink and kind of reason, and where and when the
         first and the last one was written; numbers in a reason count as equal
  show   letters one by one: where the record was, why it could not be taken,
         and the record, decoded where that is possible. Which ones say the
         flags, or their places: TOPIC/PARTITION/OFFSET, as list prints them

A letter that was written again after a crash counts once. The content of events
is printed by show only; control characters in it are made visible.

Examples:
  sluice dead list
  sluice dead list --since 24h --sink balances --json
  sluice dead show --reason 'payload.cost' --limit 3
  sluice dead show events/3/1200 --raw event.bin`

// deadFlags are the flags of dead.
type deadFlags struct {
	files               *files
	stream, sink        string
	reason, since, file string
	limit               int
	asJSON              bool
	from                time.Time // what since says
}

func deadCommand() command {
	return command{
		name: "dead", args: "list | show [TOPIC/PARTITION/OFFSET]...", summary: "look at the records that sinks could not take", help: deadHelp,
		start: func(f *flag.FlagSet) func(context.Context, *call) error {
			d := &deadFlags{files: configFlag(f)}
			f.StringVar(&d.stream, "stream", "", "`NAME` of a stream (default: all that have dead letters)")
			f.StringVar(&d.sink, "sink", "", "`NAME` of a sink, or NAME@CONNECTION (default: all, also those that are gone)")
			f.StringVar(&d.reason, "reason", "", "`TEXT` that is a part of the reason")
			f.StringVar(&d.since, "since", "", "`WHEN` the letter was written or later: 15m, or 2026-11-22T10:00:00Z")
			f.IntVar(&d.limit, "limit", -1, "`NUMBER` of lines (list) or letters (show) to print, 0: all (default: all for list, 10 for show)")
			f.BoolVar(&d.asJSON, "json", false, "print JSON")
			f.StringVar(&d.file, "raw", "", "`FILE` that gets the record as it was, byte for byte (show, of one letter); it must not exist")
			return d.run
		},
	}
}

func (d *deadFlags) run(ctx context.Context, c *call) error {
	if len(c.args) == 0 {
		return usagef("dead: say list or show")
	}
	verb, places := c.args[0], c.args[1:]
	switch verb {
	case "list":
		if len(places) > 0 || d.file != "" {
			return usagef("dead list takes no places and no --raw; dead show does")
		}
	case "show":
	default:
		if near := config.Near(verb, []string{"list", "show"}); near != "" {
			return usagef("dead: unknown %q; did you mean %s?", verb, near)
		}
		return usagef("dead: unknown %q; say list or show", verb)
	}
	if d.since != "" {
		var err error
		if d.from, err = parseSince(d.since, time.Now()); err != nil {
			return usagef("dead: --since %s: %s", d.since, err)
		}
	}
	if d.limit < -1 {
		return usagef("dead: --limit %d: a number, or 0 for all", d.limit)
	}
	cfg, err := d.files.load(c)
	if err != nil {
		return err
	}
	streams, err := d.streams(cfg)
	if err != nil {
		return err
	}
	if verb == "list" {
		return d.list(ctx, c, streams)
	}
	return d.show(ctx, c, cfg, streams, places)
}

// parseSince reads what --since takes.
func parseSince(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d.Abs()), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("say 15m or 2026-11-22T10:00:00Z")
}

// streams are those that are asked for and have a place for dead letters.
func (d *deadFlags) streams(cfg *config.Config) ([]*config.Stream, error) {
	var out []*config.Stream
	var names []string
	for i := range cfg.Streams {
		s := &cfg.Streams[i]
		names = append(names, s.Name)
		if !s.DeadLetters.None() && (d.stream == "" || d.stream == s.Name) {
			out = append(out, s)
		}
	}
	switch {
	case d.stream != "" && !slices.Contains(names, d.stream):
		if near := config.Near(d.stream, names); near != "" {
			return nil, usagef("dead: no stream is called %q; did you mean %s?", d.stream, near)
		}
		return nil, usagef("dead: no stream is called %q; there are %s", d.stream, strings.Join(names, ", "))
	case len(out) == 0 && d.stream != "":
		return nil, usagef("dead: the stream %s has no dead_letters", d.stream)
	case len(out) == 0:
		return nil, usagef("dead: no stream of the configuration has dead_letters")
	}
	return out, nil
}

// lettersOf opens the letters of a stream. close is never nil.
func lettersOf(s *config.Stream) (r deadletter.Reader, where string, close func(), err error) {
	if dir := s.DeadLetters.Dir; dir != "" {
		return deadletter.NewFiles(dir, s.Name), dir, func() {}, nil
	}
	cluster, err := openCluster(s)
	if err != nil {
		return nil, "", func() {}, fmt.Errorf("stream %s: %w", s.Name, err)
	}
	return deadletter.NewTopic(cluster, s.DeadLetters.Topic), "topic " + s.DeadLetters.Topic, cluster.Close, nil
}

// each gives the letters of a stream that the flags select.
func (d *deadFlags) each(ctx context.Context, s *config.Stream, take func(deadletter.Found) error) (where string, r deadletter.Reading, err error) {
	letters, where, close, err := lettersOf(s)
	defer close()
	if err != nil {
		return where, r, err
	}
	r, err = letters.Each(ctx, d.from, func(f deadletter.Found) error {
		if !d.selects(&f) {
			return nil
		}
		return take(f)
	})
	return where, r, err
}

func (d *deadFlags) selects(f *deadletter.Found) bool {
	name, _, _ := strings.Cut(f.Sink, "@")
	if d.sink != "" && d.sink != f.Sink && d.sink != name {
		return false
	}
	return d.reason == "" || strings.Contains(f.Reason, d.reason) || strings.Contains(lane.ReasonClass(f.Reason), d.reason)
}
