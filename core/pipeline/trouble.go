package pipeline

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/telemetry"
)

// trouble is why reading is held up, as those who look at a lane see it. It is
// nobody's fault there, and ends by itself.
type trouble struct {
	state telemetry.State
	text  string
}

// waitingFor says what an error of reading waits for; Retrying if for nothing
// of its own.
func waitingFor(err error) telemetry.State {
	switch {
	case errors.As(err, new(*decode.UnknownIDError)):
		return telemetry.NoSchema
	case errors.As(err, new(*decode.RegistryError)):
		return telemetry.NoRegistry
	case errors.As(err, new(*brokerError)):
		return telemetry.NoBroker
	}
	return telemetry.Retrying
}

// newTrouble words an error that has come back. The text stays the same while it
// lasts, so that it can be seen since when.
func newTrouble(err error, since time.Time) *trouble {
	t := &trouble{state: waitingFor(err)}
	at := since.UTC().Format("2006-01-02T15:04:05Z")
	var unknown *decode.UnknownIDError
	switch t.state {
	case telemetry.NoSchema:
		errors.As(err, &unknown)
		t.text = fmt.Sprintf("waiting since %s for schema id %d to be registered; without it the record is bad once it is older than the registry's grace", at, unknown.ID)
	case telemetry.NoRegistry:
		t.text = fmt.Sprintf("the schema registry has given no answer of use since %s: %s", at, err)
	case telemetry.NoBroker:
		t.text = fmt.Sprintf("nothing can be read from Kafka since %s: %s", at, err)
	default:
		t.text = fmt.Sprintf("reading is held up since %s: %s", at, err)
	}
	return t
}

// heldUp marks an error of a lane that reads for itself.
func heldUp(err error) error {
	if state := waitingFor(err); state != telemetry.Retrying {
		return &lane.WaitError{State: state, Err: err}
	}
	return err
}

// show makes a lane's state that of what it waits for; nil: for records alone.
func (f *feed) show(t *trouble) {
	switch {
	case t != nil:
		f.meter.SetState(t.state, t.text)
	case f.shown:
		f.meter.SetState(telemetry.Running, "")
	}
	f.shown = t != nil
}

// troubles is the worst that holds up one of the partitions that are waited for.
func (f *feed) troubles(at, until []int64) *trouble {
	var worst *trouble
	for i := range at {
		if until != nil && at[i] >= until[i] {
			continue
		}
		if t := f.parts[i].troubled(); t != nil && (worst == nil || t.state > worst.state) {
			worst = t
		}
	}
	return worst
}

// troubled is what holds up the shared reader, nil if nothing does.
func (p *partition) troubled() *trouble {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trouble
}

// setTrouble lets the lanes know, which wait for records.
func (p *partition) setTrouble(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil && p.trouble == nil, err != nil && p.trouble != nil && p.trouble.state == waitingFor(err):
		return
	case err == nil:
		p.trouble = nil
	default:
		p.trouble = newTrouble(err, time.Now())
	}
	p.tell()
}
