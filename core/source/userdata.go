package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What members tell the leader, and the leader the members, lies in the user data of the group protocol: a version byte, then varints and
// strings. Other members run other releases and are not trusted to be sane, so nothing read here is used as a size unchecked.
const (
	claimVersion = 1
	// A share without and with the slots to settle. The first is what members of releases read that give everything up at a rebalance.
	shareVersion       = 1
	settleShareVersion = 2

	maxUserData   = 1 << 20
	maxInfo       = 1 << 10
	maxPartitions = 1 << 20
)

// Layout says how a topic's partitions form slots: slot k is the partitions [k*Width, min((k+1)*Width, Partitions)).
type Layout struct {
	Topic             string
	Partitions, Width int32
}

// WidthOf is how many partitions a slot has where slots: says how many slots a
// topic has; 0: one partition each.
func WidthOf(partitions int32, slots int) int32 {
	if slots <= 0 {
		return 1
	}
	return max(1, int32((int64(partitions)+int64(slots)-1)/int64(slots))) // slots may be any number: int32 of it may be zero
}

// Slots is the number of slots.
func (l Layout) Slots() int32 {
	return int32((int64(l.Partitions) + int64(l.Width) - 1) / int64(l.Width))
}

// Range is the half-open range of partitions of a slot.
func (l Layout) Range(index int32) (first, next int32) {
	return index * l.Width, int32(min(int64(index+1)*int64(l.Width), int64(l.Partitions)))
}

func (l Layout) check() error {
	if l.Partitions < 0 || l.Partitions > maxPartitions || l.Width < 1 || l.Width > maxPartitions {
		return fmt.Errorf("layout of topic %q: %d partitions, width %d", l.Topic, l.Partitions, l.Width)
	}
	return nil
}

// Slot is a run of partitions of one topic that is owned as a whole.
type Slot struct {
	Topic string
	Index int32
}

func compareSlots(a, b Slot) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return int(a.Index) - int(b.Index)
}

// claim is what a member says of itself when it joins.
type claim struct {
	generation int32 // in which it owned the slots, -1 if none
	info       string
	owned      []Slot
}

func (c claim) encode() []byte {
	b := []byte{claimVersion}
	b = binary.AppendUvarint(b, uint64(int64(c.generation)+1))
	b = appendString(b, c.info)
	return appendSlots(b, c.owned)
}

func decodeClaim(b []byte) (claim, error) {
	d, err := newDecoder(b, claimVersion)
	if err != nil {
		return claim{generation: -1}, err
	}
	c := claim{generation: int32(d.number(1<<31) - 1), info: d.text(maxInfo), owned: d.slots()}
	if err := d.end(); err != nil {
		return claim{generation: -1}, err
	}
	return c, nil
}

// share is what the leader gives a member.
type share struct {
	layouts []Layout
	slots   []Slot
	// settle are slots that the member has claimed, and that somebody else is to have: it may finish what it has begun there, and nobody else
	// has them before it has joined again without them.
	settle []Slot
}

func (s share) encode(version byte) []byte {
	b := []byte{version}
	b = binary.AppendUvarint(b, uint64(len(s.layouts)))
	for _, l := range s.layouts {
		b = appendString(b, l.Topic)
		b = binary.AppendUvarint(b, uint64(l.Partitions))
		b = binary.AppendUvarint(b, uint64(l.Width))
	}
	b = appendSlots(b, s.slots)
	if version >= settleShareVersion {
		b = appendSlots(b, s.settle)
	}
	return b
}

func decodeShare(b []byte) (share, error) {
	d, err := newDecoder(b, settleShareVersion)
	if err != nil {
		return share{}, err
	}
	var s share
	known := make(map[string]Layout)
	for range d.count() {
		l := Layout{Topic: d.text(maxUserData), Partitions: int32(d.number(maxPartitions)), Width: int32(d.number(maxPartitions))}
		if d.bad {
			break
		}
		if err := l.check(); err != nil {
			return share{}, err
		}
		known[l.Topic] = l
		s.layouts = append(s.layouts, l)
	}
	s.slots = d.slots()
	if d.version >= settleShareVersion {
		s.settle = d.slots()
	}
	if err := d.end(); err != nil {
		return share{}, err
	}
	for _, slot := range slices.Concat(s.slots, s.settle) {
		if l, ok := known[slot.Topic]; !ok || slot.Index >= l.Slots() {
			return share{}, fmt.Errorf("slot %d of topic %q is outside of its layout", slot.Index, slot.Topic)
		}
	}
	return s, nil
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendSlots writes slots by topic, each index as the distance to the one before.
func appendSlots(b []byte, slots []Slot) []byte {
	slots = slices.Clone(slots)
	slices.SortFunc(slots, compareSlots)
	slots = slices.Compact(slots)
	topics := 0
	for i := range slots {
		if i == 0 || slots[i].Topic != slots[i-1].Topic {
			topics++
		}
	}
	b = binary.AppendUvarint(b, uint64(topics))
	for i := 0; i < len(slots); {
		j := i
		for j < len(slots) && slots[j].Topic == slots[i].Topic {
			j++
		}
		b = appendString(b, slots[i].Topic)
		b = binary.AppendUvarint(b, uint64(j-i))
		before := int32(-1)
		for ; i < j; i++ {
			b = binary.AppendUvarint(b, uint64(slots[i].Index-before-1))
			before = slots[i].Index
		}
	}
	return b
}

// decoder reads user data; after the first fault it reads only zeros.
type decoder struct {
	version byte
	b       []byte
	bad     bool
}

func newDecoder(b []byte, newest byte) (*decoder, error) {
	switch {
	case len(b) == 0:
		return nil, errors.New("user data is empty")
	case len(b) > maxUserData:
		return nil, fmt.Errorf("user data of %d bytes, limit %d", len(b), maxUserData)
	case b[0] < 1 || b[0] > newest:
		return nil, fmt.Errorf("user data of version %d, this program knows up to %d", b[0], newest)
	}
	return &decoder{version: b[0], b: b[1:]}, nil
}

func (d *decoder) number(most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if d.bad || n <= 0 || v > most {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count is a number of things that each take a byte or more.
func (d *decoder) count() int { return int(d.number(uint64(len(d.b)))) }

func (d *decoder) text(most int) string {
	n := d.count()
	if d.bad || n > most || n > len(d.b) {
		d.bad = true
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) slots() []Slot {
	var out []Slot
	for range d.count() {
		topic := d.text(maxUserData)
		index := int64(-1)
		for range d.count() {
			index += int64(d.number(maxPartitions)) + 1
			if d.bad || index >= maxPartitions {
				d.bad = true
				return nil
			}
			out = append(out, Slot{topic, int32(index)})
		}
	}
	return out
}

func (d *decoder) end() error {
	if d.bad || len(d.b) != 0 {
		return errors.New("user data is damaged")
	}
	return nil
}
