package sinktest_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/rpc"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/sink/sinktest"
)

// variant is how a sink of memory delivers, and what is wrong with it.
type variant struct {
	delivery sink.Delivery
	resumes  bool
	bug      string
	kinds    []record.Kind // nil: all that are not nested
}

type connection struct {
	Address  string      `yaml:"address"`
	Password sink.Secret `yaml:"password"`
}

func (c *connection) Validate() error {
	if c.Address == "" {
		return &sink.FieldError{Path: "address", Message: "is missing"}
	}
	return nil
}

type options struct {
	Table string `yaml:"table"`
}

func (o *options) Validate() error {
	if o.Table == "" {
		return &sink.FieldError{Path: "table", Message: "is missing"}
	}
	return nil
}

const example = `connections:
  lab:
    memory:
      address: "127.0.0.1:1"
      password: "${env:PASSWORD}"
---
sink: kept
from: events
fields: {id: id}
memory:
  connection: lab
  table: kept
`

var areas atomic.Int64

// target is a sink of a variant on a server of its own.
func (v variant) target(t testing.TB) sinktest.Target {
	m := startMemory(t, v.bug)
	if v.kinds == nil {
		v.kinds = []record.Kind{record.Bool, record.Int, record.Uint, record.Float, record.Decimal, record.Timestamp, record.String, record.Bytes, record.JSON}
	}
	spec := sink.Spec{
		Type: "memory", Summary: "rows in memory", Delivery: v.delivery, Grouped: true, Example: []byte(example),
		Kinds:      v.kinds,
		Batch:      sink.Batch{Rows: 1, Bytes: 1, Age: 1},
		Connection: func() sink.Options { return &connection{} },
		Options:    func() sink.Options { return &options{} },
		Open:       v.open,
	}
	return sinktest.Target{
		Spec: spec, Server: m.addr, Kill: m.Kill, Start: func(context.Context) error { return m.Start() },
		Load: func(paths []string) error {
			if len(paths) != 3 {
				return fmt.Errorf("%d files", len(paths))
			}
			return nil
		},
		New: func(t testing.TB, need sinktest.Need) sinktest.Destination {
			name := fmt.Sprint("area ", areas.Add(1))
			return sinktest.Destination{
				Conn: &connection{Address: need.Address}, Options: &options{Table: name},
				Rows: func(context.Context) ([]sinktest.Row, error) { return decode(need.Schema, m.rows(name)), nil },
			}
		},
	}
}

// memSink is the sink's side.
type memSink struct {
	variant
	config sink.Config
	conn   *connection
	table  string
}

func (v variant) open(ctx context.Context, c sink.Config) (sink.Sink, error) {
	s := &memSink{v, c, c.Conn.(*connection), c.Options.(*options).Table}
	for _, f := range c.Schema.Fields {
		if !slices.Contains(v.kinds, f.Type.Kind) && v.bug != "takes every kind" {
			return nil, sink.Permanent(fmt.Errorf("field %s is a %s", f.Name, f.Type))
		}
	}
	if s.conn.Password.Set() && v.bug == "shows secrets" {
		c.Log.Info("connecting", "password", s.conn.Password.Reveal())
	}
	if _, err := s.call(ctx, "Ping", &Request{}); err != nil {
		if v.bug == "gives up without a server" {
			return nil, sink.Permanent(err)
		}
		return nil, err
	}
	return s, nil
}

func (s *memSink) Close() error { return nil }

// call makes one request on a connection of its own.
func (s *memSink) call(ctx context.Context, method string, q *Request) (*Answer, error) {
	q.Area, q.Sink, q.Delivery, q.Resumes = s.table, s.config.ID(), s.delivery, s.resumes
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.conn.Address)
	if err != nil {
		return nil, sink.Refused(err)
	}
	client := rpc.NewClient(conn)
	defer client.Close()
	r := &Answer{}
	done := ctx.Done()
	if s.bug == "ignores its context" {
		done = nil
	}
	call := client.Go("Memory."+method, q, r, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return r, call.Error
	case <-done:
		return nil, ctx.Err()
	}
}

