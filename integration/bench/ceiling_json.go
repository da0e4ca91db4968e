package main

import (
	"bytes"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// text walks over one JSON event as this benchmark writes it: no spaces, no
// escapes, numbers without exponents. It stops behind the last wanted value.
type text struct {
	b   []byte
	bad bool
}

// str reads a string; the walk stands on its first quote.
func (t *text) str() []byte {
	if len(t.b) == 0 || t.b[0] != '"' {
		t.bad = true
		return nil
	}
	n := bytes.IndexByte(t.b[1:], '"')
	if n < 0 {
		t.bad = true
		return nil
	}
	v := t.b[1 : 1+n]
	t.b = t.b[n+2:]
	return v
}

// number reads a number as mantissa and digits behind the point.
func (t *text) number() (m int64, digits int) {
	point := false
	for i, c := range t.b {
		switch {
		case c >= '0' && c <= '9':
			m = m*10 + int64(c-'0')
			if point {
				digits++
			}
		case c == '.':
			point = true
		default:
			t.b = t.b[i:]
			return m, digits
		}
	}
	t.bad = true
	return 0, 0
}

// skip passes over a value that is no object.
func (t *text) skip() {
	if len(t.b) > 0 && t.b[0] == '"' {
		t.str()
		return
	}
	for i, c := range t.b {
		if c == ',' || c == '}' {
			t.b = t.b[i:]
			return
		}
	}
	t.bad = true
}

// found is what a row needs of an event.
type found struct {
	id, kind, country, os, device []byte
	millis, campaign, publisher   int64
	price, cost                   float64
	n                             int // of the ten
	unwanted                      bool
}

var tenths = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6}

func (t *text) float() float64 {
	m, digits := t.number()
	if digits >= len(tenths) {
		t.bad = true
		return 0
	}
	return float64(m) / tenths[digits]
}

func (t *text) int() int64 {
	m, _ := t.number()
	return m
}

// object reads the members of an object.
func (t *text) object(f *found, some bool) {
	if len(t.b) == 0 || t.b[0] != '{' {
		t.bad = true
		return
	}
	for !t.bad && f.n < 10 && !f.unwanted && t.b[0] != '}' {
		t.b = t.b[1:] // { or ,
		name := t.str()
		if len(t.b) < 2 {
			t.bad = true
			return
		}
		t.b = t.b[1:] // the colon
		f.n++
		switch string(name) {
		case "id":
			f.id = t.str()
		case "time":
			f.millis = t.int()
		case "type":
			f.kind = t.str()
			f.unwanted = some && string(f.kind) == "impression"
		case "campaign_id":
			f.campaign = t.int()
		case "publisher_id":
			f.publisher = t.int()
		case "country":
			f.country = t.str()
		case "os":
			f.os = t.str()
		case "device":
			f.device = t.str()
		case "price":
			f.price = t.float()
		case "cost":
			f.cost = t.float()
		case "payload":
			f.n--
			t.object(f, some)
			return // it is the last
		default:
			f.n--
			t.skip()
		}
	}
}

func (b *block) json(value []byte, some bool) error {
	t := text{b: value}
	var f found
	t.object(&f, some)
	if f.unwanted {
		return nil
	}
	if t.bad || f.n < 10 {
		return fmt.Errorf("a JSON value that is not as this program writes them")
	}
	b.id.AppendBytes(f.id)
	b.time.Data = append(b.time.Data, proto.DateTime64(f.millis))
	b.campaign, b.publisher = append(b.campaign, f.campaign), append(b.publisher, f.publisher)
	b.price, b.cost = append(b.price, f.price), append(b.cost, f.cost)
	b.n++
	return b.low(f.kind, f.country, f.os, f.device)
}
