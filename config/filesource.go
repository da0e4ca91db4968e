package config

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/folder"
)

// checkFiles checks what a stream says that is read from files, and makes its
// paths those to be opened.
func (d *decoder) checkFiles(e pair, path string, s *streamDoc) {
	f := s.Files
	at := path + ".files"
	in := pairAt(e.value, "files")
	if len(f.Paths) == 0 {
		d.missing(in, at, "paths", "a file or a glob such as logs/*.jsonl, or a list of them")
	}
	seen := map[string]bool{}
	for i, p := range f.Paths {
		name := fmt.Sprintf("paths[%d]", i)
		if len(f.Paths) == 1 && child(in.value, name) == child(in.value, "paths") {
			name = "paths"
		}
		switch {
		case p == "":
			d.failAt(in.value, at, name, "is empty", "")
		case folder.CheckPattern(p) != nil:
			d.failAt(in.value, at, name, "is no glob: * ? and [a-z] stand for characters of one name", "")
		case seen[p]:
			d.failAt(in.value, at, name, "given twice", "")
		}
		seen[p] = true
	}
	for i, p := range f.Paths {
		f.Paths[i] = d.file.path(p)
	}
	if f.State == "" {
		d.missing(in, at, "state", "a folder of its own, in which the stream keeps what it has read")
	} else {
		f.State = d.file.path(f.State)
	}
	if child(in.value, "last_line") != nil {
		switch {
		case !f.Follow:
			d.failAt(in.value, at, "last_line", "has a meaning with follow: true only: without it a last line counts as it is", "")
		default:
			d.within(in.value, at, "last_line", &f.LastLine, 0, 100*time.Millisecond, 7*24*time.Hour)
		}
	}
	if child(in.value, "parallel") == nil {
		f.Parallel = 1
	} else if f.Parallel < 1 || f.Parallel > folder.MaxParallel {
		d.failAt(in.value, at, "parallel", fmt.Sprintf("must be from 1 to %d", folder.MaxParallel), "")
	}
	if f.Compression == "" {
		f.Compression = PackingAuto
	}
	if f.Order == "" {
		f.Order = ByName
	}
	d.checkFileEvents(e, path, s)
}

// checkFileEvents refuses what only records of Kafka have.
func (d *decoder) checkFileEvents(e pair, path string, s *streamDoc) {
	for _, o := range []struct {
		name string
		set  bool
		hint string
	}{
		{"registry", s.Registry != nil, "Avro files hold their schema"},
		{"framing", s.Framing != "", ""},
		{"slots", child(e.value, "slots") != nil, "say parallel: in files: instead"},
		{"dead_letters.topic", s.DeadLetters.Topic != "", "say dead_letters: {dir: …}"},
	} {
		if o.set {
			d.failAt(e.value, path, o.name, "has no meaning for a stream of files", o.hint)
		}
	}
}

// Folder is how the files are read. Name and Log are the caller's to set.
func (s *Stream) Folder() folder.Options {
	f := s.Files
	o := folder.Options{
		Name: s.Name, Paths: f.Paths, State: f.State, Follow: f.Follow, LastLine: f.LastLine, ByTime: f.Order == ByTime, Parallel: f.Parallel,
	}
	switch f.Compression {
	case PackingNone:
		o.Compression = folder.Plain
	case PackingGzip:
		o.Compression = folder.Gzip
	case PackingZstd:
		o.Compression = folder.Zstd
	}
	if s.Format == Avro {
		o.Format = folder.Container
		o.Measure = func(schema []byte) (func([]byte) int, error) { return decode.NewMeasure(schema, decode.Limits{}) }
	}
	return o
}

// fileSchema is the schema of Avro files: without schema: the one of the first
// container that there is says what the events hold.
func (s *Stream) fileSchema() ([]byte, error) {
	if s.Schema != nil {
		return s.Schema, nil
	}
	return folder.FirstSchema(s.Folder())
}

// checkStates refuses two streams with one state folder.
func (l *loader) checkStates() {
	first := map[string]string{}
	for i := range l.config.Streams {
		s := &l.config.Streams[i]
		if s.Files == nil || s.Files.State == "" {
			continue
		}
		state, err := filepath.Abs(s.Files.State)
		if err != nil {
			state = s.Files.State
		}
		if other, ok := first[state]; ok {
			d := l.streams[s.Name]
			l.problems = append(l.problems, d.body.file.at(nearest(d.body.node, "files.state"), d.body.path+".files.state",
				"is the folder of the stream "+other+" as well", "each stream needs a folder of its own"))
			continue
		}
		first[state] = s.Name
	}
}
