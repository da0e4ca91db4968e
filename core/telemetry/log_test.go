package telemetry_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/telemetry"
)

func TestLoggerFormatsAndLevels(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, "json", "warn")
	if err != nil {
		t.Fatal(err)
	}
	log = log.With("sink", "balances@billing", "stream", "events", "partition", 3)
	log.Info("not shown")
	log.Warn("stopped", "error", "gap")
	var line struct {
		Time                            time.Time
		Level, Msg, Sink, Stream, Error string
		Partition                       int
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if line.Level != "WARN" || line.Msg != "stopped" || line.Sink != "balances@billing" || line.Stream != "events" || line.Partition != 3 || line.Error != "gap" {
		t.Errorf("line %s", out.String())
	}
	if _, offset := line.Time.Zone(); offset != 0 {
		t.Errorf("time %s is not UTC", line.Time)
	}
	out.Reset()
	log, err = telemetry.NewLogger(&out, "", "")
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("not shown")
	log.Info("two\nlines")
	if text := out.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `msg="two\nlines"`) || !strings.Contains(text, "Z level=INFO") {
		t.Errorf("text %q, want one line at level info in UTC", text)
	}
	for _, bad := range [][2]string{{"xml", "info"}, {"text", "loud"}} {
		if _, err := telemetry.NewLogger(&out, bad[0], bad[1]); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
