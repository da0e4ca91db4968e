package files_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/files"
)

var errPower = errors.New("the power is cut")

// powerFS is a file system in memory that keeps apart what was fsynced and what
// was not, as the rules for a careful program say: a file's bytes are safe
// after its fsync, a name (made, renamed, removed) after that of its folder.
type powerFS struct {
	root *inode
	left int // operations until the power is cut; negative: never

	lazyFiles, lazyFolders bool // fsync does nothing, to see that the test notices
}

type inode struct {
	folder bool
	data   []byte
	safe   []byte            // data, as far as it was fsynced
	names  map[string]*inode // of a folder
	kept   map[string]*inode // names, as far as they were fsynced
}

func newFolder() *inode {
	return &inode{folder: true, names: map[string]*inode{}, kept: map[string]*inode{}}
}

func newPowerFS() *powerFS { return &powerFS{root: newFolder(), left: -1} }

// cutPower drops what was not safe: each name and each file may have got to the
// disk or not, and of a file any part.
func (p *powerFS) cutPower(r *rand.Rand) {
	p.left = -1
	p.root.settle(r)
}

func (n *inode) settle(r *rand.Rand) {
	if !n.folder {
		if !bytes.Equal(n.data, n.safe) {
			switch r.IntN(3) {
			case 0:
				n.data = n.safe
			case 1:
				n.data = n.data[:r.IntN(len(n.data)+1)]
			}
		}
		n.safe = n.data
		return
	}
	after := map[string]*inode{}
	all := map[string]bool{}
	for name := range n.names {
		all[name] = true
	}
	for name := range n.kept {
		all[name] = true
	}
	sorted := make([]string, 0, len(all))
	for name := range all {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted) // so that a seed says what happens
	for _, name := range sorted {
		child := n.names[name]
		if old := n.kept[name]; old != child && r.IntN(2) == 0 {
			child = old
		}
		if child != nil {
			child.settle(r)
			after[name] = child
		}
	}
	n.names, n.kept = after, map[string]*inode{}
	for name, child := range after {
		n.kept[name] = child
	}
}

func (p *powerFS) step() error {
	if p.left == 0 {
		return errPower
	}
	p.left--
	return nil
}

func (p *powerFS) find(name string) (*inode, error) {
	n := p.root
	if name == "." {
		return n, nil
	}
	for _, element := range strings.Split(name, "/") {
		if n = n.names[element]; n == nil {
			return nil, &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
		}
	}
	return n, nil
}

func (p *powerFS) OpenFile(name string, flag int, _ fs.FileMode) (files.Handle, error) {
	if err := p.step(); err != nil {
		return nil, err
	}
	n, err := p.find(name)
	if flag&os.O_CREATE != 0 {
		if err == nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
		}
		above, err := p.find(path.Dir(name))
		if err != nil {
			return nil, err
		}
		n = &inode{}
		above.names[path.Base(name)] = n
	} else if err != nil {
		return nil, err
	}
	return &powerFile{fs: p, inode: n}, nil
}

func (p *powerFS) MkdirAll(name string, _ fs.FileMode) error {
	n := p.root
	for _, element := range strings.Split(name, "/") {
		if err := p.step(); err != nil {
			return err
		}
		if n.names[element] == nil {
			n.names[element] = newFolder()
		}
		n = n.names[element]
	}
	return nil
}

func (p *powerFS) Rename(from, to string) error {
	if err := p.step(); err != nil {
		return err
	}
	n, err := p.find(from)
	if err != nil {
		return err
	}
	above, err := p.find(path.Dir(to))
	if err != nil {
		return err
	}
	above.names[path.Base(to)] = n
	return p.unlink(from)
}

func (p *powerFS) Remove(name string) error {
	if err := p.step(); err != nil {
		return err
	}
	if _, err := p.find(name); err != nil {
		return err
	}
	return p.unlink(name)
}

func (p *powerFS) unlink(name string) error {
	above, err := p.find(path.Dir(name))
	if err == nil {
		delete(above.names, path.Base(name))
	}
	return err
}

func (p *powerFS) Lstat(name string) (fs.FileInfo, error) {
	if err := p.step(); err != nil {
		return nil, err
	}
	n, err := p.find(name)
	return info{n}, err
}

type info struct{ n *inode }

