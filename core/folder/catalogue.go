package folder

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// file is one content, under whatever name it is now. Positions are bytes of
// the content, decompressed.
type file struct {
	id        int32
	partition int32
	dev, ino  uint64
	path      string // as last seen
	packed    Compression
	head      print // of the first bytes
	tail      print // of the last bytes before at
	read      int64 // units that have extents
	at        int64 // where in the content they end
	size      int64 // of the file, when it was last examined,
	changed   int64 // and its modification time, nanoseconds since 1970
	rest      bool  // it had more than whole records then
	gone      bool  // its inode holds something else now

	missing bool // the latest scan did not find it; not stored
}

// extent is a run of whole records of one file, and its place in the log.
type extent struct {
	file  int32
	base  int64 // offset of its first unit
	start int64 // first unit, as the file counts them
	size  int64 // units
	at    int64 // where in the content the first unit lies
	time  int64 // when the file was last changed, milliseconds since 1970
}

func (e *extent) end() int64 { return e.base + e.size }

// catalogue knows the files and the extents. What it says is on disk.
type catalogue struct {
	mu    sync.Mutex
	id    [16]byte // the identity of the state folder
	name  string   // of the stream
	form  Format
	files map[int32]*file
	next  int32 // id of the next file
	logs  [][]extent
	ends  []int64 // of each log
	grown chan struct{}
	scans int // finished since the folder was opened
	j     *journal
}

const catalogueVersion = 1

// Kinds of entries in the catalogue's frames.
const (
	entryHeader = 1 + iota
	entryFile
	entryExtent
)

// openCatalogue reads the catalogue, or makes it, and writes it anew.
func openCatalogue(dir string, o *Options) (*catalogue, error) {
	c := &catalogue{name: o.Name, form: o.Format, files: map[int32]*file{}, grown: make(chan struct{}), next: 1}
	path := filepath.Join(dir, "catalogue")
	if err := readJournal(path, c.apply); err != nil {
		return nil, err
	}
	switch {
	case c.id == [16]byte{}:
		if _, err := os.Stat(filepath.Join(dir, "progress")); err == nil {
			return nil, fmt.Errorf("state folder %s: the catalogue is gone and the progress is there: restore it, or start anew with an empty folder and new names for the sinks", dir)
		}
		if _, err := rand.Read(c.id[:]); err != nil {
			return nil, err
		}
	case c.name != o.Name:
		return nil, fmt.Errorf("state folder %s belongs to the stream %s, not to %s", dir, c.name, o.Name)
	case c.form != o.Format:
		return nil, fmt.Errorf("state folder %s was made for files of another format", dir)
	case len(c.logs) > o.Parallel:
		return nil, fmt.Errorf("state folder %s has %d partitions: parallel can be raised, not lowered", dir, len(c.logs))
	}
	for len(c.logs) < o.Parallel {
		c.logs, c.ends = append(c.logs, nil), append(c.ends, 0)
	}
	var err error
	c.j, err = newJournal(path, c.snapshot())
	return c, err
}

// apply takes in one frame.
func (c *catalogue) apply(payload []byte) error {
	w := &wire{b: payload}
	for len(w.b) > 0 && w.err == nil {
		switch kind := w.number(); kind {
		case entryHeader:
			if v := w.number(); v != catalogueVersion {
				return fmt.Errorf("version %d of the catalogue is not known to this release", v)
			}
			copy(c.id[:], w.text())
			c.name = w.text()
			c.form = Format(w.number())
			n := w.number()
			if n < 1 || n > MaxParallel {
				return errors.New("impossible number of partitions")
			}
			c.logs, c.ends = make([][]extent, n), make([]int64, n)
		case entryFile:
			f := readFileEntry(w)
			if w.err == nil {
				if int(f.partition) >= len(c.logs) || f.partition < 0 {
					return errors.New("a file of no partition")
				}
				c.files[f.id] = f
				c.next = max(c.next, f.id+1)
			}
		case entryExtent:
			p := w.number()
			e := extent{file: int32(w.number()), base: w.number(), start: w.number(), size: w.number(), at: w.number(), time: w.number()}
			if w.err == nil {
				if err := c.admit(p, e); err != nil {
					return err
				}
			}
		default:
			return fmt.Errorf("entry of unknown kind %d", kind)
		}
	}
	return w.err
}

// admit appends an extent to a log, or lengthens its last one.
func (c *catalogue) admit(p int64, e extent) error {
	if p < 0 || p >= int64(len(c.logs)) || c.files[e.file] == nil || e.size < 0 || e.start < 0 || e.base < c.ends[p] {
		return errors.New("an extent that fits nowhere")
	}
	log := c.logs[p]
	if n := len(log); n > 0 && c.continues(&log[n-1], &e) {
		log[n-1].size += e.size
	} else {
		c.logs[p] = append(log, e)
	}
	c.ends[p] = e.end()
	return nil
}

// continues says that e can be a part of last. Containers need the byte of each
// of their runs.
func (c *catalogue) continues(last, e *extent) bool {
	return c.form == Lines && last.file == e.file && last.end() == e.base && last.start+last.size == e.start && last.time/60_000 == e.time/60_000
}

