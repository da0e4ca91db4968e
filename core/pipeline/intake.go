package pipeline

import (
	"context"
	"slices"
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
	filter   *typeFilter // nil: some sink may want any event
	decoders sync.Pool   // of *decode.Decoder
}

func newIntake(events *decode.Stream, wants []record.Want, filter *typeFilter, budget *Budget) (*intake, error) {
	i := &intake{budget: budget, events: events, wants: wants, filter: filter}
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
	d, err := i.events.NewDecoder(i.wants)
	if err != nil || i.filter == nil {
		return d, err
	}
	return d, d.Prefilter(i.filter.path, i.filter.values)
}

// typeFilter is what every sink's where asks for: a text that is one of values.
type typeFilter struct {
	path   record.Path
	values []string
}

// commonFilter is the one of all sinks together; nil if there is a sink that
// may select other events.
func commonFilter(sinks []Sink) *typeFilter {
	var out *typeFilter
	for _, s := range sinks {
		path, values, ok := s.Plan.TypeFilter()
		switch {
		case !ok, out != nil && path.String() != out.path.String():
			return nil
		case out == nil:
			out = &typeFilter{path: path}
		}
		for _, v := range values {
			if !slices.Contains(out.values, v) {
				out.values = append(out.values, v)
			}
		}
	}
	return out
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
