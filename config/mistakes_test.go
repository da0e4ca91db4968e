package config_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluicekit/sluice/config"
)

// update rewrites the expected messages: go test ./config -run Mistakes -update
var update = flag.Bool("update", false, "rewrite the expected messages")

// Each file of testdata/mistakes is a configuration with mistakes, and the
// messages that it must give, in the section want.
func TestMistakes(t *testing.T) {
	names, err := filepath.Glob("testdata/mistakes/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range names {
		name, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			if n := len(archive.Files); archive.Files[n-1].Name == "want" {
				want = string(archive.Files[n-1].Data)
				archive.Files = archive.Files[:n-1]
			}
			unpack(t, archive)
			got := messages(t)
			if *update {
				archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			for _, secret := range []string{"hunter2", "zweihundert"} {
				if strings.Contains(got, secret) {
					t.Errorf("the messages show the secret %s:\n%s", secret, got)
				}
			}
		})
	}
}

// messages loads the current folder and returns everything that is said.
func messages(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	c, err := config.Load([]string{"."}, specs(), environment)
	var problems config.Problems
	switch {
	case err == nil:
		c.Warnings.Write(&b, "warning")
	case errors.As(err, &problems):
		problems.Write(&b, "")
	default:
		t.Fatalf("not Problems: %v", err)
	}
	return b.String()
}
