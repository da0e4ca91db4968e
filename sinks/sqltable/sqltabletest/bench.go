package sqltabletest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// Target is a sink under test.
type Target struct {
	Spec sink.Spec
	// New makes an empty database.
	New func(t testing.TB) Database
	// Options makes the sink's options of those that all have.
	Options func(sqltable.Options) sink.Options
	// Missing says whether an error of DB is that there is no such table.
	Missing func(error) bool
	// MaxUint is the largest unsigned integer that the database holds.
	MaxUint uint64
}

// Database is an empty database.
type Database struct {
	Conn sink.Options // the sink's connection
	DB   *sql.DB      // looks at it from outside
}

// Bench is one database and one sink on it.
type Bench struct {
	testing.TB
	Target
	Database
	Schema *record.Schema
	Config sink.Config
	Table  sqltable.Options
}

// NewBench prepares a sink named "s" for a schema. The options given replace
// the defaults; the table is created unless they say otherwise.
func NewBench(t testing.TB, target Target, schema *record.Schema, change func(*sqltable.Options)) *Bench {
	t.Helper()
	b := &Bench{TB: t, Target: target, Database: target.New(t), Schema: schema, Table: sqltable.DefaultOptions()}
	b.Table.Table, b.Table.Create = "t", true
	if change != nil {
		change(&b.Table)
	}
	b.Config = sink.Config{Name: "s", Connection: "c", Schema: schema, Conn: b.Conn, Timeout: time.Minute, Delivery: sink.Atomic}
	for _, f := range schema.Fields {
		if f.Merge == record.MergeKey {
			b.Config.Keys = append(b.Config.Keys, f.Name)
		}
	}
	return b
}

// TryOpen opens the sink.
func (b *Bench) TryOpen() (sink.Sink, error) {
	options := b.Options(b.Table)
	if err := errors.Join(options.Validate(), b.Conn.Validate()); err != nil {
		return nil, err
	}
	c := b.Config
	c.Options = options
	return b.Spec.Open(b.Context(), c)
}

// Open opens the sink; it is closed with the test.
func (b *Bench) Open() sink.Sink {
	b.Helper()
	s, err := b.TryOpen()
	if err != nil {
		b.Fatalf("open: %v", err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Errorf("close: %v", err)
		}
	})
	return s
}

// Slot is the claim of partitions [first, first+n) of topic "events".
func Slot(first int32, n int) sink.Claim {
	return sink.Claim{Topic: "events", Incarnation: "cluster/topic", Partition: first, Partitions: n}
}

// Claim claims a slot.
func (b *Bench) Claim(s sink.Sink, c sink.Claim) (sink.Writer, sink.Found) {
	b.Helper()
	w, found, err := s.Claim(b.Context(), c)
	if err != nil {
		b.Fatalf("claim: %v", err)
	}
	b.Cleanup(func() { w.Close() })
	return w, found
}

// Cut is a cut of one partition.
func Cut(partition int32, first, next int64) record.Cut {
	return record.Cut{Topic: "events", Partition: partition, Ranges: []record.Range{{First: first, Next: next}}}
}

// Rows makes a chunk of rows with offsets from first on. A value is nil, bool,
// int, uint64, float64, string or record.Dec.
func (b *Bench) Rows(partition int32, first int64, rows ...[]any) *record.Chunk {
	b.Helper()
	c := record.NewChunk(b.Schema)
	c.Partition, c.First, c.Next = partition, first, first+int64(len(rows))
	for i, row := range rows {
		for k, v := range row {
			appendValue(&c.Columns[k], v)
		}
		c.Offsets = append(c.Offsets, first+int64(i))
		c.Times = append(c.Times, 0)
	}
	for i := range c.Columns {
		if err := c.Columns[i].Check(); err != nil || c.Columns[i].Len != len(rows) {
			b.Fatalf("the test's own column %d: %d rows, %v", i, c.Columns[i].Len, err)
		}
	}
	return c
}

