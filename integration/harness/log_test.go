package harness

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// world is a small topic of one partition, with all that is known of it.
type world struct {
	log    topicLog
	ledger *ledger
	given  []truthPart
	left   int // partitions that are to be left out
}

// written makes a world of transactions of two events each, in the order of the
// fates, by the writers in turn: odd ones are of producer b.
func written(fates ...fate) *world {
	l := &ledger{}
	for i, f := range fates {
		l.end(l.begin([...]string{"a", "b"}[i%2], 2), 2, f)
	}
	return &world{ledger: l, given: make([]truthPart, 1)}
}

// lay puts entries into the log: events by their ids, and markers of a producer,
// "+a" or "-b". What was put before is gone.
func (w *world) lay(entries ...any) *world {
	w.log = topicLog{nil}
	for _, e := range entries {
		switch e := e.(type) {
		case int:
			w.log[0] = append(w.log[0], logEntry{producer: int64(w.ledger.writers[w.ledger.tx[e]][0]), id: int64(e)})
		case string:
			w.log[0] = append(w.log[0], logEntry{producer: int64(e[1]), id: -1, kind: map[byte]logKind{'+': commitKind, '-': abortKind}[e[0]]})
		}
	}
	return w
}

// acked acknowledges everything where it lies.
func (w *world) acked() *world {
	for i, e := range w.log[0] {
		if e.kind == eventKind {
			w.ledger.acked(e.id, place{0, int64(i)})
		}
	}
	return w
}

// reads gives the reader these events, each from where it lies.
func (w *world) reads(ids ...int64) *world {
	w.given[0] = truthPart{}
	for _, id := range ids {
		at := slices.IndexFunc(w.log[0], func(e logEntry) bool { return e.id == id })
		w.given[0].offsets, w.given[0].ids = append(w.given[0].offsets, int64(at)), append(w.given[0].ids, id)
	}
	return w
}

func (w *world) leaves(n int) *world {
	w.left = n
	return w
}

