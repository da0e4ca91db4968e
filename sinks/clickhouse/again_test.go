package clickhouse_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
)

// TestPartitionThatMoves: where the partition of a row hangs on when it is
// inserted, a repeat of the batch falls into another one and is taken again.
func TestPartitionThatMoves(t *testing.T) {
	const window = " SETTINGS non_replicated_deduplication_window = 1000"
	for name, tc := range map[string]struct{ columns, by, want string }{
		"default":    {"at DateTime DEFAULT now()", "toYYYYMM(at)", "reads column at, which no field fills and whose default rests on now()"},
		"through":    {"at DateTime64(3) DEFAULT now64(3), d Date MATERIALIZED toDate(at)", "d", "reads column d, which no field fills and whose default rests on now64()"},
		"of a field": {"d Int64 DEFAULT intDiv(n, 10), known DateTime DEFAULT now()", "d", ""},
		"filled":     {"d Int64 DEFAULT rand()", "n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
			r.exec("CREATE TABLE $.t (n Int64, " + tc.columns + ", " + provenance + ") ENGINE = MergeTree PARTITION BY " + tc.by + " ORDER BY n" + window)
			if tc.want == "" {
				r.open()
				return
			}
			r.refused(tc.want)
			r.config.Delivery = sink.AtLeastOnce
			r.open()
		})
	}
	// It does happen.
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	r.exec("CREATE TABLE $.t (n Int64, at DateTime DEFAULT now()) ENGINE = MergeTree PARTITION BY toStartOfInterval(at, INTERVAL 1 second) ORDER BY n" + window)
	for range 2 {
		r.exec("INSERT INTO $.t (n) SETTINGS async_insert = 0, insert_deduplication_token = 'one' VALUES (1)")
		time.Sleep(1100 * time.Millisecond)
	}
	r.want("SELECT count() FROM $.t", "2")
}

// TestExchangedTable: a table that was exchanged for the sink's remembers no
// batch, and may have its rows all the same.
func TestExchangedTable(t *testing.T) {
	const columns = "(n Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000"
	for _, name := range []string{"made since", "made before", "another process"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
			r.config.Timeout = time.Second
			r.exec("CREATE TABLE $.t " + columns)
			if name == "made before" {
				r.exec("CREATE TABLE $.u " + columns)
				time.Sleep(3 * time.Second)
			}
			s := r.open()
			c := cut(0, 2)
			c.Since = time.Now()
			r.mustWrite(r.claim(s), 0, []any{1}, []any{2})
			if name != "made before" {
				time.Sleep(1100 * time.Millisecond) // the server keeps whole seconds
				r.exec("CREATE TABLE $.u " + columns)
			}
			r.exec("INSERT INTO $.u SETTINGS async_insert = 0 SELECT * FROM $.t")
			r.exec("EXCHANGE TABLES $.t AND $.u")
			if name == "another process" {
				s = r.open()
			}
			for end := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
				w := r.reclaim(s)
				if _, err := w.Append(t.Context(), r.chunk(0, []any{1}, []any{2})); err != nil {
					t.Fatal(err)
				}
				err := r.commit(w, c)
				if err == nil {
					break
				}
				if !strings.Contains(err.Error(), "under way") || time.Now().After(end) {
					t.Fatal(err)
				}
			}
			r.want("SELECT n, count() FROM $.t GROUP BY n ORDER BY n", "1\t1\n2\t1")
		})
	}
}

// TestProfile: what the user's profile says can neither split a block nor cut an
// answer short, from which the sink learns what the table has.
func TestProfile(t *testing.T) {
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{{Name: "odd", Password: "x", Grants: []string{"ALL ON *.*"},
		Settings: `<use_strict_insert_block_limits>1</use_strict_insert_block_limits><max_insert_block_size_rows>2</max_insert_block_size_rows>
			<limit>1</limit><result_overflow_mode>break</result_overflow_mode><max_result_rows>1</max_result_rows><async_insert>1</async_insert>`}}})
	r := newRig(t, c, field("n", record.Int), field("k", record.Int))
	r.conn.Username, r.conn.Password = "odd", sink.NewSecret("x")
	r.conn.Settings = map[string]string{"max_result_rows": "0"}
	r.exec("CREATE TABLE $.t (n Int64, k Int64, " + provenance + ") ENGINE = MergeTree PARTITION BY n % 4 ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.mustWrite(r.claim(r.open()), 0, []any{0, 0}, []any{1, 0}, []any{4, 0}, []any{5, 0})
	r.want("SELECT count(), sum(rows) FROM system.parts WHERE database = '$' AND level = 0", "2\t4")
}

