package native_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/sinks/clickhouse/native"
)

var uuidText = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// textTypes are types that read a text, and which texts they take.
var textTypes = map[string]func(v string) bool{
	"UUID": uuidText.MatchString,
	"IPv6": func(v string) bool { a, err := netip.ParseAddr(v); return err == nil && a.Zone() == "" },
	"IPv4": func(v string) bool {
		a, err := netip.ParseAddr(v)
		return err == nil && a.Zone() == "" && a.Unmap().Is4()
	},
	"FixedString(36)":        func(v string) bool { return len(v) <= 36 },
	"Enum8('a' = 1, '' = 2)": func(v string) bool { return v == "a" || v == "" },
}

// taken says whether a column takes a value.
func taken(t *testing.T, column string, kind record.Kind, v string) bool {
	t.Helper()
	typ, err := native.ParseType(column)
	if err != nil {
		t.Fatal(err)
	}
	from := record.Type{Kind: kind}
	c, err := native.NewColumn("c", typ, from, false)
	if err != nil {
		t.Fatal(err)
	}
	src, bad := record.NewColumn(from), native.Complaints{}
	src.AppendString(v)
	src.AppendString(v)
	c.Append(src, &bad)
	if n := len(bad.List); n != 0 && n != 2 {
		t.Fatalf("%s: of two rows with %q there are %d complaints", column, v, n)
	}
	return len(bad.List) == 0
}

func texts(t *testing.T, v string) {
	for column, want := range textTypes {
		for _, within := range []string{column, "LowCardinality(" + column + ")"} {
			if strings.HasPrefix(within, "LowCardinality(Enum") {
				continue
			}
			if got := taken(t, within, record.String, v); got != want(v) {
				t.Errorf("%s takes %q: %v, want %v", within, v, got, want(v))
			}
		}
	}
	taken(t, "UUID", record.Bytes, v)
	taken(t, "IPv6", record.Bytes, v)
	var object map[string]any
	if taken(t, "JSON", record.JSON, v) && json.Unmarshal([]byte(v), &object) != nil {
		t.Errorf("JSON takes %q", v)
	}
}

// FuzzTexts: whatever a text is, a column takes what its type has and nothing
// else.
func FuzzTexts(f *testing.F) {
	for _, s := range []string{"", "a", "::ffff:1.2.3.4", "1.2.3.4", "fe80::1%eth0", `{"a":{"b\u00e4":[1,{"c":-1e5}]},"a.c":"\ud83d\ude00"}`,
		"61f0c404-5cb3-11e7-907b-a6006ad3dba0", "61f0c404-5cb3-11e7-907b-a6006ad3db-0", "--f0c404-5cb3-11e7-907b-a6006ad3dba0"} {
		f.Add(s)
	}
	f.Fuzz(texts)
}

// TestTexts: a text that is an id or an address but for some characters.
func TestTexts(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	good := []string{"61f0c404-5cb3-11e7-907b-a6006ad3dba0", "2001:db8::ffff:1.2.3.4", "::1", "255.10.0.1", `{"a.b":{"c":[{"d":1.5},"e\u00e4"]}}`}
	for range 5000 {
		v := []byte(good[random.IntN(len(good))])
		for range random.IntN(4) {
			switch at := random.IntN(len(v)); random.IntN(4) {
			case 0:
				v[at] = "-:.fg0{}\"\\\x00\xff"[random.IntN(12)]
			case 1:
				v = append(v[:at], v[at+1:]...)
			default:
				v[at] = v[random.IntN(len(v))]
			}
			if len(v) == 0 {
				break
			}
		}
		if texts(t, string(v)); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	// Every way to have two hyphens more.
	for i := range 36 {
		for k := range i + 1 {
			v := []byte(good[0])
			v[i], v[k] = '-', '-'
			if texts(t, string(v)); t.Failed() {
				t.FailNow()
			}
		}
	}
}

// TestLongPaths: one long name around many short ones makes as many long paths,
// which would take the square of the document.
func TestLongPaths(t *testing.T) {
	object := func(name, members int) string {
		b := []byte(`{"` + strings.Repeat("x", name) + `":{"-":0`)
		for i := range members {
			b = strconv.AppendInt(append(b, `,"`...), int64(i), 36)
			b = append(b, `":1`...)
		}
		return string(b) + "}}"
	}
	began := time.Now()
	if taken(t, "JSON", record.JSON, object(1<<19, 1<<16)) {
		t.Error("32 GiB of paths are taken")
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	if !taken(t, "JSON", record.JSON, object(500, 50_000)) {
		t.Error("25 MB of paths are not taken")
	}
}
