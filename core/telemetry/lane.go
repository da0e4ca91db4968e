package telemetry

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Lane is what is counted of one sink in one slot. Its methods and fields may
// be used from several goroutines; none of them blocks for long.
type Lane struct {
	// Records, each counted once (see the package comment).
	Read      Counter // decoded, or found to be bad
	Committed Counter // at the destination
	Filtered  Counter // not selected by where
	Dead      Counter // in the dead letters
	Skipped   Counter // offsets that were gone before they were read, and are left out

	Commits       Counter // batches that are at the destination
	Repeats       Counter // commits of a pending batch, begun again with the same bounds
	LedgerRefused Counter // ledger writes that the group's coordinator refused
	LedgerEnded   Counter // ledger writes without an answer: each ends the membership
	LostAnswers   Counter // commits whose answer was lost and whose outcome was found out
	Stale         Counter // commits that found another position at the destination
	Retries       Counter // claims after an error

	HeldBytes     Gauge // what the writer holds, in bytes
	LagRecords    Gauge // records up to the high watermark that the sink has not settled
	LastEventTime Gauge // time of the newest settled event, microseconds since 1970; 0: none yet
	NewestRecord  Gauge // timestamp in Kafka of the newest record that was written, microseconds since 1970; 0: none yet

	CommitTime  Histogram // from the begin of Stage to the answer of Commit
	RecordDelay Histogram // from a record's timestamp in Kafka to its commit
	EventDelay  Histogram // from an event's own time to its commit

	mu     sync.Mutex
	id     LaneID // of which only Partitions changes
	state  State
	reason string
	since  time.Time
	marks  []Mark
	high   func() []int64 // see Watch; nil: marks say it
	level  time.Time      // when there was no lag, latest as far as it was looked at; zero: never yet
}

// LaneID names a lane.
type LaneID struct {
	Sink       string // the sink's name
	Connection string // its connection's name
	Stream     string
	Topic      string
	Partition  int32 // the slot's first partition
	Partitions int   // how many it has
}

// Mark is how far one partition of a slot is.
type Mark struct {
	Partition     int32 `json:"partition"`
	Position      int64 `json:"position"`       // the next offset that the sink has not settled; -1: not known
	HighWatermark int64 `json:"high_watermark"` // the next offset that the partition will get; -1: not known
}

// ID names the lane.
func (l *Lane) ID() LaneID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id
}

// SetState says how the lane is. reason is for people, names no event's value,
// and is empty when all is well.
func (l *Lane) SetState(s State, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != s || l.reason != reason {
		l.state, l.reason, l.since = s, reason, time.Now()
	}
}

// State is what SetState last said, and since when.
func (l *Lane) State() (s State, reason string, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state, l.reason, l.since
}

// SetMarks says how far the partitions of the slot are, and computes the lag.
// It copies marks.
func (l *Lane) SetMarks(marks []Mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks = append(l.marks[:0], marks...)
	l.LagRecords.Set(lag(marks))
	if len(marks) > 0 && lag(marks) == 0 {
		l.level = time.Now()
	}
}

func lag(marks []Mark) (sum int64) {
	for _, m := range marks {
		if m.Position >= 0 && m.HighWatermark > m.Position {
			sum += min(m.HighWatermark-m.Position, math.MaxInt64-sum)
		}
	}
	return sum
}

// Watch says where the high watermarks are, one per mark, -1 where not known,
// until Release: marks are set when a position moves, and a sink whose
// destination hangs would seem to have no lag. high may be called by any
// goroutine and must not block for long.
func (l *Lane) Watch(high func() []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.high = high
}

// watched raises the high watermarks of marks to what they are now.
func watched(marks []Mark, high func() []int64) {
	if high == nil || len(marks) == 0 {
		return
	}
	for i, h := range high() {
		if i < len(marks) {
			marks[i].HighWatermark = max(marks[i].HighWatermark, h)
		}
	}
}

// Wrote says that records with these timestamps are at the destination as of now.
// The newest one counts up to now only: a producer's clock that is years ahead
// would otherwise hide every later lag.
func (l *Lane) Wrote(records *Stamps, now time.Time) {
	l.RecordDelay.ObserveSince(records, now)
	l.NewestRecord.Raise(min(records.Newest(), now.UnixMicro()))
}

// Release says that another member has the slot now. Counters stay; the gauges
// would be wrong from here on and are no longer shown.
func (l *Lane) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state, l.reason, l.since, l.marks, l.high = Idle, "", time.Now(), l.marks[:0], nil
	l.HeldBytes.Set(0)
	l.LagRecords.Set(0)
}

