package deadletter_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/deadletter"
	"github.com/sluicekit/sluice/core/lane"
)

func letter(offset int64, value []byte) lane.Letter {
	return lane.Letter{Sink: "clicks@db", Topic: "events", Incarnation: "c/1", Partition: 3, Offset: offset, Reason: "payload.cost: out of range",
		Timestamp: 1_700_000_000_000 + offset, Value: value}
}

func read(t *testing.T, r deadletter.Reader, since time.Time) ([]deadletter.Found, deadletter.Reading) {
	t.Helper()
	var out []deadletter.Found
	how, err := r.Each(t.Context(), since, func(f deadletter.Found) error {
		out = append(out, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, how
}

func open(t *testing.T, dir string, o deadletter.FolderOptions) *deadletter.Folder {
	t.Helper()
	f, err := deadletter.OpenFolder(dir, "events", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// odd are letters with all that a record can hold.
func odd() []lane.Letter {
	all := []lane.Letter{letter(0, []byte(`{"a":1}`)), letter(1, nil), letter(2, []byte{}), letter(3, []byte{0, 0xff, '\n', 0x1b, '['}), letter(4, nil), letter(5, make([]byte, 3<<20))}
	all[1].Key = []byte{}
	all[2].Key = []byte{0xfe, 0}
	all[3].Headers = []lane.Header{{Key: "a", Value: nil}, {Key: "\xff\xfe", Value: []byte{}}, {Key: "a", Value: []byte("<&\u2028>")}, {Key: "sluice-reason", Value: []byte("none")}}
	all[4].Missing = true
	all[0].Timestamp = -1
	all[0].Reason = "a \"quote\" and a \n line"
	return all
}

func lettersOf(found []deadletter.Found) []lane.Letter {
	var out []lane.Letter
	for _, f := range found {
		out = append(out, f.Letter)
	}
	return out
}

// What is read from a folder is what was written, byte for byte, and only the
// owner can read it.
func TestFolderKeepsAllOfALetter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "dead")
	f := open(t, dir, deadletter.FolderOptions{})
	before := time.Now().Truncate(time.Millisecond)
	if err := f.Write(t.Context(), odd()); err != nil {
		t.Fatal(err)
	}
	found, how := read(t, deadletter.NewFiles(dir, "events"), time.Time{})
	if got, want := lettersOf(found), odd(); !reflect.DeepEqual(got, want) {
		t.Errorf("read\n%+v\nwant\n%+v", got, want)
	}
	if how != (deadletter.Reading{}) {
		t.Errorf("reading: %+v", how)
	}
	for _, l := range found {
		if l.Written.Before(before) || l.Written.After(time.Now()) {
			t.Errorf("written %s", l.Written)
		}
	}
	for path, want := range map[string]fs.FileMode{dir: fs.ModeDir | 0o700, filepath.Dir(dir): fs.ModeDir | 0o700, files(t, dir)[0]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %s, error %v, want %s", path, info.Mode(), err, want)
		}
	}
	if found, _ := read(t, deadletter.NewFiles(dir, "other"), time.Time{}); len(found) > 0 {
		t.Errorf("%d letters of another stream", len(found))
	}
	if found, _ := read(t, deadletter.NewFiles(filepath.Join(dir, "none"), "events"), time.Time{}); len(found) > 0 {
		t.Errorf("%d letters of no folder", len(found))
	}
}

// Files end at their size and age, and a letter written again, by whatever
// process, is given out once: the first time. Another sink's is another letter.
func TestFolderRotatesAndRepeats(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := deadletter.FolderOptions{FileBytes: 4 << 10, FileAge: time.Hour, Clock: func() time.Time { return now }}
	for range 2 {
		f := open(t, dir, o)
		for i := range 20 {
			now = now.Add(time.Second)
			a, b := letter(int64(i), make([]byte, 500)), letter(int64(i), make([]byte, 500))
			b.Sink = "other@db"
			if err := f.Write(t.Context(), []lane.Letter{a, b}); err != nil {
				t.Fatal(err)
			}
		}
		n := len(files(t, dir))
		now = now.Add(2 * time.Hour)
		if err := f.Write(t.Context(), []lane.Letter{letter(100, nil)}); err != nil {
			t.Fatal(err)
		}
		if got := len(files(t, dir)); got != n+1 {
			t.Errorf("%d files, want one more than %d for the next day", got, n)
		}
	}
	if n := len(files(t, dir)); n < 15 {
		t.Errorf("%d files of 4 KiB for 80 letters of 800 bytes", n)
	}
	for _, path := range files(t, dir) {
		if info, err := os.Stat(path); err != nil || info.Size() > 4<<10 {
			t.Errorf("%s: %d bytes, %v", path, info.Size(), err)
		}
	}
	found, how := read(t, deadletter.NewFiles(dir, "events"), time.Time{})
	if len(found) != 41 || how.Repeats != 41 {
		t.Errorf("%d letters and %d repeats, want 41 and 41", len(found), how.Repeats)
	}
	found, _ = read(t, deadletter.NewFiles(dir, "events"), now)
	if len(found) != 1 || found[0].Offset != 100 {
		t.Errorf("since the last: %v", lettersOf(found))
	}
}

// A letter larger than a file goes alone, whole.
func TestFolderTakesAGiant(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, deadletter.FolderOptions{FileBytes: 1 << 10})
	if err := f.Write(t.Context(), []lane.Letter{letter(0, nil), letter(1, make([]byte, 1<<20)), letter(2, nil)}); err != nil {
		t.Fatal(err)
	}
	if n := len(files(t, dir)); n != 3 {
		t.Errorf("%d files, want 3", n)
	}
	if found, _ := read(t, deadletter.NewFiles(dir, "events"), time.Time{}); len(found) != 3 || len(found[1].Value) != 1<<20 {
		t.Errorf("%d letters", len(found))
	}
}

// badDisk makes files whose calls fail at random, after having done a part of
// what they were asked for; what was not synced when power is cut is lost, or
// torn.
type badDisk struct {
	random *rand.Rand
	share  float64 // of the calls that fail
	opened []*badFile
}

type badFile struct {
	*os.File
	disk   *badDisk
	synced int64
	failed bool // a sync has: nothing is promised any more
}

func (d *badDisk) create(path string) (deadletter.File, error) {
	if d.fails() && d.random.IntN(2) == 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOSPC}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	b := &badFile{File: f, disk: d}
	d.opened = append(d.opened, b)
	return b, nil
}