func (i info) Name() string       { return "" }
func (i info) Size() int64        { return int64(len(i.n.data)) }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) Sys() any           { return nil }
func (i info) IsDir() bool        { return i.n.folder }
func (i info) Mode() fs.FileMode {
	if i.n.folder {
		return fs.ModeDir
	}
	return 0
}

type powerFile struct {
	fs    *powerFS
	inode *inode
	at    int
	names []string // what Readdirnames has not given yet; nil before the first call
}

func (f *powerFile) Write(b []byte) (int, error) {
	if f.fs.left == 0 { // torn: half of it got into the cache
		f.inode.data = append(f.inode.data, b[:len(b)/2]...)
	}
	if err := f.fs.step(); err != nil {
		return 0, err
	}
	f.inode.data = append(f.inode.data, b...)
	return len(b), nil
}

func (f *powerFile) Read(b []byte) (int, error) {
	if f.at == len(f.inode.data) {
		return 0, io.EOF
	}
	n := copy(b, f.inode.data[f.at:])
	f.at += n
	return n, nil
}

func (f *powerFile) Sync() error {
	if err := f.fs.step(); err != nil {
		return err
	}
	n := f.inode
	switch {
	case n.folder && !f.fs.lazyFolders:
		n.kept = map[string]*inode{}
		for name, child := range n.names {
			n.kept[name] = child
		}
	case !n.folder && !f.fs.lazyFiles:
		n.safe = bytes.Clone(n.data)
	}
	return nil
}

func (f *powerFile) Readdirnames(n int) ([]string, error) {
	if f.names == nil {
		f.names = []string{}
		for name := range f.inode.names {
			f.names = append(f.names, name)
		}
	}
	if len(f.names) == 0 {
		return nil, io.EOF
	}
	some := f.names[:min(n, len(f.names))]
	f.names = f.names[len(some):]
	return some, nil
}

func (f *powerFile) Close() error { return f.fs.step() }

// rows collects the rows of all files below a folder, by offset, and how often.
func (p *powerFS) rows(n *inode, name string, into map[int64]int) error {
	for child, c := range n.names {
		switch {
		case child == "_sluice":
		case c.folder:
			if err := p.rows(c, path.Join(name, child), into); err != nil {
				return err
			}
		default:
			if err := countRows(child, c.data, into); err != nil {
				return fmt.Errorf("%s: %w", path.Join(name, child), err)
			}
		}
	}
	return nil
}

// countRows wants a file to be whole: all rows that its name says, each a line.
func countRows(name string, data []byte, into map[int64]int) error {
	parts := strings.Split(name, "-")
	first, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return err
	}
	next, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil {
		return err
	}
	rows := bytes.SplitAfter(data, []byte("\n"))
	if int64(len(rows)) != next-first+1 || len(rows[len(rows)-1]) != 0 {
		return fmt.Errorf("%d lines, want %d", len(rows)-1, next-first)
	}
	for i, line := range rows[:len(rows)-1] {
		if !bytes.HasPrefix(line, fmt.Appendf(nil, `{"id":%d,"text":`, first+int64(i))) || !bytes.HasSuffix(line, []byte("\"}\n")) {
			return fmt.Errorf("torn line of %d bytes", len(line))
		}
		into[first+int64(i)]++
	}
	return nil
}

// story is a lane as the contract describes it, with a ledger that power does
// not hurt: intent, commit, position.
type story struct {
	chunks   []*record.Chunk // of 100 rows each
	position int64
	pending  record.Cut
}

const storyRows = 400

