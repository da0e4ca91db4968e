package app_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/cmd/app/apptest"
	folder_ "github.com/sluicekit/sluice/core/folder"
	"github.com/sluicekit/sluice/sinks"
)

// shop is a topic of two partitions with a stream and sinks that read it.
type shop struct {
	t      *testing.T
	client *kgo.Client
}

const shopYAML = `
streams:
  shop:
    kafka: {brokers: [%s], topics: [shop], group: g}
    format: json
    envelope: {id: id, time: at, type: kind, payload: body}
    types: {id: int, time: timestamp, type: string, payload.price: "decimal(10,2)", payload.text: string}
---
sink: big
from: shop
where: 'type == "order" and payload.price >= 5'
fields: {id: id, cents: int(payload.price * 100)}
discard:
---
sink: sums
from: shop
fields: {kind: type, price: payload.price}
aggregate: {by: [kind], columns: {sum: sum(price), n: count()}}
discard:
`

func newShop(t *testing.T) *shop {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	folder(t, map[string]string{"shop.yaml": fmt.Sprintf(shopYAML, k.ListenAddrs()[0])})
	return &shop{t: t, client: client}
}

// first is the timestamp of event 0; each has a second of its own.
var first = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// sell produces the events [from, to), in turn to the two partitions. Every
// tenth has a price that cannot be read.
func (s *shop) sell(from, to int) {
	s.t.Helper()
	for i := from; i < to; i++ {
		price := fmt.Sprintf("%d.25", i)
		if i%10 == 9 {
			price = "dear"
		}
		kind := []string{"view", "order", "order"}[i%3]
		value := fmt.Sprintf(`{"id":%d,"at":%q,"kind":%q,"body":{"price":%q,"text":"\u001b[2Jn°%d"}}`, i, first.Format(time.RFC3339), kind, price, i)
		r := &kgo.Record{Topic: "shop", Partition: int32(i % 2), Value: []byte(value), Timestamp: first.Add(time.Duration(i) * time.Second)}
		if err := s.client.ProduceSync(s.t.Context(), r).FirstErr(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// line is a line of --json.
type line struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time
	Rejected  string
	Row       map[string]any
}

func lines(t *testing.T, r result) []line {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code %d: %s", r.code, r.err)
	}
	var out []line
	for _, text := range strings.Split(strings.TrimSpace(r.out), "\n") {
		if text == "" {
			continue
		}
		var l line
		decode(t, text, &l)
		out = append(out, l)
	}
	return out
}

func TestPeekEvents(t *testing.T) {
	s := newShop(t)
	s.sell(0, 40)
	// The last four of both partitions, by time.
	got := lines(t, sluice(t, "peek", "--limit", "4", "--json"))
	if len(got) != 4 || got[0].Row["id"] != float64(36) || got[0].Offset != 18 || got[0].Partition != 0 || !got[0].Timestamp.Equal(first.Add(36*time.Second)) || got[1].Partition != 1 {
		t.Errorf("the last four: %+v", got)
	}
	all := lines(t, sluice(t, "peek", "shop", "--from", "earliest", "--limit", "0", "--json"))
	if len(all) != 40 {
		t.Fatalf("%d events, want 40", len(all))
	}
	for i, l := range all {
		if !l.Timestamp.Equal(first.Add(time.Duration(i)*time.Second)) || l.Offset != int64(i/2) || l.Topic != "shop" {
			t.Errorf("event %d: %+v", i, l)
		}
		if i%10 != 9 && l.Row["id"] != float64(i) {
			t.Errorf("event %d: %+v", i, l)
		}
	}
	f := func(n int, ids string, args ...string) {
		t.Helper()
		got := lines(t, sluice(t, append([]string{"peek", "shop", "--json", "--fields", "id"}, args...)...))
		var have []string
		for _, l := range got {
			have = append(have, fmt.Sprint(l.Row["id"]))
		}
		if len(got) != n || strings.Join(have, " ") != ids {
			t.Errorf("%v: %d events %v, want %d: %s", args, len(got), have, n, ids)
		}
	}
	f(2, "24 26", "--from", "12", "--partition", "0", "--limit", "2")
	f(3, "37 38 39", "--from", first.Add(37*time.Second).Format(time.RFC3339))
	f(2, "38 39", "--from", "-1")
	// The last ones that are selected, however far back; what is rejected is among them.
	f(2, "6 7", "--where", "id < 8 and id >= 0 and type != \"\"", "--limit", "2")
	f(3, "32 35 38", "--where", "type == \"order\" and id % 3 == 2", "--limit", "3")
	f(8, "0 1 2 3 4 5 6 7", "--where", "id < 8", "--limit", "9")
	f(1, "7", "--where", "id == 7")
	f(0, "", "--from", "latest")
	f(0, "", "--from", "1m")
	f(2, "2 4", "--from", "1", "--partition", "0", "--where", "id < 5")
}

// The newest records are shown first of all to whoever asks for few, also where
// another partition has had none for long.
func TestPeekIdlePartition(t *testing.T) {
	s := newShop(t)
	s.sell(0, 8)
	for range 3 { // partition 1 only
		r := &kgo.Record{Topic: "shop", Partition: 1, Value: []byte(`{"id":100,"kind":"view","body":{}}`), Timestamp: first.Add(time.Hour)}
		if err := s.client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range lines(t, sluice(t, "peek", "--limit", "3", "--json")) {
		if l.Partition != 1 || l.Row["id"] != float64(100) {
			t.Errorf("%+v", l)
		}
	}
	// A sink that leaves most of them out.
	if got := lines(t, sluice(t, "peek", "--sink", "big", "--limit", "1", "--json")); len(got) != 1 || got[0].Row["id"] != float64(7) {
		t.Errorf("the last row of the sink: %+v", got)
	}
	if got := lines(t, sluice(t, "peek", "--sink", "sums", "--limit", "4", "--json")); len(got) != 2 {
		t.Errorf("groups of the last four: %+v", got)
	}
}

// What a sink would make of the events, and what it cannot.
func TestPeekSink(t *testing.T) {
	s := newShop(t)
	s.sell(0, 30)
	got := lines(t, sluice(t, "peek", "--sink", "big", "--from", "earliest", "--limit", "0", "--json", "--where", "id < 25"))
	rejected := 0
	for _, l := range got {
		if l.Rejected != "" {
			rejected++
			if l.Offset%5 != 4 || l.Partition != 1 || !strings.Contains(l.Rejected, "price") || strings.Contains(l.Rejected, "dear") || l.Row != nil {
				t.Errorf("rejected: %+v", l)
			}
			continue
		}
		id := int(l.Row["id"].(float64))
		if id%3 == 0 || id < 5 || id >= 25 || l.Row["cents"] != float64(id*100+25) {
			t.Errorf("row %+v", l)
		}
	}
	if rejected == 0 || len(got)-rejected != 13-1 { // 5..24 without every third and 19
		t.Errorf("%d rows and %d rejected: %+v", len(got)-rejected, rejected, got)
	}
	sums := lines(t, sluice(t, "peek", "--sink", "sums", "--from", "earliest", "--limit", "0", "--json"))
	groups := 0
	for _, l := range sums {
		if l.Rejected == "" {
			groups++
			if n := l.Row["n"].(float64); n != map[string]float64{"view": 9, "order": 18}[l.Row["kind"].(string)] {
				t.Errorf("group %+v", l)
			}
		}
	}
	if groups != 2 || len(sums) != 2+3 {
		t.Errorf("groups: %+v", sums)
	}
}

func TestPeekFormats(t *testing.T) {
	s := newShop(t)
	s.sell(0, 20) // 9 is a view, which big does not look at; 19 is an order
	table := sluice(t, "peek", "--fields", "id,payload.text", "--from", "earliest", "--limit", "0")
	table.want(t, 0, "PARTITION  OFFSET  TIMESTAMP                 id  payload.text", "20 rows")
	if strings.Contains(table.out, "\x1b") || !strings.Contains(table.out, `\x1b[2Jn°3`) {
		t.Errorf("the table shows control characters:\n%s", table.out)
	}
	table = sluice(t, "peek", "--sink", "big", "--from", "earliest", "--limit", "0")
	table.want(t, 0, "rejected: ", "9 rows, 1 rejected; 10 of 20 records read were not selected")
	rows, err := csv.NewReader(strings.NewReader(sluice(t, "peek", "--sink", "big", "--from", "earliest", "--format", "csv").out)).ReadAll()
	if err != nil || len(rows) != 11 || strings.Join(rows[0], " ") != "topic partition offset timestamp rejected id cents" || rows[10][4] == "" || rows[10][5] != "" || rows[1][6] != "525" {
		t.Errorf("csv %v: %q", err, rows)
	}
	sluice(t, "peek", "--sink", "sums", "--from", "earliest", "--limit", "0").want(t, 0, "kind   sum     n", "groups of 18 rows, 2 rejected")
}

func TestPeekMistakes(t *testing.T) {
	newShop(t)
	f := func(code int, message string, args ...string) {
		t.Helper()
		sluice(t, append([]string{"peek"}, args...)...).want(t, code, "", message)
	}
	f(2, `there is no stream "shpo"; did you mean shop?`, "shpo")
	f(2, `there is no sink "bg"; did you mean big?`, "--sink", "bg")
	f(2, "peek takes one stream", "a", "b")
	f(2, "say earliest, latest", "--from", "yesterday")
	f(2, "say table, json or csv", "--format", "xml")
	f(2, "  id > 3 and typo == 1\n             ^", "--where", "id > 3 and typo == 1")
	f(2, "--fields", "--fields", "id,nonsense")
	f(2, "--fields is for streams", "--sink", "big", "--fields", "id")
	f(2, "a number of rows", "--limit", "-1")
	f(1, "topic shop has no partition 7: it has 2", "--partition", "7")
	sluice(t, "peek", "--from", "100", "--partition", "0").want(t, 0, "", "shop[0] ends before offset 100, at 0")
}

// --follow shows what arrives until it is told to stop.
func TestPeekFollow(t *testing.T) {
	s := newShop(t)
	s.sell(0, 4)
	ctx, cancel := context.WithTimeout(t.Context(), apptest.Patience)
	defer cancel()
	out, w := io.Pipe()
	var all sync.WaitGroup
	var code int
	var messages bytes.Buffer
	all.Go(func() {
		code = app.Run(ctx, []string{"peek", "--follow", "--from", "earliest", "--json", "--fields", "id"}, strings.NewReader(""), w, &messages, sinks.All())
		w.Close()
	})
	d := json.NewDecoder(out)
	for i := range 12 {
		if i == 4 {
			s.sell(4, 12)
		}
		var l line
		if err := d.Decode(&l); err != nil {
			t.Fatalf("event %d: %v\n%s", i, err, messages.String())
		}
		if i < 4 && l.Row["id"] != float64(i) {
			t.Errorf("event %d: %+v", i, l)
		}
	}
	cancel()
	go io.Copy(io.Discard, out)
	all.Wait()
	if code != 0 {
		t.Errorf("exit code %d: %s", code, messages.String())
	}
}

// A stream of files is looked at with the offsets that it has when it runs,
// also while it runs.
func TestPeekFiles(t *testing.T) {
	folder(t, map[string]string{
		"a.jsonl": `{"id":1,"text":"one"}` + "\n" + `{"id":"two"}` + "\n" + `{"id":3}` + "\n",
		"b.jsonl": `{"id":4}` + "\n",
		"s.yaml":  "streams:\n  lines:\n    files: {paths: ['*.jsonl'], state: state}\n    format: json\n    types: {id: int, text: string}\n---\nsink: a\nfrom: lines\nfields: {id: id}\ndiscard:\n",
	})
	ids := func(args ...string) (out string) {
		t.Helper()
		for _, l := range lines(t, sluice(t, append([]string{"peek", "--json"}, args...)...)) {
			out += fmt.Sprintf("%d:%v%.12s ", l.Offset, l.Row["id"], l.Rejected)
		}
		return out
	}
	const all = "0:1 22:<nil>id: a JSON v 35:3 44:4 "
	if got := ids("--from", "earliest"); got != all {
		t.Errorf("before the stream has run: %q, want %q", got, all)
	}
	if got := ids("--limit", "2"); got != "35:3 44:4 " { // offsets are bytes: two of them are no record
		t.Errorf("the last two: %q", got)
	}
	if got := ids("--from", "35", "--limit", "1"); got != "35:3 " {
		t.Errorf("from an offset: %q", got)
	}
	if got := ids("--where", "id == 4"); got != "22:<nil>id: a JSON v 44:4 " {
		t.Errorf("with where: %q", got)
	}
	sluice(t, "run").want(t, 1, "", "bad record") // on_bad_record is stop
	running, err := folder_.Open(folder_.Options{Name: "lines", Paths: []string{"*.jsonl"}, State: "state"})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close() // its lock is in nobody's way
	if got := ids("--from", "earliest"); got != all {
		t.Errorf("after the stream has run: %q, want %q", got, all)
	}
}
