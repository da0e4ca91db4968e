package telemetry

import "time"

// maxStamps bounds what Stamps keeps: 2 kB.
const maxStamps = 128

// Stamps collects the times of the records of one batch, whose delays are known
// only when it is committed, in bounded memory: neighbours that are close
// together are kept as one, and how close that is doubles whenever the room is
// used up. So a delay is off by 1/128 of the span of the batch's times at
// most, as long as they ascend more or less. The zero value is ready.
type Stamps struct {
	runs   [maxStamps]run
	n      int
	within int64 // microseconds; times of a run differ by less than 2*within
}

// run is n times of which micros is the first.
type run struct{ micros, n int64 }

// Add notes a time in microseconds since 1970. Times are untrusted: one that is
// tens of thousands of years off counts as that.
func (s *Stamps) Add(micros int64) {
	const far = 1 << 60 // differences then stay in range
	s.add(run{min(max(micros, -far), far), 1})
}

// AddMillis notes a record's timestamp, in milliseconds since 1970. One below
// zero is none: Kafka writes -1 where a producer gave no time.
func (s *Stamps) AddMillis(ms int64) {
	const far = 1 << 50
	if ms >= 0 {
		s.Add(min(ms, far) * 1000)
	}
}

// Newest is the newest of the times as far as it is kept, 0 without any.
func (s *Stamps) Newest() (micros int64) {
	for _, r := range s.runs[:s.n] {
		micros = max(micros, r.micros)
	}
	return micros
}

// Reset forgets all.
func (s *Stamps) Reset() { s.n, s.within = 0, 0 }

func (s *Stamps) add(r run) {
	if s.n > 0 {
		last := &s.runs[s.n-1]
		if d := r.micros - last.micros; d <= s.within && d >= -s.within {
			last.n += r.n
			return
		}
	}
	if s.n == maxStamps {
		s.thin()
		s.add(r)
		return
	}
	s.runs[s.n] = r
	s.n++
}

// thin doubles how close is close until half the room is free.
func (s *Stamps) thin() {
	for s.n > maxStamps/2 {
		s.within = max(2*s.within, 1000)
		old := s.runs
		n := s.n
		s.n = 0
		for _, r := range old[:n] {
			s.add(r)
		}
	}
}

// ObserveSince counts the delay from each of the times to now.
func (h *Histogram) ObserveSince(s *Stamps, now time.Time) {
	micros := now.UnixMicro()
	for _, r := range s.runs[:s.n] {
		const longest = 1 << 52 // 142 years, which a time.Duration can hold
		h.ObserveN(time.Duration(min(max(micros-r.micros, 0), longest))*time.Microsecond, int(r.n))
	}
}
