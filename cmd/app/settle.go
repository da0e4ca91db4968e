package app

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/settle"
	"github.com/sluicekit/sluice/core/sink"
)

const settleHelp = `
Shows what the consumer group has recorded of each sink, per slot: where it goes
on, which batch is pending, and what the destination says. A slot is a partition,
or several if the stream has slots:. While a member is in the group the
destinations are not asked.

One of the ways below changes that. Nobody may be in the group: stop all members
first. The command shows what will be changed, asks (on a terminal; elsewhere it
wants --yes), and says what was done. What would lose or double records that are
still in the topic is refused, in words, unless --insist is given too.

  --start-at SINK@CONN=WHERE   the sink begins there: its entry is written anew.
        WHERE is for all partitions: earliest, latest, mark (what the destination
        says), or a time; or a list such as events/0:earliest,events/3:1200 (the
        topic may be left out if there is one), where others stay as they are.
        The way on after a gap, a truncation, a lost or damaged record, a
        re-created topic, and for a new sink whose destination keeps no marks.
  --keep SINK@CONN             the sink goes on from its entry, although the
        destination is empty or behind. The way on if what was there before is
        not wanted any more; what is missing is not written again.
  --forget SINK@CONN           the sink's entries are dropped: it was removed for
        good, or shall start anew where its start: says. At mariadb and sqlite its
        row in the position table goes too. A sink without a name in the
        configuration is named by its id.
  --slots N                    all records are rewritten for slots: N. Nothing may
        be pending.

Examples:
  sluice settle -c /etc/sluice
  sluice settle --start-at clicks@warehouse=events/3:earliest
  sluice settle --start-at clicks@warehouse=2026-01-31T06:00:00Z --insist
  sluice settle --forget old_clicks@warehouse --yes
  sluice settle --slots 8`

func settleCommand() command {
	return command{
		name: "settle", args: "[-c FILE|DIR]...", summary: "show where each sink is, and decide how one goes on that has stopped", help: settleHelp,
		start: func(f *flag.FlagSet) func(context.Context, *call) error {
			s := &settler{files: configFlag(f)}
			f.StringVar(&s.stream, "stream", "", "the `STREAM`; needed where several could be meant")
			f.StringVar(&s.forget, "forget", "", "drop the entries of `SINK@CONN`")
			f.StringVar(&s.keep, "keep", "", "let `SINK@CONN` go on from its entry")
			f.StringVar(&s.startAt, "start-at", "", "write the entry of `SINK@CONN=WHERE`")
			f.IntVar(&s.slots, "slots", -1, "rewrite the records for `N` slots per topic (default: they stay as they are)")
			f.BoolVar(&s.yes, "yes", false, "do not ask")
			f.BoolVar(&s.insist, "insist", false, "do it although records are lost or doubled")
			f.BoolVar(&s.json, "json", false, "print JSON")
			return func(ctx context.Context, c *call) error {
				if len(c.args) > 0 {
					return usagef("settle takes no arguments; see sluice help settle")
				}
				f.Visit(func(o *flag.Flag) { s.resize = s.resize || o.Name == "slots" })
				s.call = c
				return s.run(ctx)
			}
		},
	}
}

// settler is one run of settle.
type settler struct {
	*call
	files                         *files
	stream, forget, keep, startAt string
	slots                         int
	resize, yes, insist, json     bool // resize: slots is given

	config *config.Config
	plans  map[string]*plan.Plan
	closed map[string]string // per stream: why its destinations cannot be opened
}

