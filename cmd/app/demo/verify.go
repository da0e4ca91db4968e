package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// SinkResult is what the check found in one sink.
type SinkResult struct {
	Name     string `json:"name"`
	Rows     int    `json:"rows"`
	Expected int    `json:"expected"`
	Missing  int    `json:"missing"`
	Doubled  int    `json:"doubled"`
	Wrong    int    `json:"wrong"` // rows that are not what was produced

	P50 float64 `json:"p50_seconds"` // from Kafka's acknowledgement to the row
	P99 float64 `json:"p99_seconds"`
}

func (r SinkResult) ok() bool { return r.Missing == 0 && r.Doubled == 0 && r.Wrong == 0 }

// tally counts how often each event was seen.
type tally struct {
	seen   []uint8
	result SinkResult
}

func newTally(name string, events int) *tally {
	return &tally{seen: make([]uint8, events), result: SinkResult{Name: name}}
}

// row notes one row by its event's id; false: there is no such event.
func (t *tally) row(id string) (event, bool) {
	t.result.Rows++
	i, err := strconv.Atoi(strings.TrimPrefix(id, "ev-"))
	if err != nil || i < 0 || i >= len(t.seen) {
		t.result.Wrong++
		return event{}, false
	}
	if t.seen[i] > 0 {
		t.result.Doubled++
	}
	t.seen[i] = 1
	return make1(i), true
}

// finish compares with what should be there.
func (t *tally) finish(want func(event) bool) SinkResult {
	for i := range t.seen {
		if !want(make1(i)) {
			if t.seen[i] != 0 {
				t.result.Wrong++
			}
			continue
		}
		t.result.Expected++
		if t.seen[i] == 0 {
			t.result.Missing++
		}
	}
	return t.result
}

// verifyEvents reads every file of the archive.
func verifyEvents(dir string, events int) (SinkResult, error) {
	t := newTally("events", events)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !batchName.MatchString(d.Name()) {
			return err
		}
		return t.file(path)
	})
	return t.finish(func(event) bool { return true }), err
}

func (t *tally) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	z, err := zstd.NewReader(f)
	if err != nil {
		return err
	}
	defer z.Close()
	lines := bufio.NewScanner(z)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		var row struct {
			ID      string    `json:"id"`
			Time    time.Time `json:"time"`
			Type    string    `json:"type"`
			Server  string    `json:"server"`
			Payload struct {
				Campaign int64       `json:"campaign_id"`
				URL      string      `json:"url"`
				Cost     json.Number `json:"cost"`
				Amount   json.Number `json:"amount"`
			} `json:"payload"`
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		e, ok := t.row(row.ID)
		if !ok {
			continue
		}
		p := row.Payload
		same := row.Time.UnixMicro() == e.time && row.Type == kinds[e.kind] && row.Server == "ads-"+strconv.Itoa(e.server) && p.Campaign == e.campaign
		switch e.kind {
		case impression, click:
			same = same && p.URL == e.url && equalDecimal(p.Cost.String(), e.cost, 6)
		case deposit:
			same = same && equalDecimal(p.Amount.String(), e.amount, 2)
		}
		if !same {
			t.result.Wrong++
		}
	}
	return lines.Err()
}

// equalDecimal compares a decimal's text with an unscaled number, exactly.
func equalDecimal(text string, unscaled int64, scale int) bool {
	got, ok := new(big.Rat).SetString(text)
	if !ok {
		return false
	}
	den := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)
	return got.Cmp(new(big.Rat).SetFrac(big.NewInt(unscaled), den)) == 0
}

// verifyStats reads every row of campaign_stats.
func verifyStats(ctx context.Context, file string, events int) (SinkResult, error) {
	t := newTally("campaign_stats", events)
	db, err := openRead(file)
	if err != nil {
		return t.result, err
	}
	defer db.Close() //nolint:errcheck // read only
	rows, err := db.QueryContext(ctx, `SELECT event_id, time, type, campaign_id, country, cost FROM campaign_stats`)
	if err != nil {
		return t.result, err
	}
	defer rows.Close() //nolint:errcheck // Err is looked at below
	for rows.Next() {
		var id, at, kind, country, cost string
		var campaign int64
		if err := rows.Scan(&id, &at, &kind, &campaign, &country, &cost); err != nil {
			return t.result, err
		}
		e, ok := t.row(id)
		if !ok {
			continue
		}
		if !equalTime(at, e.time) || kind != kinds[e.kind] || campaign != e.campaign || country != e.country || !equalDecimal(cost, e.cost, 6) {
			t.result.Wrong++
		}
	}
	return t.finish(func(e event) bool { return e.kind == impression || e.kind == click }), rows.Err()
}

func equalTime(text string, micros int64) bool {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999"} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UnixMicro() == micros
		}
	}
	return false
}

// balance is what one campaign should have.
type balance struct {
	sum    int64 // millionths
	events int64
	last   int64 // microseconds
}

// verifyBalances compares every balance with the sum of its events.
func verifyBalances(ctx context.Context, file string, events int) (r SinkResult, equal bool, err error) {
	want := map[int64]*balance{}
	for i := range events {
		e := make1(i)
		if e.kind == conversion {
			continue
		}
		b := want[e.campaign]
		if b == nil {
			b = &balance{}
			want[e.campaign] = b
		}
		b.sum += e.delta()
		b.events++
		b.last = max(b.last, e.time)
	}
	r = SinkResult{Name: "balances", Expected: len(want)}
	db, err := openRead(file)
	if err != nil {
		return r, false, err
	}
	defer db.Close() //nolint:errcheck // read only
	rows, err := db.QueryContext(ctx, `SELECT campaign_id, balance, events, last_at FROM balances`)
	if err != nil {
		return r, false, err
	}
	defer rows.Close() //nolint:errcheck // Err is looked at below
	for rows.Next() {
		var campaign, n int64
		var sum, last string
		if err := rows.Scan(&campaign, &sum, &n, &last); err != nil {
			return r, false, err
		}
		r.Rows++
		b := want[campaign]
		switch {
		case b == nil:
			r.Wrong++
			continue
		case !equalDecimal(sum, b.sum, 6) || n != b.events || !equalTime(last, b.last):
			r.Wrong++
		}
		delete(want, campaign)
	}
	r.Missing = len(want)
	return r, r.ok(), rows.Err()
}