// TestProfileForgets: nor can it have the server, or the views, take a repeat for
// something new, or one batch for another.
func TestProfileForgets(t *testing.T) {
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{{Name: "odd", Password: "x", Grants: []string{"ALL ON *.*"},
		Settings: `<insert_deduplicate>0</insert_deduplicate><deduplicate_insert>disable</deduplicate_insert><insert_deduplication_token>always</insert_deduplication_token>
			<deduplicate_blocks_in_dependent_materialized_views>0</deduplicate_blocks_in_dependent_materialized_views>`}}})
	r := newRig(t, c, field("n", record.Int))
	r.conn.Username, r.conn.Password = "odd", sink.NewSecret("x")
	r.exec("CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.exec("CREATE TABLE $.v (n Int64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.exec("CREATE MATERIALIZED VIEW $.mv TO $.v AS SELECT n FROM $.t")
	s := r.open()
	for range 2 { // the same two batches
		r.mustWrite(r.claim(s), 0, []any{1}, []any{2})
		r.mustWrite(r.claim(s), 2, []any{3})
	}
	r.want("SELECT count(), sum(n) FROM $.t", "3\t6")
	r.want("SELECT count(), sum(n) FROM $.v", "3\t6")
}

// TestProfileHides: nor can it hide rows that the sink looks for, give answers of
// an hour ago, or have views lose what they fail for.
func TestProfileHides(t *testing.T) {
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{{Name: "odd", Password: "x", Grants: []string{"ALL ON *.*"},
		Settings: `<use_query_cache>1</use_query_cache><query_cache_nondeterministic_function_handling>save</query_cache_nondeterministic_function_handling>
			<query_cache_system_table_handling>save</query_cache_system_table_handling><additional_table_filters>{'hidden.t': 'n = 0'}</additional_table_filters>
			<aggregate_functions_null_for_empty>1</aggregate_functions_null_for_empty><materialized_views_ignore_errors>1</materialized_views_ignore_errors>`}}})
	r := newRig(t, c, field("n", record.Int))
	r.database, r.conn.Database, r.conn.Username, r.conn.Password = "hidden", "hidden", "odd", sink.NewSecret("x")
	if err := c.CreateDatabase(t.Context(), r.database); err != nil {
		t.Fatal(err)
	}
	r.exec("CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	for next := range int64(2) { // what is found the first time is not what is found then
		_, found, err := r.open().Claim(t.Context(), claimed())
		if want := max(next, 2*next-1); err != nil || next > 0 && found.High[0] != want || (found.State == sink.Has) != (next > 0) {
			t.Errorf("found %+v, %v, want %d", found, err, want)
		}
		r.mustWrite(r.claim(r.open()), next, []any{5})
	}
	r.exec("CREATE TABLE $.all (n Int64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.exec("CREATE MATERIALIZED VIEW $.toall TO $.all AS SELECT n FROM $.t")
	r.mustWrite(r.claim(r.open()), 2, []any{5})
	r.want("SELECT count() FROM $.all", "1")
	r.exec("CREATE TABLE $.v (n UInt8) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.exec("CREATE MATERIALIZED VIEW $.mv TO $.v AS SELECT s AS n FROM (SELECT toUInt8(concat('x', toString(n))) AS s FROM $.t)")
	if err := r.write(r.claim(r.open()), 3, []any{5}); err == nil {
		t.Error("a view that has lost a row is passed over")
	}
}

// TestRowPolicy: rows that the user may not see would be taken for missing, and
// sent once more.
func TestRowPolicy(t *testing.T) {
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{{Name: "half", Password: "x", Grants: []string{"ALL ON *.*"},
		Databases: "<policy><t><filter>n = 0</filter></t></policy>"}}})
	r := newRig(t, c, field("n", record.Int))
	r.database, r.conn.Database, r.conn.Username, r.conn.Password = "policy", "policy", "half", sink.NewSecret("x")
	if err := c.CreateDatabase(t.Context(), r.database); err != nil {
		t.Fatal(err)
	}
	r.exec("CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.open() // of a table without rows the server has no plan; but then nothing is hidden
	r.mustWrite(r.claim(r.open()), 0, []any{1})
	r.refused("a row policy hides rows of it from the user", "DROP ROW POLICY", "delivery: at_least_once")
	r.conn.Username, r.conn.Password = "default", sink.NewSecret("")
	r.open()
	r.conn.Username, r.conn.Password, r.options.Provenance.Off = "half", sink.NewSecret("x"), true
	r.exec("ALTER TABLE $.t DROP COLUMN _sink, DROP COLUMN _incarnation, DROP COLUMN _topic, DROP COLUMN _partition, DROP COLUMN _offset")
	r.open() // it is not asked for rows
}

