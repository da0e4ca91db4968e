package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// event is one ad event; fields are in the order of the schema.
type event struct {
	id     string
	micros int64 // since 1970
	server string
	kind   string // impression, click or conversion

	campaign, publisher, site, zone, user int64
	country, browser, os, device          string
	url, referrer                         string
	price, cost                           float64
	currency                              string
	variation                             int64
	test                                  string // "": null
	clicked                               bool
	ip                                    string
}

// firstMicros is the time of the first event: 2026-01-01T00:00:00Z.
const firstMicros = 1767225600 * 1_000_000

// made makes events that look like an ad server's: a few campaigns have most of
// the traffic, nine of ten events are impressions, a third has a test. Equal
// seeds give equal events.
type made struct {
	r                                   *rand.Rand
	words, countries, browsers, systems []string
	n                                   int64
}

func newMade(seed uint64) *made {
	m := &made{r: rand.New(rand.NewPCG(seed, 22))}
	for range 300 {
		word := make([]byte, 4+m.r.IntN(6))
		for i := range word {
			word[i] = "aeioulnrstmkdvbp"[m.r.IntN(16)]
		}
		m.words = append(m.words, string(word))
	}
	for i := range 60 {
		m.countries = append(m.countries, string([]byte{byte('A' + i/26), byte('A' + i%26)}))
	}
	for i := range 20 {
		m.browsers = append(m.browsers, fmt.Sprintf("%s %d", []string{"Chrome", "Firefox", "Safari", "Edge"}[i%4], 100+i))
	}
	for i := range 10 {
		m.systems = append(m.systems, fmt.Sprintf("%s %d", []string{"Windows", "Android", "iOS", "macOS", "Linux"}[i%5], 10+i))
	}
	return m
}

// low is a number below n, small ones much more often.
func (m *made) low(n int) int64 {
	f := m.r.Float64()
	return int64(f * f * f * float64(n))
}

func (m *made) word() string { return m.words[m.r.IntN(len(m.words))] }

func (m *made) next() event {
	r := m.r
	e := event{
		id: fmt.Sprintf("%016x", r.Uint64()), micros: firstMicros + m.n*200 + r.Int64N(200_000), server: "adserver-" + strconv.Itoa(r.IntN(40)),
		campaign: 100_000 + m.low(5000), publisher: 20_000 + m.low(3000), site: 500_000 + m.low(20_000), zone: 700_000 + m.low(40_000), user: r.Int64N(1e12),
		country: m.countries[m.low(60)], browser: m.browsers[m.low(20)], os: m.systems[m.low(10)], device: []string{"desktop", "mobile", "tablet", "tv"}[m.low(4)],
		price: float64(r.IntN(1e6)) / 1e4, cost: float64(r.IntN(1e5)) / 1e4, currency: []string{"EUR", "USD", "GBP", "PLN"}[m.low(4)], variation: r.Int64N(8),
		ip: fmt.Sprintf("%d.%d.%d.%d", 1+r.IntN(220), r.IntN(256), r.IntN(256), r.IntN(256)),
	}
	e.url = "https://www." + m.words[m.low(300)] + ".example.com/" + m.word() + "/" + m.word() + "/" + strconv.Itoa(r.IntN(1e6)) + "?q=" + m.word()
	e.referrer = "https://" + m.word() + ".example.org/" + m.word() + "/" + strconv.Itoa(r.IntN(1e4))
	switch share := r.IntN(100); {
	case share < 90:
		e.kind = "impression"
	case share < 99:
		e.kind, e.clicked = "click", true
	default:
		e.kind, e.clicked = "conversion", true
	}
	if r.IntN(3) == 0 {
		e.test = "test-" + strconv.Itoa(r.IntN(30))
	}
	m.n++
	return e
}

// time is the record's timestamp.
func (e *event) time() time.Time { return time.UnixMicro(e.micros) }

// schema is the events' Avro schema.
const schema = `{"type":"record","name":"AdEvent","fields":[
{"name":"id","type":"string"},
{"name":"time","type":{"type":"long","logicalType":"timestamp-micros"}},
{"name":"server","type":"string"},
{"name":"type","type":"string"},
{"name":"payload","type":{"type":"record","name":"Payload","fields":[
 {"name":"campaign_id","type":"long"},{"name":"publisher_id","type":"long"},{"name":"site_id","type":"long"},{"name":"zone_id","type":"long"},{"name":"user_id","type":"long"},
 {"name":"country","type":"string"},{"name":"browser","type":"string"},{"name":"os","type":"string"},{"name":"device","type":"string"},
 {"name":"url","type":"string"},{"name":"referrer","type":"string"},
 {"name":"price","type":"double"},{"name":"cost","type":"double"},{"name":"currency","type":"string"},
 {"name":"variation","type":"long"},{"name":"ab_test","type":["null","string"]},{"name":"clicked","type":"boolean"},{"name":"ip","type":"string"}]}}]}`

// avro appends the event as Confluent writes it: a zero byte, the schema's id, the value.
func (e *event) avro(b []byte) []byte {
	b = append(b, 0, 0, 0, 0, 1)
	b = avroString(b, e.id)
	b = binary.AppendVarint(b, e.micros)
	b = avroString(b, e.server)
	b = avroString(b, e.kind)
	for _, v := range [...]int64{e.campaign, e.publisher, e.site, e.zone, e.user} {
		b = binary.AppendVarint(b, v)
	}
	for _, v := range [...]string{e.country, e.browser, e.os, e.device, e.url, e.referrer} {
		b = avroString(b, v)
	}
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(e.price))
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(e.cost))
	b = avroString(b, e.currency)
	b = binary.AppendVarint(b, e.variation)
	if e.test == "" {
		b = append(b, 0)
	} else {
		b = avroString(append(b, 2), e.test)
	}
	if e.clicked {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return avroString(b, e.ip)
}

func avroString(b []byte, v string) []byte {
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}

// json appends the event as JSON, its time in milliseconds.
func (e *event) json(b []byte) []byte {
	test := "null"
	if e.test != "" {
		test = `"` + e.test + `"`
	}
	return fmt.Appendf(b, `{"id":"%s","time":%d,"server":"%s","type":"%s","payload":{"campaign_id":%d,"publisher_id":%d,"site_id":%d,"zone_id":%d,"user_id":%d,`+
		`"country":"%s","browser":"%s","os":"%s","device":"%s","url":"%s","referrer":"%s","price":%.4f,"cost":%.4f,"currency":"%s","variation":%d,"ab_test":%s,"clicked":%t,"ip":"%s"}}`,
		e.id, e.micros/1000, e.server, e.kind, e.campaign, e.publisher, e.site, e.zone, e.user,
		e.country, e.browser, e.os, e.device, e.url, e.referrer, e.price, e.cost, e.currency, e.variation, test, e.clicked, e.ip)
}
