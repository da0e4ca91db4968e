package ledger_test

import (
	"encoding/base64"
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/record"
)

const incarnation = "MkU3OEVBNTcwNTJENDM2Qg/Pq3xZ0TJSYyMeVbWvVZ1Zg"

// random says which seed a failure came from.
func random(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func randomRecord(r *rand.Rand, first int32, sinks int, largest int64) ledger.Record {
	count := 1 + r.Int32N(4)
	x := ledger.Record{
		Incarnation: incarnation, Width: count + r.Int32N(3), Partitions: r.Int32N(1000), First: first, Count: count,
		Write: r.Uint64N(1 << 40), Offset: r.Int64N(largest) - 1,
	}
	if r.IntN(4) == 0 {
		x.Incarnation = "kfake/topic"[:r.IntN(11)]
	}
	for range r.IntN(sinks + 1) {
		x.Entries = append(x.Entries, randomEntry(r, x, largest))
	}
	return x
}

func randomEntry(r *rand.Rand, x ledger.Record, largest int64) ledger.Entry {
	e := ledger.Entry{Incarnation: x.Incarnation, Wrote: r.IntN(2) == 0, Renewed: r.IntN(4) == 0}
	for i := range e.Sink {
		e.Sink[i], e.Plan[i] = byte(r.Uint32()), byte(r.Uint32())
	}
	if r.IntN(4) == 0 {
		e.Plan = [8]byte{}
	}
	if r.IntN(4) == 0 {
		e.Incarnation = "another/" + incarnation
	}
	for range x.Count {
		e.Position = append(e.Position, r.Int64N(largest)-1)
	}
	if r.IntN(2) == 0 {
		return e
	}
	p := &ledger.Pending{Token: strings.Repeat("\xff", r.IntN(ledger.MaxToken+1))}
	for i := range 1 + r.IntN(int(x.Count)) {
		p.Next = append(p.Next, e.Position[i]+min(r.Int64N(1<<20), math.MaxInt64-e.Position[i]))
	}
	if r.IntN(4) > 0 {
		p.Since = time.Unix(1+r.Int64N(4e9), 0).UTC()
	}
	for i, next := range p.Next {
		at := max(e.Position[i], 0) + r.Int64N(1000)
		for len(p.Dead) < record.MaxDead && at < next {
			p.Dead = append(p.Dead, record.Dead{Partition: x.First + int32(i), Offset: at})
			at += 1 + r.Int64N(1<<17)
		}
	}
	e.Pending = p
	return e
}

func TestRecordsSurviveEncoding(t *testing.T) {
	r := random(t)
	pending, dead := 0, 0
	for range 20_000 {
		largest := int64(1) << (1 + r.IntN(62))
		want := randomRecord(r, r.Int32N(100), 5, largest)
		partition := want.First + r.Int32N(want.Count)
		text, err := ledger.Encode("events", partition, want)
		if err != nil {
			t.Fatalf("%v: %+v", err, want)
		}
		for _, c := range text {
			if c < ' ' || c > '~' {
				t.Fatalf("character %q in %s", c, text)
			}
		}
		got, err := ledger.Decode("events", partition, text)
		if len(text) > ledger.MaxText {
			if err == nil {
				t.Fatalf("a text of %d characters was read", len(text))
			}
			continue
		}
		if err != nil {
			t.Fatalf("%v: %+v", err, want)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("wrote %+v, read %+v", want, got)
		}
		for _, e := range want.Entries {
			if e.Pending != nil {
				pending++
				dead += len(e.Pending.Dead)
			}
		}
	}
	if pending < 1000 || dead < 1000 {
		t.Fatalf("only %d pending cuts with %d dead records were tried", pending, dead)
	}
}

// typical is a record as a busy stream has it: offsets in the billions.
func typical(sinks int, pending bool) ledger.Record {
	x := ledger.Record{Incarnation: incarnation, Width: 1, Partitions: 24, First: 3, Count: 1, Write: 1_000_000, Offset: 3_000_000_000}
	for i := range sinks {
		e := ledger.Entry{Sink: ledger.SinkID(string(rune('a'+i)) + "@ch"), Incarnation: incarnation, Wrote: true, Plan: [8]byte{1, 2}, Position: []int64{3_000_000_000 + int64(i)*40_000}}
		if pending {
			e.Pending = &ledger.Pending{Next: []int64{e.Position[0] + 100_000}, Since: time.Unix(1_790_000_000, 0)}
		}
		x.Entries = append(x.Entries, e)
	}
	return x
}

func TestRecordsAreSmall(t *testing.T) {
	for _, c := range []struct{ sinks, most int }{{0, 80}, {1, 120}, {2, 160}, {8, 400}} {
		text, err := ledger.Encode("events", 3, typical(c.sinks, true))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d sinks with pending cuts: %d characters", c.sinks, len(text))
		if len(text) > c.most {
			t.Errorf("%d sinks take %d characters, want at most %d", c.sinks, len(text), c.most)
		}
	}
}

func TestEveryDamagedCharacterIsDetected(t *testing.T) {
	text, err := ledger.Encode("events", 3, typical(2, true))
	if err != nil {
		t.Fatal(err)
	}
	check := func(what, topic string, partition int32, text string) {
		t.Helper()
		var foreign *ledger.ForeignError
		if _, err := ledger.Decode(topic, partition, text); !errors.As(err, &foreign) {
			t.Errorf("%s: %v", what, err)
		} else if foreign.Topic != topic || foreign.Partition != partition {
			t.Errorf("%s: error of %s[%d]", what, foreign.Topic, foreign.Partition)
		}
	}
	for i := range text {
		for b := range 256 {
			if byte(b) != text[i] {
				check("changed character", "events", 3, text[:i]+string([]byte{byte(b)})+text[i+1:])
			}
		}
		check("lost character", "events", 3, text[:i]+text[i+1:])
		check("cut off", "events", 3, text[:i])
		check("line end", "events", 3, text[:i]+"\n"+text[i:])
	}
	check("another topic", "event", 3, text)
	check("another partition", "events", 2, text)
	check("appended", "events", 3, text+"A")
	check("nothing", "events", 3, "")
	check("another program", "events", 3, `{"offset":3}`)
	check("too long", "events", 3, "sl1."+strings.Repeat("A", ledger.MaxText))
	check("later version", "events", 3, "sl2."+text[4:])
	if _, err := ledger.Decode("events", 3, "sl2."+text[4:]); !strings.Contains(err.Error(), "another version") {
		t.Errorf("later version: %v", err)
	}
}

func TestInvalidRecordsAreNotWritten(t *testing.T) {
	for name, change := range map[string]func(*ledger.Record){
		"no partitions":       func(x *ledger.Record) { x.Count = 0 },
		"too many":            func(x *ledger.Record) { x.Count, x.Width = ledger.MaxWidth+1, ledger.MaxWidth+1 },
		"narrow":              func(x *ledger.Record) { x.Width = 0 },
		"home outside":        func(x *ledger.Record) { x.First = 4 },
		"negative first":      func(x *ledger.Record) { x.First, x.Count, x.Width = -1, 5, 5 },
		"negative partitions": func(x *ledger.Record) { x.Partitions = -1 },
		"negative offset":     func(x *ledger.Record) { x.Offset = -2 },
		"long incarnation":    func(x *ledger.Record) { x.Incarnation = strings.Repeat("x", ledger.MaxIncarnation+1) },
		"long own":            func(x *ledger.Record) { x.Entries[0].Incarnation = strings.Repeat("x", ledger.MaxIncarnation+1) },
		"two entries":         func(x *ledger.Record) { x.Entries[1].Sink = x.Entries[0].Sink },
		"positions":           func(x *ledger.Record) { x.Entries[0].Position = []int64{1, 2} },
		"negative position":   func(x *ledger.Record) { x.Entries[0].Position = []int64{-2} },
		"long token":          func(x *ledger.Record) { x.Entries[0].Pending.Token = strings.Repeat("x", ledger.MaxToken+1) },
		"nothing pending":     func(x *ledger.Record) { x.Entries[0].Pending.Next = nil },
		"too much pending":    func(x *ledger.Record) { x.Entries[0].Pending.Next = []int64{math.MaxInt64, 1} },
		"backwards":           func(x *ledger.Record) { x.Entries[0].Pending.Next[0] = 5 },
		"before 1970":         func(x *ledger.Record) { x.Entries[0].Pending.Since = time.Unix(-1, 0) },
		"far future":          func(x *ledger.Record) { x.Entries[0].Pending.Since = time.Unix(1<<41, 0) },
		"dead outside":        func(x *ledger.Record) { x.Entries[0].Pending.Dead = []record.Dead{{Partition: 3, Offset: 5}} },
		"dead elsewhere": func(x *ledger.Record) {
			x.Entries[0].Pending.Dead = []record.Dead{{Partition: 2, Offset: 3_000_000_001}}
		},
		"dead twice": func(x *ledger.Record) {
			d := record.Dead{Partition: 3, Offset: 3_000_000_001}
			x.Entries[0].Pending.Dead = []record.Dead{d, d}
		},
		"too many dead": func(x *ledger.Record) {
			for i := range int64(record.MaxDead + 1) {
				x.Entries[0].Pending.Dead = append(x.Entries[0].Pending.Dead, record.Dead{Partition: 3, Offset: 3_000_000_000 + i})
			}
		},
	} {
		x := typical(2, true)
		change(&x)
		if text, err := ledger.Encode("events", 3, x); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// largest is an entry that takes the most that Check assumes.
func largest(sink int, first, count int32) ledger.Entry {
	e := ledger.Entry{Sink: ledger.ID{byte(sink), byte(sink >> 8), 1}, Plan: [8]byte{1}, Wrote: true, Incarnation: strings.Repeat("i", ledger.MaxIncarnation)}
	p := &ledger.Pending{Since: time.Unix(1<<40, 0), Token: strings.Repeat("t", ledger.MaxToken)}
	for range count {
		// Up and down, so that differences between entries are large too.
		e.Position = append(e.Position, int64((sink+1)%2)<<54+1)
		p.Next = append(p.Next, e.Position[0]+1<<28-1)
	}
	for i := range int64(record.MaxDead) {
		p.Dead = append(p.Dead, record.Dead{Partition: first + count - 1, Offset: e.Position[0] + (i+1)<<23})
	}
	e.Pending = p
	return e
}

func TestCheckIsAnUpperBound(t *testing.T) {
	for _, width := range []int32{1, 2, 8, 64, ledger.MaxWidth} {
		sinks := 0
		for ledger.Check(sinks+1, width) == nil {
			sinks++
		}
		each := sinks / int(width)
		t.Logf("width %d: %d sinks, %d on each partition", width, sinks, each)
		if each < 1 {
			t.Fatalf("width %d: room for %d sinks", width, sinks)
		}
		first := 1000 * width
		x := ledger.Record{Incarnation: strings.Repeat("i", ledger.MaxIncarnation), Width: width, Partitions: math.MaxInt32, First: first, Count: width, Write: math.MaxUint64, Offset: math.MaxInt64}
		for i := range each {
			x.Entries = append(x.Entries, largest(i, first, width))
		}
		text, err := ledger.Encode("events", first+width-1, x)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(utf16.Encode([]rune(text))); n > ledger.MaxText || n < ledger.MaxText/2 {
			t.Errorf("width %d: %d units for %d sinks", width, n, each)
		}
	}
	for _, width := range []int32{0, -1, ledger.MaxWidth + 1} {
		if ledger.Check(1, width) == nil {
			t.Errorf("slots of %d partitions passed", width)
		}
	}
	if err := ledger.Check(1000, 1); err == nil || !strings.Contains(err.Error(), "1000 sinks") {
		t.Errorf("a thousand sinks: %v", err)
	}
}

func FuzzRecord(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		x := randomRecord(r, 2, 3, 1<<40)
		text, err := ledger.Encode("events", 2, x)
		if err != nil {
			f.Fatal(err)
		}
		b, err := base64.RawURLEncoding.DecodeString(text[4:])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, b[:len(b)-crc32.Size], int32(2))
	}
	f.Fuzz(func(t *testing.T, text string, body []byte, partition int32) {
		// As it is, and with a checksum that fits, so that the parser is reached.
		sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
		sum.Write(append([]byte("events"), 0, byte(partition>>24), byte(partition>>16), byte(partition>>8), byte(partition)))
		sum.Write(body)
		for _, text := range []string{text, "sl1." + base64.RawURLEncoding.EncodeToString(sum.Sum(body[:len(body):len(body)]))} {
			x, err := ledger.Decode("events", partition, text)
			var foreign *ledger.ForeignError
			if err != nil {
				if !errors.As(err, &foreign) {
					t.Fatal(err)
				}
				continue
			}
			again, err := ledger.Encode("events", partition, x)
			if err != nil {
				t.Fatalf("read but not written: %v", err)
			}
			y, err := ledger.Decode("events", partition, again)
			if err != nil || !reflect.DeepEqual(x, y) {
				t.Fatalf("read %+v, then %+v (%v)", x, y, err)
			}
		}
	})
}

func BenchmarkEncode200Slots(b *testing.B) {
	x := typical(2, true)
	b.ReportAllocs()
	for b.Loop() {
		for range 200 {
			if _, err := ledger.Encode("events", 3, x); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkDecode200Slots(b *testing.B) {
	text, err := ledger.Encode("events", 3, typical(2, true))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for range 200 {
			if _, err := ledger.Decode("events", 3, text); err != nil {
				b.Fatal(err)
			}
		}
	}
}