// TestInsertOfAnAttempt: the server is told how long the attempt may take, no less
// and hardly more, and that it is to write the block at once.
func TestInsertOfAnAttempt(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	r.options.Create = true
	s := r.open()
	for attempt, seconds := range map[time.Duration]string{0: "30", 17 * time.Second: "17", 17*time.Second + 1: "18"} {
		w := r.claim(s)
		if _, err := w.Append(t.Context(), r.chunk(0, []any{1})); err != nil {
			t.Fatal(err)
		}
		c := cut(0, 1)
		c.Attempt = attempt
		if _, err := w.Stage(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		r.want("SELECT Settings['max_execution_time'], Settings['receive_timeout'], Settings['async_insert'] FROM system.processes WHERE position(query, 'INSERT INTO `$`') = 1",
			seconds+"\t"+seconds+"\t0")
		w.Close()
		for end := time.Now().Add(10 * time.Second); r.query("SELECT count() FROM system.processes WHERE position(query, 'INSERT INTO `$`') = 1") != "0"; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("an INSERT that was given up is still open")
			}
		}
	}
}

// TestSettingsOfTheSink: what exactness rests on is nobody else's.
func TestSettingsOfTheSink(t *testing.T) {
	for _, name := range []string{"use_strict_insert_block_limits", "limit", "result_overflow_mode", "use_query_cache", "async_insert", "insert_deduplicate", "skip_unavailable_shards"} {
		c := connection("h", "d")
		c.Settings = map[string]string{name: "1"}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForgottenKeys: groups are found again whatever the columns of their keys
// make of them.
func TestForgottenKeys(t *testing.T) {
	for _, tc := range []struct {
		column string
		typ    record.Type
		value  any
	}{
		{"UUID", texts, "61F0C404-5CB3-11E7-907B-A6006AD3DBA0"}, {"IPv6", texts, "2001:DB8::1"}, {"Nullable(IPv6)", texts, "1.2.3.4"}, {"FixedString(4)", texts, "ab"}, {"Enum8('a' = 1)", texts, "a"},
		{"LowCardinality(Nullable(String))", texts, nil}, {"Float64", floats, 1e21}, {"Float32", floats, 0.1}, {"Nullable(Float64)", floats, -0.5}, {"Nullable(Float64)", floats, nil},
		{"Decimal(18, 6)", cents, "-0.50"}, {"Int256", ints, -5}, {"UInt8", bools, true}, {"String", raw, []byte{0xff, 0}}, {"DateTime('Asia/Tokyo')", moments, at("2026-01-01 03:00:00")},
		{"DateTime64(3)", moments, at("1950-01-01 05:00:00.5")}, {"Date", moments, at("2026-01-01 00:00:00")},
	} {
		t.Run(tc.column, func(t *testing.T) {
			r := newRig(t, servers.ClickHouse(t), record.Field{Name: "k", Type: tc.typ, Merge: record.MergeKey, Nullable: true}, record.Field{Name: "amount", Type: ints, Merge: record.MergeAdd})
			r.config.Keys, r.config.Timeout = []string{"k"}, 200*time.Millisecond
			r.exec("CREATE TABLE $.t (k " + tc.column + ", amount Int64, _sink String, _incarnation String, _topic String, _cut String) ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 100")
			s := r.open()
			c := cut(0, 9)
			for try := range 20 {
				w := r.reclaim(s)
				groups := r.chunk(0, []any{tc.value, 1})
				groups.Partition = -1
				if _, err := w.Append(t.Context(), groups); err != nil {
					t.Fatal(err)
				}
				err := r.commit(w, c)
				if try > 0 && err == nil {
					break
				}
				if err != nil && !strings.Contains(err.Error(), "under way") || try == 19 {
					t.Fatal(err)
				}
				if try == 0 { // the table has forgotten it
					r.exec("CREATE TABLE $.u AS $.t")
					r.exec("INSERT INTO $.u SETTINGS async_insert = 0 SELECT * FROM $.t")
					r.exec("EXCHANGE TABLES $.t AND $.u")
					c.Since = time.Now().Add(-time.Hour)
				}
				time.Sleep(50 * time.Millisecond)
			}
			r.want("SELECT count(), sum(amount) FROM $.t", "1\t1")
		})
	}
}
