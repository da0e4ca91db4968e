package decode_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/avro"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/record"
)

// The event of the benchmarks: an ad server's, with 22 fields.
const adSchema = `{"type":"record","name":"Event","namespace":"ads","fields":[
 {"name":"id","type":"string"},
 {"name":"time","type":{"type":"long","logicalType":"timestamp-micros"}},
 {"name":"server","type":"string"},
 {"name":"type","type":"string"},
 {"name":"payload","type":{"type":"record","name":"Payload","fields":[
  {"name":"campaign_id","type":"long"},
  {"name":"publisher_id","type":"long"},
  {"name":"site_id","type":"long"},
  {"name":"zone_id","type":"long"},
  {"name":"user_id","type":"long"},
  {"name":"country","type":"string"},
  {"name":"browser","type":"string"},
  {"name":"os","type":"string"},
  {"name":"device","type":"string"},
  {"name":"url","type":"string"},
  {"name":"referrer","type":"string"},
  {"name":"price","type":"double"},
  {"name":"cost","type":"double"},
  {"name":"currency","type":"string"},
  {"name":"variation","type":"int"},
  {"name":"ab_test","type":["null","string"]},
  {"name":"clicked","type":"boolean"},
  {"name":"ip","type":"string"}]}}]}`

var adPaths = []string{"id", "time", "server", "type", "payload.campaign_id", "payload.publisher_id", "payload.site_id", "payload.zone_id", "payload.user_id", "payload.country",
	"payload.browser", "payload.os", "payload.device", "payload.url", "payload.referrer", "payload.price", "payload.cost", "payload.currency", "payload.variation", "payload.ab_test", "payload.clicked", "payload.ip"}

var adSix = []string{"id", "time", "type", "payload.campaign_id", "payload.country", "payload.cost"}

// adEvents makes n events, in Avro and in JSON.
func adEvents(n int) (avros, jsons [][]byte) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	for range n {
		a, j := []byte{0, 0, 0, 0, 1}, []byte{'{'}
		key := func(k string) { j = append(strconv.AppendQuote(j, k), ':') }
		text := func(k, v string) {
			a = append(binary.AppendVarint(a, int64(len(v))), v...)
			key(k)
			j = append(strconv.AppendQuote(j, v), ',')
		}
		integer := func(k string, v, json int64) {
			a = binary.AppendVarint(a, v)
			key(k)
			j = append(strconv.AppendInt(j, json, 10), ',')
		}
		float := func(k string, v float64) {
			a = binary.LittleEndian.AppendUint64(a, math.Float64bits(v))
			key(k)
			j = append(strconv.AppendFloat(j, v, 'f', 4, 64), ',')
		}
		text("id", fmt.Sprintf("%016x", r.Uint64()))
		ms := 1767225600000 + r.Int64N(1e9)
		integer("time", ms*1000, ms)
		text("server", fmt.Sprintf("adserver-%d", r.IntN(40)))
		text("type", pick("impression", "impression", "impression", "click", "conversion"))
		key("payload")
		j = append(j, '{')
		for _, k := range []string{"campaign_id", "publisher_id", "site_id", "zone_id"} {
			v := 20000 + r.Int64N(700000)
			integer(k, v, v)
		}
		user := r.Int64N(1e12)
		integer("user_id", user, user)
		text("country", pick("DE", "ES", "US", "PL"))
		text("browser", pick("Chrome 118", "Firefox 101", "Safari 102", "Edge 107"))
		text("os", pick("Windows 11", "Android 12", "iOS 17", "macOS 13"))
		text("device", pick("desktop", "mobile", "tablet", "tv"))
		text("url", fmt.Sprintf("https://www.raten.example.com/moki/%d", r.IntN(1e6)))
		text("referrer", fmt.Sprintf("https://vel.example.org/%d", r.IntN(1e4)))
		float("price", float64(r.IntN(1e6))/1e4)
		float("cost", float64(r.IntN(1e5))/1e4)
		text("currency", pick("EUR", "USD", "GBP"))
		v := r.Int64N(8)
		integer("variation", v, v)
		if r.IntN(3) == 0 {
			a = append(a, 2)
			text("ab_test", pick("test-1", "test-22"))
		} else {
			a = append(a, 0)
			j = append(j, `"ab_test":null,`...)
		}
		clicked := r.IntN(5) == 0
		if clicked {
			a = append(a, 1)
		} else {
			a = append(a, 0)
		}
		key("clicked")
		j = append(strconv.AppendBool(j, clicked), ',')
		text("ip", fmt.Sprintf("%d.%d.%d.%d", 1+r.IntN(220), r.IntN(256), r.IntN(256), r.IntN(256)))
		j = append(j[:len(j)-1], "}}"...)
		avros, jsons = append(avros, a), append(jsons, j)
	}
	return avros, jsons
}