func (d *badDisk) fails() bool { return d.random.Float64() < d.share }

func (f *badFile) Write(b []byte) (int, error) {
	if f.disk.fails() {
		n, _ := f.File.Write(b[:f.disk.random.IntN(len(b))])
		return n, syscall.ENOSPC
	}
	return f.File.Write(b)
}

func (f *badFile) Sync() error {
	if f.disk.fails() {
		f.failed = true
		return syscall.EIO
	}
	if f.failed { // as Linux does: the second fsync knows of nothing
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	f.synced = info.Size()
	return nil
}

func (f *badFile) Truncate(size int64) error {
	if f.disk.fails() {
		return syscall.EIO
	}
	f.synced = min(f.synced, size)
	return f.File.Truncate(size)
}

// cut is the power cut: what was not synced is cut off somewhere, or zeroes.
func (d *badDisk) cut(t *testing.T) {
	t.Helper()
	for _, f := range d.opened {
		info, err := os.Stat(f.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed by the folder, when it was empty
		}
		if err != nil {
			t.Fatal(err)
		}
		lost := info.Size() - f.synced
		keep := f.synced
		if lost > 0 {
			keep += d.random.Int64N(lost + 1)
		}
		if err := os.Truncate(f.Name(), keep); err != nil {
			t.Fatal(err)
		}
		if d.random.IntN(2) == 0 {
			if err := os.Truncate(f.Name(), info.Size()); err != nil { // comes back as zeroes
				t.Fatal(err)
			}
		}
	}
	d.opened = nil
}

// Whatever a disk does, a letter that was acknowledged is there after a power
// cut, once, and whole.
func TestFolderKeepsWhatItPromised(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for round := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, round))
		dir := t.TempDir()
		disk := &badDisk{random: random, share: 0.15}
		promised, next := map[int64]int{}, int64(0)
		failures := 0
		for range 5 { // processes
			f, err := deadletter.OpenFolder(dir, "events", deadletter.FolderOptions{FileBytes: 2 << 10, Create: disk.create})
			if err != nil {
				t.Fatal(err)
			}
			for range 30 {
				var batch []lane.Letter
				for range 1 + random.IntN(4) {
					batch = append(batch, letter(next, make([]byte, random.IntN(1000))))
					next++
				}
				if f.Write(t.Context(), batch) != nil {
					failures++
					continue // and never again: then it need not be there
				}
				for _, l := range batch {
					promised[l.Offset] = len(l.Value)
				}
			}
			disk.cut(t)
		}
		found, _ := read(t, deadletter.NewFiles(dir, "events"), time.Time{})
		for _, l := range found {
			if n, ok := promised[l.Offset]; ok && n == len(l.Value) {
				delete(promised, l.Offset)
			}
		}
		if len(promised) > 0 {
			t.Fatalf("seed %d round %d: %d letters of %d were acknowledged and are gone", seed, round, len(promised), next)
		}
		if failures == 0 {
			t.Fatalf("seed %d round %d: nothing failed", seed, round)
		}
	}
}

