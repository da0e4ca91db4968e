package apptest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/core/telemetry"
	"github.com/sluicekit/sluice/sinks"
)

// Patience ends a wait that would never end. What is waited for takes far less,
// also on a machine that is busy with other things: nothing is measured by it.
const Patience = 5 * time.Minute

// Transcript is what a program says, read while it is written.
type Transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *Transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// String is all that was said so far.
func (s *Transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// Program is one life of `sluice run`.
type Program struct {
	Said *Transcript // on both streams

	t      testing.TB
	cancel func()
	done   chan struct{}
	code   int // once done
}

// Start runs the program with more arguments until End is called, or the test
// ends.
func Start(t testing.TB, args ...string) *Program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &Program{Said: &Transcript{}, t: t, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.code = app.Run(ctx, append([]string{"run", "--metrics", "127.0.0.1:0"}, args...), strings.NewReader(""), p.Said, p.Said, sinks.All())
	}()
	t.Cleanup(func() { p.End() })
	return p
}

// End tells the program to stop, and answers its exit code.
func (p *Program) End() int {
	p.t.Helper()
	p.cancel()
	select {
	case <-p.done:
	case <-time.After(Patience):
		p.t.Fatalf("the program does not end:\n%s", p.Said)
	}
	return p.code
}

// Ended says whether the program has ended.
func (p *Program) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait waits until something is reached, which the end of the program can be.
func (p *Program) Wait(what string, reached func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(Patience); !reached(); time.Sleep(10 * time.Millisecond) {
		if p.Ended() && !reached() {
			p.t.Fatalf("waiting for %s: the program has ended with exit code %d:\n%s", what, p.code, p.Said)
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain for %s:\n%s", what, p.Said)
		}
	}
}

// Get asks the program for what it serves, and answers it with its headers; ""
// as long as it serves nothing.
func (p *Program) Get(path string) string {
	body, header := p.get(path)
	if body == nil {
		return ""
	}
	return string(body) + fmt.Sprint(header)
}

// Status is what /status says; nothing as long as it is not served.
func (p *Program) Status() (s telemetry.Snapshot) {
	p.t.Helper()
	if body, _ := p.get("/status"); body != nil {
		if err := json.Unmarshal(body, &s); err != nil {
			p.t.Fatalf("/status: %v", err)
		}
	}
	return s
}

func (p *Program) get(path string) ([]byte, http.Header) {
	address := Address(p.Said.String())
	if address == "" {
		return nil, nil
	}
	body, header, err := Get(p.t.Context(), "http://"+address+path)
	if err != nil {
		return nil, nil // it is just starting or ending
	}
	return body, header
}

var serving = regexp.MustCompile(`serving metrics.*address["=: ]+([0-9.]+:\d+)`)

// Address is where a program serves its metrics, by what it has logged in either
// format; "" as long as it does not say.
func Address(logged string) string {
	at := serving.FindStringSubmatch(logged)
	if at == nil {
		return ""
	}
	return at[1]
}

// Get reads what is served at a URL.
func Get(ctx context.Context, url string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	return body, res.Header, err
}
