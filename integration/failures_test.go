package integration_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestFailureModes keeps failures.md true: each row says what Sluice does and
// which test shows it, or "not yet"; the tests that it names exist, and those of
// TestGaps are all named.
func TestFailureModes(t *testing.T) {
	text, err := os.ReadFile("failures.md")
	if err != nil {
		t.Fatal(err)
	}
	source := &failureSource{t: t, packages: map[string]*failurePackage{}}
	rows, tests, open := 0, 0, 0
	for n, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| What happens") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 3 {
			t.Errorf("line %d has %d cells, want 3", n+1, len(cells))
			continue
		}
		for i := range cells {
			if cells[i] = strings.TrimSpace(cells[i]); cells[i] == "" {
				t.Errorf("line %d: cell %d is empty", n+1, i+1)
			}
		}
		rows++
		found, bad := source.named(cells[2])
		for _, b := range bad {
			t.Errorf("line %d: there is no %s", n+1, b)
		}
		tests += found
		later := strings.Contains(cells[2], "not yet") || strings.Contains(cells[1], "not yet")
		if later {
			open++
		}
		if found == 0 && len(bad) == 0 && !strings.Contains(cells[2], "not yet") {
			t.Errorf("line %d names no test, and does not say that it is not tested yet", n+1)
		}
	}
	t.Logf("%d failure modes, %d tests named, %d rows say not yet", rows, tests, open)
	for _, name := range source.gaps() {
		if !strings.Contains(string(text), "TestGaps/"+name+"`") {
			t.Errorf("failures.md does not name TestGaps/%s", name)
		}
	}
}

// failureSource is the tree, as far as it was looked at.
type failureSource struct {
	t        *testing.T
	packages map[string]*failurePackage
}

// failurePackage is what a folder's Go files have.
type failurePackage struct {
	funcs map[string]*ast.FuncDecl
	texts map[string]bool // string constants, among them the names of parts of tests
}

var (
	failureCode = regexp.MustCompile("`([^`]*)`")
	failureTest = regexp.MustCompile(`^(\S+) ((?:Test|Fuzz)\w+)(?:/(.+))?$`)
	// failureKits hold parts of tests that other packages run.
	failureKits = []string{"core/sink/sinktest", "sinks/sqltable/sqltabletest"}
)

// named counts the tests that a cell names, and lists what does not exist.
func (s *failureSource) named(cell string) (found int, bad []string) {
	for _, m := range failureCode.FindAllStringSubmatch(cell, -1) {
		ref := failureTest.FindStringSubmatch(m[1])
		if ref == nil {
			bad = append(bad, "test written as "+m[1])
			continue
		}
		p := s.load(ref[1])
		part := ref[3]
		known := part == ""
		for _, folder := range append([]string{ref[1]}, failureKits...) {
			known = known || s.load(folder).texts[part]
		}
		if p.funcs[ref[2]] == nil || !known {
			bad = append(bad, m[1])
			continue
		}
		found++
	}
	return found, bad
}

// load parses the Go files of a folder, which need not exist.
func (s *failureSource) load(folder string) *failurePackage {
	if p := s.packages[folder]; p != nil {
		return p
	}
	p := &failurePackage{funcs: map[string]*ast.FuncDecl{}, texts: map[string]bool{}}
	s.packages[folder] = p
	paths, err := filepath.Glob(filepath.Join("..", folder, "*.go"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasSuffix(path, "_test.go") {
				p.funcs[f.Name.Name] = f
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if text, ok := textOf(n); ok {
				p.texts[text] = true
			}
			return true
		})
	}
	return p
}

func textOf(n ast.Node) (string, bool) {
	lit, ok := n.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// gaps lists the parts of TestGaps: what is written beside a function's name,
// and what is run.
func (s *failureSource) gaps() (names []string) {
	f := s.load("integration").funcs["TestGaps"]
	if f == nil {
		s.t.Fatal("TestGaps is gone")
	}
	ast.Inspect(f, func(n ast.Node) bool {
		var first ast.Node
		switch n := n.(type) {
		case *ast.CompositeLit:
			if len(n.Elts) == 2 {
				first = n.Elts[0]
			}
		case *ast.CallExpr:
			if call, ok := n.Fun.(*ast.SelectorExpr); ok && call.Sel.Name == "Run" {
				first = n.Args[0]
			}
		}
		if text, ok := textOf(first); ok {
			names = append(names, text)
		}
		return true
	})
	if len(names) < 20 {
		s.t.Fatalf("only %d parts of TestGaps were found: %q", len(names), names)
	}
	return names
}
