package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/files"
)

func TestNamesTellTheBatch(t *testing.T) {
	dir := t.TempDir()
	w, _ := claim(t, open(t, dir, "clicks"), slot("ad-events", 3, 1))
	write(t, w, cut("ad-events", 3, 1200, 1800))
	want := regexp.MustCompile(`^clicks/ad-events/3/ad-events-3-00000000000000001200-00000000000000001800-[0-9a-f]{16}-[0-9a-f]{16}\.jsonl\.zst$`)
	for name := range visible(t, dir) {
		if !want.MatchString(name) {
			t.Errorf("name %s, want %s", name, want)
		}
	}
}

// TestSlotOfSeveralPartitions has batches that differ only in the ranges of
// later partitions, of which the name shows a hash.
func TestSlotOfSeveralPartitions(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "clicks")
	w, found := claim(t, s, slot("events", 4, 3))
	if len(found.High) != 3 || found.High[2] != -1 {
		t.Fatalf("found %+v", found)
	}
	write(t, w, cut("events", 4, 0, 0, 0, 10, 0, 5))
	write(t, w, cut("events", 4, 0, 0, 10, 20, 5, 5))
	write(t, w, cut("events", 4, 0, 0, 20, 20, 5, 9))
	write(t, w, cut("events", 4, 0, 7, 20, 21, 9, 9))
	all := visible(t, dir)
	if len(all) != 4 {
		t.Fatalf("files %v, want 4", all)
	}
	rows := map[string]int{}
	for name, text := range all {
		if !strings.Contains(name, "/events-4+3-") {
			t.Errorf("name %s does not show the slot", name)
		}
		for _, line := range strings.SplitAfter(text, "\n") {
			rows[line]++
		}
	}
	delete(rows, "")
	for _, want := range strings.SplitAfter(lines(4, 0, 7)+lines(5, 0, 21)+lines(6, 0, 9), "\n") {
		if want != "" && rows[want] != 1 {
			t.Errorf("row %q is there %d times", want, rows[want])
		}
	}
	if _, found := claim(t, s, slot("events", 4, 3)); found.High[0] != 7 || found.High[1] != -1 {
		t.Errorf("found %+v, want offset 7 and no more", found)
	}
	// The same partitions in slots of one each.
	if _, found := claim(t, s, slot("events", 4, 1)); found.High[0] != 7 {
		t.Errorf("found %+v, want offset 7", found)
	}
	if _, err := w.Stage(t.Context(), cut("events", 5, 7, 8)); err == nil {
		t.Error("a batch of another slot was taken")
	}
	if err := w.Commit(t.Context(), cut("other", 4, 7, 8, 21, 21, 9, 9), ""); err == nil {
		t.Error("a batch of another topic was taken")
	}
}

func TestSinksShareAFolder(t *testing.T) {
	dir := t.TempDir()
	flat := func(o *files.Options) { o.Folder = "." }
	a, b := open(t, dir, "clicks", flat), open(t, dir, "views", flat)
	c := cut("events", 0, 0, 10)
	wa, _ := claim(t, a, slot("events", 0, 1))
	write(t, wa, c)
	wb, found := claim(t, b, slot("events", 0, 1))
	if found.State != sink.Empty || found.High[0] != -1 || found.OtherIncarnation != "" {
		t.Errorf("the other sink's files are taken for its own: %+v", found)
	}
	write(t, wb, c)
	if n := len(visible(t, dir)); n != 2 {
		t.Errorf("%d files, want one of each sink", n)
	}
	w, found := claim(t, a, slot("events-0", 0, 1)) // whose names begin as the others do
	if found.High[0] != -1 || found.State != sink.Has {
		t.Errorf("another topic's files are taken for its own: %+v", found)
	}
	write(t, w, cut("events-0", 0, 50, 60))
	if _, found := claim(t, a, slot("events", 0, 1)); found.High[0] != 10 {
		t.Errorf("found %+v, want offset 10", found)
	}
}

