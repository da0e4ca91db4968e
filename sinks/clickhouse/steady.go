package clickhouse

import (
	"regexp"
	"slices"
	"strings"
)

// volatile are calls that give another value each time.
var volatile = regexp.MustCompile(`(?i)\b(now|now64|nowInBlock\w*|today|yesterday|current_?date|current_?timestamp|curdate|utc_?timestamp|\w*rand\w*|` +
	`generate\w+|fuzzBits|\w*queryID|blockNumber|rowNumber\w*|hostName|fqdn|\w*serverUUID)\s*\(`)

// steady checks that the rows of a batch fall into the same partitions of the
// table each time. The server remembers a token by partition: in another one the
// same rows are taken again.
func (t *table) steady(b *block) error {
	filled := map[string]bool{}
	for _, c := range b.columns {
		filled[c.Name] = true
	}
	for i := range t.columns {
		c := &t.columns[i]
		shards := t.distributed() && slices.Contains(word.FindAllString(strings.ReplaceAll(t.sharding, "`", ""), -1), c.name)
		if !c.parts && !shards || filled[c.name] {
			continue
		}
		call := t.volatile(c, filled, map[string]bool{})
		if call != "" && shards {
			return t.refuse("its sharding key reads column %s, which no field fills and whose default rests on %s, so that a repeated batch sends rows to other shards; "+
				"fill the column from a field, or shard by one that is", c.name, call)
		}
		if call != "" {
			return t.refuse("its PARTITION BY reads column %s, which no field fills and whose default rests on %s, "+
				"so that a repeated batch may fall into another partition, where it is taken again; fill the column from a field, or partition by one that is", c.name, call)
		}
	}
	return nil
}

var word = regexp.MustCompile("[A-Za-z_][A-Za-z_0-9.]*")

// volatile is a call that gives a column's default another value each time, be
// it through the defaults of other columns; "" if there is none.
func (t *table) volatile(c *tableColumn, filled, seen map[string]bool) string {
	seen[c.name] = true
	if m := volatile.FindStringSubmatch(c.expr); m != nil {
		return m[1] + "()"
	}
	for _, name := range word.FindAllString(strings.ReplaceAll(c.expr, "`", ""), -1) {
		if other := t.column(name); other != nil && !seen[name] && !filled[name] {
			if call := t.volatile(other, filled, seen); call != "" {
				return call
			}
		}
	}
	return ""
}

// aliased is what an expression is called in a view.
var aliased = regexp.MustCompile(`(?i)\bAS (` + identifier + `)`)

// movedBy says what gives the partition of a table's rows another value each time
// that a view fills it: a call in the view, or in the default of a column that the
// view leaves out. It is "" if nothing does. What comes from afar steadyViews sees.
func (t *table) movedBy(view string) string {
	called := map[string]string{} // by the column
	for _, m := range volatile.FindAllStringSubmatchIndex(view, -1) {
		if name := aliased.FindStringSubmatch(view[m[1]:]); name != nil {
			called[unquote(name[1])] = view[m[2]:m[3]] + "()"
		}
	}
	for _, column := range word.FindAllString(strings.ReplaceAll(t.partitionKey, "`", ""), -1) {
		if call := called[column]; call != "" {
			return call
		}
		if strings.Contains(view, "`"+column+"` ") {
			continue // the view gives it
		}
		if m := volatile.FindStringSubmatch(defaultIn(t.create, column)); m != nil {
			return m[1] + "()"
		}
	}
	return ""
}

// defaultIn is a column's default in the statement that makes a table; "" if it
// has none.
func defaultIn(create, column string) string {
	_, rest, _ := strings.Cut(create, "`"+column+"` ")
	rest, _, _ = strings.Cut(rest, ", `")
	for _, kind := range []string{" DEFAULT ", " MATERIALIZED "} {
		if _, expr, ok := strings.Cut(rest, kind); ok {
			for _, after := range []string{"ENGINE = ", " CODEC(", " TTL "} {
				expr, _, _ = strings.Cut(expr, after)
			}
			return expr
		}
	}
	return ""
}
