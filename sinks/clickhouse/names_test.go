package clickhouse_test

import (
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/clickhouse"
	"github.com/sluicekit/sluice/sinks/endpoint"
)

// TestFieldNamedAsProvenance: a field that has the name of a provenance column
// is told, before the server is asked to fill a column twice.
func TestFieldNamedAsProvenance(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int), field("_offset", record.Int))
	r.exec("CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100")
	r.refused("field _offset has the name of a provenance column")
	r.options.Provenance.Offset = "_position"
	r.exec("ALTER TABLE $.t ADD COLUMN _position Int64")
	r.open()
}

// TestCreateForGroups: the table of an aggregate is ordered by its keys, as far
// as the server can: not by those that may be null.
func TestCreateForGroups(t *testing.T) {
	for _, nullable := range []bool{false, true} {
		r := newRig(t, servers.ClickHouse(t), record.Field{Name: "case", Type: texts, Merge: record.MergeKey}, record.Field{Name: "k", Type: texts, Merge: record.MergeKey, Nullable: nullable},
			record.Field{Name: "amount", Type: ints, Merge: record.MergeAdd})
		r.config.Keys, r.options.Create = []string{"case", "k"}, true
		r.open()
		want := "case, k"
		if nullable {
			want = "case"
		}
		r.want("SELECT replaceRegexpAll(sorting_key, '[`()]', '') FROM system.tables WHERE database = '$' AND name = 't'", want)
	}
}

// TestMayOnlyCreate: who may make a table and then not see it is told so.
func TestMayOnlyCreate(t *testing.T) {
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{{Name: "maker", Password: "x", Grants: []string{"CREATE TABLE ON *.*", "TABLE ENGINE ON MergeTree"}}}})
	r := newRig(t, c, field("n", record.Int))
	r.conn.Username, r.conn.Password, r.options.Create = "maker", sink.NewSecret("x"), true
	_, err := r.tryOpen()
	if err == nil || strings.Contains(err.Error(), "%!") {
		t.Errorf("got %v", err)
	}
}

// TestTableNames: a name with a dot, or a quote, can be said as in SQL.
func TestTableNames(t *testing.T) {
	c := servers.ClickHouse(t)
	for name, want := range map[string]string{"plain": "plain", "`a.b`": "a.b", "`it\\`s`": "it`s", "$.`a.b`": "a.b", "`$`.c": "c", "my table": "my table"} {
		r := newRig(t, c, field("n", record.Int))
		r.options.Create, r.options.Table = true, strings.ReplaceAll(name, "$", r.database)
		r.mustWrite(r.claim(r.open()), 0, []any{1})
		r.want("SELECT name FROM system.tables WHERE database = '$'", want)
	}
	for _, name := range []string{"a.b.c", "`a", "a.", ".a", "``", "`a`b"} {
		o := clickhouse.Spec().Options().(*clickhouse.Options)
		o.Table = name
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "stands in backquotes") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWrongPort: who connects to another port than that of the native protocol is
// told which it is.
func TestWrongPort(t *testing.T) {
	c := servers.ClickHouse(t)
	r := newRig(t, c, field("n", record.Int))
	r.conn.Address = []string{c.HTTPAddr()}
	if _, err := r.tryOpen(); err == nil || !strings.Contains(err.Error(), "8123 and 8443 are HTTP's") {
		t.Errorf("HTTP: %v", err)
	}
	r.conn.Address, r.conn.TLS = []string{c.Addr()}, &endpoint.TLS{InsecureSkipVerify: true}
	if _, err := r.tryOpen(); err == nil || !strings.Contains(err.Error(), "does this port speak TLS?") {
		t.Errorf("TLS: %v", err)
	}
	r.conn.TLS, r.conn.Settings = nil, map[string]string{"max_threads": "many"}
	r.refused("CANNOT_PARSE_INPUT_ASSERTION_FAILED", "'many", "see the connection's settings")
}
