package harness

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// The checkers must be able to fail: each is shown what it is there to find.

// row is an event as the sink writes it.
func row(id int64) string {
	e := makeEvent(id)
	_, payload, _ := strings.Cut(string(e.encode()), `"payload":`)
	return fmt.Sprintf(`{"id":%d,"time":"2026-01-02T03:04:05Z","type":"%s","server":"s%d","payload":%s`+"\n", id, e.kind, id%7, payload)
}

func writeFile(t *testing.T, dir, name string, rows ...string) {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	z.Write([]byte(strings.Join(rows, ""))) //nolint:errcheck // Close tells
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

const (
	one     = "events-1-00000000000000000000-00000000000000000002-aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb.jsonl.zst"
	overlap = "events-1-00000000000000000001-00000000000000000003-aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb.jsonl.zst"
	behind  = "events-1-00000000000000000002-00000000000000000004-aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb.jsonl.zst"
	slot    = "events-0+2-00000000000000000000-00000000000000000002-cccccccccccccccc-aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb.jsonl.zst"
)

func TestArchive(t *testing.T) {
	for _, c := range []struct {
		name   string
		first  string // a file with events 1 and 2
		second string
		rows   []string
		want   string // "": no error
	}{
		{"what follows", one, behind, []string{row(3), row(4)}, ""},
		{"an event twice", one, behind, []string{row(3), row(2)}, "visible double: event 2"},
		{"an event twice in one file", one, behind, []string{row(3), row(3)}, "visible double: event 3"},
		{"ranges that overlap", one, overlap, []string{row(3)}, "overlaps"},
		{"an invented event", one, behind, []string{strings.Replace(row(3), `"account":`, `"account":9`, 1)}, "no event that was ever made"},
		{"the same again", one, one, []string{row(1), row(2)}, ""},
		{"a row less", one, one, []string{row(1)}, "has changed"},
		{"another order", one, one, []string{row(2), row(1)}, "has changed"},
		{"another order of several partitions", slot, slot, []string{row(2), row(1)}, ""},
		{"a row less of several partitions", slot, slot, []string{row(2)}, "has changed"},
	} {
		dir := t.TempDir()
		a := newArchive(dir, newWatch())
		writeFile(t, dir, c.first, row(1), row(2))
		if err := a.look(false); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		writeFile(t, dir, c.second, c.rows...)
		err := a.look(true)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestSums(t *testing.T) {
	all := func(event) bool { return true }
	tr := &truth{parts: []truthPart{{offsets: []int64{0, 3, 4}, ids: []int64{10, 11, 12}, next: 6}}}
	var s sums
	s.advance(tr, []int64{4}, all)
	e, f := makeEvent(10), makeEvent(11)
	got := tableSums{2, 21, 100 + 121, formatCents(e.cents + f.cents)}
	if err := s.compare("t", got); err != nil {
		t.Error(err)
	}
	for _, wrong := range []tableSums{{3, 21, got.scatter, got.cents}, {2, 22, got.scatter, got.cents}, {2, 21, got.scatter + 1, got.cents}, {2, 21, got.scatter, "0.00"}} {
		if s.compare("t", wrong) == nil {
			t.Errorf("%+v passes for %+v", wrong, got)
		}
	}
	balances := map[int64]balance{}
	for _, x := range []event{e, f} {
		if x.account == e.account && f.account == e.account {
			balances[x.account] = balance{got.cents, 2}
			continue
		}
		balances[x.account] = balance{formatCents(x.cents), 1}
	}
	if err := s.compareBalances(balances); err != nil {
		t.Error(err)
	}
	b := balances[e.account]
	balances[e.account] = balance{b.amount, b.events + 1}
	if s.compareBalances(balances) == nil {
		t.Error("an event too many passes")
	}
}

func TestPositionsNeverGoBack(t *testing.T) {
	o := newObserver(nil, nil, newWatch())
	for _, p := range [][]int64{{1, 2}, {1, 3}} {
		if err := o.note(&sight{positions: map[string][]int64{eventsID: p}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.note(&sight{positions: map[string][]int64{eventsID: {0, 9}}}); err == nil {
		t.Error("partition 0 went from 1 to 0, and nothing was said")
	}
}

func TestEvidence(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) (Evidence, error) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "a-001.log"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return readEvidence(dir)
	}
	e, err := write(`{"msg":"repeating a pending batch"}
{"msg":"ledger","error":"group membership ended: offset commit refused: x"}
{"msg":"ledger","error":"group membership ended: kafka: commit of group g: no answer"}
{"msg":"position has moved at the destination"}
{"msg":"lost answer resolved","applied":true}
sluice: stopping; a second signal ends at once
{"msg":"torn`)
	if want := (Evidence{Repeats: 1, Refused: 1, Fenced: 1, Unanswered: 1, Missed: 1, Resolved: 1}); err != nil || e != want {
		t.Errorf("got %+v, %v, want %+v", e, err, want)
	}
	if e.missing(1) != nil || e.missing(2) == nil {
		t.Errorf("one of each: %v with 1 needed, %v with 2", e.missing(1), e.missing(2))
	}
	for _, text := range []string{"WARNING: DATA RACE\n", "panic: x\n", `{"msg":"sink stopped","detail":"x"}` + "\n"} {
		if _, err := write(text); err == nil {
			t.Errorf("a log with %q passes", text)
		}
	}
}

func TestStatements(t *testing.T) {
	query := func(command byte, text string) []byte { return append([]byte{0, 0, 0, 0, command}, text...) }
	for _, c := range []struct {
		packet []byte
		write  bool
		commit bool
	}{
		{query(comQuery, "INSERT INTO `events` (`id`) VALUES (1)"), true, false},
		{query(comPrepare, "INSERT INTO `balances` (`id`) VALUES (?)"), true, false},
		{query(comQuery, "INSERT INTO `sluice_positions` (`sink`) VALUES (1)"), false, false},
		{query(comQuery, "SET tx_isolation='READ-COMMITTED'"), false, false},
		{query(comQuery, "COMMIT"), false, true},
		{query(1, "COMMIT"), false, false},
		{nil, false, false},
	} {
		r := request{b: c.packet}
		if firstWrite(r) != c.write || statement("COMMIT")(r) != c.commit {
			t.Errorf("%q: first write %t, COMMIT %t", c.packet, firstWrite(r), statement("COMMIT")(r))
		}
	}
}
