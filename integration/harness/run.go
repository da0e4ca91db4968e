package harness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// Options of a run.
type Options struct {
	ClickHouse bool // the sinks write to ClickHouse; else to MariaDB and files
	Seed       uint64
	Binary     string // from Build
	Partitions int
	Slots      int // of the stream; 0: one partition each
	Events     int // at least so many are produced, and until the faults are over
	PerSecond  int
	Faults     Faults
	Instances  int  // processes; default 2
	Static     bool // with an instance id
	Storm      Storm
	Evidence   int           // of each kind at least so many; 0: none is asked for
	Limit      time.Duration // of the whole run
	Patience   int           // how many times longer than else everything may take; 0: twice
}

// Faults is how many of each kind a run has.
type Faults struct {
	Kills       int // kill -9 at a random moment
	Terms       int // SIGTERM, and a new start
	Rolls       int // all instances are restarted one after another; they must be static
	Rests       int // pauses of the producers, in which everything must arrive
	Severs      int // all connections to the database or Kafka are reset
	LateCommits int // kill -9 while COMMIT is under way; it arrives later
	LateLedger  int // kill -9 while a ledger write is under way; it arrives later
	Brokers     int // kill -9 of Kafka
	BrokerStops int // SIGSTOP of Kafka past the session
	LedgerStops int // SIGSTOP past the session while a ledger write is under way
	WriteStops  int // SIGSTOP past the session while a transaction's first write is
	CommitStops int // SIGSTOP past the session while COMMIT is
	LedgerCuts  int // ledger writes whose answer is lost
	LedgerLate  int // ledger writes that arrive after their writer has given them up
	CommitCuts  int // COMMITs whose answer is lost
	Servers     int // kill -9 of the database server
	BlockStops  int // SIGSTOP past the session while the end of an INSERT's block is under way; it arrives when another has repeated it
	ForgetStops int // the same, of a table that has forgotten the batch when its block arrives
	BeatStops   int // SIGSTOP past the session with an INSERT open whose block is about to be sent
}

// Report is what a run came to.
type Report struct {
	Seed      uint64
	Events    int
	Aborted   int      // of Events, produced in transactions that were aborted
	Unclear   int      // transactions whose end was not answered
	LeftOut   []string // partitions that the end of a transaction has left out; see judge
	Faults    map[string]int
	Evidence  Evidence
	Storm     StormReport
	Lives     int // of instances
	Polls     int // snapshots compared
	Moved     int // of those: with positions further on than the last
	Files     int
	Probe     time.Duration // from the end of the faults to fresh events in every sink
	Producing time.Duration
	Whole     time.Duration
}

