package clickhouse

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluicekit/sluice/core/sink"
)

// traces are what a table has of a sink and a topic.
type traces struct {
	any  bool                       // rows of the sink, of whatever topic
	high map[string]map[int32]int64 // next offset, by incarnation and partition
}

// find tells what the table remembers. To look takes reading two columns of the
// whole table, so what was found once is kept: rows do not vanish by themselves,
// and the offsets are a lower bound.
func (s *clickHouse) find(ctx context.Context, q *session, t *table, b *block, c sink.Claim) (sink.Found, error) {
	found := sink.Found{High: slices.Repeat([]int64{-1}, c.Partitions), State: sink.NoMark}
	if !b.identified {
		return found, nil
	}
	s.mu.Lock()
	known := s.seen[c.Topic]
	s.mu.Unlock()
	if !known.any {
		var err error
		if known, err = s.look(ctx, q, t, c.Topic); err != nil {
			return found, fmt.Errorf("look for rows of this sink in %s: %w", t.path(), err)
		}
		s.mu.Lock()
		s.seen[c.Topic] = known
		s.mu.Unlock()
	}
	switch {
	case known.any:
		found.State = sink.Has
	case !t.hasTTL(): // with one, rows may be gone and nothing be wrong
		found.State = sink.Empty
	}
	for incarnation, high := range known.high {
		if incarnation != c.Incarnation {
			found.OtherIncarnation = incarnation
			continue
		}
		for i := range found.High {
			if next, ok := high[c.Partition+int32(i)]; ok {
				found.High[i] = next
			}
		}
	}
	return found, nil
}

func (s *clickHouse) look(ctx context.Context, q *session, t *table, topic string) (traces, error) {
	p := s.options.Provenance
	found := traces{high: map[string]map[int32]int64{}}
	mine := quote(p.Sink) + " = " + literal(s.config.ID())
	err := q.rows(ctx, "SELECT 1 FROM "+t.path()+" WHERE "+mine+" LIMIT 1", func(scan func(...any) error) error {
		var one uint8
		found.any = true
		return scan(&one)
	})
	if err != nil || !found.any {
		return found, err
	}
	// An aggregate's rows have no partition; the incarnation is all they tell.
	position := "toInt32(" + quote(p.Partition) + "), toInt64(max(" + quote(p.Offset) + ")) + 1"
	group := quote(p.Incarnation) + ", " + quote(p.Partition)
	if s.config.Keys != nil {
		position, group = "toInt32(-1), toInt64(-1)", quote(p.Incarnation)
	}
	query := "SELECT toString(" + quote(p.Incarnation) + "), " + position + " FROM " + t.path() + " WHERE " + mine + " AND " +
		quote(p.Topic) + " = " + literal(topic) + " GROUP BY " + group
	err = q.rows(ctx, query, func(scan func(...any) error) error {
		var incarnation string
		var partition int32
		var next int64
		if err := scan(&incarnation, &partition, &next); err != nil {
			return err
		}
		if found.high[incarnation] == nil {
			found.high[incarnation] = map[int32]int64{}
		}
		found.high[incarnation][partition] = next
		return nil
	})
	return found, err
}
