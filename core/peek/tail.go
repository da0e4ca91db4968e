package peek

import (
	"context"

	"github.com/sluicekit/sluice/core/record"
)

// stride is by how much further each look back goes than the one before. All of
// them together read little more than the last one.
const stride = 16

// lookBack gives the last Tail records that where selects, over all partitions.
// How far back they are nobody knows (where may leave out nearly all, and
// offsets of JSON lines are bytes), so it begins near the ends and goes further
// until it has them, or all there is. Run goes on at the ends.
func (l *look) lookBack(ctx context.Context) error {
	follow := l.o.Follow
	l.o.Follow = false
	last := &tail{most: l.o.Tail}
	l.tail = last
	for back := int64(l.o.Tail); ; back = min(back*stride, 1<<58) {
		l.parts = nil
		last.records = last.records[:0]
		if err := l.open(ctx, From{Last: back}); err != nil {
			return err
		}
		if err := l.read(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil || len(last.records) == last.most || l.whole() {
			break
		}
	}
	l.o.Follow, l.tail = follow, nil
	for i := range last.records {
		r := last.records[(last.next+i)%len(last.records)]
		if err := l.give(r); err != nil {
			return err
		}
	}
	return nil
}

// whole says whether every partition was read from its beginning.
func (l *look) whole() bool {
	for _, p := range l.parts {
		if !p.whole {
			return false
		}
	}
	return true
}

// tail keeps the last records of many, with copies of their rows.
type tail struct {
	most    int
	records []Record // a ring, once it is full
	next    int      // the oldest of a full ring
}

func (t *tail) add(r Record) {
	if len(t.records) < t.most {
		t.next = 0
		t.records = append(t.records, r)
		t.own(&t.records[len(t.records)-1], nil)
		return
	}
	old := t.records[t.next].Rows
	t.records[t.next] = r
	t.own(&t.records[t.next], old)
	t.next = (t.next + 1) % t.most
}

// own copies the row of a record, into a chunk that is not needed any more if
// there is one: the partition's chunk is used again.
func (t *tail) own(r *Record, one *record.Chunk) {
	if r.Rows == nil {
		return
	}
	if one == nil {
		one = record.NewChunk(r.Rows.Schema)
	}
	one.SetRow(r.Rows, r.Row)
	r.Rows, r.Row = one, 0
}
