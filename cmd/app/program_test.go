package app_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/sinks"
)

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