// A full disk is an error each time, leaves no litter, and the letters are
// there once it is mended. The error names the folder and no content.
func TestFolderOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	disk := &badDisk{random: rand.New(rand.NewPCG(1, 2))}
	f := open(t, dir, deadletter.FolderOptions{Create: disk.create})
	if err := f.Write(t.Context(), []lane.Letter{letter(0, []byte("hunter2"))}); err != nil {
		t.Fatal(err)
	}
	disk.share = 1
	for range 20 {
		err := f.Write(t.Context(), []lane.Letter{letter(1, []byte("hunter2"))})
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "hunter2") {
			t.Fatalf("error %v", err)
		}
		disk.share = 0.9
	}
	disk.share = 0
	if err := f.Write(t.Context(), []lane.Letter{letter(1, []byte("hunter2"))}); err != nil {
		t.Fatal(err)
	}
	found, _ := read(t, deadletter.NewFiles(dir, "events"), time.Time{})
	if len(found) != 2 {
		t.Errorf("%d letters, want 2", len(found))
	}
}

// Files may be moved away or removed while somebody reads.
func TestFilesMayGoWhileTheyAreRead(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, deadletter.FolderOptions{FileBytes: 1})
	for i := range int64(3) {
		if err := f.Write(t.Context(), []lane.Letter{letter(i, nil)}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	_, err := deadletter.NewFiles(dir, "events").Each(t.Context(), time.Time{}, func(deadletter.Found) error {
		n++
		return os.Remove(files(t, dir)[1]) // as somebody may who clears the folder
	})
	if err != nil || n != 2 {
		t.Errorf("%d letters, %v", n, err)
	}
}

// A file that is taken away while it is written to is noticed before the
// letters in it are acknowledged.
func TestFolderNoticesARemovedFile(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, deadletter.FolderOptions{})
	if err := f.Write(t.Context(), []lane.Letter{letter(0, nil)}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(files(t, dir)[0]); err != nil {
		t.Fatal(err)
	}
	err := f.Write(t.Context(), []lane.Letter{letter(1, nil)})
	if err == nil || !strings.Contains(err.Error(), "was removed") {
		t.Fatalf("error %v", err)
	}
	if err := f.Write(t.Context(), []lane.Letter{letter(1, nil)}); err != nil {
		t.Fatal(err)
	}
	if found, _ := read(t, deadletter.NewFiles(dir, "events"), time.Time{}); len(found) != 1 || found[0].Offset != 1 {
		t.Errorf("%v", lettersOf(found))
	}
}

// Lines that are no letters are counted, and what comes after them is read.
func TestFilesPassOverWhatIsNoLetter(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, deadletter.FolderOptions{})
	if err := f.Write(t.Context(), []lane.Letter{letter(0, nil)}); err != nil {
		t.Fatal(err)
	}
	path := files(t, dir)[0]
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second := strings.Replace(string(good), `"offset":0`, `"offset":1`, 1)
	if err := os.WriteFile(path, []byte("{}\n\x00\x00\x00\n"+string(good)+`{"sink":`+"\n"+second+string(good[:40])), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"events-20260101T000000.000000Z-0011.jsonl", "events.jsonl", "events-x-20260101T000000.000000Z-00112233.jsonl"} {
		if err := os.WriteFile(filepath.Join(dir, other), good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, how := read(t, deadletter.NewFiles(dir, "events"), time.Time{})
	if len(found) != 2 || how.Unreadable != 4 || how.Repeats != 0 {
		t.Errorf("%d letters, %+v; want 2 letters and 4 unreadable", len(found), how)
	}
}

// Lanes write at once, and a lane that is told to stop does not wait for the
// others.
func TestFolderIsShared(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, deadletter.FolderOptions{FileBytes: 8 << 10})
	var all sync.WaitGroup
	for p := range int32(8) {
		all.Go(func() {
			for i := range 20 {
				l := letter(int64(i), make([]byte, 100))
				l.Partition = p
				if err := f.Write(t.Context(), []lane.Letter{l}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	found, how := read(t, deadletter.NewFiles(dir, "events"), time.Time{})
	if len(found) != 160 || how != (deadletter.Reading{}) {
		t.Errorf("%d letters, %+v", len(found), how)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Write(stopped, []lane.Letter{letter(0, nil)}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestOpenFolderSaysWhatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := deadletter.OpenFolder(path, "events", deadletter.FolderOptions{})
	if want := fmt.Sprintf("dead letters: open %s: not a folder", path); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
