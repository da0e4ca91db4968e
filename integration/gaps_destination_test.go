package integration_test

import (
	"database/sql"
	"maps"
	"path/filepath"
	"strings"
)

// execute runs a statement in the test's database.
func (g *gapRun) execute(statement string) {
	g.Helper()
	db, err := sql.Open("mysql", g.db.DSN(g.name))
	if err != nil {
		g.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(limit(g.T), statement); err != nil {
		g.Fatal(err)
	}
}

// gapTableDropped drops a table that create: true would make again, empty: its
// rows are gone, so nobody makes another without being told to. When the table
// and the positions are restored, the sink goes on by itself.
func gapTableDropped(g *gapRun) {
	l := g.began(2, "table", "archive")
	backup := g.dump()
	g.execute("DROP TABLE numbers")
	g.produce(100, 150, 2)
	l.has("archive", span(0, 150)...)
	l.blocked("table", "numbers")
	l.stop()
	l = g.start("table", "archive")
	l.blocked("table", "numbers", "sluice_positions")
	g.wants("table")
	g.restore(backup)
	l.has("table", span(0, 150)...)
	l.stop()
	g.wants("archive", span(0, 150)...)

	// Or it begins anew.
	g.execute("DROP TABLE numbers")
	g.execute("DELETE FROM sluice_positions WHERE sink = 'table@db'")
	g.settle("--forget", "table@db", "--insist")
	l = g.start("table", "archive")
	l.has("table", span(0, 150)...)
	l.stop()
	g.wants("archive", span(0, 150)...)
}

// gapTableAltered takes a column away and gives it back.
func gapTableAltered(g *gapRun) {
	l := g.began(2, "table", "archive")
	g.execute("ALTER TABLE numbers DROP COLUMN pad")
	g.produce(100, 150, 2)
	l.has("archive", span(0, 150)...)
	l.blocked("table", "pad")
	g.wants("table", span(0, 100)...)
	g.execute("ALTER TABLE numbers ADD COLUMN pad LONGTEXT")
	l.has("table", span(0, 150)...)
	l.stop()
}

// gapTwoGroups has two deployments with groups of their own write to the same
// destinations. In the table both move one position, each event once. The
// archive's is in the group, and the second one has none.
func gapTwoGroups(g *gapRun) {
	a := g.began(2, "table", "archive")
	b := g.deploy("b", gapDeployment{group: g.name + "_b", sinks: []string{"table", "archive"}})
	b.stopped("archive", "lost record")
	for n := 100; n < 2000; n += 100 {
		g.produce(n, n+100, 2)
	}
	a.has("archive", span(0, 2000)...)
	a.has("table", span(0, 2000)...)
	b.settled("table", 1000, 1000)
	a.stop()
	b.stop()
	g.wants("table", span(0, 2000)...)
	g.wants("archive", span(0, 2000)...)
}

// gapTimeZones has a server and a program in other time zones: what is stored
// is UTC.
func gapTimeZones(g *gapRun) {
	g.topic(1)
	g.execute("SET GLOBAL time_zone = '+05:00'")
	g.produce(0, 10, 1)
	l := g.deploy("conf", gapDeployment{sinks: gapThree, fields: "fields: {n: payload.n, at: time}\n", env: []string{"TZ=America/New_York"}})
	l.have(gapThree, span(0, 10)...)
	l.stop()
	for what, dsn := range map[string]string{"mysql": g.db.DSN(g.name), "sqlite": "file:" + filepath.Join(g.dir, "lite.db")} {
		db, err := sql.Open(what, dsn)
		if err != nil {
			g.Fatal(err)
		}
		defer db.Close()
		var least, most string
		if err := db.QueryRowContext(limit(g.T), "SELECT CONCAT(MIN(at), ''), CONCAT(MAX(at), '') FROM numbers").Scan(&least, &most); err != nil {
			g.Fatal(err)
		}
		if least != most || !strings.HasPrefix(strings.Replace(least, "T", " ", 1), "2026-01-01 00:00:00") {
			g.Errorf("%s has times from %s to %s", what, least, most)
		}
	}
	lines := map[string]int{}
	g.lines("archive", func(line []byte) {
		_, at, _ := strings.Cut(string(line), `"at":`)
		lines[at]++
	})
	if want := map[string]int{`"2026-01-01T00:00:00.000000Z"}`: 10}; !maps.Equal(lines, want) {
		g.Errorf("archive: %v", lines)
	}
}
