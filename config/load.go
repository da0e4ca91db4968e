package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sluicekit/sluice/core/sink"
)

// Bounds of a whole configuration.
const (
	maxFile  = 1 << 20  // bytes of one file
	maxTotal = 16 << 20 // bytes of all files
	maxFiles = 1000
)

// Load reads files and folders and returns what they say, or Problems: every
// mistake in them. specs are the sinks that this program knows; env looks up
// environment variables (os.LookupEnv). With mistakes, the Config is what of it
// is sound, for Compile to find those in expressions too (see Problems.With), and
// for nothing else.
func Load(paths []string, specs []sink.Spec, env func(string) (string, bool)) (*Config, error) {
	l := &loader{specs: specs, env: env, config: &Config{places: map[string]place{}, streams: map[string]place{}}}
	for i, f := range l.files(paths) {
		l.load(f, i)
	}
	l.finish()
	if len(l.problems) > 0 {
		return l.sound(), l.render(l.problems)
	}
	l.config.Warnings = l.render(l.warnings)
	return l.config, nil
}

// loader gathers what the files say.
type loader struct {
	specs    []sink.Spec
	env      func(string) (string, bool)
	config   *Config
	read     []*file
	problems Problems
	warnings Problems
	secrets  []string
	total    int // bytes read

	referenced int // bytes of the texts that hold references

	defaults    *settings // of defaults:
	defaultsAt  place
	limitsAt    place
	streams     map[string]*streamDoc
	connections map[string]place
	sinks       []*sinkDoc
}

// streamDoc is a stream with what only the loader needs.
type streamDoc struct {
	Stream
	defaults settings
	at       place // its key
	body     place
}

// files lists the files to read, each once.
func (l *loader) files(paths []string) []string {
	var out []string
	var seen []os.FileInfo
	add := func(name string) {
		info, err := os.Stat(name)
		if err == nil && slices.ContainsFunc(seen, func(s os.FileInfo) bool { return os.SameFile(s, info) }) {
			return
		}
		seen = append(seen, info)
		out = append(out, name)
	}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil || !info.IsDir() {
			add(p) // reading it says what is wrong
			continue
		}
		names, err := yamlFiles(p)
		if err != nil {
			l.problems = append(l.problems, Problem{File: p, Message: "the folder cannot be read: " + cause(err).Error()})
		} else if len(names) == 0 {
			l.problems = append(l.problems, Problem{File: p, Message: "no *.yaml or *.yml file in this folder"})
		}
		for _, n := range names {
			add(n)
		}
	}
	if len(out) > maxFiles {
		l.problems = append(l.problems, Problem{File: out[maxFiles], Message: fmt.Sprintf("more than %d files", maxFiles)})
		out = out[:maxFiles]
	}
	return out
}

// yamlFiles lists the YAML files of a folder and of its sub-folder sinks, by name.
func yamlFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	sub := false
	for _, e := range entries {
		name := e.Name()
		if name == "sinks" {
			info, err := os.Stat(filepath.Join(dir, name))
			sub = err == nil && info.IsDir()
		}
		if ext := filepath.Ext(name); strings.HasPrefix(name, ".") || ext != ".yaml" && ext != ".yml" {
			continue
		}
		out = append(out, filepath.Join(dir, name))
	}
	if sub {
		more, err := yamlFiles(filepath.Join(dir, "sinks"))
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// load reads one file with all its documents.
func (l *loader) load(name string, order int) {
	b, err := readFile(name, maxFile)
	if err != nil {
		l.problems = append(l.problems, Problem{File: name, Message: err.Error(), order: order})
		return
	}
	s, docs, problems := parse(name, filepath.Dir(name), order, b)
	l.read = append(l.read, s)
	l.problems = append(l.problems, problems...)
	if len(docs) == 0 && len(problems) == 0 {
		l.warnings = append(l.warnings, s.whole("the file says nothing"))
	}
	l.total += len(b)
	if l.total > maxTotal {
		l.problems = append(l.problems, s.whole(fmt.Sprintf("more than %d MiB of configuration", maxTotal>>20)))
		return
	}
	for _, doc := range docs {
		l.document(s, doc)
	}
}

// document tells the two kinds of document apart by their keys.
func (l *loader) document(s *file, doc *yaml.Node) {
	d := &decoder{file: s, env: l.env, blamed: map[string]bool{}, referenced: &l.referenced}
	defer func() {
		l.problems = append(l.problems, d.problems...)
		l.warnings = append(l.warnings, d.warnings...)
		l.secrets = append(l.secrets, d.secrets...)
	}()
	if doc.Kind != yaml.MappingNode {
		d.wrongShape(doc, "", "a mapping with sink:, or with streams: and connections:")
		return
	}
	var shared, isSink bool
	for i := 0; i < len(doc.Content); i += 2 {
		switch doc.Content[i].Value {
		case "sink":
			isSink = true
		case "streams", "connections", "defaults", "limits":
			shared = true
		}
	}
	switch {
	case isSink && shared:
		d.fail(doc, "", "a document is either one sink or holds streams, connections, defaults and limits", "put a line --- between the two")
	case isSink:
		l.sinkDocument(d, doc)
	case shared:
		l.sharedDocument(d, doc)
	default:
		l.strangeDocument(d, doc)
	}
}

// strangeDocument is neither; most likely a key is misspelt.
func (l *loader) strangeDocument(d *decoder, doc *yaml.Node) {
	pairs, _ := d.pairs(doc, "")
	for _, p := range pairs {
		if p.key.Value == "sinks" {
			d.fail(p.key, "sinks", "unknown option", "each sink is a document of its own, which starts with sink: NAME")
			return
		}
		if near := Near(p.key.Value, []string{"sink", "streams", "connections", "defaults", "limits"}); near != "" {
			d.fail(p.key, p.key.Value, "unknown option", "did you mean "+near+"?")
			return
		}
	}
	d.fail(doc, "", "neither a sink nor streams and connections", "a sink starts with sink: NAME")
}

// render brings problems into their final form. The number is bounded first,
// since each source line costs a walk over its file.
func (l *loader) render(ps Problems) Problems {
	ps.scrub(l.secrets)
	ps = ps.sorted()
	for _, s := range l.read {
		s.show(ps)
	}
	return ps
}
