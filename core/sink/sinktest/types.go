package sinktest

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// sample is a value to write and read back. A must is written by every sink
// that takes its kind; what is not may be refused by its offset, and never
// changed.
type sample struct {
	value any
	must  bool
}

func must(values ...any) (all []sample) {
	for _, v := range values {
		all = append(all, sample{v, true})
	}
	return all
}

func may(values ...any) (all []sample) {
	for _, v := range values {
		all = append(all, sample{v, false})
	}
	return all
}

// The bounds of timestamps: the years 1 to 9999.
const (
	firstMicros = -62_135_596_800_000_000
	lastMicros  = 253_402_300_799_999_999
)

// samples are the values of a type that is neither list nor map, null left out.
func samples(t record.Type) []sample {
	switch t.Kind {
	case record.Bool:
		return must(false, true)
	case record.Int:
		return must(int64(0), int64(1), int64(-1), int64(math.MinInt64), int64(math.MaxInt64), int64(1)<<53+1)
	case record.Uint:
		return append(must(uint64(0), uint64(1), uint64(math.MaxInt64)), may(uint64(math.MaxInt64)+1, uint64(math.MaxUint64))...)
	case record.Float:
		return append(must(0.0, 1.5, -0.1, 1.0/3, 1e21, 123456789.123456789),
			may(math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 2.2250738585072014e-308, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1))...)
	case record.Decimal:
		return decimals(int(t.Precision), int(t.Scale))
	case record.Timestamp:
		return append(must(int64(0), int64(1), int64(1_700_000_000_123_456), int64(1_709_164_800_000_000), int64(1_774_751_400_000_000), int64(4_102_444_799_999_999)),
			may(int64(-1), int64(firstMicros), int64(lastMicros), int64(-11_676_096_000_000_001), int64(firstMicros-1), int64(lastMicros+1), int64(math.MinInt64), int64(math.MaxInt64))...)
	case record.String:
		return texts()
	case record.Bytes:
		all := must([]byte{}, []byte("plain"), []byte{0}, []byte{0xff, 0xfe, 0x00, 0x80, '\'', '\\', '"', '\n'}, []byte(strings.Repeat("\x00\xff", 40_000)))
		return all
	case record.JSON:
		return append(must(`{"a":[1,2.50,null,true,"ü\u0000\ud83d\ude00"],"b":{}}`, `[]`, `{}`, `"text"`, `1`, `-0.10`, `true`, `null`, `""`, `"`+strings.Repeat("x", 70_000)+`"`),
			may(`12345678901234567890123456789`, "{ \"a\" :\n 1 }", `{"a":{"a":{"a":{"a":[[[[1]]]]}}}}`)...)
	}
	return nil
}

func decimals(precision, scale int) []sample {
	digits := strings.Repeat("9", precision)
	one := strings.Repeat("0", precision-1) + "1"
	all := must("0")
	for _, d := range []string{digits, one} {
		text := d[:precision-scale] + "." + d[precision-scale:]
		if strings.HasPrefix(text, ".") {
			text = "0" + text
		}
		text = strings.TrimSuffix(text, ".")
		all = append(all, must(text, "-"+text)...)
	}
	if scale > 0 && precision > scale {
		all = append(all, must("1."+strings.Repeat("0", scale))...)
	}
	return all
}

func texts() []sample {
	all := must("", " ", "null", "NULL", "0", "plain", "ends in a space ", "\ttab", "line\nbreak\r\n", `'single'' "double" \back\\ %s ? $1 :x`,
		"ünïcödé", "\U0001F600 four bytes \U0010FFFF", "e\u0301 is not \u00e9", "\u200b\u202e", "1e5", "0x41", "-1", "2026-01-01", "true", "[1]", "{}", ",;|\t",
		strings.Repeat("long ", 20_000))
	return append(all, may("\x00", "a\x00b", "\ufeffbom", "\x7f", "\x01\x1f", strings.Repeat("\U0001F600", 100_000))...)
}

// types are the types of a kind that are tested, for a sink that takes kinds.
func types(k record.Kind, kinds []record.Kind) []record.Type {
	switch k {
	case record.Decimal:
		var all []record.Type
		for _, d := range [][2]uint8{{38, 0}, {38, 38}, {38, 19}, {18, 6}, {1, 0}, {1, 1}, {19, 2}} {
			all = append(all, record.Type{Kind: k, Precision: d[0], Scale: d[1]})
		}
		return all
	case record.List, record.Map:
		var all []record.Type
		for _, e := range kinds {
			if e != record.List && e != record.Map {
				all = append(all, record.Type{Kind: k, Elem: &types(e, kinds)[0]})
			}
		}
		if len(all) > 0 {
			all = append(all, record.Type{Kind: k, Elem: &record.Type{Kind: k, Elem: all[0].Elem}}) // of its own kind
		}
		return all
	}
	return []record.Type{{Kind: k}}
}

