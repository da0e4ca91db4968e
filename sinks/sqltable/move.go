package sqltable

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// Move implements sink.Mover.
func (s *Sink) Move(ctx context.Context, c sink.Claim, from, next []int64) error {
	if err := checkClaim(c); err != nil {
		return sink.Permanent(err)
	}
	if len(from) != c.Partitions || len(next) != c.Partitions {
		return fmt.Errorf("move %d of %d partitions", len(next), c.Partitions)
	}
	tx, err := s.begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", s.explain(ctx, err))
	}
	if err := s.move(ctx, tx, c, from, next); err != nil {
		tx.rollback(ctx)
		return err
	}
	if err := tx.commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", s.explain(ctx, err))
	}
	return nil
}

func (s *Sink) move(ctx context.Context, tx *transaction, c sink.Claim, from, next []int64) error {
	stored, err := s.readPositions(ctx, tx.conn, c)
	if err != nil {
		return fmt.Errorf("read positions: %w", s.explain(ctx, err))
	}
	found := make(map[int32]int64, len(stored))
	for _, p := range stored {
		found[p.partition] = p.next
	}
	for i := range from {
		partition := c.Partition + int32(i)
		at, ok := found[partition]
		if ok != (from[i] >= 0) || ok && at != from[i] {
			return sink.Stale(describe(c.Topic, stored))
		}
		if err := s.movePartition(ctx, tx.conn, c, partition, ok, next[i]); err != nil {
			return fmt.Errorf("move position: %w", s.explain(ctx, err))
		}
	}
	return nil
}

// movePartition writes or removes one row. The row is that of a cut of this
// partition alone, empty and without letters: none is repeated or looked for.
func (s *Sink) movePartition(ctx context.Context, q Querier, c sink.Claim, partition int32, there bool, next int64) error {
	if next < 0 {
		_, err := q.ExecContext(ctx, "DELETE FROM "+s.positions+" WHERE sink = ? AND topic = ? AND kafka_partition = ?", s.id, c.Topic, int64(partition))
		return err
	}
	if there {
		const where = " WHERE sink = ? AND incarnation = ? AND topic = ? AND kafka_partition = ?"
		_, err := q.ExecContext(ctx, "UPDATE "+s.positions+" SET first_offset = ?, next_offset = ?, slot_partition = ?, slot_partitions = 1, dead_offsets = '', letters = 0, updated_at = "+
			s.grammar.Now+where, next, next, int64(partition), s.id, c.Incarnation, c.Topic, int64(partition))
		return err
	}
	one := record.Cut{Topic: c.Topic, Partition: partition, Ranges: []record.Range{{First: next, Next: next}}}
	moved, err := s.advance(ctx, q, sink.Claim{Topic: c.Topic, Incarnation: c.Incarnation, Partition: partition, Partitions: 1}, one, []bool{false})
	if err == nil && !moved {
		return errors.New("another owner was the first")
	}
	return err
}

var _ sink.Mover = (*Sink)(nil)
