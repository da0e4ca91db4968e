package objects_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"example.com/acme/objects"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/sink/sinktest"
)

// acme is Acme's store.
type acme struct {
	mu      sync.Mutex
	objects map[string][]byte // by bucket and name
	buckets int
}

func (a *acme) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its sender is gone, and so is the rest
	}
	if r.Header.Get("Authorization") != "Bearer open sesame" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Method == http.MethodPut {
		a.objects[r.URL.Path+" "+r.URL.Query().Get("name")] = body
		return
	}
	for key := range a.objects {
		bucket, name, _ := strings.Cut(key, " ")
		if bucket == r.URL.Path && strings.HasPrefix(name, r.URL.Query().Get("prefix")) {
			fmt.Fprintln(w, name)
		}
	}
}

// rows reads all objects of a bucket.
func (a *acme) rows(bucket string, s *record.Schema) (all []sinktest.Row, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, body := range a.objects {
		if !strings.HasPrefix(key, "/"+bucket+" ") {
			continue
		}
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		for d.More() {
			var members map[string]any
			if err := d.Decode(&members); err != nil {
				return nil, err
			}
			row := make(sinktest.Row, len(s.Fields))
			for i, f := range s.Fields {
				if row[i], err = value(f.Type, members[f.Name]); err != nil {
					return nil, err
				}
			}
			all = append(all, row)
		}
	}
	return all, nil
}

// value undoes what JSON lines do to bytes and JSON.
func value(t record.Type, v any) (_ any, err error) {
	switch list, _ := v.([]any); {
	case v == nil:
		return nil, nil
	case t.Kind == record.JSON:
		return json.Marshal(v)
	case t.Kind == record.Bytes:
		return base64.StdEncoding.DecodeString(v.(string))
	case t.Kind == record.List:
		for i := range list {
			if list[i], err = value(*t.Elem, list[i]); err != nil {
				return nil, err
			}
		}
	case t.Kind == record.Map:
		for k, e := range v.(map[string]any) {
			if v.(map[string]any)[k], err = value(*t.Elem, e); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func TestConformance(t *testing.T) {
	a := &acme{objects: map[string][]byte{}}
	server := httptest.NewServer(a)
	defer server.Close()
	sinktest.Run(t, sinktest.Target{
		Spec:   objects.Spec(),
		Server: server.Listener.Addr().String(),
		Load: func(paths []string) error {
			_, err := config.Load(paths, []sink.Spec{objects.Spec()}, func(string) (string, bool) { return "x", true })
			return err
		},
		New: func(_ testing.TB, need sinktest.Need) sinktest.Destination {
			a.mu.Lock()
			a.buckets++
			bucket := fmt.Sprintf("bucket%d", a.buckets)
			a.mu.Unlock()
			conn := objects.Spec().Connection().(*objects.Connection)
			conn.Address, conn.Password = "http://"+need.Address, sink.NewSecret("open sesame")
			return sinktest.Destination{
				Conn: conn, Options: &objects.Options{Bucket: bucket},
				Rows: func(context.Context) ([]sinktest.Row, error) { return a.rows(bucket, need.Schema) },
			}
		},
	})
}
