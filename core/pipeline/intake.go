package pipeline

import (
	"context"
	"sync"
	"time"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/record"
)

// intake is what all readers of a stream have in common. Only those that are
// in the middle of an answer hold memory.
type intake struct {
	budget   *Budget
	pool     *pool
	events   *decode.Stream
	wants    []record.Want
	decoders sync.Pool // of *decode.Decoder
}

func newIntake(events *decode.Stream, wants []record.Want, budget *Budget) (*intake, error) {
	i := &intake{budget: budget, events: events, wants: wants}
	d, err := i.decoder()
	if err != nil {
		return nil, err
	}
	i.pool = &pool{schema: d.Schema(), budget: budget}
	i.decoders.Put(d)
	return i, nil
}

// decoder lends one; it is put back into decoders.
func (i *intake) decoder() (*decode.Decoder, error) {
	if d, ok := i.decoders.Get().(*decode.Decoder); ok {
		return d, nil
	}
	return i.events.NewDecoder(i.wants)
}

// idleAfter is how long memory stays with a reader that does not use it.
const idleAfter = 5 * time.Second

// sweep takes back what was not used for a while, until ctx ends.
func (i *intake) sweep(ctx context.Context) {
	tick := time.NewTicker(idleAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			i.budget.reclaim(idle, 1<<62)
		}
	}
}
