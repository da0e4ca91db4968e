package demo

import (
	"context"
	"database/sql"
	"io/fs"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// watch looks at what is at the destinations, as an analyst would, and measures
// how long records took from Kafka's acknowledgement until they were rows.
type watch struct {
	sinks []*watched
}

type watched struct {
	name     string
	position func(ctx context.Context) ([partitions]int64, error)
	at       [partitions]int64
	delays   delays
}

func newWatch(l layout) *watch {
	return &watch{sinks: []*watched{
		{name: "events", position: func(context.Context) ([partitions]int64, error) { return filePositions(l.archive()) }},
		{name: "campaign_stats", position: func(ctx context.Context) ([partitions]int64, error) {
			return rowPositions(ctx, l.stats(), "campaign_stats@stats")
		}},
		{name: "balances", position: func(ctx context.Context) ([partitions]int64, error) {
			return rowPositions(ctx, l.billing(), "balances@billing")
		}},
	}}
}

// look notes how far every sink is now. A destination that is not there yet is
// at the beginning.
func (w *watch) look(ctx context.Context, p *producer) {
	for _, s := range w.sinks {
		at, err := s.position(ctx)
		now := time.Now()
		if err != nil {
			continue
		}
		for i := range at {
			if at[i] > s.at[i] {
				p.delays(i, s.at[i], at[i], now, s.delays.add)
				s.at[i] = at[i]
			}
		}
	}
}

// least is how many records the slowest sink has settled.
func (w *watch) least() int64 {
	least := int64(math.MaxInt64)
	for _, s := range w.sinks {
		n := int64(0)
		for _, o := range s.at {
			n += o
		}
		least = min(least, n)
	}
	return least
}

// rowPositions reads the table in which a SQL sink keeps its positions.
func rowPositions(ctx context.Context, file, sink string) (out [partitions]int64, err error) {
	db, err := openRead(file)
	if err != nil {
		return out, err
	}
	defer db.Close() //nolint:errcheck // read only
	rows, err := db.QueryContext(ctx, `SELECT kafka_partition, next_offset FROM sluice_positions WHERE sink = ?`, sink)
	if err != nil {
		return out, err
	}
	defer rows.Close() //nolint:errcheck // Err is looked at below
	for rows.Next() {
		var partition int
		var next int64
		if err := rows.Scan(&partition, &next); err != nil {
			return out, err
		}
		if partition >= 0 && partition < partitions {
			out[partition] = next
		}
	}
	return out, rows.Err()
}

func openRead(file string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+file+"?mode=ro&_pragma=busy_timeout(2000)")
}

// batchName is the range in the name of a file of the sink `files`.
var batchName = regexp.MustCompile(`^ad-events-(\d+)-(\d{20})-(\d{20})-`)

// filePositions takes the ends of the ranges in the files' names.
func filePositions(dir string) (out [partitions]int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		m := batchName.FindStringSubmatch(d.Name())
		if m == nil {
			return nil
		}
		partition, _ := strconv.Atoi(m[1])
		next, _ := strconv.ParseInt(m[3], 10, 64)
		if partition < partitions {
			out[partition] = max(out[partition], next)
		}
		return nil
	})
	return out, err
}

// delays are how long records took.
type delays struct {
	runs []delay
	n    int64
}

type delay struct {
	d time.Duration
	n int64
}

func (d *delays) add(took time.Duration, n int64) {
	d.runs = append(d.runs, delay{took, n})
	d.n += n
}

// quantile is the delay that a share q of the records did not exceed.
func (d *delays) quantile(q float64) time.Duration {
	slices.SortFunc(d.runs, func(a, b delay) int { return int(a.d - b.d) })
	rank := int64(math.Ceil(q * float64(d.n)))
	for _, r := range d.runs {
		if rank -= r.n; rank <= 0 {
			return r.d
		}
	}
	return 0
}
