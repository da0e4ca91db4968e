package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

const (
	// clockMargin is taken off the time of a part, which is in whole seconds and
	// by the server's clock.
	clockMargin = time.Minute
	// distributedTrust is how long the shards of a Distributed table, whose
	// windows are not to be seen, are trusted to remember.
	distributedTrust = 5 * time.Minute
	// maxWaiting bounds what is remembered of batches that had to wait.
	maxWaiting = 10_000
)

// reconcile is for a batch that was tried before. If the table still remembers
// its token, the batch is sent again as it is. Else the rows that are in the
// table already are taken out of it.
func (w *writer) reconcile(ctx context.Context, c record.Cut, token string) error {
	return w.sink.dialer.ask(ctx, func(ctx context.Context, q *session) error {
		doubt, err := w.doubt(ctx, q, time.Since(c.Since))
		remembered := doubt == "" // so that no attempt that is under way can do anything
		if remembered && w.sink.hollows(token) > 0 {
			doubt = w.table.path() + " lacks rows of it although the server remembers it"
		}
		if err != nil || doubt == "" {
			return err
		}
		doubt = fmt.Sprintf("batch %s was first sent %s ago, and %s", c, time.Since(c.Since).Round(time.Second), doubt)
		if !w.block.identified {
			return sink.Permanent(fmt.Errorf("%s: it cannot be known whether table %s has it, since the sink has no provenance columns there "+
				"(provenance.off, or an engine that merges rows); look at the table, and settle the batch with: sluice settle", doubt, w.table.path()))
		}
		if err := w.waitForOthers(token); err != nil && !remembered {
			return fmt.Errorf("%s: %w", doubt, err)
		}
		if !w.repeat {
			return fmt.Errorf("%s: its rows must come once more, to take out those that are there", doubt)
		}
		if w.table.replicated() { // what another replica took must be here to be seen
			if err := q.exec(ctx, "SYSTEM SYNC REPLICA "+w.table.path()); err != nil {
				return fmt.Errorf("%s: wait for the other replicas: %w", doubt, err)
			}
		}
		before := w.rows
		if w.sink.config.Keys != nil {
			err = w.dropGroups(ctx, q, token)
		} else {
			err = w.dropRows(ctx, q, c)
		}
		if err != nil {
			return fmt.Errorf("%s: look for its rows: %w", doubt, err)
		}
		// The server fills the table before its views: what has no row in the table
		// is in none of them.
		if len(w.table.filled) > 0 && w.rows < before {
			return sink.Permanent(fmt.Errorf("%s: table %s has %d of its %d rows, and it cannot be known whether the tables that its materialized views fill have them; "+
				"look at these, and settle the batch with: sluice settle", doubt, w.table.path(), before-w.rows, before))
		}
		w.sink.config.Log.Warn("batch completed from what the table has", "batch", c.String(), "why", doubt, "rows", before, "missing", w.rows)
		return nil
	})
}

// doubt says why the table, or one that is filled from it, may have forgotten a
// token of that age, "" if none has.
func (w *writer) doubt(ctx context.Context, q *session, age time.Duration) (string, error) {
	if age < -clockMargin {
		return "the clocks differ: that is in the future here", nil
	}
	if w.sink.swappedWithin(age) {
		return w.table.path() + " is another table than it was then", nil
	}
	for _, t := range append([]*table{w.table}, w.table.filled...) {
		if text, err := t.doubt(ctx, q, age); text != "" || err != nil {
			return text, err
		}
	}
	return "", nil
}

func (t *table) doubt(ctx context.Context, q *session, age time.Duration) (string, error) {
	if t.engine == "Null" {
		return "", nil
	}
	if t.distributed() {
		if age < distributedTrust {
			return "", nil
		}
		return "how long the shards of a Distributed table remember is not known", nil
	}
	if t.seconds > 0 && age > time.Duration(t.seconds)*time.Second/2 {
		return fmt.Sprintf("%s forgets after %d seconds", t.path(), t.seconds), nil
	}
	inserted, older, err := t.inserted(ctx, q, age)
	if err != nil {
		return "", fmt.Errorf("count the parts of %s: %w", t.path(), err)
	}
	// A tenth is for what is inserted between this question and the answer to
	// the insert.
	if inserted < 0 || inserted > int64(t.window)*9/10 {
		return fmt.Sprintf("up to %d parts were inserted into %s since, which remembers the last %d", max(inserted, 0), t.path(), t.window), nil
	}
	if !older && time.Since(t.changed) < age {
		return t.path() + " may have been created since, as when it was exchanged for another: no part of it is older", nil
	}
	return "", nil
}

