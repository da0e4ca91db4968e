package clickhouse

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/sluicekit/sluice/core/record"
)

// token names a batch: the same for all attempts at it, by whichever owner, and
// for nothing else. Sink, connection, incarnation, slot and bounds are hashed;
// what stands before the hash is for people who read the server's logs.
//
// The dead set is left out: two batches of the same bounds that differ in it are
// attempts at the same records, of which at most one may be in.
func token(id, incarnation string, c record.Cut) string {
	h := sha256.New()
	part := func(text string) {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text))))
		h.Write([]byte(text))
	}
	part(id)
	part(incarnation)
	part(c.Topic)
	numbers := binary.LittleEndian.AppendUint64(nil, uint64(c.Partition))
	for _, r := range c.Ranges {
		numbers = binary.LittleEndian.AppendUint64(numbers, uint64(r.First))
		numbers = binary.LittleEndian.AppendUint64(numbers, uint64(r.Next))
	}
	part(string(numbers))
	return fmt.Sprintf("%s/%s/%d-%d/%s", id, c.Topic, c.Partition, int(c.Partition)+len(c.Ranges)-1, hex.EncodeToString(h.Sum(nil)[:16]))
}
