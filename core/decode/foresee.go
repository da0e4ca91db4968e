package decode

import (
	"context"
	"encoding/binary"
	"iter"
)

// maxForeseen bounds the unknown ids that one look ahead asks for.
const maxForeseen = 512

// Foresee is called when Append has met a schema id that the registry does not
// know, with the records that come behind that one. It asks for those of their
// ids that nothing is known of yet, several at once, and returns when there are
// answers. Without it a row of records with made-up ids would be waited for one
// after another, each from when it is first met.
func (d *Decoder) Foresee(ctx context.Context, values iter.Seq[[]byte]) {
	s := d.stream
	if s.schemas == nil || s.options.Framing != Confluent {
		return
	}
	var ids []uint32
	seen := map[uint32]bool{}
	for v := range values {
		if len(v) < 5 || v[0] != 0 {
			continue
		}
		id := binary.BigEndian.Uint32(v[1:])
		if seen[id] {
			continue
		}
		seen[id] = true
		if !s.schemas.isKnown(id) {
			ids = append(ids, id)
		}
		if len(ids) == maxForeseen || len(seen) == 4*maxForeseen {
			break
		}
	}
	s.schemas.foresee(ctx, ids)
}
