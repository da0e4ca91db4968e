package pipeline_test

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/deadletter"
	"github.com/sluicekit/sluice/core/pipeline"
	"github.com/sluicekit/sluice/core/telemetry"
)

// While the disk of the dead letters is full the sink waits, says so, and no
// position passes a record whose letter is not written; then it goes on.
func TestAFullDiskOfDeadLetters(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	dir := t.TempDir()
	var full atomic.Bool
	full.Store(true)
	folder, err := deadletter.OpenFolder(dir, "test", deadletter.FolderOptions{Create: func(path string) (deadletter.File, error) {
		if full.Load() {
			return nil, syscall.ENOSPC
		}
		return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.grave = folder
	b.produce(0, 10, 1)
	b.raw("no event")
	b.produce(10, 20, 1)
	k := b.sink("clicks", s, ofClicks)
	stop, m := b.run([]pipeline.Sink{k}, 0)
	if reason := b.inState(m, telemetry.Retrying); !strings.Contains(reason, "no space left on device") || !strings.Contains(reason, dir) {
		t.Errorf("reason %q", reason)
	}
	for _, mark := range m.Snapshot().Lanes[0].Marks {
		if mark.Position > 10 {
			t.Errorf("position %d has passed the bad record at 10, whose letter is not written", mark.Position)
		}
	}
	stop() // and a start is the same again
	stop, m = b.run([]pipeline.Sink{k}, 0)
	b.inState(m, telemetry.Retrying)
	full.Store(false)
	b.wait("10 rows", func() bool { return len(s.all()) == 10 })
	b.wait("rest", func() bool { return m.Snapshot().Lanes[0].AtRest() && m.Snapshot().Lanes[0].State == telemetry.Running })
	stop()
	if err := folder.Close(); err != nil {
		t.Error(err)
	}
	n := 0
	_, err = deadletter.NewFiles(dir, "test").Each(t.Context(), time.Time{}, func(f deadletter.Found) error {
		if n++; f.Offset != 10 || string(f.Value) != "no event" || f.Sink != "clicks@shelf" || f.Incarnation == "" {
			return errors.New("another letter: " + f.Reason)
		}
		return nil
	})
	if err != nil || n != 1 {
		t.Errorf("%d letters, %v; want that of offset 10", n, err)
	}
}