func TestOtherIncarnation(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "clicks")
	w, _ := claim(t, s, slot("events", 0, 1))
	c := cut("events", 0, 0, 10)
	write(t, w, c)
	again := slot("events", 7, 1) // a slot that has written nothing yet
	again.Incarnation = "cluster/two"
	w, found := claim(t, s, again)
	if found.OtherIncarnation != "cluster/one" || found.State != sink.Has || found.High[0] != -1 {
		t.Errorf("found %+v, want incarnation cluster/one", found)
	}
	write(t, w, cut("events", 7, 0, 10))
	again.Partition = 0
	w, _ = claim(t, s, again)
	write(t, w, c) // equal offsets of another topic
	if n := len(visible(t, dir)); n != 3 {
		t.Errorf("%d files, want 3: equal offsets of two incarnations are two batches", n)
	}
	if err := os.RemoveAll(filepath.Join(dir, "_sluice", "marks")); err != nil {
		t.Fatal(err)
	}
	_, found = claim(t, open(t, dir, "clicks"), slot("events", 0, 1))
	if found.OtherIncarnation == "" || found.State != sink.Has || found.High[0] != 10 {
		t.Errorf("without marks: found %+v, want the other incarnation from the names", found)
	}
}

// TestMarksOutliveFiles moves finished files away, as an archive does.
func TestMarksOutliveFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "clicks")
	w, _ := claim(t, s, slot("events", 0, 1))
	write(t, w, cut("events", 0, 0, 10))
	if err := os.RemoveAll(filepath.Join(dir, "clicks")); err != nil {
		t.Fatal(err)
	}
	w, found := claim(t, s, slot("events", 0, 1))
	if found.State != sink.Has {
		t.Errorf("found %+v, want a mark", found)
	}
	write(t, w, cut("events", 0, 10, 20))
	same(t, dir, lines(0, 10, 20))
}

// TestBatchWithoutRows leaves no file, but a mark: after it the sink is not new.
func TestBatchWithoutRows(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "clicks")
	w, _ := claim(t, s, slot("events", 0, 1))
	c := cut("events", 0, 0, 10)
	if _, err := w.Stage(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), c, ""); err != nil {
		t.Fatal(err)
	}
	if all := visible(t, dir); len(all) != 0 {
		t.Errorf("files %v, want none", all)
	}
	if _, found := claim(t, s, slot("events", 0, 1)); found.State != sink.Has || found.High[0] != -1 {
		t.Errorf("found %+v, want a mark without an offset", found)
	}
}

// TestCompressionChangedInBetween repeats a batch under another extension.
func TestCompressionChangedInBetween(t *testing.T) {
	dir := t.TempDir()
	c := cut("events", 0, 0, 10)
	for _, compression := range []string{"zstd", "none", "zstd"} {
		s := open(t, dir, "clicks", func(o *files.Options) { o.Compression = compression })
		w, _ := claim(t, s, slot("events", 0, 1))
		write(t, w, c)
		same(t, dir, lines(0, 0, 10))
	}
}

func TestFolderChangedIsRefused(t *testing.T) {
	dir := t.TempDir()
	w, _ := claim(t, open(t, dir, "clicks"), slot("events", 0, 1))
	write(t, w, cut("events", 0, 0, 10))
	s := open(t, dir, "clicks", func(o *files.Options) { o.Folder = "{topic}" })
	_, _, err := s.Claim(t.Context(), slot("events", 0, 1))
	if !sink.IsPermanent(err) || !strings.Contains(err.Error(), "{sink}/{topic}/{partition}") {
		t.Errorf("got %v, want a permanent error that names the old folder", err)
	}
	if _, _, err := open(t, dir, "views", func(o *files.Options) { o.Folder = "{topic}" }).Claim(t.Context(), slot("events", 0, 1)); err != nil {
		t.Errorf("another sink: %v", err)
	}
}

