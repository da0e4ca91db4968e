package clickhouse_test

import (
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// TestMovedThrough: what is another value each time may reach the partition of a
// view's rows through a default of the sink's table, and through other views.
func TestMovedThrough(t *testing.T) {
	c := servers.ClickHouse(t)
	const window = " SETTINGS non_replicated_deduplication_window = 1000"
	const now, second = "now(), through column at of `$`.`t`", " PARTITION BY toSecond(at)"
	for name, tc := range map[string]struct {
		of    string   // columns of the sink's table
		steps []string // columns and partition of a table, and what the view on the last one selects
		want  string
	}{
		"a default of the table":       {"at DateTime DEFAULT now()", []string{"n Int64, at DateTime", second, "SELECT n, at"}, now},
		"computed of it":               {"at DateTime DEFAULT now(), day Date MATERIALIZED toDate(at)", []string{"d Date", " PARTITION BY d", "SELECT day + 1 AS d"}, "now(), through column day of `$`.`t`"},
		"all columns":                  {"at DateTime DEFAULT now()", []string{"n Int64, at DateTime", "", "SELECT n, at", "n Int64, at DateTime", second, "SELECT *"}, now},
		"all but one":                  {"at DateTime DEFAULT now()", []string{"n Int64, at DateTime", "", "SELECT n, at", "n Int64, at DateTime", second, "SELECT * EXCEPT at, toDateTime(n) AS at"}, "-"},
		"a call in the first view":     {"k Int8 DEFAULT 0", []string{"n Int64, at DateTime", "", "SELECT n, now() AS at", "n Int64, at DateTime", second, "SELECT n, at"}, "now(), through column at of `$`.`v1`"},
		"under another name":           {"k Int8 DEFAULT 0", []string{"n Int64, at DateTime DEFAULT now() + 1", "", "SELECT n", "n Int64, b DateTime", " PARTITION BY toSecond(b)", "SELECT n, toDateTime(at, 'UTC') AS b"}, "now(), through column at of `$`.`v1`"},
		"through three":                {"at DateTime DEFAULT now()", []string{"a DateTime", "", "SELECT at AS a", "b DateTime", "", "SELECT a AS b", "d DateTime", " PARTITION BY toSecond(d)", "SELECT DISTINCT b AS d"}, now},
		"an alias of an alias":         {"at DateTime DEFAULT now()", []string{"a DateTime, b Date", " PARTITION BY b", "SELECT at AS a, toDate(a) AS b"}, now},
		"a default of a target":        {"at DateTime DEFAULT now()", []string{"n Int64, at DateTime, d Date DEFAULT toDate(at)", " PARTITION BY d", "SELECT n, at"}, now},
		"filled by a field":            {"n2 Int64 DEFAULT n", []string{"n2 Int64", " PARTITION BY n2 % 2", "SELECT n2"}, "-"},
		"given, but not parted by":     {"at DateTime DEFAULT now()", []string{"n Int64, at DateTime", " PARTITION BY n % 2", "SELECT at, n"}, "-"},
		"named before another":         {"at DateTime DEFAULT now()", []string{"at DateTime, d Int64", " PARTITION BY d", "SELECT at, n % 2 AS d"}, "-"},
		"the name of a function":       {"toHour UInt8 DEFAULT toHour(now())", []string{"n Int64, d UInt8", " PARTITION BY d", "SELECT toHour(toDateTime(n)) AS d, n"}, "-"},
		"named in a text":              {"at DateTime DEFAULT now()", []string{"d String", " PARTITION BY d", "SELECT concat('at, (', toString(n % 2)) AS d"}, "-"},
		"overwritten on the way":       {"at DateTime DEFAULT now()", []string{"at DateTime", second, "SELECT toDateTime(n) AS at"}, "-"},
		"a subquery":                   {"at DateTime DEFAULT now()", []string{"at DateTime", second, "SELECT at FROM (SELECT toDateTime(n) AS at"}, "-"},
		"of one that is left out then": {"at DateTime DEFAULT now()", []string{"n Int64, at DateTime", "", "SELECT n, at", "n Int64", " PARTITION BY n % 2", "SELECT n"}, "-"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c, field("n", record.Int))
			r.exec("CREATE TABLE $.t (n Int64, " + tc.of + ", " + provenance + ") ENGINE = MergeTree ORDER BY n" + window)
			from := "t"
			for i := 0; i < len(tc.steps); i += 3 {
				to := "v" + string(rune('1'+i/3))
				r.exec("CREATE TABLE $." + to + " (" + tc.steps[i] + ") ENGINE = MergeTree" + tc.steps[i+1] + " ORDER BY tuple()" + window)
				end := ""
				if name == "a subquery" {
					end = ")"
				}
				r.exec("CREATE MATERIALIZED VIEW $.m" + to + " TO $." + to + " AS " + tc.steps[i+2] + " FROM $." + from + end)
				from = to
			}
			if tc.want == "-" {
				r.open()
				return
			}
			r.refused("whose PARTITION BY rests on "+tc.want+", so that a repeated batch may fall into another partition", "fills `$`.`"+from+"`", "delivery: at_least_once")
			r.config.Delivery = sink.AtLeastOnce
			r.open()
		})
	}
	// It does happen.
	r := newRig(t, c, field("n", record.Int))
	r.exec("CREATE TABLE $.t (n Int64, at DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY n" + window)
	r.exec("CREATE TABLE $.v (n Int64, at DateTime) ENGINE = MergeTree PARTITION BY toSecond(at) ORDER BY n" + window)
	r.exec("CREATE MATERIALIZED VIEW $.mv TO $.v AS SELECT n, at FROM $.t")
	for range 2 {
		r.exec("INSERT INTO $.t (n) SETTINGS async_insert = 0, insert_deduplication_token = 'one', deduplicate_blocks_in_dependent_materialized_views = 1 VALUES (1)")
		time.Sleep(1100 * time.Millisecond)
	}
	r.want("SELECT (SELECT count() FROM $.t), (SELECT count() FROM $.v)", "1\t2")
}
