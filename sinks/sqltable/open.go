package sqltable

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// Config is what a dialect's sink hands over. The Sink owns DB from then on,
// also when Open fails.
type Config struct {
	DB      *sql.DB
	Dialect Dialect
	Grammar Grammar
	Options Options
	Sink    sink.Config
}

// Sink writes one table and the positions of one sink of the configuration.
type Sink struct {
	db        *sql.DB
	dialect   Dialect
	grammar   Grammar
	id        string
	schema    *record.Schema
	target    *target
	positions string // quoted
	log       *slog.Logger
	chunks    sync.Pool // of *record.Chunk, for writers that begin to hold rows
}

// Open checks the tables, and creates the position table where it is missing,
// and the target where the options say so.
func Open(ctx context.Context, c Config) (*Sink, error) {
	s := &Sink{db: c.DB, dialect: c.Dialect, grammar: c.Grammar, id: c.Sink.ID(), schema: c.Sink.Schema, log: c.Sink.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.open(ctx, c); err != nil {
		c.DB.Close()
		return nil, err
	}
	return s, nil
}

func (s *Sink) open(ctx context.Context, c Config) error {
	if utf8.RuneCountInString(s.id) > maxSink {
		return sink.Permanent(fmt.Errorf("sink id %s is longer than %d characters", s.id, maxSink))
	}
	name := ParseName(c.Options.Positions)
	s.positions = name.Quote(s.grammar.Quote)
	if err := s.openPositions(ctx, name); err != nil {
		return fmt.Errorf("position table %s: %w", name, err)
	}
	name = ParseName(c.Options.Table)
	t, err := s.openTarget(ctx, name, c)
	if err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	s.target = t
	return nil
}

func (s *Sink) openPositions(ctx context.Context, name Name) error {
	t, err := s.dialect.Describe(ctx, s.db, name)
	if err != nil {
		return s.explain(ctx, err)
	}
	if t == nil {
		create := fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (%s)%s", s.positions, s.grammar.Positions, s.grammar.TableSuffix)
		if _, err := s.db.ExecContext(ctx, create); err != nil {
			return fmt.Errorf("it is missing and could not be created (%w); to do so by hand: %s", s.explain(ctx, err), create)
		}
		if t, err = s.dialect.Describe(ctx, s.db, name); err != nil {
			return s.explain(ctx, err)
		}
	}
	if t == nil {
		return sink.Permanent(errors.New("was created and cannot be seen"))
	}
	if t.Problem != "" {
		return sink.Permanent(errors.New(t.Problem))
	}
	var missing []string
	for _, want := range positionColumns {
		if t.column(want) == nil {
			missing = append(missing, want)
		}
	}
	if missing != nil {
		return sink.Permanent(fmt.Errorf("has no column %s; it is not a position table of this version", strings.Join(missing, ", ")))
	}
	return nil
}

func (s *Sink) openTarget(ctx context.Context, name Name, c Config) (*target, error) {
	t, err := s.dialect.Describe(ctx, s.db, name)
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	if t == nil {
		if !c.Options.Create {
			return nil, sink.Permanent(errors.New("does not exist, or the user may not see it; create: true makes it"))
		}
		if err := s.neverWrote(ctx); err != nil {
			return nil, err
		}
		create, err := s.createTarget(name, c)
		if err != nil {
			return nil, sink.Permanent(err)
		}
		if _, err := s.db.ExecContext(ctx, create); err != nil {
			return nil, fmt.Errorf("create it: %w", s.explain(ctx, err))
		}
		if t, err = s.dialect.Describe(ctx, s.db, name); err != nil {
			return nil, s.explain(ctx, err)
		}
	}
	switch {
	case t == nil:
		return nil, sink.Permanent(errors.New("was created and cannot be seen"))
	case t.Problem != "":
		return nil, sink.Permanent(errors.New(t.Problem))
	}
	target, err := newTarget(s.dialect, s.grammar, name, t, c)
	if err != nil {
		return nil, sink.Permanent(err)
	}
	return target, nil
}

// neverWrote refuses to make a table for a sink that has positions: its rows are
// gone, and an empty table in their place would hide that.
func (s *Sink) neverWrote(ctx context.Context) error {
	var partitions int
	err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM "+s.positions+" WHERE sink = ?", s.id).Scan(&partitions)
	if err != nil {
		return fmt.Errorf("read positions: %w", s.explain(ctx, err))
	}
	if partitions > 0 {
		return sink.Permanent(fmt.Errorf("does not exist any more, and %s says that %s has written to it: restore both together; to go on with an empty table create it by hand; to start anew delete the rows of sink %s there, stop all members of the group, and sluice settle --forget %s",
			s.positions, s.id, s.id, s.id))
	}
	return nil
}

// Claim reads what the database holds of a slot. It fences nothing: the
// compare-and-set of a commit does (see the package comment).
func (s *Sink) Claim(ctx context.Context, c sink.Claim) (sink.Writer, sink.Found, error) {
	if err := checkClaim(c); err != nil {
		return nil, sink.Found{}, sink.Permanent(err)
	}
	stored, err := s.readPositions(ctx, s.db, c)
	if err != nil {
		return nil, sink.Found{}, fmt.Errorf("read positions: %w", s.explain(ctx, err))
	}
	found := sink.Found{High: make([]int64, c.Partitions), Last: lastCut(c.Topic, stored)}
	known := make([]bool, c.Partitions)
	for i := range found.High {
		found.High[i] = -1
	}
	for _, p := range stored {
		found.High[p.partition-c.Partition] = p.next
		known[p.partition-c.Partition] = true
	}
	if err := s.findTraces(ctx, c, &found); err != nil {
		return nil, sink.Found{}, fmt.Errorf("read positions: %w", s.explain(ctx, err))
	}
	return newWriter(s, c, known), found, nil
}

// Close ends all connections. That one was cut, and takes no farewell, is no
// error: nothing hangs on it.
func (s *Sink) Close() error {
	err := s.db.Close()
	if err == nil {
		return nil
	}
	class, err := s.dialect.Explain(err)
	if class == Again {
		return nil
	}
	return fmt.Errorf("close: %w", err)
}

// explain words an error of the driver and marks those that people must mend.
func (s *Sink) explain(ctx context.Context, err error) error {
	class, shown := s.dialect.Explain(err)
	// A cancelled call fails in many ways; the cause is the context.
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(shown, cause) {
			return cause
		}
		return fmt.Errorf("%w (%w)", cause, shown)
	}
	if class == Mend {
		return sink.Permanent(shown)
	}
	return shown
}
