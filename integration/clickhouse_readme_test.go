package integration_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/integration/harness"
	"github.com/sluicekit/sluice/integration/stack"
)

// TestClickHouseReadme follows the five minutes of sinks/clickhouse/README.md with
// the built program, from an empty server to a filled table: as the user that it
// makes, in folders as it has them, and with the commands that it names.
func TestClickHouseReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../sinks/clickhouse/README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := func(language string) (all []string) {
		for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(text, -1) {
			all = append(all, string(m[1]))
		}
		return all
	}
	sql, yaml, commands := blocks("sql")[0], blocks("yaml"), blocks("sh")[0]
	user := stack.ClickHouseUser{Name: "sluice", Password: "a password"}
	var statements []string
	for statement := range strings.SplitSeq(sql, ";") {
		statement = strings.TrimSpace(statement)
		if grant, ok := strings.CutPrefix(statement, "GRANT "); ok {
			user.Grants = append(user.Grants, strings.TrimSuffix(grant, " TO sluice"))
		} else if statement != "" && !strings.HasPrefix(statement, "CREATE USER") { // this server can make none
			statements = append(statements, statement)
		}
	}
	k := stack.Kafka(t)
	c := stack.ClickHouseWith(t, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{user},
		Config: "<access_control_improvements><select_from_system_db_requires_grant>true</select_from_system_db_requires_grant></access_control_improvements>"})
	for _, statement := range statements {
		ask(t, c, statement)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sinks"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"streams.yaml", "sinks/stats.yaml"} {
		if !strings.Contains(string(text), "`"+name+"`:\n") {
			t.Errorf("README names no %s", name)
		}
		here := strings.NewReplacer("kafka:9092", k.Addr(), "ch:9000", c.Addr()).Replace(yaml[i])
		if err := os.WriteFile(filepath.Join(dir, name), []byte(here), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	topic(t, k, "events", 8)
	cl := kafkaClient(t, k, kgo.DefaultProduceTopic("events"))
	for n := range 20 {
		send(t, cl, &kgo.Record{Partition: int32(n % 8), Value: fmt.Appendf(nil,
			`{"id":"e%d","time":"2026-01-01T00:00:00.123Z","type":"click","server":"s","payload":{"campaign_id":%d,"cost":0.25}}`, n, n)})
	}
	binary := harness.Build(t)
	command := func(args ...string) *exec.Cmd {
		if !strings.Contains(commands, "\nsluice "+strings.Join(args, " ")) {
			t.Errorf("README says nothing of sluice %q", args)
		}
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CH_PASSWORD="+user.Password)
		return cmd
	}
	if out, err := command("check", "--connect").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l := begin(t, command("run"), filepath.Join(dir, "log"))
	l.until("all rows", func() bool { return number(t, c, "SELECT count() FROM stats.events") >= 20 })
	l.stop()
	if got, want := ask(t, c, "SELECT count(), uniqExact(event_id), sum(campaign_id), sum(cost), any(time), any(_sink) FROM stats.events"),
		"20\t20\t190\t5\t2026-01-01 00:00:00.123\tstats@ch_prod"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
