package app_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The list shows what there is, before the first start, while a member runs, and
// after; nothing is changed while one does, and it says who.
func TestSettleLists(t *testing.T) {
	m := newMill(t, 2)
	m.produce(0, 10)
	sluice(t, "settle", "-c", "mill.yaml").want(t, 0, "nobody is in it", "")
	m.run("10 rows", func(log string) bool {
		table, archive := m.rows()
		if count(table) < 10 || count(archive) < 10 {
			return false
		}
		sluice(t, "settle", "-c", "mill.yaml").want(t, 0, "1 member in it", "")
		sluice(t, "settle", "-c", "mill.yaml", "--forget", "table@local", "--yes").want(t, 1, "", "group g has members: ")
		return true
	})
	r := sluice(t, "settle", "-c", "mill.yaml")
	r.want(t, 0, "mill[0]  [0,10)     table@local    10        -        10", "")
	r.want(t, 0, "mill[0]  [0,10)     archive@files  10        -        10", "")
	var reports []struct {
		Group string
		Slots []struct {
			Partition int32
			Record    string
			Entries   []struct {
				Sink        string
				Configured  bool
				Position    []int64
				Destination struct{ State string }
			}
		}
	}
	r = sluice(t, "settle", "-c", "mill.yaml", "--json")
	if err := json.Unmarshal([]byte(r.out), &reports); err != nil || r.code != 0 {
		t.Fatal(err, r)
	}
	if e := reports[0].Slots[0].Entries[0]; len(reports[0].Slots) != 2 || reports[0].Slots[0].Record != "present" || !e.Configured || e.Position[0] != 10 || e.Destination.State != "has" {
		t.Errorf("got %s", r.out)
	}
}

func TestSettleUsage(t *testing.T) {
	m := newMill(t, 2)
	m.produce(0, 1)
	m.produce(1, 1)
	m.carry(2, 2)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"--yes", 2, "--yes and --insist belong to"},
		{"--slots 4294967296", 2, "--slots wants a number from 0 to 10000"},
		{"--slots -7", 2, "--slots wants a number from 0 to 10000"},
		{"--slots -1", 2, "--slots wants a number from 0 to 10000"},
		{"--start-at table@local=0:5,1:5,mill/0:7", 1, "mill/0:7: the start of this partition is said already"},
		{"--forget a@b --keep a@b", 2, "one of --forget"},
		{"--start-at table@local", 2, "wants SINK@CONNECTION=WHERE"},
		{"--start-at tabel@local=earliest", 1, "known are [archive@files table@local]"},
		{"--start-at table@local=tomorrow", 1, `"tomorrow" is no start`},
		{"--start-at table@local=1", 1, "say mill/0:1"},
		{"--start-at table@local=7:1", 1, "has the partitions 0 to 1"},
		{"--start-at table@local=other/0:1", 1, "no topic other"},
		{"--start-at table@local=0:99", 1, "99 is behind it"},
		{"--start-at table@local=0:1x", 1, "is no start"},
		{"--start-at table@local=earliest --yes", 1, "--insist does it all the same"},
		{"--start-at table@local=mark", 1, "--yes does it without asking"},
		{"--stream x", 2, "no stream x"},
		{"extra", 2, "takes no arguments"},
	} {
		r := sluice(t, append(append([]string{"settle"}, strings.Fields(c.args)...), "-c", "mill.yaml")...)
		if r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s%s", c.args, r.code, c.code, c.want, r.out, r.err)
		}
	}
	m.check("after all of it", once)
}

// A gap: the command of the message goes on behind it.
func TestSettleAGap(t *testing.T) {
	m := carriedMill(t, 2)
	m.produce(0, 20)
	m.deleteRecords(0, 20)
	for _, command := range m.stopped(2, "gap") {
		m.obey(command)
	}
	m.carry(30, 30)
	m.check("after the gap", func(n int) int {
		if n >= 20 && n < 30 {
			return 0
		}
		return 1
	})
}

