package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cacheDir answers the folder that holds downloaded servers, and creates it.
func cacheDir() (string, error) {
	dir := os.Getenv("SLUICE_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find cache folder: %w", err)
		}
		dir = filepath.Join(base, "sluice")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("cache folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("create cache folder: %w", err)
	}
	return dir, nil
}

// cached answers the cache entry called name, filling it first when it is
// missing. Other processes wait meanwhile, and never see a half-filled entry:
// fill works in a temporary folder that is renamed when it has succeeded.
func cached(ctx context.Context, name, what string, fill func(ctx context.Context, dir string) error) (string, error) {
	root, err := cacheDir()
	if err != nil {
		return "", err
	}
	final := filepath.Join(root, name)
	if exists(final) {
		return final, nil
	}
	unlock, err := lock(ctx, filepath.Join(root, name+".lock"))
	if err != nil {
		return "", fmt.Errorf("lock cache entry %s: %w", name, err)
	}
	defer unlock()
	if exists(final) {
		return final, nil
	}
	say("fetching %s into %s", what, final)
	began := time.Now()
	// We hold the lock, so these are from processes that were killed.
	if old, err := filepath.Glob(filepath.Join(root, name+".tmp-*")); err == nil {
		for _, path := range old {
			os.RemoveAll(path)
		}
	}
	tmp, err := os.MkdirTemp(root, name+".tmp-")
	if err != nil {
		return "", fmt.Errorf("cache entry %s: %w", name, err)
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", fmt.Errorf("cache entry %s: %w", name, err)
	}
	if err := fill(ctx, tmp); err != nil {
		return "", fmt.Errorf("fetch %s: %w", what, err)
	}
	if err := os.Rename(tmp, final); err != nil {
		return "", fmt.Errorf("cache entry %s: %w", name, err)
	}
	say("%s is there after %s", what, time.Since(began).Round(100*time.Millisecond))
	return final, nil
}

// lock takes an exclusive lock on a file, shared with other processes, and
// answers how to give it back. The kernel gives it back when the process ends.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	for {
		f, err := tryLock(path)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// tryLock takes an exclusive lock without waiting; the error wraps EWOULDBLOCK
// when somebody else holds it.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// run executes an installing program to its end and puts what it printed into
// the error, because the program's own words say best what it could not fetch.
func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), orCause(ctx, err), lastLines(string(out), 20))
	}
	return nil
}

// orCause answers why the context ended, if it has: a program that it killed
// says no more than that it was killed.
func orCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// fetch runs a program that loads something from the network, and runs it again
// when it fails: a registry may be away for a moment.
func fetch(ctx context.Context, dir, name string, args ...string) error {
	for pause := 5 * time.Second; ; pause *= 3 {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Minute)
		err := run(attempt, dir, name, args...)
		cancel()
		if err == nil || pause > time.Minute || ctx.Err() != nil {
			return err
		}
		say("%v; once more in %s", err, pause)
		if sleep(ctx, pause) != nil {
			return err
		}
	}
}

// needCommand answers the path of a program. When it is missing and we are root
// on a system with apt, it installs the package that brings it.
func needCommand(ctx context.Context, command, pkg string) (string, error) {
	root, err := cacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Join(root, "apt.lock"))
	if err != nil {
		return "", fmt.Errorf("wait for another installation: %w", err)
	}
	defer unlock()
	// Only now: what another process is installing is there before it works.
	if path, err := findCommand(command); err == nil {
		return path, nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return "", fmt.Errorf("%s is not installed, and only root can install it here: install %s", command, pkg)
	}
	say("installing %s with apt", pkg)
	install := []string{"DEBIAN_FRONTEND=noninteractive", apt, "-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends", pkg}
	if err := run(ctx, "", "env", install...); err != nil {
		// The package lists of a fresh machine are empty or old: once more with new ones.
		if err := fetch(ctx, "", apt, "update"); err != nil {
			return "", err
		}
		if err := fetch(ctx, "", "env", install...); err != nil {
			return "", err
		}
	}
	return findCommand(command)
}

// findCommand looks in PATH and in the folders for servers, which the PATH of
// an ordinary user leaves out.
func findCommand(command string) (string, error) {
	if path, err := exec.LookPath(command); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, command)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: %w", command, exec.ErrNotFound)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// say tells the person at the terminal what takes so long.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "stack: "+format+"\n", args...)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