// inserted is how many parts came into the table within a time, at most, and
// whether it has older ones. Parts are numbered as they are inserted, and a part
// that results of others keeps the highest of their numbers; so the difference
// between now and the newest part that is older tells.
func (t *table) inserted(ctx context.Context, q *session, within time.Duration) (n int64, older bool, err error) {
	before := fmt.Sprintf("modification_time < now() - %d", int64((within+clockMargin)/time.Second)+1)
	from := " FROM system.parts WHERE database = " + literal(t.database) + " AND table = " + literal(t.name)
	query := "SELECT toInt64(max(max_block_number)) - toInt64(maxIf(max_block_number, " + before + ")), countIf(" + before + ") > 0" + from
	if t.replicated() { // each partition counts by itself
		query = "SELECT toInt64(sum(n)), max(o) > 0 FROM (SELECT toInt64(max(max_block_number)) + 1 - toInt64(maxIf(max_block_number + 1, " + before + ")) AS n, countIf(" + before + ") AS o" +
			from + " GROUP BY partition_id)"
	}
	var some uint8
	err = q.one(ctx, query, &n, &some)
	return n, some != 0, err
}

// waitForOthers lets the time pass in which an attempt that began before may
// still be under way at the server: what it writes must be there to be seen.
func (w *writer) waitForOthers(token string) error {
	s := w.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	first, ok := s.first[token]
	if !ok {
		if len(s.first) > maxWaiting {
			clear(s.first) // of batches that were settled long ago; others wait once more
		}
		first = time.Now()
		s.first[token] = first
	}
	if left := s.config.Timeout - time.Since(first); left > 0 {
		return fmt.Errorf("an earlier attempt may be under way at the server for another %s", left.Round(time.Second))
	}
	return nil
}

// dropRows leaves out the rows that the table has.
func (w *writer) dropRows(ctx context.Context, q *session, c record.Cut) error {
	p := w.sink.options.Provenance
	there := map[int32]map[int64]bool{}
	query := "SELECT toInt32(" + quote(p.Partition) + "), toInt64(" + quote(p.Offset) + ") FROM " + w.table.path() + w.mine() +
		" AND " + w.within(c)
	err := q.rows(ctx, query, func(scan func(...any) error) error {
		var partition int32
		var offset int64
		if err := scan(&partition, &offset); err != nil {
			return err
		}
		if there[partition] == nil {
			there[partition] = map[int64]bool{}
		}
		there[partition][offset] = true
		return nil
	})
	if err != nil {
		return err
	}
	return w.refill(func(rows *record.Chunk, row int) bool { return there[rows.Partition][rows.Offsets[row]] })
}

// within selects the offsets of a batch.
func (w *writer) within(c record.Cut) string {
	p := w.sink.options.Provenance
	var ranges []string
	for i, r := range c.Ranges {
		if r.Next > r.First {
			ranges = append(ranges, fmt.Sprintf("%s = %d AND %s >= %d AND %s < %d", quote(p.Partition), c.Partition+int32(i), quote(p.Offset), r.First, quote(p.Offset), r.Next))
		}
	}
	return "((" + strings.Join(ranges, ") OR (") + "))"
}

// mine selects the rows of this sink and topic.
func (w *writer) mine() string {
	p := w.sink.options.Provenance
	return " WHERE " + quote(p.Sink) + " = " + literal(w.sink.config.ID()) + " AND " + quote(p.Incarnation) + " = " + literal(w.claim.Incarnation) +
		" AND " + quote(p.Topic) + " = " + literal(w.claim.Topic)
}

// refill lays the kept rows out again without some.
func (w *writer) refill(leave func(rows *record.Chunk, row int) bool) error {
	w.block.reset()
	w.rows, w.offsets, w.runs = 0, w.offsets[:0], w.runs[:0]
	for _, k := range w.kept {
		c := record.NewChunk(k.Schema)
		c.Partition, c.First, c.Next = k.Partition, k.First, k.Next
		copyRows(c, k, func(row int) bool { return leave(k, row) })
		if err := w.add(c); err != nil {
			return err
		}
	}
	return nil
}

