package core_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sluicekit/sluice/"

// allowed is which of our packages each package may import, tests left out.
// "*" stands for everything below.
var allowed = map[string][]string{
	"core":              {},
	"core/record":       {},
	"core/source":       {},
	"core/folder":       {"core/source"},
	"core/telemetry":    {},
	"core/sink":         {"core/record"},
	"core/plan":         {"core/record"},
	"core/ledger":       {"core/record"},
	"core/ledger/*":     {"core/record", "core/ledger"},
	"core/decode":       {"core/record", "core/plan"},
	"core/lane":         {"core/record", "core/sink", "core/plan", "core/ledger", "core/telemetry"},
	"core/deadletter":   {"core/lane", "core/source"},
	"core/pipeline":     {"core/record", "core/sink", "core/plan", "core/ledger", "core/telemetry", "core/lane", "core/source", "core/folder", "core/decode"},
	"core/peek":         {"core/record", "core/plan", "core/source", "core/decode", "core/folder"},
	"core/settle":       {"core/record", "core/sink", "core/ledger", "core/source"},
	"sinks":             {"core/sink", "sinks/*"},
	"sinks/clock":       {},
	"sinks/endpoint":    {"core/sink"},
	"sinks/nearest":     {},
	"sinks/sqltable/*":  {"core/record", "core/sink", "core/sink/sinktest", "sinks/sqltable"},
	"sinks/*":           {"core/record", "core/sink", "sinks/*"},
	"config":            {"core/*"},
	"cmd/sluice":        {"cmd/app", "sinks"},
	"cmd/app":           {"config", "core/*", "cmd/app/*", "sinks/jsonl"},
	"cmd/app/apptest":   {"cmd/app", "core/telemetry", "sinks"},
	"cmd/app/*":         {"config", "core/*", "sinks", "sinks/*"},
	"integration/*":     {"*"},
	"core/sink/*":       {"core/record", "core/sink"},
	"core/record/*":     {"core/record"},
	"integration":       {"*"},
	"integration/up":    {"integration/stack"},
	"integration/stack": {},
}

// TestDirection enforces that data flows one way: a package imports only what
// lies before it.
func TestDirection(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		seen++
		return checkFile(t, path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Errorf("looked at %d files only: is the test still in the right folder?", seen)
	}
}

func checkFile(t *testing.T, path string) error {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../")
	rules, ok := rulesOf(pkg)
	if !ok {
		t.Errorf("%s: package %s is not in the table of this test: say where it lies in the flow", path, pkg)
		return nil
	}
	for _, i := range f.Imports {
		to, ours := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), module)
		if ours && !slices.ContainsFunc(rules, func(r string) bool { return matches(r, to) }) {
			t.Errorf("%s: package %s must not import %s; it may import %v", path, pkg, to, rules)
		}
	}
	return nil
}

// rulesOf prefers an exact entry to that of a folder.
func rulesOf(pkg string) ([]string, bool) {
	if r, ok := allowed[pkg]; ok {
		return r, true
	}
	for dir := filepath.Dir(pkg); dir != "."; dir = filepath.Dir(dir) {
		if r, ok := allowed[dir+"/*"]; ok {
			return r, true
		}
	}
	return nil, false
}

func matches(rule, pkg string) bool {
	prefix, wild := strings.CutSuffix(rule, "*")
	return rule == pkg || wild && strings.HasPrefix(pkg, prefix)
}
