package files_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/sink/sinktest"
	"github.com/sluicekit/sluice/sinks/files"
)

func TestConformance(t *testing.T) { sinktest.Run(t, conformance()) }

// conformance is the sink on a folder of each test's own.
func conformance() sinktest.Target {
	return sinktest.Target{
		Spec: files.Spec(),
		Load: func(paths []string) error {
			_, err := config.Load(paths, []sink.Spec{files.Spec()}, func(string) (string, bool) { return "", false })
			return err
		},
		New: func(t testing.TB, need sinktest.Need) sinktest.Destination {
			dir := filepath.Join(t.TempDir(), "root")
			o := files.Spec().Options().(*files.Options)
			o.Dir = dir
			return sinktest.Destination{
				Options: o,
				Rows:    func(context.Context) ([]sinktest.Row, error) { return readRows(t, dir, need.Schema) },
			}
		},
	}
}

// readRows reads all files as a user would.
func readRows(t testing.TB, dir string, s *record.Schema) ([]sinktest.Row, error) {
	var all []sinktest.Row
	for _, text := range visible(t, dir) {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		for d.More() {
			var members map[string]any
			if err := d.Decode(&members); err != nil {
				return nil, err
			}
			row := make(sinktest.Row, len(s.Fields))
			for i, f := range s.Fields {
				var err error
				if row[i], err = value(f.Type, members[f.Name]); err != nil {
					return nil, err
				}
			}
			all = append(all, row)
		}
	}
	return all, nil
}

// value is a JSON value as the kit wants it.
func value(t record.Type, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	var err error
	switch t.Kind {
	case record.JSON:
		return json.Marshal(v)
	case record.Bytes:
		return base64.StdEncoding.DecodeString(v.(string))
	case record.List:
		for i, e := range v.([]any) {
			if v.([]any)[i], err = value(*t.Elem, e); err != nil {
				return nil, err
			}
		}
	case record.Map:
		for k, e := range v.(map[string]any) {
			if v.(map[string]any)[k], err = value(*t.Elem, e); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}
