package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// table is what both programs fill. Sluice's has its provenance columns too,
// and remembers tokens.
const table = `CREATE TABLE %s (id String, time DateTime64(3, 'UTC'), type LowCardinality(String), campaign_id Int64, publisher_id Int64,
country LowCardinality(String), os LowCardinality(String), device LowCardinality(String), price Float64, cost Float64%s)
ENGINE = MergeTree ORDER BY (type, campaign_id, time)%s`

// ceiling measures the ceiling program.
func (s *servers) ceiling(ctx context.Context, task, format string, n int, want truth) (figures, error) {
	if err := s.empty(ctx, "ceiling", fmt.Sprintf(table, "ceiling", "", "")); err != nil {
		return figures{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return figures{}, err
	}
	args := []string{"ceiling", "--kafka", s.kafka.Addr(), "--clickhouse", s.clickhouse.Addr(), "--table", "ceiling", "--format", format}
	if task == "T2" {
		args = append(args, "--some")
	}
	c := exec.CommandContext(ctx, self, args...)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		return figures{}, err
	}
	rate, err := s.watch(ctx, "ceiling", want.rows)
	if e := c.Wait(); err == nil {
		err = e
	}
	if err != nil {
		return figures{}, err
	}
	return s.figures(ctx, c, "ceiling", n, rate, want)
}

// figures checks the table and reads what the system counted for a child that
// has ended.
func (s *servers) figures(ctx context.Context, c *exec.Cmd, name string, n int, rate float64, want truth) (figures, error) {
	got, err := s.clickhouse.Query(ctx, "SELECT count(), sum(campaign_id), toInt64(sum(round(cost * 10000))) FROM "+name)
	if err != nil {
		return figures{}, err
	}
	if has, should := strings.Fields(got), fmt.Sprint(want.rows, want.campaigns, int64(want.cost)); strings.Join(has, " ") != should {
		return figures{}, fmt.Errorf("table %s has count and sums %v, want %s", name, has, should)
	}
	usage := c.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	return figures{Rate: rate, CPU: cpu.Seconds() / float64(n) * 1e6, Memory: float64(usage.Maxrss) / 1024}, nil
}

// watch polls a table until it has all rows, and returns the rate of rows from
// when the first were seen to when nine tenths were: without the start of a
// program, and without the last blocks, which are not full.
func (s *servers) watch(ctx context.Context, name string, rows int64) (rate float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var first time.Time
	var had int64
	for {
		got, err := s.clickhouse.Query(ctx, "SELECT count() FROM "+name)
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(got), 10, 64)
		if err != nil {
			return 0, err
		}
		switch now := time.Now(); {
		case n > 0 && first.IsZero():
			first, had = now, n
		case n >= rows*9/10 && n > had && rate == 0:
			rate = float64(n-had) / now.Sub(first).Seconds()
		}
		if n >= rows {
			return rate, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%d of %d rows: %w", n, rows, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *servers) empty(ctx context.Context, name, create string) error {
	if err := s.clickhouse.Exec(ctx, "DROP TABLE IF EXISTS "+name+" SYNC"); err != nil {
		return err
	}
	return s.clickhouse.Exec(ctx, create)
}

// build builds the program as its users do.
func (s *servers) build(ctx context.Context) error {
	c := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(s.folder, "sluice"), "github.com/sluicekit/sluice/cmd/sluice")
	c.Stderr = os.Stderr
	return c.Run()
}

// streams is the configuration of one run: brokers, topic, group, format, what
// the format needs, the server and the where.
const streams = `streams:
  ads:
    kafka: {brokers: ["%s"], topics: [%s], group: %s}
    format: %s
    %s
connections:
  house: {clickhouse: {address: ["%s"], compression: none}}
---
sink: ads
from: ads
%s
start: earliest
fields:
  id: id
  time: time
  type: type
  campaign_id: payload.campaign_id
  publisher_id: payload.publisher_id
  country: payload.country
  os: payload.os
  device: payload.device
  price: payload.price
  cost: payload.cost
clickhouse: {connection: house, table: sluice}
`

// asAvro and asJSON are what a stream says of its events.
const (
	asAvro = "schema: schema.avsc"
	asJSON = `types: {id: string, time: timestamp(ms), type: string, payload.campaign_id: int, payload.publisher_id: int,
      payload.country: string, payload.os: string, payload.device: string, payload.price: float, payload.cost: float}`
)

// product measures Sluice.
func (s *servers) product(ctx context.Context, run, task, format string, n int, want truth) (figures, error) {
	provenance := ", _sink LowCardinality(String), _incarnation LowCardinality(String), _topic LowCardinality(String), _partition Int32, _offset Int64"
	if err := s.empty(ctx, "sluice", fmt.Sprintf(table, "sluice", provenance, " SETTINGS non_replicated_deduplication_window = 10000")); err != nil {
		return figures{}, err
	}
	folder := filepath.Join(s.folder, run)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return figures{}, err
	}
	how, where := asJSON, ""
	if format == "avro" {
		how = asAvro
	}
	if task == "T2" {
		where = `where: type in ["click", "conversion"]`
	}
	text := fmt.Sprintf(streams, s.kafka.Addr(), topicOf(format), run, format, how, s.clickhouse.Addr(), where)
	if err := os.WriteFile(filepath.Join(folder, "ads.yaml"), []byte(text), 0o600); err != nil {
		return figures{}, err
	}
	if err := os.WriteFile(filepath.Join(folder, "schema.avsc"), []byte(schema), 0o600); err != nil {
		return figures{}, err
	}
	c := exec.CommandContext(ctx, filepath.Join(s.folder, "sluice"), "run", "-c", folder)
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Start(); err != nil {
		return figures{}, err
	}
	rate, err := s.watch(ctx, "sluice", want.rows)
	if e := c.Process.Signal(syscall.SIGTERM); err == nil {
		err = e
	}
	if e := c.Wait(); err == nil {
		err = e
	}
	if err != nil {
		return figures{}, fmt.Errorf("%w; it said:\n%s", err, said.String())
	}
	return s.figures(ctx, c, "sluice", n, rate, want)
}
