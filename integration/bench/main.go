package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "ceiling" {
		err = ceilingMain(os.Args[2:])
	} else {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = bench(ctx, os.Args[1:], os.Stdout)
		stop()
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench starts the servers, fills the topics and measures in turn.
func bench(ctx context.Context, args []string, out io.Writer) (err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	n := f.Int("events", 3_000_000, "events in each topic")
	rounds := f.Int("rounds", 3, "how often each is measured; medians are shown")
	formats := f.String("formats", "avro,json", "comma-separated")
	tasks := f.String("tasks", "T1,T2", "comma-separated: T1 all events, T2 clicks and conversions")
	asJSON := f.Bool("json", false, "print JSON")
	if err := f.Parse(args); err != nil {
		return err
	}
	s, err := start(ctx)
	if s != nil {
		defer func() { err = errors.Join(err, s.close()) }()
	}
	if err != nil {
		return err
	}
	each := strings.Split(*formats, ",")
	all, some, err := produce(ctx, s.kafka, each, *n)
	if err != nil {
		return err
	}
	var report []pair
	for _, task := range strings.Split(*tasks, ",") {
		want := all
		if task == "T2" {
			want = some
		}
		for _, format := range each {
			p, err := s.measure(ctx, task, format, *n, *rounds, want)
			if err != nil {
				return fmt.Errorf("%s %s: %w", task, format, err)
			}
			report = append(report, p)
		}
	}
	if *asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	print(out, report)
	return nil
}

// figures of one run, or the medians of several.
type figures struct {
	Rate   float64 `json:"rows_per_second"` // 0: not measured
	CPU    float64 `json:"cpu_seconds_per_million_events"`
	Memory float64 `json:"peak_rss_mib"`
}

// pair is a task in one format, by both programs.
type pair struct {
	Task    string  `json:"task"`
	Format  string  `json:"format"`
	Ceiling figures `json:"ceiling"`
	Sluice  figures `json:"sluice"`
	Rate    float64 `json:"rate_ratio"` // of Sluice to the ceiling
	CPU     float64 `json:"cpu_ratio"`
}

// measure runs both programs in turn, so that what else happens on the machine
// hits both.
func (s *servers) measure(ctx context.Context, task, format string, n, rounds int, want truth) (pair, error) {
	var ceilings, products []figures
	for i := range rounds {
		c, err := s.ceiling(ctx, task, format, n, want)
		if err != nil {
			return pair{}, fmt.Errorf("ceiling: %w", err)
		}
		p, err := s.product(ctx, fmt.Sprintf("%s-%s-%d", task, format, i), task, format, n, want)
		if err != nil {
			return pair{}, fmt.Errorf("sluice: %w", err)
		}
		fmt.Fprintf(os.Stderr, "bench: %s %s round %d: ceiling %.0f/s %.2f s/M, sluice %.0f/s %.2f s/M\n", task, format, i+1, c.Rate, c.CPU, p.Rate, p.CPU)
		ceilings, products = append(ceilings, c), append(products, p)
	}
	p := pair{Task: task, Format: format, Ceiling: medians(ceilings), Sluice: medians(products)}
	p.CPU = p.Sluice.CPU / p.Ceiling.CPU
	if task == "T2" { // the ceiling's rows come as one block at the end
		p.Ceiling.Rate, p.Sluice.Rate = 0, 0
		return p, nil
	}
	p.Rate = p.Sluice.Rate / p.Ceiling.Rate
	return p, nil
}

func medians(all []figures) figures {
	middle := func(of func(figures) float64) float64 {
		var v []float64
		for _, f := range all {
			v = append(v, of(f))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return figures{
		Rate:   middle(func(f figures) float64 { return f.Rate }),
		CPU:    middle(func(f figures) float64 { return f.CPU }),
		Memory: middle(func(f figures) float64 { return f.Memory }),
	}
}

func print(out io.Writer, report []pair) {
	fmt.Fprintf(out, "%-4s %-6s %12s %12s %7s %11s %11s %7s %9s\n", "", "", "ceiling/s", "sluice/s", "ratio", "ceiling s/M", "sluice s/M", "ratio", "RSS MiB")
	for _, p := range report {
		fmt.Fprintf(out, "%-4s %-6s %12.0f %12.0f %6.0f%% %11.2f %11.2f %6.2fx %4.0f/%4.0f\n",
			p.Task, p.Format, p.Ceiling.Rate, p.Sluice.Rate, 100*p.Rate, p.Ceiling.CPU, p.Sluice.CPU, p.CPU, p.Ceiling.Memory, p.Sluice.Memory)
	}
}

// servers that both programs use.
type servers struct {
	kafka      *stack.KafkaServer
	clickhouse *stack.ClickHouseServer
	folder     string // of the built program and its configuration
}

func start(ctx context.Context) (*servers, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	s := &servers{}
	var err error
	if s.folder, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return nil, err
	}
	if s.kafka, err = stack.StartKafka(ctx, stack.KafkaOptions{}); err != nil {
		return s, err
	}
	if s.clickhouse, err = stack.StartClickHouse(ctx, stack.ClickHouseOptions{}); err != nil {
		return s, err
	}
	return s, s.build(ctx)
}

func (s *servers) close() error {
	errs := []error{os.RemoveAll(s.folder)}
	if s.kafka != nil {
		errs = append(errs, s.kafka.Close())
	}
	if s.clickhouse != nil {
		errs = append(errs, s.clickhouse.Close())
	}
	return errors.Join(errs...)
}
