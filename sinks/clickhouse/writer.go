package clickhouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/clickhouse/native"
)

// writer is one slot.
type writer struct {
	sink  *clickHouse
	claim sink.Claim
	table *table
	block *block
	rows  int
	conn  *native.Conn // kept between batches

	// repeat: the next batch is one that is repeated. Its rows are kept, in case
	// some are in the table already.
	repeat bool
	kept   []*record.Chunk
	held   int64 // bytes of kept

	// offsets of the rows, and from which row on they are of which partition: a
	// server that refuses a row names its place in the block.
	offsets []int64
	runs    []run

	opened bool
	again  string // the name of the batch that is repeated, "" of a new one
	whole  int    // rows of that batch, those in the table included
	bad    native.Complaints
	dead   error // why nothing is taken any more
}

// run is the rows of one partition that follow each other.
type run struct {
	first     int
	partition int32
}

// errDead is the answer to a call after an error: core makes none.
var errDead = errors.New("the writer is closed, or an earlier call ended in an error")

// longest is how long a connection is used: then the addresses are tried in
// their order again, so that a server that is back is found.
const longest = 5 * time.Minute

// Append lays the rows out.
func (w *writer) Append(ctx context.Context, rows *record.Chunk) (int64, error) {
	if err := w.ready(ctx); err != nil {
		return 0, err
	}
	if w.repeat {
		w.keep(rows)
	}
	if err := w.add(rows); err != nil {
		w.dead = errDead
		return 0, err
	}
	return w.block.size() + w.held + 8*int64(w.rows), nil
}

func (w *writer) ready(ctx context.Context) error {
	if w.dead != nil {
		return w.dead
	}
	if err := ctx.Err(); err != nil {
		w.dead = errDead
		return context.Cause(ctx)
	}
	return nil
}

// add appends the rows to the columns.
func (w *writer) add(rows *record.Chunk) error {
	b := w.block
	w.bad.List = w.bad.List[:0]
	for i, col := range b.fields {
		if col != nil {
			col.Append(&rows.Columns[i], &w.bad)
		}
	}
	for _, p := range b.nested {
		p.even(rows, &w.bad)
	}
	if b.partition != nil {
		b.partitions.Type, b.offsets.Type = record.Type{Kind: record.Int}, record.Type{Kind: record.Int}
		b.partitions.Ints = b.partitions.Ints[:0]
		for range rows.Rows() {
			b.partitions.Ints = append(b.partitions.Ints, int64(rows.Partition))
		}
		b.partitions.Len, b.offsets.Len, b.offsets.Ints = rows.Rows(), rows.Rows(), rows.Offsets
		b.partition.Append(&b.partitions, &w.bad)
		b.offset.Append(&b.offsets, &w.bad)
		b.offsets.Ints = nil
	}
	if len(w.bad.List) > 0 {
		return w.blame(rows)
	}
	w.runs = append(w.runs, run{w.rows, rows.Partition})
	w.offsets = append(w.offsets, rows.Offsets...)
	w.rows += rows.Rows()
	return nil
}

// blame names the rows that are not taken, each once.
func (w *writer) blame(rows *record.Chunk) error {
	slices.SortStableFunc(w.bad.List, func(a, b native.Complaint) int { return cmp.Compare(a.Row, b.Row) })
	var all sink.RowsError
	last := -1
	for _, c := range w.bad.List {
		if c.Row != last {
			all.Rows = append(all.Rows, sink.RowError{Partition: rows.Partition, Offset: rows.Offsets[c.Row], Reason: c.Reason})
			last = c.Row
		}
	}
	return &all
}

// keep copies the rows.
func (w *writer) keep(rows *record.Chunk) {
	c := record.NewChunk(rows.Schema)
	c.Partition, c.First, c.Next = rows.Partition, rows.First, rows.Next
	copyRows(c, rows, nil)
	w.kept, w.held = append(w.kept, c), w.held+c.Size()
}

// copyRows appends the rows that are not to be left out.
func copyRows(to, from *record.Chunk, leave func(row int) bool) {
	for row := range from.Rows() {
		if leave != nil && leave(row) {
			continue
		}
		for i := range from.Columns {
			to.Columns[i].AppendFrom(&from.Columns[i], row)
		}
		to.Offsets = append(to.Offsets, from.Offsets[row])
		to.Times = append(to.Times, from.Times[row])
	}
}

// Stage opens the INSERT: from here on the server waits for the block, under
// the token of the batch and for as long as an attempt may take.
func (w *writer) Stage(ctx context.Context, c record.Cut) (string, error) {
	if err := w.ready(ctx); err != nil {
		return "", err
	}
	err := w.stage(ctx, c)
	w.kept, w.held, w.repeat = nil, 0, false
	if err != nil {
		w.dead = errDead
	}
	return "", err
}

