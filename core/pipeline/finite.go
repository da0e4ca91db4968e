package pipeline

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/telemetry"
)

// lookForEnd is how often a stream that can end is asked whether it has.
const lookForEnd = 50 * time.Millisecond

// ending ticks where the stream can end.
func (h *holding) ending() (tick <-chan time.Time, stop func()) {
	if _, ok := h.origin.(finite); !ok {
		return nil, func() {}
	}
	t := time.NewTicker(lookForEnd)
	return t.C, t.Stop
}

// complete says that nothing will come any more and every lane is through with
// what there was, or has stopped for a person, whom nothing here waits for.
func (h *holding) complete() bool {
	ends, err := h.origin.(finite).complete()
	if ends == nil {
		return false
	}
	errs := []error{err}
	if h.missing() {
		return false
	}
	for _, s := range h.slots {
		for n := range h.o.Sinks {
			k := h.o.Sinks[n]
			e, ok := h.writer.Entry(s.slot, h.ids[n])
			through := ok && e.Pending == nil
			for p := range e.Position {
				through = through && e.Position[p] >= ends[int(s.first)+p]
			}
			if through {
				continue
			}
			state, reason, _ := h.meter(s, n).State()
			if state != telemetry.Stopped {
				return false
			}
			errs = append(errs, fmt.Errorf("sink %s stopped: %s", k.Config.ID(), reason))
		}
	}
	h.finished, h.failure = true, errors.Join(errs...)
	if h.failure != nil {
		h.log.Warn("nothing more to read; not all was read, or written", "stopped_sinks", len(errs)-1)
		return true
	}
	h.log.Info("all is read and written")
	return true
}

// through says that a lane has read all that there will be.
func (f *feed) through(at []int64) error {
	end, ok := f.origin.(finite)
	if !ok {
		return nil
	}
	ends, _ := end.complete()
	if ends == nil {
		return nil
	}
	for i, o := range at {
		if o < ends[int(f.first)+i] {
			return nil
		}
	}
	return lane.ErrComplete
}

// again is when to look for the end, where there may be one.
func (f *feed) again() <-chan time.Time {
	if _, ok := f.origin.(finite); !ok {
		return nil
	}
	return time.After(lookForEnd)
}
