package telemetry

import (
	"encoding/json"
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// The buckets of every Histogram: bucket 0 takes up to 64 µs, and each power of
// two above that is parted in four, so that a quantile is off by an eighth at
// most. The last bucket takes everything from 2^42 µs (51 days) on.
const (
	firstBits = 6 // 2^6 µs
	lastBits  = 42
	perPower  = 4
	buckets   = (lastBits-firstBits)*perPower + 2
)

// Histogram counts durations in fixed buckets. Its zero value is ready, it
// takes 1.2 kB, and observing is two atomic operations.
type Histogram struct {
	counts [buckets]atomic.Int64
	sum    atomic.Uint64 // seconds, the bits of a float64: event times are untrusted, and an integer would run over
}

// Observe counts one duration. One below zero (clocks differ) counts as zero.
func (h *Histogram) Observe(d time.Duration) { h.ObserveN(d, 1) }

// ObserveN counts n equal durations.
func (h *Histogram) ObserveN(d time.Duration, n int) {
	us := max(d.Microseconds(), 0)
	h.counts[bucketOf(us)].Add(int64(n))
	for {
		old := h.sum.Load()
		sum := math.Float64frombits(old) + float64(us)*float64(n)/1e6
		if h.sum.CompareAndSwap(old, math.Float64bits(sum)) {
			return
		}
	}
}

// Snapshot copies the counts.
func (h *Histogram) Snapshot() HistogramSnapshot {
	var s HistogramSnapshot
	for i := range h.counts {
		if n := h.counts[i].Load(); n != 0 {
			s.add(i, n)
		}
	}
	s.Sum = math.Float64frombits(h.sum.Load())
	return s
}

// HistogramSnapshot is a copy of a Histogram. Its zero value is empty.
type HistogramSnapshot struct {
	Count  int64         `json:"count"`
	Sum    float64       `json:"sum_seconds"`
	Counts map[int]int64 `json:"counts,omitempty"` // by bucket, those with anything in them
}

// MarshalJSON adds the median and the 99th percentile, for people.
func (s HistogramSnapshot) MarshalJSON() ([]byte, error) {
	type plain HistogramSnapshot
	return json.Marshal(struct {
		P50 float64 `json:"p50_seconds"`
		P99 float64 `json:"p99_seconds"`
		plain
	}{s.Quantile(0.5).Seconds(), s.Quantile(0.99).Seconds(), plain(s)})
}

func (s *HistogramSnapshot) add(bucket int, n int64) {
	if s.Counts == nil {
		s.Counts = map[int]int64{}
	}
	s.Counts[bucket] += n
	s.Count += n
}

// Merge adds what o counted.
func (s *HistogramSnapshot) Merge(o HistogramSnapshot) {
	for i, n := range o.Counts {
		s.add(i, n)
	}
	s.Sum += o.Sum
}

// Quantile is the duration that a share q of the observations (0 to 1) does not
// exceed, interpolated within its bucket; 0 when there are none.
func (s HistogramSnapshot) Quantile(q float64) time.Duration {
	if s.Count == 0 {
		return 0
	}
	rank := min(max(q, 0), 1) * float64(s.Count)
	seen := 0.0
	last := 0
	for i := range buckets {
		n := float64(s.Counts[i])
		if n == 0 {
			continue
		}
		if seen+n >= rank {
			low, high := lowerBound(i), upperBound(i)
			if high == math.MaxInt64 {
				return time.Duration(low) * time.Microsecond
			}
			return time.Duration(float64(low)+(rank-seen)/n*float64(high-low)) * time.Microsecond
		}
		seen += n
		last = i
	}
	return time.Duration(lowerBound(last)) * time.Microsecond
}

func bucketOf(us int64) int {
	if us < 1<<firstBits {
		return 0
	}
	power := bits.Len64(uint64(us)) - 1
	if power >= lastBits {
		return buckets - 1
	}
	quarter := int(us>>(power-2)) & (perPower - 1)
	return 1 + (power-firstBits)*perPower + quarter
}

// lowerBound is the least number of microseconds that falls into a bucket.
func lowerBound(bucket int) int64 {
	if bucket == 0 {
		return 0
	}
	power, quarter := firstBits+(bucket-1)/perPower, int64((bucket-1)%perPower)
	return (perPower + quarter) << (power - 2)
}

// upperBound is the least number of microseconds that no longer does.
func upperBound(bucket int) int64 {
	if bucket == buckets-1 {
		return math.MaxInt64
	}
	return lowerBound(bucket + 1)
}
