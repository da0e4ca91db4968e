package record

import (
	"fmt"
	"strings"
	"time"
)

// Range is a half-open run of offsets of one partition: First is in it, Next
// is not.
type Range struct {
	First, Next int64
}

// Cut is what one commit covers: a range per partition of the slot, and the
// records in them that the destination or the registry refused.
//
// A cut that may have been committed is repeated with the same ranges and the
// same dead set before anything else, so a destination can take its name (see
// Name) for the identity of its content.
type Cut struct {
	Topic     string
	Partition int32   // the slot's first partition
	Ranges    []Range // of partitions Partition, Partition+1, …
	Dead      []Dead  // ascending, at most MaxDead
	Since     time.Time
	// Since is when the cut's intent was first stored; zero: never. It may make
	// a sink distrust a deduplication window, never trust one.

	// Letters is how many records of the cut go to the dead letters: the dead
	// set, and those that are bad by their bytes. Not part of the cut's
	// identity: an Atomic sink stores it, so that after a restart core knows
	// whether letters may have to be written again.
	Letters int

	// Attempt is how long the attempt to commit may take that Stage begins; zero:
	// as long as the sink's timeout. A sink that opens something at its server in
	// Stage bounds it by this, so that an owner that was paused cannot finish it
	// much later. Not part of the cut's identity.
	Attempt time.Duration
}

// MaxDead is the largest dead set of a cut. The intent, which carries it, must
// fit the metadata of an offset commit; a cut with more is made shorter.
const MaxDead = 16

// Dead is one record of a cut that was judged bad by something other than its
// bytes, and is therefore listed: a repeat must not judge it again.
type Dead struct {
	Partition int32
	Offset    int64
}

// Empty says that the cut covers no offset.
func (c Cut) Empty() bool {
	for _, r := range c.Ranges {
		if r.Next > r.First {
			return false
		}
	}
	return true
}

// Has says whether an offset lies in the cut.
func (c Cut) Has(partition int32, offset int64) bool {
	i := int(partition - c.Partition)
	return i >= 0 && i < len(c.Ranges) && offset >= c.Ranges[i].First && offset < c.Ranges[i].Next
}

// IsDead says whether a record is in the dead set.
func (c Cut) IsDead(partition int32, offset int64) bool {
	for _, d := range c.Dead {
		if d.Partition == partition && d.Offset == offset {
			return true
		}
	}
	return false
}

// Equal says whether two cuts cover the same offsets with the same dead set.
func (c Cut) Equal(o Cut) bool {
	if c.Topic != o.Topic || c.Partition != o.Partition || len(c.Ranges) != len(o.Ranges) || len(c.Dead) != len(o.Dead) {
		return false
	}
	for i := range c.Ranges {
		if c.Ranges[i] != o.Ranges[i] {
			return false
		}
	}
	for i := range c.Dead {
		if c.Dead[i] != o.Dead[i] {
			return false
		}
	}
	return true
}

// String is the cut as messages show it: events[3] [1200,1800), or for several
// partitions events[4-7] [10,20) [3,3) [0,7) [9,12).
func (c Cut) String() string {
	var b strings.Builder
	if len(c.Ranges) > 1 {
		fmt.Fprintf(&b, "%s[%d-%d]", c.Topic, c.Partition, int(c.Partition)+len(c.Ranges)-1)
	} else {
		fmt.Fprintf(&b, "%s[%d]", c.Topic, c.Partition)
	}
	for _, r := range c.Ranges {
		fmt.Fprintf(&b, " [%d,%d)", r.First, r.Next)
	}
	return b.String()
}