func (w *writer) stage(ctx context.Context, c record.Cut) error {
	if w.rows == 0 {
		return nil
	}
	name := token(w.sink.config.ID(), w.claim.Incarnation, c)
	if w.again = ""; !c.Since.IsZero() && w.sink.exact {
		w.again, w.whole = name, w.rows
		if err := w.reconcile(ctx, c, name); err != nil {
			return err
		}
		if w.rows == 0 {
			return nil // all of it is there
		}
	}
	for _, k := range w.block.constants {
		k.column.Repeat(map[string]string{"sink": w.sink.config.ID(), "incarnation": w.claim.Incarnation, "topic": w.claim.Topic, "cut": name}[k.of], w.rows)
	}
	if err := w.connect(ctx); err != nil {
		return explain(err)
	}
	header, err := w.conn.Open(ctx, "INSERT INTO "+w.table.path()+" ("+quoteAll(w.block.names())+") FORMAT Native", w.sink.settings(w.sink.successor(name), w.limit(c)))
	if err != nil {
		return fmt.Errorf("open the insert: %w", explain(err))
	}
	w.opened = true
	return w.block.fits(header)
}

// limit is how long the server may take for the INSERT, from now on.
func (w *writer) limit(c record.Cut) time.Duration {
	if c.Attempt > 0 {
		return c.Attempt
	}
	return w.sink.config.Timeout
}

// connect takes the connection of the last batch, or a new one.
func (w *writer) connect(ctx context.Context) (err error) {
	if w.conn != nil {
		if time.Since(w.conn.Born) < longest && w.conn.Idle() {
			return nil
		}
		w.conn.Close()
		w.conn = nil
	}
	w.conn, err = w.sink.dialer.dial(ctx)
	return err
}

// ownSettings are those that the sink decides about.
func ownSettings() []string {
	return []string{"insert_deduplication_token", "insert_deduplicate", "deduplicate_insert", "async_insert", "wait_for_async_insert",
		"max_execution_time", "timeout_overflow_mode", "receive_timeout", "deduplicate_blocks_in_dependent_materialized_views",
		"distributed_foreground_insert", "insert_distributed_sync", "min_insert_block_size_rows", "min_insert_block_size_bytes",
		"max_insert_block_size", "max_insert_block_size_rows", "max_insert_block_size_bytes", "use_strict_insert_block_limits",
		"send_logs_level", "insert_distributed_one_random_shard", "insert_deduplication_version", "materialized_views_ignore_errors",
		"limit", "offset", "result_overflow_mode", "read_overflow_mode", "group_by_overflow_mode", "distinct_overflow_mode",
		"skip_unavailable_shards", "use_query_cache", "additional_table_filters",
		"aggregate_functions_null_for_empty"}
}

// settings are those of an INSERT.
func (s *clickHouse) settings(token string, limit time.Duration) []native.Setting {
	seconds := strconv.Itoa(max(1, int((limit+time.Second-1)/time.Second)))
	var all []native.Setting
	for k, v := range s.conn.Settings {
		all = append(all, native.Setting{Key: k, Value: v, Important: true})
	}
	set := func(key, value string, important bool) {
		all = append(all, native.Setting{Key: key, Value: value, Important: important})
	}
	if s.exact {
		set("insert_deduplication_token", token, true)
		set("insert_deduplicate", "1", true)
		set("deduplicate_insert", "enable", false) // since 26.2 it decides instead
		set("deduplicate_blocks_in_dependent_materialized_views", "1", true)
	} else {
		// By their content, batches that happen to be alike would be lost.
		set("insert_deduplicate", "0", true)
		set("deduplicate_insert", "disable", false)
	}
	set("async_insert", "0", false)
	set("max_execution_time", seconds, true)
	set("timeout_overflow_mode", "throw", true)
	set("receive_timeout", seconds, true)
	set("distributed_foreground_insert", "1", false)
	set("insert_distributed_sync", "1", false) // its name before 23.9
	set("insert_distributed_one_random_shard", "0", false)
	// A block is never put together with another, and never waits for one.
	set("min_insert_block_size_rows", "0", true)
	set("min_insert_block_size_bytes", "0", true)
	set("use_strict_insert_block_limits", "0", false) // since 26.x it would split a block, each piece with a token of its own
	// A view gets all rows, or the batch has failed.
	set("materialized_views_ignore_errors", "0", false)
	set("additional_table_filters", "{}", false)
	set("send_logs_level", "none", false)
	return all
}

// Commit sends the block on the connection of Stage.
func (w *writer) Commit(ctx context.Context, c record.Cut, _ string) error {
	if w.dead != nil {
		return w.dead
	}
	if err := w.ready(ctx); err != nil {
		return sink.Refused(err) // nothing of this block was sent, ever
	}
	if w.rows > 0 {
		if !w.opened {
			w.dead = errDead
			return sink.Refused(fmt.Errorf("%s was not staged", c))
		}
		w.opened = false
		if err := w.conn.Send(ctx, w.block.columns, w.rows); err != nil {
			w.dead = errDead
			return w.outcome(ctx, c, err)
		}
		if w.again != "" {
			if err := w.confirm(ctx, c, w.again); err != nil {
				w.dead = errDead
				return err
			}
		}
	}
	w.block.reset()
	w.rows, w.offsets, w.runs = 0, w.offsets[:0], w.runs[:0]
	return nil
}

// Close gives up what was not committed.
func (w *writer) Close() error {
	w.dead = errDead
	if w.conn == nil {
		return nil
	}
	err := w.conn.Close()
	w.conn = nil
	return err
}
