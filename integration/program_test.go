package integration_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/sluicekit/sluice/cmd/app/apptest"
	"github.com/sluicekit/sluice/integration/stack"
)

// What follows is for all tests of this package: a life of the built program, and
// what they do with Kafka and with the program's files.

// limit bounds one call to a server, so that a test does not hang, nor its cleanup.
func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), apptest.Patience)
	t.Cleanup(cancel)
	return ctx
}

// topic makes a topic.
func topic(t testing.TB, k *stack.KafkaServer, name string, partitions int) {
	t.Helper()
	if err := k.CreateTopic(limit(t), name, partitions, nil); err != nil {
		t.Fatal(err)
	}
}

// kafkaClient is another client of Kafka than ours. It ends with the test, and
// writes a record to the partition that it names.
func kafkaClient(t testing.TB, k *stack.KafkaServer, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	opts = append([]kgo.Opt{kgo.SeedBrokers(k.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// send waits until Kafka has the records.
func send(t testing.TB, cl *kgo.Client, records ...*kgo.Record) {
	t.Helper()
	if err := cl.ProduceSync(limit(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// register registers an Avro schema, and answers its id.
func register(t testing.TB, r *stack.RegistryServer, subject, schema string) int {
	t.Helper()
	cl, err := sr.NewClient(sr.URLs(r.URL()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := cl.CreateSchema(limit(t), subject, sr.Schema{Schema: schema, Type: sr.TypeAvro})
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

// life is one life of the built program.
type life struct {
	t       testing.TB
	process *os.Process
	log     string // file
	done    chan struct{}
	err     error // once done
}

// begin starts a program that writes to a file what it says. It ends with the
// test, which shows the file if it has failed.
func begin(t testing.TB, cmd *exec.Cmd, log string) *life {
	t.Helper()
	l := &life{t: t, log: log, done: make(chan struct{})}
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.process = cmd.Process
	go func() {
		l.err = cmd.Wait()
		close(l.done)
	}()
	t.Cleanup(func() {
		l.end(syscall.SIGKILL) //nolint:errcheck // it is what kills it
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(log), ends(l.said(), 30_000))
		}
	})
	return l
}

// ends is a text without what is in the middle of it, if it is long.
func ends(text string, most int) string {
	if len(text) <= 2*most {
		return text
	}
	return text[:most] + "\n…\n" + text[len(text)-most:]
}

// end sends a signal, unless the life has ended, and waits for its end.
func (l *life) end(s syscall.Signal) error {
	l.t.Helper()
	select {
	case <-l.done:
		return l.err
	default:
	}
	l.process.Signal(s) //nolint:errcheck // it may just have ended
	select {
	case <-l.done:
	case <-time.After(apptest.Patience):
		l.process.Kill() //nolint:errcheck // seen below
		<-l.done
		l.t.Errorf("the program did not end after %s", s)
	}
	return l.err
}

// stop ends the life as an operator does.
func (l *life) stop() {
	l.t.Helper()
	if err := l.end(syscall.SIGTERM); err != nil {
		l.t.Errorf("after SIGTERM: %v", err)
	}
}

// kill ends the life at once.
func (l *life) kill() { l.end(syscall.SIGKILL) } //nolint:errcheck // it is what kills it

// until waits, as long as the program runs.
func (l *life) until(what string, reached func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(apptest.Patience); !reached(); {
		select {
		case <-l.done:
			l.t.Fatalf("waiting for %s: the program has ended: %v", what, l.err)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("waiting for %s for too long", what)
		}
	}
}

func (l *life) said() string {
	l.t.Helper()
	text, err := os.ReadFile(l.log)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

// get asks the program for what it serves; nil while it is starting or ending.
func (l *life) get(path string) []byte {
	l.t.Helper()
	address := apptest.Address(l.said())
	if address == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), 5*time.Second)
	defer cancel()
	body, _, err := apptest.Get(ctx, "http://"+address+path)
	if err != nil {
		return nil
	}
	return body
}

// resident reads a line of the process's status, in MiB: VmRSS is the memory
// that it has, VmHWM the most that it had so far.
func (l *life) resident(line string) int {
	l.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.process.Pid))
	if err != nil {
		return 0 // it has ended
	}
	_, rest, _ := strings.Cut(string(text), line+":")
	if len(strings.Fields(rest)) == 0 {
		return 0 // it is ending
	}
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		l.t.Fatal(err)
	}
	return kib >> 10
}

// finished lists the files that a sink has finished, below a folder that need not
// be there yet.
func finished(t testing.TB, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(path, ".jsonl") || strings.HasSuffix(path, ".jsonl.zst")) {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return paths
}

// eachLine reads a file of a sink.
func eachLine(t testing.TB, path string, each func(line []byte)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var from io.Reader = file
	if strings.HasSuffix(path, ".zst") {
		z, err := zstd.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		from = z
	}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		each(lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// span is the numbers [from, to).
func span(from, to int) (all []int) {
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}

// difference tells two lists of numbers apart.
func difference(got, want []int) string {
	count := map[int]int{}
	for _, n := range want {
		count[n]++
	}
	for _, n := range got {
		count[n]--
	}
	var missing, more []int
	for n, c := range count {
		switch {
		case c > 0:
			missing = append(missing, n)
		case c < 0:
			more = append(more, n)
		}
	}
	slices.Sort(missing)
	slices.Sort(more)
	return fmt.Sprintf("%d rows, want %d; missing %v, too many %v", len(got), len(want), short(missing), short(more))
}

func short(list []int) string {
	if len(list) > 6 {
		return fmt.Sprintf("%v…%d (%d)", list[:5], list[len(list)-1], len(list))
	}
	return fmt.Sprint(list)
}

// part is a part of a test, with what it runs on.
type part[R any] struct {
	name string
	run  func(R)
}

// atOnce is how many parts of a test run at the same time: they wait more than
// they compute.
const atOnce = 5

// sideBySide runs the parts of a test, the first ones first. Not with t.Parallel:
// its limit is the number of processors, and counts for the whole package.
func sideBySide[R any](t *testing.T, parts []part[R], prepare func(*testing.T) R) {
	places := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, p := range parts {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			t.Run(p.name, func(t *testing.T) { p.run(prepare(t)) })
		})
	}
	all.Wait()
}