func (s *settler) run(ctx context.Context) error {
	ways := 0
	for _, given := range []bool{s.forget != "", s.keep != "", s.startAt != "", s.resize} {
		if given {
			ways++
		}
	}
	name, at := s.forget+s.keep, ""
	if s.startAt != "" {
		var ok bool
		if name, at, ok = strings.Cut(s.startAt, "="); !ok || name == "" || at == "" {
			return usagef("settle: --start-at wants SINK@CONNECTION=WHERE, such as clicks@warehouse=earliest")
		}
	}
	switch {
	case ways > 1:
		return usagef("settle: one of --forget, --keep, --start-at and --slots at a time")
	case s.resize && (s.slots < 0 || s.slots > config.MaxSlots):
		return usagef("settle: --slots wants a number from 0 to %d", config.MaxSlots)
	case ways == 0 && (s.yes || s.insist):
		return usagef("settle: --yes and --insist belong to --forget, --keep, --start-at or --slots")
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	views, closeAll, err := s.views(ctx)
	defer closeAll()
	if ways == 0 && len(views) > 0 { // what can be seen of the others is shown
		return errors.Join(s.list(ctx, views), err)
	}
	if err != nil {
		return err
	}
	v, err := s.choose(views, name)
	if err != nil {
		return err
	}
	p, err := s.decide(ctx, v, name, at)
	if err != nil {
		return err
	}
	return s.carryOut(ctx, p)
}

// load reads the configuration, and what describes the streams' events.
func (s *settler) load(ctx context.Context) error {
	var err error
	if s.config, err = s.files.load(s.call); err != nil {
		return err
	}
	if s.stream != "" && s.config.Stream(s.stream) == nil {
		return usagef("settle: the configuration has no stream %s", s.stream)
	}
	if len(s.config.Streams) == 0 {
		return usagef("the configuration has no streams")
	}
	s.closed = map[string]string{}
	events := map[string]plan.Events{}
	for i := range s.config.Streams {
		stream := &s.config.Streams[i]
		if s.stream != "" && stream.Name != s.stream {
			continue
		}
		opened, err := openForCheck(ctx, stream)
		if err != nil {
			s.closed[stream.Name] = "the fields of its events are not known: " + err.Error()
			continue
		}
		events[stream.Name] = opened
	}
	s.plans, err = s.config.Compile(events)
	return err
}

// view is what a stream's group holds.
type view struct {
	*settle.View
	stream *config.Stream
}

func (s *settler) views(ctx context.Context) (out []view, closeAll func(), err error) {
	var ends []func()
	closeAll = func() {
		for _, v := range out {
			v.Close()
		}
		for _, end := range ends {
			end()
		}
	}
	var failed []error
	for i := range s.config.Streams {
		stream := &s.config.Streams[i]
		if s.stream != "" && stream.Name != s.stream {
			continue
		}
		v, end, err := s.view(ctx, stream)
		if err != nil {
			failed = append(failed, fmt.Errorf("stream %s: %w", stream.Name, err))
			continue
		}
		out, ends = append(out, v), append(ends, end)
	}
	return out, closeAll, errors.Join(failed...)
}

func (s *settler) view(ctx context.Context, stream *config.Stream) (view, func(), error) {
	from, err := openOrigin(stream, quiet())
	if err != nil {
		return view{}, nil, err
	}
	v, err := settle.Read(ctx, settle.Options{Origin: from.toSettle(), Group: groupOf(stream), Topics: topicsOf(stream), Slots: stream.Slots, Sinks: s.sinks(stream)})
	if err != nil {
		from.close()
		return view{}, nil, err
	}
	return view{v, stream}, from.close, nil
}

// sinks of a stream, as settle needs them.
func (s *settler) sinks(stream *config.Stream) (out []settle.Sink) {
	for _, d := range s.config.SinksOf(stream.Name) {
		for t := range d.Targets {
			k := settle.Sink{ID: d.Name + "@" + d.Targets[t].Connection, Delivery: d.Delivery, Start: d.Start.String(), Closed: s.closed[stream.Name]}
			if p := s.plans[d.Name]; p != nil {
				k.Open = func(ctx context.Context) (sink.Sink, error) {
					ctx, cancel := context.WithTimeout(ctx, checkTimeout)
					defer cancel()
					return d.Spec.Open(ctx, d.Open(t, p, quiet()))
				}
			}
			out = append(out, k)
		}
	}
	return out
}

// choose finds the stream that a decision is about.
func (s *settler) choose(views []view, name string) (view, error) {
	if len(views) == 1 {
		return views[0], nil
	}
	var of []view
	for _, v := range views {
		if name != "" && v.Has(name) {
			of = append(of, v)
		}
	}
	if len(of) == 1 {
		return of[0], nil
	}
	var names []string
	for _, v := range views {
		names = append(names, v.stream.Name)
	}
	return view{}, usagef("settle: which stream? say --stream with one of %s", strings.Join(names, ", "))
}

func (s *settler) decide(ctx context.Context, v view, name, at string) (*settle.Plan, error) {
	switch {
	case s.forget != "":
		return v.Forget(ctx, name)
	case s.keep != "":
		return v.Keep(ctx, name)
	case s.startAt != "":
		return v.StartAt(ctx, name, at)
	}
	return v.Resize(ctx, s.slots)
}

// settleDone is what --json prints of a decision.
type settleDone struct {
	*settle.Plan
	Done bool   `json:"done"`
	Why  string `json:"why,omitempty"` // it was not done
}

// carryOut shows a plan, asks, and applies it.
func (s *settler) carryOut(ctx context.Context, p *settle.Plan) error {
	if !s.json {
		s.show(p)
	}
	why, err := "", error(nil)
	switch {
	case p.Empty():
		why = "there is nothing to change"
	case len(p.Harm) > 0 && !s.insist:
		why = "refused, since records would be lost or doubled; --insist does it all the same"
		err = errSaid
	case !s.yes && !s.agreed(ctx):
		why = "nothing was changed; --yes does it without asking"
		err = errSaid
	default:
		if err := p.Apply(ctx); err != nil {
			return err
		}
	}
	if s.json {
		if e := writeJSON(s.stdout, settleDone{p, why == "", why}); e != nil {
			return e
		}
		return err
	}
	if why != "" {
		if err != nil {
			fmt.Fprintf(s.stderr, "sluice: %s\n", why)
			return err
		}
		fmt.Fprintln(s.stdout, why)
		return nil
	}
	fmt.Fprintf(s.stdout, "done: %s\n", count(len(p.Lines), "change"))
	return nil
}

func (s *settler) show(p *settle.Plan) {
	for _, part := range []struct {
		title string
		lines []string
	}{{"Changes:", p.Lines}, {"Lost or doubled by it:", p.Harm}, {"To be known:", p.Notes}} {
		if len(part.lines) == 0 {
			continue
		}
		fmt.Fprintln(s.stdout, part.title)
		for _, l := range part.lines {
			fmt.Fprintln(s.stdout, "  "+l)
		}
	}
}

// agreed asks on a terminal; elsewhere the answer is no.
func (s *settler) agreed(ctx context.Context) bool {
	f, ok := s.stdin.(*os.File)
	if !ok {
		return false
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	fmt.Fprint(s.stdout, "Do it? (yes/no) ")
	line := make(chan string, 1)
	go func() {
		text, err := bufio.NewReader(f).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			text = ""
		}
		line <- strings.TrimSpace(text)
	}()
	select {
	case <-ctx.Done(): // the process ends; a read from a terminal cannot be stopped
		return false
	case text := <-line:
		return text == "yes" || text == "y"
	}
}
