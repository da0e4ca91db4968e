package clickhouse

import (
	"context"
	"fmt"
	"regexp"

	"github.com/sluicekit/sluice/core/sink"
)

// A Distributed table keeps nothing: what it promises is what the tables of its
// shards can, and that a row goes to the same shard each time.

// distributedText is how the server writes such an engine: cluster, database,
// table, and what follows.
var distributedText = regexp.MustCompile(`^Distributed\('?([^',]+)'?, '?([^',]*)'?, '?([^',]+)'?(.*)\)`)

// readShards finds the tables behind a Distributed one, one for each replica of
// each shard. What keeps them from being seen is kept for the promise.
func (t *table) readShards(ctx context.Context, q *session) error {
	if !t.distributed() {
		return nil
	}
	m := distributedText.FindStringSubmatch(t.full)
	if m == nil || m[2] == "" {
		t.hidden = fmt.Errorf("its engine names no database: %s", t.engine)
		return nil
	}
	t.sharding = m[4]
	replicas := uint64(0)
	err := q.one(ctx, "SELECT count() FROM clusterAllReplicas("+literal(m[1])+", system.one)", &replicas)
	if err == nil {
		query := "SELECT engine, engine_full, partition_key != '' FROM clusterAllReplicas(" + literal(m[1]) + ", system.tables) WHERE database = " + literal(m[2]) + " AND name = " + literal(m[3])
		err = q.rows(ctx, query, func(scan func(...any) error) error {
			s := &table{database: m[2], name: m[3]}
			t.shards = append(t.shards, s)
			return scan(&s.engine, &s.full, &s.partitioned)
		})
	}
	switch why := explain(err); {
	case sink.IsPermanent(why):
		t.hidden = fmt.Errorf("%w; the user needs: GRANT REMOTE ON *.*", why)
	case err != nil: // such as a shard that is down
		return fmt.Errorf("look at the shards of %s: %w", t.path(), why)
	case uint64(len(t.shards)) < replicas:
		t.hidden = fmt.Errorf("%s.%s is to be seen on %d of %d servers of the cluster", quote(m[2]), quote(m[3]), len(t.shards), replicas)
	}
	for _, s := range t.shards {
		if err := s.readWindow(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// promiseOfShards says why the shards cannot take each batch once; "" if they
// can.
func (t *table) promiseOfShards() string {
	if m := volatile.FindStringSubmatch(t.sharding); m != nil {
		return fmt.Sprintf("its sharding key rests on %s(), so that a repeated batch sends rows to other shards, each of which takes or passes over what it gets by itself; "+
			"shard by a column, or a hash of one", m[1])
	}
	if t.hidden != nil {
		return fmt.Sprintf("the tables of its shards are not to be seen, so that their deduplication cannot be checked: %v", t.hidden)
	}
	for _, s := range t.shards {
		if !s.mergeTree() {
			return fmt.Sprintf("table %s of a shard is of engine %s, which does not remember what was inserted", s.path(), s.engine)
		}
		if text := s.narrow(); text != "" {
			return fmt.Sprintf("of table %s of a shard: %s", s.path(), text)
		}
	}
	return ""
}