// adTypes declares the JSON event as its schema does the Avro one.
func adTypes() map[string]decode.Declared {
	kinds := map[string]record.Kind{"time": record.Timestamp, "payload.price": record.Float, "payload.cost": record.Float, "payload.clicked": record.Bool}
	for _, p := range []string{"campaign_id", "publisher_id", "site_id", "zone_id", "user_id", "variation"} {
		kinds["payload."+p] = record.Int
	}
	types := map[string]decode.Declared{}
	for _, p := range adPaths {
		k := kinds[p]
		if k == record.Invalid {
			k = record.String
		}
		types[p] = decode.Declared{Type: record.Type{Kind: k}}
	}
	types["time"] = decode.Declared{Type: record.Type{Kind: record.Timestamp}, Unit: "ms"}
	return types
}

func adOptions(format string) decode.Options {
	if format == decode.JSON {
		return decode.Options{Format: format, Types: adTypes()}
	}
	return decode.Options{Format: format, Schema: []byte(adSchema)}
}

func BenchmarkAvro(b *testing.B) {
	events, _ := adEvents(1000)
	b.Run("columns=22", func(b *testing.B) { benchDecoder(b, adOptions(decode.Avro), adPaths, events, nil) })
	b.Run("columns=6", func(b *testing.B) { benchDecoder(b, adOptions(decode.Avro), adSix, events, nil) })
	b.Run("columns=0", func(b *testing.B) { benchDecoder(b, adOptions(decode.Avro), nil, events, nil) })
	b.Run("skipped", func(b *testing.B) { benchDecoder(b, adOptions(decode.Avro), adSix, events, []string{"none"}) })
	b.Run("map", func(b *testing.B) {
		s := avro.MustParse(adSchema)
		b.ReportAllocs()
		start := cpu()
		defer func() { b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op") }()
		for i := range b.N {
			var m map[string]any
			if _, err := s.Decode(events[i%len(events)][5:], &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkJSON(b *testing.B) {
	_, events := adEvents(1000)
	b.Run("columns=22", func(b *testing.B) { benchDecoder(b, adOptions(decode.JSON), adPaths, events, nil) })
	b.Run("columns=6", func(b *testing.B) { benchDecoder(b, adOptions(decode.JSON), adSix, events, nil) })
	b.Run("columns=0", func(b *testing.B) { benchDecoder(b, adOptions(decode.JSON), nil, events, nil) })
	b.Run("skipped", func(b *testing.B) { benchDecoder(b, adOptions(decode.JSON), adSix, events, []string{"none"}) })
	b.Run("map", func(b *testing.B) {
		b.ReportAllocs()
		start := cpu()
		defer func() { b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op") }()
		for i := range b.N {
			var m map[string]any
			if err := json.Unmarshal(events[i%len(events)], &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// benchDecoder appends to chunks of 5,000 rows, as a reader does.
func benchDecoder(b *testing.B, o decode.Options, paths []string, events [][]byte, types []string) {
	ctx := context.Background()
	s, err := decode.Open(ctx, o)
	if err != nil {
		b.Fatal(err)
	}
	var wants []record.Want
	for _, text := range paths {
		p := path(text)
		t, err := s.Field(p)
		if err != nil {
			b.Fatal(err)
		}
		wants = append(wants, record.Want{Path: p, Type: t})
	}
	d, err := s.NewDecoder(wants)
	if err != nil {
		b.Fatal(err)
	}
	want := 5000
	if types != nil {
		if err := d.Prefilter(path("type"), types); err != nil {
			b.Fatal(err)
		}
		want = 0
	}
	chunk := record.NewChunk(d.Schema())
	var bytes int
	for i := range 5000 {
		bytes += len(events[i%len(events)])
		if err := d.Append(ctx, chunk, int64(i), 0, events[i%len(events)]); err != nil {
			b.Fatal(err)
		}
	}
	if chunk.Rows() != want || len(chunk.Bad) > 0 {
		b.Fatalf("%d rows of 5000; %v", chunk.Rows(), chunk.Bad)
	}
	b.SetBytes(int64(bytes / 5000))
	b.ReportAllocs()
	start := cpu()
	defer func() { b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op") }()
	for i := 0; b.Loop(); i++ {
		if i%5000 == 0 {
			chunk.Reset()
		}
		if err := d.Append(ctx, chunk, int64(i), 0, events[i%len(events)]); err != nil {
			b.Fatal(err)
		}
	}
}

// cpu is the processor time of this process, which other programs on the
// machine disturb less than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
