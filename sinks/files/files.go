package files

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/jsonl"
)

// open checks that the folder is there and can be written to.
func open(_ context.Context, c sink.Config) (sink.Sink, error) {
	o, ok := c.Options.(*Options)
	if !ok {
		return nil, fmt.Errorf("options are of type %T", c.Options)
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	d, err := openDisk(o.Dir, o.Create)
	if err != nil {
		return nil, err
	}
	f, err := openOn(d, c, *o)
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return f, nil
}

// openOn makes a sink of valid options on an open disk.
func openOn(d *disk, c sink.Config, o Options) (*files, error) {
	folder, err := parseTemplate(o.Folder)
	if err != nil {
		return nil, err
	}
	if _, err := jsonl.New(c.Schema); err != nil {
		return nil, err
	}
	if !utf8.ValidString(c.ID()) {
		return nil, fmt.Errorf("name of the sink %q is not UTF-8", c.ID())
	}
	for _, name := range []string{tmpDir, marksDir} {
		if err := d.folder(name); err != nil {
			return nil, err
		}
	}
	return &files{disk: d, id: c.ID(), name: c.Name, hash: short(c.ID()), schema: c.Schema, folder: folder, options: o}, nil
}

// files is one sink of the configuration.
type files struct {
	disk    *disk
	id      string // of the sink
	name    string
	hash    string // of the id
	schema  *record.Schema
	folder  template
	options Options
	idle    sync.Pool // of *zstd.Encoder
	buffers sync.Pool // of *[]byte, empty; a writer has one only while it has rows
}

// Claim reads what the names and the marks say, and removes what an earlier
// owner of the slot has left under way.
func (f *files) Claim(ctx context.Context, c sink.Claim) (sink.Writer, sink.Found, error) {
	if c.Partitions < 1 {
		return nil, sink.Found{}, fmt.Errorf("claim of %d partitions", c.Partitions)
	}
	if !utf8.ValidString(c.Topic) || !utf8.ValidString(c.Incarnation) {
		return nil, sink.Found{}, fmt.Errorf("topic %q of incarnation %q is not UTF-8, as a mark must be", c.Topic, c.Incarnation)
	}
	w, err := newWriter(f, c)
	if err != nil {
		return nil, sink.Found{}, err
	}
	if err := f.clear(ctx, c); err != nil {
		return nil, sink.Found{}, err
	}
	found, err := f.find(ctx, c)
	if err != nil {
		return nil, sink.Found{}, err
	}
	return w, found, nil
}

// Close gives the folder back.
func (f *files) Close() error { return f.disk.close() }

// clear removes the temporary files of a slot's partitions, under any
// incarnation.
func (f *files) clear(ctx context.Context, c sink.Claim) error {
	prefixes := make([]string, c.Partitions)
	for i := range prefixes {
		prefixes[i] = f.tempPrefix(c.Topic, c.Partition+int32(i))
	}
	var stale []string
	err := f.disk.names(ctx, tmpDir, func(name string) {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			stale = append(stale, name)
		}
	})
	if err != nil {
		return err
	}
	for _, name := range stale {
		if err := f.disk.remove(path.Join(tmpDir, name)); err != nil {
			return err
		}
	}
	return nil
}

// tempPrefix begins the names of a slot's temporary files.
func (f *files) tempPrefix(topic string, partition int32) string {
	return fmt.Sprintf("%s-%s-%d-", f.hash, short(topic), partition)
}

// find gathers what the folder remembers.
func (f *files) find(ctx context.Context, c sink.Claim) (sink.Found, error) {
	found := sink.Found{High: slices.Repeat([]int64{-1}, c.Partitions)}
	marks, err := f.marks(ctx)
	if err != nil {
		return found, err
	}
	for _, m := range marks {
		found.State = sink.Has
		if m.Topic == c.Topic && m.Incarnation != c.Incarnation {
			found.OtherIncarnation = m.Incarnation
		}
		if m.Folder != f.folder.text {
			return found, sink.Permanent(fmt.Errorf("folder was %q when this sink wrote first and is %q now: a batch under way could be written to both; "+
				"put the old one back, or give the sink a new name", m.Folder, f.folder.text))
		}
	}
	listed := map[string]bool{}
	for i := range c.Partitions {
		// Another slot layout may have written to any of them.
		folder := f.folder.folder(f.name, c.Topic, c.Partition+int32(i))
		if listed[folder] {
			continue
		}
		listed[folder] = true
		if err := f.look(ctx, c, folder, &found); err != nil {
			return found, err
		}
	}
	return found, nil
}

// look adds what the names in a folder say.
func (f *files) look(ctx context.Context, c sink.Claim, folder string, found *sink.Found) error {
	topic, hash := escape(c.Topic), short(c.Topic, c.Incarnation)
	return f.disk.names(ctx, folder, func(name string) {
		n, ok := parse(name)
		if !ok || n.sink != f.hash {
			return
		}
		found.State = sink.Has
		at := int(n.partition) - int(c.Partition)
		switch {
		case n.topic != topic || at < 0 || at >= c.Partitions:
		case n.topicHash == hash:
			found.High[at] = max(found.High[at], n.next)
		case found.OtherIncarnation == "":
			// Only if its mark was removed; the name has no more than this.
			found.OtherIncarnation = "with the hash " + n.topicHash
		}
	})
}

// encoder lends a compressor. One that was used before needs no new memory.
func (f *files) encoder() (*zstd.Encoder, error) {
	if e, ok := f.idle.Get().(*zstd.Encoder); ok {
		return e, nil
	}
	// One stream, without goroutines. A file is one frame, since some readers
	// stop silently at the end of the first.
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20),
		zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(f.options.Level)))
}

// packerBytes is the memory that a compressor takes, as measured.
func packerBytes(level int) int64 {
	switch zstd.EncoderLevelFromZstd(level) {
	case zstd.SpeedFastest:
		return 2 << 20
	case zstd.SpeedDefault:
		return 3 << 20
	case zstd.SpeedBetterCompression:
		return 6 << 20
	}
	return 36 << 20
}

// buffer lends a buffer for rows.
func (f *files) buffer() []byte {
	if b, ok := f.buffers.Get().(*[]byte); ok {
		return *b
	}
	return nil
}

// keepBuffer takes one back.
func (f *files) keepBuffer(b []byte) {
	if cap(b) > 0 && cap(b) <= keepAt {
		b = b[:0]
		f.buffers.Put(&b)
	}
}

// giveBack takes a compressor back.
func (f *files) giveBack(e *zstd.Encoder) {
	e.Reset(nil)
	f.idle.Put(e)
}
