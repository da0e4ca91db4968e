package clickhouse_test

import (
	"testing"

	"github.com/sluicekit/sluice/core/record"
)

// TestNestedUnfilled: the server fills an array that no field fills with what its
// default says, however long the others of its Nested are, and refuses each batch
// for it. So the table is refused before rows come, and what is advised mends it.
func TestNestedUnfilled(t *testing.T) {
	const a, end = "(`n.a` Array(Int8), k Int64, ", ") ENGINE = MergeTree ORDER BY k SETTINGS non_replicated_deduplication_window = 100"
	for _, tc := range []struct {
		columns, want string
		read          string // of the columns that no field fills
	}{
		{"`n.b` Array(Int64)", "column n.b of type Array(Int64) has no field and no default", "[0,0]"},
		{"`n.b` Array(Int64) DEFAULT []", "column n.b of type Array(Int64) has no field", "[0,0]"},
		{"`n.b` Array(Nullable(String)) DEFAULT CAST([], 'Array(Nullable(String))')", "column n.b of type Array(Nullable(String)) has no field", "[NULL,NULL]"},
		{"`n.b` Array(Enum8('it\\'s' = 3)) DEFAULT []", "column n.b of type Array(Enum8(", "['it\\'s','it\\'s']"},
		{"`n.b` Array(Array(String)) DEFAULT []", "column n.b of type Array(Array(String)) has no field", "[[],[]]"},
		{"`n.größe` Array(Int64) DEFAULT []", "column n.größe of type Array(Int64) has no field", "[0,0]"},
		{"`n.b` Array(Int64) MATERIALIZED [1]", "column n.b of type Array(Int64) has no field", "[0,0]"},
		{"`n.b` Array(Int64) DEFAULT arrayMap(x -> x + 1, `n.a`)", "", "[2,3]"},
		{"`n.größe` Array(Int64) DEFAULT n.a, `n.b` Array(Int64) MATERIALIZED arrayMap(x -> x + 1, `n.größe`)", "", "[1,2]\t[2,3]"},
		{"`n.b` Array(Variant(Int64, String)) DEFAULT defaultValueOfTypeName('Array(Variant(Int64, String))')", "column n.b of type Array(Variant(Int64, String)) has no field", "[NULL,NULL]"},
		{"l UInt64 DEFAULT length(n.a), `n.b` Array(Int64) DEFAULT arrayWithConstant(l, 7)", "", "2\t[7,7]"},
		{"`n.b` Array(Int64) ALIAS []", "", "[]"},
		{"`n.b` String DEFAULT 'x'", "", "x"},
		{"`m.b` Array(Int64) DEFAULT []", "", "[]"},
	} {
		t.Run(tc.columns, func(t *testing.T) {
			r := newRig(t, servers.ClickHouse(t), record.Field{Name: "n.a", Type: intList}, field("k", record.Int))
			r.options.Provenance.Off = true
			r.exec("CREATE TABLE $.t " + a + tc.columns + end)
			if tc.want != "" {
				mended(r, tc.want, "table `$`.`t` does not fit", "n.a")
			}
			r.mustWrite(r.claim(r.open()), 0, []any{[]any{1, 2}, 1})
			r.want("SELECT * EXCEPT (`n.a`, k) FROM $.t SETTINGS asterisk_include_alias_columns = 1, asterisk_include_materialized_columns = 1", tc.read)
		})
	}
}

// TestNestedAdded: a column that on_new_field adds to a Nested is as long as the
// others in rows of those who do not fill it.
func TestNestedAdded(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), record.Field{Name: "n.a", Type: intList}, field("k", record.Int), record.Field{Name: "n.b", Type: intList})
	r.options.Provenance.Off, r.options.OnNewField = true, "add_column"
	r.exec("CREATE TABLE $.t (n Nested(a Int8), k Int64) ENGINE = MergeTree ORDER BY k SETTINGS non_replicated_deduplication_window = 100")
	r.exec("INSERT INTO $.t (n.a, k) VALUES ([7], 0)")
	w := r.claim(r.open())
	r.mustWrite(w, 0, []any{[]any{1, 2}, 1, []any{3, 4}})
	r.exec("INSERT INTO $.t (n.a, k) VALUES ([8, 9], 2)")
	r.exec("INSERT INTO $.t (k) VALUES (4)")
	r.want("SELECT n.a, n.b FROM $.t ORDER BY k", "[7]\t[NULL]\n[1,2]\t[3,4]\n[8,9]\t[NULL,NULL]\n[]\t[]")
	other := newRig(t, servers.ClickHouse(t), record.Field{Name: "n.a", Type: intList}, field("k", record.Int))
	other.options.Provenance.Off, other.options.Table = true, r.database+".t"
	other.mustWrite(other.claim(other.open()), 1, []any{[]any{5}, 3})
	r.want("SELECT n.a, n.b FROM $.t WHERE k = 3", "[5]\t[NULL]")
}
