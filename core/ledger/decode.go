package ledger

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/record"
)

// Decode reads the metadata of one partition. Its error is a *ForeignError.
func Decode(topic string, partition int32, text string) (Record, error) {
	foreign := func(reason string) (Record, error) {
		return Record{}, &ForeignError{Topic: topic, Partition: partition, Reason: reason}
	}
	encoded, ours := strings.CutPrefix(text, mark)
	switch {
	case text == "":
		return foreign("it is empty")
	case len(text) > MaxText:
		return foreign(fmt.Sprintf("it is longer than %d bytes", MaxText))
	case !ours && strings.HasPrefix(text, markAnother):
		return foreign("it is of another version of Sluice, or damaged")
	case !ours:
		return foreign("it was written by another program")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	// The decoder skips line ends, which nobody here has written.
	if err != nil || len(b) < crc32.Size || strings.ContainsAny(encoded, "\r\n") {
		return foreign("it is damaged")
	}
	body := b[:len(b)-crc32.Size]
	if binary.BigEndian.Uint32(b[len(body):]) != checksum(topic, partition, body) {
		return foreign("it is damaged, or belongs to another partition")
	}
	d := decoder{rest: body}
	r := d.record(partition)
	if d.bad == "" && len(d.rest) > 0 {
		d.fail("bytes follow the last entry")
	}
	if d.bad == "" {
		if err := r.validate(int(partition - r.First)); err != nil {
			d.fail(err.Error())
		}
	}
	if d.bad != "" {
		return foreign(d.bad)
	}
	return r, nil
}

// decoder reads values off rest until something is wrong; then bad says what,
// and all further values are zero.
type decoder struct {
	rest []byte
	bad  string
}

func (d *decoder) fail(reason string) {
	if d.bad == "" {
		d.bad = reason
	}
	d.rest = nil
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail("a number is cut off or too long")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// number reads one that must not be above limit.
func (d *decoder) number(limit uint64) int64 {
	v := d.uvarint()
	if v > limit {
		d.fail("a number is out of range")
		return 0
	}
	return int64(v)
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.rest) {
		d.fail("it ends early")
		return make([]byte, min(n, MaxIncarnation))
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) record(partition int32) Record {
	var r Record
	r.Incarnation = d.incarnation()
	r.Width = int32(d.number(math.MaxInt32))
	r.Partitions = int32(d.number(math.MaxInt32))
	home := d.number(uint64(partition))
	r.First = partition - int32(home)
	r.Count = int32(d.number(MaxWidth))
	r.Write = d.uvarint()
	r.Offset = int64(d.uvarint() - 1)
	entries := int(d.number(MaxText))
	if d.bad != "" || home >= int64(r.Count) {
		d.fail("its partition is not in its slot")
		return r
	}
	base := make([]int64, r.Count)
	base[home] = r.Offset
	for range entries {
		r.Entries = append(r.Entries, d.entry(&r, base))
		if d.bad != "" {
			break
		}
	}
	return r
}

func (d *decoder) incarnation() string {
	between := d.bytes(1)[0]
	if between == 0 {
		return string(d.bytes(int(d.bytes(1)[0])))
	}
	var b []byte
	b = base64.RawURLEncoding.AppendEncode(b, d.bytes(idBytes))
	b = append(b, between)
	return string(base64.RawURLEncoding.AppendEncode(b, d.bytes(idBytes)))
}

func (d *decoder) entry(r *Record, base []int64) Entry {
	e := Entry{Incarnation: r.Incarnation, Sink: ID(d.bytes(len(ID{})))}
	flags := d.bytes(1)[0]
	if flags > flagAll {
		d.fail("an entry has unknown flags")
	}
	e.Wrote = flags&flagWrote != 0
	e.Renewed = flags&flagRenewed != 0
	if flags&flagIncarnation != 0 {
		e.Incarnation = d.incarnation()
	}
	if flags&flagPlan != 0 {
		e.Plan = [8]byte(d.bytes(len(e.Plan)))
	}
	if len(d.rest) < len(base) { // every position takes a byte at least
		d.fail("it ends early")
		return e
	}
	e.Position = make([]int64, len(base))
	for i := range base {
		base[i] += d.varint()
		e.Position[i] = base[i]
	}
	if flags&flagPending != 0 {
		e.Pending = d.pending(&e, flags, r.First)
	}
	return e
}

func (d *decoder) pending(e *Entry, flags byte, first int32) *Pending {
	p := &Pending{Next: make([]int64, len(e.Position))}
	if flags&flagShorter != 0 {
		p.Next = p.Next[:d.number(uint64(len(e.Position)-1))]
	}
	for i := range p.Next {
		p.Next[i] = e.Position[i] + int64(d.uvarint())
	}
	if since := d.number(maxSeconds); since > 0 {
		p.Since = time.Unix(since, 0).UTC()
	}
	p.Token = string(d.bytes(int(d.bytes(1)[0])))
	index, last := 0, e.Position[0]
	for range int(d.bytes(1)[0]) {
		i := index
		if len(e.Position) > 1 {
			i += int(d.number(MaxWidth))
		}
		if i >= len(e.Position) {
			d.fail("a dead record is not in its slot")
			break
		}
		if i != index {
			last = e.Position[i]
		}
		index, last = i, last+int64(d.uvarint())
		p.Dead = append(p.Dead, record.Dead{Partition: first + int32(i), Offset: last})
	}
	return p
}
