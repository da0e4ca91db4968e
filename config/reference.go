package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxReferenced is the largest file that ${file:PATH} reads, in bytes.
const maxReferenced = 64 << 10

// maxReferences is how many references one scalar may hold.
const maxReferences = 100

// text is the value of a scalar with its references resolved.
type text struct {
	value string
	refs  bool // some of it comes from elsewhere, by a reference or an alias: it must not be printed
}

// resolve replaces ${env:NAME} and ${file:PATH}; $${ becomes ${. All references
// of the scalar are tried, so that all mistakes are reported at once.
func (d *decoder) resolve(n *yaml.Node, path string) (text, bool) {
	shared := d.file.shared[n]
	if !strings.Contains(n.Value, "${") {
		return text{n.Value, shared}, true
	}
	var b strings.Builder
	ok, refs, rest := true, shared, n.Value
	for found := 0; ; found++ {
		if found > maxReferences {
			d.fail(n, path, fmt.Sprintf("more than %d references in one text", maxReferences), "")
			return text{}, false
		}
		if *d.referenced > maxTotal {
			d.fail(n, path, fmt.Sprintf("more than %d MiB of texts with references in the configuration", maxTotal>>20), "")
			return text{}, false
		}
		i := strings.Index(rest, "${")
		if i < 0 {
			b.WriteString(rest)
			return text{b.String(), refs}, ok
		}
		if i > 0 && rest[i-1] == '$' {
			b.WriteString(rest[:i-1] + "${")
			rest = rest[i+2:]
			continue
		}
		at := len(n.Value) - len(rest) + i
		b.WriteString(rest[:i])
		end := strings.IndexByte(rest[i:], '}')
		if end < 0 {
			d.add(d.file.within(n, at, 2, path, "a reference without its closing }", "write $${ for a literal ${"))
			return text{}, false
		}
		ref := rest[i+2 : i+end]
		value, hint, err := d.lookup(ref)
		if err != nil {
			d.add(d.file.within(n, at, end+1, path, err.Error(), hint))
			ok = false
		}
		b.WriteString(value)
		*d.referenced += i + len(value)
		refs = true
		rest = rest[i+end+1:]
	}
}

// lookup finds what one reference stands for.
func (d *decoder) lookup(ref string) (value, hint string, err error) {
	kind, name, _ := strings.Cut(ref, ":")
	switch {
	case kind == "env" && name != "":
		if v, ok := d.env(name); ok {
			return v, "", nil
		}
		return "", "", fmt.Errorf("the environment variable %s is not set", name)
	case kind == "file" && name != "":
		v, err := readReferenced(d.file.path(name))
		if err != nil {
			return "", "", fmt.Errorf("the file %s %w", name, err)
		}
		return v, "", nil
	}
	return "", "write ${env:NAME} or ${file:PATH}, or $${ for a literal ${", errors.New("an unknown reference")
}

// path resolves a path of the YAML against the folder of its file.
func (f *file) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(f.dir, name)
}

func readReferenced(name string) (string, error) {
	b, err := readFile(name, maxReferenced)
	if err != nil {
		return "", err
	}
	v := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if strings.IndexByte(v, 0) >= 0 {
		return "", errors.New("is not text")
	}
	return v, nil
}

// readFile reads a regular file of at most most bytes. Its errors go on after
// the name of the file. A pipe or a device could block or never end.
func readFile(name string, most int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	var b []byte
	if err == nil {
		b, err = readAll(name, most)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("does not exist")
	case errors.Is(err, fs.ErrPermission):
		return nil, errors.New("may not be read: permission denied")
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", cause(err))
	case int64(len(b)) > most:
		return nil, fmt.Errorf("has more than %d KiB", most>>10)
	}
	return b, nil
}

func readAll(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most+1))
}

// cause is the error below a *fs.PathError, whose path the message has already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