func TestTopicAgainstLedger(t *testing.T) {
	plain := func() *world {
		return written(committed, aborted, committed).lay(0, 2, 1, "+a", 3, "-b", 4, 5, "+a").acked().reads(0, 1, 4, 5)
	}
	// Transaction 2 of a is committed and has no marker in this partition; its
	// next, 4, is aborted.
	soak := func() *world {
		return written(committed, committed, committed, committed, aborted).
			lay(0, 1, "+a", 2, 3, 4, 5, "+b", 8, 9, "-a", 6, 7, "+b").acked().reads(0, 1, 2, 3, 6, 7).leaves(1)
	}
	for name, c := range map[string]struct {
		world *world
		want  string // "": no error
	}{
		"as produced":                            {plain(), ""},
		"a partition was left out":               {soak(), ""},
		"two times one after the other":          {written(committed, committed, committed, committed, aborted).lay(0, 1, 4, 5, 8, 9, "-a", 2, 3, "+b", 6, 7, "+b").acked().reads(2, 3, 6, 7).leaves(2), ""},
		"left out, and committed with the next":  {written(aborted, aborted, committed).lay(0, 1, 4, 5, "+a", 2, 3, "-b").acked().reads(0, 1, 4, 5).leaves(1), ""},
		"a marker of the other producer is none": {written(aborted, committed, committed).lay(0, 1, "-b", 2, 3, "+b", 4, 5, "+a").acked().reads(2, 3, 0, 1, 4, 5), "reader"},
		"left out, and the reader has it":        {soak().reads(0, 1, 2, 3, 4, 5, 6, 7), "was given event 4 at 0:5"},
		"left out, and the reader lacks another": {soak().reads(0, 1, 2, 3, 6), "not given event 7"},

		"committed, and aborted by its own marker": {written(committed, committed).lay(0, 1, "-a", 2, 3, "+b").acked().reads(2, 3), "event 0 at 0:0 is committed for its producer"},
		"the same before a next transaction":       {written(committed, committed, aborted).lay(0, 1, "-a", 4, 5, "-a", 2, 3, "+b").acked().reads(2, 3), "event 0 at 0:0 is committed for its producer"},
		"aborted, and committed by its own marker": {written(aborted).lay(0, 1, "+a").acked().reads(0, 1), "event 0 at 0:0 is aborted for its producer"},
		"a marker in the middle":                   {written(committed, committed, aborted).lay(0, "-a", 1, 4, 5, "-a", 2, 3, "+b").acked().reads(2, 3), "event 0 at 0:0 is committed for its producer"},
		"committed, and open":                      {written(committed).lay(0, 1).acked().reads(), "no marker ends"},
		"left out, and the next one is open":       {written(committed, committed, committed).lay(0, 1, 4, 5, 2, 3, "+b").acked().reads(2, 3), "no marker ends"},
		"committed, and nowhere":                   {written(committed).lay(0, "+a").reads(0), "event 1 is committed for its producer, and is not in the log"},
		"acknowledged and aborted, and nowhere": {func() *world {
			w := plain()
			return w.lay(0, 2, 1, "+a", "-b", 4, 5, "+a").reads(0, 1, 4, 5)
		}(), "event 3 was acknowledged at 0:4, and is not in the log"},
		"stored, and not acknowledged": {written(aborted).lay(0, "-a").reads(), ""},

		"a committed record twice":           {written(committed).lay(0, 1, 1, "+a").reads(0, 1), "event 1 is there twice, the second time at 0:2"},
		"an aborted record twice":            {written(aborted).lay(0, 1, 1, "-a").reads(), "event 1 is there twice"},
		"once aborted, once committed":       {written(committed, committed, committed).lay(0, 1, "+a", 2, 3, "+b", 4, 5, 1, "+a").reads(0, 1, 2, 3, 4, 5), "transaction 0 at 0:8 comes after 2"},
		"the reader gives an aborted record": {plain().reads(0, 2, 1, 4, 5), "was given event 2 at 0:1"},
		"the reader lacks a record":          {plain().reads(0, 1, 5), "not given event 4 at 0:6"},
		"the reader lacks the last record":   {plain().reads(0, 1, 4), "not given event 5 at 0:7"},
		"the reader gives a record too late": {func() *world {
			w := plain()
			w.given[0].offsets[3] = 8
			return w
		}(), "was given event 5 at 0:8"},
		"the reader gives another record": {func() *world {
			w := plain()
			w.given[0].ids[0] = 1
			return w
		}(), "was given event 1 at 0:0, where 0 lies"},
		"a record lies elsewhere": {func() *world {
			w := plain()
			w.ledger.acked(4, place{0, 7})
			return w
		}(), "event 4 lies at 0:6, acknowledged was 0:7"},
		"an aborted record lies elsewhere": {func() *world {
			w := plain()
			w.ledger.acked(3, place{0, 5})
			return w
		}(), "event 3 lies at 0:4, acknowledged was 0:5"},
		"a record that nobody has written": {func() *world {
			w := plain()
			w.log[0][7].id = 6
			return w
		}(), "event 6 at 0:7 was never produced"},
		"a record under another's producer id": {func() *world {
			w := plain()
			w.log[0][1].producer, w.ledger.fates[2] = 'a', unknown
			return w
		}(), "event 2 at 0:1 was written by b, and producer id 97 is that of a"},

		"unknown, and committed":                 {written(unknown).lay(0, 1, "+a").acked().reads(0, 1), ""},
		"unknown, and aborted":                   {written(unknown).lay(0, 1, "-a").acked().reads(), ""},
		"unknown, and nowhere":                   {written(unknown).lay().reads(), ""},
		"unknown, and committed in part":         {written(unknown).lay(0, "+a", 1, "-a").acked().reads(0), "committed in part"},
		"unknown, and stored in part":            {written(unknown).lay(0, "+a").reads(0), "committed in part"},
		"unknown, settled by the next one":       {written(unknown, committed, committed).lay(0, 1, "-a", 2, 3, "+b", 4, 5, "+a").acked().reads(2, 3, 4, 5), ""},
		"unknown, and left out where it is half": {written(unknown, committed, committed).lay(0, "-a", 1, 4, 5, "+a", 2, 3, "+b").acked().reads(1, 4, 5, 2, 3).leaves(1), ""},
	} {
		out, err := judgeTopic(c.world.log, c.world.ledger, c.world.given)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if c.want == "" && len(out) != c.world.left {
			t.Errorf("%s: %d partitions were left out, want %d: %+v", name, len(out), c.world.left, out)
		}
	}
	out, err := judgeTopic(soak().log, soak().ledger, soak().given)
	if want := (leftOut{abode: abode{2, 0}, first: 5, next: 7, records: 2, marker: 10}); err != nil || len(out) != 1 || out[0] != want {
		t.Errorf("got %+v, %v, want %+v", out, err, want)
	}
}

