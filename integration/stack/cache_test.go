package stack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func fillOne(ctx context.Context, dir string) error {
	return os.WriteFile(filepath.Join(dir, "file"), []byte("whole"), 0o644)
}

func TestCacheFillsOnce(t *testing.T) {
	t.Setenv("SLUICE_CACHE", t.TempDir())
	var fills atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := cached(t.Context(), "entry", "an entry", func(ctx context.Context, dir string) error {
				fills.Add(1)
				if err := sleep(ctx, 20*time.Millisecond); err != nil {
					return err
				}
				return fillOne(ctx, dir)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "whole" {
				t.Errorf("got %q, %v", b, err)
			}
		})
	}
	wg.Wait()
	if n := fills.Load(); n != 1 {
		t.Errorf("filled %d times, want once", n)
	}
}

func TestCacheForgetsAFailedFill(t *testing.T) {
	root := t.TempDir()
	t.Setenv("SLUICE_CACHE", root)
	broken := errors.New("broken off")
	_, err := cached(t.Context(), "entry", "an entry", func(ctx context.Context, dir string) error {
		return errors.Join(fillOne(ctx, dir), broken)
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "an entry") {
		t.Errorf("got %v", err)
	}
	left, err := filepath.Glob(filepath.Join(root, "entry*"))
	if err != nil || len(left) != 1 || filepath.Ext(left[0]) != ".lock" {
		t.Errorf("left behind: %v, %v; want the lock file alone", left, err)
	}
	if _, err := cached(t.Context(), "entry", "an entry", fillOne); err != nil {
		t.Errorf("second attempt: %v", err)
	}
}

func TestLockWaitsNoLongerThanItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := lock(short, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second lock: %v", err)
	}
	unlock()
	again, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestPortsAreDistinct(t *testing.T) {
	t.Setenv("SLUICE_CACHE", t.TempDir())
	seen := map[int]bool{}
	for range 20 {
		p, err := reservePorts(5)
		if err != nil {
			t.Fatal(err)
		}
		defer p.release()
		for _, port := range p.numbers {
			if seen[port] {
				t.Errorf("port %d twice", port)
			}
			seen[port] = true
		}
	}
}

func TestSweepTakesOnlyTheDead(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	old := time.Now().Add(-time.Hour)
	age := func(path string) {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	living, err := newFolder("living")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := newFolder("dead")
	if err != nil {
		t.Fatal(err)
	}
	dead.lock.Close() // as when its process has ended
	age(living.path)
	age(dead.path)
	next, err := newFolder("next")
	if err != nil {
		t.Fatal(err)
	}
	if !exists(living.path) || exists(dead.path) || !exists(next.path) {
		t.Errorf("living %t, dead %t, next %t", exists(living.path), exists(dead.path), exists(next.path))
	}
	for _, f := range []*folder{living, next} {
		if err := f.remove(); err != nil {
			t.Error(err)
		}
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("old\none\ntwo\nthree\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, want := tailFrom(path, 4, 2), "two\nthree"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := tailFrom(path, 18, 2); got != "(the log is empty)" {
		t.Errorf("got %q", got)
	}
}
