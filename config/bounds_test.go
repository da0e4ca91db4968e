package config_test

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/config"
)

// Files made to be slow: the time grows with their size and not faster, so that
// the largest allowed, eight times as large, is read in seconds.
func TestHostileFiles(t *testing.T) {
	const size = 1 << 17
	fill := func(head, part, tail string) string {
		return head + strings.Repeat(part, (size-len(head)-len(tail))/len(part)) + tail
	}
	numbered := func(head, format, tail string) string {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; b.Len() < size-len(tail)-40; i++ {
			b.WriteString(strings.ReplaceAll(format, "#", "k"+strconv.Itoa(i)))
		}
		return b.String() + tail
	}
	chain := "x0: &a0 [x, x]\n"
	for i := 1; i < 25; i++ {
		chain += "x" + strconv.Itoa(i) + ": &a" + strconv.Itoa(i) + " [*a" + strconv.Itoa(i-1) + ", *a" + strconv.Itoa(i-1) + "]\n"
	}
	const sinkHead = "sink: s\nfrom: e\nprint:\nfields:\n"
	f := func(name, text string) {
		t.Helper()
		t.Chdir(t.TempDir())
		write(t, "a.yaml", text)
		write(t, "x", strings.Repeat("x", 64<<10))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		_, err := config.Load([]string{"a.yaml"}, specs(), environment)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%-20s %6d ms %5d MiB allocated", name, took.Milliseconds(), allocated)
		if err == nil {
			t.Errorf("%s: no problem found", name)
		}
		if took > time.Minute || allocated > 256 {
			t.Errorf("%s: took %v and %d MiB", name, took, allocated)
		}
	}
	f("brackets", fill("", "[", ""))
	f("flow list", fill("[", "a,", "]"))
	f("flow mappings", fill("sink: [", "{a: b},", "]"))
	f("block list", fill("", "- a\n", ""))
	f("dashes", fill("", "- ", ""))
	f("questions", fill("", "? ", ""))
	f("unknown keys", numbered("sink: s\n", "#: x\n", ""))
	f("keys of one line", numbered("sink: s\nmariadb: {", "#: x, ", "}"))
	f("bad fields", numbered(sinkHead, "  -#: x\n", ""))
	f("good fields", numbered(sinkHead, "  #: x\n", ""))
	f("one key", fill("sink: s\n", "a: b\n", ""))
	f("streams", numbered("streams:\n", "  #: {kafka: {group: g}}\n", ""))
	f("references", fill("sink: \"", "${env:X}", "\""))
	f("commas", fill("sink: {a: f(", "b, ", ")}"))
	f("aliases", chain+"sink: *a24\n")
	f("anchors", numbered("sink: [", "&# x, ", "]"))
	f("comments", fill("", "# a\n", "sink: s"))
	f("literal", fill("sink: |\n", "  abc\n", ""))
	f("long line", fill("sink: ", "a b ", ""))
	f("quotes", fill("sink: \"", `\u00e4`, "\""))
	f("documents", fill("", "---\na: b\n", ""))
	half := strings.Repeat("x", size/2)
	f("long alias", fill("streams: {e: {kafka: {group: g, brokers: [&a \""+half+"\",", "*a,", "]}}}"))
	f("long alias of types", numbered("streams: {e: {format: json, types: {k: &a \""+half+"\"", ",#: *a", "}}}"))
	f("long reference", fill("streams: {e: {kafka: {group: g, brokers: [&a \"${env:ROWS}"+half+"\",", "*a,", "]}}}"))
	f("large files", fill("streams: {e: {kafka: {group: g, brokers: [\"", "${file:x}", "\"]}}}"))
	f("many large files", fill("streams: {e: {kafka: {group: g, brokers: [", "'${file:x}${file:x}${file:x}${file:x}',", "]}}}"))
	f("topics", numbered("streams: {e: {kafka: {group: g, topics: [", "#,", "]}}}"))
	f("paths", numbered("streams: {e: {files: {paths: [", "#,", "]}}}"))
	f("connections", numbered("sink: s\nfrom: e\nfields: all\nmariadb: {table: t, connection: [", "#,", "]}"))
	f("groups", numbered("sink: s\nfrom: e\nfields: all\naggregate: {by: [", "#,", "]}"))
	f("sinks", numbered("", "---\nsink: #\n", ""))
	f("units", fill("limits: {memory: 1", "x", "}"))
}

// Numbers and names that only somebody hostile, or a script with an empty
// variable, would write.
func TestOddValues(t *testing.T) {
	const stream = "streams: {e: {kafka: {brokers: [k:1], topics: [t], group: g}, format: json}}\n"
	f := func(text, want string) {
		t.Helper()
		t.Chdir(t.TempDir())
		write(t, "a.yaml", text)
		_, err := config.Load([]string{"a.yaml"}, specs(), environment)
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > len(want)+200 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80q: got %.400v, want %q", text, err, want)
		}
	}
	f(stream+"---\nsink: '${env:EMPTY}'\nfrom: e\nfields: all\nprint:\n", "a.yaml:3:7: sink: a sink's name has up to 64 characters")
	f(strings.Replace(stream, "[t]", "['']", 1), "streams.e.kafka.topics[0]: is no name of a topic")
	f("limits: {memory: 6148914691236517206B}\n"+stream, "limits.memory: must be from 32MiB to 16TiB")
	f("limits: {memory: 1"+strings.Repeat("x", 100_000)+"}\n"+stream, "limits.memory: unknown unit of size \"xxx")
	f("defaults: {timeout: 1"+strings.Repeat("x", 100_000)+"}\n"+stream, "defaults.timeout: unknown unit of time \"xxx")
}