func (s *memSink) Claim(ctx context.Context, c sink.Claim) (sink.Writer, sink.Found, error) {
	r, err := s.call(ctx, "Claim", &Request{Claim: c})
	if err != nil {
		return nil, sink.Found{}, err
	}
	w := &memWriter{s: s, claim: c, owner: rand.Text()}
	if s.bug == "leaves a goroutine" {
		go func() { time.Sleep(time.Hour) }()
	}
	if s.resumes {
		return &resumer{w}, r.Found, nil
	}
	return w, r.Found, nil
}

type memWriter struct {
	s     *memSink
	claim sink.Claim
	owner string
	kept  []*record.Chunk // of a mutant
	rows  [][]cell
	size  int64
}

func (w *memWriter) Append(ctx context.Context, c *record.Chunk) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if w.s.bug == "keeps chunks" {
		w.kept = append(w.kept, c)
		w.size += c.Size()
		return w.size, nil
	}
	rows, bad := w.encode(c)
	if bad != nil {
		if w.s.bug == "keeps rows of a refused chunk" {
			w.rows = append(w.rows, rows...)
		}
		return 0, &sink.RowsError{Rows: bad}
	}
	w.rows = append(w.rows, rows...)
	w.size += c.Size()
	if w.s.bug == "does not say what it holds" {
		return 0, nil
	}
	return w.size, nil
}

// encode makes cells of a chunk, and finds the rows that cannot be.
func (w *memWriter) encode(c *record.Chunk) (rows [][]cell, bad []sink.RowError) {
	n := c.Rows()
	if w.s.bug == "drops the last row" && n > 1 {
		n--
	}
	for i := range n {
		row := make([]cell, len(c.Columns))
		reason := ""
		for k := range c.Columns {
			cause := ""
			if row[k], cause = w.cell(&c.Columns[k], i); cause != "" && reason == "" {
				reason = fmt.Sprintf("field %s: %s", c.Schema.Fields[k].Name, cause)
			}
		}
		if reason == "" {
			rows = append(rows, row)
			continue
		}
		offset := c.Offsets[i]
		switch w.s.bug {
		case "blames the wrong row":
			offset--
		case "shows what it refuses":
			reason += ": " + string(row[1].Text)
		}
		bad = append(bad, sink.RowError{Partition: c.Partition, Offset: offset, Reason: reason})
	}
	return rows, bad
}

func (w *memWriter) cell(c *record.Column, i int) (cell, string) {
	if c.Null(i) {
		if w.s.bug == "swaps null and zero" {
			return cell{Text: []byte("0")}, ""
		}
		return cell{Null: true}, ""
	}
	text := ""
	switch c.Type.Kind {
	case record.Bool:
		text = strconv.FormatBool(c.Bool(i))
	case record.Int:
		text = strconv.FormatInt(c.Ints[i], 10)
	case record.Timestamp:
		v := c.Ints[i]
		if w.s.bug == "cuts times to milliseconds" {
			v -= v % 1000
		}
		text = strconv.FormatInt(v, 10)
	case record.Uint:
		text = strconv.FormatUint(c.Uints[i], 10)
	case record.Float:
		if text = strconv.FormatFloat(c.Floats[i], 'g', -1, 64); math.IsNaN(c.Floats[i]) {
			return cell{}, "not a number"
		}
	case record.Decimal:
		text = c.Decimals[i].String(int(c.Type.Scale))
		if w.s.bug == "takes decimals for floats" {
			text = strconv.FormatFloat(c.Decimals[i].Float(int(c.Type.Scale)), 'f', -1, 64)
		}
	default:
		b := c.Bytes(i)
		out := cell{Text: append([]byte{}, b...)}
		switch {
		case c.Type.Kind == record.Bytes:
		case !utf8.Valid(b):
			return out, "not UTF-8"
		case c.Type.Kind == record.JSON && !json.Valid(b):
			return out, "not JSON"
		}
		if w.s.bug == "cuts long texts" {
			out.Text = out.Text[:min(len(out.Text), 65535)]
		}
		return out, ""
	}
	return cell{Text: []byte(text)}, ""
}

