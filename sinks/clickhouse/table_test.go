package clickhouse_test

import (
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/clickhouse"
)

const tail = " ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 100"

// TestMismatches: all that does not fit is told when the sink opens, at once.
func TestMismatches(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int), field("campain", record.Int), field("d", record.String), field("m", record.Int), field("x", record.String))
	r.options.Provenance.Off = true
	r.refused("table t is not there", "create: true")
	r.exec(`CREATE TABLE $.t (n Int64, campaign Int64, d Date, m Int64 MATERIALIZED n + 1, x AggregateFunction(sum, Int64), missing String,
		filled String DEFAULT 'x', maybe Nullable(Int8), computed Int64 ALIAS n)` + tail)
	r.refused("field campain has no column (the nearest is campaign)", "column d is of type Date, which does not take values of type string",
		"column m is MATERIALIZED", "column x is of type AggregateFunction(sum, Int64), which this sink does not write",
		"column missing of type String has no field and no default", "column campaign of type Int64 has no field and no default")
	_, err := r.tryOpen()
	for _, fine := range []string{"filled", "maybe", "computed", "column d of type Date has no field", "column x of type AggregateFunction(sum, Int64) has no field"} {
		if strings.Contains(err.Error(), fine) {
			t.Errorf("%s is blamed: %v", fine, err)
		}
	}
}

// TestProvenanceIsAsked: a table without the columns is refused with the
// statement that adds them, which does.
func TestProvenanceIsAsked(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	r.options.Provenance.Sink = "who"
	r.exec("CREATE TABLE $.t (n Int64)" + tail)
	r.refused("it lacks who, _incarnation, _topic, _partition, _offset", "or do without")
	r.exec("ALTER TABLE $.t ADD COLUMN _topic String")
	r.refused("it lacks who, _incarnation, _partition, _offset")
	_, err := r.tryOpen()
	if strings.Contains(err.Error(), "no field and no default") {
		t.Errorf("a provenance column is blamed for having no field: %v", err)
	}
	_, fix, _ := strings.Cut(err.Error(), "mend it with: ")
	fix, _, _ = strings.Cut(fix, "; or do")
	r.exec(fix)
	r.mustWrite(r.claim(r.open()), 7, []any{1})
	r.want("SELECT n, who, _incarnation, _topic, _partition, _offset FROM $.t", "1\ts@c\tcluster/topic\tevents\t0\t7")
}

// TestCreate makes tables as the options say.
func TestCreate(t *testing.T) {
	c := servers.ClickHouse(t)
	day := record.Field{Name: "time", Type: moments}
	r := newRig(t, c, day, field("n", record.Int), record.Field{Name: "l", Type: intList})
	o := r.options
	o.Create, o.OrderBy, o.PartitionBy, o.TTL, o.Window = true, []string{"toDate(time)", "time"}, "toYYYYMM(time)", "toDateTime(time) + INTERVAL 100 YEAR", 2000
	r.mustWrite(r.claim(r.open()), 0, []any{at("2026-01-01 00:00:00"), nil, []any{1}})
	r.open() // it is there now
	r.want("SELECT engine, partition_key, sorting_key FROM system.tables WHERE database = '$' AND name = 't'", "MergeTree\ttoYYYYMM(time)\ttoDate(time), time")
	r.want("SELECT name, type FROM system.columns WHERE database = '$' AND table = 't' ORDER BY position",
		"time\tDateTime64(6, \\'UTC\\')\nn\tNullable(Int64)\nl\tArray(Nullable(Int64))\n_sink\tLowCardinality(String)\n_incarnation\tLowCardinality(String)\n"+
			"_topic\tLowCardinality(String)\n_partition\tInt32\n_offset\tInt64")
	if full := r.query("SELECT engine_full FROM system.tables WHERE database = '$' AND name = 't'"); !strings.Contains(full, "non_replicated_deduplication_window = 2000") || !strings.Contains(full, "TTL ") {
		t.Error(full)
	}

	merging := newRig(t, c, field("k", record.Int), field("n", record.Int))
	merging.options.Create, merging.options.Engine, merging.options.OrderBy = true, "ReplacingMergeTree(n)", []string{"assumeNotNull(k)"}
	merging.refused("BAD_TYPE_OF_FIELD", "cannot be used as a version column")
	merging = newRig(t, c, field("k", record.Int), record.Field{Name: "n", Type: ints})
	merging.options.Create, merging.options.Engine, merging.options.OrderBy = true, "ReplacingMergeTree(n)", []string{"assumeNotNull(k)"}
	merging.mustWrite(merging.claim(merging.open()), 0, []any{1, 1}, []any{1, 2})
	merging.want("SELECT n FROM $.t FINAL", "2")
}

// TestCreateOfWhatCannotPromise: no table is left behind that is refused then.
func TestCreateOfWhatCannotPromise(t *testing.T) {
	c := servers.ClickHouse(t)
	for _, tc := range []struct {
		engine, by string
		window     int
		want       string
	}{
		{"MergeTree", "", 99, "window is 99 parts, and 100 batches of this table make up to 100; say window: 10000"},
		{"MergeTree", "n % 4", 999, "window is 999 parts, and 100 batches of this table make up to 1000; say window: 10000"},
		{"MergeTree", "", 0, "window is 0 parts"},
		{"Null", "", 1000, "its engine Null does not remember what was inserted"},
	} {
		r := newRig(t, c, record.Field{Name: "n", Type: ints})
		r.options.Create, r.options.Engine, r.options.PartitionBy, r.options.Window = true, tc.engine, tc.by, tc.window
		r.refused(tc.want, "delivery: at_least_once")
		r.want("EXISTS $.t", "0")
		r.config.Delivery = sink.AtLeastOnce
		r.open()
	}
}

