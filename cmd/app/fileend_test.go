package app_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
)

// avroFile is a container of n events under a schema with some more fields.
func avroFile(t *testing.T, more string, from, n int) string {
	t.Helper()
	schema := avro.MustParse(`{"type":"record","name":"event","fields":[{"name":"id","type":"string"},{"name":"payload","type":
		{"type":"record","name":"payload","fields":[{"name":"n","type":"long"}` + more + `]}}]}`)
	var b bytes.Buffer
	w, err := ocf.NewWriter(&b, schema, ocf.WithCodec(ocf.DeflateCodec(-1)), ocf.WithBlockCount(100))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		e := map[string]any{"id": fmt.Sprint("e", from+i), "payload": map[string]any{"n": int64(from + i), "who": "x"}}
		if err := w.Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFilesEnd runs to the end of what there is: the exit code says whether that is
// all, and the message what is not.
func TestFilesEnd(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) { t.Helper(); put(t, filepath.Join(dir, name), text) }
	text := strings.NewReplacer(", follow: true", "", "format: json", "format: avro", "app.log*", "*", "paths", "parallel: 3, paths",
		"    types: {id: string, time: timestamp, payload.n: int, payload.who: string}\n", "").Replace(fileStreams)
	text = text[:strings.Index(text, "---\nsink: sums")]
	file("sluice.yaml", text)
	run := func(code int, says ...string) {
		t.Helper()
		c := sluiceRun(t, filepath.Join(dir, "sluice.yaml"))
		var said bytes.Buffer
		c.Stderr = &said
		err := c.Run()
		var exit *exec.ExitError
		if got := 0; errors.As(err, &exit) && exit.ExitCode() != code || err == nil && got != code {
			t.Fatalf("%v instead of exit code %d\n%s", err, code, said.String())
		}
		for _, s := range says {
			if !strings.Contains(said.String(), s) {
				t.Errorf("%q is not in:\n%s", s, said.String())
			}
		}
	}
	count := func(n int) {
		t.Helper()
		db := openDatabase(t, filepath.Join(dir, "out.db"))
		var rows, ids int
		if err := db.QueryRow("SELECT count(*), count(DISTINCT id) FROM events").Scan(&rows, &ids); err != nil {
			t.Fatal(err)
		}
		if rows != n || ids != n {
			t.Errorf("%d rows, %d ids, instead of %d", rows, ids, n)
		}
	}

	run(2, "what the files hold is not known without schema: FILE.avsc: there is no file yet")
	file("logs/a.avro", avroFile(t, "", 0, 1000))
	file("logs/b.avro", avroFile(t, `,{"name":"who","type":"string"}`, 1000, 1000)) // a newer schema
	run(0, "all is read and written")
	count(2000)
	file("logs/c.avro", avroFile(t, "", 2000, 1000))
	whole := avroFile(t, "", 3000, 1000)
	file("logs/d.avro", whole[:len(whole)-10])
	file("logs/e.avro", `{"id":"json"}`+"\n")
	run(1, "d.avro: byte ", "the file ends within a block", "e.avro: byte 0: not an Avro object container")
	count(3900) // all whole blocks
	file("logs/d.avro", whole)
	if err := os.Remove(filepath.Join(dir, "logs/e.avro")); err != nil {
		t.Fatal(err)
	}
	run(0)
	count(4000)
}
