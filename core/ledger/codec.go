package ledger

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Record is what the metadata of one partition holds.
type Record struct {
	Incarnation string  // at most MaxIncarnation bytes
	Width       int32   // partitions per slot
	Partitions  int32   // of the topic, known to have a record
	First       int32   // the slot's first partition
	Count       int32   // partitions of the slot
	Write       uint64  // counts the writes of the slot; the same on all its partitions
	Offset      int64   // what was committed with this text; -1: nothing known
	Entries     []Entry // those at home here; none: only a marker
}

// ForeignError says that a partition's metadata is not a record, or a damaged
// one, or belongs to another partition.
type ForeignError struct {
	Topic     string
	Partition int32
	Reason    string
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("metadata of %s[%d] is not a record: %s", e.Topic, e.Partition, e.Reason)
}

// A text is mark, then base64url of: the header's numbers as varints, entries,
// checksum. The mark tells people whose metadata it is, and its digit is the
// version. Offsets are differences: to the committed offset, to the position of
// the entry before, to the cut's start; ad hoc, but a record of one sink is 90
// characters with them and 150 without.
const (
	mark        = "sl1."
	markAnother = "sl" // of another version
)

const (
	flagPending     = 1 << iota
	flagIncarnation // the entry's own differs from the record's
	flagShorter     // Next is shorter than Position
	flagPlan        // Plan is not zero
	flagWrote
	flagRenewed
	flagAll = 1<<iota - 1
)

// Encode makes the metadata of one partition. The text may be longer than
// MaxText; who sends it checks.
func Encode(topic string, partition int32, r Record) (string, error) {
	home := int(partition - r.First)
	if err := r.validate(home); err != nil {
		return "", fmt.Errorf("encode record of %s[%d]: %w", topic, partition, err)
	}
	b := make([]byte, 0, 128)
	b = appendIncarnation(b, r.Incarnation)
	for _, v := range [...]uint64{uint64(r.Width), uint64(r.Partitions), uint64(home), uint64(r.Count), r.Write, uint64(r.Offset + 1), uint64(len(r.Entries))} {
		b = binary.AppendUvarint(b, v)
	}
	base := make([]int64, r.Count)
	base[home] = r.Offset
	for i := range r.Entries {
		b = appendEntry(b, &r.Entries[i], r.Incarnation, r.First, base)
	}
	b = binary.BigEndian.AppendUint32(b, checksum(topic, partition, b))
	text := make([]byte, len(mark), len(mark)+base64.RawURLEncoding.EncodedLen(len(b)))
	copy(text, mark)
	return string(base64.RawURLEncoding.AppendEncode(text, b)), nil
}

// appendEntry writes one entry, and leaves its positions in base for the next.
func appendEntry(b []byte, e *Entry, incarnation string, first int32, base []int64) []byte {
	var flags byte
	if e.Incarnation != incarnation {
		flags |= flagIncarnation
	}
	if e.Plan != ([8]byte{}) {
		flags |= flagPlan
	}
	if e.Wrote {
		flags |= flagWrote
	}
	if e.Renewed {
		flags |= flagRenewed
	}
	if p := e.Pending; p != nil {
		flags |= flagPending
		if len(p.Next) < len(e.Position) {
			flags |= flagShorter
		}
	}
	b = append(append(b, e.Sink[:]...), flags)
	if flags&flagIncarnation != 0 {
		b = appendIncarnation(b, e.Incarnation)
	}
	if flags&flagPlan != 0 {
		b = append(b, e.Plan[:]...)
	}
	for i, v := range e.Position {
		// Wrapping, so that no offset, however strange, needs a case of its own.
		b = binary.AppendVarint(b, int64(uint64(v)-uint64(base[i])))
		base[i] = v
	}
	if e.Pending != nil {
		b = appendPending(b, e, flags, first)
	}
	return b
}

func appendPending(b []byte, e *Entry, flags byte, first int32) []byte {
	p := e.Pending
	if flags&flagShorter != 0 {
		b = binary.AppendUvarint(b, uint64(len(p.Next)))
	}
	for i, v := range p.Next {
		b = binary.AppendUvarint(b, uint64(v)-uint64(e.Position[i]))
	}
	since := int64(0)
	if !p.Since.IsZero() {
		since = p.Since.Unix()
	}
	b = binary.AppendUvarint(b, uint64(since))
	b = append(b, byte(len(p.Token)))
	b = append(b, p.Token...)
	b = append(b, byte(len(p.Dead)))
	index, last := 0, e.Position[0]
	for _, d := range p.Dead {
		i := int(d.Partition - first)
		if i != index {
			last = e.Position[i]
		}
		if len(e.Position) > 1 {
			b = binary.AppendUvarint(b, uint64(i-index))
		}
		b = binary.AppendUvarint(b, uint64(d.Offset)-uint64(last))
		index, last = i, d.Offset
	}
	return b
}

// appendIncarnation packs the usual form, two ids of 16 bytes in base64url with
// one character between them; anything else goes as it is. The first byte is the
// character between, or 0 and then the length.
func appendIncarnation(b []byte, s string) []byte {
	if len(s) == 2*idChars+1 && s[idChars] != 0 {
		packed, err := base64.RawURLEncoding.Strict().AppendDecode(append(b, s[idChars]), []byte(s[:idChars]))
		if err == nil {
			packed, err = base64.RawURLEncoding.Strict().AppendDecode(packed, []byte(s[idChars+1:]))
		}
		if err == nil && len(packed) == len(b)+1+2*idBytes {
			return packed
		}
	}
	return append(append(b, 0, byte(len(s))), s...)
}

const (
	idBytes = 16 // a Kafka cluster or topic id
	idChars = 22 // the same in base64url
)

// checksum covers where the text belongs, so that one that was copied to another
// partition is not taken for that partition's own.
func checksum(topic string, partition int32, b []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, []byte(topic))
	sum = crc32.Update(sum, table, binary.BigEndian.AppendUint32([]byte{0}, uint32(partition)))
	return crc32.Update(sum, table, b)
}