// run goes on until all rows are in, or an error.
func (s *story) run(p *powerFS) error {
	o := files.Spec().Options().(*files.Options)
	o.Dir, o.Compression = "in memory", "none" // compressing 200 stories takes long
	in, err := files.OpenOn(p, sink.Config{Name: "clicks", Connection: "files", Schema: schema, Options: o, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx := context.Background()
	w, found, err := in.Claim(ctx, slot("events", 0, 1))
	if err != nil {
		return err
	}
	if high := found.High[0]; high > s.position && !s.pending.Has(0, high-1) {
		return fmt.Errorf("found offset %d at position %d with %s pending", high, s.position, s.pending)
	}
	if s.position > 0 && (found.State != sink.Has || found.High[0] < s.position) {
		return fmt.Errorf("found %+v at position %d", found, s.position)
	}
	for s.position < storyRows {
		c := s.pending
		if c.Empty() {
			c = cut("events", 0, s.position, min(s.position+300, storyRows))
		}
		for o := c.Ranges[0].First; o < c.Ranges[0].Next; o += 100 {
			if _, err := w.Append(ctx, s.chunks[o/100]); err != nil {
				return err
			}
		}
		if _, err := w.Stage(ctx, c); err != nil {
			return err
		}
		s.pending = c
		if err := w.Commit(ctx, c, ""); err != nil {
			return err
		}
		s.position, s.pending = c.Ranges[0].Next, record.Cut{}
	}
	return w.Close()
}

// wide makes chunks of rows of 1 kB that hardly compress, so that a batch takes
// several writes.
func wide() []*record.Chunk {
	var all []*record.Chunk
	r := rand.New(rand.NewPCG(1, 0))
	text := make([]byte, 1000)
	for first := int64(0); first < storyRows; first += 100 {
		c := record.NewChunk(schema)
		c.First, c.Next = first, first+100
		for o := first; o < first+100; o++ {
			for i := range text {
				text[i] = byte('a' + r.IntN(26))
			}
			c.Columns[0].AppendInt(o)
			c.Columns[1].AppendBytes(text)
			c.Offsets, c.Times = append(c.Offsets, o), append(c.Times, 0)
		}
		all = append(all, c)
	}
	return all
}

// cutAt runs the story, cuts the power after some operations and again at the
// end, and says what is wrong with the files.
func cutAt(p *powerFS, chunks []*record.Chunk, operations int, r *rand.Rand) error {
	s := story{chunks: chunks}
	p.left = operations
	if err := s.run(p); err != nil && !errors.Is(err, errPower) {
		return fmt.Errorf("before the cut: %w", err)
	}
	p.cutPower(r)
	rows := map[int64]int{}
	if err := p.rows(p.root, ".", rows); err != nil {
		return fmt.Errorf("after the cut: %w", err)
	}
	for o := range s.position {
		if rows[o] != 1 {
			return fmt.Errorf("after the cut: row %d, which was committed, is there %d times", o, rows[o])
		}
	}
	if err := s.run(p); err != nil {
		return fmt.Errorf("after the cut: %w", err)
	}
	p.cutPower(r)
	rows = map[int64]int{}
	if err := p.rows(p.root, ".", rows); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	for o := range int64(storyRows) {
		if rows[o] != 1 {
			return fmt.Errorf("at the end: row %d is there %d times", o, rows[o])
		}
	}
	if len(rows) != storyRows {
		return fmt.Errorf("at the end: %d rows, want %d", len(rows), storyRows)
	}
	return nil
}

func operations(t *testing.T, chunks []*record.Chunk) int {
	t.Helper()
	p := newPowerFS()
	p.left = 1 << 30
	s := story{chunks: chunks}
	if err := s.run(p); err != nil {
		t.Fatal(err)
	}
	return 1<<30 - p.left
}

func TestPowerCutAfterEveryOperation(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chunks := wide()
	n := operations(t, chunks)
	for at := range n + 1 {
		for round := range uint64(2) {
			if err := cutAt(newPowerFS(), chunks, at, rand.New(rand.NewPCG(seed, round))); err != nil {
				t.Fatalf("power cut after operation %d of %d (round %d): %v", at, n, round, err)
			}
		}
	}
	t.Logf("power cut at %d places", n+1)
}

// TestPowerCutIsNoticed leaves out the fsyncs: the test above must fail then.
func TestPowerCutIsNoticed(t *testing.T) {
	chunks := wide()
	n := operations(t, chunks)
	for _, lazy := range []powerFS{{lazyFiles: true}, {lazyFolders: true}} {
		noticed := 0
		for at := 0; at <= n; at += 3 {
			p := lazy
			p.root = newFolder()
			if cutAt(&p, chunks, at, rand.New(rand.NewPCG(1, uint64(at)))) != nil {
				noticed++
			}
		}
		if noticed < n/12 {
			t.Errorf("without fsync of files %v, of folders %v: noticed at %d of %d places", lazy.lazyFiles, lazy.lazyFolders, noticed, n/3)
		}
	}
}
