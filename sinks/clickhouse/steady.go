package clickhouse

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/sluicekit/sluice/core/sink"
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
		if !c.parts || filled[c.name] {
			continue
		}
		if call := t.volatile(c, filled, map[string]bool{}); call != "" {
			return sink.Permanent(fmt.Errorf("table %s cannot take each batch exactly once: its PARTITION BY reads column %s, which no field fills and whose default rests on %s, "+
				"so that a repeated batch may fall into another partition, where it is taken again; fill the column from a field, or partition by one that is; "+
				"or accept repeated rows with delivery: at_least_once", t.path(), c.name, call))
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
