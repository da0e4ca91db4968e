package sqltable

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// The longest texts of a position row, in characters; the key of all four
// must fit an index.
const (
	maxSink        = 255
	maxIncarnation = 100
	maxTopic       = 249 // Kafka's own limit
)

// positionColumns are the columns that the statements below use.
var positionColumns = [...]string{"sink", "incarnation", "topic", "kafka_partition", "first_offset", "next_offset",
	"slot_partition", "slot_partitions", "dead_offsets", "letters", "updated_at"}

// position is one row of the position table: where a partition goes on, and
// its part of the last cut.
type position struct {
	partition   int32
	first, next int64
	slot        int32 // the cut's first partition
	slots       int   // how many it had
	dead        []int64
	letters     int // of the whole cut
}

func checkClaim(c sink.Claim) error {
	switch {
	case c.Topic == "" || utf8.RuneCountInString(c.Topic) > maxTopic:
		return fmt.Errorf("topic %q: must have 1 to %d characters", c.Topic, maxTopic)
	case utf8.RuneCountInString(c.Incarnation) > maxIncarnation:
		return fmt.Errorf("incarnation %q: is longer than %d characters", c.Incarnation, maxIncarnation)
	case c.Partition < 0 || c.Partitions < 1:
		return fmt.Errorf("slot of %d partitions from %d on: there is none", c.Partitions, c.Partition)
	}
	return nil
}

// readPositions reads the rows of a slot, ascending, and waits for
// transactions that are about to change them.
func (s *Sink) readPositions(ctx context.Context, q Querier, c sink.Claim) ([]position, error) {
	rows, err := q.QueryContext(ctx, "SELECT kafka_partition, first_offset, next_offset, slot_partition, slot_partitions, dead_offsets, letters FROM "+
		s.positions+" WHERE sink = ? AND incarnation = ? AND topic = ? AND kafka_partition >= ? AND kafka_partition < ? ORDER BY kafka_partition"+
		s.grammar.ReadLock, s.id, c.Incarnation, c.Topic, int64(c.Partition), int64(c.Partition)+int64(c.Partitions))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []position
	for rows.Next() {
		var p position
		var dead string
		if err := rows.Scan(&p.partition, &p.first, &p.next, &p.slot, &p.slots, &dead, &p.letters); err != nil {
			return nil, err
		}
		if p.dead, err = parseDead(dead); err != nil {
			return nil, fmt.Errorf("partition %d: dead offsets: %w", p.partition, err)
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// findTraces fills in what there is of this sink beside the slot.
func (s *Sink) findTraces(ctx context.Context, c sink.Claim, found *sink.Found) error {
	rows, err := s.db.QueryContext(ctx, "SELECT topic, incarnation FROM "+s.positions+" WHERE sink = ? GROUP BY topic, incarnation ORDER BY max(updated_at)", s.id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var topic, incarnation string
		if err := rows.Scan(&topic, &incarnation); err != nil {
			return err
		}
		found.State = sink.Has
		if topic == c.Topic && incarnation != c.Incarnation {
			found.OtherIncarnation = incarnation // the newest stays
		}
	}
	return rows.Err()
}

// lastCut puts the last cut together from the rows of a slot. It has no
// ranges if they do not form a whole one: the slots were laid out anew.
func lastCut(topic string, stored []position) record.Cut {
	if len(stored) == 0 {
		return record.Cut{}
	}
	head := stored[0]
	if head.partition != head.slot || len(stored) != head.slots {
		return record.Cut{}
	}
	c := record.Cut{Topic: topic, Partition: head.slot, Letters: head.letters}
	for i, p := range stored {
		if p.slot != head.slot || p.slots != head.slots || p.partition != head.slot+int32(i) {
			return record.Cut{}
		}
		c.Ranges = append(c.Ranges, record.Range{First: p.first, Next: p.next})
		for _, offset := range p.dead {
			c.Dead = append(c.Dead, record.Dead{Partition: p.partition, Offset: offset})
		}
	}
	return c
}

// advance moves the positions of a cut. An error is nothing but the driver's;
// moved is false when a stored position is not the cut's First.
func (s *Sink) advance(ctx context.Context, q Querier, claim sink.Claim, c record.Cut, known []bool) (moved bool, err error) {
	insert := "INSERT INTO " + s.positions + " (first_offset, next_offset, slot_partition, slot_partitions, dead_offsets, letters, updated_at, " +
		"sink, incarnation, topic, kafka_partition) VALUES (?, ?, ?, ?, ?, ?, " + s.grammar.Now + ", ?, ?, ?, ?)"
	update := "UPDATE " + s.positions + " SET first_offset = ?, next_offset = ?, slot_partition = ?, slot_partitions = ?, dead_offsets = ?, letters = ?, updated_at = " +
		s.grammar.Now + " WHERE sink = ? AND incarnation = ? AND topic = ? AND kafka_partition = ? AND next_offset = ?"
	for i, r := range c.Ranges {
		partition := c.Partition + int32(i)
		args := []any{r.First, r.Next, int64(c.Partition), int64(len(c.Ranges)), formatDead(c, partition), int64(c.Letters),
			s.id, claim.Incarnation, claim.Topic, int64(partition)}
		if !known[partition-claim.Partition] {
			if _, err := q.ExecContext(ctx, insert, args...); err != nil {
				if class, _ := s.dialect.Explain(err); class == Row {
					return false, nil // another owner was the first
				}
				return false, err
			}
			continue
		}
		result, err := q.ExecContext(ctx, update, append(args, r.First)...)
		if err != nil {
			return false, err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return false, err
		}
	}
	return true, nil
}

// at says whether the stored positions are where the cut starts.
func at(stored []position, c record.Cut, claim sink.Claim, known []bool) bool {
	next := map[int32]int64{}
	for _, p := range stored {
		next[p.partition] = p.next
	}
	for i, r := range c.Ranges {
		partition := c.Partition + int32(i)
		n, ok := next[partition]
		if ok != known[partition-claim.Partition] || ok && n != r.First {
			return false
		}
	}
	return true
}

// describe is what Stale reports.
func describe(topic string, stored []position) string {
	if len(stored) == 0 {
		return "no position of " + topic
	}
	var b strings.Builder
	b.WriteString(topic)
	for _, p := range stored {
		fmt.Fprintf(&b, " [%d]=%d", p.partition, p.next)
	}
	return b.String()
}

func formatDead(c record.Cut, partition int32) string {
	var b []byte
	for _, d := range c.Dead {
		if d.Partition != partition {
			continue
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, d.Offset, 10)
	}
	return string(b)
}

func parseDead(text string) ([]int64, error) {
	if text == "" {
		return nil, nil
	}
	var offsets []int64
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return nil, err
		}
		offsets = append(offsets, n)
	}
	slices.Sort(offsets)
	return offsets, nil
}
