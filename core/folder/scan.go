package folder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// scanner finds files and what has been added to them, and plans extents. It is
// used by one goroutine at a time.
type scanner struct {
	o   *Options
	c   *catalogue
	log *slog.Logger

	inodes   map[[2]uint64]int32 // of files that are not gone
	heads    map[print][]int32
	sizes    map[int64]bool       // of heads
	problems map[string]error     // by path: what cannot be read; nothing of it is lost
	copies   map[string]time.Time // since when a file looks like one that is still there
	blank    map[int32]int64      // up to where a file is known to have no line end
	idle     map[string]look      // files of which nothing is known yet, as they were
	pending  []plan
	flushed  time.Time
}

// entry is a file as a folder lists it.
type entry struct {
	path     string
	dev, ino uint64
	info     fs.FileInfo
}

// look is how a file looked.
type look struct {
	ino           uint64
	size, changed int64
}

func (e *entry) look() look { return look{e.ino, e.info.Size(), e.info.ModTime().UnixNano()} }

func (e *entry) key() [2]uint64 { return [2]uint64{e.dev, e.ino} }

func newScanner(o *Options, c *catalogue) *scanner {
	s := &scanner{o: o, c: c, log: o.Log, inodes: map[[2]uint64]int32{}, heads: map[print][]int32{}, sizes: map[int64]bool{}, problems: map[string]error{}, copies: map[string]time.Time{}, blank: map[int32]int64{}, idle: map[string]look{}}
	for _, f := range c.ordered() {
		s.index(f)
	}
	return s
}

func (s *scanner) index(f *file) {
	if !f.gone {
		s.inodes[[2]uint64{f.dev, f.ino}] = f.id
	}
	if f.at > 0 && !slices.Contains(s.heads[f.head], f.id) {
		s.heads[f.head] = append(s.heads[f.head], f.id)
		s.sizes[f.head.size] = true
	}
}

// scan looks at everything once. The error is the state folder's.
func (s *scanner) scan(ctx context.Context) error {
	s.flushed = time.Now()
	known, fresh, failed := s.list()
	for _, k := range known {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		again, err := s.follow(ctx, k.file, &k.entry)
		s.note(k.path, err, failed)
		if again {
			fresh = append(fresh, k.entry)
		}
		if err := s.flush(false); err != nil {
			return err
		}
	}
	if err := s.flush(true); err != nil { // what is gone now can be met again
		return err
	}
	s.order(fresh)
	for i := range fresh {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.note(fresh[i].path, s.meet(ctx, &fresh[i]), failed)
		if err := s.flush(false); err != nil {
			return err
		}
	}
	if err := s.flush(true); err != nil {
		return err
	}
	for path := range s.problems {
		if _, ok := failed[path]; !ok {
			delete(s.problems, path)
		}
	}
	met := make(map[string]bool, len(fresh))
	for i := range fresh {
		met[fresh[i].path] = true
	}
	maps.DeleteFunc(s.idle, func(path string, _ look) bool { return !met[path] })
	s.c.scanned()
	return nil
}

// note keeps what is wrong with a path, and says it once.
func (s *scanner) note(path string, err error, failed map[string]bool) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	failed[path] = true
	if old := s.problems[path]; old == nil || old.Error() != err.Error() {
		s.log.Warn("a file cannot be read to its end; trying again when it changes", "file", path, "error", err)
	}
	s.problems[path] = err
}

// found is a file of the catalogue that is there.
type found struct {
	entry
	file *file
}

// list finds what there is: files of the catalogue, by id, and others. While a
// rotation is under way a look can miss a file that is on its way to another
// name, and its rest is to be read before what has taken its place: so new files
// count when two looks agree.
func (s *scanner) list() (known []found, fresh []entry, failed map[string]bool) {
	var before map[[2]uint64]string
	for range 4 {
		known, fresh, failed = s.listOnce()
		now := make(map[[2]uint64]string, len(fresh))
		for i := range fresh {
			now[fresh[i].key()] = fresh[i].path
		}
		if len(fresh) == 0 || maps.Equal(now, before) {
			break
		}
		before = now
	}
	return known, fresh, failed
}