// nested are lists or maps of an element's samples. Kinds of noNull need not be
// taken where they are null.
func nested(t record.Type, noNull []record.Kind) []sample {
	if t.Kind != record.List && t.Kind != record.Map {
		return samples(t)
	}
	elems := nested(*t.Elem, noNull)
	null := sample{nil, !slices.Contains(noNull, t.Elem.Kind)}
	pack := func(some ...sample) sample {
		s := sample{must: true}
		list, byKey := []any{}, map[string]any{}
		for i, e := range some {
			list = append(list, e.value)
			byKey[fmt.Sprintf("k%d \"ü", i)] = e.value
			s.must = s.must && e.must
		}
		if s.value = list; t.Kind == record.Map {
			s.value = byKey
		}
		return s
	}
	all := []sample{pack(), pack(elems[0]), pack(elems[0], null, elems[len(elems)-1]), pack(null)}
	for _, e := range elems {
		all = append(all, pack(e))
	}
	return all
}

// everyType writes every value of every kind that the Spec lists, and null: once
// where the destination has none.
func everyType(b *bench) {
	kinds := b.target.Spec.Kinds
	for _, k := range kinds {
		for _, t := range types(k, kinds) {
			b.values(t, nested(t, b.target.Spec.NoNull))
		}
	}
}

// values writes samples of a type, each between two nulls, and reads them back.
func (b *bench) values(t record.Type, list []sample) {
	b.Helper()
	p := b.place(&record.Schema{Fields: []record.Field{{Name: "id", Type: idType(b.target.Spec.Kinds)}, {Name: "v", Type: t, Nullable: true}}})
	null := sample{nil, !slices.Contains(b.target.Spec.NoNull, t.Kind)}
	all := []sample{null}
	for _, s := range list {
		if all = append(all, s); null.must {
			all = append(all, null)
		}
	}
	c := cutOf(0, 0, int64(len(all)))
	refused := p.mustFinish(p.mustOpen(), c, func(f *feed, c record.Cut) {
		for i, s := range all {
			if o := int64(i); !c.IsDead(0, o) {
				f.add(o, []any{idOf(p.schema.Fields[0].Type, at{0, o}), s.value})
			}
		}
	})
	there := p.byID()
	for i, s := range all {
		got, ok := there[at{0, int64(i)}]
		reason, isRefused := refused[int64(i)]
		switch {
		case isRefused && s.must:
			p.Errorf("type %s: the value %s is refused: %s", t, show(s.value), reason)
		case isRefused && ok:
			p.Errorf("type %s: the value %s was refused, and is at the destination", t, show(s.value))
		case isRefused:
			p.Logf("type %s: the value %s is refused: %s", t, show(s.value), reason)
		case !ok:
			p.Errorf("type %s: the row with value %s was committed and is not at the destination", t, show(s.value))
		case !same(t, s.value, got[1]):
			p.Errorf("type %s: the value %s comes back as %s", t, show(s.value), show(got[1]))
		}
	}
	if len(there) > len(all) {
		p.Errorf("type %s: %d rows are at the destination, %d were written", t, len(there), len(all))
	}
}

// byID reads the rows, each of which is there once.
func (p *place) byID() map[at]Row {
	p.Helper()
	all := map[at]Row{}
	for _, r := range p.read() {
		a, ok := parseID(p.schema.Fields[0].Type, r[0])
		if !ok {
			p.Fatalf("a row at the destination has id %s, which the kit never wrote", show(r[0]))
		}
		if all[a] != nil {
			p.Fatalf("%s[%d] offset %d: is at the destination twice", topic, a.partition, a.offset)
		}
		all[a] = r
	}
	return all
}

// refusedKinds: a field of any other kind is refused by Open, by name.
func refusedKinds(b *bench) {
	kinds := b.target.Spec.Kinds
	every := []record.Kind{record.Int}
	for _, k := range record.Kinds() {
		if slices.Contains(kinds, k) {
			continue
		}
		t := types(k, every)[0]
		p := b.place(&record.Schema{Fields: []record.Field{{Name: "id", Type: idType(kinds)}, {Name: "peculiar", Type: t, Nullable: true}}})
		s, err := p.open(p.Context())
		switch {
		case err == nil:
			s.Close()
			p.Errorf("a field of type %s was taken, which is not among the Spec's Kinds", t)
		case !strings.Contains(err.Error(), "peculiar") || !strings.Contains(err.Error(), k.String()):
			p.Errorf("a field named peculiar of type %s is refused without its name and kind: %v", t, err)
		case !sink.IsPermanent(err):
			p.Errorf("a field of type %s is refused, and not for good: mark the error Permanent: %v", t, err)
		}
	}
}

