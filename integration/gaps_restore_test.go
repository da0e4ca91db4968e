package integration_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// client runs one of MariaDB's own programs on the test's database.
func (g *gapRun) client(program string, in []byte, args ...string) []byte {
	g.Helper()
	host, port, err := net.SplitHostPort(g.db.Addr())
	if err != nil {
		g.Fatal(err)
	}
	args = append([]string{"--no-defaults", "--host", host, "--port", port, "--user", g.db.User()}, append(args, g.name)...)
	cmd := exec.CommandContext(limit(g.T), program, args...)
	var complaint bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &complaint
	out, err := cmd.Output()
	if err != nil {
		g.Fatalf("%s: %v\n%s", program, err, complaint.Bytes())
	}
	return out
}

// dump is a backup of the database as people make it, while it is written.
func (g *gapRun) dump() []byte {
	g.Helper()
	return g.client("mariadb-dump", nil, "--single-transaction")
}

func (g *gapRun) restore(dump []byte) {
	g.Helper()
	g.client("mariadb", dump)
}

// gapMariaDBRestored restores a backup: the rows behind it come again, none of
// the others twice.
func gapMariaDBRestored(g *gapRun) {
	var backup []byte
	gapRestored(g, "table", func() { backup = g.dump() }, func() { g.restore(backup) })
}

// gapSQLiteRestored puts an older copy of the file back.
func gapSQLiteRestored(g *gapRun) {
	file := filepath.Join(g.dir, "lite.db")
	copied := map[string][]byte{}
	gapRestored(g, "lite", func() {
		for _, end := range []string{"", "-wal", "-shm"} {
			if b, err := os.ReadFile(file + end); err == nil {
				copied[end] = b
			}
		}
	}, func() {
		for _, end := range []string{"", "-wal", "-shm"} {
			os.Remove(file + end) //nolint:errcheck // it may not be there
			if b, ok := copied[end]; ok {
				if err := os.WriteFile(file+end, b, 0o600); err != nil {
					g.Fatal(err)
				}
			}
		}
	})
}

func gapRestored(g *gapRun, sink string, save, restore func()) {
	l := g.began(2, gapThree...)
	l.stop()
	save()
	l = g.start(gapThree...)
	g.produce(100, 200, 2)
	l.have(gapThree, span(0, 200)...)
	l.stop()
	restore()
	g.wants(sink, span(0, 100)...)
	g.produce(200, 250, 2)
	l = g.start(gapThree...)
	l.have(gapThree, span(0, 250)...)
	l.running(gapThree...)
	said := 0
	for _, line := range l.lines("behind the ledger") {
		name, _ := line["sink"].(string)
		if !strings.HasPrefix(name, sink+"@") {
			g.Errorf("sink %s was not restored, and the log says so: %v", name, line)
		}
		if line["destination"] == "50" && line["ledger"] == "100" {
			said++
		}
	}
	if said != 2 {
		g.Errorf("the log tells %d times from where to where the position went back, want 2: %v", said, l.lines("behind the ledger"))
	}
	l.stop()
}