func (s *scanner) listOnce() (known []found, fresh []entry, failed map[string]bool) {
	failed = map[string]bool{}
	paths, errs := expand(s.o.Paths)
	for _, e := range errs {
		s.note(e.path, e.err, failed)
	}
	seen := map[[2]uint64]bool{}
	for _, p := range paths {
		info, err := os.Stat(p.path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && p.globbed:
			continue // it was removed just now
		case err == nil && !info.Mode().IsRegular():
			if info.IsDir() && p.globbed {
				continue
			}
			err = notRegular(p.path, info.Mode())
		}
		if err != nil {
			s.note(p.path, err, failed)
			continue
		}
		e := entry{path: p.path, info: info}
		e.dev, e.ino = inode(info)
		if seen[e.key()] {
			continue // another name of the same file
		}
		seen[e.key()] = true
		if id, ok := s.inodes[e.key()]; ok {
			known = append(known, found{e, s.file(id)})
		} else {
			fresh = append(fresh, e)
		}
	}
	known = append(known, s.lost(seen)...)
	slices.SortFunc(known, func(a, b found) int { return cmp.Compare(a.file.id, b.file.id) })
	return known, fresh, failed
}

// file is a copy of a file as it is planned, or in the catalogue; only the scanner
// changes them.
func (s *scanner) file(id int32) *file {
	for i := len(s.pending) - 1; i >= 0; i-- {
		if s.pending[i].file.id == id {
			f := s.pending[i].file
			return &f
		}
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	f := *s.c.files[id]
	return &f
}

// lost looks for the files that no glob finds any more in the folders where they
// were: a rotation may have given them a name that does not match.
func (s *scanner) lost(seen map[[2]uint64]bool) (out []found) {
	byDir := map[string]bool{}
	want := map[[2]uint64]int32{}
	s.c.mu.Lock()
	for key, id := range s.inodes {
		f := s.c.files[id]
		there := seen[key]
		if !there && !f.missing {
			want[key] = id
			byDir[filepath.Dir(f.path)] = true
		}
		if there {
			f.missing = false
		}
	}
	s.c.mu.Unlock()
	for dir := range byDir {
		list, _ := os.ReadDir(dir)
		for _, d := range list {
			info, err := d.Info()
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			e := entry{path: filepath.Join(dir, d.Name()), info: info}
			e.dev, e.ino = inode(info)
			if id, ok := want[e.key()]; ok {
				out = append(out, found{e, s.file(id)})
				delete(want, e.key())
			}
		}
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for _, id := range want {
		s.c.files[id].missing = true
	}
	return out
}

func (s *scanner) order(list []entry) {
	slices.SortFunc(list, func(a, b entry) int {
		if s.o.ByTime {
			if c := a.info.ModTime().Compare(b.info.ModTime()); c != 0 {
				return c
			}
		}
		return strings.Compare(a.path, b.path)
	})
}

// follow plans what a known file has got since. again: its inode holds another
// content now, and is to be met anew.
func (s *scanner) follow(ctx context.Context, f *file, e *entry) (again bool, err error) {
	moved := f.path != e.path
	same := f.size == e.info.Size() && f.changed == e.info.ModTime().UnixNano()
	if same && !moved && (!f.rest || !s.impatient(e, f.packed) && s.c.scans > 0) {
		return false, s.problems[e.path]
	}
	f.path = e.path
	if same && !f.rest {
		s.put(plan{file: *f})
		return false, nil
	}
	c, info, err := openContent(e.path, f.packed)
	if err != nil {
		return false, err
	}
	defer c.close()
	if d, i := inode(info); d != e.dev || i != e.ino {
		return false, nil // renamed since; the next scan sees it
	}
	e.info = info
	switch ok, err := c.holds(f); {
	case err != nil:
		return false, packedError(c, err)
	case !ok:
		s.log.Info("a file was truncated, or written anew: it is read from its beginning", "file", e.path, "read", f.at, "size", info.Size())
		f.gone = true
		delete(s.inodes, e.key())
		s.put(plan{file: *f})
		return true, nil
	}
	return false, s.plan(ctx, f, e, c)
}

// impatient says that the rest of a file counts now, though no line ends there.
func (s *scanner) impatient(e *entry, packed Compression) bool {
	return !s.o.Follow || s.o.LastLine > 0 && packed == Plain && s.o.Format == Lines && time.Since(e.info.ModTime()) >= s.o.LastLine
}

// copyPatience is how long a copy of a file that is still there is looked at
// again before it is a file of its own.
const copyPatience = 10 * time.Second

// meet finds out whether a new inode holds a content that is known, and plans it
// otherwise.
func (s *scanner) meet(ctx context.Context, e *entry) error {
	if int64(len(s.c.files)) >= maxFiles {
		return fmt.Errorf("%s: the state folder remembers %d files, which is all it can; start anew with another one", e.path, maxFiles)
	}
	if l, ok := s.idle[e.path]; ok && l == e.look() && !s.impatient(e, Plain) {
		return s.problems[e.path]
	}
	c, info, err := openContent(e.path, s.o.Compression)
	if err != nil {
		return err
	}
	defer c.close()
	if d, i := inode(info); d != e.dev || i != e.ino {
		return nil // renamed since; the next scan sees it
	}
	e.info = info
	f, hold, err := s.recognise(e, c)
	if err != nil || hold {
		return err
	}
	if f == nil {
		s.c.mu.Lock()
		id := s.c.next
		s.c.mu.Unlock()
		id += s.planned()
		f = &file{id: id, partition: id % int32(s.o.Parallel), packed: c.packed}
	} else {
		s.log.Info("a file has moved or was compressed: it is not read again", "file", e.path, "was", f.path)
		s.c.mu.Lock()
		f.missing = false
		s.c.mu.Unlock()
	}
	f.path, f.dev, f.ino, f.packed, f.gone = e.path, e.dev, e.ino, c.packed, false
	err = s.plan(ctx, f, e, c)
	if delete(s.idle, e.path); f.at == 0 && ctx.Err() == nil {
		s.idle[e.path] = e.look()
	}
	return err
}

// planned is how many new files wait to be stored.
func (s *scanner) planned() (n int32) {
	for _, p := range s.pending {
		if p.file.id >= s.c.next {
			n = max(n, p.file.id-s.c.next+1)
		}
	}
	return n
}

// recognise looks for a known file with the content of a new inode. hold: there
// is one, and it may be the original of a copy that is about to take its place.
func (s *scanner) recognise(e *entry, c *content) (f *file, hold bool, err error) {
	first := make([]byte, printSize)
	n := 0
	for n < len(first) {
		k, err := c.r.Read(first[n:])
		n += k
		if err != nil {
			break // what is wrong with it, planning says
		}
	}
	c.at = int64(n)
	first = first[:n]
	for _, id := range s.candidates(first) {
		f := s.file(id)
		ok, err := c.holds(f)
		if err != nil {
			return nil, false, err
		}
		present := !f.gone && !s.isMissing(f)
		switch {
		case ok && (!present || f.packed != c.packed):
			delete(s.copies, e.path)
			if !f.gone {
				delete(s.inodes, [2]uint64{f.dev, f.ino})
			}
			return f, false, nil
		case present && s.o.Follow && (ok || c.packed == Plain && e.info.Size() < f.at):
			since, told := s.copies[e.path]
			if !told {
				s.copies[e.path] = time.Now()
			}
			if !told || time.Since(since) < copyPatience {
				return nil, true, nil
			}
		}
	}
	delete(s.copies, e.path)
	return nil, false, nil
}

func (s *scanner) isMissing(f *file) bool {
	info, err := os.Stat(f.path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	d, i := inode(info)
	return d != f.dev || i != f.ino
}

// candidates are files with the same first bytes. Of a small file all that was
// read counts, and it may have grown since: so each end of a line, or for
// containers each size that is known, can be where that ended.
func (s *scanner) candidates(first []byte) []int32 {
	out := slices.Clone(s.heads[printOf(first)])
	for n := 1; n < len(first); n++ {
		if s.sizes[int64(n)] && (s.o.Format == Container || first[n-1] == '\n') {
			out = append(out, s.heads[printOf(first[:n])]...)
		}
	}
	return out
}

// put keeps a plan until the next flush. Its content is known from here on: what is
// met next may be a compressed copy of it.
func (s *scanner) put(p plan) {
	s.pending = append(s.pending, p)
	s.index(&p.file)
}

// flush stores what was planned: all, or when it is much or old.
func (s *scanner) flush(all bool) error {
	if !all && len(s.pending) < 512 && time.Since(s.flushed) < 200*time.Millisecond {
		return nil
	}
	plans := s.pending
	s.pending, s.flushed = nil, time.Now()
	if err := s.c.store(plans); err != nil {
		return err
	}
	return nil
}
