package config

import (
	"slices"
	"strings"
)

// sound is what of a configuration with mistakes Compile can look at without
// finding what merely follows from them: the streams whose events are known, and
// the sinks whose expressions could be read.
func (l *loader) sound() *Config {
	c := &Config{places: l.config.places, streams: l.config.streams, partly: true}
	for _, s := range l.config.Streams {
		aside := []string{"kafka", "files", "dead_letters", "slots", "defaults"}
		if s.Files != nil && s.Format == Avro && s.Schema == nil {
			aside[1] = "files.state" // the events are known by the files that there are
		}
		if !l.blamed("streams."+s.Name, aside...) {
			c.Streams = append(c.Streams, s)
		}
	}
	names := map[string]int{}
	for _, s := range l.sinks {
		names[s.Name]++
	}
	for _, s := range l.sinks {
		if !s.broken && names[s.Name] == 1 && s.Name != "" && c.Stream(s.From) != nil {
			c.Sinks = append(c.Sinks, s.Sink)
		}
	}
	return c
}

// blamed says whether there is a mistake at a path or below it, other than below
// those of its options that are named.
func (l *loader) blamed(path string, other ...string) bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool {
		if !startsWith(p.Path, path) {
			return false
		}
		rest := strings.TrimPrefix(strings.TrimPrefix(p.Path, path), ".")
		return !startsWith(rest, other...)
	})
}

// startsWith says whether a path is one of the others, or below it.
func startsWith(path string, others ...string) bool {
	return slices.ContainsFunc(others, func(o string) bool {
		rest, ok := strings.CutPrefix(path, o)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}
