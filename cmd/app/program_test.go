package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/sinks"
)

// patience ends a wait that would never end. What is waited for takes far less,
// also on a machine that is busy with other things: nothing is measured by it.
const patience = 2 * time.Minute

// TestMain turns this test program into sluice where a test starts it again.
func TestMain(m *testing.M) {
	if how := os.Getenv("SLUICE_TEST_SINK"); how != "" {
		app.Main(waiting(how))
	}
	if os.Getenv("SLUICE_TEST_ALL_SINKS") != "" {
		app.Main(sinks.All()...)
	}
	os.Exit(m.Run())
}

// process is sluice in a process of its own, not started yet; see TestMain for
// what the variable is.
func process(t *testing.T, variable string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, args...)
	c.Env = append(os.Environ(), variable)
	return c
}

// result is what one run of the program gave.
type result struct {
	code     int
	out, err string
}

// sluice runs the program with the sinks that come with it, to its end.
func sluice(t *testing.T, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	code := app.Run(t.Context(), args, strings.NewReader(""), &out, &err, sinks.All())
	return result{code, out.String(), err.String()}
}

// want checks the exit code and that each stream holds a text; "" for nothing
// at all.
func (r result) want(t *testing.T, code int, out, err string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.out, out) || !strings.Contains(r.err, err) || out == "" && r.out != "" || err == "" && r.err != "" {
		t.Errorf("exit code %d, want %d\nstdout, want %q:\n%s\nstderr, want %q:\n%s", r.code, code, out, r.out, err, r.err)
	}
	if strings.Contains(r.out+r.err, "goroutine") {
		t.Errorf("a stack trace:\n%s%s", r.out, r.err)
	}
}

func decode(t *testing.T, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
}

// put writes a file, and makes its folder.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// folder writes files into a folder and makes it the current one.
func folder(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		put(t, name, text)
	}
}

// transcript is what a program says, read while it is written.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// program is `sluice run` in this process.
type program struct {
	t      *testing.T
	said   transcript
	cancel func()
	done   chan struct{}
	code   int // once done
}

// start runs the program until end is called, or the test ends.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &program{t: t, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.code = app.Run(ctx, append([]string{"run", "--metrics", "127.0.0.1:0"}, args...), strings.NewReader(""), &p.said, &p.said, sinks.All())
	}()
	t.Cleanup(func() { p.end() })
	return p
}

// end tells the program to stop, and answers the exit code.
func (p *program) end() int {
	p.t.Helper()
	p.cancel()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("the program does not end:\n%s", &p.said)
	}
	return p.code
}

func (p *program) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait waits until something is reached, which the end of the program can be.
func (p *program) wait(what string, reached func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !reached(); time.Sleep(10 * time.Millisecond) {
		if p.ended() && !reached() {
			p.t.Fatalf("waiting for %s: the program has ended with exit code %d:\n%s", what, p.code, &p.said)
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain for %s:\n%s", what, &p.said)
		}
	}
}

var servingAt = regexp.MustCompile(`serving metrics.*address["=: ]+(127\.0\.0\.1:\d+)`)

// get asks the program for what it serves, headers and all; "" as long as it
// serves nothing.
func (p *program) get(path string) string {
	at := servingAt.FindStringSubmatch(p.said.String())
	if at == nil {
		return ""
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+at[1]+path, nil)
	if err != nil {
		return ""
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close() //nolint:errcheck // only read
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return string(body) + fmt.Sprint(res.Header)
}