// The group's record is lost: an Atomic sink goes on by itself, a Replay sink
// where its mark says.
func TestSettleALostRecord(t *testing.T) {
	m := carriedMill(t, 2)
	m.deleteGroup()
	m.produce(0, 5)
	for _, command := range m.stopped(2, "lost record") {
		if !strings.Contains(command, "archive@files=mill/") {
			t.Errorf("got command %q, want one for the archive", command)
		}
		m.obey(command)
	}
	m.carry(25, 25)
	m.check("after the loss", once)
}

// A topic that was created again.
func TestSettleARecreatedTopic(t *testing.T) {
	m := carriedMill(t, 1)
	m.recreate(1)
	m.produce(0, 4)
	for _, command := range m.stopped(2, "other incarnation") {
		m.obey(command)
	}
	m.carry(14, 14)
	m.check("the new topic", once)
	m.produce(0, 4)
	m.carry(18, 18)
	m.check("at the next start", once)
}

// The same without a person.
func TestANewIncarnationGoesOn(t *testing.T) {
	m := newMill(t, 1)
	m.configure(0, "on_topic_reset: new_incarnation")
	m.produce(0, 10)
	m.carry(10, 10)
	for n := 1; n <= 2; n++ {
		m.recreate(1)
		m.produce(0, 15)
		m.carry(10+15*n, 10+15*n)
		m.check("the new topic", once)
	}
	m.configure(0, "")
	m.produce(0, 3)
	m.carry(43, 43)
	m.check("with stop again", once)
}

// The destination has lost all rows: --keep goes on without them.
func TestSettleKeep(t *testing.T) {
	m := carriedMill(t, 1)
	m.loseRows()
	m.produce(0, 5)
	for _, command := range m.stopped(2, "rows gone") {
		if strings.Contains(command, "--keep") {
			if r := m.obey(command); !strings.Contains(r.out, "what the destination lacks of mill[0] [0,10) is not written again") {
				t.Errorf("%s says\n%s", command, r.out)
			}
		}
	}
	m.carry(5, 5)
	m.check("after --keep", func(n int) int { return n / 10 })
}

// The same, and all of it is written again.
func TestSettleStartAgain(t *testing.T) {
	m := carriedMill(t, 1)
	m.loseRows()
	for _, command := range m.stopped(2, "rows gone") {
		if strings.Contains(command, "--start-at") {
			m.obey(command)
		}
	}
	m.carry(10, 10)
	m.check("after --start-at", once)
}

// A start before what is written doubles it, and is refused unless insisted on;
// one behind what is not loses it.
func TestSettleSaysWhatIsLostOrDoubled(t *testing.T) {
	m := carriedMill(t, 1)
	again := []string{"settle", "-c", "mill.yaml", "--yes", "--start-at", "table@local=4"}
	sluice(t, again...).want(t, 1, "doubled: mill[0] [4,10) was written and is written again", "refused")
	m.carry(10, 10)
	m.check("after the refusal", once)
	sluice(t, append(again, "--insist")...).want(t, 0, "done: 2 changes", "")
	m.carry(16, 10)
	m.produce(0, 10)
	sluice(t, "settle", "-c", "mill.yaml", "--yes", "--start-at", "archive@files=latest").want(t, 1, "lost: mill[0] [10,20) is in the topic and is not written", "refused")
	m.carry(26, 20)
	if table, archive := m.rows(); count(table) != 26 || count(archive) != 20 {
		t.Errorf("got %d and %d rows, want 26 and 20", count(table), count(archive))
	}
}

