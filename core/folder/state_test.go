package folder_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/folder"
	"github.com/sluicekit/sluice/core/source"
)

// TestMain holds a state folder in another process where a test asks for it.
func TestMain(m *testing.M) {
	if dir := os.Getenv("FOLDER_TEST_HOLD"); dir != "" {
		if _, err := folder.Open(folder.Options{Name: "events", Paths: []string{"none"}, State: dir}); err != nil {
			os.Stdout.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Stdout.WriteString("held\n")
		os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestLock refuses a second process, by name, until the first one is gone.
func TestLock(t *testing.T) {
	b := newBench(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), "FOLDER_TEST_HOLD="+b.o.State)
	out, _ := c.StdoutPipe()
	in, _ := c.StdinPipe()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	text := make([]byte, 100)
	n, _ := out.Read(text)
	if string(text[:n]) != "held\n" {
		t.Fatalf("the other process said %q", text[:n])
	}
	var locked *folder.LockedError
	if _, err := folder.Open(b.o); !errors.As(err, &locked) || !strings.Contains(err.Error(), "in use by process ") {
		t.Fatalf("opened twice: %v", err)
	}
	c.Process.Kill()
	c.Wait()
	s, err := folder.Open(b.o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFolderTaken ends the generation of who has lost its folder: heartbeats and
// commits are refused.
func TestFolderTaken(t *testing.T) {
	b := newBench(t)
	l := b.start()
	if err := l.g.Heartbeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(b.o.State, b.o.State+".away"); err != nil {
		t.Fatal(err)
	}
	other, err := folder.Open(b.o) // a folder of that name again
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var refused *source.RefusedError
	if err := l.g.Commit(t.Context(), []source.OffsetCommit{{Topic: "events", Offset: 1, Metadata: "x"}}); !errors.As(err, &refused) {
		t.Fatalf("a commit without the folder: %v", err)
	}
	select {
	case <-l.g.Ended():
	default:
		t.Fatal("the generation goes on")
	}
}

// state is what a journal says through the exported API: the records of two
// partitions.
func state(t *testing.T, b *bench) []string {
	t.Helper()
	s, err := folder.Open(b.o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stored, err := s.FetchOffsets(t.Context(), "", map[string][]int32{"events": {0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range stored {
		out = append(out, r.Metadata)
	}
	return out
}

// TestTornWrite cuts the progress at every byte: what was acknowledged before the
// last write is there, and the last write is there whole or not at all.
func TestTornWrite(t *testing.T) {
	b := newBench(t)
	b.o.Parallel = 2
	l := b.start()
	put := func(texts ...string) {
		t.Helper()
		var all []source.OffsetCommit
		for i, text := range texts {
			all = append(all, source.OffsetCommit{Topic: "events", Partition: int32(i), Offset: 5, LeaderEpoch: -1, Metadata: text})
		}
		if err := l.g.Commit(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(b.o.State, "progress")
	put("first")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	put("second", "other")
	l.stop()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := before.Size(); n <= int64(len(whole)); n++ {
		for _, tail := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00", "\xf7SLJ"} {
			text := string(whole[:n])
			if n < int64(len(whole)) {
				text += tail
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			want := []string{"first", ""}
			if n == int64(len(whole)) {
				want = []string{"second", "other"}
			}
			if got := state(t, b); !slices.Equal(got, want) {
				t.Fatalf("cut at %d of %d with %q: %q", n, len(whole), tail, got)
			}
		}
	}
}

// TestDamagedState is never taken for less than was stored: one flipped bit with
// writes behind it is an error that names the byte.
func TestDamagedState(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	b := newBench(t)
	b.write("a", lines("a", 0, 100))
	l := b.start()
	if _, err := l.all(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := l.g.Commit(t.Context(), []source.OffsetCommit{{Topic: "events", Offset: 5, Metadata: strings.Repeat("x", 100)}}); err != nil {
			t.Fatal(err)
		}
	}
	l.stop()
	for _, name := range []string{"progress", "catalogue"} {
		path := filepath.Join(b.o.State, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		last := strings.LastIndex(string(whole), "\xf7SLJ")
		for range 50 {
			text := slices.Clone(whole)
			text[rng.IntN(last)] ^= 1 << rng.IntN(8)
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := folder.Open(b.o)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), name+": damaged at byte ") {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamagedStart: what a journal begins with was renamed into place when it was
// whole, so damage there is no torn write, though nothing follows: the positions
// of all sinks would be forgotten.
func TestDamagedStart(t *testing.T) {
	b := newBench(t)
	l := b.start()
	if err := l.g.Commit(t.Context(), []source.OffsetCommit{{Topic: "events", Offset: 5, Metadata: "x"}}); err != nil {
		t.Fatal(err)
	}
	l.stop()
	state(t, b) // opened and closed: all is in one frame
	path := filepath.Join(b.o.State, "progress")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		flipped := slices.Clone(whole)
		flipped[n] ^= 4
		for _, text := range [][]byte{flipped, whole[:n]} {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := folder.Open(b.o)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "progress: damaged at byte 0") {
				t.Fatalf("byte %d, %d bytes: %v", n, len(text), err)
			}
		}
	}
}

// TestStateOfAnother refuses a folder that is not of this stream, or not whole.
func TestStateOfAnother(t *testing.T) {
	b := newBench(t)
	l := b.start()
	l.stop()
	for text, change := range map[string]func(o *folder.Options){
		"belongs to the stream events": func(o *folder.Options) { o.Name = "others" },
		"files of another format": func(o *folder.Options) {
			o.Format, o.Measure = folder.Container, func([]byte) (func([]byte) int, error) { return nil, nil }
		},
		"parallel is 65": func(o *folder.Options) { o.Parallel = 65 },
	} {
		o := b.o
		change(&o)
		if _, err := folder.Open(o); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := os.Remove(filepath.Join(b.o.State, "catalogue")); err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Open(b.o); err == nil || !strings.Contains(err.Error(), "the catalogue is gone") {
		t.Errorf("without a catalogue: %v", err)
	}
}

// TestParallel spreads files over partitions, each file's lines in one of them, and
// grows.
func TestParallel(t *testing.T) {
	b := newBench(t)
	for i := range 10 {
		b.write(string(rune('a'+i)), lines(string(rune('a'+i)), 0, 20))
	}
	l := b.start()
	if _, err := l.all(); err != nil {
		t.Fatal(err)
	}
	end := l.at
	l.stop()
	b.o.Parallel = 3
	for i := range 6 {
		b.write(string(rune('k'+i)), lines(string(rune('k'+i)), 0, 20))
	}
	l = b.start()
	l.at = end
	if _, err := l.all(); err != nil {
		t.Fatal(err)
	}
	ends, err := l.s.Complete()
	if err != nil || len(ends) != 3 || ends[0] != end+end/5 || ends[1] != end/5 || ends[2] != end/5 {
		t.Fatalf("ends %v, %v", ends, err)
	}
	l.stop()
	b.o.Parallel = 1
	if _, err := folder.Open(b.o); err == nil || !strings.Contains(err.Error(), "can be raised, not lowered") {
		t.Fatalf("lowered: %v", err)
	}
}