// dropGroups leaves out the groups that the table has of this batch.
func (w *writer) dropGroups(ctx context.Context, q *session, token string) error {
	p := w.sink.options.Provenance
	keys, columns := w.keyTexts()
	there := map[string]bool{}
	found := 0
	query := "SELECT [" + strings.Join(columns, ", ") + "] FROM " + w.table.path() + w.mine() + " AND " + quote(p.Cut) + " = " + literal(token)
	err := q.rows(ctx, query, func(scan func(...any) error) error {
		var texts []string
		if err := scan(&texts); err != nil {
			return err
		}
		found++
		there[fmt.Sprintf("%q", texts)] = true
		return nil
	})
	if err != nil || found == 0 {
		return err
	}
	matched := 0
	err = w.refill(func(rows *record.Chunk, row int) bool {
		in := there[keys(rows, row)]
		if in {
			matched++
		}
		return in
	})
	if err == nil && matched != found {
		err = sink.Permanent(errors.New("the table has groups of it that are none of its own: another plan, or keys that do not read back as they were"))
	}
	return err
}

// keyTexts gives a row's grouping columns as one text, and the expressions that
// give the same of the table's columns.
func (w *writer) keyTexts() (of func(rows *record.Chunk, row int) string, columns []string) {
	schema := w.sink.config.Schema
	var at []int
	var types []string // of the columns
	for _, name := range w.sink.config.Keys {
		i := schema.Index(name)
		at, types = append(at, i), append(types, w.table.baseType(name))
		text := "toString(" + quote(name) + ")"
		switch schema.Fields[i].Type.Kind {
		case record.Bool:
			text = "toString(CAST(" + quote(name) + " AS Nullable(UInt8)))"
		case record.Int, record.Uint:
			text = "toString(CAST(" + quote(name) + " AS Nullable(Int128)))"
		case record.Float: // its bits, since the server writes a float as text in another way
			text = "toString(reinterpretAsUInt64(assumeNotNull(toFloat64(" + quote(name) + "))))"
		case record.Timestamp:
			text = "toString(toUnixTimestamp64Micro(CAST(" + quote(name) + " AS Nullable(DateTime64(6, 'UTC')))))"
		case record.Decimal:
			text = fmt.Sprintf("toString(toDecimal128(%s, %d))", quote(name), schema.Fields[i].Type.Scale)
		case record.Bytes:
			text = "hex(" + quote(name) + ")"
		}
		columns = append(columns, "if(isNull("+quote(name)+"), 'n', concat('v', ifNull("+text+", '')))")
	}
	return func(rows *record.Chunk, row int) string {
		texts := make([]string, len(at))
		for k, i := range at {
			texts[k] = keyText(&rows.Columns[i], row, types[k])
		}
		return fmt.Sprintf("%q", texts) // a value may hold any separator
	}, columns
}

// baseType is the name of a column's type without Nullable and LowCardinality.
func (t *table) baseType(column string) string {
	c := t.column(column)
	if c == nil {
		return ""
	}
	of, _ := c.typ.Nullable()
	if of.Name == "LowCardinality" {
		of = of.Args[0]
	}
	return of.Name
}

// keyText is a value as keyTexts has the server write it, of a column of some type.
func keyText(c *record.Column, row int, typ string) string {
	if c.Null(row) {
		return "n"
	}
	switch c.Type.Kind {
	case record.Bool:
		if c.Bool(row) {
			return "v1"
		}
		return "v0"
	case record.Int, record.Timestamp:
		return fmt.Sprintf("v%d", c.Ints[row])
	case record.Uint:
		return fmt.Sprintf("v%d", c.Uints[row])
	case record.Float:
		f := c.Floats[row]
		if typ == "Float32" {
			f = float64(float32(f))
		}
		return fmt.Sprintf("v%d", math.Float64bits(f))
	case record.Decimal:
		text := c.Decimals[row].String(int(c.Type.Scale))
		if strings.Contains(text, ".") {
			text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".") // as the server writes it
		}
		return "v" + text
	case record.Bytes:
		return fmt.Sprintf("v%X", c.Bytes(row))
	}
	v := string(c.Bytes(row))
	switch typ {
	case "UUID":
		v = strings.ToLower(v)
	case "IPv6":
		if a, err := netip.ParseAddr(v); err == nil {
			v = netip.AddrFrom16(a.As16()).String()
		}
	}
	return "v" + v
}
