package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAcme builds, runs and tests the sink that lives outside of this module,
// as its author would: in its own module, with nothing but what is exported.
func TestAcme(t *testing.T) {
	// Its go.mod names Sluice alone, so that it need not follow each of our
	// dependencies: a copy is filled in here, with the sums that we have.
	mod := filepath.Join(t.TempDir(), "go.mod")
	for from, to := range map[string]string{"testdata/acme/go.mod": mod, "../go.sum": strings.TrimSuffix(mod, "mod") + "sum"} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := func(want string, args ...string) {
		t.Helper()
		args = append([]string{args[0], "-mod=mod", "-modfile=" + mod}, args[1:]...)
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = filepath.Join("testdata", "acme")
		cmd.Env = append(os.Environ(), "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("go %s: %v, want %q in\n%s", strings.Join(args, " "), err, want, out)
		}
	}
	f("", "vet", "./...")
	f("acme_objects  replay", "run", ".", "sinks")
	f("bucket: clicks", "run", ".", "describe", "acme_objects")
	f("--- PASS: TestConformance/Crash", "test", "-v", "./...")
}
