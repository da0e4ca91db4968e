package clickhouse_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/clickhouse"
	"github.com/sluicekit/sluice/sinks/endpoint"
)

// rights are what README lists.
func rights(more ...string) []string {
	return append([]string{"INSERT, SELECT ON *.t", "SELECT ON system.parts", "SELECT ON system.merge_tree_settings"}, more...)
}

// TestRights: what README lists is enough; what a user lacks is told.
func TestRights(t *testing.T) {
	strip := func(i int) []string { all := rights(); return append(all[:i:i], all[i+1:]...) }
	replace := func(list []string) []string {
		out := []string{}
		for _, g := range list {
			out = append(out, strings.ReplaceAll(g, "*.t", "g.t"))
		}
		return out
	}
	users := []stack.ClickHouseUser{
		{Name: "writer", Password: "geheim4711", Grants: replace(rights())},
		{Name: "maker", Password: "x", Grants: replace(rights("CREATE TABLE ON g.t", "TABLE ENGINE ON MergeTree"))},
		{Name: "adder", Password: "x", Grants: replace(rights("ALTER ADD COLUMN ON g.t"))},
		{Name: "viewer", Password: "x", Grants: replace(rights("SHOW TABLES ON g.*"))},
		{Name: "nobody", Password: "x", Grants: []string{"SHOW DATABASES ON *.*"}},
		{Name: "reader", Password: "x", Grants: replace(append(strip(0), "SELECT ON g.t"))},
		{Name: "quota", Password: "x", Grants: replace(rights()), Quota: "<interval><duration>3600</duration><queries>3</queries></interval>"},
		{Name: "frozen", Password: "x", Grants: replace(rights()), Settings: "<readonly>1</readonly>"},
	}
	// None of the rights is too many.
	least := append([]string{"INSERT ON g.t", "SELECT ON g.t"}, rights()[1:]...)
	for i := range least {
		users = append(users, stack.ClickHouseUser{Name: fmt.Sprint("without", i), Password: "x", Grants: slices.Delete(slices.Clone(least), i, i+1)})
	}
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: users,
		Config: "<access_control_improvements><select_from_system_db_requires_grant>true</select_from_system_db_requires_grant></access_control_improvements>"})
	as := func(user, password string) *rig {
		r := newRig(t, c, field("n", record.Int), field("k", record.Int))
		r.database, r.conn.Database = "g", "g"
		r.conn.Username, r.conn.Password = user, sink.NewSecret(password)
		r.config.Timeout = time.Second
		return r
	}
	if err := c.CreateDatabase(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	r := as("maker", "x")
	r.options.Create = true
	r.open()
	r.exec("DROP TABLE $.t SYNC")

	r = as("writer", "geheim4711")
	forgetful(r, "n != 1")
	if err := repeat(r, r.open()); err != nil {
		t.Fatal(err)
	}
	r.want("SELECT n, count() FROM $.t WHERE n < 4 GROUP BY n ORDER BY n", "0\t1\n1\t1\n2\t1\n3\t1")
	for i, grant := range least {
		r = as(fmt.Sprint("without", i), "x")
		if strings.Contains(grant, "settings") { // it is asked for where the table has none of its own
			r.exec("ALTER TABLE $.t RESET SETTING non_replicated_deduplication_window")
		}
		s, err := r.tryOpen()
		if err == nil {
			err = repeat(r, s)
		}
		if err == nil {
			err = r.write(r.claim(s), 60, []any{1, 1})
		}
		if err == nil || !sink.IsPermanent(err) || !strings.Contains(err.Error(), "ACCESS_DENIED") {
			t.Errorf("without %s: %v", grant, err)
		}
	}
	r.exec("ALTER TABLE $.t MODIFY SETTING non_replicated_deduplication_window = 100")
	r = as("adder", "x")
	r.schema.Fields = append(r.schema.Fields, field("more", record.String))
	r.options.OnNewField = "add_column"
	r.mustWrite(r.claim(r.open()), 50, []any{7, 7, "seven"})
	r.want("SELECT more FROM $.t WHERE n = 7", "seven")

	for user, want := range map[string]string{"nobody": "is not there, or not to be seen", "frozen": "READONLY"} {
		r = as(user, "x")
		s, err := r.tryOpen()
		if err == nil {
			err = r.write(r.claim(s), 60, []any{1, 1})
		}
		if err == nil || !sink.IsPermanent(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", user, err)
		}
	}
	for user, want := range map[string]string{"reader": "ACCESS_DENIED", "quota": "the user's quota is used up"} {
		r = as(user, "x")
		s, err := r.tryOpen()
		for i := int64(0); err == nil && i < 9; i++ {
			var w sink.Writer
			if w, _, err = s.Claim(t.Context(), claimed()); err == nil {
				err = r.write(w, 70+i, []any{1, 1})
				w.Close()
			}
		}
		if err == nil || !sink.IsPermanent(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", user, err)
		}
	}
	r = as("writer", "wrong")
	r.refused("AUTHENTICATION_FAILED")

	r.exec("CREATE TABLE $.sums (n Int64) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.exec("CREATE MATERIALIZED VIEW $.mv TO $.sums AS SELECT n FROM $.t")
	as("writer", "geheim4711").refused("`mv` is not to be seen", "GRANT SHOW TABLES ON `g`.*")
	r = as("viewer", "x")
	r.mustWrite(r.claim(r.open()), 90, []any{1, 1})
	r.want("SELECT count() FROM $.sums", "1")
}

// TestLateWrite: an owner that was halted between Stage and Commit for longer
// than its attempt may take is refused by the server, on the connection that it
// has. The next owner has gone on meanwhile.
func TestLateWrite(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	r.options.Create = true
	s := r.open()
	for _, tc := range []struct {
		pause   time.Duration
		applied string
	}{{0, "2"}, {10 * time.Second, "0"}} {
		r.exec("TRUNCATE TABLE $.t")
		w := r.claim(s)
		if _, err := w.Append(t.Context(), r.chunk(0, []any{1}, []any{2})); err != nil {
			t.Fatal(err)
		}
		c := cut(0, 2)
		c.Attempt = 6 * time.Second
		if _, err := w.Stage(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		time.Sleep(tc.pause)
		err := w.Commit(t.Context(), c, "")
		if (err == nil) != (tc.pause == 0) {
			t.Errorf("after a pause of %s: %v", tc.pause, err)
		}
		if err != nil && sink.IsPermanent(err) {
			t.Errorf("marked Permanent: %v", err)
		}
		r.want("SELECT count() FROM $.t", tc.applied)
	}
}

// TestCutAfterBlock: the connection is cut when the block has arrived. The
// outcome is unknown, and a repeat completes it once.
func TestCutAfterBlock(t *testing.T) {
	c := servers.ClickHouse(t)
	r := newRig(t, c, field("n", record.Int))
	r.options.Create = true
	p := stack.ProxyTo(t, c.Addr(), stack.Raw)
	r.conn.Address = []string{p.Addr()}
	s := r.open()
	w := r.claim(s)
	if _, err := w.Append(t.Context(), r.chunk(0, []any{1}, []any{2})); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Stage(t.Context(), cut(0, 2)); err != nil {
		t.Fatal(err)
	}
	p.CutAnswer()
	err := w.Commit(t.Context(), cut(0, 2), "")
	if err == nil || sink.IsRefused(err) || sink.IsPermanent(err) {
		t.Fatalf("got %v, want an unknown outcome", err)
	}
	r.mustWrite(r.claim(s), 0, []any{1}, []any{2})
	r.want("SELECT count() FROM $.t", "2")

	// A connection that dies before a byte of the block was sent proves that
	// nothing was applied.
	w = r.claim(s)
	if _, err := w.Append(t.Context(), r.chunk(2, []any{3})); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Stage(t.Context(), cut(2, 3)); err != nil {
		t.Fatal(err)
	}
	p.Sever()
	time.Sleep(50 * time.Millisecond)
	if err := w.Commit(t.Context(), cut(2, 3), ""); !sink.IsRefused(err) {
		t.Errorf("got %v, want Refused", err)
	}
	r.want("SELECT count() FROM $.t", "2")
}

// TestTableTrouble: what happens to a table under way is told in words, and the
// next claim goes on when it is mended.
func TestTableTrouble(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	create := "CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = MergeTree PARTITION BY n % 2000 ORDER BY n SETTINGS non_replicated_deduplication_window = 10000, parts_to_throw_insert = 5, parts_to_delay_insert = 5"
	r.exec(create)
	s := r.open()
	w := r.claim(s)
	r.mustWrite(w, 0, []any{1})

	r.exec("ALTER TABLE $.t MODIFY COLUMN _topic LowCardinality(String)")
	if err := r.write(w, 1, []any{2}); err == nil || !strings.Contains(err.Error(), "the table was altered") {
		t.Errorf("altered: %v", err)
	}
	w.Close() // or the INSERT that it has opened keeps the table from being dropped
	w = r.claim(s)
	r.mustWrite(w, 1, []any{2})

	r.exec("SYSTEM STOP MERGES $.t")
	var err error
	for i := int64(2); i < 20 && err == nil; i++ {
		err = r.write(w, i, []any{1})
	}
	if err == nil || sink.IsPermanent(err) || !strings.Contains(err.Error(), "merges do not keep up") {
		t.Errorf("too many parts: %v", err)
	}
	r.exec("SYSTEM START MERGES $.t")

	var rows [][]any
	for i := range 101 {
		rows = append(rows, []any{i + 100})
	}
	err = r.write(r.claim(s), 100, rows...)
	if err == nil || !sink.IsRefused(err) || !strings.Contains(err.Error(), "a coarser PARTITION BY") {
		t.Errorf("too many partitions: %v", err)
	}

	w = r.claim(s)
	r.exec("DROP TABLE $.t SYNC")
	if err := r.write(w, 300, []any{2}); err == nil || !sink.IsPermanent(err) || !strings.Contains(err.Error(), "UNKNOWN_TABLE") {
		t.Errorf("dropped: %v", err)
	}
	if _, _, err := s.Claim(t.Context(), claimed()); err == nil || !sink.IsPermanent(err) {
		t.Errorf("claim of a dropped table: %v", err)
	}
	r.exec(create)
	r.mustWrite(r.claim(s), 300, []any{2})
}

// TestViews: a materialized view has each row once, too.
func TestViews(t *testing.T) {
	r := newRig(t, servers.ClickHouse(t), field("n", record.Int))
	r.exec("CREATE TABLE $.t (n Int64, " + provenance + ") ENGINE = MergeTree PARTITION BY n % 4 ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.exec("CREATE TABLE $.sums (k Int64, n Int64) ENGINE = SummingMergeTree ORDER BY k SETTINGS non_replicated_deduplication_window = 1000")
	r.exec("CREATE MATERIALIZED VIEW $.mv TO $.sums AS SELECT k, s AS n FROM (SELECT n % 3 AS k, sum(n) AS s FROM $.t GROUP BY k)")
	s := r.open()
	for first := int64(0); first < 3; first++ {
		for range 3 { // the same batch
			r.mustWrite(r.claim(s), 4*first, []any{1}, []any{2}, []any{3}, []any{4})
		}
	}
	r.want("SELECT count(), sum(n) FROM $.t", "12\t30")
	r.want("SELECT sum(n) FROM $.sums", "30")
}

// TestTwoConnections: what one server has says nothing of the other's.
func TestTwoConnections(t *testing.T) {
	one, two := servers.ClickHouse(t), stack.ClickHouse(t)
	for _, c := range []*stack.ClickHouseServer{one, two} {
		r := newRig(t, c, field("n", record.Int))
		r.options.Create = true
		s := r.open()
		_, found, err := s.Claim(t.Context(), claimed())
		if err != nil || found.State != sink.Empty {
			t.Errorf("found %+v, %v", found, err)
		}
		r.mustWrite(r.claim(s), 0, []any{1})
		r.want("SELECT count() FROM $.t", "1")
	}
}

// TestFailOver: the first address that answers is used, one that hangs is passed
// over, and a server that is back is found again.
func TestFailOver(t *testing.T) {
	c := servers.ClickHouse(t)
	r := newRig(t, c, field("n", record.Int))
	r.options.Create, r.options.Provenance.Off, r.config.Delivery = true, true, sink.AtLeastOnce
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := stack.ProxyTo(t, c.Addr(), stack.Raw)
	r.conn.Timeout = 3 * time.Second
	r.conn.Address = []string{"127.0.0.1:1", silent.Addr().String(), p.Addr(), c.Addr()}
	s := r.open()
	w := r.claim(s)
	r.mustWrite(w, 0, []any{1})
	if p.Conns() == 0 {
		t.Error("the third address, which is the first that answers, was not used")
	}
	p.Refuse()
	p.Sever()
	time.Sleep(100 * time.Millisecond) // it is noticed before the next batch, and costs no attempt
	r.mustWrite(w, 1, []any{2})
	// One that is back is found by a writer that has all it needs elsewhere, too.
	w = r.claim(s)
	r.mustWrite(w, 2, []any{3})
	if err := p.Accept(); err != nil {
		t.Fatal(err)
	}
	r.mustWrite(w, 3, []any{4})
	if p.Conns() != 0 {
		t.Error("a connection that is fine was left")
	}
	clickhouse.Age(w, 5*time.Minute)
	r.mustWrite(w, 4, []any{5})
	if p.Conns() == 0 {
		t.Error("a server that is back was not found again")
	}
	r.want("SELECT count() FROM $.t", "5")
}

// TestTLS goes through a proxy that ends the encryption, and wants to see our
// certificate.
func TestTLS(t *testing.T) {
	c := servers.ClickHouse(t)
	dir, stranger := t.TempDir(), t.TempDir()
	stack.Certificates(t, dir, map[string][]string{"server": {"127.0.0.1"}, "client": nil})
	stack.Certificates(t, stranger, nil)
	file := func(name string) string { return filepath.Join(dir, name) }
	l, err := tls.Listen("tcp", "127.0.0.1:0", stack.ServerTLS(t, dir, "server"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.Close()
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { carry(in, c.Addr()) })
		}
	})
	for _, compression := range []string{"none", "lz4", "zstd"} {
		r := newRig(t, c, field("n", record.Int), field("s", record.String))
		r.options.Create, r.conn.Address, r.conn.Compression = true, []string{l.Addr().String()}, compression
		r.conn.TLS = &endpoint.TLS{CA: file("ca.pem"), Cert: file("client.pem"), Key: file("client.key")}
		w := r.claim(r.open())
		var rows [][]any
		for i := range 3000 {
			rows = append(rows, []any{i, strings.Repeat("text ", i%1000)})
		}
		r.mustWrite(w, 0, rows...)
		r.want("SELECT count(), sum(length(s)) FROM $.t", "3000\t7492500")
		w.Close()

		r.conn.TLS.CA = filepath.Join(stranger, "ca.pem")
		r.refused("certificate")
		r.conn.TLS = &endpoint.TLS{CA: file("ca.pem")}
		if _, err := r.tryOpen(); err == nil {
			t.Error("the proxy let in who has no certificate")
		}
	}
}

// TestCompression: what is chosen is what goes over the wire.
func TestCompression(t *testing.T) {
	c := servers.ClickHouse(t)
	sent := map[string]int64{}
	for _, compression := range []string{"none", "lz4", "zstd"} {
		r := newRig(t, c, field("s", record.String))
		p := stack.ProxyTo(t, c.Addr(), stack.Raw)
		var n atomic.Int64
		p.OnRequest(func(_ int, b []byte) stack.Action { n.Add(int64(len(b))); return stack.Forward })
		r.options.Create, r.conn.Address, r.conn.Compression = true, []string{p.Addr()}, compression
		var rows [][]any
		for i := range 5000 {
			rows = append(rows, []any{fmt.Sprint("https://example.com/path/", i*i%977, "/page/", i)})
		}
		r.mustWrite(r.claim(r.open()), 0, rows...)
		r.want("SELECT uniqExact(s) FROM $.t", "5000")
		sent[compression] = n.Load()
	}
	if sent["none"] < 150_000 || sent["lz4"] > sent["none"]/2 || sent["zstd"] > sent["lz4"]*3/4 {
		t.Errorf("bytes that were sent: %v", sent)
	}
	t.Log(sent)
}

func carry(in net.Conn, to string) {
	defer in.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	var both sync.WaitGroup
	both.Go(func() { io.Copy(out, in); out.(*net.TCPConn).CloseWrite() })
	both.Go(func() { io.Copy(in, out); in.Close() })
	both.Wait()
}

// TestHungServer: a server that was halted says nothing; the end of the context
// ends the call, and the batch is in once when all is over.
func TestHungServer(t *testing.T) {
	c := stack.ClickHouse(t)
	r := newRig(t, c, field("n", record.Int))
	r.options.Create, r.conn.Timeout = true, time.Minute
	s := r.open()
	w := r.claim(s)
	if _, err := w.Append(t.Context(), r.chunk(0, []any{1})); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Stage(t.Context(), cut(0, 1)); err != nil {
		t.Fatal(err)
	}
	if err := c.Pause(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := w.Commit(short, cut(0, 1), "")
	if err == nil || sink.IsRefused(err) || sink.IsPermanent(err) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 20*time.Second {
		t.Errorf("commit: %v after %s", err, time.Since(began))
	}
	if _, _, err := s.Claim(short, claimed()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 30*time.Second {
		t.Errorf("claim: %v after %s", err, time.Since(began))
	}
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	r.mustWrite(r.claim(s), 0, []any{1})
	r.want("SELECT count() FROM $.t", "1")
}
