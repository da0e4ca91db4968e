package sqltabletest

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sluicekit/sluice/core/sink"
)

// streams is what the examples leave to the user.
const streams = "streams:\n  events:\n    kafka: {brokers: [\"kafka:9092\"], topics: [events], group: g}\n    format: json\n"

// Example proves a spec's example.yaml: its two parts, the connection and the
// sink, show every option and no other, and load reads them as they are.
func Example(t *testing.T, spec sink.Spec, load func(paths []string) error) {
	t.Helper()
	connections, file, ok := strings.Cut(string(spec.Example), "\n---\n")
	if !ok {
		t.Fatal("the example has no line of --- between the connection and the sink")
	}
	var c struct {
		Connections map[string]map[string]yaml.Node `yaml:"connections"`
	}
	if err := yaml.Unmarshal([]byte(connections), &c); err != nil {
		t.Fatal(err)
	}
	var s map[string]yaml.Node
	if err := yaml.Unmarshal([]byte(file), &s); err != nil {
		t.Fatal(err)
	}
	for _, types := range c.Connections {
		node := types[spec.Type]
		shows(t, "connection", &node, reflect.TypeOf(spec.Connection()).Elem())
	}
	node := s[spec.Type]
	shows(t, "options", &node, reflect.TypeOf(spec.Options()).Elem(), "connection")

	dir := t.TempDir()
	var paths []string
	for name, text := range map[string]string{"events.yaml": streams, "streams.yaml": connections, "sink.yaml": file} {
		paths = append(paths, filepath.Join(dir, name))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := load(paths); err != nil {
		t.Errorf("load the example: %v", err)
	}
}

// shows compares the keys of a mapping with the yaml tags of a struct.
func shows(t *testing.T, path string, node *yaml.Node, typ reflect.Type, more ...string) {
	t.Helper()
	tags := more
	for _, f := range reflect.VisibleFields(typ) {
		tag, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if tag == "" {
			continue
		}
		tags = append(tags, tag)
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == tag && node.Content[i+1].Kind == yaml.MappingNode {
				shows(t, path+"."+tag, node.Content[i+1], f.Type.Elem())
			}
		}
	}
	var keys []string
	for i := 0; i < len(node.Content); i += 2 {
		keys = append(keys, node.Content[i].Value)
	}
	slices.Sort(tags)
	slices.Sort(keys)
	if !slices.Equal(tags, keys) {
		t.Errorf("%s: the example shows %v, want %v", path, keys, tags)
	}
}