// A sink that is removed and added again goes on where it was; one that is
// forgotten in between begins anew.
func TestSettleForget(t *testing.T) {
	m := carriedMill(t, 1)
	m.withoutArchive()
	m.produce(0, 10)
	m.carry(20, 10)
	sluice(t, "settle", "-c", "mill.yaml").want(t, 0, "not configured", "")
	m.configure(0, "")
	m.carry(20, 20)
	m.check("removed and added again", once)

	m.withoutArchive()
	sluice(t, "settle", "-c", "mill.yaml", "--yes", "--forget", "archive@files").want(t, 0, "the entry of archive@files is dropped", "")
	r := sluice(t, "settle", "-c", "mill.yaml")
	r.want(t, 0, "table@local", "")
	if strings.Contains(r.out, "not configured") {
		t.Errorf("it is still there:\n%s", r.out)
	}
	m.configure(0, "")
	for _, command := range m.stopped(1, "lost record") { // its files are there
		m.obey(command)
	}
	m.carry(20, 20)
	m.check("after --forget and --start-at mark", once)

	forget := []string{"settle", "-c", "mill.yaml", "--yes", "--forget", "table@local"}
	sluice(t, forget...).want(t, 1, "rows of mill[0] [0,20) are in the table", "refused")
	sluice(t, append(forget, "--insist")...).want(t, 0, "the destination's position of table@local is removed", "")
	m.carry(40, 20)
}

// slots: changed, with the records rewritten, both ways.
func TestSettleSlots(t *testing.T) {
	m := carriedMill(t, 5)
	for i, slots := range []int{2, 0, 1} {
		m.configure(slots, "")
		r := m.stopped(2*[]int{5, 2, 5}[i], "slots changed")
		if want := fmt.Sprint("sluice settle --slots ", slots); len(r) == 0 || r[0] != want {
			t.Fatalf("got commands %q, want %q", r, want)
		}
		if r := m.obey(r[0]); !strings.Contains(r.out, "no position changes") {
			t.Errorf("it says\n%s", r.out)
		}
		for p := range int32(5) {
			m.produce(p, 3)
		}
		m.carry(m.produced, m.produced)
		m.check(fmt.Sprintf("with %d slots", slots), once)
	}
}

// A stream of files is settled as one of Kafka is; its lock keeps others away.
func TestSettleAStreamOfFiles(t *testing.T) {
	folder(t, map[string]string{"in.jsonl": strings.Repeat(`{"payload":{"n":1}}`+"\n", 10), "files.yaml": `
streams:
  lines:
    files: {paths: in.jsonl, state: state}
    format: json
    envelope: {id: "-", time: "-", type: "-", server: "-"}
    types: {payload.n: int}
connections:
  local: {sqlite: {file: mill.db}}
---
sink: table
from: lines
fields: {n: payload.n}
sqlite: {connection: local, table: t, create: true}
`})
	sluice(t, "run", "-c", "files.yaml").want(t, 0, "", "carrying")
	r := sluice(t, "settle", "-c", "files.yaml")
	r.want(t, 0, "lines[0]  [0,200)    table@local  200       -        200", "")
	sluice(t, "settle", "-c", "files.yaml", "--yes", "--start-at", "table@local=100").want(t, 1, "doubled: lines[0] [100,200) was written", "refused")
	sluice(t, "settle", "-c", "files.yaml", "--yes", "--start-at", "table@local=100", "--insist").want(t, 0, "done: 2 changes", "")
	sluice(t, "run", "-c", "files.yaml").want(t, 0, "", "carrying")
	db, err := sql.Open("sqlite", "mill.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n := 0
	if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 15 {
		t.Errorf("got %d rows, want 15 (%v)", n, err)
	}
}

// on_gap: skip_and_record, in both kinds of sinks, without a person: said once.
func TestAGapIsSkippedOnce(t *testing.T) {
	m := newMill(t, 1)
	m.configure(0, "on_gap: skip_and_record")
	m.produce(0, 10)
	m.carry(10, 10)
	for round := 1; round <= 2; round++ {
		m.produce(0, 20)
		m.deleteRecords(0, int64(20*round))
		log := m.carry(10+10*round, 10+10*round)
		if n := strings.Count(log, "gap: records are skipped"); n != 2 || !strings.Contains(log, fmt.Sprintf(`skipped="mill[0] [%d,%d)"`, 20*round-10, 20*round)) {
			t.Fatalf("a gap is told %d times to two sinks:\n%s", n, log)
		}
		if log := m.carry(10+10*round, 10+10*round); strings.Contains(log, "gap") {
			t.Fatalf("it is told again:\n%s", log)
		}
	}
	m.check("after two gaps", func(n int) int {
		if n%20 >= 10 {
			return 0
		}
		return 1
	})
}
