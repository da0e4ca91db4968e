package main

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/ClickHouse/ch-go/proto"
)

// scan walks over one Avro value. Reading past the end sets bad.
type scan struct {
	b   []byte
	bad bool
}

func (s *scan) long() int64 {
	if len(s.b) > 0 && s.b[0] < 0x80 { // one byte, as most are
		v := s.b[0]
		s.b = s.b[1:]
		return int64(v>>1) ^ -int64(v&1)
	}
	v, n := binary.Varint(s.b)
	if n <= 0 {
		s.bad = true
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *scan) bytes() []byte {
	n := s.long()
	if n < 0 || n > int64(len(s.b)) {
		s.bad = true
		return nil
	}
	v := s.b[:n]
	s.b = s.b[n:]
	return v
}

func (s *scan) double() float64 {
	if len(s.b) < 8 {
		s.bad = true
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(s.b))
	s.b = s.b[8:]
	return v
}

// avro appends the ten values of an event, or with some nothing for an
// impression, which is known after four of its fields.
func (b *block) avro(value []byte, some bool) error {
	s := scan{b: value[min(5, len(value)):]}
	id, micros := s.bytes(), s.long()
	s.bytes() // server
	kind := s.bytes()
	if some && string(kind) == "impression" {
		return nil
	}
	campaign, publisher := s.long(), s.long()
	s.long()
	s.long()
	s.long()
	country := s.bytes()
	s.bytes() // browser
	os, device := s.bytes(), s.bytes()
	s.bytes() // url
	s.bytes() // referrer
	price, cost := s.double(), s.double()
	if s.bad {
		return fmt.Errorf("an Avro value that ends too early")
	}
	b.id.AppendBytes(id)
	b.time.Data = append(b.time.Data, proto.DateTime64(micros/1000))
	b.campaign, b.publisher = append(b.campaign, campaign), append(b.publisher, publisher)
	b.price, b.cost = append(b.price, price), append(b.cost, cost)
	b.n++
	return b.low(kind, country, os, device)
}

func (b *block) low(kind, country, os, device []byte) error {
	for _, c := range [...]struct {
		d *dictionary
		v []byte
	}{{b.kind, kind}, {b.country, country}, {b.os, os}, {b.dev, device}} {
		if err := c.d.add(c.v); err != nil {
			return err
		}
	}
	return nil
}
