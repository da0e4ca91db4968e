package folder_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sluicekit/sluice/core/folder"
)

// TestAllOnce reads plain and compressed files to their end, once, and nothing
// of them again.
func TestAllOnce(t *testing.T) {
	b := newBench(t)
	b.write("a", lines("a", 0, 5000)+"no end")
	b.write("b", gzipped(t, lines("b", 0, 5000)))
	b.write("c", zstandard(t, lines("c", 0, 5000)))
	b.write("d", "\xef\xbb\xbfone\r\n\r\n\ntwo\r\n")
	b.write("e", "")
	l := b.start()
	got, err := l.all()
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, lines("a", 0, 5000)+"no end\n"+lines("b", 0, 5000)+lines("c", 0, 5000)+"one\ntwo\n")
	at := l.at
	l.stop()
	b.write("e", "later\n")
	l = b.start()
	l.at = at
	got, err = l.all()
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, "later\n")
}

// TestEveryPosition starts at every offset: from each one, exactly the lines
// that start there or behind it are read.
func TestEveryPosition(t *testing.T) {
	text := "first\n\nx\r\nthird line\nlast"
	for name, pack := range map[string]func(*testing.T, string) string{
		"plain": func(_ *testing.T, s string) string { return s }, "gzip": gzipped, "zstd": zstandard,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.write("a", pack(t, text))
			b.write("b", pack(t, "of b\n"))
			l := b.start()
			if _, err := l.all(); err != nil {
				t.Fatal(err)
			}
			end := l.at
			for at := range end + 1 {
				l.c.Close()
				l.at = at
				got, err := l.all()
				if err != nil {
					t.Fatalf("from %d: %v", at, err)
				}
				var expect strings.Builder
				whole, pos := text+"\n", int64(0)
				for line := range strings.SplitSeq(strings.TrimSuffix(whole, "\n"), "\n") {
					if s := strings.TrimRight(line, "\r"); pos >= at && s != "" {
						expect.WriteString(s + "\n")
					}
					pos += int64(len(line)) + 1
				}
				if at <= int64(len(text)) {
					expect.WriteString("of b\n")
				}
				want(t, got, expect.String())
			}
		})
	}
}

// TestHalfLineWaits never gives a part of a line, and gives it when its end has
// come, or its time.
func TestHalfLineWaits(t *testing.T) {
	b := newBench(t)
	b.o.Follow = true
	b.write("a", "one\ntw")
	l := b.start()
	want(t, l.until(1), "one\n")
	b.add("a", "o")
	want(t, l.until(0), "")
	b.add("a", "\nthree\nfo")
	want(t, l.until(2), "two\nthree\n")
	l.stop()
	at := l.at

	b.o.LastLine = 200e6
	l = b.start()
	l.at = at
	want(t, l.until(1), "fo\n")
	b.add("a", "ur\n")
	want(t, l.until(1), "ur\n") // documented: it counted as a line
}

// TestLongLines cuts a line that is too long to be read, so that the decoder
// finds it too long, and goes on behind it.
func TestLongLines(t *testing.T) {
	b := newBench(t)
	b.o.MaxLine = 300 << 10
	b.write("a", "one\n"+strings.Repeat("x", 3<<20)+"\ntwo\n"+strings.Repeat("y", 300<<10)+"\nthree\n")
	l := b.start()
	got, err := l.all()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 5 || got[0] != "one" || len(got[1]) != 300<<10+1 || got[2] != "two" || len(got[3]) != 300<<10 || got[4] != "three" {
		t.Fatalf("got %d lines", len(got))
	}
}

// TestRefused names files that cannot be read, after all others are.
func TestRefused(t *testing.T) {
	b := newBench(t)
	b.write("a", "one\n")
	b.write("b.gz", gzipped(t, lines("b", 0, 5000))[:2000])
	b.write("c.zst", zstandard(t, lines("c", 0, 5000))[:2000])
	b.write("d.gz", "\x1f\x8bnot really")
	b.write("z", "two\n")
	if err := syscall.Mkfifo(b.path("fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", b.path("loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(b.path("dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.o.Paths = append(b.o.Paths, b.path("dir"), b.path("none"))
	l := b.start()
	got, err := l.all()
	want(t, got, "one\ntwo\n")
	if err == nil {
		t.Fatal("nothing is said")
	}
	for _, text := range []string{
		"b.gz: the compressed file ends within its data", "c.zst: the compressed file ends within its data", "d.gz: ", "fifo is a FIFO",
		"loop: too many", "dir is a folder", "none: no such file",
	} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in: %v", text, err)
		}
	}
	l.stop()

	// Made whole, they are read.
	b.write("b.gz", gzipped(t, lines("b", 0, 50)))
	at := l.at
	l = b.start()
	l.at = at
	got, _ = l.all()
	want(t, got, lines("b", 0, 50))
}

// TestUnreadableFolder is said: a glob must not be silent about what it cannot see.
func TestUnreadableFolder(t *testing.T) {
	b := newBench(t)
	if err := os.Symlink("round", b.path("round")); err != nil {
		t.Fatal(err)
	}
	b.o.Paths = []string{filepath.Join(b.path("round"), "*")}
	l := b.start()
	if _, err := l.all(); err == nil || !strings.Contains(err.Error(), "round") {
		t.Fatalf("the error is %v", err)
	}
}

// TestGone tells what was removed before it was read, and where the next record is.
func TestGone(t *testing.T) {
	b := newBench(t)
	b.write("a", "one\n")
	b.write("b", "two\nthree\n")
	b.write("c", "four\n")
	l := b.start()
	got, err := l.all()
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, "one\ntwo\nthree\nfour\n")
	l.stop()
	b.remove("b")
	l = b.start()
	got, err = l.all()
	want(t, got, "one\n")
	var gone *folder.GoneError
	if !errors.As(err, &gone) || gone.First != 4 || gone.Next != 14 || !strings.HasSuffix(gone.File, "/b") || gone.Byte != 0 {
		t.Fatalf("the error is %#v", err)
	}
	l.at = gone.Next
	got, err = l.all()
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, "four\n")
	l.at += 5
	if _, err := l.read(); !errors.As(err, new(*folder.BeyondError)) {
		t.Fatalf("behind the end: %v", err)
	}
}
