package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// past is a dialer that goes straight to the broker, whatever it advertises:
// the harness' own traffic meets no proxy.
func past(addr string) kgo.Opt {
	return kgo.Dialer(func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	})
}

// producer writes transactions until it is told to stop.
type producer struct {
	name       string // transactional id
	broker     string
	topic      string
	partitions int
	rate       *pace
	ledger     *ledger
	rng        *rand.Rand
	timeline   *timeline
	diary      io.Writer // of the client: what it asked for, and was answered
	client     *kgo.Client
	all        int // events
	aborted    int
	unclear    int // transactions whose end was not answered
}

// pace is how many events there may be by now; zero events: no limit.
type pace struct {
	quiet     sync.RWMutex // held for reading by each transaction under way
	begin     time.Time
	perSecond int
	produced  atomic.Int64
}

// wait returns when n more events are due.
func (p *pace) wait(ctx context.Context, n int) error {
	due := p.begin
	if p.perSecond > 0 {
		due = due.Add(time.Duration(p.produced.Load()) * time.Second / time.Duration(p.perSecond))
	}
	p.produced.Add(int64(n))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(due)):
		return nil
	}
}

// run produces until stop is closed.
func (p *producer) run(ctx context.Context, stop <-chan struct{}) error {
	defer p.close()
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		n := 20 + p.rng.IntN(400)
		if err := p.rate.wait(ctx, n); err != nil {
			return err
		}
		p.rate.quiet.RLock()
		err := p.transaction(ctx, n, p.abort(n))
		p.rate.quiet.RUnlock()
		if err != nil {
			return fmt.Errorf("producer %s: %w", p.name, err)
		}
	}
}

// close ends the client. The next one settles what this one left open.
func (p *producer) close() {
	if p.client != nil {
		p.client.Close()
		p.client = nil
	}
}

// abort decides about a transaction of n events, so that a little more than a
// tenth of all events is aborted.
func (p *producer) abort(n int) bool {
	p.all += n
	chance := 12
	switch {
	case p.aborted*100 < 11*p.all: // the events of the probe, which are not aborted, are to come
		chance = 100
	case p.aborted*100 > 13*p.all:
		chance = 2
	}
	if p.rng.IntN(100) >= chance {
		return false
	}
	p.aborted += n
	return true
}

// transaction writes n events, and commits them or not. Of one whose end is not
// answered the outcome stays unknown; the next client settles it by its start.
func (p *producer) transaction(ctx context.Context, n int, abort bool) (err error) {
	if p.client == nil {
		if p.client, err = kgo.NewClient(kgo.SeedBrokers(p.broker), past(p.broker), kgo.TransactionalID(p.name), kgo.TransactionTimeout(20*time.Second),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5*time.Millisecond),
			kgo.WithLogger(kgo.BasicLogger(p.diary, kgo.LogLevelInfo, func() string { return time.Now().UTC().Format("15:04:05.000 ") }))); err != nil {
			return err
		}
	}
	if err := p.client.BeginTransaction(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	first := p.ledger.begin(p.name, n)
	failed := p.write(ctx, first, n)
	if err := p.client.Flush(ctx); err != nil {
		return err
	}
	end := kgo.TryCommit
	if abort || failed.Load() {
		end = kgo.TryAbort
	}
	ending, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := p.client.EndTransaction(ending, end); err != nil {
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		p.unclear++
		p.timeline.note("%s: the end of a transaction is unclear: %v", p.name, err)
		p.close()
		return nil
	}
	if end == kgo.TryCommit {
		p.ledger.end(first, n, committed)
	} else {
		p.ledger.end(first, n, aborted)
	}
	return nil
}

// write hands the records to the client. The answer is true after a Flush if
// one of them was not stored.
func (p *producer) write(ctx context.Context, first int64, n int) *atomic.Bool {
	var failed atomic.Bool
	// A run of records goes to one partition, so that batches are not all tiny.
	partition, left := int32(0), 0
	for id := first; id < first+int64(n); id++ {
		if left == 0 {
			partition, left = int32(p.rng.IntN(p.partitions)), 1+p.rng.IntN(60)
		}
		left--
		r := &kgo.Record{Topic: p.topic, Partition: partition, Value: makeEvent(id).encode()}
		p.client.Produce(ctx, r, func(r *kgo.Record, err error) {
			if err != nil {
				failed.Store(true)
				return
			}
			p.ledger.acked(id, place{r.Partition, r.Offset})
		})
	}
	return &failed
}
