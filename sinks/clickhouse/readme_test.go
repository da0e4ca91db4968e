package clickhouse_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/clickhouse"
)

// TestReadme follows README from an empty server to a filled table, as the user
// that it makes, with the rights that it grants and no more.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var statements, grants []string
	for _, s := range strings.Split(block(t, text, "sql", 0), ";") {
		s = strings.TrimSpace(s)
		grant, isGrant := strings.CutPrefix(s, "GRANT ")
		switch {
		case isGrant:
			grants = append(grants, strings.TrimSuffix(grant, " TO sluice"))
		case s != "" && !strings.HasPrefix(s, "CREATE USER"): // this server cannot make one
			statements = append(statements, s)
		}
	}
	var want []string
	for _, g := range rights() {
		want = append(want, strings.ReplaceAll(g, "*.t", "stats.events"))
	}
	if !slices.Equal(grants, want) {
		t.Errorf("README grants %q, the tests run with %q", grants, want)
	}
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{{Name: "sluice", Password: "a password", Grants: grants}}})
	for _, s := range statements {
		if err := c.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "streams.yaml"), filepath.Join(dir, "stats.yaml")}
	for i, path := range paths {
		yaml := strings.ReplaceAll(block(t, text, "yaml", i), `"ch:9000"`, `"`+c.Addr()+`"`)
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := config.Load(paths, []sink.Spec{clickhouse.Spec()}, func(name string) (string, bool) { return "a password", name == "CH_PASSWORD" })
	if err != nil {
		t.Fatal(err)
	}
	o, err := loaded.Streams[0].Decode(nil)
	if err != nil {
		t.Fatal(err)
	}
	events, err := decode.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loaded.Compile(map[string]plan.Events{loaded.Streams[0].Name: events}); err != nil {
		t.Errorf("sluice check: %v", err) // the types of JSON have to be said
	}
	r := newRig(t, c, field("event_id", record.String), field("time", record.Timestamp), field("campaign_id", record.Int),
		record.Field{Name: "cost", Type: record.Type{Kind: record.Decimal, Precision: 18, Scale: 6}, Nullable: true})
	r.options = loaded.Sinks[0].Options.(*clickhouse.Options)
	r.conn = loaded.Sinks[0].Targets[0].Options.(*clickhouse.Connection)
	r.config.Options, r.config.Conn = r.options, r.conn
	r.mustWrite(r.claim(r.open()), 0, []any{"a", at("2026-01-01 00:00:00.123"), 7, "0.125"})
	r.want("SELECT * FROM stats.events", "a\t2026-01-01 00:00:00.123\t7\t0.125\ts@c\tcluster/topic\tevents\t0\t0")
}

// block is the n-th block of a language.
func block(t *testing.T, text []byte, language string, n int) string {
	t.Helper()
	all := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(text, -1)
	if n >= len(all) {
		t.Fatalf("README has %d blocks of %s", len(all), language)
	}
	return string(all[n][1])
}
