package ledger

import "fmt"

// MaxText is the longest metadata that Kafka stores, in UTF-16 units. The texts
// here are ASCII, so units, characters and bytes are the same.
const MaxText = 4096

// MaxToken is the longest stage token, in bytes.
const MaxToken = 64

// Record is what the metadata of one partition holds.
type Record struct {
	Incarnation string
	Width       int32   // partitions per slot
	Partitions  int32   // of the topic, known to have a record
	First       int32   // the slot's first partition
	Count       int32   // partitions of the slot
	Write       uint64  // counts the writes of the slot; the same on all its partitions
	Offset      int64   // what was committed with this text
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

// TooLongError says that a slot's record would not fit.
type TooLongError struct {
	Slot       Slot
	Sinks      int // entries on the partition that is full
	Characters int // that its text would have
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("record of slot %s with %d sinks would take %d of %d characters: run fewer sinks in one group", e.Slot, e.Sinks, e.Characters, MaxText)
}

// Encode makes the metadata of one partition.
func Encode(topic string, partition int32, r Record) (string, error) { return "", errNotYet }

// Decode reads the metadata of one partition. Its error is a *ForeignError.
func Decode(topic string, partition int32, text string) (Record, error) {
	return Record{}, errNotYet
}

// Check refuses a number of sinks whose entries could outgrow the metadata of a
// slot of that many partitions.
func Check(sinks int, width int32) error { return errNotYet }
