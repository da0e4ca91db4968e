package demo

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"time"
)

// kind is the type of an event, and the branch of the payload's union.
type kind int

const (
	impression kind = iota
	click
	conversion
	deposit
)

var kinds = [...]string{"impression", "click", "conversion", "deposit"}

// event is one ad event. Money is in millionths.
type event struct {
	index    int
	time     int64 // microseconds since 1970
	server   int
	kind     kind
	campaign int64

	publisher, site, zone, user       int64
	country, browser, os, device, url string
	cost                              int64
	currency                          string
	variation                         int32
	abTest                            string // "": null
	viewable                          bool   // since schema version 2
	amount                            int64  // conversion: its value; deposit: what was paid in; hundredths
}

const campaigns = 500

var (
	countries = []string{"DE", "FR", "US", "PL", "IE", "ES", "IT", "BR", "JP", "IN"}
	browsers  = []string{"Chrome 140", "Firefox 145", "Safari 19", "Edge 140"}
	systems   = []string{"Windows 11", "Android 16", "iOS 19", "macOS 16", "Linux"}
	devices   = []string{"desktop", "mobile", "tablet", "tv"}
)

// firstEvent is when the stream begins: 2026-01-01T00:00:00Z.
var firstEvent = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

// make1 makes the i-th event of the stream. It is a pure function, so that the
// check needs to remember nothing.
func make1(i int) event {
	r := rand.New(rand.NewPCG(20260101, uint64(i)))
	e := event{index: i, time: firstEvent + int64(i)*250 + r.Int64N(250), server: r.IntN(40)}
	switch x := r.IntN(1000); {
	case x < 880:
		e.kind = impression
	case x < 970:
		e.kind = click
	case x < 985:
		e.kind = conversion
	default:
		e.kind = deposit
	}
	skew := func(n int64) int64 { f := r.Float64(); return int64(f * f * f * float64(n)) }
	pick := func(s []string) string { return s[skew(int64(len(s)))] }
	e.campaign = 100000 + skew(campaigns)
	e.publisher, e.site, e.zone, e.user = 20000+skew(3000), 500000+skew(20000), 700000+skew(40000), r.Int64N(1e12)
	e.country, e.browser, e.os, e.device = pick(countries), pick(browsers), pick(systems), pick(devices)
	e.url = "https://www.example.com/" + strconv.Itoa(r.IntN(100000)) + "?ref=ads"
	e.cost, e.currency, e.variation = r.Int64N(100000), "EUR", int32(r.IntN(8))
	if r.IntN(3) == 0 {
		e.abTest = "test-" + strconv.Itoa(r.IntN(30))
	}
	e.viewable = r.IntN(2) == 0
	e.amount = 100 + r.Int64N(100000)
	return e
}

// id is the event's name.
func (e event) id() string { return fmt.Sprintf("ev-%08d", e.index) }

// version is the schema version that the event's server writes: the servers
// are brought to the new one while the stream runs.
func (e event) version(events int) int {
	if e.server*events < e.index*40 {
		return 2
	}
	return 1
}

// delta is what the event adds to its campaign's balance, in millionths.
func (e event) delta() int64 {
	switch e.kind {
	case deposit:
		return e.amount * 10000
	case impression, click:
		return -e.cost
	}
	return 0
}

// avro is the event in Confluent's wire format under a schema version with its
// id in the registry.
func (e event) avro(version, id int) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0}, uint32(id))
	long := func(v int64) { b = binary.AppendVarint(b, v) }
	text := func(s string) { long(int64(len(s))); b = append(b, s...) }
	decimal := func(v int64) { // two's complement, big endian, as short as it gets
		u := twos(v)
		long(int64(len(u)))
		b = append(b, u...)
	}
	text(e.id())
	long(e.time)
	text(kinds[e.kind])
	text("ads-" + strconv.Itoa(e.server))
	long(int64(e.kind))
	switch e.kind {
	case impression, click:
		for _, v := range []int64{e.campaign, e.publisher, e.site, e.zone, e.user} {
			long(v)
		}
		for _, s := range []string{e.country, e.browser, e.os, e.device, e.url} {
			text(s)
		}
		decimal(e.cost)
		text(e.currency)
		long(int64(e.variation))
		if e.abTest == "" {
			long(0)
		} else {
			long(1)
			text(e.abTest)
		}
		if version == 2 {
			b = append(b, map[bool]byte{true: 1}[e.viewable])
		}
	case conversion:
		long(e.campaign)
		long(e.user)
		decimal(e.amount)
	case deposit:
		long(e.campaign)
		decimal(e.amount)
		text(e.currency)
	}
	return b
}

// twos is a number as Avro's decimal stores it.
func twos(v int64) []byte {
	if v >= 0 {
		b := big.NewInt(v).Bytes()
		if len(b) == 0 || b[0]&0x80 != 0 {
			b = append([]byte{0}, b...)
		}
		return b
	}
	var full [8]byte
	binary.BigEndian.PutUint64(full[:], uint64(v))
	b := full[:]
	for len(b) > 1 && b[0] == 0xff && b[1]&0x80 != 0 {
		b = b[1:]
	}
	return b
}

// schemaText is the writer schema of a version.
func schemaText(version int) string {
	viewable := ""
	if version == 2 {
		viewable = `, {"name": "viewable", "type": "boolean", "default": false}`
	}
	money := `{"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 6}`
	cents := `{"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}`
	shown := func(name string) string {
		return `{"type": "record", "name": "` + name + `", "fields": [
			{"name": "campaign_id", "type": "long"}, {"name": "publisher_id", "type": "long"}, {"name": "site_id", "type": "long"},
			{"name": "zone_id", "type": "long"}, {"name": "user_id", "type": "long"}, {"name": "country", "type": "string"},
			{"name": "browser", "type": "string"}, {"name": "os", "type": "string"}, {"name": "device", "type": "string"},
			{"name": "url", "type": "string"}, {"name": "cost", "type": ` + money + `}, {"name": "currency", "type": "string"},
			{"name": "variation", "type": "int"}, {"name": "ab_test", "type": ["null", "string"], "default": null}` + viewable + `]}`
	}
	return `{"type": "record", "name": "Event", "namespace": "ads", "fields": [
		{"name": "id", "type": "string"},
		{"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
		{"name": "type", "type": "string"},
		{"name": "server", "type": "string"},
		{"name": "payload", "type": [` + shown("Impression") + `, ` + shown("Click") + `,
			{"type": "record", "name": "Conversion", "fields": [
				{"name": "campaign_id", "type": "long"}, {"name": "user_id", "type": "long"}, {"name": "value", "type": ` + cents + `}]},
			{"type": "record", "name": "Deposit", "fields": [
				{"name": "campaign_id", "type": "long"}, {"name": "amount", "type": ` + cents + `}, {"name": "currency", "type": "string"}]}]}]}`
}
