package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/deadletter"
	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/pipeline"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/telemetry"
)

const runHelp = `Reads the configuration, joins the consumer group of each stream, and carries
events into the sinks until it is told to stop (SIGINT or SIGTERM). Batches in
flight are finished; one that cannot be is repeated at the next start.

A stream of files without follow: true ends when all of them are read; where all
streams do, run ends with exit code 0, or with 1 where something could not be
read or a sink has stopped.

Examples:
  sluice run -c /etc/sluice
  sluice run -c streams.yaml -c sinks/ --metrics 127.0.0.1:9464`

func runCommand() command {
	return command{
		name: "run", args: "[-c FILE|DIR]...", summary: "carry events into the sinks until told to stop", help: runHelp,
		start: func(f *flag.FlagSet) func(context.Context, *call) error {
			files := configFlag(f)
			metrics := f.String("metrics", "", "`ADDRESS` to serve metrics and status on, such as 127.0.0.1:9464 (default: nowhere)")
			level := f.String("log", "info", "log `LEVEL`: debug, info, warn or error")
			format := f.String("log-format", "text", "log `FORMAT`: text or json")
			return func(ctx context.Context, c *call) error {
				if len(c.args) > 0 {
					return usagef("run takes no arguments; say -c %s", c.args[0])
				}
				if _, _, err := net.SplitHostPort(*metrics); *metrics != "" && err != nil {
					return usagef("run: --metrics %s: write HOST:PORT, such as 127.0.0.1:9464", *metrics)
				}
				cfg, err := files.load(c)
				if err != nil {
					return err
				}
				log, err := telemetry.NewLogger(c.stderr, *format, *level)
				if err != nil {
					return usagef("%s", err)
				}
				for _, w := range cfg.Warnings {
					log.Warn("configuration", "at", w.String())
				}
				return run(ctx, cfg, *metrics, log)
			}
		},
	}
}

// run carries all streams until ctx ends or one of them cannot go on. Metrics
// are served from the start: who waits for a registry is alive, and should look
// so.
func run(ctx context.Context, cfg *config.Config, metrics string, log *slog.Logger) error {
	if len(cfg.Streams) == 0 {
		return usagef("the configuration has no streams")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	registry := telemetry.NewRegistry()
	var served sync.WaitGroup
	if metrics != "" {
		served.Go(func() {
			bound := func(a net.Addr) { log.Info("serving metrics", "address", a.String()) }
			if err := telemetry.Serve(ctx, metrics, registry.Handler(), log, bound); err != nil {
				cancel(err)
			}
		})
	}
	cancel(carry(ctx, cancel, cfg, registry, log))
	served.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// carry runs the streams. The first that cannot go on ends all of them, by stop.
func carry(ctx context.Context, stop context.CancelCauseFunc, cfg *config.Config, registry *telemetry.Registry, log *slog.Logger) error {
	opened, err := openStreams(ctx, cfg, registry, log)
	defer func() {
		for _, s := range opened {
			s.close()
		}
	}()
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to stop while waiting for a registry
		}
		return err
	}
	events := map[string]plan.Events{}
	for name, s := range opened {
		events[name] = s.events
	}
	plans, err := cfg.Compile(events)
	if err != nil {
		return err
	}
	memory := planMemory(int64(cfg.Limits.Memory), containerLimit("/"), os.Getenv("GOMEMLIMIT"))
	memory.apply(log)
	budget := pipeline.NewBudget(memory.budget)
	registry.SetMemory(func() telemetry.Memory {
		reading, held := budget.Used()
		return telemetry.Memory{Budget: budget.Bytes, Reading: reading, Sinks: held}
	})
	var all sync.WaitGroup
	for i := range cfg.Streams {
		s := &cfg.Streams[i]
		o := pipelineOptions(cfg, s, opened[s.Name], plans, log)
		o.Budget, o.Metrics = budget, registry
		if len(o.Sinks) == 0 {
			log.Warn("no sink reads this stream", "stream", s.Name)
			continue
		}
		all.Go(func() {
			if err := pipeline.Run(ctx, o); err != nil {
				stop(err)
			}
		})
	}
	all.Wait()
	return nil
}