func (w *memWriter) request(c record.Cut, token string) *Request {
	for _, k := range w.kept {
		rows, _ := w.encode(k)
		w.rows = append(w.rows, rows...)
	}
	w.kept = nil
	return &Request{Claim: w.claim, Cut: c, Owner: w.owner, Token: token, Rows: w.rows}
}

func (w *memWriter) Stage(ctx context.Context, c record.Cut) (string, error) {
	if w.s.bug == "shows what is staged" {
		_, err := w.s.call(ctx, "Stage", w.request(c, ""))
		return "", err
	}
	if w.s.bug == "makes long tokens" {
		return rand.Text() + rand.Text() + rand.Text(), nil
	}
	return "", ctx.Err()
}

func (w *memWriter) Commit(ctx context.Context, c record.Cut, token string) error {
	q := w.request(c, token)
	if w.s.bug == "commits in two steps" {
		q.Only = "rows"
		if _, err := w.s.call(ctx, "Commit", q); err != nil {
			return err
		}
		q.Only = "position"
	}
	r, err := w.s.call(ctx, "Commit", q)
	if err != nil {
		return w.failed(ctx, c, err)
	}
	if r.Stale != "" {
		return sink.Stale(r.Stale)
	}
	if r.Gone {
		return sink.Refused(errors.New("it was fenced"))
	}
	w.rows, w.size = nil, 0
	return nil
}

// failed is what became of a commit without an answer.
func (w *memWriter) failed(ctx context.Context, c record.Cut, err error) error {
	switch w.s.bug {
	case "marks everything refused":
		return sink.Refused(err)
	case "takes errors for success":
		return nil
	case "logs what it returns":
		w.s.config.Log.LogAttrs(ctx, slog.LevelError, "commit", slog.Any("error", err))
	case "blames rows for the network":
		return &sink.RowsError{Rows: []sink.RowError{{Partition: c.Partition, Offset: c.Ranges[0].First, Reason: "whatever"}}}
	}
	return err
}

func (w *memWriter) Close() error { return nil }

// resumer is a writer whose token decides what becomes visible.
type resumer struct{ *memWriter }

func (w *resumer) Stage(ctx context.Context, c record.Cut) (string, error) {
	token := rand.Text()
	_, err := w.s.call(ctx, "Stage", w.request(c, token))
	return token, err
}

func (w *resumer) Resume(ctx context.Context, c record.Cut, token string) (sink.Outcome, error) {
	r, err := w.s.call(ctx, "Resume", &Request{Claim: w.claim, Cut: c, Token: token})
	if err != nil {
		return 0, err
	}
	return r.Outcome, nil
}

// decode makes values of cells.
func decode(s *record.Schema, rows [][]cell) []sinktest.Row {
	all := make([]sinktest.Row, len(rows))
	for i, r := range rows {
		all[i] = make(sinktest.Row, len(r))
		for k, c := range r {
			switch {
			case c.Null:
			case s.Fields[k].Type.Kind == record.Timestamp:
				v, _ := strconv.ParseInt(string(c.Text), 10, 64) // a mutant's
				all[i][k] = v
			default:
				all[i][k] = string(c.Text)
			}
		}
	}
	return all
}

func TestAtomic(t *testing.T) { sinktest.Run(t, variant{delivery: sink.Atomic}.target(t)) }
func TestReplay(t *testing.T) { sinktest.Run(t, variant{delivery: sink.Replay}.target(t)) }
func TestResume(t *testing.T) {
	sinktest.Run(t, variant{delivery: sink.Replay, resumes: true}.target(t))
}

// TestFewKinds: a sink need not take much.
func TestFewKinds(t *testing.T) {
	sinktest.Run(t, variant{delivery: sink.Replay, kinds: []record.Kind{record.String}}.target(t))
	sinktest.Run(t, variant{delivery: sink.Atomic, kinds: []record.Kind{record.Float, record.Int}}.target(t))
}

func TestAtLeastOnce(t *testing.T) {
	sinktest.Run(t, variant{delivery: sink.AtLeastOnce, bug: "doubles on retry"}.target(t))
}