// Build makes the program, with the race detector if SLUICE_FAULTS_RACE is set.
// SLUICE_FAULTS_BINARY names one that is made already.
func Build(t testing.TB) string {
	t.Helper()
	if made := os.Getenv("SLUICE_FAULTS_BINARY"); made != "" {
		return made
	}
	path := filepath.Join(t.TempDir(), "sluice")
	args := []string{"build", "-o", path}
	if os.Getenv("SLUICE_FAULTS_RACE") != "" {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(t.Context(), "go", append(args, "github.com/sluicekit/sluice/cmd/sluice")...).CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	return path
}

// Run carries a run out. What it finds is an error of t; then the folder of the
// run, which is printed, stays.
func Run(t testing.TB, o Options) Report {
	t.Helper()
	t.Logf("seed %d", o.Seed)
	dir, err := os.MkdirTemp("", fmt.Sprintf("sluice-faults-%d-", o.Seed))
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRun(t, o, dir)
	if err == nil {
		ctx, cancel := context.WithTimeoutCause(t.Context(), o.Limit, fmt.Errorf("the run has taken %s", o.Limit))
		defer cancel()
		err = r.play(ctx)
	}
	if err != nil {
		if r.director != nil {
			r.sum()
			r.report.Evidence, _ = readEvidence(dir) // what it found wrong is in err, or comes after it
			r.report.Evidence.add(r.store.seen)
		}
		if keep := r.keep(); keep != nil {
			t.Error(keep)
		}
		t.Errorf("seed %d: %v\nlogs, timeline, ledger and topic are in %s", o.Seed, err, dir)
		return r.report
	}
	if os.Getenv("SLUICE_FAULTS_KEEP") != "" || len(r.report.LeftOut) > 0 { // those are too rare to throw away what shows whose they are
		if err := r.keep(); err != nil {
			t.Error(err)
		}
		t.Logf("kept: %s", dir)
		return r.report
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
	return r.report
}

// run is a run under way.
type run struct {
	o         Options
	dir       string
	rng       *rand.Rand
	kafka     *stack.KafkaServer
	gate      *gate
	store     *store
	instances []*instance
	ledger    *ledger
	rate      *pace
	producers []*producer
	truth     *truth
	log       topicLog // at the end
	observer  *observer
	archive   *archive
	director  *director
	timeline  *timeline
	watch     *watch
	begin     time.Time
	report    Report
}

// newRun starts the servers and lays everything out. It answers the run also
// with an error, for what there is of it.
func newRun(t testing.TB, o Options, dir string) (*run, error) {
	r := &run{o: o, dir: dir, rng: rand.New(rand.NewPCG(o.Seed, 1)), ledger: &ledger{}, watch: newWatch(), begin: time.Now(), report: Report{Seed: o.Seed}}
	diary, err := os.Create(filepath.Join(dir, "timeline"))
	if err != nil {
		return r, err
	}
	t.Cleanup(func() { diary.Close() }) //nolint:errcheck // a diary
	r.timeline = &timeline{out: diary}
	k, proxy := stack.KafkaBehindProxy(t, stack.KafkaOptions{})
	r.kafka, r.gate = k, newGate(proxy)
	if err := errors.Join(k.CreateTopic(t.Context(), topic, o.Partitions, nil), k.CreateTopic(t.Context(), topic+".dead", 1, nil)); err != nil {
		return r, err
	}
	if r.truth, err = newTruth(k.Addr(), topic, o.Partitions); err != nil {
		return r, err
	}
	start := newMariaDB
	if o.ClickHouse {
		start = newClickHouse
	}
	if r.store, err = start(t, r.truth, o.Partitions); err != nil {
		return r, err
	}
	for n := range max(2, o.Instances) {
		name := string(rune('a' + n))
		i := &instance{name: name, binary: o.Binary, config: filepath.Join(dir, name), logs: dir, db: newGate(stack.ProxyTo(t, r.store.addr, r.store.framing))}
		if r.store.blocks {
			i.db.blocks = &blocks{}
		}
		if err := writeConfig(i.config, name, proxy.Addr(), i.db.Addr(), filepath.Join(dir, "archive"), o, r.store); err != nil {
			return r, err
		}
		r.instances = append(r.instances, i)
		t.Cleanup(func() {
			if i.alive() {
				i.kill() //nolint:errcheck // it has failed already
			}
		})
	}
	r.observer = newObserver(r.store, r.truth, r.watch)
	if r.store.archived {
		r.archive = newArchive(filepath.Join(dir, "archive"), r.watch)
	}
	r.rate = &pace{perSecond: o.PerSecond}
	r.director = &director{rng: r.rng, instances: r.instances, kafka: k, store: r.store, gate: r.gate, observer: r.observer, timeline: r.timeline, rate: r.rate, rest: r.rest, patience: time.Duration(max(2, o.Patience)), done: map[string]int{}}
	for n := range 2 {
		name := fmt.Sprintf("producer-%d", n)
		said, err := os.Create(filepath.Join(dir, name+".txt")) // no .log: those are the program's
		if err != nil {
			return r, err
		}
		t.Cleanup(func() { said.Close() }) //nolint:errcheck // a diary
		r.producers = append(r.producers, &producer{name: name, broker: k.Addr(), topic: topic, partitions: o.Partitions, rate: r.rate,
			ledger: r.ledger, timeline: r.timeline, diary: said, rng: rand.New(rand.NewPCG(o.Seed, uint64(10+n)))})
	}
	return r, nil
}

// play starts everything, performs the faults, and checks the end.
func (r *run) play(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel(nil)
	start := func(f func(ctx context.Context) error) *sync.WaitGroup {
		one := &sync.WaitGroup{}
		one.Add(1)
		all.Go(func() {
			defer one.Done()
			if err := f(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
		return one
	}
	start(r.truth.run)
	if err := r.startFirst(ctx); err != nil {
		return first(ctx, err)
	}
	start(r.observer.run)
	if r.archive != nil {
		start(r.archive.run)
	}
	stop := make(chan struct{})
	var producing []*sync.WaitGroup
	r.rate.begin = time.Now()
	for _, p := range r.producers {
		producing = append(producing, start(func(ctx context.Context) error { return p.run(ctx, stop) }))
	}
	losing := start(func(ctx context.Context) error {
		return r.director.lose(ctx, rand.New(rand.NewPCG(r.o.Seed, 2)), r.o.Faults.CommitCuts, 3*time.Second)
	})
	if err := r.director.play(ctx, r.director.script(r.o.Faults)); err != nil {
		return first(ctx, err)
	}
	if r.o.Storm.Time > 0 {
		if err := r.director.storm(ctx, r.o.Storm, r.watch, &r.report.Storm); err != nil {
			return first(ctx, err)
		}
	}
	losing.Wait()
	if err := r.more(ctx); err != nil {
		return first(ctx, err)
	}
	r.timeline.note("the faults are over")
	if err := r.produceRest(ctx); err != nil {
		return first(ctx, err)
	}
	close(stop)
	for _, p := range producing {
		p.Wait()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.report.Producing = time.Since(r.rate.begin)
	return first(ctx, r.finish(ctx))
}

// more repeats faults until the evidence is there that a run must have: how often
// a fault hits what it is aimed at depends on the machine. The run's limit, and
// the number of rounds, bound it; what is missing then is finish's to say.
func (r *run) more(ctx context.Context) error {
	f := r.o.Faults
	again := Faults{Kills: min(2, f.Kills), LateCommits: min(1, f.LateCommits), LedgerStops: min(1, f.LedgerStops), LedgerCuts: min(1, f.LedgerCuts),
		WriteStops: min(1, f.WriteStops), BlockStops: min(1, f.BlockStops), ForgetStops: min(1, f.ForgetStops), BeatStops: min(1, f.BeatStops)}
	for round := 0; r.o.Evidence > 0 && round < 10; round++ {
		e, err := readEvidence(r.dir)
		if err != nil {
			return err
		}
		now, err := r.store.counted(ctx)
		if err != nil {
			return err
		}
		e.add(now)
		missing := e.missing(r.o.Evidence, r.store.needs(e)...)
		if missing == nil {
			return nil
		}
		r.timeline.note("more faults: %v", missing)
		if f.CommitCuts > 0 {
			if err := r.director.lose(ctx, r.rng, int(r.director.cuts.Load())+2, time.Second); err != nil {
				return err
			}
		}
		if err := r.director.play(ctx, r.director.script(again)); err != nil {
			return err
		}
	}
	return nil
}

// first is what ended a run first: an error under a context that has ended is
// a consequence.
func first(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// startFirst starts one instance, and returns when it has come to its first
// claim.
func (r *run) startFirst(ctx context.Context) error {
	if err := r.instances[0].start(); err != nil {
		return err
	}
	for end := time.Now().Add(3 * time.Minute); ; {
		ready, err := r.store.view.ready(ctx)
		if err != nil {
			return err
		}
		switch err := r.instances[0].died(); {
		case ready:
			return nil
		case err != nil:
			return err
		case time.Now().After(end):
			return errors.New("the first instance has not come to its first claim within three minutes")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// produceRest waits until all events that were asked for are produced, now as
// fast as it goes.
func (r *run) produceRest(ctx context.Context) error {
	for int(r.rate.produced.Load()) < r.o.Events {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