// Snapshot copies everything.
func (l *Lane) Snapshot() LaneSnapshot {
	l.mu.Lock()
	id, state, reason, since, marks, high := l.id, l.state, l.reason, l.since, slices.Clone(l.marks), l.high
	l.mu.Unlock()
	watched(marks, high)
	s := LaneSnapshot{
		Sink: id.Sink, Connection: id.Connection, Stream: id.Stream, Topic: id.Topic,
		Partition: id.Partition, Partitions: id.Partitions,
		State: state, Reason: reason, Since: since, Marks: marks,
		Commits: l.Commits.Value(), Repeats: l.Repeats.Value(), LedgerRefused: l.LedgerRefused.Value(),
		LedgerEnded: l.LedgerEnded.Value(), LostAnswers: l.LostAnswers.Value(), Stale: l.Stale.Value(), Retries: l.Retries.Value(),
		HeldBytes: l.HeldBytes.Value(), LagRecords: max(l.LagRecords.Value(), lag(marks)),
		CommitTime: l.CommitTime.Snapshot(), RecordDelay: l.RecordDelay.Snapshot(), EventDelay: l.EventDelay.Snapshot(),
	}
	// What has left is read before what has come, so that a snapshot taken
	// under way never shows more records leaving than were read.
	s.Committed, s.Filtered, s.Dead, s.Skipped = l.Committed.Value(), l.Filtered.Value(), l.Dead.Value(), l.Skipped.Value()
	s.Read = l.Read.Value()
	s.LagSeconds = l.lagSeconds(s.LagRecords, time.Now())
	s.LastEventTime, s.NewestRecord = timeOf(&l.LastEventTime), timeOf(&l.NewestRecord)
	return s
}

// timeOf is the time of a gauge in microseconds, nil for 0. Times are untrusted:
// those beyond what JSON can write are the nearest that it can.
func timeOf(g *Gauge) *time.Time {
	us := g.Value()
	if us == 0 {
		return nil
	}
	first, last := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	t := time.UnixMicro(min(max(us, first.UnixMicro()), last.UnixMicro())).UTC()
	return &t
}

// lagSeconds is for how long the sink has been behind: since the newest record
// that it has written, or since it was last seen without lag, whichever is
// later, so that neither the record that ends a quiet night nor a steady flow
// counts for more than it is. nil: not known, since it was never level and has
// written nothing yet.
func (l *Lane) lagSeconds(records int64, now time.Time) *float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var behind float64
	if records == 0 {
		if len(l.marks) > 0 {
			l.level = now
		}
		return &behind
	}
	since := l.level
	if us := l.NewestRecord.Value(); us != 0 && time.UnixMicro(us).After(since) {
		since = time.UnixMicro(us)
	}
	if since.IsZero() {
		return nil
	}
	behind = max(0, now.Sub(since).Seconds())
	return &behind
}

// LaneSnapshot is a copy of a lane's numbers at one moment.
type LaneSnapshot struct {
	Sink       string `json:"sink"`
	Connection string `json:"connection"`
	Stream     string `json:"stream"`
	Topic      string `json:"topic"`
	Partition  int32  `json:"partition"`
	Partitions int    `json:"partitions"`

	State  State     `json:"state"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	Marks  []Mark    `json:"marks"`

	Read      int64 `json:"read"`
	Committed int64 `json:"committed"`
	Filtered  int64 `json:"filtered"`
	Dead      int64 `json:"dead"`
	Skipped   int64 `json:"skipped"`

	Commits       int64 `json:"commits"`
	Repeats       int64 `json:"repeats"`
	LedgerRefused int64 `json:"ledger_refused"`
	LedgerEnded   int64 `json:"ledger_ended"`
	LostAnswers   int64 `json:"lost_answers"`
	Stale         int64 `json:"stale"`
	Retries       int64 `json:"retries"`

	HeldBytes     int64      `json:"held_bytes"`
	LagRecords    int64      `json:"lag_records"`
	LagSeconds    *float64   `json:"lag_seconds,omitempty"`
	LastEventTime *time.Time `json:"last_event_time,omitempty"`
	NewestRecord  *time.Time `json:"newest_record,omitempty"`

	CommitTime  HistogramSnapshot `json:"commit_time"`
	RecordDelay HistogramSnapshot `json:"record_delay"`
	EventDelay  HistogramSnapshot `json:"event_delay"`
}

// AtRest says whether every record that was read has left: by commit, by where,
// by the dead letters, or by having been gone (on_gap: skip_and_record).
func (s LaneSnapshot) AtRest() bool { return s.Read == s.Committed+s.Filtered+s.Dead+s.Skipped }

// Counter only grows. Its zero value is ready.
type Counter struct{ n atomic.Int64 }

// Add adds n, which must not be negative.
func (c *Counter) Add(n int) { c.n.Add(int64(n)) }

// Value is the sum so far.
func (c *Counter) Value() int64 { return c.n.Load() }

// Gauge is a number that goes up and down. Its zero value is ready.
type Gauge struct{ n atomic.Int64 }

// Set replaces the number.
func (g *Gauge) Set(n int64) { g.n.Store(n) }

// Raise replaces the number if n is larger.
func (g *Gauge) Raise(n int64) {
	for {
		old := g.n.Load()
		if n <= old || g.n.CompareAndSwap(old, n) {
			return
		}
	}
}

// Value is the number now.
func (g *Gauge) Value() int64 { return g.n.Load() }