func readFileEntry(w *wire) *file {
	f := &file{id: int32(w.number()), partition: int32(w.number()), dev: uint64(w.number()), ino: uint64(w.number()), path: w.text(), packed: Compression(w.number())}
	f.head, f.tail = readPrint(w), readPrint(w)
	f.read, f.at = w.number(), w.number()
	flags := w.number()
	f.rest, f.gone = flags&1 != 0, flags&2 != 0
	f.size, f.changed = w.number(), w.number()
	return f
}

func (f *file) put(b []byte) []byte {
	b = putNumbers(b, entryFile, int64(f.id), int64(f.partition), int64(f.dev), int64(f.ino))
	b = putText(b, f.path)
	b = putNumbers(b, int64(f.packed))
	b = f.tail.put(f.head.put(b))
	flags := int64(0)
	if f.rest {
		flags |= 1
	}
	if f.gone {
		flags |= 2
	}
	return putNumbers(b, f.read, f.at, flags, f.size, f.changed)
}

func (e *extent) put(b []byte, partition int) []byte {
	return putNumbers(b, entryExtent, int64(partition), int64(e.file), e.base, e.start, e.size, e.at, e.time)
}

// snapshot is all of the catalogue, in frames of about a megabyte.
func (c *catalogue) snapshot() [][]byte {
	b := putNumbers(nil, entryHeader, catalogueVersion)
	b = putText(b, string(c.id[:]))
	b = putText(b, c.name)
	b = putNumbers(b, int64(c.form), int64(len(c.logs)))
	out := [][]byte{b}
	b = nil
	cut := func(force bool) {
		if len(b) > 1<<20 || force && len(b) > 0 {
			out, b = append(out, b), nil
		}
	}
	for _, f := range c.ordered() {
		b = f.put(b)
		cut(false)
	}
	for p, log := range c.logs {
		for i := range log {
			b = log[i].put(b, p)
			cut(false)
		}
	}
	cut(true)
	return out
}

// ordered lists the files by id.
func (c *catalogue) ordered() []*file {
	out := make([]*file, 0, len(c.files))
	for _, f := range c.files {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *file) int { return cmp.Compare(a.id, b.id) })
	return out
}

// plan is what a scan has found out of one file.
type plan struct {
	file   file // as it is to be
	extent extent
}

// store makes plans durable, then known. Extents get their place here.
func (c *catalogue) store(plans []plan) error {
	if len(plans) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := slices.Clone(c.ends)
	var b []byte
	for i := range plans {
		p := &plans[i]
		b = p.file.put(b)
		if p.extent.size > 0 {
			p.extent.file, p.extent.base = p.file.id, ends[p.file.partition]
			ends[p.file.partition] += p.extent.size
			b = p.extent.put(b, int(p.file.partition))
		}
	}
	if err := c.j.append(b); err != nil {
		return err
	}
	for i := range plans {
		f := plans[i].file
		c.files[f.id] = &f
		c.next = max(c.next, f.id+1)
		if e := plans[i].extent; e.size > 0 {
			if err := c.admit(int64(f.partition), e); err != nil {
				return err
			}
		}
	}
	close(c.grown)
	c.grown = make(chan struct{})
	if c.j.grown() {
		return c.rewrite()
	}
	return nil
}

func (c *catalogue) rewrite() error {
	j, err := newJournal(c.j.path, c.snapshot())
	if err != nil {
		return err
	}
	_ = c.j.close()
	c.j = j
	return nil
}

// place is where an offset lies.
type place struct {
	extent extent
	file   file
	found  bool
	first  int64 // of the log; an offset below it is gone
	end    int64 // of the log
	scans  int
	grown  <-chan struct{} // closed when there is more
}

// find looks an offset up. A hole before an extent belongs to it.
func (c *catalogue) find(partition int32, offset int64) place {
	c.mu.Lock()
	defer c.mu.Unlock()
	log := c.logs[partition]
	out := place{end: c.ends[partition], scans: c.scans, grown: c.grown}
	if len(log) > 0 {
		out.first = log[0].base
	}
	i, _ := slices.BinarySearchFunc(log, offset, func(e extent, o int64) int {
		if e.end() <= o {
			return -1
		}
		return 1
	})
	if i < len(log) {
		out.extent, out.found = log[i], true
		out.file = *c.files[log[i].file]
	}
	return out
}

// scanned says that a scan is over.
func (c *catalogue) scanned() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scans++
	close(c.grown)
	c.grown = make(chan struct{})
}

// bounds of a partition's log, and its first offset at or after a time.
func (c *catalogue) bounds(partition int32, millis int64) (first, since, end int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	log := c.logs[partition]
	end = c.ends[partition]
	first, since = end, end
	if len(log) > 0 {
		first = log[0].base
	}
	for i := range log {
		if log[i].time >= millis {
			since = log[i].base
			break
		}
	}
	return first, since, end
}

func (c *catalogue) incarnation() string { return hex.EncodeToString(c.id[:]) }