// stream is where a stream's events are and what is known of them.
type stream struct {
	origin
	events  *decode.Stream
	letters lane.DeadLetters   // nil: nowhere
	folder  *deadletter.Folder // what letters is, if it is one
}

// close gives up what the stream holds.
func (s *stream) close() {
	s.origin.close()
	if s.folder != nil {
		s.folder.Close() //nolint:errcheck // all that was acknowledged is on the disk already
	}
}

// openLetters opens the place of the dead letters.
func (s *stream) openLetters(c *config.Stream) error {
	var err error
	switch {
	case c.DeadLetters.Topic != "":
		s.letters = deadletter.NewTopic(s.cluster, c.DeadLetters.Topic)
	case c.DeadLetters.Dir != "":
		if s.folder, err = deadletter.OpenFolder(c.DeadLetters.Dir, c.Name, deadletter.FolderOptions{}); err != nil {
			return err
		}
		s.letters = s.folder
	}
	return nil
}

// openStreams connects to each stream's registry. One that is away is waited
// for: it is a part of the system like the brokers.
func openStreams(ctx context.Context, cfg *config.Config, registry *telemetry.Registry, log *slog.Logger) (map[string]*stream, error) {
	out := map[string]*stream{}
	for i := range cfg.Streams {
		s := &cfg.Streams[i]
		opened := &stream{}
		out[s.Name] = opened
		var err error
		if opened.origin, err = openOrigin(s, log.With("stream", s.Name)); err != nil {
			return out, fmt.Errorf("stream %s: %w", s.Name, err)
		}
		if err := opened.openLetters(s); err != nil {
			return out, fmt.Errorf("stream %s: %w", s.Name, err)
		}
		shown, began := registry.Stream(s.Name), time.Now()
		for wait := 500 * time.Millisecond; ; wait = min(2*wait, 30*time.Second) {
			opened.events, err = openEvents(ctx, s, opened.files)
			if err == nil {
				shown.SetState(telemetry.Idle, "")
				break
			}
			var away *decode.RegistryError
			if !errors.As(err, &away) {
				return out, cfg.Blame(s.Name, err)
			}
			shown.SetState(telemetry.NoRegistry, fmt.Sprintf("the schema registry has given no answer of use since %s: %s", began.UTC().Format(time.RFC3339), err))
			log.Warn("waiting for the schema registry", "stream", s.Name, "error", err)
			select {
			case <-ctx.Done():
				return out, ctx.Err()
			case <-time.After(wait):
			}
		}
	}
	return out, nil
}

// pipelineOptions puts a stream and its sinks together.
func pipelineOptions(cfg *config.Config, s *config.Stream, open *stream, plans map[string]*plan.Plan, log *slog.Logger) pipeline.Options {
	k := s.Kafka
	o := pipeline.Options{
		Stream: s.Name, Cluster: open.cluster, Files: open.files, Topics: k.Topics, Group: k.Group, InstanceID: k.InstanceID,
		Session: k.SessionTimeout, Rebalance: k.RebalanceTimeout, Slots: s.Slots, FetchBytes: int32(k.Fetch.PartitionBytes),
		Events: open.events, DeadLetters: open.letters, Log: log,
	}
	for _, d := range cfg.SinksOf(s.Name) {
		p := plans[d.Name]
		for t := range d.Targets {
			o.Sinks = append(o.Sinks, pipeline.Sink{
				Spec: d.Spec, Plan: p, Batch: d.Batch, Start: pipeline.Start{Latest: d.Start.Latest, Time: d.Start.Time},
				DeadLetter: d.OnBadRecord == config.DeadLetter, MaxBad: int(d.MaxBad), SkipGaps: d.OnGap == config.SkipGap, NewTopic: d.OnReset == config.NewIncarnation,
				Config: d.Open(t, p, log.With("sink", d.Name+"@"+d.Targets[t].Connection)),
			})
		}
	}
	return o
}