// poison: records that the destination cannot hold are named by their offset;
// the others of the chunk, and the chunks before, are not lost.
func poison(b *bench) {
	for _, c := range []struct {
		kind  record.Kind
		value any
	}{
		{record.Float, math.NaN()}, {record.Float, math.Inf(-1)}, {record.String, unseen + "\xff\xfe"}, {record.String, unseen + "\x00"},
		{record.JSON, `{"` + unseen}, {record.JSON, `"` + unseen + "\xff\""}, {record.Timestamp, int64(math.MaxInt64)}, {record.Timestamp, int64(math.MinInt64)}, {record.Uint, uint64(math.MaxUint64)},
	} {
		if slices.Contains(b.target.Spec.Kinds, c.kind) {
			b.poisonOf(record.Type{Kind: c.kind}, c.value)
		}
	}
}

func (b *bench) poisonOf(t record.Type, bad any) {
	b.Helper()
	p := b.place(&record.Schema{Fields: []record.Field{{Name: "id", Type: idType(b.target.Spec.Kinds)}, {Name: "v", Type: t, Nullable: true}}})
	good := samples(t)[1].value
	// Rows 100 to 104 with a bad one in the middle, behind a chunk that is fine.
	c := cutOf(0, 90, 105)
	add := func(f *feed, first, next int64, c record.Cut) *record.Chunk {
		f.begin(0, first, next)
		for o := first; o < next; o++ {
			v := good
			if o == 102 {
				v = bad
			}
			if !c.IsDead(0, o) {
				f.add(o, []any{idOf(p.schema.Fields[0].Type, at{0, o}), v})
			}
		}
		return f.chunk
	}
	s := p.mustOpen()
	w, _ := p.mustClaim(s, slot(0, 1))
	err := w.append(p.Context(), add(w.feed, 90, 100, c))
	if err != nil {
		p.Fatalf("append of rows that are fine: %v", err)
	}
	early := w.append(p.Context(), add(w.feed, 100, 105, c))
	if err = early; err == nil {
		err = w.put(p.Context(), c)
	}
	if err == nil {
		p.wantPoison(t, bad, good, false)
		return
	}
	p.refusedOne(t, err, &c)
	if early != nil {
		// Nothing of the chunk was kept: the same writer would take it without
		// the bad row, if it goes on at all.
		if err := w.append(p.Context(), add(w.feed, 100, 105, c)); err == nil {
			if err := w.put(p.Context(), c); err == nil {
				p.wantPoison(t, bad, good, true)
				return
			}
		}
	}
	w.close()
	if rows := p.read(); len(rows) != 0 {
		p.Fatalf("type %s: %d rows of a batch are there that was refused", t, len(rows))
	}
	w, _ = p.mustClaim(s, slot(0, 1))
	for _, first := range []int64{90, 100} {
		if err := w.append(p.Context(), add(w.feed, first, min(first+10, 105), c)); err != nil {
			p.Fatalf("append without the row that was refused: %v", err)
		}
	}
	if err := w.put(p.Context(), c); err != nil {
		p.Fatalf("the batch without the row that was refused: %v", err)
	}
	p.wantPoison(t, bad, good, true)
}

// refusedOne wants offset 102 refused and nothing else, and puts it aside.
func (p *place) refusedOne(t record.Type, err error, c *record.Cut) {
	p.Helper()
	var rows *sink.RowsError
	if !asRows(err, &rows) {
		p.Fatalf("type %s: a row that the sink does not take: got %v, want a RowsError, which names its offset", t, err)
	}
	if len(rows.Rows) != 1 || rows.Rows[0].Offset != 102 || rows.Rows[0].Partition != 0 {
		p.Fatalf("type %s: the bad row is that of partition 0, offset 102; refused were %v", t, rows.Rows)
	}
	p.takeOut(rows, c, map[int64]string{})
}

// wantPoison wants all rows there, the bad one among them unless it was refused.
func (p *place) wantPoison(t record.Type, bad, good any, refused bool) {
	p.Helper()
	there := p.byID()
	want := 15
	if refused {
		want--
	}
	if len(there) != want {
		p.Fatalf("type %s: %d rows are at the destination, want %d", t, len(there), want)
	}
	for a, r := range there {
		v := good
		if a.offset == 102 {
			v = bad
		}
		if !same(t, v, r[1]) {
			p.Fatalf("type %s: the value %s comes back as %s, and was not refused", t, show(v), show(r[1]))
		}
	}
}
