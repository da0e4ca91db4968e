package lane

import (
	"context"
	"log/slog"
	"time"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/telemetry"
)

// Config is what a lane needs. All of it outlives Run.
type Config struct {
	ID       string // sink@connection
	Sink     sink.Sink
	Claim    sink.Claim
	Delivery sink.Delivery
	Plan     *plan.Plan
	Have     []record.Want // the columns of decoded chunks
	Batch    sink.Batch
	Timeout  time.Duration // the longest attempt to commit
	Session  time.Duration // of the group: the first attempt to commit is shorter
	Letters  DeadLetters   // nil: on_bad_record is stop
	MaxBad   int           // with Letters: how many of FloodWindow offsets may be bad; 0: all
	SkipGaps bool          // on_gap: skip_and_record
	NewTopic bool          // on_topic_reset: new_incarnation

	Feed   Feed
	Book   Book
	Member Member
	Budget Budget // nil: unbounded
	Desks  *Desks // of all lanes of the sink; nil: its own

	Record RecordState   // of the slot, as the ledger found it
	Entry  *ledger.Entry // of this sink; nil: none
	Notice string        // what Record means here, for the message of a stop
	Resize string        // the command that rewrites the records for the slots that the stream has now

	Meter *telemetry.Lane
	Log   *slog.Logger
}

// Feed hands out decoded records of the slot's partitions, which are named by
// their index in the slot.
type Feed interface {
	// Next waits for records of one of the partitions from its position at[i]
	// on, and gives the chunk that covers it: First ≤ at[i] < Next. Partitions
	// with until[i] ≤ at[i] are left out; until is nil for no limit. The chunk
	// is the lane's until it calls Release. *GapError, *TruncatedError and
	// *UnreadableError are final; ErrPressed says that the batch has to end here,
	// and comes only to a lane that holds rows, without until; with any other
	// error nothing is lost by asking again. ErrComplete: nothing is left, and
	// nothing will come.
	Next(ctx context.Context, at, until []int64) (*Chunk, error)
	// Start resolves where a new sink begins, per partition.
	Start(ctx context.Context, record RecordState) ([]int64, error)
	// Raw reads original records again, for the dead letters: those of ascending
	// offsets of one partition, or the first few of them where all would take too
	// much memory, but one at least. One that is gone by now is Missing.
	Raw(ctx context.Context, partition int, offsets []int64) ([]Letter, error)
	// High is the high watermark per partition, -1 where not known yet.
	High() []int64
}

// Chunk is a decoded chunk on loan.
type Chunk struct {
	Index int // of its partition in the slot
	*record.Chunk
	Release func()
}

// Book is where a lane's entry is kept: ledger.Writer, for one slot.
type Book interface {
	Put(ctx context.Context, e ledger.Entry) error
	Note(e ledger.Entry)
	// Known says whether the group has an entry of the sink in any slot at all.
	Known(ctx context.Context) (bool, error)
}

// Member is the group membership. Heartbeat is answered: nil. It is called
// right before a commit, which must not be made by a member that was replaced.
type Member interface {
	Heartbeat(ctx context.Context) error
}

// Budget bounds the memory of the whole program.
type Budget interface {
	// Hold charges what a writer holds more than before, or less.
	Hold(bytes int64)
	// Full says that memory is wanted: a lane that has rows cuts now.
	Full() bool
}

// DeadLetters is where records go that a sink does not take. nil means that all
// are acknowledged; the same letters may be written again, under the same keys.
type DeadLetters interface {
	Write(ctx context.Context, letters []Letter) error
}

// Letter is one record that a sink did not take.
type Letter struct {
	Sink        string // sink@connection
	Topic       string
	Incarnation string
	Partition   int32
	Offset      int64
	Reason      string
	Timestamp   int64 // of the record, milliseconds since 1970
	Key, Value  []byte
	Headers     []Header
	Missing     bool // the record itself is gone from the topic
}

