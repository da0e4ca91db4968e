package app_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/deadletter"
	"github.com/sluicekit/sluice/core/lane"
)

const deadYAML = `
streams:
  events:
    kafka: {brokers: ["127.0.0.1:1"], topics: [events], group: g}
    format: json
    dead_letters: {dir: dead}
  quiet:
    kafka: {brokers: ["127.0.0.1:1"], topics: [quiet], group: h}
    format: json
`

// graveyard is a configuration with dead letters in a folder. No Kafka is
// needed to look at those.
func graveyard(t *testing.T, letters ...lane.Letter) (dir string, dead func(args ...string) result) {
	t.Helper()
	dir = t.TempDir()
	put(t, filepath.Join(dir, "streams.yaml"), deadYAML)
	f, err := deadletter.OpenFolder(filepath.Join(dir, "dead"), "events", deadletter.FolderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), letters); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, func(args ...string) result {
		t.Helper()
		return sluice(t, append([]string{"dead", "-c", dir}, args...)...)
	}
}

func dead(sink string, partition int32, offset int64, reason, value string) lane.Letter {
	return lane.Letter{Sink: sink, Topic: "events", Incarnation: "c/1", Partition: partition, Offset: offset, Reason: reason, Timestamp: 1_700_000_000_000, Value: []byte(value)}
}

func TestDeadUsage(t *testing.T) {
	dir, run := graveyard(t)
	run().want(t, 2, "", "dead: say list or show")
	run("lst").want(t, 2, "", `dead: unknown "lst"; did you mean list?`)
	run("replay-all").want(t, 2, "", `say list or show`)
	run("list", "events/0/1").want(t, 2, "", "dead list takes no places")
	run("list", "--since", "yesterday").want(t, 2, "", "--since yesterday: say 15m or 2026-11-22T10:00:00Z")
	run("list", "--limit", "-7").want(t, 2, "", "--limit -7: a number, or 0 for all")
	run("list", "--stream", "event").want(t, 2, "", `no stream is called "event"; did you mean events?`)
	run("list", "--stream", "quiet").want(t, 2, "", "the stream quiet has no dead_letters")
	run("show", "events[0]").want(t, 2, "", "a place is TOPIC/PARTITION/OFFSET")
	run("show").want(t, 1, "", "no dead letter is like that")
	run("list").want(t, 0, "no dead letters of events in "+filepath.Join(dir, "dead"), "")
}

func TestDeadList(t *testing.T) {
	var letters []lane.Letter
	for i := range int64(30) {
		letters = append(letters, dead("clicks@db", int32(i%2), i, fmt.Sprintf("the registry does not know schema id %d", 1000+i), "secret"))
	}
	letters = append(letters, dead("clicks@db", 0, 90, "cost: null", "secret"), dead("sums@db", 0, 90, "cost: \x1b[31mnull", "secret"), letters[7])
	_, run := graveyard(t, letters...)
	r := run("list")
	r.want(t, 0, "STREAM  SINK       LETTERS  FIRST", "")
	for _, want := range []string{"events  clicks@db  30 ", " events/0/0 ", " events/1/29 ", "the registry does not know schema id #\n", `cost: \x1b[#`} {
		if !strings.Contains(r.out, want) {
			t.Errorf("list lacks %q:\n%s", want, r.out)
		}
	}
	if strings.Contains(r.out, "secret") || strings.Contains(r.out, "\x1b") || strings.Count(r.out, "\n") != 4 {
		t.Errorf("list:\n%s", r.out)
	}
	run("list", "--limit", "1").want(t, 0, "and 2 lines more", "")
	if out := run("list", "--sink", "sums").out; strings.Contains(out, "clicks") || !strings.Contains(out, "sums@db") {
		t.Errorf("list of sums:\n%s", out)
	}
	if out := run("list", "--reason", "schema id 1003").out; !strings.Contains(out, "clicks@db  1 ") {
		t.Errorf("list of one schema id:\n%s", out)
	}
	run("list", "--since", "2100-01-01").want(t, 0, "no dead letters", "")
	var report struct {
		Streams []struct {
			Stream  string
			Repeats int
		}
		Groups []struct {
			Sink, Reason string
			Letters      int
			First        struct{ Offset, Partition int64 }
		}
	}
	decode(t, run("list", "--json").out, &report)
	if len(report.Streams) != 1 || report.Streams[0].Repeats != 1 || len(report.Groups) != 3 || report.Groups[0].Letters != 30 || report.Groups[2].Sink != "sums@db" {
		t.Errorf("%+v", report)
	}
}

