package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/sinks"
)

// guarded is a buffer that is read while it is written.
type guarded struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(p)
}

func (g *guarded) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.String()
}

// A start that waits for the schema registry says so where one looks, and still
// ends when it is told to.
func TestAWaitingStartShows(t *testing.T) {
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer registry.Close()
	dir := t.TempDir()
	yaml := fmt.Sprintf("streams: {s: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t], group: g}, format: avro, registry: {url: %q}}}\n---\nsink: a\nfrom: s\nfields: all\nstdout:\n", registry.URL)
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log, code := &guarded{}, make(chan int, 1)
	go func() {
		code <- app.Run(ctx, []string{"run", "-c", dir, "--metrics", "127.0.0.1:0"}, strings.NewReader(""), io.Discard, log, sinks.All())
	}()
	get := func(path string) string {
		_, rest, _ := strings.Cut(log.String(), `msg="serving metrics" address=`)
		address, _, ok := strings.Cut(rest, "\n")
		if !ok {
			return ""
		}
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			return ""
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return ""
		}
		return string(body)
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(get("/metrics"), `sluice_stream_state{stream="s",state="waiting_for_registry"} 1`); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not seen; metrics:\n%s\nlog:\n%s", get("/metrics"), log)
		}
	}
	if status := get("/status"); !strings.Contains(status, "the schema registry has given no answer of use since 20") {
		t.Errorf("status: %s", status)
	}
	stop()
	select {
	case c := <-code:
		if c != 0 {
			t.Errorf("exit code %d:\n%s", c, log)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}
