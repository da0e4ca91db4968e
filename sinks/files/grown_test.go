package files_test

import "testing"

// A cut that was pending while its slot grew is repeated over the partitions
// that it had, and writes the same file (I3).
func TestAPendingCutOfAGrownSlot(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "archive")
	c := cut("events", 2, 0, 10)
	for _, partitions := range []int{1, 2} {
		w, _ := claim(t, s, slot("events", 2, partitions))
		write(t, w, c)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	same(t, dir, lines(2, 0, 10))
	if got := visible(t, dir); len(got) != 1 {
		t.Errorf("got %d files, want one", len(got))
	}
}
