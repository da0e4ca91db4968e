package peek

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/source"
)

// Options say what to look at.
type Options struct {
	Origin     Origin
	Topics     []string
	Partitions []int32 // of each topic; none: all
	Events     *decode.Stream
	Plan       *plan.Plan
	Tail       int // show the last so many of what is there, instead of beginning at From; 0: begin at From
	From       From
	Limit      int  // of rows and rejected records together (of records where the plan has an aggregate); 0: none
	Follow     bool // do not end where the partitions end now

	Show func(Record) error // a record that where selects; not called where the plan has an aggregate
	// Groups is given the groups of all that was read, once at the end. Only a
	// plan with an aggregate calls it, and shows rejected records by Show.
	Groups   func(rows *record.Chunk) error
	Progress func(Totals) // after each round of fetches; nil: nobody asks
	Warn     func(error)  // what is odd and not in the way; nil: nobody asks
}

// From is where to begin in each partition. Of the three the first that is set counts.
type From struct {
	Last     int64           // so many offsets before the end
	Offset   *int64          // at this offset
	Position source.Position // source.Earliest, source.Latest or source.AtTime
}

// Record is one record: row Row of Rows, or, where Reason is not empty,
// one that the plan cannot make a row of.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Time      time.Time // the record's timestamp in Kafka, UTC
	Rows      *record.Chunk
	Row       int
	Reason    string // names field and cause, never the value
}

// Totals counts records. Read = Rows + Rejected + Filtered + what is not yet shown.
type Totals struct {
	Read, Rows, Rejected, Filtered int64
}

// Run reads until the partitions' present ends, the limit, or the end of ctx,
// which is no error.
func Run(ctx context.Context, o Options) (Totals, error) {
	l := &look{o: o}
	if o.Plan.Grouped() {
		l.grouper = o.Plan.NewGrouper()
	}
	if o.Tail > 0 {
		if err := l.lookBack(ctx); err != nil || !o.Follow || l.full() {
			return l.totals, l.finish(ended(ctx, err))
		}
	} else if err := l.open(ctx, o.From); err != nil {
		return Totals{}, ended(ctx, err)
	}
	return l.totals, l.finish(l.read(ctx))
}

// read shows what comes until all is shown or ctx ends, which is no error.
func (l *look) read(ctx context.Context) error {
	for {
		if err := l.fetch(ctx); err != nil {
			return ended(ctx, err)
		}
		done, err := l.show()
		if err != nil {
			return err
		}
		if l.o.Progress != nil {
			l.o.Progress(l.totals)
		}
		if done || ctx.Err() != nil {
			return nil
		}
	}
}

// ended is err, unless it only says that ctx has ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// look is a Run.
type look struct {
	o       Options
	parts   []*partition
	grouper *plan.Grouper // nil without an aggregate
	single  *record.Chunk // one row on its way into grouper
	tail    *tail         // while looking back: where records go
	totals  Totals
}

// open finds the partitions and where to begin in each.
func (l *look) open(ctx context.Context, from From) error {
	d, err := l.o.Origin.Describe(ctx, l.o.Topics...)
	if err != nil {
		return err
	}
	var places []place
	for _, topic := range l.o.Topics {
		n := len(d.Topics[topic].Partitions)
		for _, p := range l.o.Partitions {
			if p < 0 || int(p) >= n {
				return fmt.Errorf("topic %s has no partition %d: it has %d, from 0 on", topic, p, n)
			}
		}
		for p := range int32(n) {
			if len(l.o.Partitions) == 0 || slices.Contains(l.o.Partitions, p) {
				places = append(places, place{topic, p})
			}
		}
	}
	for _, at := range places {
		p, err := newPartition(l.o, at, waitOf(len(places)))
		if err != nil {
			return err
		}
		l.parts = append(l.parts, p)
	}
	err = l.each(func(p *partition) error { return p.begin(ctx, from) })
	l.warn()
	return err
}

// waitOf is how long each of n partitions may wait for records, so that a round
// of fetches takes half a second at most.
func waitOf(n int) time.Duration {
	wait := 500 * time.Millisecond
	if n > atOnce {
		wait = wait * atOnce / time.Duration(n)
	}
	return max(wait, 5*time.Millisecond)
}

// warn tells what the partitions found odd.
func (l *look) warn() {
	for _, p := range l.parts {
		if p.warning != nil && l.o.Warn != nil {
			l.o.Warn(p.warning)
		}
		p.warning = nil
	}
}

// atOnce is how many partitions are asked at a time.
const atOnce = 8

// each calls f for every partition, a few at a time, and returns when all calls have.
func (l *look) each(f func(*partition) error) error {
	var all sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	errs := make([]error, len(l.parts))
	for i, p := range l.parts {
		turns <- struct{}{}
		all.Go(func() {
			errs[i] = f(p)
			<-turns
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// fetch fills the partitions that have nothing left.
func (l *look) fetch(ctx context.Context) error {
	err := l.each(func(p *partition) error {
		if p.has() || p.ended && !l.o.Follow {
			return nil
		}
		return p.fetch(ctx)
	})
	l.warn()
	return err
}

// show shows what the partitions hold, the oldest first, up to where one of them
// has to be filled again. It reports whether all is shown.
func (l *look) show() (done bool, err error) {
	for {
		var first *partition
		waits := false // for one that may still bring something older
		for _, p := range l.parts {
			switch {
			case p.has():
				if first == nil || p.time() < first.time() {
					first = p
				}
			case !p.ended:
				waits = true
			}
		}
		if first == nil {
			l.count()
			return !waits && !l.o.Follow, nil
		}
		if waits {
			l.count()
			return false, nil
		}
		if err := l.give(first.take()); err != nil {
			return false, err
		}
		if l.full() {
			l.count()
			return true, nil
		}
	}
}

// give shows a record, or keeps it for later.
func (l *look) give(r Record) error {
	if l.tail != nil {
		l.tail.add(r)
		return nil
	}
	if r.Reason != "" {
		l.totals.Rejected++
		return l.o.Show(r)
	}
	l.totals.Rows++
	if l.grouper == nil {
		return l.o.Show(r)
	}
	return l.group(r)
}

// group adds one row to the groups.
func (l *look) group(r Record) error {
	if l.single == nil {
		l.single = record.NewChunk(r.Rows.Schema)
	}
	l.single.SetRow(r.Rows, r.Row)
	return l.grouper.Add(l.single)
}

func (l *look) full() bool {
	return l.o.Limit > 0 && l.totals.Rows+l.totals.Rejected >= int64(l.o.Limit)
}

// count brings the totals up to date.
func (l *look) count() {
	l.totals.Read, l.totals.Filtered = 0, 0
	for _, p := range l.parts {
		l.totals.Read += p.read
		l.totals.Filtered += p.filtered
	}
}

// finish shows the groups.
func (l *look) finish(err error) error {
	if err != nil || l.grouper == nil || l.grouper.Groups() == 0 {
		return err
	}
	rows := record.NewChunk(l.o.Plan.Schema())
	if err := l.grouper.Emit(rows); err != nil {
		return err
	}
	return l.o.Groups(rows)
}
