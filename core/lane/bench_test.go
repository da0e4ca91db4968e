package lane_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/telemetry"
)

// endless gives one decoded chunk over and over, under new offsets.
type endless struct {
	chunk *record.Chunk
	left  int // chunks
	done  func()
}

func (f *endless) Next(ctx context.Context, at, _ []int64) (*lane.Chunk, error) {
	if f.left == 0 {
		f.done()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	f.left--
	c := f.chunk
	n := int64(c.Rows())
	c.First, c.Next = at[0], at[0]+n
	for i := range c.Offsets {
		c.Offsets[i] = at[0] + int64(i)
	}
	return &lane.Chunk{Chunk: c, Release: func() {}}, nil
}

func (f *endless) Start(context.Context, lane.RecordState) ([]int64, error) { return []int64{0}, nil }
func (f *endless) Raw(context.Context, int, []int64) ([]lane.Letter, error) { return nil, nil }
func (f *endless) High() []int64                                            { return []int64{-1} }

// drain is a destination that takes everything and keeps nothing.
type drain struct{ rows int }

func (d *drain) Claim(context.Context, sink.Claim) (sink.Writer, sink.Found, error) {
	return d, sink.Found{State: sink.Empty, High: []int64{-1}}, nil
}

func (d *drain) Append(_ context.Context, c *record.Chunk) (int64, error) {
	d.rows += c.Rows()
	return 0, nil
}
func (d *drain) Stage(context.Context, record.Cut) (string, error) { return "", nil }
func (d *drain) Commit(context.Context, record.Cut, string) error  { return nil }
func (d *drain) Close() error                                      { return nil }

// trusting is a ledger and a membership that agree to everything.
type trusting struct{}

func (trusting) Put(context.Context, ledger.Entry) error { return nil }
func (trusting) Note(ledger.Entry)                       {}
func (trusting) Known(context.Context) (bool, error)     { return true, nil }
func (trusting) Heartbeat(context.Context) error         { return nil }

// BenchmarkLane carries decoded chunks through where, fields and the protocol
// into nothing; an op is one record.
func BenchmarkLane(b *testing.B) {
	events, err := decode.Open(b.Context(), decode.Options{Format: decode.JSON, Types: map[string]decode.Declared{
		"payload.campaign_id": {Type: record.Type{Kind: record.Int}},
		"payload.cost":        {Type: record.Type{Kind: record.Decimal, Precision: 18, Scale: 6}},
		"payload.country":     {Type: record.Type{Kind: record.String}},
	}})
	if err != nil {
		b.Fatal(err)
	}
	p, problems := plan.Compile(plan.Spec{
		Where: `type in ["impression", "click"] and payload.campaign_id > 0`,
		Fields: []plan.Field{{Name: "id", Expr: "id"}, {Name: "time", Expr: "time"}, {Name: "campaign_id", Expr: "payload.campaign_id"},
			{Name: "country", Expr: "payload.country"}, {Name: "cost", Expr: "payload.cost"}},
	}, events)
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	d, err := events.NewDecoder(p.Wants())
	if err != nil {
		b.Fatal(err)
	}
	const rows = 4096
	chunk := record.NewChunk(d.Schema())
	for i := range rows {
		v := fmt.Sprintf(`{"id":"e%06d","time":"2026-01-01T00:00:00Z","type":%q,"server":"s","payload":{"campaign_id":%d,"cost":0.012345,"country":"DE"}}`,
			i, []string{"impression", "click", "deposit"}[i%3], i)
		if err := d.Append(b.Context(), chunk, int64(i), 0, []byte(v)); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	feed := &endless{chunk: chunk, left: b.N/rows + 1, done: cancel}
	b.ReportAllocs()
	b.ResetTimer()
	err = lane.Run(ctx, lane.Config{
		ID: "bench@drain", Sink: &drain{}, Claim: sink.Claim{Topic: "t", Partitions: 1}, Delivery: sink.Replay, Plan: p, Have: p.Wants(),
		Batch: sink.Batch{Rows: 100_000, Age: time.Minute}, Timeout: time.Minute, Session: time.Minute,
		Feed: feed, Book: trusting{}, Member: trusting{}, Meter: telemetry.NewRegistry().Lane(telemetry.LaneID{}), Log: slog.New(slog.DiscardHandler),
	}, make(chan struct{}))
	if err != nil {
		b.Fatal(err)
	}
}
