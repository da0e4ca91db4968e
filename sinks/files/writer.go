package files

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/klauspost/compress/zstd"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/jsonl"
)

const (
	flushAt = 256 << 10 // bytes of rows that are held before they go to the file
	keepAt  = 4 << 20   // bytes; a larger buffer is not kept for the next rows
)

// writer writes the batches of one slot.
type writer struct {
	files  *files
	claim  sink.Claim
	name   slotName
	folder string
	lines  *jsonl.Encoder
	ready  bool // the folder and the mark are there for good

	buf     []byte // encoded rows that the file has not got
	temp    string // name of the temporary file, "" if there is none
	file    handle
	packer  *zstd.Encoder // nil: no compression, or no file
	written int64         // bytes in the file
	size    int64         // as Append reported last
	staged  bool          // temp is complete
}

func newWriter(f *files, c sink.Claim) (*writer, error) {
	lines, err := jsonl.New(f.schema)
	if err != nil {
		return nil, err
	}
	return &writer{
		files: f, claim: c, lines: lines,
		folder: f.folder.folder(f.name, c.Topic, c.Partition),
		name: slotName{
			topic: escape(c.Topic), partition: c.Partition,
			sink: f.hash, topicHash: short(c.Topic, c.Incarnation),
		},
	}, nil
}

// Append encodes the rows of a chunk, all or none, and hands them to the file
// once there are enough of them to be worth a file and a compressor.
func (w *writer) Append(ctx context.Context, rows *record.Chunk) (int64, error) {
	if err := ctx.Err(); err != nil {
		return w.size, err
	}
	if w.staged {
		return w.size, errors.New("rows after the batch was staged")
	}
	if w.buf == nil {
		w.buf = w.files.buffer()
	}
	var err error
	if w.buf, err = w.lines.Append(w.buf, rows); err != nil {
		return w.size, err
	}
	if len(w.buf) >= flushAt {
		if err := w.flush(); err != nil {
			return w.size, err
		}
	}
	w.size = max(w.size, w.written+int64(len(w.buf)))
	return w.size, nil
}

// Held implements sink.Holder: rows that are in the file are not in memory.
func (w *writer) Held() int64 {
	n := int64(cap(w.buf))
	if w.packer != nil {
		n += packerBytes(w.files.options.Level)
	}
	return n
}

// Stage ends the temporary file and makes it durable under its temporary name.
func (w *writer) Stage(ctx context.Context, c record.Cut) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := w.check(c); err != nil {
		return "", err
	}
	if w.staged || w.temp == "" && len(w.buf) == 0 {
		return "", nil
	}
	if err := w.flush(); err != nil {
		return "", err
	}
	if w.packer != nil {
		if err := w.packer.Close(); err != nil {
			return "", classify("write", w.temp, err)
		}
		w.files.giveBack(w.packer)
		w.packer = nil
	}
	err := errors.Join(w.file.Sync(), w.file.Close())
	w.file = nil
	if err != nil {
		return "", classify("sync", w.temp, err)
	}
	w.staged = true
	w.files.keepBuffer(w.buf)
	w.buf = nil
	return "", nil
}

// Commit gives the staged file its name. Without rows there is nothing to name,
// and a file that an earlier attempt left stays: it holds the same batch.
func (w *writer) Commit(ctx context.Context, c record.Cut, _ string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.check(c); err != nil {
		return err
	}
	if !w.staged && (w.temp != "" || len(w.buf) > 0) {
		return errors.New("commit of rows that were not staged")
	}
	if err := w.prepare(); err != nil {
		return err
	}
	if w.staged {
		if err := w.publish(c); err != nil {
			return err
		}
	}
	w.temp, w.staged, w.written, w.size = "", false, 0, 0
	return nil
}

// Close removes what was not committed.
func (w *writer) Close() error {
	var err error
	if w.packer != nil {
		w.files.giveBack(w.packer)
		w.packer = nil
	}
	if w.file != nil {
		err = w.file.Close()
		w.file = nil
	}
	if w.temp != "" {
		err = errors.Join(err, w.files.disk.remove(w.temp))
		w.temp = ""
	}
	w.buf = nil
	return err
}

// check refuses a cut of another slot, whose name would be wrong. One that was
// fixed before the slot grew has fewer partitions, and is repeated as it was.
func (w *writer) check(c record.Cut) error {
	if c.Topic != w.claim.Topic || c.Partition != w.claim.Partition || len(c.Ranges) < 1 || len(c.Ranges) > w.claim.Partitions {
		return fmt.Errorf("batch %s does not belong to the %d partitions of %s from %d", c, w.claim.Partitions, w.claim.Topic, w.claim.Partition)
	}
	return nil
}

// prepare makes folder and mark before the writer's first commit.
func (w *writer) prepare() error {
	if w.ready {
		return nil
	}
	temp, err := w.tempName()
	if err != nil {
		return err
	}
	if err := w.files.leaveMark(w.claim.Topic, w.claim.Incarnation, temp); err != nil {
		return err
	}
	if err := w.files.disk.folder(w.folder); err != nil {
		return err
	}
	w.ready = true
	return nil
}

// publish renames the staged file. If the same batch was written before
// compression: was changed, that file goes first: a reader may miss the batch
// for a moment, and never sees it twice.
func (w *writer) publish(c record.Cut) error {
	stem := path.Join(w.folder, w.name.stem(c))
	own := w.extension()
	for _, ext := range extensions {
		if ext != own {
			if err := w.files.disk.remove(stem + ext); err != nil {
				return err
			}
		}
	}
	return w.files.disk.publish(w.temp, stem+own)
}

func (w *writer) extension() string {
	if w.files.options.Compression == "none" {
		return ".jsonl"
	}
	return ".jsonl.zst"
}

// flush hands the held rows to the temporary file, which it makes first if
// there is none.
func (w *writer) flush() error {
	if w.temp == "" {
		if err := w.begin(); err != nil {
			return err
		}
	}
	var out io.Writer = (*counted)(w)
	if w.packer != nil {
		out = w.packer
	}
	if _, err := out.Write(w.buf); err != nil {
		return classify("write", w.temp, err)
	}
	w.buf = w.buf[:0]
	if cap(w.buf) > keepAt {
		w.buf = nil
	}
	return nil
}

// begin makes the temporary file, and lends a compressor.
func (w *writer) begin() error {
	temp, err := w.tempName()
	if err != nil {
		return err
	}
	if w.file, err = w.files.disk.create(temp); err != nil {
		return err
	}
	w.temp, w.written = temp, 0
	if w.files.options.Compression == "none" {
		return nil
	}
	if w.packer, err = w.files.encoder(); err != nil {
		return fmt.Errorf("make a compressor: %w", err)
	}
	w.packer.Reset((*counted)(w))
	return nil
}

// tempName is a name that nobody else has: an owner that comes too late must
// not write into a file that is ours.
func (w *writer) tempName() (string, error) {
	var random [12]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("make a name: %w", err)
	}
	return path.Join(tmpDir, w.files.tempPrefix(w.claim.Topic, w.claim.Partition)+hex.EncodeToString(random[:])), nil
}

// counted writes to the writer's file and counts.
type counted writer

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.file.Write(b)
	c.written += int64(n)
	return n, err
}
