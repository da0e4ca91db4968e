package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/cmd/app/apptest"
)

// A start that waits for the schema registry says so where one looks, and still
// ends when it is told to.
func TestAWaitingStartShows(t *testing.T) {
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer registry.Close()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.yaml"), fmt.Sprintf("streams: {s: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t], group: g}, format: avro, registry: {url: %q}}}\n---\nsink: a\nfrom: s\nfields: all\nstdout:\n", registry.URL))
	p := apptest.Start(t, "-c", dir)
	p.Wait("the stream to say so", func() bool {
		return strings.Contains(p.Get("/metrics"), `sluice_stream_state{stream="s",state="waiting_for_registry"} 1`)
	})
	if status := p.Get("/status"); !strings.Contains(status, "the schema registry has given no answer of use since 20") {
		t.Errorf("status: %s", status)
	}
	if code := p.End(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.Said)
	}
}
