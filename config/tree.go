package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// find follows a path such as tls.ca or brokers[0] below n as far as it goes.
// It returns the last node found with its key (nil for n itself and for list
// entries), and whether that is the end of the path.
func find(n *yaml.Node, path string) (value, key *yaml.Node, exact bool) {
	value = n
	for path != "" {
		if value == nil {
			return nil, nil, false
		}
		var step string
		step, path = cutStep(path)
		if index, ok := strings.CutPrefix(step, "["); ok {
			i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			switch {
			case value.Kind == yaml.ScalarNode && i == 0: // one value where a list may stand
				continue
			case value.Kind != yaml.SequenceNode || err != nil || i < 0 || i >= len(value.Content):
				return value, key, false
			}
			value, key = value.Content[i], nil
			continue
		}
		k, v := entry(value, step)
		if k == nil {
			return value, key, false
		}
		value, key = v, k
	}
	return value, key, true
}

// cutStep splits a.b[0].c after its first step.
func cutStep(path string) (step, rest string) {
	end := strings.IndexAny(path, ".[")
	switch {
	case end < 0:
		return path, ""
	case end > 0 && path[end] == '.':
		return path[:end], path[end+1:]
	case end > 0:
		return path[:end], path[end:]
	}
	close := strings.IndexByte(path, ']')
	if close < 0 {
		return path, ""
	}
	return path[:close+1], strings.TrimPrefix(path[close+1:], ".")
}

// entry is the entry of a mapping of that key.
func entry(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// child is the value below n, or nil.
func child(n *yaml.Node, path string) *yaml.Node {
	if v, _, ok := find(n, path); ok && path != "" {
		return v
	}
	return nil
}

// pairAt is the entry of a mapping with its key; both nil if there is none.
func pairAt(n *yaml.Node, name string) pair {
	k, v := entry(n, name)
	return pair{k, v}
}

// failAt is a problem of the option rel below n, or of the nearest thing above
// it that was written down. base is the path of n.
func (d *decoder) failAt(n *yaml.Node, base, rel, message, hint string) {
	if at := join(base, rel); !d.isBlamed(at) {
		d.fail(nearest(n, rel), at, message, hint)
	}
}

// warn is a warning of the option rel below n.
func (d *decoder) warn(n *yaml.Node, base, rel, message, hint string) {
	d.warnings = append(d.warnings, d.file.at(nearest(n, rel), join(base, rel), message, hint))
}

func nearest(n *yaml.Node, rel string) *yaml.Node {
	value, key, exact := find(n, rel)
	if key != nil && (!exact || value.Kind != yaml.ScalarNode) {
		return key
	}
	return value
}

// missing reports an option that must be given. in is the mapping that lacks
// it; path is that mapping's.
func (d *decoder) missing(in pair, path, name, hint string) {
	at := in.key
	if at == nil {
		at = in.value
	}
	if whole := join(path, name); !d.isBlamed(whole) && !d.isBlamed(path) {
		d.fail(at, whole, "is missing", hint)
	}
}

// isBlamed says whether something was said about an option already, so that
// what follows from it is not reported as well.
func (d *decoder) isBlamed(path string) bool { return d.blamed[path] }

// conceal keeps a value out of the source lines that are shown.
func (d *decoder) conceal(n *yaml.Node) {
	if n != nil {
		d.file.public[n] = false
	}
}

// into decodes n into what to points at.
func (d *decoder) into(n *yaml.Node, path string, to any) {
	d.value(n, path, addressable(to))
}
