package sinktest

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// groupedRows: the rows of an aggregate, sorted by key, of no partition. A sink
// may keep a row per batch, or merge it into the row of its key: the sums over
// all rows of a key are the same.
func groupedRows(b *bench) {
	kinds := b.target.Spec.Kinds
	schema := &record.Schema{Fields: []record.Field{{Name: "id", Type: idType(kinds), Merge: record.MergeKey}}}
	sum := record.Type{Kind: record.Decimal, Precision: 38, Scale: 6}
	if !slices.Contains(kinds, record.Decimal) {
		if sum = (record.Type{Kind: record.Int}); !slices.Contains(kinds, record.Int) {
			return // there is nothing to sum
		}
	}
	schema.Fields = append(schema.Fields, record.Field{Name: "total", Type: sum, Merge: record.MergeAdd})
	p := b.place(schema, "id")
	s := p.mustOpen()
	w, _ := p.mustClaim(s, slot(0, 2))
	const batches = 6
	for n := range int64(batches) {
		c := cutOf(0, 100*n, 100*n+100, 50*n, 50*n+50)
		token := p.writeGroups(w, c, sum, n, "")
		w.close()
		if w, _ = p.mustClaim(s, slot(0, 2)); n%2 == 1 && b.target.Spec.Delivery != sink.AtLeastOnce {
			p.writeGroups(w, c, sum, n, token) // once more
		}
	}
	got := map[at]*big.Rat{}
	for _, r := range p.read() {
		a, ok := parseID(schema.Fields[0].Type, r[0])
		text, isText := digits(r[1])
		v, isNumber := new(big.Rat).SetString(text)
		if !ok || !isText || !isNumber {
			p.Fatalf("a row at the destination is %s, %s: want a key and a number", show(r[0]), show(r[1]))
		}
		if got[a] == nil {
			got[a] = new(big.Rat)
		}
		got[a].Add(got[a], v)
	}
	for k := range int64(20 + batches - 1) {
		want := new(big.Rat)
		for n := max(0, k-19); n < batches; n++ {
			v, _ := new(big.Rat).SetString(fmt.Sprint(total(sum, n, k)))
			want.Add(want, v)
		}
		if g := got[at{0, k}]; g == nil || g.Cmp(want) != 0 {
			p.Errorf("key %d: the totals at the destination sum up to %v, want %v", k, g, want.FloatString(6))
		}
	}
	if len(got) != 20+batches-1 {
		p.Errorf("%d keys are at the destination, want %d", len(got), 20+batches-1)
	}
}

// writeGroups commits the groups of batch n.
func (p *place) writeGroups(w *writer, c record.Cut, sum record.Type, n int64, token string) string {
	p.Helper()
	finished, err := w.resume(p.Context(), c, token)
	if err != nil || finished {
		if err != nil {
			p.Fatalf("resume %s: %v", c, err)
		}
		return token
	}
	w.feed.begin(-1, 0, 0)
	for k := range 20 + n {
		w.feed.add(100*n+k, []any{idOf(p.schema.Fields[0].Type, at{0, k}), total(sum, n, k)})
	}
	if err := w.append(p.Context(), w.feed.chunk); err != nil {
		p.Fatalf("append of groups: %v", err)
	}
	token = w.mustStage(c)
	if err := w.commit(p.Context(), c, token); err != nil {
		p.Fatalf("groups of %s: %v", c, err)
	}
	return token
}

// total is what batch n adds to key k.
func total(t record.Type, n, k int64) any {
	if t.Kind == record.Int {
		return (n+1)*1000 + k
	}
	return fmt.Sprintf("%d.%06d", n+k-5, k*7+n+1)
}