func appendValue(c *record.Column, v any) {
	switch v := v.(type) {
	case nil:
		c.AppendNull()
	case bool:
		c.AppendBool(v)
	case int:
		switch c.Type.Kind {
		case record.Uint:
			c.AppendUint(uint64(v))
		case record.Decimal:
			c.AppendDec(Dec(fmt.Sprint(v), int(c.Type.Scale)))
		default:
			c.AppendInt(int64(v))
		}
	case int64:
		c.AppendInt(v)
	case uint64:
		c.AppendUint(v)
	case float64:
		c.AppendFloat(v)
	case record.Dec:
		c.AppendDec(v)
	case string:
		if c.Type.Kind == record.Decimal {
			c.AppendDec(Dec(v, int(c.Type.Scale)))
			return
		}
		c.AppendString(v)
	default:
		panic(fmt.Sprintf("a test value of type %T", v))
	}
}

// Dec reads a decimal of a scale.
func Dec(text string, scale int) record.Dec {
	whole, fraction, _ := strings.Cut(text, ".")
	fraction += strings.Repeat("0", scale-len(fraction))
	digits, negative := strings.CutPrefix(whole+fraction, "-")
	var hi, lo uint64
	for _, d := range digits {
		over, low := bits.Mul64(lo, 10)
		low, carry := bits.Add64(low, uint64(d-'0'), 0)
		hi, lo = hi*10+over+carry, low
	}
	if negative {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	return record.Dec{Hi: int64(hi), Lo: lo}
}

// Append hands rows to a writer.
func (b *Bench) Append(w sink.Writer, rows *record.Chunk) {
	b.Helper()
	size, err := w.Append(b.Context(), rows)
	if err != nil {
		b.Fatalf("append: %v", err)
	}
	if rows.Rows() > 0 && size <= 0 {
		b.Fatalf("append of %d rows: size %d", rows.Rows(), size)
	}
}

// TryCommit stages and commits.
func (b *Bench) TryCommit(ctx context.Context, w sink.Writer, c record.Cut) error {
	token, err := w.Stage(ctx, c)
	if err != nil {
		return err
	}
	return w.Commit(ctx, c, token)
}

// Commit stages and commits, and must succeed.
func (b *Bench) Commit(w sink.Writer, c record.Cut) {
	b.Helper()
	if err := b.TryCommit(b.Context(), w, c); err != nil {
		b.Fatalf("commit %s: %v", c, err)
	}
}

// Stale wants an error that says that somebody else went on.
func (b *Bench) Stale(err error) {
	b.Helper()
	if !errors.Is(err, sink.ErrStale) || !sink.IsRefused(err) {
		b.Fatalf("got %v, want stale and refused", err)
	}
}

// Exec prepares the database from outside.
func (b *Bench) Exec(statement string, args ...any) {
	b.Helper()
	if _, err := b.DB.ExecContext(b.Context(), statement, args...); err != nil {
		b.Fatalf("%s: %v", statement, err)
	}
}

// Want compares the rows of a query, each as its values in brackets.
func (b *Bench) Want(query string, want ...string) {
	b.Helper()
	got := b.Query(query)
	if len(got) == 0 && len(want) == 0 {
		return
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		b.Fatalf("%s\ngot\n%s\nwant\n%s", query, g, w)
	}
}

// Query reads rows as texts; null is NULL.
func (b *Bench) Query(query string) []string {
	b.Helper()
	rows, err := b.DB.QueryContext(b.Context(), query)
	if err != nil {
		b.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		b.Fatal(err)
	}
	var all []string
	for rows.Next() {
		values := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			b.Fatalf("%s: %v", query, err)
		}
		texts := make([]string, len(values))
		for i, v := range values {
			if texts[i] = v.String; !v.Valid {
				texts[i] = "NULL"
			}
		}
		all = append(all, "["+strings.Join(texts, " ")+"]")
	}
	if err := rows.Err(); err != nil {
		b.Fatalf("%s: %v", query, err)
	}
	return all
}
