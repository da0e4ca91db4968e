package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sluicekit/sluice/core/sink"
)

// mark says that a sink has committed under an incarnation of a topic. It is
// written before the first file, and never changed.
type mark struct {
	Version     int    `json:"version"` // 1
	Sink        string `json:"sink"`    // its id
	Topic       string `json:"topic"`
	Incarnation string `json:"incarnation"`
	Folder      string `json:"folder"` // the option
}

const (
	markVersion = 1
	maxMark     = 64 << 10 // bytes
)

// marks reads the marks of this sink.
func (f *files) marks(ctx context.Context) ([]mark, error) {
	var names []string
	err := f.disk.names(ctx, marksDir, func(name string) {
		if strings.HasPrefix(name, f.hash+"-") && strings.HasSuffix(name, ".json") {
			names = append(names, name)
		}
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	marks := make([]mark, 0, len(names))
	for _, name := range names {
		name = path.Join(marksDir, name)
		b, err := f.disk.read(name, maxMark)
		if err != nil {
			return nil, err
		}
		var m mark
		if err := json.Unmarshal(b, &m); err != nil {
			return nil, sink.Permanent(fmt.Errorf("read %s: %w", name, err))
		}
		if m.Version != markVersion || m.Sink != f.id {
			return nil, sink.Permanent(fmt.Errorf("read %s: version %d of another release, or of sink %q", name, m.Version, m.Sink))
		}
		marks = append(marks, m)
	}
	return marks, nil
}

// leaveMark makes sure that there is a mark of topic and incarnation, for good.
// temp is a name to write it under first.
func (f *files) leaveMark(topic, incarnation, temp string) error {
	name := path.Join(marksDir, f.hash+"-"+short(topic, incarnation)+".json")
	there, err := f.disk.exists(name)
	if err != nil {
		return err
	}
	if there {
		return f.disk.sync(marksDir) // whoever wrote it may have been killed before it did
	}
	b, err := json.Marshal(mark{Version: markVersion, Sink: f.id, Topic: topic, Incarnation: incarnation, Folder: f.folder.text})
	if err != nil {
		return fmt.Errorf("encode a mark: %w", err)
	}
	file, err := f.disk.create(temp)
	if err != nil {
		return err
	}
	_, err = file.Write(append(b, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return classify("write", temp, err)
	}
	return f.disk.publish(temp, name)
}
