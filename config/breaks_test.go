package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/config"
)

// Every line break that YAML knows keeps places right, and with them what is
// masked: a password stays hidden whatever ends the lines before it.
func TestLineBreaks(t *testing.T) {
	for _, eol := range []string{"\n", "\r\n", "\r", "\u0085", "\u2028", "\u2029"} {
		t.Chdir(t.TempDir())
		text := strings.Join([]string{"connections:", "  a:", "    mariadb:", "      address: [x]", "      password: hunter2-in-file", "      zebra: hunter2-in-file", "      database: [hunter2-in-file]", ""}, eol)
		write(t, "a.yaml", text)
		_, err := config.Load([]string{"a.yaml"}, specs(), environment)
		var ps config.Problems
		if !errors.As(err, &ps) {
			t.Fatalf("%q: %v", eol, err)
		}
		var b strings.Builder
		ps.Write(&b, "")
		if strings.Contains(b.String(), "hunter2-in-file") {
			t.Errorf("%q: shows a secret:\n%s", eol, b.String())
		}
		if !strings.Contains(b.String(), "a.yaml:6:7: connections.a.mariadb.zebra") {
			t.Errorf("%q: the place of zebra is wrong:\n%s", eol, b.String())
		}
	}
}

// What is in a file does not move the cursor of whoever reads the message.
func TestMessagesArePrintable(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "a.yaml", "streams: {\"\\e[31mx\": {\"\\e]0;evil\\a\": 1}}\nconnections: {\"\\u202eevil\": {\"\\x1b\": {}}, \u202eraw: {}}\n---\nsink: \"\\e[1m\"\nwhere: \"\\e == \\u0007\"\n\"\\u009b31m\": x\n")
	_, err := config.Load([]string{"a.yaml"}, specs(), environment)
	var ps config.Problems
	if !errors.As(err, &ps) {
		t.Fatal(err)
	}
	var b strings.Builder
	ps.Write(&b, "")
	if text := b.String() + err.Error(); strings.ContainsAny(text, "\x1b\a\u009b\u202e") || !strings.Contains(text, `streams.\x1b[31mx`) || !strings.Contains(text, `connections.\u202eevil`) {
		t.Errorf("got %q", text)
	}
}
