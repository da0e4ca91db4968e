package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/clickhouse/native"
	"github.com/sluicekit/sluice/sinks/nearest"
)

// table is what the server says of the sink's table.
type table struct {
	database, name string
	engine         string
	full           string // the engine with its clauses and settings
	partitioned    bool
	partitionKey   string
	create         string // the statement that makes it
	uuid           string
	changed        time.Time // when it was made or altered last, by our clock
	columns        []tableColumn
	window         int // parts whose tokens are remembered
	seconds        int // how long they are, after the newest; 0: for ever

	views    []viewName // on it
	filled   []*table   // by these, and by those on what they fill
	through  viewName   // of one of filled: the view that fills it
	view     string     // of one of filled: the statement that makes that view
	source   *table     // of one of filled: the table that the view is on
	moves    string     // of one of filled: what a partition of its rows rests on that is another each time
	shards   []*table   // of a Distributed one: those behind it
	sharding string     // what its engine says of it
	hidden   error      // why they are not to be seen

	unseen []viewName // views, and tables that they fill, that the user may not see
	veiled string     // what hides rows of it from the user: a row policy
}

type tableColumn struct {
	name     string
	typ      native.Type
	typErr   error  // of a type that is not understood
	text     string // of the type
	defaults string // the kind of its default
	expr     string // the default
	parts    bool   // the partition key reads it
}

// The families of engines.
func (t *table) mergeTree() bool { return strings.HasSuffix(t.engine, "MergeTree") }
func (t *table) replicated() bool {
	return strings.HasPrefix(t.engine, "Replicated") || strings.HasPrefix(t.engine, "Shared")
}
func (t *table) distributed() bool { return t.engine == "Distributed" }

// merging engines make rows of others, so that a row no longer says where it
// comes from.
func (t *table) merging() bool {
	for _, s := range t.shards {
		if s.merging() {
			return true
		}
	}
	for _, kind := range []string{"Replacing", "Summing", "Aggregating", "Collapsing", "Graphite", "Coalescing"} {
		if strings.Contains(t.engine, kind) {
			return true
		}
	}
	return false
}

func (t *table) hasTTL() bool { return strings.Contains(t.full, " TTL ") }

func (t *table) path() string { return quote(t.database) + "." + quote(t.name) }

func (t *table) column(name string) *tableColumn {
	for i := range t.columns {
		if t.columns[i].name == name {
			return &t.columns[i]
		}
	}
	return nil
}

// suggest is a remark on the column that was probably meant by a name, if any.
func (t *table) suggest(name string) string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	if near := nearest.Name(name, names); near != "" {
		return " (the nearest is " + near + ")"
	}
	return ""
}

// inspect reads what a table is like; nil if there is none.
func inspect(ctx context.Context, q *session, database, name string) (*table, error) {
	database, err := q.database(ctx, database)
	if err != nil {
		return nil, err
	}
	t := &table{database: database, name: name}
	found, err := t.readHead(ctx, q)
	if err != nil || !found {
		return nil, err
	}
	err = q.rows(ctx, "SELECT name, type, default_kind, default_expression, is_in_partition_key = 1 FROM system.columns WHERE database = "+literal(t.database)+" AND table = "+literal(name)+" ORDER BY position",
		func(scan func(...any) error) error {
			var c tableColumn
			if err := scan(&c.name, &c.text, &c.defaults, &c.expr, &c.parts); err != nil {
				return err
			}
			c.typ, c.typErr = native.ParseType(c.text)
			t.columns = append(t.columns, c)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read the columns of %s: %w", t.path(), err)
	}
	if len(t.columns) == 0 {
		return nil, sink.Permanent(fmt.Errorf("no column of %s is to be seen: the user needs SHOW COLUMNS on it, which INSERT and SELECT bring with them", t.path()))
	}
	if err := t.readWindow(ctx, q); err != nil {
		return nil, err
	}
	if err := t.readShards(ctx, q); err != nil {
		return nil, err
	}
	return t, t.readViews(ctx, q)
}

// readHead reads all but the columns; false if there is no such table.
func (t *table) readHead(ctx context.Context, q *session) (found bool, err error) {
	query := "SELECT engine, engine_full, partition_key, create_table_query, toString(uuid), toUnixTimestamp64Milli(now64(3)) - 1000 * toInt64(toUnixTimestamp(metadata_modification_time)), dependencies_database, dependencies_table FROM system.tables WHERE database = " +
		literal(t.database) + " AND name = " + literal(t.name)
	began := time.Now() // so that a table is taken for older rather than younger, by up to a second
	err = q.rows(ctx, query, func(scan func(...any) error) error {
		found = true
		var databases, names []string
		var age int64
		err := scan(&t.engine, &t.full, &t.partitionKey, &t.create, &t.uuid, &age, &databases, &names)
		t.partitioned = t.partitionKey != ""
		t.changed = began.Add(-time.Duration(age) * time.Millisecond)
		for i := range min(len(databases), len(names)) {
			t.views = append(t.views, viewName{databases[i], names[i]})
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look at table %s: %w", t.path(), err)
	}
	return found, nil
}

// readPolicy finds out whether the user sees all rows. That takes no right but
// SELECT: the server's plan of a question has the policy in it. Of a table without
// parts there is no plan, but then nothing is hidden, and each claim asks again.
func (t *table) readPolicy(ctx context.Context, q *session) error {
	options, found := "actions = 1", "a row policy hides rows of it from the user"
	if t.distributed() { // the shards say what they would do, for whom they are asked as
		options, found = "actions = 1, distributed = 1", "a row policy of a shard hides rows of it from the user that the shard is asked as"
	}
	err := q.rows(ctx, "EXPLAIN "+options+" SELECT 1 FROM "+t.path(), func(scan func(...any) error) error {
		var line string
		err := scan(&line)
		if strings.Contains(line, "Row level filter") {
			t.veiled = found
		}
		return err
	})
	var e *clickhouse.Exception
	if t.distributed() && errors.As(err, &e) && e.Code == codeUnknownSetting {
		return nil // of a server that cannot tell
	}
	if err != nil {
		return fmt.Errorf("ask whether all rows of %s are to be seen: %w", t.path(), err)
	}
	return nil
}

// readWindow finds how much the table remembers: what its own settings say, or
// the server's.
func (t *table) readWindow(ctx context.Context, q *session) error {
	if !t.mergeTree() {
		return nil
	}
	var err error
	if t.window, err = t.setting(ctx, q, t.windowSetting()); err == nil && t.replicated() {
		t.seconds, err = t.setting(ctx, q, "replicated_deduplication_window_seconds")
	}
	return err
}

// windowSetting is the setting of how many parts' tokens the table remembers.
func (t *table) windowSetting() string {
	if t.replicated() {
		return "replicated_deduplication_window"
	}
	return "non_replicated_deduplication_window"
}

func (t *table) setting(ctx context.Context, q *session, name string) (int, error) {
	if m := regexp.MustCompile(`\b` + name + ` = '?(\d+)`).FindStringSubmatch(t.full); m != nil {
		return strconv.Atoi(m[1])
	}
	settings := "system.merge_tree_settings"
	if t.replicated() { // which have a section of their own in the server's configuration
		settings = "system.replicated_merge_tree_settings"
	}
	text, n := "", 0
	err := q.one(ctx, "SELECT value FROM "+settings+" WHERE name = "+literal(name), &text)
	if err == nil && text != "" {
		n, err = strconv.Atoi(text)
	}
	if err != nil {
		return 0, fmt.Errorf("read the server's %s: %w", name, err)
	}
	return n, nil
}
