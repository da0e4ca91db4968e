package telemetry

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Metric describes one exposed family, for the documentation and for tests.
type Metric struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []string
	Help   string
}

var (
	laneLabels   = [...]string{"sink", "connection", "stream", "topic", "partition"}
	sinkLabels   = [...]string{"sink", "connection", "stream"}
	streamLabels = [...]string{"stream"}
)

// family is a Metric and how its numbers are taken from a lane.
type family struct {
	name, kind, help string
	value            func(l *LaneSnapshot) (float64, bool) // per lane; false: not shown
	marks            func(m Mark) (int64, bool)            // per partition
	states           bool                                  // per lane and state
	histogram        func(l *LaneSnapshot) *HistogramSnapshot
	stream           func(s *StreamSnapshot) int64 // per stream
	streamStates     bool                          // per stream and state
	memory           func(m Memory) int64          // of the program
}

// families are all that WriteTo writes, in order.
func families() []family { return append(laneFamilies(), programFamilies()...) }

// laneFamilies are taken from lanes. Counters are per slot, positions per
// partition; histograms per sink, since their many buckets would otherwise be
// most of what is scraped.
func laneFamilies() []family {
	counter := func(name, help string, value func(l *LaneSnapshot) int64) family {
		return family{name: "sluice_" + name + "_total", kind: "counter", help: help,
			value: func(l *LaneSnapshot) (float64, bool) { return float64(value(l)), true }}
	}
	gauge := func(name, help string, value func(l *LaneSnapshot) (float64, bool)) family {
		return family{name: "sluice_" + name, kind: "gauge", help: help, value: func(l *LaneSnapshot) (float64, bool) {
			v, ok := value(l)
			return v, ok && l.State != Idle
		}}
	}
	mark := func(name, help string, value func(m Mark) int64) family {
		return family{name: "sluice_" + name, kind: "gauge", help: help,
			marks: func(m Mark) (int64, bool) { v := value(m); return v, v >= 0 }}
	}
	histogram := func(name, help string, of func(l *LaneSnapshot) *HistogramSnapshot) family {
		return family{name: "sluice_" + name, kind: "histogram", help: help, histogram: of}
	}
	return []family{
		counter("records_read", "Records that were decoded, found to be bad, or found to be gone, each counted once.", func(l *LaneSnapshot) int64 { return l.Read }),
		counter("records_committed", "Records whose rows are at the destination.", func(l *LaneSnapshot) int64 { return l.Committed }),
		counter("records_filtered", "Records that where did not select.", func(l *LaneSnapshot) int64 { return l.Filtered }),
		counter("records_dead", "Records that are in the dead letters.", func(l *LaneSnapshot) int64 { return l.Dead }),
		counter("records_skipped", "Offsets that were gone from the topic before they were read, and that on_gap: skip_and_record left out.", func(l *LaneSnapshot) int64 { return l.Skipped }),
		counter("commits", "Batches that are at the destination.", func(l *LaneSnapshot) int64 { return l.Commits }),
		counter("repeats", "Commits of a pending batch that were begun again with the same bounds.", func(l *LaneSnapshot) int64 { return l.Repeats }),
		counter("ledger_refused", "Ledger writes that the group's coordinator refused.", func(l *LaneSnapshot) int64 { return l.LedgerRefused }),
		counter("ledger_ended", "Ledger writes without an answer; each ends the membership.", func(l *LaneSnapshot) int64 { return l.LedgerEnded }),
		counter("lost_answers", "Commits whose answer was lost and whose outcome was found out.", func(l *LaneSnapshot) int64 { return l.LostAnswers }),
		counter("stale_commits", "Commits that found another position at the destination.", func(l *LaneSnapshot) int64 { return l.Stale }),
		counter("retries", "Claims after an error.", func(l *LaneSnapshot) int64 { return l.Retries }),
		{name: "sluice_state", kind: "gauge", help: "1 for the state that the sink's slot is in, 0 for the others.", states: true},
		mark("position", "Next offset that the sink has not settled.", func(m Mark) int64 { return m.Position }),
		mark("high_watermark", "Next offset that the partition will get.", func(m Mark) int64 { return m.HighWatermark }),
		gauge("lag_records", "Offsets up to the high watermark that the sink has not settled.", func(l *LaneSnapshot) (float64, bool) { return float64(l.LagRecords), true }),
		gauge("lag_seconds", "For how long the sink has been behind: since the newest record it has written, or since it last had no lag.", func(l *LaneSnapshot) (float64, bool) {
			if l.LagSeconds == nil || l.State == Idle {
				return 0, false
			}
			return *l.LagSeconds, true
		}),
		gauge("held_bytes", "Bytes of rows that the sink's writer holds or has written since its last commit.", func(l *LaneSnapshot) (float64, bool) { return float64(l.HeldBytes), true }),
		gauge("last_event_time_seconds", "Time of the newest settled event, in seconds since 1970.", func(l *LaneSnapshot) (float64, bool) {
			if l.LastEventTime == nil {
				return 0, false
			}
			return float64(l.LastEventTime.UnixMicro()) / 1e6, true
		}),
		histogram("commit_duration_seconds", "Time from the begin of staging a batch to the answer of its commit.", func(l *LaneSnapshot) *HistogramSnapshot { return &l.CommitTime }),
		histogram("record_delay_seconds", "Time from a record's timestamp in Kafka to its commit.", func(l *LaneSnapshot) *HistogramSnapshot { return &l.RecordDelay }),
		histogram("event_delay_seconds", "Time from an event's own time to its commit.", func(l *LaneSnapshot) *HistogramSnapshot { return &l.EventDelay }),
	}
}

