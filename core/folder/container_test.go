package folder_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/folder"
)

const eventSchema = `{"type":"record","name":"e","fields":[{"name":"n","type":"long"},{"name":"text","type":"string"}]}`

type event struct {
	N    int64  `avro:"n"`
	Text string `avro:"text"`
}

func newContainers(t *testing.T) *bench {
	b := newBench(t)
	b.o.Format = folder.Container
	b.o.Measure = func(schema []byte) (func([]byte) int, error) { return decode.NewMeasure(schema, decode.Limits{}) }
	return b
}

// container is an Avro container with n events in blocks of so many.
func container(t *testing.T, from, n, block int, codec ocf.Codec) string {
	t.Helper()
	s, err := avro.Parse(eventSchema)
	if err != nil {
		t.Fatal(err)
	}
	opts := []ocf.WriterOpt{ocf.WithBlockCount(block)}
	if codec != nil {
		opts = append(opts, ocf.WithCodec(codec))
	}
	var out bytes.Buffer
	w, err := ocf.NewWriter(&out, s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := w.Encode(event{int64(from + i), fmt.Sprintf("event %d", from+i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// encoded are the events as they lie in a block.
func encoded(from, n int) []string {
	var out []string
	s := avro.MustParse(eventSchema)
	for i := range n {
		b, err := s.Encode(event{int64(from + i), fmt.Sprintf("event %d", from+i)})
		if err != nil {
			panic(err)
		}
		out = append(out, string(b))
	}
	return out
}

func same(t *testing.T, got, expect []string) {
	t.Helper()
	if len(got) != len(expect) {
		t.Fatalf("%d records instead of %d", len(got), len(expect))
	}
	for i := range got {
		if got[i] != expect[i] {
			t.Fatalf("record %d is %q instead of %q", i, got[i], expect[i])
		}
	}
}

// TestContainers reads containers of every codec, plain and compressed as a whole,
// from every position.
func TestContainers(t *testing.T) {
	zs, err := ocf.ZstdCodec(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := newContainers(t)
	b.write("a", container(t, 0, 100, 7, nil))
	b.write("b", container(t, 100, 100, 100, ocf.DeflateCodec(-1)))
	b.write("c", container(t, 200, 100, 33, ocf.SnappyCodec()))
	b.write("d", container(t, 300, 100, 50, zs))
	b.write("e", gzipped(t, container(t, 400, 100, 50, nil)))
	b.write("f", container(t, 500, 0, 50, nil))
	l := b.start()
	got, err := l.all()
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, encoded(0, 500))
	if l.at != 500 {
		t.Fatalf("the end is %d: an offset is a record", l.at)
	}
	for at := int64(0); at <= 500; at += 13 {
		l.c.Close()
		l.at = at
		got, err := l.all()
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, encoded(int(at), 500-int(at)))
	}
}

// TestContainerGrows waits for whole blocks.
func TestContainerGrows(t *testing.T) {
	b := newContainers(t)
	b.o.Follow = true
	text := container(t, 0, 100, 10, nil)
	cut := len(text) / 2
	b.write("a", text[:10])
	l := b.start()
	b.add("a", text[10:cut])
	got := l.until(30)
	b.add("a", text[cut:])
	got = append(got, l.until(100-len(got))...)
	same(t, got, encoded(0, 100))
}

// TestContainerDamaged names file and byte, reads what comes before the damage,
// and everything else.
func TestContainerDamaged(t *testing.T) {
	whole := container(t, 0, 100, 10, nil)
	block := len(container(t, 0, 20, 10, nil)) - len(container(t, 0, 10, 10, nil)) // the second one is as long
	head := len(container(t, 0, 0, 10, nil))
	first := len(container(t, 0, 10, 10, nil)) - head
	flip := func(at int) string {
		x := []byte(whole)
		x[at] ^= 0x55
		return string(x)
	}
	for name, c := range map[string]struct {
		text string
		err  string
		want int
	}{
		"bad magic":        {"Obx\x01" + whole[4:], "a.avro: byte 0: not an Avro object container", 0},
		"json":             {`{"a":1}` + "\n", "a.avro: byte 0: not an Avro object container", 0},
		"cut in a block":   {whole[:head+first+block+5], fmt.Sprintf("byte %d: the file ends within a block", head+first+block), 20},
		"cut in the head":  {whole[:20], "the file ends within a block, or within its header", 0},
		"sync marker":      {flip(head + first + block - 1), fmt.Sprintf("byte %d: the block does not end with the sync marker", head+first), 10},
		"block count bomb": {whole[:head] + "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02a" + whole[head:], fmt.Sprintf("byte %d: a block of", head), 0},
		"block size bomb":  {whole[:head] + "\x02\xfe\xff\xff\xff\xff\xff\x01" + whole[head:], fmt.Sprintf("byte %d: a block of", head), 0},
		"long number":      {whole[:head] + strings.Repeat("\xff", 30), "a number that is too long", 0},
		"header bomb":      {"Obj\x01\x02\xfe\xff\xff\xff\xff\xff\x01", "a header of more than", 0},
		"no schema":        {"Obj\x01\x00" + whole[head-16:head], "the header has no schema", 0},
		"codec":            {strings.Replace(container(t, 0, 10, 10, ocf.SnappyCodec()), "snappy", "snoopy", 1), `codec "snoopy" is not known`, 0},
		"schema":           {strings.Replace(whole, `"long"`, `"lxng"`, 1), "avro schema", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newContainers(t)
			b.write("a.avro", c.text)
			b.write("b.avro", container(t, 1000, 5, 10, nil))
			l := b.start()
			got, err := l.all()
			same(t, got, append(encoded(0, c.want), encoded(1000, 5)...))
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "a.avro") {
				t.Fatalf("the error is %v", err)
			}
		})
	}
}

// TestEmptyRecords: a block of a few bytes that says it has millions of records,
// of a schema whose values take no bytes, is one bad record.
func TestEmptyRecords(t *testing.T) {
	schema := `{"type":"record","name":"e","fields":[{"name":"n","type":"null"}]}`
	sync := strings.Repeat("s", 16)
	text := "Obj\x01\x02\x16avro.schema" + string(binary.AppendVarint(nil, int64(len(schema)))) + schema + "\x00" + sync
	text += string(binary.AppendVarint(nil, 16_000_000)) + "\x00" + sync
	b := newContainers(t)
	b.write("a.avro", text)
	got, err := b.start().all()
	if err != nil || len(got) != 1 || !strings.Contains(got[0], "BAD: the block says that it has 16000000 records, in 0 bytes") {
		t.Fatalf("%d records, %.300q, %v", len(got), got, err)
	}
}

// TestBlockDamaged gives what cannot be read as bad records, and goes on behind.
func TestBlockDamaged(t *testing.T) {
	head := len(container(t, 0, 0, 10, nil))
	plain := []byte(container(t, 0, 30, 10, nil))
	plain[head+3+1] = 0x01 // the length of the first text: -1
	snappy := []byte(container(t, 0, 30, 10, ocf.SnappyCodec()))
	at := len(container(t, 0, 20, 10, ocf.SnappyCodec()))
	snappy[at-16-2] ^= 1 // its checksum
	bomb := string(plain[:head]) + "\xfe\xff\xff\x0f\x02x" + string(plain[head-16:head])
	b := newContainers(t)
	b.write("a", string(plain))
	b.write("b", string(snappy))
	b.write("c", bomb)
	l := b.start()
	got, err := l.all()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1+20+10+1+10+1 {
		t.Fatalf("%d records: %.300q", len(got), got)
	}
	if !strings.Contains(got[0], "BAD: not a value of the file's schema, so that neither it nor the 9 that follow") {
		t.Errorf("the damaged value: %s", got[0])
	}
	if !strings.Contains(got[31], "BAD: the block of 10 records cannot be unpacked: its checksum is wrong") {
		t.Errorf("the damaged block: %s", got[31])
	}
	same(t, got[32:42], encoded(20, 10))
	if !strings.Contains(got[42], "BAD: the block says that it has 16777215 records, in 1 bytes") {
		t.Errorf("the bomb: %s", got[42])
	}
}
