package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// A server that is not replicated notes a token before it makes the part visible.
// Killed between the two, it remembers a batch without having its rows: a hollow
// token, under which a repeat is dropped. So a repeat at a server that was started
// since the first attempt is looked for when it was answered, and what is missing
// is sent once more under the token's successor. Whoever repeats it, and however
// often, goes through the same tokens in the same order: a late attempt under one
// of them is dropped, by the server's memory or by its hollow one.

const (
	// restartMargin is for clocks of several owners that differ.
	restartMargin = time.Minute
	// mostHollow bounds how often a batch is sent once more: rows that are missing
	// again and again are taken away by something else.
	mostHollow = 5
)

// successor is the token that a batch is sent under: its name, or the first one
// after that which is not known to be hollow.
func (s *clickHouse) successor(name string) string {
	if n := s.hollows(name); n > 0 {
		return fmt.Sprintf("%s/%d", name, n+1)
	}
	return name
}

// hollows is how many tokens of a batch are known to be hollow.
func (s *clickHouse) hollows(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hollow[name]
}

func (s *clickHouse) noteHollow(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.hollow) > maxWaiting {
		clear(s.hollow) // of batches that were settled long ago; others are found out once more
	}
	s.hollow[name]++
}

// confirm says whether the table has a batch that was repeated, after the server
// has answered that it took it.
func (w *writer) confirm(ctx context.Context, c record.Cut, name string) error {
	t := w.table
	if t.replicated() || t.engine == "Null" {
		return nil // there, token and part are noted at once; here, there is nothing to have
	}
	return w.sink.dialer.ask(ctx, func(ctx context.Context, q *session) error {
		up := int64(0) // of a Distributed table's shards it is not known
		if !t.distributed() {
			if err := q.one(ctx, "SELECT toInt64(uptime())", &up); err != nil {
				return fmt.Errorf("ask how long the server runs: %w", err)
			}
		}
		if time.Duration(up)*time.Second > time.Since(c.Since)+restartMargin {
			return nil
		}
		if !w.block.identified {
			w.sink.config.Log.Warn("the server was started since this batch was first sent, and may have dropped it; without provenance columns it cannot be known", "batch", c.String())
			return nil
		}
		there, err := w.count(ctx, q, c, name)
		if err != nil {
			return fmt.Errorf("look for the rows of %s: %w", c, err)
		}
		if there >= int64(w.whole) {
			if views := t.unasked(); len(views) > 0 {
				w.sink.config.Log.Warn("the server was started since this batch was first sent, and the table has all of it; what its materialized views fill cannot be asked, and may lack a part if the server was killed: compare these with the table",
					"batch", c.String(), "table", t.path(), "filled", strings.Join(views, ", "))
			}
			return nil
		}
		if len(t.filled) > 0 {
			return sink.Permanent(fmt.Errorf("the server remembers batch %s, but table %s lacks %d of its %d rows, as after a crash in mid-insert, and it cannot be known "+
				"whether the tables that its materialized views fill have them; look at these, and settle the batch with: sluice settle", c, t.path(), int64(w.whole)-there, w.whole))
		}
		if w.sink.hollows(name) >= mostHollow {
			if t.hasTTL() {
				return nil // its rows are too old for the table
			}
			return sink.Permanent(fmt.Errorf("batch %s was sent %d times, and table %s still lacks %d of its %d rows: they are deleted, or the user may not see them (a row policy)",
				c, mostHollow+1, t.path(), int64(w.whole)-there, w.whole))
		}
		w.sink.noteHollow(name)
		return fmt.Errorf("the server remembers batch %s, but table %s lacks %d of its %d rows, as after a crash in mid-insert: these are sent once more", c, t.path(), int64(w.whole)-there, w.whole)
	})
}

// unasked are the tables that views fill and that may have lost rows in the same
// way: their rows do not say which batch they came from.
func (t *table) unasked() (paths []string) {
	for _, f := range t.filled {
		if !f.replicated() && f.engine != "Null" {
			paths = append(paths, f.path())
		}
	}
	return paths
}

// count is how many rows the table has of a batch.
func (w *writer) count(ctx context.Context, q *session, c record.Cut, name string) (n int64, err error) {
	of := w.within(c)
	if w.sink.config.Keys != nil {
		of = quote(w.sink.options.Provenance.Cut) + " = " + literal(name)
	}
	err = q.one(ctx, "SELECT toInt64(count()) FROM "+w.table.path()+w.mine()+" AND "+of, &n)
	return n, err
}