// programFamilies are of the program, and of each stream apart from its sinks.
func programFamilies() []family {
	membership := func(name, kind, help string, of func(s *StreamSnapshot) int64) family {
		return family{name: "sluice_" + name, kind: kind, help: help, stream: of}
	}
	memory := func(name, help string, of func(m Memory) int64) family {
		return family{name: "sluice_memory_" + name, kind: "gauge", help: help, memory: of}
	}
	return []family{
		memory("budget_bytes", "Budget of all that is fetched, decoded and held (limits: memory).", func(m Memory) int64 { return m.Budget }),
		memory("reading_bytes", "Bytes of the budget that are fetched or decoded now; half of it is for that.", func(m Memory) int64 { return m.Reading }),
		memory("sinks_bytes", "Bytes of the budget that sinks hold now; half of it is for that.", func(m Memory) int64 { return m.Sinks }),
		{name: "sluice_stream_state", kind: "gauge", help: "1 for the state that the stream is in, apart from its sinks, 0 for the others.", streamStates: true},
		membership("slots", "gauge", "Slots, which are runs of partitions, that this program has now.", func(s *StreamSnapshot) int64 { return s.Slots }),
		membership("rebalances_total", "counter", "Generations of the consumer group that this program has taken part in.", func(s *StreamSnapshot) int64 { return s.Rebalances }),
		membership("slots_kept_total", "counter", "Slots that went on undisturbed through a rebalance.", func(s *StreamSnapshot) int64 { return s.Kept }),
		membership("slots_gained_total", "counter", "Slots that came with a rebalance.", func(s *StreamSnapshot) int64 { return s.Gained }),
		membership("slots_lost_total", "counter", "Slots that went with a rebalance.", func(s *StreamSnapshot) int64 { return s.Lost }),
	}
}

// Metrics lists what WriteTo writes.
func Metrics() []Metric {
	var all []Metric
	for _, f := range families() {
		m := Metric{Name: f.name, Type: f.kind, Help: f.help, Labels: slices.Clone(laneLabels[:])}
		switch {
		case f.states:
			m.Labels = append(m.Labels, "state")
		case f.histogram != nil:
			m.Labels = slices.Clone(sinkLabels[:])
		case f.memory != nil:
			m.Labels = nil
		case f.streamStates:
			m.Labels = append(slices.Clone(streamLabels[:]), "state")
		case f.stream != nil:
			m.Labels = slices.Clone(streamLabels[:])
		}
		all = append(all, m)
	}
	return all
}

