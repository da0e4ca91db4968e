package clickhouse_test

import (
	"net"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
)

// TestDistributed: what a Distributed table promises is what the tables of its
// shards can, if the same row goes to the same shard each time.
func TestDistributed(t *testing.T) {
	shard := servers.ClickHouse(t)
	host, port, err := net.SplitHostPort(shard.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{
		{Name: "blind", Password: "x", Grants: []string{"INSERT, SELECT ON *.*"}},
		{Name: "seeing", Password: "x", Grants: []string{"INSERT, SELECT ON *.*", "REMOTE ON *.*"}}}, Config: strings.NewReplacer("HOST", host, "PORT", port).Replace(
		"<remote_servers><c><shard><replica><host>HOST</host><port>PORT</port></replica></shard></c></remote_servers>")})
	on := &rig{TB: t, server: shard, database: newDatabase(t, shard)}
	const columns = "(n Int64, " + provenance + ") ENGINE = "
	with := func(engine string) *rig {
		r := newRig(t, c, field("n", record.Int))
		r.exec("CREATE TABLE $.t " + columns + "Distributed('c', '" + on.database + "', " + engine + ")")
		return r
	}
	on.exec("CREATE TABLE $.plain " + columns + "MergeTree ORDER BY n")
	on.exec("CREATE TABLE $.good " + columns + "MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	on.exec("CREATE TABLE $.log " + columns + "Log")

	with("'plain', n").refused("its non_replicated_deduplication_window is 0", "ALTER TABLE `"+on.database+"`.`plain`")
	with("'log', n").refused("of engine Log, which does not remember")
	with("'missing', n").refused("of its shards")
	r := with("'good', rand()")
	r.refused("rand()")
	r.config.Delivery = sink.AtLeastOnce
	r.open()

	r = newRig(t, c, field("n", record.Int))
	on.exec("CREATE TABLE $.id (n Int64, id UUID, " + provenance + ") ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	r.exec("CREATE TABLE $.t (n Int64, id UUID DEFAULT generateUUIDv4(), " + provenance + ") ENGINE = Distributed('c', '" + on.database + "', 'id', cityHash64(`id`))")
	r.refused("its sharding key reads column id, which no field fills and whose default rests on generateUUIDv4()")

	r = with("'good', n")
	s := r.open()
	for range 2 {
		r.mustWrite(r.claim(s), 0, []any{1}, []any{2})
	}
	r.want("SELECT count() FROM $.t", "2")

	// Rows of an engine that merges them say nothing of where they come from,
	// behind a Distributed table too.
	on.exec("CREATE TABLE $.sums " + columns + "SummingMergeTree ORDER BY _sink SETTINGS non_replicated_deduplication_window = 1000")
	sums := with("'sums', n")
	if _, found, err := sums.open().Claim(t.Context(), claimed()); err != nil || found.State != sink.NoMark {
		t.Errorf("found %+v, %v; want no mark", found, err)
	}

	// What a view fills may be Distributed too.
	over := newRig(t, c, field("n", record.Int))
	over.exec("CREATE TABLE $.t " + columns + "MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	on.exec("CREATE TABLE $.few (n Int64) ENGINE = MergeTree ORDER BY n")
	over.exec("CREATE TABLE $.d (n Int64) ENGINE = Distributed('c', '" + on.database + "', 'few', n)")
	over.exec("CREATE MATERIALIZED VIEW $.mv TO $.d AS SELECT n FROM $.t")
	over.refused("`mv` fills `$`.`d`, and of table `" + on.database + "`.`few` of a shard: its non_replicated_deduplication_window is 0")
	on.exec("ALTER TABLE $.few MODIFY SETTING non_replicated_deduplication_window = 1000")
	s = over.open()
	for range 2 {
		over.mustWrite(over.claim(s), 0, []any{1}, []any{2})
	}
	on.want("SELECT count() FROM $.few", "2")

	// And one may be on a Distributed table: it is filled where the batch arrives.
	from := with("'good', n")
	from.exec("CREATE TABLE $.v (n Int64) ENGINE = MergeTree ORDER BY n")
	from.exec("CREATE MATERIALIZED VIEW $.mv TO $.v AS SELECT n FROM $.t")
	mended(from, "`mv` fills `$`.`v`, and its non_replicated_deduplication_window is 0")
	s = from.open()
	for range 2 {
		from.mustWrite(from.claim(s), 10, []any{1}, []any{2})
	}
	from.want("SELECT count() FROM $.v", "2")
	// Another server would have another table of that name.
	from.conn.Address = append(from.conn.Address, "127.0.0.1:1")
	from.refused("`mv` fills `$`.`v`", "has 2 addresses", "of engine MergeTree is another one on each")

	r.conn.Username, r.conn.Password = "blind", sink.NewSecret("x")
	r.refused("are not to be seen", "GRANT REMOTE")
	r.conn.Username = "seeing"
	r.open()
}

// TestRowPolicyOfShard: whom a shard hides rows from is said by the shard.
func TestRowPolicyOfShard(t *testing.T) {
	const columns = "(n Int64, " + provenance + ") ENGINE = "
	shard := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{{Name: "half", Password: "x", Grants: []string{"ALL ON *.*"},
		Databases: "<policy><t><filter>n = 0</filter></t></policy>"}}})
	on := &rig{TB: t, server: shard, database: "policy"}
	if err := shard.CreateDatabase(t.Context(), on.database); err != nil {
		t.Fatal(err)
	}
	on.exec("CREATE TABLE $.t " + columns + "MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 1000")
	host, port, err := net.SplitHostPort(shard.Addr())
	if err != nil {
		t.Fatal(err)
	}
	replica := strings.NewReplacer("HOST", host, "PORT", port).Replace("<shard><replica><host>HOST</host><port>PORT</port>USER</replica></shard>")
	grants := rights("REMOTE ON *.*")
	grants[0] = strings.Replace(grants[0], "*.t", "front.*", 1)
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{{Name: "sluice", Password: "x", Grants: grants}}, Config: "<remote_servers><all>" +
		strings.Replace(replica, "USER", "", 1) + "</all><half>" + strings.Replace(replica, "USER", "<user>half</user><password>x</password>", 1) + "</half></remote_servers>"})
	if err := c.CreateDatabase(t.Context(), "front"); err != nil {
		t.Fatal(err)
	}
	for _, cluster := range []string{"all", "half"} {
		r := newRig(t, c, field("n", record.Int))
		r.database, r.conn.Database, r.conn.Username, r.conn.Password, r.options.Table = "front", "front", "sluice", sink.NewSecret("x"), cluster
		r.exec("CREATE TABLE $." + cluster + " " + columns + "Distributed('" + cluster + "', 'policy', 't', n)")
		if cluster == "all" { // which the shard hides nothing from
			r.mustWrite(r.claim(r.open()), 0, []any{1})
			r.open()
			continue
		}
		r.refused("a row policy of a shard hides rows of it", "DROP ROW POLICY", "delivery: at_least_once")
		r.config.Delivery = sink.AtLeastOnce
		r.open()
	}
}