// TestCreateByNullable: the server neither orders nor parts a table by what may be
// null, as each field of JSON may. What helps is said.
func TestCreateByNullable(t *testing.T) {
	c := servers.ClickHouse(t)
	for _, change := range []func(*clickhouse.Options, string){
		func(o *clickhouse.Options, time string) { o.OrderBy = []string{"n", time} },
		func(o *clickhouse.Options, time string) { o.PartitionBy = "toYYYYMM(" + time + ")" },
		func(o *clickhouse.Options, time string) { o.TTL = "toDateTime(" + time + ") + INTERVAL 100 YEAR" },
	} {
		r := newRig(t, c, record.Field{Name: "n", Type: ints}, field("time", record.Timestamp))
		r.options.Create = true
		change(r.options, "time")
		r.refused("ullable", "may be null: write assumeNotNull(")
		change(r.options, "assumeNotNull(time)")
		r.open()
	}
}

// TestNewField: what on_new_field says is done.
func TestNewField(t *testing.T) {
	c := servers.ClickHouse(t)
	for choice, want := range map[string]string{"ignore": "n", "add_column": "n,more"} {
		r := newRig(t, c, field("n", record.Int), field("more", record.String))
		r.options.OnNewField, r.options.Provenance.Off = choice, true
		r.exec("CREATE TABLE $.t (n Int64)" + tail)
		r.mustWrite(r.claim(r.open()), 0, []any{1, "x"})
		r.want("SELECT arrayStringConcat(groupArray(name), ',') FROM system.columns WHERE database = '$' AND table = 't'", want)
		r.want("SELECT count() FROM $.t", "1")
	}
}

// TestSharedTable: what one sink adds to a table does not stop another one that
// writes to it: a column has a default, and provenance columns are nobody else's.
func TestSharedTable(t *testing.T) {
	c := servers.ClickHouse(t)
	list := record.Field{Name: "l", Type: intList}
	r := newRig(t, c, field("n", record.Int), record.Field{Name: "time", Type: moments}, list, record.Field{Name: "m", Type: record.Type{Kind: record.Map, Elem: &texts}})
	r.exec("CREATE TABLE $.t (n Int64)" + tail)
	other := *r
	other.schema = &record.Schema{Fields: []record.Field{field("n", record.Int)}}
	options := *r.options
	other.options = &options
	options.Provenance.Off = true
	other.config.Name, other.config.Schema, other.config.Options = "other", other.schema, other.options
	s := other.open()
	other.mustWrite(other.claim(s), 0, []any{1})

	r.options.OnNewField = "add_column"
	r.mustWrite(r.claim(r.open()), 0, []any{2, at("2026-01-01 00:00:00"), []any{1}, []any{"x"}})
	other.mustWrite(other.claim(s), 1, []any{3})
	r.want("SELECT n, time, l, m, _offset FROM $.t ORDER BY n", "1\t1970-01-01 00:00:00.000000\t[]\t{}\t0\n2\t2026-01-01 00:00:00.000000\t[1]\t{'k0':'x'}\t0\n3\t1970-01-01 00:00:00.000000\t[]\t{}\t0")

	sums := newRig(t, c, record.Field{Name: "n", Type: ints, Merge: record.MergeAdd})
	sums.database, sums.conn.Database, sums.config.Name, sums.config.Keys = r.database, r.database, "sums", []string{}
	sums.options.OnNewField = "add_column"
	sums.open()
	r.open()
}

// TestNullAsDefault: null becomes the type's default where the column has none.
func TestNullAsDefault(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int), field("s", record.String), field("e", record.String), record.Field{Name: "l", Type: intList, Nullable: true}, field("u", record.String))
	r.options.NullAsDefault, r.options.Provenance.Off = true, true
	r.exec("CREATE TABLE $.t (n Int64, s LowCardinality(String), e Nullable(String), l Array(Int8), u UUID)" + tail)
	r.mustWrite(r.claim(r.open()), 0, []any{nil, nil, nil, nil, nil})
	r.want("SELECT n, s, e, l, u FROM $.t", "0\t\t\\N\t[]\t00000000-0000-0000-0000-000000000000")
}

// TestNames: names that need quoting are quoted.
func TestNames(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("odd `name\\ 'x'", record.Int), field("select", record.Int))
	r.options.Create, r.options.Table = true, "odd `table\\ 'x'"
	r.config.Name = "it's `odd`\\"
	s := r.open()
	w := r.claim(s)
	r.mustWrite(w, 0, []any{1, 2})
	r.mustWrite(r.claim(s), 0, []any{1, 2})
	r.want("SELECT count(), any(_sink) FROM $.`odd \\`table\\\\ 'x'`", "1\tit\\'s `odd`\\\\@c")
}
