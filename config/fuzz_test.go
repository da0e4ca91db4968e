package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/tools/txtar"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/plan"
)

// FuzzLoad loads arbitrary text: whatever it is, there is a Config or Problems
// with places inside the text, soon, and never a value of the environment.
func FuzzLoad(f *testing.F) {
	cases, err := filepath.Glob("testdata/mistakes/*.txtar")
	if err != nil || len(cases) == 0 {
		f.Fatalf("no cases: %v", err)
	}
	for _, name := range cases {
		a, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			if filepath.Ext(file.Name) == ".yaml" {
				f.Add(string(file.Data))
			}
		}
	}
	for _, file := range txtar.Parse([]byte(example)).Files {
		f.Add(string(file.Data))
	}
	f.Add(strings.Repeat("[", 20_000))
	f.Add(strings.Repeat("a: ", 20_000))
	f.Add(strings.Repeat("- ", 20_000))
	events, err := decode.Open(f.Context(), decode.Options{Format: decode.JSON})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		t.Chdir(t.TempDir())
		if err := os.WriteFile("a.yaml", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		c, err := config.Load([]string{"a.yaml"}, specs(), environment)
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("took %v", took)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20+1000*uint64(len(text)) {
			t.Errorf("allocated %d bytes for %d", n, len(text))
		}
		var ps config.Problems
		switch {
		case err == nil:
			ps = c.Warnings
		case !errors.As(err, &ps) || len(ps) == 0:
			t.Fatalf("neither a Config nor Problems: %v", err)
		}
		// Expressions are looked at whatever else is wrong.
		_, wrong := c.Compile(fixed(c, events))
		ps = ps.With(wrong)
		lines := 1 + strings.Count(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
		for _, other := range []string{"\r", "\u0085", "\u2028", "\u2029"} { // which end a line in YAML too
			lines += strings.Count(strings.ReplaceAll(text, "\r\n", "\n"), other)
		}
		var b strings.Builder
		ps.Write(&b, "")
		for _, p := range ps {
			if p.Line < 0 || p.Line > lines || p.Column < 0 || p.File != "a.yaml" || p.Message == "" {
				t.Errorf("a place outside of the text: %+v", p)
			}
		}
		if i := strings.IndexFunc(b.String(), func(r rune) bool {
			return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
		}); i >= 0 {
			t.Errorf("what is printed can move a terminal's cursor: %q", b.String()[max(0, i-100):min(b.Len(), i+20)])
		}
		// The same text gives the same.
		again, errAgain := config.Load([]string{"a.yaml"}, specs(), environment)
		if fmt.Sprint(err) != fmt.Sprint(errAgain) || (c == nil) != (again == nil) {
			t.Errorf("loaded twice: %v and %v", err, errAgain)
		}
		if c != nil && (!reflect.DeepEqual(c.Streams, again.Streams) || !reflect.DeepEqual(c.Connections, again.Connections) || !reflect.DeepEqual(c.Limits, again.Limits) || len(c.Sinks) != len(again.Sinks)) {
			t.Errorf("loaded twice: %+v and %+v", c, again)
		}
		if strings.Contains(b.String(), "hunter2-from-env") && !strings.Contains(text, "hunter2-from-env") {
			t.Errorf("shows a secret:\n%s", b.String())
		}
	})
}

// fixed says that each stream has the same events.
func fixed(c *config.Config, events plan.Events) map[string]plan.Events {
	all := map[string]plan.Events{}
	for _, s := range c.Streams {
		all[s.Name] = events
	}
	return all
}