func TestFewAreLeftOut(t *testing.T) {
	for _, n := range []int{3, 4} {
		w := written(slices.Repeat([]fate{committed}, 2*n+1)...)
		var entries []any
		var ids []int64
		for tx := 0; tx < len(w.ledger.writers); tx += 2 {
			entries, ids = append(entries, 2*tx, 2*tx+1), append(ids, int64(2*tx), int64(2*tx+1))
		}
		entries = append(entries, "+a")
		for tx := 1; tx < len(w.ledger.writers); tx += 2 {
			entries, ids = append(entries, 2*tx, 2*tx+1, "+b"), append(ids, int64(2*tx), int64(2*tx+1))
		}
		w.lay(entries...).acked().reads(ids...)
		out, err := judgeTopic(w.log, w.ledger, w.given)
		if len(out) != n || (err == nil) != (n == 3) {
			t.Errorf("%d left out, got %d and %v", n, len(out), err)
		}
	}
	if n := excuses(27_056); n != 27 {
		t.Errorf("%d of 27056", n)
	}
}

func TestLogIsRead(t *testing.T) {
	control := kgo.NewRecordAttrs(kgo.RecordAttrsOpts{Transactional: true, Control: true})
	log := make(topicLog, 1)
	for i, c := range []struct {
		record kgo.Record
		want   string // "": it is taken
	}{
		{kgo.Record{Offset: 0, ProducerID: 7, ProducerEpoch: 3, Value: makeEvent(41).encode()}, ""},
		{kgo.Record{Offset: 1, ProducerID: 7, ProducerEpoch: 4, Attrs: control, Key: []byte{0, 0, 0, 1}}, ""},
		{kgo.Record{Offset: 2, ProducerID: 7, ProducerEpoch: 5, Attrs: control, Key: []byte{0, 0, 0, 0}}, ""},
		{kgo.Record{Offset: 3, Attrs: control, Key: []byte{0, 0, 0, 2}}, "which ends no transaction"},
		{kgo.Record{Offset: 3, Attrs: control, Key: []byte{0}}, "key of a control record"},
		{kgo.Record{Offset: 4, Value: makeEvent(42).encode()}, "offset 4 where 3 is next"},
		{kgo.Record{Offset: 2, Value: makeEvent(42).encode()}, "offset 2 where 3 is next"},
		{kgo.Record{Offset: 3, Value: append(makeEvent(42).encode(), ' ')}, "never made"},
		{kgo.Record{Offset: 3, Value: []byte(`{"id":x,`)}, "never made"},
		{kgo.Record{Offset: 3, Value: nil}, "never made"},
	} {
		err := log.add(&c.record)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("record %d: got %v, want %q", i, err, c.want)
		}
	}
	want := []logEntry{{7, 41, 3, eventKind}, {7, -1, 4, commitKind}, {7, -1, 5, abortKind}}
	if !slices.Equal(log[0], want) {
		t.Errorf("got %+v, want %+v", log[0], want)
	}
	var b strings.Builder
	log.dump(&b, make([]int32, 42))
	if got, want := b.String(), "partition,first,next,kind,producer,epoch,transaction\n0,0,1,event,7,3,0\n0,1,2,commit,7,4,-1\n0,2,3,abort,7,5,-1\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
