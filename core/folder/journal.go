package folder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// journal is a file that is only appended to. Each append is one frame: magic,
// length, CRC-32C of the payload, payload. It counts once it is synced.
type journal struct {
	path string
	f    *os.File
	size int64
	base int64 // size when it was last written anew
	err  error // set by the first append that failed: what is on disk is not known
}

const (
	frameHeader = 12
	maxFrame    = 64 << 20
)

var errTorn = errors.New("the write was torn")

func frameMagic() []byte { return []byte{0xf7, 'S', 'L', 'J'} }

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// readJournal gives each payload to apply. A frame at the end that was not
// written to its end never counted and is left out; one that is damaged with
// others behind it is an error, and so is one at the beginning, which had its name
// only when it was whole. A journal that is not there is empty.
func readJournal(path string, apply func(payload []byte) error) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for at := 0; at == 0 || at < len(b); {
		payload, err := frame(b[at:])
		if err != nil {
			if at == 0 {
				return fmt.Errorf("%s: damaged at byte 0: restore the state folder from a backup", path)
			}
			if next := nextFrame(b[at+1:]); next >= 0 {
				return fmt.Errorf("%s: damaged at byte %d, and sound again at byte %d: restore the state folder from a backup", path, at, at+1+next)
			}
			return nil
		}
		if err := apply(payload); err != nil {
			return fmt.Errorf("%s: byte %d: %w", path, at, err)
		}
		at += frameHeader + len(payload)
	}
	return nil
}

func frame(b []byte) ([]byte, error) {
	if len(b) < frameHeader || !bytes.Equal(b[:4], frameMagic()) {
		return nil, errTorn
	}
	n := int(binary.LittleEndian.Uint32(b[4:]))
	if n > maxFrame || n > len(b)-frameHeader {
		return nil, errTorn
	}
	payload := b[frameHeader : frameHeader+n]
	if crc32.Checksum(payload, castagnoli()) != binary.LittleEndian.Uint32(b[8:]) {
		return nil, errTorn
	}
	return payload, nil
}

// nextFrame finds the next sound frame, -1 if there is none.
func nextFrame(b []byte) int {
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], frameMagic())
		if i < 0 {
			return -1
		}
		at += i
		if _, err := frame(b[at:]); err == nil {
			return at
		}
	}
}

// newJournal writes a journal anew, with one frame for each payload, in the
// place of an old one: a crash leaves the old or the new one, whole. What a
// failed sync has left in memory only is on disk after it.
func newJournal(path string, payloads [][]byte) (*journal, error) {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, f: f}
	for _, p := range payloads {
		if err = j.write(p); err != nil {
			break
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close())
	}
	j.base = j.size
	return j, nil
}

func (j *journal) write(payload []byte) error {
	if len(payload) > maxFrame {
		return fmt.Errorf("a frame of %d bytes", len(payload))
	}
	b := make([]byte, frameHeader, frameHeader+len(payload))
	copy(b, frameMagic())
	binary.LittleEndian.PutUint32(b[4:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(payload, castagnoli()))
	b = append(b, payload...)
	n, err := j.f.WriteAt(b, j.size)
	if err != nil {
		return err
	}
	j.size += int64(n)
	return nil
}

// append stores a payload: nil once it is on disk. After an error whether it is
// cannot be known; the journal must be opened again.
func (j *journal) append(payload []byte) error {
	if j.err != nil {
		return j.err
	}
	err := j.write(payload)
	if err == nil {
		err = j.f.Sync()
	}
	if err != nil {
		j.err = fmt.Errorf("write %s: %w", j.path, err)
	}
	return j.err
}

// grown says that most of the journal is likely to be out of date.
func (j *journal) grown() bool { return j.size > 4*j.base+(4<<20) }

func (j *journal) close() error {
	if j == nil || j.f == nil {
		return nil
	}
	err := j.f.Close()
	j.f = nil
	if j.err == nil {
		j.err = os.ErrClosed
	}
	return err
}

// syncDir makes names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// wire reads the numbers and texts of a payload. Its first error stays.
type wire struct {
	b   []byte
	err error
}

func (w *wire) number() int64 {
	v, n := binary.Varint(w.b)
	if n <= 0 {
		w.err = errors.Join(w.err, io.ErrUnexpectedEOF)
		w.b = nil
		return 0
	}
	w.b = w.b[n:]
	return v
}

func (w *wire) text() string {
	n := w.number()
	if n < 0 || n > int64(len(w.b)) {
		w.err = errors.Join(w.err, io.ErrUnexpectedEOF)
		w.b = nil
		return ""
	}
	s := string(w.b[:n])
	w.b = w.b[n:]
	return s
}

func putText(b []byte, s string) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

func putNumbers(b []byte, v ...int64) []byte {
	for _, n := range v {
		b = binary.AppendVarint(b, n)
	}
	return b
}