// What a record holds is shown when it is asked for, and never acted on by a
// terminal.
func TestDeadShow(t *testing.T) {
	evil := "\x1b]0;title\x07\x1b[2J \u202eabc \u009b31m"
	letters := []lane.Letter{
		dead("clicks@db", 0, 1, "cost: null", `{"id":7,"text":"`+"\u202e\u009b"+`","n":{"a":[1,2]}}`),
		dead("clicks@db", 0, 2, "no event", "plain text\n"+evil),
		dead("clicks@db", 0, 3, "no event", "\x00\x01\x02\xff\x1b[31m"),
		dead("clicks@db", 0, 4, "no event", strings.Repeat("äx", 10_000)),
		{Sink: "clicks@db", Topic: "events", Incarnation: "c/1", Offset: 5, Reason: "null", Key: []byte(evil), Headers: []lane.Header{{Key: evil, Value: []byte{0, 0xff}}}},
		{Sink: "clicks@db", Topic: "events", Incarnation: "c/1", Offset: 6, Reason: "gone", Missing: true, Timestamp: 1 << 62},
		dead("sums@db", 0, 1, evil, `{"id":7}`),
	}
	dir, run := graveyard(t, letters...)
	all := run("show", "--limit", "0")
	all.want(t, 0, "record       events/0/1\nsink         clicks@db\nreason       cost: null\ntime         2023-11-14T22:13:20.000Z\n", "")
	for _, want := range []string{"\n  \"id\": 7,\n", `"text": "\u202e\u009b"`, "plain text\n\\x1b]0;title\\a", "00000000  00 01 02 ff 1b 5b 33 31  6d", ", the first 4095\n", "null)", "was deleted from its topic", "0x00ff"} {
		if !strings.Contains(all.out, want) {
			t.Errorf("show lacks %q:\n%s", want, all.out)
		}
	}
	asJSON := run("show", "--limit", "0", "--json")
	for _, out := range []string{all.out, asJSON.out} {
		for _, bad := range []string{"\x1b", "\x07", "\u202e", "\u009b", "\x00", "\r"} {
			if strings.Contains(out, bad) {
				t.Errorf("%q goes to the terminal:\n%q", bad, out)
			}
		}
	}
	var shown []struct {
		Sink, Topic string
		Offset      int64
		Value       []byte
		Event       json.RawMessage
	}
	decode(t, asJSON.out, &shown)
	if len(shown) != len(letters) || string(shown[1].Value) != string(letters[1].Value) || shown[0].Event == nil || shown[1].Event != nil || shown[4].Value != nil {
		t.Errorf("%s", asJSON.out)
	}
	run("show", "--limit", "2").want(t, 0, "events/0/2", "there are more; --limit 20")
	if out := run("show", "events/0/3", "events/0/6").out; strings.Contains(out, "events/0/1") || !strings.Contains(out, "events/0/6") {
		t.Errorf("two places:\n%s", out)
	}
	raw := filepath.Join(dir, "raw")
	run("show", "events/0/1", "--raw", raw).want(t, 2, "", "takes one letter")
	run("show", "events/0/5", "--raw", raw).want(t, 1, "", "has no value")
	run("show", "events/0/6", "--raw", raw).want(t, 1, "", "was deleted")
	run("show", "events/0/3", "--raw", raw).want(t, 0, "", "9 bytes of events/0/3")
	if b, err := os.ReadFile(raw); err != nil || string(b) != string(letters[2].Value) {
		t.Errorf("raw: %q, %v", b, err)
	}
	if info, err := os.Stat(raw); err != nil || info.Mode() != 0o600 {
		t.Errorf("raw: %v, %v", info.Mode(), err)
	}
	run("show", "events/0/3", "--raw", raw).want(t, 1, "", "file exists")
}
