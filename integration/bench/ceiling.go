package main

import (
	"context"
	"flag"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// blockRows is how many rows the ceiling inserts at once.
const blockRows = 100_000

// ceiling is the child process: it reads a topic to its end into a table.
type ceiling struct {
	kafka, clickhouse, table, format string
	some                             bool // clicks and conversions only
}

func ceilingMain(args []string) error {
	c := &ceiling{}
	f := flag.NewFlagSet("ceiling", flag.ContinueOnError)
	f.StringVar(&c.kafka, "kafka", "", "")
	f.StringVar(&c.clickhouse, "clickhouse", "", "")
	f.StringVar(&c.table, "table", "", "")
	f.StringVar(&c.format, "format", "avro", "")
	f.BoolVar(&c.some, "some", false, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	debug.SetGCPercent(200)
	var all sync.WaitGroup
	errs := make([]error, partitions)
	for p := range int32(partitions) {
		all.Go(func() { errs[p] = c.partition(context.Background(), p) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// partition carries one partition to its end.
func (c *ceiling) partition(ctx context.Context, partition int32) error {
	client, err := ch.Dial(ctx, ch.Options{Address: c.clickhouse, Compression: ch.CompressionDisabled})
	if err != nil {
		return err
	}
	defer client.Close()
	f, err := dialFetcher(c.kafka, topicOf(c.format), partition)
	if err != nil {
		return err
	}
	defer f.conn.Close()
	rows := newBlock()
	take := rows.avro
	if c.format == "json" {
		take = rows.json
	}
	insert := func() error {
		defer rows.reset()
		return client.Do(ctx, ch.Query{Body: rows.input.Into(c.table), Input: rows.input})
	}
	for {
		more, err := f.fetch(func(value []byte) error {
			if err := take(value, c.some); err != nil {
				return err
			}
			if rows.n < blockRows {
				return nil
			}
			return insert()
		})
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if rows.n == 0 {
		return nil
	}
	return insert()
}

// block is the rows of one insert.
type block struct {
	n                      int
	id                     proto.ColStr
	time                   *proto.ColDateTime64
	campaign, publisher    proto.ColInt64
	kind, country, os, dev *dictionary
	price, cost            proto.ColFloat64
	input                  proto.Input
}

func newBlock() *block {
	b := &block{
		time: new(proto.ColDateTime64).WithPrecision(proto.PrecisionMilli),
		kind: newDictionary(), country: newDictionary(), os: newDictionary(), dev: newDictionary(),
	}
	b.input = proto.Input{
		{Name: "id", Data: &b.id}, {Name: "time", Data: b.time}, {Name: "type", Data: &b.kind.column},
		{Name: "campaign_id", Data: &b.campaign}, {Name: "publisher_id", Data: &b.publisher},
		{Name: "country", Data: &b.country.column}, {Name: "os", Data: &b.os.column}, {Name: "device", Data: &b.dev.column},
		{Name: "price", Data: &b.price}, {Name: "cost", Data: &b.cost},
	}
	return b
}

func (b *block) reset() {
	b.n = 0
	b.id.Reset()
	b.time.Reset()
	b.campaign.Reset()
	b.publisher.Reset()
	b.price.Reset()
	b.cost.Reset()
	for _, d := range []*dictionary{b.kind, b.country, b.os, b.dev} {
		d.column.Keys8 = d.column.Keys8[:0]
	}
}

// dictionary is a LowCardinality(String) of at most 255 values, which it keeps
// from block to block.
type dictionary struct {
	values proto.ColStr
	known  [][]byte
	slots  [1024]uint16 // open addressing: code+1; 0 is free
	column proto.ColLowCardinalityRaw
}

func newDictionary() *dictionary {
	d := &dictionary{}
	d.column.Index, d.column.Key = &d.values, proto.KeyUInt8
	return d
}

func (d *dictionary) add(v []byte) error {
	h := uint32(2166136261)
	for _, c := range v {
		h = (h ^ uint32(c)) * 16777619
	}
	for i := h >> 22; ; i = (i + 1) % uint32(len(d.slots)) {
		code := d.slots[i]
		if code == 0 {
			if len(d.known) == 255 {
				return fmt.Errorf("more than 255 values in a dictionary")
			}
			own := append([]byte(nil), v...)
			d.known = append(d.known, own)
			d.values.AppendBytes(own)
			code = uint16(len(d.known))
			d.slots[i] = code
		}
		if string(d.known[code-1]) == string(v) {
			d.column.Keys8 = append(d.column.Keys8, uint8(code-1))
			return nil
		}
	}
}
