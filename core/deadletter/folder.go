package deadletter

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicekit/sluice/core/lane"
)

// FolderOptions say how a Folder keeps its files. The zero value will do.
type FolderOptions struct {
	FileBytes int64            // a file is ended before it grows beyond; 64 MiB if zero
	FileAge   time.Duration    // and when it is older; a day if zero
	Clock     func() time.Time // time.Now if nil
	// Create makes a file that must not exist yet, private to its owner; nil:
	// the operating system's. Tests put a disk that fails in its place.
	Create func(path string) (File, error)
}

// File is a file that a Folder writes, as os.File is one.
type File interface {
	Write(b []byte) (int, error)
	Sync() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
	Close() error
}

// Folder writes dead letters into files of a local folder.
type Folder struct {
	dir    string
	stream string
	o      FolderOptions

	turn    chan struct{} // holds one token: who has it may use what follows
	line    bytes.Buffer
	file    File
	path    string
	born    time.Time
	size    int64 // written
	durable int64 // of them synced: what lanes were promised
}

// OpenFolder makes the folder where it is missing, for its owner alone, and
// gives what writes the letters of a stream into it. Several streams and
// processes may share a folder.
func OpenFolder(dir, stream string, o FolderOptions) (*Folder, error) {
	if o.FileBytes <= 0 {
		o.FileBytes = 64 << 20
	}
	if o.FileAge <= 0 {
		o.FileAge = 24 * time.Hour
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Create == nil {
		o.Create = createFile
	}
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	f := &Folder{dir: dir, stream: stream, o: o, turn: make(chan struct{}, 1)}
	f.turn <- struct{}{}
	return f, nil
}

func createFile(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err // and no File that holds a nil
	}
	return f, nil
}

// makeFolder makes a folder and those above it, and makes their names durable:
// else a power cut could take the folder with all that was synced in it.
func makeFolder(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "open", Path: dir, Err: errors.New("not a folder")}
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Write implements lane.DeadLetters. After an error some of the letters may be
// in the folder, and writing them again is harmless.
func (f *Folder) Write(ctx context.Context, letters []lane.Letter) error {
	select {
	case <-f.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { f.turn <- struct{}{} }()
	err := f.write(ctx, letters)
	if err == nil && len(letters) > 0 {
		err = f.sync()
	}
	if err != nil {
		f.abandon()
		return fmt.Errorf("dead letters to %s: %w", f.dir, err)
	}
	return nil
}

func (f *Folder) write(ctx context.Context, letters []lane.Letter) error {
	for i := range letters {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.line.Reset()
		if err := encodeLine(&f.line, &letters[i], f.o.Clock()); err != nil {
			return err
		}
		if f.file != nil && (f.size+int64(f.line.Len()) > f.o.FileBytes || f.o.Clock().Sub(f.born) > f.o.FileAge) {
			if err := f.end(); err != nil {
				return err
			}
		}
		if f.file == nil {
			if err := f.begin(); err != nil {
				return err
			}
		}
		n, err := f.file.Write(f.line.Bytes())
		f.size += int64(n)
		if err != nil {
			return err
		}
	}
	if f.line.Cap() > 4<<20 { // one giant must not stay in memory
		f.line = bytes.Buffer{}
	}
	return nil
}

// begin makes a new file. Its name is durable before anything in it is
// promised.
func (f *Folder) begin() error {
	var random [4]byte
	rand.Read(random[:]) //nolint:errcheck // never fails
	now := f.o.Clock()
	name := f.stream + "-" + now.UTC().Format(nameTime) + "-" + hex.EncodeToString(random[:]) + suffix
	path := filepath.Join(f.dir, name)
	file, err := f.o.Create(path)
	if err != nil {
		return err
	}
	f.file, f.path, f.born, f.size, f.durable = file, path, now, 0, 0
	return syncFolder(f.dir)
}

// sync makes what was written durable, under a name that still leads to it.
func (f *Folder) sync() error {
	if err := f.file.Sync(); err != nil {
		return err
	}
	open, err := f.file.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Lstat(f.path); err != nil || !os.SameFile(open, named) {
		return fmt.Errorf("%s was removed or replaced while it was written to", filepath.Base(f.path))
	}
	f.durable = f.size
	return nil
}

// end leaves a file that is complete.
func (f *Folder) end() error {
	if err := f.sync(); err != nil {
		return err
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// abandon leaves a file after an error. After a failed fsync nobody knows what
// of it is on the disk, so it is never written to again; what was not promised
// is cut off, for the lines that come again elsewhere. Where even that fails it
// is what a crash would have left.
func (f *Folder) abandon() {
	if f.file == nil {
		return
	}
	cut := f.file.Truncate(f.durable)
	_ = f.file.Close()
	if cut == nil && f.durable == 0 {
		_ = os.Remove(f.path) // tries on a full disk must not fill the folder with empty files
	}
	f.file = nil
}

// Close closes the file that is open. All that was acknowledged is durable
// already.
func (f *Folder) Close() error {
	<-f.turn
	defer func() { f.turn <- struct{}{} }()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}
