package deadletter

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// How the name of a file ends: -20261122T163010.123456Z-1f2e3d4c.jsonl
const (
	nameTime = "20060102T150405.000000Z"
	suffix   = ".jsonl"
)

// Files reads what Folders have written.
type Files struct {
	dir    string
	stream string
}

// NewFiles names the letters of a stream in a folder. One that does not exist
// holds none.
func NewFiles(dir, stream string) *Files { return &Files{dir: dir, stream: stream} }

// Each implements Reader.
func (f *Files) Each(ctx context.Context, since time.Time, take func(Found) error) (Reading, error) {
	var r Reading
	names, err := f.names()
	if err != nil {
		return r, fmt.Errorf("dead letters: %w", err)
	}
	known := seen{}
	for _, name := range names {
		if err := f.file(ctx, filepath.Join(f.dir, name), since, known, &r, take); err != nil {
			return r, err
		}
	}
	return r, nil
}

// names lists the stream's files, the oldest first.
func (f *Files) names() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ending := regexp.MustCompile(`^[0-9]{8}T[0-9]{6}[.][0-9]{6}Z-[0-9a-f]{8}[.]jsonl$`)
	var names []string
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), f.stream+"-"); ok && e.Type().IsRegular() && ending.MatchString(rest) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names) // ReadDir sorts, as its documentation says today
	return names, nil
}

func (f *Files) file(ctx context.Context, path string, since time.Time, known seen, r *Reading, take func(Found) error) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was moved away since the folder was listed
	}
	if err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	if info.ModTime().Before(since) {
		return nil
	}
	in := bufio.NewReaderSize(io.LimitReader(file, info.Size()), 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		text, err := readLine(in)
		if errors.Is(err, io.EOF) {
			if len(text) > 0 {
				r.Unreadable++ // torn by a crash, or being written now
			}
			return nil
		}
		if err != nil && !errors.Is(err, errNoLetter) {
			return fmt.Errorf("dead letters: %w", err)
		}
		found, err := decodeLine(text)
		if err := r.letter(found, err, since, known, take); err != nil {
			return err
		}
	}
}

// readLine is the next line, or what is left with io.EOF. One that is too long
// is read over: errNoLetter.
func readLine(in *bufio.Reader) ([]byte, error) {
	var long []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(long)+len(part) <= maxLine {
			long = append(long, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return long, err
		case !bytes.HasSuffix(long, []byte{'\n'}):
			return nil, errNoLetter
		default:
			return long, nil
		}
	}
}