// Size is what the letter holds of its record, in bytes.
func (l *Letter) Size() int {
	n := len(l.Key) + len(l.Value)
	for _, h := range l.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// Header is a header of a record.
type Header struct {
	Key   string
	Value []byte
}

// Lane is a running lane. Use Run.
type Lane struct {
	c       Config
	state   State
	writer  sink.Writer
	cut     cutting
	flood   flood
	held    int64 // bytes charged to the budget
	attempt int   // failures in a row
	cause   error
	since   time.Time // first store of the open cut's intent
	tried   Vector    // Atomic: end of the cut whose commit got no answer
	perm    bool      // the last failure is one that a person must mend
	commits int       // attempts to commit the open cut
	found   Vector    // what the destination said of the slot when it was claimed last
	traces  bool      // and that it has traces of the sink, in whatever slot
	moved   bool      // what was there before is of another cluster
	skipped int       // offsets that are gone, and not counted yet
	judging int       // rows that the last failure has refused, and that were not known to be bad
	judged  int       // rows that the destination has refused so far
}

// Run carries the sink through the slot until ctx ends (at once), or revoke is
// closed and what had begun has ended. It returns nil unless the ledger's
// membership is over; a lane that stops for a person's decision waits for one
// of the two.
func Run(ctx context.Context, c Config, revoke <-chan struct{}) error {
	l := &Lane{c: c}
	l.state = State{Delivery: c.Delivery, Plan: c.Plan.Fingerprint(), Letters: c.Letters != nil, SkipGaps: c.SkipGaps, NewTopic: c.NewTopic}
	l.cut.init(&l.c)
	if c.Letters != nil {
		l.flood.limit = c.MaxBad
	}
	defer l.closeWriter()
	return l.run(ctx, revoke)
}

func (l *Lane) run(ctx context.Context, revoke <-chan struct{}) error {
	event := Event{Kind: Loaded, Record: l.c.Record, Entry: l.fromLedger(l.c.Entry)}
	if e := l.c.Entry; e != nil && e.Pending != nil {
		l.since = e.Pending.Since
	}
	if e := l.c.Entry; e != nil && l.c.Record == Replaced {
		event.Found.Elsewhere = l.elsewhere(e.Incarnation)
		if l.c.NewTopic && !event.Found.Elsewhere {
			l.renewed()
		}
	}
	for {
		var ask *Effect
		var effects []Effect
		before := l.state
		l.state, effects = Step(l.state, event)
		l.observe(before, event)
		for i := range effects {
			if effects[i].Kind == Exit {
				if event.Kind == LedgerEnded {
					return l.cause
				}
				return nil
			}
			if l.act(effects[i]) {
				ask = &effects[i]
			}
		}
		if !l.state.Revoked && closed(revoke) {
			l.state, _ = Step(l.state, Event{Kind: Revoke})
			if l.state.Phase == Over {
				return nil
			}
		}
		event = l.answer(ctx, ask, revoke)
	}
}

// act performs an effect that has no answer; true if it has one.
func (l *Lane) act(e Effect) bool {
	switch e.Kind {
	case Close:
		l.closeWriter()
	case Note:
		l.c.Book.Note(l.toLedger(e.Entry))
		l.settled(e.Entry)
	case Stop:
		l.stopped(e.Reason)
	default:
		return true
	}
	return false
}

// answer performs the effect that has one. What a rebalance may interrupt is
// done under a context that ends with revoke.
func (l *Lane) answer(ctx context.Context, ask *Effect, revoke <-chan struct{}) Event {
	if ask == nil { // stopped: only the end of the membership goes on from here
		select {
		case <-ctx.Done():
			return Event{Kind: Ended}
		case <-revoke:
			return Event{Kind: Revoke}
		}
	}
	own := ctx
	switch ask.Kind {
	case Claim, Resolve, Resume, Read, Wait:
		var cancel context.CancelFunc
		own, cancel = context.WithCancel(ctx)
		defer cancel()
		if !l.state.Revoked {
			done := make(chan struct{})
			quit := make(chan struct{})
			go func() {
				defer close(done)
				select {
				case <-revoke:
					cancel()
				case <-quit:
				}
			}()
			defer func() { close(quit); <-done }()
		}
	}
	event := l.perform(own, ask)
	switch {
	case ctx.Err() != nil:
		return Event{Kind: Ended}
	case own.Err() != nil:
		return Event{Kind: Revoke}
	}
	return event
}

func (l *Lane) closeWriter() {
	if l.writer == nil {
		return
	}
	if err := l.writer.Close(); err != nil {
		l.c.Log.Debug("close of a writer", "error", err)
	}
	l.writer = nil
	l.hold(0)
}

// hold charges what the writer holds now.
func (l *Lane) hold(bytes int64) {
	if l.c.Budget != nil && bytes != l.held {
		l.c.Budget.Hold(bytes - l.held)
	}
	l.held = bytes
	l.c.Meter.HeldBytes.Set(bytes)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
