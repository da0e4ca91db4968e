package files_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// TestRepeatAfterACrash abandons a writer without Close at each step of a
// batch: what a new one then writes is there once.
func TestRepeatAfterACrash(t *testing.T) {
	c := cut("events", 0, 100, 20_100)
	for _, at := range []string{"append", "stage", "commit"} {
		dir := t.TempDir()
		s := open(t, dir, "clicks")
		w, _ := claim(t, s, slot("events", 0, 1))
		write(t, w, cut("events", 0, 0, 100))
		if _, err := w.Append(t.Context(), chunk(0, 100, 20_100)); err != nil {
			t.Fatal(err)
		}
		if at != "append" {
			if _, err := w.Stage(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if at == "commit" {
			if err := w.Commit(t.Context(), c, ""); err != nil {
				t.Fatal(err)
			}
		} else {
			same(t, dir, lines(0, 0, 100))
			if len(temps(t, dir)) != 1 {
				t.Fatalf("after %s: temporary files %q, want one", at, temps(t, dir))
			}
		}
		s2 := open(t, dir, "clicks") // another process
		w2, found := claim(t, s2, slot("events", 0, 1))
		want := int64(100)
		if at == "commit" {
			want = 20_100
		}
		if found.State != sink.Has || found.High[0] != want {
			t.Errorf("after %s: found %+v, want offset %d", at, found, want)
		}
		if left := temps(t, dir); len(left) != 0 {
			t.Errorf("after %s: the claim left %q", at, left)
		}
		write(t, w2, c)
		write(t, w2, c)
		if err := w2.Commit(t.Context(), c, ""); err != nil { // with nothing appended
			t.Fatal(err)
		}
		same(t, dir, lines(0, 0, 20_100))
	}
}

// TestOldOwnerComesLate has an owner stopped before its Commit, and going on
// after another one has the slot.
func TestOldOwnerComesLate(t *testing.T) {
	dir := t.TempDir()
	c := cut("events", 0, 0, 1000)
	old, _ := claim(t, open(t, dir, "clicks"), slot("events", 0, 1))
	if err := stage(old, c); err != nil {
		t.Fatal(err)
	}
	w, _ := claim(t, open(t, dir, "clicks"), slot("events", 0, 1)) // removes what old has staged
	if err := old.Commit(t.Context(), c, ""); err == nil {
		t.Error("the commit of a file that was taken away is said to be done")
	}
	if len(visible(t, dir)) != 0 {
		t.Errorf("that commit left %v", visible(t, dir))
	}
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	write(t, w, c)
	write(t, w, cut("events", 0, 1000, 1500))

	// Here it stages after the other's claim, and renames after the other did.
	old, _ = claim(t, open(t, dir, "clicks"), slot("events", 0, 1))
	w, _ = claim(t, open(t, dir, "clicks"), slot("events", 0, 1))
	c = cut("events", 0, 1500, 2500)
	if err := stage(old, c); err != nil {
		t.Fatal(err)
	}
	write(t, w, c)
	if err := old.Commit(t.Context(), c, ""); err != nil {
		t.Fatal(err)
	}
	write(t, w, cut("events", 0, 2500, 2600))
	same(t, dir, lines(0, 0, 2600))
}

// TestLateClaimTakesAFileAway has the stopped owner claim once more after the
// new one: the new one's commit fails, and is repeated.
func TestLateClaimTakesAFileAway(t *testing.T) {
	dir := t.TempDir()
	c := cut("events", 0, 0, 1000)
	s := open(t, dir, "clicks")
	w, _ := claim(t, s, slot("events", 0, 1))
	if err := stage(w, c); err != nil {
		t.Fatal(err)
	}
	claim(t, open(t, dir, "clicks"), slot("events", 0, 1))
	if err := w.Commit(t.Context(), c, ""); err == nil || sink.IsRefused(err) || sink.IsPermanent(err) {
		t.Errorf("got %v, want an error that is tried again soon", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w, _ = claim(t, s, slot("events", 0, 1))
	write(t, w, c)
	same(t, dir, lines(0, 0, 1000))
}

// TestClaimLeavesOthersAlone has other slots, topics and sinks under way in the
// same folder.
func TestClaimLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	s, other := open(t, dir, "clicks"), open(t, dir, "click")
	var writers []sink.Writer
	var cuts []record.Cut
	for _, c := range []sink.Claim{slot("events", 1, 1), slot("events", 11, 1), slot("events-1", 1, 1), slot("event", 0, 1)} {
		w, _ := claim(t, s, c)
		writers, cuts = append(writers, w), append(cuts, cut(c.Topic, c.Partition, 0, 10))
	}
	w, _ := claim(t, other, slot("events", 1, 1))
	writers, cuts = append(writers, w), append(cuts, cut("events", 1, 0, 10))
	for i, w := range writers {
		if err := stage(w, cuts[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []sink.Claim{slot("events", 0, 1), slot("events", 2, 9), slot("events-1", 11, 1), slot("events", 111, 1)} {
		claim(t, s, c)
	}
	for i, w := range writers {
		if err := w.Commit(t.Context(), cuts[i], ""); err != nil {
			t.Errorf("%s: %v", cuts[i], err)
		}
	}
	if n := len(visible(t, dir)); n != len(writers) {
		t.Errorf("%d files, want %d", n, len(writers))
	}
}

func TestWritersAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "clicks")
	var working sync.WaitGroup
	for p := range int32(4) {
		working.Go(func() {
			w, _, err := s.Claim(context.Background(), slot("events", p, 1))
			for i := int64(0); i < 10 && err == nil; i++ {
				c := cut("events", p, i*1000, i*1000+1000)
				if err = stage(w, c); err == nil {
					err = w.Commit(context.Background(), c, "")
				}
				if err == nil && i%3 == 2 { // lost and taken again
					if err = w.Close(); err == nil {
						w, _, err = s.Claim(context.Background(), slot("events", p, 1))
					}
				}
			}
			if err == nil {
				err = w.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	working.Wait()
	for p := range int32(4) {
		same(t, filepath.Join(dir, "clicks", "events", strconv.Itoa(int(p))), lines(p, 0, 10_000))
	}
}

// TestMain is also the program that TestKill kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SLUICE_FILES_KILL_DIR"); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const killRows = 60_000

// writeUntilKilled is a lane: it keeps intent and position in a file of its own
// (position, then the next offset of the batch that is pending, if any).
func writeUntilKilled(dir string) error {
	ctx := context.Background()
	ledger := filepath.Join(dir, "ledger")
	store := func(position, pending int64) error {
		text := fmt.Sprintf("%d %d", position, pending)
		if err := os.WriteFile(ledger+".new", []byte(text), 0o600); err != nil {
			return err
		}
		return os.Rename(ledger+".new", ledger)
	}
	var position, pending int64
	if text, err := os.ReadFile(ledger); err == nil { //nolint:gosec // the test's own folder
		if _, err := fmt.Sscan(string(text), &position, &pending); err != nil {
			return err
		}
	}
	s, err := tryOpen(filepath.Join(dir, "files"), "clicks")
	if err != nil {
		return err
	}
	w, found, err := s.Claim(ctx, slot("events", 0, 1))
	if err != nil {
		return err
	}
	if high := found.High[0]; high > max(position, pending) || position > 0 && high < position {
		return fmt.Errorf("found offset %d at position %d with %d pending", high, position, pending)
	}
	for position < killRows {
		next := min(position+50+rand.Int64N(100), killRows)
		if pending > 0 {
			next = pending
		}
		c := cut("events", 0, position, next)
		if err := stage(w, c); err != nil {
			return err
		}
		if err := store(position, next); err != nil {
			return err
		}
		if err := w.Commit(ctx, c, ""); err != nil {
			return err
		}
		if err := store(next, 0); err != nil {
			return err
		}
		position, pending = next, 0
	}
	return w.Close()
}

func TestKill(t *testing.T) {
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	kills := 0
	for ended := false; !ended; {
		c := exec.Command(os.Args[0]) //nolint:gosec // this test
		c.Env = append(os.Environ(), "SLUICE_FILES_KILL_DIR="+dir)
		var out strings.Builder
		c.Stdout, c.Stderr = &out, &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if kills < 20 {
			time.Sleep(time.Duration(20+r.IntN(60)) * time.Millisecond)
			c.Process.Kill() //nolint:errcheck // it may have ended by itself
		}
		err := c.Wait()
		if err == nil {
			ended = true
		} else if c.ProcessState.Exited() {
			t.Fatalf("the child gave up: %v: %s", err, out.String())
		}
		kills++
		if _, err := os.Stat(filepath.Join(dir, "files")); err == nil {
			visible(t, filepath.Join(dir, "files")) // every file is whole at any time
		}
	}
	if t.Logf("%d kills", kills-1); kills < 5 {
		t.Errorf("only %d kills: the child has too little to do", kills-1)
	}
	same(t, filepath.Join(dir, "files"), lines(0, 0, killRows))
	if left := temps(t, filepath.Join(dir, "files")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}