// WriteTo writes the snapshot in Prometheus' text format, version 0.0.4.
func (s Snapshot) WriteTo(out io.Writer) (int64, error) {
	w := &exposition{out: bufio.NewWriter(out)}
	sinks := s.Sinks()
	for _, f := range families() {
		w.text("# HELP ", f.name, " ", helpEscaper.Replace(f.help), "\n# TYPE ", f.name, " ", f.kind, "\n")
		if f.histogram != nil {
			for i := range sinks {
				w.histogram(f, &sinks[i])
			}
			continue
		}
		if f.memory != nil {
			w.sample(f.name, strconv.FormatInt(f.memory(s.Memory), 10))
			continue
		}
		if f.streamStates {
			for i := range s.Streams {
				w.states(f.name, s.Streams[i].State, "stream", s.Streams[i].Stream)
			}
			continue
		}
		if f.stream != nil {
			for i := range s.Streams {
				w.sample(f.name, strconv.FormatInt(f.stream(&s.Streams[i]), 10), "stream", s.Streams[i].Stream)
			}
			continue
		}
		for i := range s.Lanes {
			w.lane(f, &s.Lanes[i])
		}
	}
	if err := w.out.Flush(); w.err == nil {
		w.err = err
	}
	return w.n, w.err
}

// exposition writes samples and remembers the first error.
type exposition struct {
	out *bufio.Writer
	n   int64
	err error
}

var (
	helpEscaper  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func (w *exposition) text(parts ...string) {
	for _, p := range parts {
		n, err := w.out.WriteString(p)
		w.n += int64(n)
		if err != nil && w.err == nil {
			w.err = err
		}
	}
}

// sample writes one line; labels are names and values in turn.
func (w *exposition) sample(name string, value string, labels ...string) {
	w.text(name)
	for i := 0; i < len(labels); i += 2 {
		before := ","
		if i == 0 {
			before = "{"
		}
		w.text(before, labels[i], `="`, labelEscaper.Replace(strings.ToValidUTF8(labels[i+1], "\ufffd")), `"`)
	}
	if len(labels) > 0 {
		w.text("}")
	}
	w.text(" ", value, "\n")
}

// states writes a sample for each state: 1 for the one that is.
func (w *exposition) states(name string, is State, labels ...string) {
	for _, state := range States() {
		value := "0"
		if state == is {
			value = "1"
		}
		w.sample(name, value, append(labels[:len(labels):len(labels)], "state", state.String())...)
	}
}

func (w *exposition) lane(f family, l *LaneSnapshot) {
	labels := func(partition int32, more ...string) []string {
		return append([]string{"sink", l.Sink, "connection", l.Connection, "stream", l.Stream, "topic", l.Topic,
			"partition", strconv.Itoa(int(partition))}, more...)
	}
	switch {
	case f.states:
		w.states(f.name, l.State, labels(l.Partition)...)
	case f.marks != nil:
		for _, m := range l.Marks {
			if v, ok := f.marks(m); ok {
				w.sample(f.name, strconv.FormatInt(v, 10), labels(m.Partition)...)
			}
		}
	default:
		if v, ok := f.value(l); ok {
			w.sample(f.name, number(v), labels(l.Partition)...)
		}
	}
}

func (w *exposition) histogram(f family, l *LaneSnapshot) {
	h := f.histogram(l)
	labels := []string{"sink", l.Sink, "connection", l.Connection, "stream", l.Stream}
	for _, b := range h.powers() {
		bound := "+Inf"
		if b.bound != 0 {
			bound = number(b.bound.Seconds())
		}
		w.sample(f.name+"_bucket", strconv.FormatInt(b.count, 10), append(labels, "le", bound)...)
	}
	w.sample(f.name+"_sum", number(h.Sum), labels...)
	w.sample(f.name+"_count", strconv.FormatInt(h.Count, 10), labels...)
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// power is a coarser bucket, as it is exposed: how many observations are below
// a power of two of microseconds.
type power struct {
	bound time.Duration // 0: infinite
	count int64         // of this bucket and all below it
}

// powers are the buckets that are exposed: fewer than are kept, and the same at
// every scrape. The first ends at 1 ms, the last but one at 19 hours.
func (s HistogramSnapshot) powers() []power {
	const first, last = 10, 36
	var all []power
	sum, bucket := int64(0), 0
	for p := first; p <= last; p++ {
		for ; upperBound(bucket) <= 1<<p; bucket++ {
			sum += s.Counts[bucket]
		}
		all = append(all, power{time.Duration(1<<p) * time.Microsecond, sum})
	}
	return append(all, power{count: s.Count})
}
