package decode_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/record"
)

// registry is a registry with schemas, in between which and the client a test
// can stand.
type registry struct {
	*srfake.Registry
	t        testing.TB
	admin    *sr.Client
	requests atomic.Int64
	down     atomic.Int64 // answers with this status, 0: works
}

func newRegistry(t testing.TB) *registry {
	r := &registry{Registry: srfake.New(), t: t}
	t.Cleanup(r.Close)
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet {
			return false
		}
		r.requests.Add(1)
		if s := r.down.Load(); s != 0 {
			w.WriteHeader(int(s))
			return true
		}
		return false
	})
	var err error
	if r.admin, err = sr.NewClient(sr.URLs(r.URL())); err != nil {
		t.Fatal(err)
	}
	return r
}

// add registers a version of a subject and returns its id.
func (r *registry) add(subject, schema string, refs ...sr.SchemaReference) uint32 {
	r.t.Helper()
	s, err := r.admin.CreateSchema(context.Background(), subject, sr.Schema{Schema: schema, Type: sr.TypeAvro, References: refs})
	if err != nil {
		r.t.Fatal(err)
	}
	return uint32(s.ID)
}

func client(t testing.TB, url string) *decode.Registry {
	t.Helper()
	c, err := decode.NewRegistry(decode.RegistryOptions{URL: url, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// framed is a value as Confluent's serializers write it.
func framed(id uint32, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, id), data...)
}

func TestWriterVersions(t *testing.T) {
	r := newRegistry(t)
	v := func(fields string) string {
		return `{"type":"record","name":"E","namespace":"n","fields":[` + fields + `]}`
	}
	type version struct {
		schema string
		id     uint32
		value  map[string]any
		want   string
	}
	inner := func(fields string) string {
		return `{"name":"p","type":["null",{"type":"record","name":"P","fields":[` + fields + `]}]}`
	}
	versions := []*version{
		// Narrower numbers, an older name, a field that is gone, another order.
		{v(`{"name":"gone","type":"string"},{"name":"cost","type":"int"},{"name":"nr","type":"int"},` + inner(`{"name":"x","type":"float"}`)), 0,
			map[string]any{"gone": "g", "cost": int32(2), "nr": int32(7), "p": map[string]any{"x": float32(0.5)}}, "7|2|EUR|0.5|[a b]|null|k"},
		// bytes for string, string for bytes, no payload.
		{v(`{"name":"number","type":"long"},{"name":"currency","type":"bytes"},{"name":"raw","type":"string"},` + inner(`{"name":"x","type":"double"}`)), 0,
			map[string]any{"number": int64(8), "currency": []byte("USD"), "raw": "ab", "p": nil}, "8|null|USD|null|[a b]|6162|k"},
		// A type of another name in the union, an enum symbol that the reader lacks.
		{v(`{"name":"number","type":"long"},{"name":"k","type":{"type":"enum","name":"K","symbols":["k","new"]}},{"name":"p","type":["null",{"type":"record","name":"P2","fields":[{"name":"y","type":"string"},{"name":"x","type":"long"}]}]}`), 0,
			map[string]any{"number": int64(9), "k": "new", "p": map[string]any{"y": "y", "x": int64(3)}}, "9|null|EUR|3|[a b]|null|new"},
		// Written as what it cannot be read as: only where it has a value.
		{v(`{"name":"number","type":["null","string"]},{"name":"cost","type":"double"}`), 0, map[string]any{"number": "x", "cost": 1.0}, "bad: number: written as string, wanted as int"},
		{v(`{"name":"number","type":["null","string"]},{"name":"cost","type":"double"}`), 0, map[string]any{"number": nil, "cost": 1.0}, "null|1|EUR|null|[a b]|null|k"},
		{v(`{"name":"p","type":"string"}`), 0, map[string]any{"p": "text"}, "bad: p: written as string, which has no parts"},
		// The latest, which is the reader's.
		{v(`{"name":"number","type":"long","aliases":["nr"]},{"name":"cost","type":["null","double"],"default":null},{"name":"currency","type":"string","default":"EUR"},` +
			inner(`{"name":"x","type":["null","double"]}`) + `,{"name":"tags","type":{"type":"array","items":"string"},"default":["a","b"]},{"name":"raw","type":["null","bytes"],"default":null},{"name":"k","type":{"type":"enum","name":"K","symbols":["k"]},"default":"k"}`), 0,
			map[string]any{"number": int64(1), "cost": 0.25, "currency": "PLN", "p": map[string]any{"x": nil}, "tags": []string{}, "raw": []byte{1}, "k": "k"}, "1|0.25|PLN|null|[]|01|k"},
	}
	for _, e := range versions {
		e.id = r.add("events-value", e.schema)
	}
	before := r.requests.Load()
	s := open(t, decode.Options{Format: decode.Avro, Registry: client(t, r.URL()), Subject: "events-value"})
	d := decoder(t, s, "number", "cost", "currency", "p.x", "tags", "raw", "k")
	for range 3 {
		for _, e := range versions {
			if got := row(t, d, framed(e.id, encode(t, e.schema, e.value))); got != e.want {
				t.Errorf("written as %s\ngot  %s\nwant %s", e.schema, got, e.want)
			}
		}
	}
	// One request for the subject, one for each of the six different schemas.
	if got := r.requests.Load() - before; got != 7 {
		t.Errorf("%d requests, want 7", got)
	}
}

func TestDefaultOfRecord(t *testing.T) {
	r := newRegistry(t)
	old := r.add("s", `{"type":"record","name":"E","fields":[]}`)
	r.add("s", `{"type":"record","name":"E","fields":[{"name":"d","type":{"type":"record","name":"D","fields":[
		{"name":"a","type":"int"},{"name":"b","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2},"default":"\u0001\u0000"},
		{"name":"m","type":{"type":"map","values":"boolean"},"default":{"y":true,"x":false}},{"name":"u","type":["string","null"],"default":"z"},{"name":"f","type":{"type":"fixed","name":"F","size":2},"default":"\u00ff\u0001"},{"name":"fl","type":"float","default":1.5}]},
		"default":{"a":-3}},{"name":"wrong","type":"int","default":"x"}]}`)
	s := open(t, decode.Options{Format: decode.Avro, Registry: client(t, r.URL()), Subject: "s"})
	got := row(t, decoder(t, s, "d.a", "d.b", "d.m", "d.m.y", "d.u", "d.f", "d"), framed(old, nil))
	if want := `-3|2.56|[x=false y=true]|true|z|ff01|{"a":-3,"b":2.56,"m":{"x":false,"y":true},"u":"z","f":"/wE=","fl":1.5}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := row(t, decoder(t, s, "wrong"), framed(old, nil)), "bad: wrong: the default of the reader's schema does not fit its type"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSchemaReferences(t *testing.T) {
	r := newRegistry(t)
	r.add("money", `{"type":"record","name":"Money","namespace":"m","fields":[{"name":"amount","type":"long"}]}`)
	r.add("order", `{"type":"record","name":"Order","namespace":"o","fields":[{"name":"total","type":"m.Money"}]}`, sr.SchemaReference{Name: "m.Money", Subject: "money", Version: 1})
	schema := `{"type":"record","name":"E","fields":[{"name":"o","type":"o.Order"},{"name":"tip","type":"m.Money"}]}`
	id := r.add("e", schema, sr.SchemaReference{Name: "o.Order", Subject: "order", Version: 1}, sr.SchemaReference{Name: "m.Money", Subject: "money", Version: 1})
	s := open(t, decode.Options{Format: decode.Avro, Registry: client(t, r.URL()), Subject: "e"})
	if got, want := row(t, decoder(t, s, "o.total.amount", "tip.amount"), framed(id, []byte{4, 6})), "2|3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// clock is a clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestUnknownID(t *testing.T) {
	r := newRegistry(t)
	schema := fieldSchema(`"int"`)
	id := r.add("s", schema)
	c := &clock{now: time.Unix(1e9, 0)}
	s := open(t, decode.Options{Format: decode.Avro, Registry: client(t, r.URL()), Subject: "s", Grace: time.Minute, Clock: c.Now})
	d := decoder(t, s, "f")
	chunk := record.NewChunk(d.Schema())
	written := c.Now().UnixMilli()
	appendOne := func(id uint32) error {
		t.Helper()
		err := d.Append(context.Background(), chunk, int64(chunk.Rows()+len(chunk.Bad)), written, framed(id, []byte{6}))
		check(t, chunk)
		return err
	}
	wait := func(id uint32) {
		t.Helper()
		rows, bad := chunk.Rows(), len(chunk.Bad)
		var unknown *decode.UnknownIDError
		if err := appendOne(id); !errors.As(err, &unknown) || unknown.ID != id || chunk.Rows() != rows || len(chunk.Bad) != bad {
			t.Fatalf("id %d: got %v, %d rows, bad %v; want an UnknownIDError", id, err, chunk.Rows(), chunk.Bad)
		}
	}
	wait(id + 1)
	if err := appendOne(id); err != nil || chunk.Rows() != 1 {
		t.Fatal(err)
	}
	before := r.requests.Load()
	for range 100 {
		wait(id + 1)
	}
	if got := r.requests.Load() - before; got != 0 {
		t.Errorf("%d requests within a moment for an id that was unknown, want 0", got)
	}
	c.add(30 * time.Second)
	wait(id + 1)
	if got := r.requests.Load() - before; got != 1 {
		t.Errorf("%d requests half a minute later, want 1", got)
	}

	// The registry away: nothing is judged, however long it takes.
	r.down.Store(http.StatusInternalServerError)
	c.add(time.Hour)
	for range 3 {
		var unknown *decode.UnknownIDError
		if err := appendOne(id + 1); err == nil || errors.As(err, &unknown) || len(chunk.Bad) != 0 {
			t.Fatalf("registry down: got %v, bad %v", err, chunk.Bad)
		}
	}
	if err := appendOne(id); err != nil || chunk.Rows() != 2 {
		t.Fatalf("a known id with the registry down: %v", err)
	}

	// Back, and the grace is over.
	r.down.Store(0)
	if err := appendOne(id + 1); err != nil || len(chunk.Bad) != 1 || !chunk.Bad[0].Outside || chunk.Bad[0].Reason != fmt.Sprintf("the registry does not know schema id %d", id+1) {
		t.Fatalf("after the grace: %v, bad %v", err, chunk.Bad)
	}
	// The id may still become known.
	if got := r.add("s", fieldSchema(`"long"`)); got != id+1 {
		t.Fatalf("id %d, want %d", got, id+1)
	}
	c.add(time.Minute)
	if err := appendOne(id + 1); err != nil || chunk.Rows() != 3 {
		t.Fatalf("an id that became known: %v, bad %v", err, chunk.Bad)
	}
}

// Whatever the registry answers, but that it does not know the id: no record
// is bad.
func TestRegistryFaults(t *testing.T) {
	big := strings.Repeat("x", 5<<20)
	f := func(name, want string, handle http.HandlerFunc) {
		t.Helper()
		server := httptest.NewServer(handle)
		defer server.Close()
		s := open(t, decode.Options{Format: decode.Avro, Registry: client(t, server.URL), Schema: []byte(fieldSchema(`"int"`))})
		d := decoder(t, s, "f")
		chunk := record.NewChunk(d.Schema())
		err := d.Append(context.Background(), chunk, 0, 0, framed(7, []byte{6}))
		if err == nil || !strings.Contains(err.Error(), want) || chunk.Rows() != 0 || len(chunk.Bad) != 0 {
			t.Errorf("%s: got %v, bad %v; want …%s…", name, err, chunk.Bad, want)
		}
	}
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); fmt.Fprint(w, body) }
	}
	f("server error", "status 500", status(500, ""))
	f("no rights", "status 401", status(401, ""))
	f("a proxy's page", "status 404", status(404, "<html>"))
	f("another 404", "code 404", status(404, `{"error_code":404,"message":"HTTP 404 Not Found"}`))
	f("no subject", "code 40401", status(404, `{"error_code":40401,"message":"Subject not found"}`))
	f("not JSON", "not JSON", status(200, "hello"))
	f("no schema", "without a schema", status(200, "{}"))
	f("too large", "more than", status(200, big))
	f("schema too large", "the limit is", status(200, `{"schema":"`+strings.Repeat("x", 2<<20)+`"}`))
	f("time out", "deadline exceeded", func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	f("reference missing", "registry: it lacks a schema", func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/schemas") {
			fmt.Fprint(w, `{"schema":"\"x.Y\"","references":[{"name":"x.Y","subject":"a/b","version":1}]}`)
			return
		}
		if req.URL.EscapedPath() != "/subjects/a%2Fb/versions/1" {
			t.Errorf("asked for %s", req.URL.EscapedPath())
		}
		status(404, `{"error_code":40403}`)(w, req)
	})
	f("endless references", "more than 100 references", func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprintf(w, `{"schema":"\"int\"","references":[{"subject":"s%d","version":1}]}`, len(req.URL.Path)+int(time.Now().UnixNano()))
	})
	other := httptest.NewServer(status(200, `{"schema":"\"int\""}`))
	defer other.Close()
	f("redirect away", "another server", func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, other.URL+req.URL.Path, http.StatusFound)
	})
	f("redirect for ever", "too many redirects", func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, req.URL.Path+"x", http.StatusFound)
	})
}

// A schema that cannot be used stays so: its records are bad, by the registry.
func TestRegistryUnusable(t *testing.T) {
	f := func(answer, want string) {
		t.Helper()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }))
		defer server.Close()
		s := open(t, decode.Options{Format: decode.Avro, Registry: client(t, server.URL), Schema: []byte(fieldSchema(`"int"`))})
		d := decoder(t, s, "f")
		chunk := record.NewChunk(d.Schema())
		if err := d.Append(context.Background(), chunk, 0, 0, framed(7, []byte{6})); err != nil || len(chunk.Bad) != 1 || chunk.Bad[0].Reason != want || !chunk.Bad[0].Outside {
			t.Errorf("%s: got %v, bad %v; want %s", answer, err, chunk.Bad, want)
		}
	}
	f(`{"schema":"x","schemaType":"PROTOBUF"}`, "schema id 7: not an Avro schema")
	f(`{"schema":"{}"}`, "schema id 7: avro schema: a type is a name, a list or an object")
}

func TestRegistryAuth(t *testing.T) {
	var got atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		got.Store(user + ":" + password)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	c, err := decode.NewRegistry(decode.RegistryOptions{URL: server.URL + "/api/", Username: "u", Password: func() string { return "hunter2" }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = decode.Open(context.Background(), decode.Options{Format: decode.Avro, Registry: c, Subject: "s"})
	if err == nil || strings.Contains(err.Error(), "hunter2") || got.Load() != "u:hunter2" || !strings.Contains(err.Error(), "/api/subjects/s/versions/latest: status 403") {
		t.Errorf("got %v, sent %v", err, got.Load())
	}
	for _, bad := range []string{"http://u:hunter2@h", "ftp://h", "http://", "http://h\x7f/hunter2", "http://h?x=hunter2"} {
		if _, err := decode.NewRegistry(decode.RegistryOptions{URL: bad}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}

// Many decoders that meet an id at once are one request.
func TestConcurrentQuestions(t *testing.T) {
	r := newRegistry(t)
	schema := fieldSchema(`"int"`)
	r.add("s", fieldSchema(`"long"`))
	id := r.add("other", schema)
	s := open(t, decode.Options{Format: decode.Avro, Registry: client(t, r.URL()), Subject: "s"})
	before := r.requests.Load()
	var wg sync.WaitGroup
	for range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			d, err := s.NewDecoder([]record.Want{{Path: path("f"), Type: kind("int")}})
			if err != nil {
				t.Error(err)
				return
			}
			chunk := record.NewChunk(d.Schema())
			for i := range int64(100) {
				if err := d.Append(context.Background(), chunk, i, 0, framed(id, []byte{6})); err != nil {
					t.Error(err)
				}
			}
			if chunk.Rows() != 100 {
				t.Errorf("%d rows, bad %v", chunk.Rows(), chunk.Bad)
			}
		}()
	}
	wg.Wait()
	if got := r.requests.Load() - before; got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

// A question whose asker goes away is asked again by whoever waits.
func TestCancelledQuestion(t *testing.T) {
	first := make(chan struct{})
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if asked.Add(1) == 1 {
			close(first)
			<-req.Context().Done()
			return
		}
		fmt.Fprint(w, `{"schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"f\",\"type\":\"int\"}]}"}`)
	}))
	defer server.Close()
	s := open(t, decode.Options{Format: decode.Avro, Registry: client(t, server.URL), Schema: []byte(fieldSchema(`"int"`))})
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan error)
	go func() {
		d := decoder(t, s, "f")
		gone <- d.Append(ctx, record.NewChunk(d.Schema()), 0, 0, framed(7, []byte{6}))
	}()
	<-first
	done := make(chan error)
	d := decoder(t, s, "f")
	chunk := record.NewChunk(d.Schema())
	go func() { done <- d.Append(context.Background(), chunk, 0, 0, framed(7, []byte{6})) }()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled question: %v", err)
	}
	if err := <-done; err != nil || chunk.Rows() != 1 {
		t.Errorf("the one that waited: %v, bad %v", err, chunk.Bad)
	}
}

// More ids than are remembered still decode.
func TestManyIDs(t *testing.T) {
	r := newRegistry(t)
	var ids []uint32
	var schemas []string
	for i := range 20 {
		schemas = append(schemas, fmt.Sprintf(`{"type":"record","name":"R","fields":[{"name":"f","type":"int"},{"name":"x%d","type":"int"}]}`, i))
		ids = append(ids, r.add("s", schemas[i]))
	}
	s := open(t, decode.Options{Format: decode.Avro, Registry: client(t, r.URL()), Subject: "s", Limits: decode.Limits{IDs: 3}})
	d := decoder(t, s, "f")
	for range 2 {
		for i, id := range ids {
			if got, want := row(t, d, framed(id, cat(varint(int64(i)), varint(1)))), fmt.Sprint(i); got != want {
				t.Errorf("id %d: got %s, want %s", id, got, want)
			}
		}
	}
}