// TestNamesLeadNowhere uses names of topics and sinks as an attacker or an
// accident would choose them.
func TestNamesLeadNowhere(t *testing.T) {
	corpus := []string{
		"..", ".", "../..", "../../etc/passwd", "/etc/passwd", "a/../../b", `..\..\b`, "%2e%2e%2f", "%2e%2e", "a\x00b", "a\nb", "_sluice", "_sluice/marks",
		".hidden", "~", "~root", "$(touch x)", "`touch x`", "a b", "ünïcode", "\u202e", "", "-rf", "a-0-00000000000000000000", "con", "a.jsonl.zst",
		strings.Repeat("a", 249), strings.Repeat("é", 500), strings.Repeat("../", 300), strings.Repeat("a", 248) + "b",
		strings.Repeat(".", 249), "…", "．．／", "a:b", "a*?[]", "{topic}", "{partition}",
	}
	above := t.TempDir()
	dir := filepath.Join(above, "root")
	n := 0
	for _, folder := range []string{"{sink}/{topic}/{partition}", ".", "x={topic}+{sink}"} {
		for i, name := range corpus {
			names := [2]string{name, corpus[(i+1)%len(corpus)]}
			s := open(t, dir, fmt.Sprintf("%s-%s", folder, names[1]), func(o *files.Options) { o.Folder = folder })
			w, found := claim(t, s, slot(names[0], 0, 1))
			if found.State != sink.Empty || found.High[0] != -1 {
				t.Errorf("topic %q: found %+v of somebody else", name, found)
			}
			write(t, w, cut(names[0], 0, 5, 10))
			if _, found := claim(t, s, slot(names[0], 0, 1)); found.High[0] != 10 {
				t.Errorf("topic %q: found %+v, want offset 10", name, found)
			}
			n++
		}
	}
	if _, err := tryOpen(dir, "\xff\xfe"); err == nil {
		t.Error("a sink whose name is not UTF-8 was opened")
	}
	if _, _, err := open(t, dir, "x").Claim(t.Context(), slot("\xff\xfe", 0, 1)); err == nil {
		t.Error("a topic that is not UTF-8 was claimed")
	}
	all := visible(t, dir)
	if len(all) != n {
		t.Errorf("%d files, want %d", len(all), n)
	}
	outside, err := os.ReadDir(above)
	if err != nil || len(outside) != 1 {
		t.Errorf("outside of the root: %v, %v", outside, err)
	}
	for name := range all {
		for _, element := range strings.Split(name, "/") {
			if len(element) > 255 || element[0] == '.' || element[0] == '_' || strings.ContainsAny(element, " \\\n\x00$`*?:") {
				t.Errorf("element %q of %s is not harmless", element, name)
			}
		}
	}
}

// TestLinksLeadNowhere has a link in the root that leads out of it.
func TestLinksLeadNowhere(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "clicks")); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, "clicks")
	w, _, err := s.Claim(t.Context(), slot("events", 0, 1))
	if err == nil {
		c := cut("events", 0, 0, 10)
		if err = stage(w, c); err == nil {
			err = w.Commit(t.Context(), c, "")
		}
	}
	if err == nil {
		t.Error("a link out of the root was followed")
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 0 {
		t.Errorf("outside: %v, %v", entries, err)
	}
}

// TestForeignFilesAreNotOurs has names in the folder that only look alike.
func TestForeignFilesAreNotOurs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "clicks")
	w, _ := claim(t, s, slot("events", 0, 1))
	write(t, w, cut("events", 0, 0, 10))
	var own string
	for own = range visible(t, dir) {
		break
	}
	for _, name := range []string{
		strings.Replace(own, "00000000000000000010", "00000000000000009999", 1) + ".bak",
		strings.Replace(own, "00000000000000000010", "9999", 1),
		strings.Replace(own, "00000000000000000010", "0000000000000000999x", 1),
		strings.Replace(own, "00000000000000000010", "99999999999999999999", 1),
		strings.Replace(own, "events-0-", "events-0+2-", 1),
		strings.Replace(own, "events-0-", "events-x-", 1),
		strings.Replace(own, "events-0-", "", 1),
		filepath.Join(filepath.Dir(own), "-.jsonl"), filepath.Join(filepath.Dir(own), "-----.jsonl.zst"), filepath.Join(filepath.Dir(own), "README"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, found := claim(t, s, slot("events", 0, 1)); found.High[0] != 10 || found.OtherIncarnation != "" {
		t.Errorf("found %+v, want offset 10 only", found)
	}
}

// TestManyFiles lists a slot's folder of 10,000 files.
func TestManyFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "clicks")
	w, _ := claim(t, s, slot("events", 0, 1))
	write(t, w, cut("events", 0, 0, 10))
	var own string
	for own = range visible(t, dir) {
		break
	}
	for i := range 10_000 {
		name := strings.NewReplacer("00000000000000000000", fmt.Sprintf("%020d", i*10), "00000000000000000010", fmt.Sprintf("%020d", i*10+10)).Replace(own)
		f, err := os.Create(filepath.Join(dir, name)) //nolint:gosec // the test's own folder
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	_, found := claim(t, s, slot("events", 0, 1))
	t.Logf("claim with 10,000 files: %s", time.Since(begin))
	if found.High[0] != 100_000 {
		t.Errorf("found %+v, want offset 100000", found)
	}
	if d := time.Since(begin); d > 30*time.Second {
		t.Errorf("a claim took %s", d)
	}
}
