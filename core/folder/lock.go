package folder

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// LockedError says that another process uses the state folder.
type LockedError struct {
	Folder string
	Holder string // what it has written of itself, "" if nothing
}

func (e *LockedError) Error() string {
	who := "another process"
	if e.Holder != "" {
		who = e.Holder
	}
	return fmt.Sprintf("state folder %s: in use by %s; each stream needs a folder of its own, and only one process at a time runs a stream", e.Folder, who)
}

// lock is the right to use a state folder. The system gives it back when the
// process ends, however that happens.
type lock struct {
	path string
	f    *os.File
}

var errHeld = errors.New("held by another process")

func acquire(dir string) (*lock, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state folder %s: %w", dir, err)
	}
	err = flock(f)
	if errors.Is(err, errHeld) {
		holder, _ := io.ReadAll(io.LimitReader(f, 256))
		_ = f.Close()
		return nil, &LockedError{Folder: dir, Holder: strings.TrimSpace(string(holder))}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state folder %s: lock: %w", dir, err), f.Close())
	}
	host, _ := os.Hostname()
	text := fmt.Sprintf("process %d on %s\n", os.Getpid(), host)
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(text), 0)
	}
	l := &lock{path: path, f: f}
	if err == nil {
		err = l.held() // somebody may have removed the file while we opened it
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state folder %s: lock: %w", dir, err), f.Close())
	}
	return l, nil
}

// held says whether the lock is still the one of the folder: whoever removes the
// file, or the folder, lets others in.
func (l *lock) held() error {
	ours, err := l.f.Stat()
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	there, err := os.Stat(l.path)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	if !os.SameFile(ours, there) {
		return fmt.Errorf("state folder: %s was replaced: another process may use the folder", l.path)
	}
	return nil
}

func (l *lock) release() error { return l.f.Close() }
