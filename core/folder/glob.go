package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// named is a path and whether a glob gave it.
type named struct {
	path    string
	globbed bool
}

type pathError struct {
	path string
	err  error
}

// expand lists the paths of files and globs, each once. Unlike filepath.Glob it
// says which folders it could not look into.
func expand(patterns []string) (out []named, errs []pathError) {
	seen := map[string]int{}
	add := func(p string, globbed bool) {
		p = filepath.Clean(p)
		if i, ok := seen[p]; ok {
			out[i].globbed = out[i].globbed && globbed
			return
		}
		seen[p] = len(out)
		out = append(out, named{p, globbed})
	}
	for _, p := range patterns {
		if !isGlob(p) {
			add(p, false)
			continue
		}
		list, err := glob(p)
		if err != nil {
			errs = append(errs, pathError{p, err})
		}
		for _, f := range list {
			add(f, true)
		}
	}
	return out, errs
}

// Match counts the files that paths and globs have now. It returns besides which
// folders cannot be looked into, and which paths without a glob are no files.
func Match(patterns []string) (files int, err error) {
	all, failed := expand(patterns)
	var errs []error
	for _, f := range failed {
		errs = append(errs, f.err)
	}
	for _, n := range all {
		info, err := os.Stat(n.path)
		switch {
		case err != nil:
			errs = append(errs, err)
		case info.Mode().IsRegular():
			files++
		case !n.globbed:
			errs = append(errs, fmt.Errorf("%s is no regular file", n.path))
		}
	}
	return files, errors.Join(errs...)
}

func isGlob(p string) bool { return strings.ContainsAny(p, `*?[\`) }

// glob lists what matches a pattern, in the order of names.
func glob(pattern string) ([]string, error) {
	dir, last := filepath.Split(pattern)
	dir = filepath.Clean(dir) // "" is "."
	dirs := []string{dir}
	var errs error
	if isGlob(dir) {
		dirs, errs = glob(dir)
	}
	var out []string
	for _, d := range dirs {
		list, err := names(d)
		if err != nil {
			errs = errors.Join(errs, err)
		}
		for _, name := range list {
			ok, err := filepath.Match(last, name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", pattern, err)
			}
			if ok && (name[0] != '.' || last[0] == '.') {
				out = append(out, filepath.Join(d, name))
			}
		}
	}
	return out, errs
}

func names(dir string) ([]string, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	list, err := f.Readdirnames(-1)
	slices.Sort(list)
	return list, errors.Join(err, f.Close())
}

// CheckPattern refuses a glob that is none.
func CheckPattern(p string) error {
	_, err := filepath.Match(p, "")
	return err
}
