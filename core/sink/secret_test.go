package sink_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/sink"
)

// A secret does not print, whichever way and however deep it lies.
func TestSecretsNeverPrint(t *testing.T) {
	const canary = "canary-7f3a"
	s := sink.NewSecret(canary)
	type inner struct{ hidden sink.Secret }
	holders := []any{s, &s, inner{s}, &inner{s}, []inner{{s}}, map[string]*inner{"a": {s}}, struct{ P *inner }{&inner{s}}, []any{s, inner{s}}}
	for _, h := range holders {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t", "%p", "%T", "%w"} {
			if got := fmt.Sprintf(verb, h); strings.Contains(got, canary) || strings.Contains(got, fmt.Sprintf("%x", canary)) {
				t.Errorf("%s of %T printed the secret: %s", verb, h, got)
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "k", h)
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "k", h)
		text, _ := json.Marshal(h)
		if strings.Contains(log.String()+string(text), canary) {
			t.Errorf("log or JSON of %T printed the secret: %s %s", h, &log, text)
		}
	}
	if s.Reveal() != canary || !s.Set() || (sink.Secret{}).Set() {
		t.Error("Reveal or Set is wrong")
	}
}

// Marks survive each other, and wrapping.
func TestClasses(t *testing.T) {
	cause := errors.New("table gone")
	f := func(err error, refused, permanent bool) {
		t.Helper()
		err = fmt.Errorf("commit: %w", err)
		if sink.IsRefused(err) != refused || sink.IsPermanent(err) != permanent {
			t.Errorf("%v: refused %v, permanent %v", err, sink.IsRefused(err), sink.IsPermanent(err))
		}
	}
	f(cause, false, false)
	f(sink.Refused(cause), true, false)
	f(sink.Permanent(cause), false, true)
	f(sink.Refused(sink.Permanent(cause)), true, true)
	f(sink.Permanent(sink.Refused(cause)), true, true)
	f(sink.Permanent(fmt.Errorf("open: %w", sink.Refused(cause))), true, true)
	f(&sink.RowsError{Rows: []sink.RowError{{Offset: 3, Reason: "too long"}}}, true, false)
	f(sink.Stale("12"), true, false)
	if !errors.Is(sink.Stale("12"), sink.ErrStale) || !errors.Is(sink.Refused(cause), cause) {
		t.Error("a mark hides its cause")
	}
}
