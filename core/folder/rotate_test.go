package folder_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestRotation renames and creates, three times while running and three times
// while not, with what was written last still unread.
func TestRotation(t *testing.T) {
	b := newBench(t)
	b.o.Follow, b.o.ByTime = true, true
	var got, all []string
	note := func(n int, text string) {
		b.add("app.log", text)
		all = append(all, strings.Split(strings.TrimSuffix(text, "\n"), "\n")...)
		_ = n
	}
	note(0, lines("first", 0, 500))
	l := b.start()
	got = l.until(500) // two new files of one moment are in the order of their names
	for i := range 6 {
		if i%2 == 1 {
			l.stop()
		}
		note(i, lines(fmt.Sprint("before", i), 0, 300))
		for k := 5; k > 0; k-- {
			if _, err := os.Stat(b.path(fmt.Sprint("app.log.", k))); err == nil {
				b.rename(fmt.Sprint("app.log.", k), fmt.Sprint("app.log.", k+1))
			}
		}
		b.rename("app.log", "app.log.1")
		note(i, lines(fmt.Sprint("behind", i), 0, 10))
		if i%2 == 1 {
			at := l.at
			l = b.start()
			l.at = at
		}
		got = append(got, l.until(len(all)-len(got))...)
	}
	if strings.Join(got, "\n") != strings.Join(all, "\n") {
		for i := range min(len(got), len(all)) {
			if got[i] != all[i] {
				t.Errorf("line %d is %q instead of %q", i, got[i], all[i])
				break
			}
		}
		t.Fatalf("%d lines of %d, or in another order", len(got), len(all))
	}
}

// TestRotatedOutOfSight finds the rest of a file whose new name no glob matches.
func TestRotatedOutOfSight(t *testing.T) {
	b := newBench(t)
	b.o.Follow = true
	b.o.Paths = []string{b.path("app.log")}
	b.write("app.log", "one\n")
	l := b.start()
	want(t, l.until(1), "one\n")
	l.stop()
	b.add("app.log", "two\n")
	b.rename("app.log", "app.log-2024")
	b.write("app.log", "three\n")
	at := l.at
	l = b.start()
	l.at = at
	want(t, l.until(2), "two\nthree\n")
}

// TestCopyTruncate rotates by a copy and a truncation: the copy is the file that
// was read, and what is written next is new.
func TestCopyTruncate(t *testing.T) {
	b := newBench(t)
	b.o.Follow = true
	first := lines("first", 0, 1000)
	b.write("app.log", first)
	l := b.start()
	want(t, l.until(1000), first)
	b.write("app.log.1", first[:5000]) // the copy is under way
	time.Sleep(50 * time.Millisecond)
	b.write("app.log.1", first)
	time.Sleep(50 * time.Millisecond)
	if err := os.Truncate(b.path("app.log"), 0); err != nil {
		t.Fatal(err)
	}
	b.add("app.log", "new\n")
	want(t, l.until(1), "new\n")
	l.stop()

	// While nobody looks, and the new content has become longer than the old one.
	b.write("app.log.2", "new\n")
	b.write("app.log", lines("second", 0, 2000))
	at := l.at
	l = b.start()
	l.at = at
	want(t, l.until(2000), lines("second", 0, 2000))
}

// TestCompressedLater reads a file on where it was, when it is compressed.
func TestCompressedLater(t *testing.T) {
	b := newBench(t)
	b.o.Follow = true
	text := lines("x", 0, 3000)
	b.write("a.1", text[:len(text)/2])
	b.write("b.1", "small\n")
	l := b.start()
	n := strings.Count(text[:len(text)/2], "\n")
	got := l.until(n + 1)
	if len(got) != n+1 {
		t.Fatalf("%d lines", len(got))
	}
	at := l.at
	half := gzipped(t, text)
	b.write("a.1.gz", half[:len(half)/2]) // being written, the original is still there
	time.Sleep(50 * time.Millisecond)
	b.write("a.1.gz", half)
	time.Sleep(50 * time.Millisecond)
	b.remove("a.1")
	b.write("b.1.zst", zstandard(t, "small\n"))
	b.remove("b.1")
	rest := text[strings.LastIndexByte(text[:len(text)/2], '\n')+1:]
	want(t, l.until(3000-n), rest)

	// What was read can be read again, out of the compressed file.
	l.at = 0
	again := l.until(3001)
	if len(again) != 3001 {
		t.Fatalf("%d lines when read again", len(again))
	}
	l.at = at
}

// TestInodeUsedAgain does not take a new file for the old one of its inode.
func TestInodeUsedAgain(t *testing.T) {
	b := newBench(t)
	b.write("a", lines("old", 0, 100))
	l := b.start()
	if _, err := l.all(); err != nil {
		t.Fatal(err)
	}
	at := l.at
	l.stop()
	f, err := os.OpenFile(b.path("a"), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(lines("new", 0, 200)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	b.rename("a", "b")
	l = b.start()
	l.at = at
	got, err := l.all()
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, lines("new", 0, 200))
}

// TestHardLinks are one file.
func TestHardLinks(t *testing.T) {
	b := newBench(t)
	b.write("a", "one\n")
	if err := os.Link(b.path("a"), b.path("b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", b.path("c")); err != nil {
		t.Fatal(err)
	}
	l := b.start()
	got, err := l.all()
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, "one\n")
}

// TestSmallGrownCompressed knows a small file again that had grown, unread, before
// it was compressed.
func TestSmallGrownCompressed(t *testing.T) {
	b := newBench(t)
	b.o.Follow = true
	b.write("a", lines("a", 0, 5))
	l := b.start()
	want(t, l.until(5), lines("a", 0, 5))
	l.stop()
	b.write("a.gz", gzipped(t, lines("a", 0, 9)))
	b.remove("a")
	at := l.at
	l = b.start()
	l.at = at
	want(t, l.until(4), lines("a", 5, 4))
}

// TestBothAtOnce reads a file once that is met together with its compressed copy,
// and again out of the copy when the file is gone.
func TestBothAtOnce(t *testing.T) {
	b := newBench(t)
	b.write("a", lines("a", 0, 2000))
	b.write("a.gz", gzipped(t, lines("a", 0, 2000)))
	l := b.start()
	got, err := l.all()
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, lines("a", 0, 2000))
	l.stop()
	b.remove("a")
	for range 2 {
		l = b.start()
		got, err = l.all()
		if err != nil {
			t.Fatal(err)
		}
		want(t, got, lines("a", 0, 2000))
		l.stop()
	}
}
