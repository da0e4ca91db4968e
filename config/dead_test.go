package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/config"
)

const deadFolder = `
streams:
  e:
    kafka: {brokers: k:1, topics: t, group: g}
    format: json
    dead_letters: {dir: dead}
    defaults: {max_bad: 5%}
---
sink: s
from: e
fields: all
on_bad_record: dead_letter
print:
---
sink: own
from: e
fields: all
on_bad_record: dead_letter
max_bad: 0.1%
print:
---
sink: stops
from: e
fields: all
print:
`

// A folder of dead letters is one by itself. A share that
// comes from defaults: does not bind a sink that stops at the first bad record.
func TestDeadLettersAndMaxBad(t *testing.T) {
	c := mustLoad(t, "-- a.yaml --"+deadFolder)
	if d := c.Streams[0].DeadLetters; d.Topic != "" || filepath.Base(d.Dir) != "dead" || d.None() {
		t.Errorf("dead letters: %+v", d)
	}
	for name, want := range map[string]config.Share{"s": 50, "own": 1} {
		if got := c.Sink(name).MaxBad; got != want {
			t.Errorf("sink %s: max_bad %s, want %s", name, got, want)
		}
	}
	if config.Share(50).String() != "5%" || config.Share(1).String() != "0.1%" || config.Share(999).String() != "99.9%" {
		t.Errorf("%s %s %s", config.Share(50), config.Share(1), config.Share(999))
	}
	for value, ok := range map[string]bool{"5%": true, "99.9%": true, "0.5%": true, "0%": false, "100%": false, "5": false, "0.05": false, "1.25%": false, "-1%": false, "5.%": false, ".5%": false, "%": false, "1e1%": false} {
		_, err := load(t, "-- a.yaml --"+strings.Replace(deadFolder, "max_bad: 0.1%", `max_bad: "`+value+`"`, 1))
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "max_bad: must be a percentage from 0.1% to 99.9%, such as 5%") {
			t.Errorf("max_bad: %s: %v", value, err)
		}
	}
	_, err := load(t, "-- a.yaml --"+deadFolder+"---\nsink: x\nfrom: e\nfields: all\nmax_bad: 5%\nprint:\n")
	if err == nil || !strings.Contains(err.Error(), "max_bad: has no meaning with on_bad_record: stop") {
		t.Errorf("max_bad of a sink that stops: %v", err)
	}
}
