package harness

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The view of ClickHouse finds what it is there to find, on a real server.
func TestClickHouseView(t *testing.T) {
	tr := &truth{changed: make(chan struct{}), parts: []truthPart{
		{offsets: []int64{0, 1, 5}, ids: []int64{10, 11, 12}, next: 7},
		{offsets: []int64{3, 4, 9}, ids: []int64{20, 21, 22}, next: 10},
	}}
	s, err := newClickHouse(t, tr, 2)
	if err != nil {
		t.Fatal(err)
	}
	server := s.view.(*clickHouseView).server
	exec := func(statement string) {
		t.Helper()
		if err := server.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	plain := func(partition int, offset, id int64) string {
		e := makeEvent(id)
		return fmt.Sprintf("(%d, '%s', %d, %s, '%s', 'i', 'events', %d, %d)", id, e.kind, e.account, e.amount(), plainID, partition, offset)
	}
	total := func(cut string, id int64) string {
		e := makeEvent(id)
		return fmt.Sprintf("(%d, %s, 1, '%s', 'i', 'events', '%s')", e.account, e.amount(), totalsID, cut)
	}
	var rows, sums []string
	for p, part := range tr.parts {
		for i, id := range part.ids {
			if e := makeEvent(id); wanted(e) {
				tr.wanted++
				rows, sums = append(rows, plain(p, part.offsets[i], id)), append(sums, total(fmt.Sprintf("cut %d", id), id))
			}
		}
	}
	if len(rows) < 4 {
		t.Fatalf("too much noise: %d rows", len(rows))
	}
	for _, c := range []struct {
		name         string
		events, cuts []string
		meanwhile    string // what look and compare say
		end          string // what check says
	}{
		{"all", rows, sums, "", ""},
		{"the last one of a partition is not there yet", rows[:len(rows)-1], sums, "", "are missing"},
		{"an earlier one is missing", rows[1:], sums, "must have", ""},
		{"one is there twice", append(slices.Clone(rows), rows[0]), sums, "visible doubles", ""},
		{"one is there at another offset too", append(slices.Clone(rows), plain(0, 6, 10)), sums, "visible doubles", ""},
		{"one lies elsewhere", append(slices.Clone(rows[1:]), plain(0, 2, 10)), sums, "", "row of offset"},
		{"a row is of another sink", append(slices.Clone(rows[:len(rows)-1]), strings.ReplaceAll(rows[len(rows)-1], plainID, "other@ch")), sums, "", "not of the sink"},
		{"a total is there twice", rows, append(slices.Clone(sums), sums[0]), "visible doubles", ""},
		{"more is counted than there is", rows, append(slices.Clone(sums), total("cut x", 11)), "", "balance of account"},
		{"a total is missing", rows, sums[1:], "", "balance of account"},
	} {
		exec("TRUNCATE TABLE harness.events")
		exec("TRUNCATE TABLE harness.totals")
		exec("INSERT INTO harness.events VALUES " + strings.Join(c.events, ", "))
		exec("INSERT INTO harness.totals VALUES " + strings.Join(c.cuts, ", "))
		v := newClickHouseView(server, tr, 2, time.Millisecond)
		v.plain = v.plain[:1]
		sight, err := v.look(t.Context())
		if err == nil {
			err = sight.compare()
		}
		if c.meanwhile != "" {
			if err == nil || !strings.Contains(err.Error(), c.meanwhile) {
				t.Errorf("%s: meanwhile got %v, want %q", c.name, err, c.meanwhile)
			}
			continue
		}
		if err != nil && c.name != "more is counted than there is" && c.name != "one lies elsewhere" {
			t.Errorf("%s: meanwhile got %v", c.name, err)
		}
		err = v.check(t.Context())
		if c.end == "" && err != nil || c.end != "" && (err == nil || !strings.Contains(err.Error(), c.end)) {
			t.Errorf("%s: at the end got %v, want %q", c.name, err, c.end)
		}
	}
}

// An INSERT is followed through the pieces of its connection, wherever they are
// cut.
func TestBlocks(t *testing.T) {
	block := append(bytes.Clone(blockHead), 2, 3, 'x')
	long := append(bytes.Clone(block), bytes.Repeat([]byte("value"), 1000)...)
	query := append([]byte("\x01 INSERT INTO `t` (`n`) FORMAT Native"), lastBlock...)
	whole := append(bytes.Clone(long), lastBlock...)
	for _, c := range []struct {
		name   string
		pieces [][]byte
		want   []phase
	}{
		{"in one piece", [][]byte{query, whole, query, whole}, []phase{opens, begins | ends, opens, begins | ends}},
		{"no tables in a piece of their own", [][]byte{query[:len(query)-len(lastBlock)], lastBlock, whole}, []phase{opens, 0, begins | ends}},
		{"in several pieces", [][]byte{query, long[:100], long[100:], lastBlock}, []phase{opens, begins, 0, ends}},
		{"its end is cut", [][]byte{query, long, lastBlock[:5], lastBlock[5:9], lastBlock[9:]}, []phase{opens, begins, 0, 0, ends}},
		{"a value like a query", [][]byte{query, long, []byte("INSERT INTO x"), lastBlock}, []phase{opens, begins, 0, ends}},
		{"a question", [][]byte{[]byte("\x01 SELECT 1"), lastBlock}, []phase{0, 0}},
	} {
		s := &blocks{}
		for i, b := range c.pieces {
			if got := s.see(7, b); got != c.want[i] {
				t.Errorf("%s: piece %d: phase %d, want %d", c.name, i, got, c.want[i])
			}
			if got := s.see(8, []byte("another connection")); got != 0 {
				t.Errorf("%s: another connection: phase %d", c.name, got)
			}
		}
	}
}
