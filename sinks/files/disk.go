package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/sluicekit/sluice/core/sink"
)

const (
	fileMode   = 0o640
	folderMode = 0o750
)

// disk is a local folder out of which no name leads, not even by way of a
// symbolic link (os.Root sees to that). Names are slash-separated and relative
// to it.
type disk struct {
	in    system
	close func() error
}

// system is what a disk needs of a file system, as os.Root has it. The tests
// put one in its place that loses, at a power cut, whatever was not fsynced.
type system interface {
	OpenFile(name string, flag int, perm fs.FileMode) (handle, error)
	MkdirAll(name string, perm fs.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
	Lstat(name string) (fs.FileInfo, error)
}

// handle is an open file or folder, as os.File has it.
type handle interface {
	io.ReadWriteCloser
	Sync() error
	Readdirnames(n int) ([]string, error)
}

// rooted is os.Root as a system.
type rooted struct{ *os.Root }

func (r rooted) OpenFile(name string, flag int, perm fs.FileMode) (handle, error) {
	f, err := r.Root.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err // and no handle that holds a nil
	}
	return f, nil
}

// openDisk opens a folder, and makes it first if create says so.
func openDisk(dir string, create bool) (*disk, error) {
	if create {
		if err := makeDurable(dir); err != nil {
			return nil, classify("make folder", dir, err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, classify("open folder", dir, err)
	}
	return &disk{in: rooted{root}, close: root.Close}, nil
}

// makeDurable makes a folder and the folders above it, and fsyncs each folder
// that got a new entry.
func makeDurable(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return syscall.ENOTDIR
		}
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above := filepath.Dir(filepath.Clean(dir))
	if err := makeDurable(above); err != nil {
		return err
	}
	if err := os.Mkdir(dir, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.Open(above)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// folder makes a folder with those above it. All of them are fsynced, also
// those that were there: whoever made them may have been killed before it did.
func (d *disk) folder(name string) error {
	if name == "." {
		return nil
	}
	if err := d.in.MkdirAll(name, folderMode); err != nil {
		return classify("make folder", name, err)
	}
	for name != "." {
		name = path.Dir(name)
		if err := d.sync(name); err != nil {
			return err
		}
	}
	return nil
}

// create makes a new file for writing.
func (d *disk) create(name string) (handle, error) {
	f, err := d.in.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, classify("make file", name, err)
	}
	return f, nil
}

// publish gives a fsynced file its name, in the place of any file that has it,
// for good.
func (d *disk) publish(temp, name string) error {
	info, err := d.in.Lstat(name)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return sink.Permanent(fmt.Errorf("name %s is taken by something that is not a file", name))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return classify("look at", name, err)
	}
	if err := d.in.Rename(temp, name); err != nil {
		return classify("rename to", name, err)
	}
	return d.sync(path.Dir(name))
}

// remove drops a file. That there is none is no error.
func (d *disk) remove(name string) error {
	if err := d.in.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return classify("remove", name, err)
	}
	return nil
}

// exists says whether there is anything of that name.
func (d *disk) exists(name string) (bool, error) {
	_, err := d.in.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, classify("look at", name, err)
	}
	return true, nil
}

// names calls f for everything in a folder, in no order, a thousand at a time
// so that neither memory nor ctx suffers from a large one. A folder that does
// not exist holds nothing.
func (d *disk) names(ctx context.Context, folder string, f func(name string)) error {
	file, err := d.in.OpenFile(folder, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return classify("list", folder, err)
	}
	defer file.Close() //nolint:errcheck // only read from
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list %s: %w", folder, err)
		}
		names, err := file.Readdirnames(1000)
		for _, name := range names {
			f(name)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return classify("list", folder, err)
		}
	}
}

// read is the content of a small file.
func (d *disk) read(name string, limit int64) ([]byte, error) {
	f, err := d.in.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, classify("read", name, err)
	}
	defer f.Close() //nolint:errcheck // only read from
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, classify("read", name, err)
	}
	return b, nil
}

// sync makes the entries of a folder durable.
func (d *disk) sync(folder string) error {
	f, err := d.in.OpenFile(folder, os.O_RDONLY, 0)
	if err != nil {
		return classify("open folder", folder, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return classify("sync folder", folder, err)
	}
	return nil
}

// mended are the causes that a person must mend.
var mended = [...]error{
	fs.ErrPermission, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.ENOTDIR, syscall.EISDIR,
	syscall.EXDEV, syscall.ENAMETOOLONG, syscall.ELOOP,
}

// classify says what was done with which name, and whether a person must mend
// the cause. The path is taken from name, since os repeats it.
func classify(what, name string, err error) error {
	var in *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &in):
		err = in.Err
	case errors.As(err, &link):
		err = link.Err
	}
	named := fmt.Errorf("%s %s: %w", what, name, err)
	for _, m := range mended {
		if errors.Is(err, m) {
			return sink.Permanent(named)
		}
	}
	return named
}
