package settle

import "github.com/sluicekit/sluice/core/record"

// Effect is what it means for one partition that a sink goes on at another
// offset than where it is. An empty range means nothing.
type Effect struct {
	Gone    record.Range // not written, and not in the topic any more
	Lost    record.Range // in the topic, and not written
	Doubled record.Range // written, in the topic, and written again
	Reused  record.Range // written, cut off the topic since, and given to new records
}

// Compare says what it means to go on at next where all below have is settled.
// have is -1 where nothing is known. The log has [start,end).
func Compare(have, next, start, end int64) (e Effect) {
	switch {
	case have < 0:
	case next > have:
		e.Gone = span(have, min(next, start))
		e.Lost = span(max(have, start), next)
	case next < have:
		e.Doubled = span(max(next, start), min(have, end))
		e.Reused = span(max(end, next), have)
	}
	return e
}

// span is a range; one that ends before it starts is empty.
func span(first, next int64) record.Range {
	if next <= first {
		return record.Range{}
	}
	return record.Range{First: first, Next: next}
}
