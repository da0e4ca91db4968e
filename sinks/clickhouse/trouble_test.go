package clickhouse_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
)

// fails wants an error that tells a person something, is tried again as such,
// and leaves the writer to be closed.
func (r *rig) fails(w sink.Writer, permanent bool, first int64, rows [][]any, parts ...string) {
	r.Helper()
	err := r.write(w, first, rows...)
	w.Close()
	if err == nil {
		r.Fatalf("written; want an error with %q", parts)
	}
	if sink.IsPermanent(err) != permanent {
		r.Errorf("Permanent is %t: %v", !permanent, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			r.Errorf("error %q, want %q in it", err, part)
		}
	}
}

// numbered are rows of one column from n on.
func numbered(n, count int) (rows [][]any) {
	for i := range count {
		rows = append(rows, []any{n + i})
	}
	return rows
}

// tight is a disk without room, which another one can be put beside.
const tight = `<storage_configuration>
<disks><tight><path>%s/</path><keep_free_space_bytes>4000000000000000</keep_free_space_bytes></tight></disks>
<policies><tight><volumes><v><disk>tight</disk></v></volumes></tight>
<wide><volumes><v><disk>tight</disk></v><w><disk>default</disk></w></volumes></wide></policies>
</storage_configuration>`

// TestServerTrouble: what a server is short of, or does not do at the moment, is
// told, and tried again; the batch is in once when it is mended.
func TestServerTrouble(t *testing.T) {
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Config: fmt.Sprintf(tight, t.TempDir())})
	const create = "CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000"
	for name, tc := range map[string]struct {
		clause   string // of the table's settings
		settings map[string]string
		begin    string
		end      string
		blocked  bool // until a person does something
		want     []string
	}{
		"disk full": {clause: ", storage_policy = 'tight'", end: "ALTER TABLE $.t MODIFY SETTING storage_policy = 'wide'",
			want: []string{"NOT_ENOUGH_SPACE", "the server's disk is full"}},
		"read-only": {begin: "ALTER TABLE $.t MODIFY SETTING table_readonly = 1", end: "ALTER TABLE $.t MODIFY SETTING table_readonly = 0",
			blocked: true, want: []string{"TABLE_IS_PERMANENTLY_READ_ONLY", "the table is read-only until somebody changes that"}},
		"memory limit": {settings: map[string]string{"max_memory_usage": "8000000", "max_untracked_memory": "1"}, want: []string{"MEMORY_LIMIT_EXCEEDED", "smaller batches"}},
		"merges that do not keep up": {begin: "ALTER TABLE $.t MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1",
			end: "ALTER TABLE $.t RESET SETTING parts_to_throw_insert, parts_to_delay_insert", want: []string{"TOO_MANY_PARTS", "merges do not keep up"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c, field("n", record.Int))
			r.exec(create + tc.clause)
			if tc.clause == "" {
				r.mustWrite(r.claim(r.open()), 0, numbered(0, 10)...)
			}
			if tc.begin != "" {
				r.exec(tc.begin)
			}
			r.conn.Settings = tc.settings
			s := r.open()
			for range 2 {
				r.fails(r.claim(s), tc.blocked, 10, numbered(10, 100_000), tc.want...)
			}
			r.want("SELECT count() FROM $.t WHERE n >= 10", "0")
			if tc.end != "" {
				r.exec(tc.end)
			} else {
				r.conn.Settings = nil
				s = r.open()
			}
			for range 2 {
				r.mustWrite(r.claim(s), 10, numbered(10, 100_000)...)
			}
			r.want("SELECT count(), uniqExact(n) FROM $.t WHERE n >= 10", "100000\t100000")
		})
	}
}

// TestTooManyQueries: a server that runs as many queries as it may is tried again.
func TestTooManyQueries(t *testing.T) {
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{{Name: "two", Password: "x", Grants: []string{"ALL ON *.*"},
		Settings: "<max_concurrent_queries_for_user>2</max_concurrent_queries_for_user>"}}})
	r := newRig(t, c, field("n", record.Int))
	r.conn.Username, r.conn.Password, r.options.Create = "two", sink.NewSecret("x"), true
	s := r.open()
	writers := []sink.Writer{r.claim(s), r.claim(s), r.claim(s)}
	for i := range 2 {
		if _, err := writers[i].Append(t.Context(), r.chunk(int64(i), numbered(i, 1)...)); err != nil {
			t.Fatal(err)
		}
		if _, err := writers[i].Stage(t.Context(), cut(int64(i), int64(i)+1)); err != nil {
			t.Fatal(err)
		}
	}
	r.fails(writers[2], false, 2, numbered(2, 1), "TOO_MANY_SIMULTANEOUS_QUERIES", "runs as many queries as it may: it is tried again")
	for i := range 2 {
		if err := writers[i].Commit(t.Context(), cut(int64(i), int64(i)+1), ""); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); r.query("SELECT count() FROM system.processes WHERE user = 'two'") != "0"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("an INSERT that was committed is still open")
		}
	}
	r.mustWrite(r.claim(s), 2, numbered(2, 1)...)
	r.want("SELECT count() FROM $.t", "3")
}

