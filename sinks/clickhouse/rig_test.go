package clickhouse_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/clickhouse"
)

// rig is a sink on a database of its own.
type rig struct {
	testing.TB
	server   *stack.ClickHouseServer
	database string
	schema   *record.Schema
	conn     *clickhouse.Connection
	options  *clickhouse.Options
	config   sink.Config
}

func newRig(t testing.TB, c *stack.ClickHouseServer, fields ...record.Field) *rig {
	t.Helper()
	r := &rig{TB: t, server: c, database: newDatabase(t, c), schema: &record.Schema{Fields: fields}}
	r.conn, r.options = connection(c.Addr(), r.database), clickhouse.Spec().Options().(*clickhouse.Options)
	r.conn.Compression = "none"
	r.options.Table = "t"
	r.config = sink.Config{Name: "s", Connection: "c", Schema: r.schema, Conn: r.conn, Options: r.options, Timeout: 30 * time.Second,
		Delivery: sink.Replay, Log: slog.New(slog.DiscardHandler)}
	return r
}

func field(name string, kind record.Kind) record.Field {
	return record.Field{Name: name, Type: record.Type{Kind: kind}, Nullable: true}
}

// exec runs a statement, in which $ stands for the database.
func (r *rig) exec(statement string) { r.Helper(); r.query(statement) }

func (r *rig) query(statement string) string {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	text, err := r.server.Query(ctx, strings.ReplaceAll(statement, "$", r.database))
	if err != nil {
		r.Fatalf("%s: %v", statement, err)
	}
	return strings.TrimSuffix(text, "\n")
}

func (r *rig) want(query, want string) {
	r.Helper()
	if got := r.query(query); got != want {
		r.Errorf("%s: %q, want %q", query, got, want)
	}
}

func (r *rig) tryOpen() (sink.Sink, error) {
	r.Helper()
	for _, o := range []sink.Options{r.conn, r.options} {
		if err := o.Validate(); err != nil {
			r.Fatal(err)
		}
	}
	s, err := clickhouse.Spec().Open(r.Context(), r.config)
	if err == nil {
		r.Cleanup(func() { s.Close() })
	}
	return s, err
}

func (r *rig) open() sink.Sink {
	r.Helper()
	s, err := r.tryOpen()
	if err != nil {
		r.Fatalf("open: %v", err)
	}
	return s
}

// refused wants Open to fail for a reason that a person can mend.
func (r *rig) refused(parts ...string) {
	r.Helper()
	_, err := r.tryOpen()
	if err == nil {
		r.Fatalf("open succeeded; want an error with %q", parts)
	}
	if !sink.IsPermanent(err) {
		r.Errorf("not Permanent: %v", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), strings.ReplaceAll(part, "$", r.database)) {
			r.Errorf("error %q, want %q in it", err, part)
		}
	}
}

func (r *rig) claim(s sink.Sink) sink.Writer { return r.claimFor(s, claimed()) }

// reclaim is a claim of which the first batch was tried before.
func (r *rig) reclaim(s sink.Sink) sink.Writer {
	c := claimed()
	c.Repeats = true
	return r.claimFor(s, c)
}

func (r *rig) claimFor(s sink.Sink, c sink.Claim) sink.Writer {
	r.Helper()
	w, _, err := s.Claim(r.Context(), c)
	if err != nil {
		r.Fatalf("claim: %v", err)
	}
	r.Cleanup(func() { w.Close() })
	return w
}

func claimed() sink.Claim {
	return sink.Claim{Topic: "events", Incarnation: "cluster/topic", Partition: 0, Partitions: 2}
}

// chunk holds rows of partition 0 from an offset on.
func (r *rig) chunk(first int64, rows ...[]any) *record.Chunk {
	c := record.NewChunk(r.schema)
	c.First, c.Next = first, first+int64(len(rows))
	for i, row := range rows {
		for k, v := range row {
			put(&c.Columns[k], v)
		}
		c.Offsets, c.Times = append(c.Offsets, first+int64(i)), append(c.Times, 0)
	}
	return c
}

// put appends a value; a decimal is its text.
func put(c *record.Column, v any) {
	switch v := v.(type) {
	case nil:
		c.AppendNull()
	case bool:
		c.AppendBool(v)
	case int:
		c.AppendInt(int64(v))
	case int64:
		c.AppendInt(v)
	case time.Time:
		c.AppendInt(v.UnixMicro())
	case uint64:
		c.AppendUint(v)
	case float64:
		c.AppendFloat(v)
	case []byte:
		c.AppendBytes(v)
	case string:
		if c.Type.Kind != record.Decimal {
			c.AppendString(v)
			return
		}
		d, err := record.ParseDec([]byte(v), int(c.Type.Precision), int(c.Type.Scale))
		if err != nil {
			panic(err)
		}
		c.AppendDec(d)
	case []any:
		for i := range v {
			if c.Keys != nil {
				c.Keys.AppendString(fmt.Sprintf("k%d", i))
			}
			put(c.Elems, v[i])
		}
		c.AppendElems()
	default:
		panic(fmt.Sprintf("a value of type %T", v))
	}
}

// cut is [first, next) of partition 0.
// An attempt may take long, also where the sink's timeout, for which a repeat waits, is short.
func cut(first, next int64) record.Cut {
	return record.Cut{Topic: "events", Ranges: []record.Range{{First: first, Next: next}, {}}, Attempt: 30 * time.Second}
}

// write carries rows to their commit.
func (r *rig) write(w sink.Writer, first int64, rows ...[]any) error {
	r.Helper()
	if _, err := w.Append(r.Context(), r.chunk(first, rows...)); err != nil {
		return err
	}
	return r.commit(w, cut(first, first+int64(len(rows))))
}

func (r *rig) commit(w sink.Writer, c record.Cut) error {
	token, err := w.Stage(r.Context(), c)
	if err != nil {
		return err
	}
	return w.Commit(r.Context(), c, token)
}

func (r *rig) mustWrite(w sink.Writer, first int64, rows ...[]any) {
	r.Helper()
	if err := r.write(w, first, rows...); err != nil {
		r.Fatalf("write: %v", err)
	}
}
