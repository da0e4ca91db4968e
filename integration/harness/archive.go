package harness

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// archive reads the files that the sink `archive` makes, each as soon as it is
// to be seen, as any other reader of the folder would.
type archive struct {
	dir   string
	watch *watch

	mu   sync.Mutex
	seen map[string]uint64 // hash of a file's rows, by path
	home map[int64]string  // by event
	ends map[string][]span // ranges by folder, of slots of one partition
}

type span struct{ first, next int64 }

func newArchive(dir string, w *watch) *archive {
	return &archive{dir: dir, watch: w, seen: map[string]uint64{}, home: map[int64]string{}, ends: map[string][]span{}}
}

// run looks until ctx ends. An error is a fault that was found.
func (a *archive) run(ctx context.Context) error {
	for {
		if err := a.look(false); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// look reads the files that are new; with again also those it knows, which
// must not have changed.
func (a *archive) look(again bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := filepath.WalkDir(a.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "_sluice":
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		hash, known := a.seen[path]
		if known && !again {
			return nil
		}
		now, err := a.read(path, !known)
		if err != nil {
			return fmt.Errorf("file %s: %w", path, err)
		}
		if known && now != hash {
			return fmt.Errorf("file %s has changed after it was to be seen", path)
		}
		a.seen[path] = now
		if !known {
			a.watch.moved("archive " + filepath.Base(filepath.Dir(path)))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}

// read reads a file's events, and answers a hash of its rows. Of a new file
// it notes them.
func (a *archive) read(path string, note bool) (uint64, error) {
	if note {
		if err := a.place(path); err != nil {
			return 0, err
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return 0, err
	}
	defer z.Close()
	several := nameParts(path) != partsOfOne
	lines := bufio.NewReader(z)
	for sum := uint64(0); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return sum, nil
		}
		if err != nil {
			return 0, err
		}
		// A batch of several partitions that is repeated has the same rows, those
		// of each partition in their order, but not always mixed in the same way.
		if !several {
			sum *= 31
		}
		hash := fnv.New64a()
		hash.Write(line) //nolint:errcheck // never fails
		sum += hash.Sum64()
		id, err := archived(line)
		if err != nil {
			return 0, err
		}
		if !note {
			continue
		}
		if other, ok := a.home[id]; ok {
			return 0, fmt.Errorf("visible double: event %d is in %s too", id, other)
		}
		a.home[id] = path
	}
}

// events is how many were seen.
func (a *archive) events() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.home)
}

// files is how many were seen.
func (a *archive) files() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}

// place notes the range in a file's name: no two may overlap.
func (a *archive) place(path string) error {
	if nameParts(path) != partsOfOne {
		return nil // the name has a hash of all ranges
	}
	parts := strings.Split(filepath.Base(path), "-")
	first, err1 := strconv.ParseInt(parts[2], 10, 64)
	next, err2 := strconv.ParseInt(parts[3], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	folder := filepath.Dir(path)
	for _, s := range a.ends[folder] {
		if first < s.next && s.first < next {
			return fmt.Errorf("overlaps with another of [%d,%d)", s.first, s.next)
		}
	}
	a.ends[folder] = append(a.ends[folder], span{first, next})
	return nil
}

// partsOfOne is how many parts the name of a file has whose slot is one
// partition.
const partsOfOne = 6

func nameParts(path string) int { return strings.Count(filepath.Base(path), "-") + 1 }

// archived is the id of a line, which must be the event with that id.
func archived(line []byte) (int64, error) {
	var row struct {
		ID      int64  `json:"id"`
		Time    string `json:"time"`
		Type    string `json:"type"`
		Server  string `json:"server"`
		Payload json.RawMessage
	}
	if err := json.Unmarshal(line, &row); err != nil {
		return 0, fmt.Errorf("line %q: %w", line, err)
	}
	e := makeEvent(row.ID)
	if !bytes.Contains(e.encode(), row.Payload) || len(row.Payload) == 0 || row.Type != e.kind || row.Server != fmt.Sprintf("s%d", row.ID%7) {
		return 0, fmt.Errorf("line %q is no event that was ever made", line)
	}
	return row.ID, nil
}