// TestSettings: the user's own settings count, for batches too.
func TestSettings(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	r.exec("CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = MergeTree PARTITION BY n ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.fails(r.claim(r.open()), true, 0, numbered(0, 150), "a coarser PARTITION BY, or settings: {max_partitions_per_insert_block")
	r.conn.Settings = map[string]string{"max_partitions_per_insert_block": "200"}
	r.mustWrite(r.claim(r.open()), 0, numbered(0, 150)...)
	r.want("SELECT count() FROM $.t", "150")
	r.conn.Settings["no_such_setting"] = "1"
	if _, err := r.tryOpen(); err == nil || !sink.IsPermanent(err) || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("a setting that the server does not know: %v", err)
	}
}

// TestAltered: columns are dropped, changed and added while rows are written,
// before the INSERT is opened and after.
func TestAltered(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int), field("k", record.Int))
	r.exec("CREATE TABLE $.t (n Int64, k Int64, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	s := r.open()
	next := int64(0)
	row := func() [][]any { return [][]any{{int(next), int(next)}} }
	ok := func(w sink.Writer) {
		t.Helper()
		r.mustWrite(w, next, row()...)
		next++
	}
	w := r.claim(s)
	ok(w)
	refused := func(want string) {
		t.Helper()
		_, _, err := s.Claim(t.Context(), claimed())
		if err == nil || !sink.IsPermanent(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("claim: got %v, want %q", err, want)
		}
	}

	r.exec("ALTER TABLE $.t DROP COLUMN k")
	r.fails(w, true, next, row(), "NO_SUCH_COLUMN_IN_TABLE", "k")
	refused("field k has no column")
	r.exec("ALTER TABLE $.t ADD COLUMN k Int64")
	w = r.claim(s)
	ok(w)

	r.exec("ALTER TABLE $.t MODIFY COLUMN k Int32")
	r.fails(w, false, next, row(), "column k is of type Int32 now, and was of type Int64")
	w = r.claim(s)
	ok(w)
	err := r.write(w, next, []any{int(next), 1 << 40})
	if rows := (*sink.RowsError)(nil); !errors.As(err, &rows) || !strings.Contains(err.Error(), "Int32") {
		t.Errorf("a number that is too large now: %v", err)
	}
	w.Close()
	w = r.claim(s)
	r.exec("ALTER TABLE $.t MODIFY COLUMN k Date")
	r.fails(w, false, next, row(), "column k is of type Date now")
	refused("column k is of type Date, which does not take values of type int")
	r.exec("ALTER TABLE $.t DROP COLUMN k")
	r.exec("ALTER TABLE $.t ADD COLUMN k Int64")
	w = r.claim(s)
	ok(w)

	r.exec("ALTER TABLE $.t ADD COLUMN more String")
	ok(w) // what is being written fits
	refused("column more of type String has no field and no default")
	r.exec("ALTER TABLE $.t MODIFY COLUMN more DEFAULT 'x'")
	w.Close()
	w = r.claim(s)
	ok(w)

	// After the INSERT was opened: whatever the server does with the block, the
	// repeat leaves the row there once.
	for i, statement := range []string{"ALTER TABLE $.t MODIFY COLUMN k Nullable(Int32)", "ALTER TABLE $.t DROP COLUMN more", "TRUNCATE TABLE $.t",
		"RENAME TABLE $.t TO $.away"} {
		w := r.claim(s)
		if _, err := w.Append(t.Context(), r.chunk(next, row()...)); err != nil {
			t.Fatal(err)
		}
		c := cut(next, next+1)
		c.Attempt = 15 * time.Second
		if _, err := w.Stage(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { // it may wait for the INSERT
			_, err := r.server.Query(context.WithoutCancel(t.Context()), strings.ReplaceAll(statement, "$", r.database))
			done <- err
		}()
		time.Sleep(300 * time.Millisecond)
		err := w.Commit(t.Context(), c, "")
		w.Close()
		if altered := <-done; altered != nil {
			t.Errorf("%s: %v", statement, altered)
		}
		t.Logf("%s: commit answered %v", statement, err)
		if i == 3 {
			r.exec("RENAME TABLE $.away TO $.t")
		}
		r.mustWrite(r.claim(s), next, row()...)
		want := "1"
		if i == 2 && err == nil { // it was taken, and truncated then
			want = r.query(fmt.Sprintf("SELECT count() FROM $.t WHERE n = %d", next))
		}
		r.want(fmt.Sprintf("SELECT count() FROM $.t WHERE n = %d AND k = %d", next, next), want)
		next++
	}
}
